//! Rules in a ConfigMap, where most of those that run are kept.
//!
//! As a block (`config.yaml: |`) they stand in the manifest line by line, only further to the
//! right, which means nothing to YAML. So everything around them is made blank, and what is left is
//! a file of rules in which each byte is where it is in the manifest.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// What a file of rules has at its top.
const TOP: [&str; 4] = ["rules", "externalRules", "resourceRules", "backends"];

/// Of rules and backends each has one of these. Files of other programs begin with `rules`, too.
const WORDS: [&str; 3] = ["Query", "query", "url"];

/// The texts of rules in one ConfigMap.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConfigMap {
    /// Its name, where it has one.
    pub(super) name: String,
    /// By their keys.
    pub(super) texts: Vec<(String, Embedded)>,
}

/// One text of rules in a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Embedded {
    /// The manifest with blanks for all that is not rules.
    Exact { masked: String },
    /// They are there, but not line by line.
    Moved {
        /// Where they stand in the manifest.
        at: Range<usize>,
        /// The rules themselves.
        text: String,
    },
}

/// As much of a manifest as matters here.
#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, Option<Spanned<String>>>>,
    #[serde(default)]
    items: Option<Vec<Manifest>>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: Option<String>,
}

/// Whether a text has the top of a file of rules and some rule or backend, and is no manifest.
pub(super) fn looks_like_rules(text: &str) -> bool {
    let is_json = text.trim_start().starts_with('{');
    // In JSON, and as jsonnet writes YAML, keys are quoted.
    let key = |line: &'_ str| {
        let line = if is_json { line.trim_start() } else { line };
        let (key, _) = line.trim_start_matches('{').split_once(':')?;
        Some(key.trim_matches(['"', '\'', ' ']).to_owned())
    };
    let keys: Vec<String> = text.lines().filter_map(key).collect();
    let has = |wanted: &str| keys.iter().any(|key| key == wanted);
    let is_rules = TOP.iter().any(|top| has(top)) && WORDS.iter().any(|word| text.contains(word));
    is_rules && !has("apiVersion")
}

/// Whether a text is a manifest with rules in it.
pub(super) fn has_rules(text: &str) -> bool {
    !find(text).is_empty()
}

/// The ConfigMaps of a manifest that hold rules; none where it is no manifest, or one without.
pub(super) fn find(text: &str) -> Vec<ConfigMap> {
    if !text.contains("ConfigMap") {
        return Vec::new();
    }
    let documents: Vec<Option<Manifest>> = match serde_saphyr::from_multiple(text) {
        Ok(documents) => documents,
        // What is no YAML is told by who reads it as rules.
        Err(_) => return Vec::new(),
    };
    let mut found = Vec::new();
    for manifest in documents.into_iter().flatten() {
        of_manifest(&manifest, text, &mut found);
    }
    found
}

fn of_manifest(manifest: &Manifest, text: &str, found: &mut Vec<ConfigMap>) {
    for item in manifest.items.iter().flatten() {
        of_manifest(item, text, found);
    }
    if manifest.kind != "ConfigMap" {
        return;
    }
    let data = manifest.data.iter().flatten();
    let filled = data.filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let of_rules = filled.filter(|(_, value)| looks_like_rules(&value.value));
    let embedded = |(key, value): (&String, &Spanned<String>)| {
        let line = usize::try_from(value.referenced.line()).unwrap_or(usize::MAX);
        let embedded = match masked(text, line, &value.value) {
            Some(masked) => Embedded::Exact { masked },
            None => Embedded::Moved {
                at: line_span(text, line),
                text: value.value.clone(),
            },
        };
        (key.clone(), embedded)
    };
    let texts: Vec<_> = of_rules.map(embedded).collect();
    if !texts.is_empty() {
        let name = manifest.metadata.name.clone().unwrap_or_default();
        found.push(ConfigMap { name, texts });
    }
}

/// Blanks for all but the block that begins at `line` or below it, from 1; `None` unless its lines
/// are those of `value`.
fn masked(text: &str, line: usize, value: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_header = |at: usize| {
        let line = lines.get(at).map_or("", |line| line.trim_end());
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        let indicator = line.rsplit(": ").next().unwrap_or_default();
        indicator.starts_with('|')
    };
    // The parser may say where the block's header is, or its first line.
    let header = [
        line.checked_sub(1)?,
        line.checked_sub(2).unwrap_or(line - 1),
    ];
    let header = header.into_iter().find(|at| is_header(*at))?;
    let wanted: Vec<&str> = value.trim_end().split('\n').collect();
    let block = lines.get(header + 1..)?.get(..wanted.len())?;
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let filled = |line: &&&str| !line.trim().is_empty();
    let by = block.iter().filter(filled).map(|line| indent(line)).min()?;
    let is_same = |(line, wanted): (&&str, &&str)| {
        let line = line.trim_end_matches('\n').trim_end_matches('\r');
        let line = line.get(by..).unwrap_or_default();
        line == wanted.trim_end_matches('\r')
            || (line.trim().is_empty() && wanted.trim().is_empty())
    };
    if !block.iter().zip(&wanted).all(is_same) {
        return None;
    }
    let mut masked = String::with_capacity(text.len());
    let mut begun = false;
    for (at, line) in lines.iter().enumerate() {
        let inside = at > header && at <= header + wanted.len();
        // Further to the right it begins no document.
        let is_mark = inside && !begun && line.trim() == "---";
        let is_text = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        begun |= inside && is_text;
        match inside && !is_mark {
            true => masked.push_str(line),
            false => masked.extend(line.bytes().map(|b| match b {
                b'\n' => '\n',
                _ => ' ',
            })),
        }
    }
    Some(masked)
}

