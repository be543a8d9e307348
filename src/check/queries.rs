//! What the queries of a rule read, once they are filled for asks.

use std::collections::{BTreeMap, BTreeSet};

use super::asks::{self, Asked, NAMES};
use super::{FileLints, Subject};
use crate::kinds::Kinds;
use crate::plan;
use crate::promql::{self, Expr, Matching, Read, SeriesSelector, loses, loses_buckets, reads};
use crate::rules::{Code, List, Rule, Severity};

/// Functions and aggregations that make something of a counter other than its total.
const OF_COUNTERS: &[&str] = &[
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
    "changes",
    "resets",
    "timestamp",
    "absent",
    "absent_over_time",
    "count",
    "count_over_time",
    "present_over_time",
    "group",
];

/// All that is certain about the queries of one rule.
pub(super) fn of_rule(subject: &Subject<'_>, kinds: &Kinds, lints: &mut FileLints<'_>) {
    let Some(template) = &subject.rule.query.template else {
        return;
    };
    let metrics = asks::metrics(subject, kinds, false);
    let is_at_root = |kind| kinds.resource_for(kind).is_ok_and(|it| !it.namespaced);
    let only_at_root = metrics.iter().all(|(kind, _)| is_at_root(kind)) && !metrics.is_empty();
    ask_ignored(subject, only_at_root, lints);
    let asked: Vec<Asked> = metrics
        .iter()
        .flat_map(|(kind, metric)| asks::asks(kind, metric, kinds))
        .collect();
    if template.lint().is_empty() {
        failing(subject, &asked, lints);
    }
    let mut trees: Vec<(&Asked, &[String], Expr)> = Vec::new();
    for asked in &asked {
        let Ok((promql, labels)) = &asked.query else {
            continue;
        };
        match promql::syntax(promql) {
            Ok(tree) => trees.push((asked, labels.as_slice(), tree)),
            Err(_) => doubtful(subject, asked, promql, lints),
        }
    }
    lost_labels(subject, &trees, lints);
    let two = trees.iter().find(|(_, _, tree)| compares_to_both(tree));
    if let Some((asked, _, _)) = two {
        let kind = &asked.kind;
        let message = format!(
            "for two {kind} a matcher with `=` compares to `{}`, which no label is",
            NAMES.join("|")
        );
        let help = "write `=~` there: .LabelValuesByName joins several names by `|`".to_owned();
        let code = (Severity::Warning, Code::NamesAsOne);
        let span = subject.rule.query.source.span.clone();
        lints.add(code, span, &subject.query_path, message, help);
    }
    if let Some((_, _, tree)) = trees.first() {
        ignored_matchers(subject, &reads(tree), lints);
        counters(subject, &reads(tree), lints);
        buckets(subject, tree, lints);
    }
}

/// Asks that cannot become a query. That no label is known is told elsewhere.
fn failing(subject: &Subject<'_>, asked: &[Asked], lints: &mut FileLints<'_>) {
    for asked in asked {
        let Err(plan::Error::Template { cause, .. }) = &asked.query else {
            continue;
        };
        let of = of(asked);
        let message = format!("asks{of} fail: {cause}");
        let help = "the fields are .Series, .LabelMatchers, .LabelValuesByName, .GroupBy and \
                    .GroupBySlice; a list may be shorter than an index"
            .to_owned();
        let span = subject.rule.query.source.span.clone();
        let code = (Severity::Warning, Code::AskFails);
        lints.add(code, span, &subject.query_path, message, help);
        return;
    }
}

fn of(asked: &Asked) -> String {
    match (asked.kind.as_str(), asked.objects) {
        ("", _) => String::new(),
        (kind, 1) => format!(" for one of {kind}"),
        (kind, _) => format!(" for several {kind}"),
    }
}

/// Text that is no PromQL, for some ask. Where it is none for any, reading the file has told it.
fn doubtful(subject: &Subject<'_>, asked: &Asked, promql: &str, lints: &mut FileLints<'_>) {
    let Some(doubt) = promql::doubt(promql) else {
        return;
    };
    if lints
        .found
        .iter()
        .any(|it| it.code == Code::Promql && it.field == subject.query_path)
    {
        return;
    }
    let message = format!("asked{} this is hardly PromQL: {doubt}", of(asked));
    let help = format!("Prometheus has the last word; it reads: {promql}");
    let span = subject.rule.query.source.span.clone();
    let code = (Severity::Warning, Code::Promql);
    lints.add(code, span, &subject.query_path, message, help);
}

