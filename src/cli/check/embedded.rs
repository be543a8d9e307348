//! Rules in a ConfigMap, where most of those that run are kept.
//!
//! As a block (`config.yaml: |`) they stand in the manifest line by line, only further to the
//! right, which means nothing to YAML. So everything around them is made blank, and what is left is
//! a file of rules in which each byte is where it is in the manifest.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// What a file of rules begins with.
const TOP: [&str; 4] = ["rules:", "externalRules:", "resourceRules:", "backends:"];

/// One text of rules in a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Embedded {
    /// The manifest with blanks for all that is not rules.
    Exact { masked: String },
    /// They are there, but not line by line.
    Moved {
        /// Where they stand.
        at: Range<usize>,
        /// How to get them out.
        how: String,
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

/// Whether a text begins like a file of rules, and is no manifest.
pub(super) fn looks_like_rules(text: &str) -> bool {
    let mut lines = text.lines();
    let is_manifest = text.lines().any(|line| line.starts_with("apiVersion:"));
    !is_manifest && lines.any(|line| TOP.iter().any(|top| line.starts_with(top)))
}

/// Whether a text is a manifest with rules in it.
pub(super) fn has_rules(text: &str) -> bool {
    !find(text).is_empty()
}

/// The rules in the ConfigMaps of a manifest; none where it is no manifest, or one without.
pub(super) fn find(text: &str) -> Vec<Embedded> {
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

fn of_manifest(manifest: &Manifest, text: &str, found: &mut Vec<Embedded>) {
    for item in manifest.items.iter().flatten() {
        of_manifest(item, text, found);
    }
    if manifest.kind != "ConfigMap" {
        return;
    }
    for (key, value) in manifest.data.iter().flatten() {
        let Some(value) = value else { continue };
        if !looks_like_rules(&value.value) {
            continue;
        }
        let line = usize::try_from(value.referenced.line()).unwrap_or(usize::MAX);
        let masked = masked(text, line, &value.value);
        found.push(masked.map_or_else(
            || Embedded::Moved {
                at: line_span(text, line),
                how: extraction(manifest.metadata.name.as_deref(), key),
            },
            |masked| Embedded::Exact { masked },
        ));
    }
}

fn extraction(name: Option<&str>, key: &str) -> String {
    let (name, key) = (name.unwrap_or("NAME"), key.replace('.', "\\."));
    format!(
        "write them as a block, or check them alone: kubectl get configmap {name} -o \
         jsonpath='{{.data.{key}}}' | tidegauge check -"
    )
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

    #[test]
    fn a_block_keeps_its_places_and_all_else_is_blank() {
        for (header, indent) in [("|", 4), ("|-", 6), ("|+ # rules", 4), ("|2", 4)] {
            let text = manifest(header, indent);
            let found = find(&text);
            let [Embedded::Exact { masked }] = found.as_slice() else {
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
    fn other_forms_are_told_how_to_be_extracted() {
        let json = RULES.replace('\n', "\\n").replace('"', "\\\"");
        let text = format!("kind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  c.yaml: \"{json}\"\n");
        let found = find(&text);
        let [Embedded::Moved { how, .. }] = found.as_slice() else {
            panic!("{text}: {found:?}");
        };
        let expected = "kubectl get configmap a -o jsonpath='{.data.c\\.yaml}'";
        assert!(how.contains(expected), "{how}");
    }

    #[test]
    fn lists_and_several_documents_are_looked_through() {
        let one = manifest("|", 4);
        let two = format!("{one}---\nkind: Deployment\n---\n{one}");
        assert_eq!(find(&two).len(), 2);
        let indented: String = one.lines().map(|line| format!("  {line}\n")).collect();
        let list = format!("kind: List\nitems:\n- x: y\n{indented}");
        let found = find(&list);
        assert!(
            matches!(found.as_slice(), [Embedded::Exact { .. }]),
            "{found:?}"
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
