//! What Prometheus says of rules now: which names they find, and whether it takes their queries.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::set::Set;
use crate::app::backends;
use crate::check;
use crate::config::rules::Upstream;
use crate::prometheus::backend::Question;
use crate::prometheus::{Backends, Partial};
use crate::registry::{Known, Snapshot};
use crate::relist;
use crate::rules::{Code, Finding, Rule, RuleId, Severity};
use crate::telemetry::Metrics;
use held::Held;

mod held;
mod lacking;
mod window;

/// Names that a report for people shows of one rule.
const SHOWN_MAX: usize = 5;

/// Queries that are asked at one time.
const AT_ONCE: usize = 8;

/// What one rule finds.
pub(super) struct Found {
    /// Which it is.
    pub(super) rule: RuleId,
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

/// What Prometheus makes one say about a rule.
struct Told {
    severity: Severity,
    code: Code,
    span: Range<usize>,
    field: String,
    message: String,
    help: String,
}

/// Asks what the rules of a set find, and adds that to what is found about them.
///
/// # Errors
/// The flags or a backend of the files cannot be used.
pub(super) async fn ask(set: &mut Set, from: &Upstream) -> anyhow::Result<()> {
    let Some(rules) = set.rules.clone() else {
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
    let since = Timestamp::now().checked_sub(settings.max_age);
    let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
    let known = listings.custom.iter().chain(&listings.external);
    let asked = rules.series_rules().zip(known).map(async |(rule, known)| {
        let held = Held::ask(rule, known, &backends, since).await;
        let mut told = of_listing(rule, known, &held);
        let is_there = |it: &Told| !matches!(it.code, Code::Prometheus | Code::FindsNothing);
        if told.iter().all(is_there) {
            match refused(rule, known, &backends).await {
                Some(refusal) => told.push(refusal),
                None => told.extend(window::told(rule, &held, &backends).await),
            }
        }
        (rule, of_rule(rule, &held, known, &snapshot), told)
    });
    let asked: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    for (rule, found, told) in asked {
        let hidden = set.hidden(&rule.id);
        let checked = set.of(&rule.id);
        checked.found.push(found);
        for told in told {
            let finding = told.finding(checked.rules(), hidden.clone());
            checked.tell(finding);
        }
    }
    set.collisions(|files| check::collisions(&rules, &snapshot, files));
    Ok(())
}

impl Told {
    fn finding(self, text: &str, hidden: Vec<Range<usize>>) -> Finding {
        let Told {
            severity,
            code,
            span,
            field,
            message,
            help,
        } = self;
        let finding = Finding::new(severity, code, text, span, field, message);
        Finding { hidden, ..finding }.with_help(help)
    }
}

fn of_rule(rule: &Rule, held: &Held, known: &Known, snapshot: &Snapshot) -> Found {
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
        rule: rule.id.clone(),
        line: rule.line,
        series: held.names.len(),
        metrics: metrics.into_iter().collect(),
        kinds: kinds.into_iter().collect(),
        failure: known.failure.clone(),
    }
}

/// A rule that cannot be listed, that finds nothing, or that makes nothing of what it finds.
fn of_listing(rule: &Arc<Rule>, known: &Known, held: &Held) -> Vec<Told> {
    let told = |severity, code, message: String, help: &str| {
        vec![Told {
            severity,
            code,
            span: rule.series_query.span.clone(),
            field: format!("{}.seriesQuery", rule.id.in_file()),
            message,
            help: help.to_owned(),
        }]
    };
    let failure = known.failure.as_ref().or(held.failure.as_ref());
    if let Some(failure) = failure {
        let message = format!("the rule cannot be listed: {failure}");
        let help = "what is not listed is not served, but for literal names";
        return told(Severity::Error, Code::Prometheus, message, help);
    }
    if rule.metric.is_some() || !known.answered {
        return Vec::new();
    }
    if held.names.is_empty() {
        let message = "Prometheus holds no series for this now".to_owned();
        let help = "is the name right, and is its target scraped? Paste the selector into \
                    Prometheus' own page";
        return told(Severity::Warning, Code::FindsNothing, message, help);
    }
    lacking::told(rule, known, held)
}

/// A query that Prometheus calls wrong, asked for an object that nobody has.
async fn refused(rule: &Arc<Rule>, known: &Known, backends: &Backends) -> Option<Told> {
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
        Some(_) => "query",
        None => "metricsQuery",
    };
    Some(Told {
        severity: match error.is_bad_data() {
            true => Severity::Error,
            // It may be well the next time.
            false => Severity::Warning,
        },
        code: Code::Prometheus,
        span: rule.query.source.span.clone(),
        field: format!("{}.{field}", rule.id.in_file()),
        message: format!("Prometheus does not answer the query: {error}"),
        help: format!("it was asked: {promql}"),
    })
}
