//! Names: which series a rule can find, and what becomes of their names.

use super::{FileLints, Subject};
use crate::promql::SeriesSelector;
use crate::rules::{Code, Rule, Severity};

/// The one name that a rule's `seriesQuery` can find.
pub(super) fn literal(rule: &Rule) -> Option<String> {
    if rule.metric.is_some() {
        return None;
    }
    let selector = SeriesSelector::parse(&rule.series_query.text)?;
    selector.literal_name().map(str::to_owned)
}

/// The rule's filters leave its one series out, or its metric has no name.
pub(super) fn names(subject: &Subject<'_>, lints: &mut FileLints<'_>) {
    let Some(series) = &subject.literal else {
        return;
    };
    let (rule, path) = (subject.rule, &subject.path);
    let span = rule.series_query.span.clone();
    if !rule.naming.keeps(series) {
        let message = format!(
            "`{series}` is all that this finds, and the rule's `name.matches` or `seriesFilters` \
             leave it out: there is no metric"
        );
        let help = "let them match the name of the series, or leave them out".to_owned();
        let code = (Severity::Warning, Code::NameUnmatched);
        lints.add(code, span, &format!("{path}.name"), message, help);
    } else if rule.naming.api_name(series).is_some_and(|it| it.is_empty())
        && !lints.is_known(Code::NameReference, path)
    {
        let message = format!("the metric that is made of `{series}` has no name");
        let help = "let `name.as` hold a text, or a group that takes part in the match".to_owned();
        let code = (Severity::Warning, Code::NameEmpty);
        lints.add(code, span, &format!("{path}.name"), message, help);
    }
}
