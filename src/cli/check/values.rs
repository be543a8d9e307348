//! Rules in the values of prometheus-adapter's Helm chart: `rules.custom`, `rules.external` and
//! `rules.resource`, where most people write theirs.
//!
//! The chart makes `rules`, `externalRules` and `resourceRules` of them, and so is done here, line
//! by line: each line of a rule is what it was, and all else is blank. The rules that the chart has
//! by itself (`rules.default`) are not looked at.

/// The lists of the chart, and what becomes of each.
const LISTS: [(&str, &str); 3] = [
    ("custom", "rules"),
    ("external", "externalRules"),
    ("resource", "resourceRules"),
];

/// What else stands beside them.
const BESIDE: [&str; 2] = ["default", "existing"];

/// The rules of the values, which have as many lines; `None` where the text is no such values.
pub(super) fn find(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_rules =
        |line: &&str| key(line).is_some_and(|it| it.name == "rules" && it.rest.is_empty());
    let heads = lines.iter().enumerate().filter(|(_, line)| is_rules(line));
    let mut found = heads.filter_map(|(head, _)| of_block(&lines, head));
    found.next()
}

/// The rules below the line `head`.
fn of_block(lines: &[&str], head: usize) -> Option<String> {
    let is_filled = |line: &&&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    };
    let below = indent(lines.get(head)?);
    let inside = |line: &&&str| !is_filled(line) || indent(line) > below;
    let block = lines.get(head + 1..)?;
    let length = block.iter().take_while(inside).count();
    let block = block.get(..length)?;
    let own = indent(block.iter().find(is_filled)?);
    let keys = block.iter().filter(|line| indent(line) == own);
    let names: Vec<&str> = keys.filter_map(|line| Some(key(line)?.name)).collect();
    let known = |name: &&str| BESIDE.contains(name) || LISTS.iter().any(|(it, _)| it == name);
    if names.is_empty() || !names.iter().all(known) {
        return None;
    }
    let mut rules = "\n".repeat(head + 1);
    let mut is_list = false;
    for line in block {
        let key = key(line).filter(|_| indent(line) == own);
        let list = key.map(|it| (it, LISTS.iter().find(|(name, _)| *name == it.name)));
        match list {
            Some((key, Some((_, becomes)))) => {
                is_list = true;
                rules += &format!("{becomes}:{}", key.rest_of_line);
            }
            Some((_, None)) => {
                is_list = false;
                rules.push('\n');
            }
            None if is_list => rules += line,
            None => rules.push('\n'),
        }
    }
    Some(rules)
}

/// A line that begins with a key.
#[derive(Clone, Copy)]
struct Key<'a> {
    name: &'a str,
    /// What follows its colon, but for comments and blanks.
    rest: &'a str,
    /// The same with all of them, and the line's end.
    rest_of_line: &'a str,
}

fn key(line: &str) -> Option<Key<'_>> {
    let (name, rest_of_line) = line.split_once(':')?;
    let name = name.trim().trim_matches(['"', '\'']);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let rest = rest_of_line.split('#').next().unwrap_or_default().trim();
    is_name.then_some(Key {
        name,
        rest,
        rest_of_line,
    })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: &str = r#"prometheus:
  url: http://prometheus

rules: # those of the adapter
  default: false

  custom:
  - seriesQuery: 'hits{namespace!="",pod!=""}'
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
    metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
  existing:
  external: # of queues
    - seriesQuery: lag
      resources:
        namespaced: false
      metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
  resource: {}
replicas: 2
"#;

    #[test]
    fn lists_of_the_chart_become_those_of_the_file_on_the_same_lines() {
        let nested: String = VALUES
            .lines()
            .map(|line| match line {
                "" => "\n".to_owned(),
                line => format!("  {line}\n"),
            })
            .collect();
        for text in [
            VALUES.to_owned(),
            format!("prometheus-adapter:\n{nested}"),
            VALUES.replace('\n', "\r\n"),
        ] {
            let found = find(&text).unwrap();
            let (rules, warnings) = crate::rules::parse(&found).unwrap();
            let at = |needle: &str| text.lines().position(|line| line.contains(needle)).unwrap();
            assert_eq!(rules.custom[0].line, at("hits{") + 1, "{found}");
            assert_eq!(rules.external[0].line, at("seriesQuery: lag") + 1);
            assert!(rules.resource.is_some());
            let series = &rules.custom[0].series_query;
            assert_eq!(
                found.get(series.span.clone()),
                Some("'hits{namespace!=\"\",pod!=\"\"}'")
            );
            assert!(
                warnings
                    .iter()
                    .all(|it| it.field.starts_with("resourceRules"))
            );
        }
    }

    #[test]
    fn other_texts_are_no_values() {
        for text in [
            "",
            "rules:\n- seriesQuery: a\n",
            "rules:\n  line-length: disable\n",
            "rules:\n  groups: []\n",
            "rules: []\n",
            "rules:\n",
            "kind: Role\nrules:\n  - resources: [a]\n",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn there_are_never_more_lines(text in "((rules|custom|external|a):| |-|\n|#|ü){0,40}") {
            if let Some(found) = find(&text) {
                prop_assert!(found.matches('\n').count() <= text.matches('\n').count() + 1);
            }
        }
    }
}