/// Whether some matcher compares to the names of both objects as to one.
fn compares_to_both(tree: &Expr) -> bool {
    let both = NAMES.join("|");
    let is_such = |it: &Matching| matches!(it.operator, "=" | "!=") && it.value == both;
    reads(tree)
        .iter()
        .any(|read| read.matchers().iter().any(is_such))
}

/// Labels that tell whose a row is, and that no row can have.
fn lost_labels(
    subject: &Subject<'_>,
    trees: &[(&Asked, &[String], Expr)],
    lints: &mut FileLints<'_>,
) {
    // By the part that loses it and the label: of which kinds.
    let mut lost: BTreeMap<(String, &str), Vec<&str>> = BTreeMap::new();
    for (asked, labels, tree) in trees {
        for label in *labels {
            if let Some(part) = loses(tree, label) {
                let of = lost.entry((part.to_string(), label.as_str())).or_default();
                if !of.contains(&asked.kind.as_str()) {
                    of.push(&asked.kind);
                }
            }
        }
    }
    let all: BTreeSet<&str> = trees.iter().map(|(it, _, _)| it.kind.as_str()).collect();
    let has_others = all.iter().any(|kind| *kind != "namespaces");
    let of_lost: BTreeSet<&str> = lost.values().flatten().copied().collect();
    let some_are_well = of_lost.len() < all.len();
    let mut told: Vec<(Vec<&str>, &str)> = Vec::new();
    for ((part, label), of) in lost {
        // The parts of queries for one object and for two are the same mistake.
        if told.contains(&(of.clone(), label)) {
            continue;
        }
        // Who wants metrics of pods has no use for those of namespaces, which are listed anyway;
        // and of the kinds that a template may lead to, the series need not have all.
        let is_unwanted = has_others && of == ["namespaces"];
        let severity = match is_unwanted || (some_are_well && !is_named(subject.rule, label)) {
            true => Severity::Note,
            false => Severity::Warning,
        };
        let message = format!(
            "no row has the label `{label}`, which tells whose a value is: asks for {} find \
             nothing",
            of.join(", ")
        );
        let help = format!("aggregate by (<<.GroupBy>>); what loses the label is: {part}");
        let span = subject.rule.query.source.span.clone();
        let code = (severity, Code::ObjectLabelDropped);
        lints.add(code, span, &subject.query_path, message, help);
        told.push((of, label));
    }
}

/// Whether the rule itself names a label, rather than its template alone.
fn is_named(rule: &Rule, label: &str) -> bool {
    let by_override = rule
        .association
        .overrides
        .iter()
        .any(|it| it.label == label);
    let selector = SeriesSelector::parse(&rule.series_query.text);
    let matchers = selector.iter().flat_map(|it| it.matchers());
    by_override || matchers.into_iter().any(|it| it.label == label)
}

/// A query that is the same whatever is asked for, though the rule is not one that says so.
fn ask_ignored(subject: &Subject<'_>, only_at_root: bool, lints: &mut FileLints<'_>) {
    let rule = subject.rule;
    let reads = |field| {
        let template = rule.query.template.as_ref();
        template.is_some_and(|template| template.reads(field))
    };
    let is_broken = rule
        .query
        .template
        .as_ref()
        .is_some_and(|it| !it.lint().is_empty());
    let takes_asks = reads("LabelMatchers") || reads("LabelValuesByName");
    if rule.metric.is_some() || takes_asks || is_broken {
        return;
    }
    let (severity, message, help) = match rule.id.list {
        List::Custom if only_at_root => (
            Severity::Note,
            "the query takes no .LabelMatchers: it reads all there is for each ask, and the \
             selector of a metric has no effect",
            "put <<.LabelMatchers>> into its selectors, as <<.Series>>{<<.LabelMatchers>>}",
        ),
        List::Custom => (
            Severity::Warning,
            "the query takes no .LabelMatchers: an object of this name in another namespace \
             answers as well",
            "put <<.LabelMatchers>> into its selectors, as <<.Series>>{<<.LabelMatchers>>}",
        ),
        List::External if rule.association.namespaced => (
            Severity::Note,
            "the query takes no .LabelMatchers: it is the same in each namespace, and with each \
             selector",
            "put <<.LabelMatchers>> into its selectors, or say so by `namespaced: false`",
        ),
        List::External => return,
    };
    let code = (severity, Code::AskIgnored);
    let span = rule.query.source.span.clone();
    let help = help.to_owned();
    lints.add(code, span, &subject.query_path, message.to_owned(), help);
}