fn line_span(text: &str, line: usize) -> Range<usize> {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1));
    let start: usize = before.map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start..start + rest.find('\n').unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: &str = "# comment\nrules:\n\n- seriesQuery: 'up{a=\"ü\"}'\n  metricsQuery: up\n";

    fn manifest(header: &str, indent: usize) -> String {
        let lines = RULES.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("{}{line}\n", " ".repeat(indent)),
        });
        let lines: String = lines.collect();
        format!(
            "# über\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  other: x\n  \
             config.yaml: {header}\n{lines}  last: y\n"
        )
    }

    /// The only text of a manifest.
    fn one(manifest: &str) -> Embedded {
        let mut found = find(manifest);
        assert!(
            found.len() == 1 && found[0].texts.len() == 1,
            "{manifest}: {found:?}"
        );
        found.remove(0).texts.remove(0).1
    }

    #[test]
    fn a_block_keeps_its_places_and_all_else_is_blank() {
        for (header, indent) in [("|", 4), ("|-", 6), ("|+ # rules", 4), ("|2", 4)] {
            let text = manifest(header, indent);
            let found = one(&text);
            let Embedded::Exact { masked } = &found else {
                panic!("{header}: {found:?}");
            };
            assert_eq!(masked.len(), text.len());
            for needle in ["rules:\n", "- seriesQuery: 'up{a=\"ü\"}'"] {
                assert_eq!(masked.find(needle), text.rfind(needle), "{header}");
            }
            assert!(!masked.contains("kind") && !masked.contains("last"));
            let (rules, _) = crate::rules::parse(masked).unwrap();
            assert_eq!(rules.custom[0].line, 12);
        }
    }

    #[test]
    fn other_forms_are_taken_out() {
        let json = RULES.replace('\n', "\\n").replace('"', "\\\"");
        let manifest = "kind: ConfigMap\nmetadata: {name: a}\ndata:\n  c.yaml: ";
        let line = format!("\"{json}\"");
        let found = one(&format!("{manifest}{line}\n"));
        let Embedded::Moved { at, text } = &found else {
            panic!("{found:?}");
        };
        assert_eq!(text, RULES);
        let whole = format!("{manifest}{line}\n");
        assert_eq!(whole.get(at.clone()), Some(&*format!("  c.yaml: {line}")));
    }

    #[test]
    fn rules_are_told_from_what_other_programs_call_rules() {
        for text in [
            RULES,
            "externalRules: [{query: up}]\n",
            // As kube-prometheus writes it.
            "\"resourceRules\":\n  \"cpu\":\n    \"containerQuery\": up\n",
            "{\n  \"rules\": [{\"seriesQuery\": \"up\"}]\n}\n",
            "backends: {a: {url: 'http://a'}}\n",
        ] {
            assert!(looks_like_rules(text), "{text}");
        }
        for text in [
            "rules: {line-length: disable}\n",
            "groups:\n- rules:\n  - {record: a, expr: query}\n",
            "apiVersion: v1\nkind: Role\nrules:\n- {resources: [queries]}\n",
            "apiVersion: v1\nkind: X\nspec:\n  rules: [{query: a}]\n",
        ] {
            assert!(!looks_like_rules(text), "{text}");
        }
    }

    #[test]
    fn lists_and_several_documents_are_looked_through() {
        let one = manifest("|", 4);
        let two = format!("{one}---\nkind: Deployment\n---\n{one}");
        assert_eq!(find(&two).len(), 2);
        let indented: String = one.lines().map(|line| format!("  {line}\n")).collect();
        let list = format!("kind: List\nitems:\n- x: y\n{indented}");
        let found = find(&list);
        let [ConfigMap { name, texts }] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(name, "a");
        assert!(
            matches!(texts.as_slice(), [(key, Embedded::Exact { .. })] if key == "config.yaml"),
            "{texts:?}"
        );
        assert!(find("kind: ConfigMap\ndata: {a: b}\n").is_empty());
        assert!(find("rules: [] # ConfigMap\n").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(ConfigMap|[a-z:|>\\- \n\"{}ü]){0,30}") {
            let _ = find(&format!("kind: ConfigMap\ndata:\n  a: |\n{text}"));
            let _ = masked(&text, 1, "rules:\n");
        }
    }
}
