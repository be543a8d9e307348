//! What rules in force cannot do, although they seem to: told once each.

use std::collections::BTreeSet;

use super::compile::texts;
use crate::check;
use crate::reload::config::ConfigFile;
use crate::rules::{Code, File, Finding, Rules};

/// Warnings that are logged one by one, at most.
const WARNINGS_MAX: usize = 20;

/// Something that rules in force cannot do, although they seem to.
#[derive(Clone, Debug)]
pub(super) struct Warning {
    /// `rules.yaml:12:5`
    place: String,
    path: String,
    field: String,
    code: Code,
    text: String,
}

impl Warning {
    fn new(path: &str, finding: &Finding) -> Warning {
        let help = finding.help.as_ref().map(|help| format!("; {help}"));
        Warning {
            place: format!("{path}:{}:{}", finding.line, finding.column),
            path: path.to_owned(),
            field: finding.field.clone(),
            code: finding.code,
            text: format!("{}{}", finding.message, help.unwrap_or_default()),
        }
    }

    /// The same for the same warning, if perhaps on another line by now.
    fn key(&self) -> (&str, &str, Code, &str) {
        (&self.path, &self.field, self.code, &self.text)
    }
}

/// What reading the files has found.
pub(super) fn of_reading(files: &[ConfigFile], findings: &[Vec<Finding>]) -> Vec<Warning> {
    let of_files = files.iter().zip(findings);
    let all = of_files.flat_map(|(file, of_file)| of_file.iter().map(|it| (&file.path, it)));
    all.map(|(path, finding)| Warning::new(path, finding))
        .collect()
}

/// What `tidegauge check` would warn of besides, but for what the server finds out by itself. Of
/// thousands of rules it takes a while.
pub(super) fn of_trying(
    rules: &Rules,
    files: &[ConfigFile],
    findings: &[Vec<Finding>],
) -> Vec<Warning> {
    let texts: Vec<File<'_>> = texts(files).into_iter().flatten().collect();
    of_reading(files, &check::warnings(rules, &texts, findings))
}

/// Tells warnings on a line each, unless they are among the `former` ones.
pub(super) fn note_warnings(warnings: &[Warning], former: &[Warning]) {
    let (told, more) = to_tell(warnings, former);
    for Warning {
        place,
        field,
        code,
        text,
        ..
    } in told
    {
        tracing::warn!(place, field, %code, "rules: {text}");
    }
    if more > 0 {
        tracing::warn!("rules: {more} more warnings; `tidegauge check` shows them all");
    }
}

/// Those that are new, as many as are told, and how many more there are.
fn to_tell<'a>(warnings: &'a [Warning], former: &[Warning]) -> (Vec<&'a Warning>, usize) {
    let former: BTreeSet<_> = former.iter().map(Warning::key).collect();
    let mut new: Vec<&Warning> = warnings.iter().collect();
    new.retain(|it| !former.contains(&it.key()));
    let more = new.len().saturating_sub(WARNINGS_MAX);
    new.truncate(WARNINGS_MAX);
    (new, more)
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;

    /// The warnings about so many rules that lose the pod, below so many lines.
    fn of(rules: usize, lines: usize) -> Vec<Warning> {
        let rule = "- seriesQuery: hits\n  resources: {overrides: {namespace: {resource: \
                    namespace}, pod: {resource: pod}}}\n  metricsQuery: \
                    sum(<<.Series>>{<<.LabelMatchers>>})\n";
        let text = format!("{}rules:\n{}", "\n".repeat(lines), rule.repeat(rules));
        let file = ConfigFile {
            path: "/etc/rules.yaml".to_owned(),
            name: None,
            bytes: text.into_bytes(),
        };
        let files = [file];
        let (rules, findings) = compile(&files, false).unwrap();
        of_trying(&rules, &files, &findings)
    }

    #[test]
    fn what_was_told_is_not_told_again_and_many_are_counted() {
        let (told, more) = (of(2, 0), of(3, 7));
        assert_eq!(to_tell(&told, &[]).0.len(), 2);
        assert_eq!(told[0].place, "/etc/rules.yaml:4:17");
        assert_eq!(to_tell(&told, &of(2, 1)).0.len(), 0);
        let new = to_tell(&more, &told).0;
        assert!(new.len() == 1 && new[0].field == "rules[2].metricsQuery");
        let many = of(WARNINGS_MAX + 5, 0);
        let (some, rest) = to_tell(&many, &[]);
        assert_eq!((some.len(), rest), (WARNINGS_MAX, 5));
    }
}