/// Matchers that choose which series a rule *finds*, and that do not choose which of them its query
/// reads.
fn ignored_matchers(subject: &Subject<'_>, reads: &[Read<'_>], lints: &mut FileLints<'_>) {
    let rule = subject.rule;
    let Some(selector) = SeriesSelector::parse(&rule.series_query.text) else {
        return;
    };
    let series = subject.literal.as_deref().unwrap_or("some_series");
    let of_series: Vec<&Read<'_>> = reads
        .iter()
        .filter(|it| it.name() == Some(series))
        .collect();
    if of_series.is_empty() {
        return;
    }
    for wanted in selector.matchers() {
        let chooses = |it: &Matching| it.label == wanted.label;
        let mut matchers = of_series.iter().map(|read| read.matchers());
        let is_there = matchers.any(|of_one| of_one.iter().any(chooses));
        if is_there || is_about_presence(&wanted) || names_objects(rule, &wanted.label) {
            continue;
        }
        let message = format!(
            "`{wanted}` only chooses names here: the query reads all series called so, whatever \
             their `{}`",
            wanted.label
        );
        let help =
            format!("write it into the query as well: <<.Series>>{{<<.LabelMatchers>>,{wanted}}}");
        let text = &rule.series_query.text;
        let at = text.find(&wanted.label).unwrap_or(0);
        let span = rule
            .series_query
            .span_in(lints.text, at..at + wanted.label.len());
        let code = (Severity::Warning, Code::MatcherIgnored);
        let field = format!("{}.seriesQuery", subject.path);
        lints.add(code, span, &field, message, help);
    }
}

/// Whether a matcher only says that the label is there, or nothing at all.
fn is_about_presence(matcher: &Matching) -> bool {
    let is_any = matches!(matcher.value.as_str(), ".+" | ".*" | "^.+$" | "^.*$");
    (matcher.operator == "!=" && matcher.value.is_empty()) || (matcher.operator == "=~" && is_any)
}

fn names_objects(rule: &Rule, label: &str) -> bool {
    let association = &rule.association;
    let by_override = association.overrides.iter().any(|it| it.label == label);
    let template = association.template.as_ref();
    by_override || template.is_some_and(|it| it.resource_of(label).is_some())
}

/// Quantiles of nothing.
fn buckets(subject: &Subject<'_>, tree: &Expr, lints: &mut FileLints<'_>) {
    let Some(part) = loses_buckets(tree) else {
        return;
    };
    let message = "no bucket has the label `le` any more: histogram_quantile finds nothing";
    let help = format!("keep `le`, as in `by (le, <<.GroupBy>>)`; what loses it is: {part}");
    let span = subject.rule.query.source.span.clone();
    let code = (Severity::Warning, Code::BucketsDropped);
    lints.add(code, span, &subject.query_path, message.to_owned(), help);
}

/// Totals where a rate is meant. A backlog that is counted by its total is possible, if unlikely.
fn counters(subject: &Subject<'_>, reads: &[Read<'_>], lints: &mut FileLints<'_>) {
    let is_total = |read: &&Read<'_>| {
        let is_named = read.name().is_some_and(|name| name.ends_with("_total"));
        let is_used = |it: &String| OF_COUNTERS.contains(&it.as_str());
        is_named && !read.inside.iter().any(is_used)
    };
    let Some(read) = reads.iter().find(is_total) else {
        return;
    };
    let name = read.name().unwrap_or_default();
    let message = format!("`{name}` is a counter by its name, and its total is served as it is");
    let help = format!("an autoscaler wants how fast it grows: rate({name}{{…}}[2m])");
    let span = subject.rule.query.source.span.clone();
    let code = (Severity::Note, Code::CounterWithoutRate);
    lints.add(code, span, &subject.query_path, message, help);
}
