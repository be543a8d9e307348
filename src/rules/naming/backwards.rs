//! From the name of a metric back to series that it may be made of.
//!
//! For messages alone. `name.matches` and `name.as` cannot be turned round in general, so names are
//! guessed, and only those are given that the rule does call so.

use regex::Regex;

use super::{Naming, index, references};
use crate::go;
use crate::promql::escape_regex;

/// What names are often shortened by.
const ENDINGS: [&str; 5] = ["_total", "_seconds_total", "_count", "_sum", "_bucket"];

impl Naming {
    /// Names of series that the rule would call `metric`, whether its filters let them in or not.
    /// There may be others.
    pub fn sources(&self, metric: &str) -> Vec<String> {
        let longer = ENDINGS.iter().map(|end| format!("{metric}{end}"));
        let guesses = std::iter::once(metric.to_owned())
            .chain(self.turned_round(metric))
            .chain(longer);
        let mut sources: Vec<String> = Vec::new();
        for name in guesses {
            let is_called_so = self.api_name(&name).as_deref() == Some(metric);
            if is_called_so && !name.is_empty() && !sources.contains(&name) {
                sources.push(name);
            }
        }
        sources
    }

    /// `name.as` read backwards, and its groups put into `name.matches`.
    fn turned_round(&self, metric: &str) -> Option<String> {
        let references = references(&self.name_as);
        let (mut pattern, mut at) = ("^".to_owned(), 0);
        for (span, _) in &references {
            pattern += &escape_regex(self.name_as.get(at..span.start)?);
            pattern += "(.*)";
            at = span.end;
        }
        pattern += &escape_regex(self.name_as.get(at..)?);
        pattern.push('$');
        let found = Regex::new(&pattern).ok()?.captures(metric)?;
        let texts = found.iter().skip(1).flatten().map(|it| it.as_str());
        let number = |name: &str| {
            let mut named = go::regex::group_names(&self.matches);
            index(name).or_else(|| named.position(|known| known == name))
        };
        let groups = references.iter().map(|(_, name)| number(name)).zip(texts);
        let groups: Vec<(Option<usize>, &str)> = groups.collect();
        if let Some((_, whole)) = groups.iter().find(|(group, _)| *group == Some(0)) {
            return Some((*whole).to_owned());
        }
        filled(&self.pattern, &groups)
    }
}

/// The text that a simple pattern matches when its groups are these; `None` for one that says more
/// than literals, groups and `.*`.
fn filled(pattern: &str, groups: &[(Option<usize>, &str)]) -> Option<String> {
    let mut text = String::new();
    let mut rest = pattern.strip_prefix('^').unwrap_or(pattern);
    rest = rest.strip_suffix('$').unwrap_or(rest);
    let mut group = 0;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..)?;
        match c {
            '\\' => {
                let escaped = rest.chars().next().filter(char::is_ascii_punctuation)?;
                text.push(escaped);
                rest = rest.get(1..)?;
            }
            '.' => rest = rest.strip_prefix('*')?,
            '(' => {
                let end = closing(rest)?;
                let inside = rest.get(..end)?;
                rest = rest.get(end + 1..)?;
                let is_captured = !inside.starts_with("?:");
                group += usize::from(is_captured);
                let known = groups.iter().find(|(number, _)| *number == Some(group));
                match known.filter(|_| is_captured) {
                    Some((_, value)) => text.push_str(value),
                    None => text.push_str(&filled(inside.trim_start_matches("?:"), &[])?),
                }
            }
            '|' | '[' | '*' | '+' | '?' | '{' | ')' | '^' | '$' => return None,
            _ => text.push(c),
        }
    }
    Some(text)
}

/// Where the group ends whose inside this text begins with. One with groups of its own is not
/// looked into: their numbers would have to be counted.
fn closing(rest: &str) -> Option<usize> {
    let end = rest.find(')')?;
    let inside = rest.get(..end)?;
    (!inside.contains('(') && !inside.ends_with('\\')).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::parse;

    fn naming(name: &str) -> Naming {
        let text = format!("rules:\n- seriesQuery: a\n  metricsQuery: a\n  name: {name}\n");
        let (rules, _) = parse(&text).expect("a rule must load");
        rules.custom[0].naming.clone()
    }

    #[test]
    fn a_name_leads_back_to_the_series_that_is_called_so() {
        for (name, metric, sources) in [
            ("{}", "up", &["up"][..]),
            (
                r#"{as: lag}"#,
                "lag",
                &[
                    "lag",
                    "lag_total",
                    "lag_seconds_total",
                    "lag_count",
                    "lag_sum",
                    "lag_bucket",
                ],
            ),
            (
                r#"{matches: "^(.*)_total$", as: "${1}_per_second"}"#,
                "hits_per_second",
                &["hits_total"],
            ),
            (r#"{matches: "(.*)_total"}"#, "hits", &["hits_total"]),
            (
                r#"{matches: "^app_(.*)\\.(.*)$", as: "${2}_of_$1"}"#,
                "b_of_a",
                &["app_a.b"],
            ),
            (
                r#"{matches: "^(?P<what>.*)_seconds(?:_total)$", as: "${what}"}"#,
                "busy",
                &["busy_seconds_total"],
            ),
            (
                r#"{matches: "^(.*)_total$", as: "${1}_per_second"}"#,
                "hits_total",
                &[],
            ),
            (r#"{matches: "^[a-z](.*)$", as: "${1}"}"#, "its", &[]),
        ] {
            assert_eq!(naming(name).sources(metric), sources, "{name} {metric}");
        }
    }

    proptest! {
        #[test]
        fn every_source_is_called_so_and_the_series_is_among_them(
            head in "[a-z_]{0,4}", name in "[a-z][a-z_]{0,8}", tail in "[a-z_]{1,6}",
            end in "[a-z_]{0,6}",
        ) {
            let yaml = format!("{{matches: \"^{head}(.*)_{tail}$\", as: \"${{1}}{end}\"}}");
            let naming = naming(&yaml);
            let series = format!("{head}{name}_{tail}");
            let metric = naming.api_name(&series).expect("it must match");
            let sources = naming.sources(&metric);
            for source in &sources {
                prop_assert_eq!(naming.api_name(source), Some(metric.clone()));
            }
            prop_assert!(sources.contains(&series), "{:?} {}", sources, series);
        }

        #[test]
        fn no_name_and_no_pattern_make_it_panic(pattern in "\\PC{0,20}", metric in "\\PC{0,10}") {
            let _ = filled(&pattern, &[(Some(1), &metric)]);
        }
    }
}
