//! Labels: which of them a rule asks for.

use super::{FileLints, written};
use crate::kinds::{GroupResource, Kinds};
use crate::rules::{Association, Code, Override, Severity};

/// Two overrides name one kind of object: only the first is asked for.
pub(super) fn named_twice(
    association: &Association,
    path: &str,
    kinds: &Kinds,
    lints: &mut FileLints<'_>,
) {
    let mut firsts: Vec<(GroupResource, &Override)> = Vec::new();
    for named in &association.overrides {
        let asked = written(&named.group, &named.resource);
        let Ok(kind) = kinds.resource_for(&asked) else {
            continue;
        };
        let kind = kind.group_resource();
        let Some((_, first)) = firsts.iter().find(|(it, _)| *it == kind) else {
            firsts.push((kind, named));
            continue;
        };
        let (label, wins, line) = (&named.label, &first.label, first.line);
        let message = format!(
            "`{label}` names {kind}, and so does `{wins}` (line {line}), which comes first: \
             queries ask for `{wins}` alone"
        );
        let help = format!(
            "keep the one that the series have; where they have only `{label}`, `{wins}` must go"
        );
        let field = format!("{path}.resources.overrides.{label}");
        let code = (Severity::Warning, Code::OverrideTwice);
        lints.add(code, named.label_span.clone(), &field, message, help);
    }
}
