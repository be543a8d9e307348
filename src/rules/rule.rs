//! One rule of `rules` or `externalRules`, made of its parts.

use super::backend::Names;
use super::file::RawRule;
use super::report::Report;
use super::{
    Association, Code, Identity, List, Located, Naming, Query, Rule, RuleId, Terms,
    check_association,
};

impl Rule {
    /// `None` where `report` has an error about it.
    pub(super) fn compile(
        id: RuleId,
        raw: &RawRule,
        names: &Names<'_>,
        report: &mut Report<'_>,
    ) -> Option<Rule> {
        // The finding is shown beside its file's name.
        let path = id.in_file();
        let missing = Located {
            span: raw.span.clone(),
            ..Located::default()
        };
        let series_query = raw.series_query.clone().unwrap_or_else(|| missing.clone());
        if series_query.text.is_empty() && raw.query.is_none() && !raw.malformed {
            let message = "there is no `seriesQuery`: this rule finds no series";
            let help = "add one, as `seriesQuery: 'http_requests_total{namespace!=\"\"}'`, or give \
                        a `query` that needs none";
            let field = format!("{path}.seriesQuery");
            let span = series_query.span.clone();
            report.warning(Code::NoSeriesQuery, span, &field, message, help.to_owned());
        }
        let naming = Naming::compile(raw, &path, report);
        let association = Association::compile(&raw.resources, &path, report);
        let (query, field) = match &raw.query {
            Some(query) => (Some(query), "query"),
            None => (raw.metrics_query.as_ref(), "metricsQuery"),
        };
        let field = format!("{path}.{field}");
        let query = Query::compile(query, &missing, raw.malformed, &field, report);
        let metric = match (&query, &naming, &association) {
            (Some(query), Some(naming), Some(association)) if raw.query.is_some() => {
                only_metric(id.list, raw, query, naming, association, &path, report).map(Some)
            }
            _ => Some(None),
        };
        let is_fixed = raw.query.is_some() && query.as_ref().is_some_and(Query::is_fixed);
        if let (Some(association), false) = (&association, is_fixed || raw.malformed) {
            check_association(id.list, association, raw, &path, report);
        }
        let source = names.source(&raw.source, &path, report);
        let terms = Terms::compile(&raw.terms, &path, report);
        let line = report.line(&raw.span);
        let (naming, association, query) = (naming?, association?, query?);
        let (backend, partial) = source?;
        if let Some(enforced) = names.enforced(backend) {
            enforced.check(&series_query, &format!("{path}.seriesQuery"), report);
            enforced.check_query(&query, &field, report);
        }
        Some(Rule {
            identity: Identity::of_rule(id.list, raw),
            survey: Identity::of_survey(id.list, raw),
            id,
            line,
            series_query,
            naming,
            association,
            query,
            metric: metric?,
            backend,
            partial,
            terms: terms?,
        })
    }
}

/// The name of the one metric of a rule with `query`, which no series make; `None` where the rule
/// has what such a rule cannot have, or lacks what it must have.
fn only_metric(
    list: List,
    raw: &RawRule,
    query: &Query,
    naming: &Naming,
    association: &Association,
    path: &str,
    report: &mut Report<'_>,
) -> Option<String> {
    let before = report.count();
    let filter = raw.filters.first().map(|filter| filter.span.clone());
    let span = |field: &Option<Located>| field.as_ref().map(|it| it.span.clone());
    for (field, given) in [
        ("seriesQuery", span(&raw.series_query)),
        ("seriesFilters", filter),
        ("metricsQuery", span(&raw.metrics_query)),
        ("name.matches", span(&raw.matches)),
        ("resources.template", span(&raw.resources.template)),
    ] {
        if let Some(span) = given {
            let message = format!("a rule with `query` has no `{field}`");
            let help = "with `query` no series is looked for: it is asked as it stands";
            let field = format!("{path}.{field}");
            report.error(Code::QueryRule, span, &field, message, help.to_owned());
        }
    }
    let template = query.template.as_ref();
    if template.is_some_and(|template| template.reads("Series")) {
        let message = "a `query` has no series: write its name instead of <<.Series>>";
        let help = "or use `seriesQuery` and `metricsQuery`";
        let span = query.source.span.clone();
        let field = format!("{path}.query");
        report.error(Code::QueryRule, span, &field, message, help.to_owned());
    }
    if query.template.is_none() && !raw.malformed {
        let help = "write what to ask, as `query: 'sum(kafka_consumergroup_lag)'`";
        let span = query.source.span.clone();
        report.error(
            Code::QueryRule,
            span,
            &format!("{path}.query"),
            "`query` is empty",
            help.to_owned(),
        );
    }
    let name = naming.literal().filter(|name| !name.is_empty());
    if name.is_none() && !raw.malformed {
        let message = "a rule with `query` says what its metric is called";
        let help = match raw.name_as {
            Some(_) => "write a plain name, as `name: {as: queue_lag}`: there is nothing to match",
            None => "add it, as `name: {as: queue_lag}`",
        };
        let given = raw.name_as.as_ref().map(|it| it.span.clone());
        let span = given.unwrap_or_else(|| raw.span.clone());
        let field = format!("{path}.name.as");
        report.error(Code::QueryRule, span, &field, message, help.to_owned());
    }
    let names_none = association.overrides.is_empty() && association.template.is_none();
    if list == List::Custom && names_none && !raw.malformed {
        let message = "a rule with `query` says which labels of its rows name objects";
        let help = "add them, as `resources: {overrides: {namespace: {resource: namespace}, pod: \
                    {resource: pod}}}`";
        let span = raw.resources.span.clone();
        let span = span.unwrap_or_else(|| raw.span.clone());
        let field = format!("{path}.resources");
        report.error(Code::QueryRule, span, &field, message, help.to_owned());
    }
    let name = name.map(str::to_owned);
    name.filter(|_| report.count() == before)
}
