//! Rules that make the same metrics: only one of them can answer.

use std::sync::Arc;

use super::{Lints, Subject};
use crate::registry::{Shadowed, Snapshot};
use crate::rules::{Code, Rule, RuleId, Rules, Severity};

/// Pairs of rules that collide for certain, each told once, where the later one stands.
pub(super) fn check(rules: &Rules, snapshot: &Snapshot, lints: &mut Lints<'_>) {
    let all: Vec<&Arc<Rule>> = rules.series_rules().collect();
    let by_id = |id: &RuleId| all.iter().find(|rule| rule.id == *id);
    for Shadowed {
        loser,
        winner,
        metric,
        count,
    } in snapshot.shadowed()
    {
        let (Some(earlier), Some(later)) = (by_id(&loser.0), by_id(&winner.0)) else {
            continue;
        };
        let more = match count {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        tell(earlier, later, &format!("`{metric}`{more}"), lints);
    }
    for (at, later) in all.iter().enumerate() {
        for earlier in &all[..at] {
            if is_alike(earlier, later) {
                tell(earlier, later, "the same metrics", lints);
            }
        }
    }
}

/// Whether two rules without literal names find the same series, and call them the same.
fn is_alike(one: &Rule, other: &Rule) -> bool {
    let template = |rule: &Rule| rule.association.template.is_some();
    let share_a_kind = || {
        let mut overrides = one.association.overrides.iter();
        let same = |a: &crate::rules::Override| {
            let mut others = other.association.overrides.iter();
            others.any(|b| (&a.group, &a.resource) == (&b.group, &b.resource))
        };
        (template(one) && template(other)) || overrides.any(same)
    };
    // What is cheap comes first: this is asked of each pair.
    one.id.list == other.id.list
        && one.metric.is_none()
        && other.metric.is_none()
        && !one.series_query.text.is_empty()
        && one.series_query.text == other.series_query.text
        && super::series::literal(one).is_none()
        && one.naming.is_like(&other.naming)
        && (one.id.list == crate::rules::List::External || share_a_kind())
}

fn tell(earlier: &Arc<Rule>, later: &Arc<Rule>, what: &str, lints: &mut Lints<'_>) {
    let (subject, line) = (Subject::new(later), earlier.line);
    // What has a query of its own is there whatever series there are.
    let are_of_series = earlier.metric.is_none() && later.metric.is_none();
    let is_renamed = are_of_series && earlier.series_query.text != later.series_query.text;
    let message = format!(
        "{} (line {}) and {} (line {line}) both make {what}: {} answers, as the later one",
        later.id, later.line, earlier.id, later.id
    );
    let help = match is_renamed {
        true => {
            "give one of them another `name.as`; where never more than one of their series exists, \
             the rule whose series are there answers, and all is well"
        }
        false => "give one of them another `name.as`, or remove it",
    };
    let span = match later.metric {
        Some(_) => later.query.source.span.clone(),
        None => later.series_query.span.clone(),
    };
    let code = (Severity::Warning, Code::NameCollision);
    let field = format!("{}.name", subject.path);
    let lints = lints.of(later.id.file.as_ref());
    lints.add(code, span, &field, message, help.to_owned());
}
