//! What Prometheus says of rules now: which names they find, and whether it takes their queries.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::Checked;
use crate::app::backends;
use crate::check;
use crate::config::rules::Upstream;
use crate::prometheus::backend::Question;
use crate::prometheus::{Backends, Partial};
use crate::registry::{Known, Snapshot};
use crate::relist;
use crate::rules::{Code, Finding, Located, Rule, Severity};
use crate::telemetry::Metrics;

/// Names that a report for people shows of one rule.
const SHOWN_MAX: usize = 5;

/// What one rule finds.
pub(super) struct Found {
    /// `rules[2]`
    pub(super) rule: String,
    pub(super) line: usize,
    /// Names of series.
    pub(super) series: usize,
    /// Names of metrics that it answers, each once.
    pub(super) metrics: Vec<String>,
    /// Kinds of object that it has metrics of.
    pub(super) kinds: Vec<String>,
    /// Why it could not be listed.
    pub(super) failure: Option<String>,
}

impl Found {
    /// Some of its metrics.
    pub(super) fn samples(&self) -> String {
        let shown: Vec<&str> = self
            .metrics
            .iter()
            .take(SHOWN_MAX)
            .map(String::as_str)
            .collect();
        let more = match self.metrics.len() > SHOWN_MAX {
            true => ", …",
            false => "",
        };
        format!("{}{more}", shown.join(", "))
    }
}

/// Asks what the rules of `checked` find, and adds that to what is found about them.
///
/// # Errors
/// The flags or a backend of the file cannot be used.
pub(super) async fn ask(checked: &mut Checked, from: &Upstream) -> anyhow::Result<()> {
    let Some(rules) = checked.rules.clone() else {
        return Ok(());
    };
    let backends = backends::backends(
        from.flags(),
        &rules,
        &Metrics::new(),
        None,
        &Backends::default(),
    )?;
    let kinds = Arc::new(check::kinds_of(&rules));
    let settings = relist::Settings {
        interval: from.relist.interval,
        max_age: from.relist.max_age,
        deadline: from.relist.timeout,
    };
    let listings = relist::once(&rules, &backends, &kinds, settings).await;
    let snapshot = Snapshot::build(Arc::clone(&rules), kinds, &listings);
    let mut found = Vec::new();
    for (rule, known) in
        pairs(&rules.custom, &listings.custom).chain(pairs(&rules.external, &listings.external))
    {
        found.push(of_rule(rule, known, &snapshot));
        if let Some(finding) = finding(rule, known, checked) {
            checked.findings.push(finding);
        } else if let Some(finding) = refused(rule, known, &backends, checked).await {
            checked.findings.push(finding);
        }
    }
    checked.found = found;
    // Whose names collide is known now.
    checked.findings.retain(|it| it.code != Code::NameCollision);
    let collisions = check::collisions(&rules, &snapshot, &checked.text);
    checked.findings.extend(collisions);
    checked
        .findings
        .sort_by_key(|it| (it.span.start, it.severity));
    Ok(())
}

fn pairs<'a>(
    rules: &'a [Arc<Rule>],
    known: &'a [Known],
) -> impl Iterator<Item = (&'a Arc<Rule>, &'a Known)> {
    rules.iter().zip(known)
}

fn of_rule(rule: &Rule, known: &Known, snapshot: &Snapshot) -> Found {
    let mut metrics = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for listed in snapshot.custom_metrics() {
        let found = snapshot.custom(listed.resource, listed.namespaced, listed.metric);
        if found.is_ok_and(|(_, metric)| metric.rule.id == rule.id) {
            metrics.insert(listed.metric.to_owned());
            kinds.insert(listed.resource.to_string());
        }
    }
    for name in snapshot.external_metrics() {
        let found = snapshot.external(name);
        if found.is_some_and(|metric| metric.rule.id == rule.id) {
            metrics.insert(name.to_owned());
        }
    }
    Found {
        rule: rule.id.to_string(),
        line: rule.line,
        series: known.listing.as_ref().map_or(0, |listing| listing.len()),
        metrics: metrics.into_iter().collect(),
        kinds: kinds.into_iter().collect(),
        failure: known.failure.clone(),
    }
}

/// A rule that cannot be listed, or that finds nothing.
fn finding(rule: &Rule, known: &Known, checked: &Checked) -> Option<Finding> {
    let field = format!("{}.seriesQuery", rule.id);
    let tell = |severity, code, message: String, help: &str| {
        let at = &rule.series_query;
        let finding = new(severity, code, at, &field, message, checked);
        Some(finding.with_help(help))
    };
    if let Some(failure) = &known.failure {
        let message = format!("the rule cannot be listed: {failure}");
        let help = "what is not listed is not served, but for literal names";
        return tell(Severity::Error, Code::Prometheus, message, help);
    }
    let is_empty = known
        .listing
        .as_ref()
        .is_none_or(|listing| listing.is_empty());
    if rule.metric.is_none() && known.answered && is_empty {
        let message = "Prometheus holds no series for this now".to_owned();
        let help = "is the name right, and do the series have the labels that `resources` names? \
                    Paste the selector into Prometheus' own page";
        return tell(Severity::Warning, Code::FindsNothing, message, help);
    }
    None
}

/// A query that Prometheus calls wrong, asked for an object that nobody has.
async fn refused(
    rule: &Arc<Rule>,
    known: &Known,
    backends: &Backends,
    checked: &Checked,
) -> Option<Finding> {
    let listing = known.listing.as_ref();
    let series = listing.and_then(|listing| listing.keys().next().cloned());
    let promql = check::probe(rule, series.as_deref())?;
    let backend = backends.get(rule.backend)?;
    let question = Question {
        promql: &promql,
        further: &[],
        at: Timestamp::now(),
        budget: backend.timeout(),
        partial: Partial::Accept,
    };
    let answer = backend.query(question, (), |(), _| Ok(())).await;
    let error = answer.err()?;
    let field = match rule.metric {
        Some(_) => format!("{}.query", rule.id),
        None => format!("{}.metricsQuery", rule.id),
    };
    let severity = match error.is_bad_data() {
        true => Severity::Error,
        // It may be well the next time.
        false => Severity::Warning,
    };
    let message = format!("Prometheus does not answer the query: {error}");
    let finding = new(
        severity,
        Code::Prometheus,
        &rule.query.source,
        &field,
        message,
        checked,
    );
    Some(finding.with_help(format!("it was asked: {promql}")))
}

fn new(
    severity: Severity,
    code: Code,
    at: &Located,
    field: &str,
    message: String,
    checked: &Checked,
) -> Finding {
    let finding = Finding::new(
        severity,
        code,
        &checked.text,
        at.span.clone(),
        field,
        message,
    );
    let hidden = checked.rules.as_ref().map(|rules| rules.hidden.clone());
    Finding {
        hidden: hidden.unwrap_or_default(),
        ..finding
    }
}
