//! Why a query gives nothing: what series there are, of which objects, and how often they come.

use std::time::Duration;

use super::Walk;
use super::advice::{self, add_override, shown, some};
use super::chain::Chain;
use super::probe::{LONG_AGO, Probe};
use crate::api::cause::Cause;
use crate::kinds::GroupResource;
use crate::promql::{label_text, quote, rate_windows, with_matchers};
use crate::registry::{Metric, siblings};

/// What was asked without an answer.
pub(super) struct Nothing<'a> {
    pub(super) metric: &'a Metric,
    /// The query.
    pub(super) promql: &'a str,
    /// The namespace in it.
    pub(super) namespace: Option<&'a str>,
    /// The objects; none of an external metric.
    pub(super) names: &'a [String],
    /// Their kind, plural and singular.
    pub(super) kind: Option<(GroupResource, String)>,
}

impl Nothing<'_> {
    /// Finds out why.
    pub(super) async fn find_out(&self, walk: &Walk<'_>, chain: &mut Chain) {
        let rule = &self.metric.rule;
        if rule.metric.is_some() {
            return chain.advise(format!(
                "try the query of {} in Prometheus: it names its series itself",
                rule.origin()
            ));
        }
        let probe = Probe { walk, rule };
        let series = with_matchers(&self.metric.series, &[]);
        let (object, namespace) = (self.object_label(), self.namespace_label());
        let labels: Vec<&str> = object.into_iter().chain(namespace).collect();
        let Some(found) = probe.values(&series, &labels).await else {
            return;
        };
        if found.is_empty() {
            return self.gone(&probe, &series, chain).await;
        }
        let value = |row: &Vec<String>, at: usize| row.get(at).cloned().unwrap_or_default();
        let of_namespace = usize::from(object.is_some());
        let places: Vec<String> = distinct(found.iter().map(|row| value(row, of_namespace)));
        let is_here = |row: &&Vec<String>| match (self.namespace, namespace) {
            (Some(wanted), Some(_)) => value(row, of_namespace) == wanted,
            _ => true,
        };
        let here: Vec<&Vec<String>> = found.iter().filter(is_here).collect();
        if here.is_empty() {
            return self.elsewhere(&probe, &series, &places, chain).await;
        }
        let Some(object) = object else {
            return self.unanswered(&probe, chain).await;
        };
        let objects = distinct(here.iter().map(|row| value(row, 0)));
        match objects.iter().any(|name| self.names.contains(name)) {
            true => self.unanswered(&probe, chain).await,
            false => self.others(&probe, &series, object, &objects, chain).await,
        }
    }

    fn object_label(&self) -> Option<&str> {
        self.metric.labels.object.as_ref()?.as_deref().ok()
    }

    fn namespace_label(&self) -> Option<&str> {
        let label = self.metric.labels.namespace.as_deref().ok();
        label.filter(|label| self.namespace.is_some() && self.object_label() != Some(label))
    }

    /// Prometheus has none of the series now.
    async fn gone(&self, probe: &Probe<'_>, series: &str, chain: &mut Chain) {
        match probe.labels(series, Some(LONG_AGO)).await {
            Some(_) => {
                let text = format!(
                    "{series} has samples of the last {}, and none that is new enough to count now",
                    shown(LONG_AGO)
                );
                chain.wrong("Series", &text);
                chain.advise(format!(
                    "nothing writes {series} any more: look at its scrape target"
                ));
                chain.because(Cause::SeriesTooOld);
            }
            None => {
                chain.wrong(
                    "Series",
                    &format!("Prometheus has 0 series called {series}"),
                );
                chain.advise(format!(
                    "look in Prometheus whether {series} is scraped: its target may be down, or \
                     the name another one"
                ));
                chain.because(Cause::NoSeries);
            }
        }
    }

    /// There are series, none of them in the namespace that is asked about.
    async fn elsewhere(
        &self,
        probe: &Probe<'_>,
        series: &str,
        places: &[String],
        chain: &mut Chain,
    ) {
        let (namespace, label) = (self.namespace.unwrap_or_default(), self.namespace_label());
        let label = label.unwrap_or_default();
        let text = format!("{series} is there, not with {label}={namespace:?}");
        let told: Vec<&String> = places.iter().filter(|it| !it.is_empty()).collect();
        let step = chain.wrong("Series", &text);
        step.lines([format!("{label}: {}", some(&told))]);
        chain.because(Cause::OtherObjects);
        let kind = GroupResource::core("namespaces");
        let is_given = self.is_sibling_given(probe, series, label, ("namespace", &kind), chain);
        if !is_given.await && self.metric.labels.object.is_none() {
            chain.advise(format!(
                "where the metric is the same in every namespace, set resources: {{namespaced: \
                 false}} in {}",
                self.metric.rule.origin()
            ));
        }
    }

    /// There are series in the namespace, of other objects.
    async fn others(
        &self,
        probe: &Probe<'_>,
        series: &str,
        label: &str,
        objects: &[String],
        chain: &mut Chain,
    ) {
        let told: Vec<&String> = objects.iter().filter(|it| !it.is_empty()).collect();
        let Some((kind, singular)) = &self.kind else {
            return;
        };
        if told.is_empty() {
            let text = format!("{series} is there, without the label {label:?} that names {kind}");
            chain.wrong("Association", &text);
            chain.because(Cause::NoObjectLabel);
        } else {
            let text =
                format!("{series} is there, of other {kind} than those that are asked about");
            let step = chain.wrong("Series", &text);
            step.lines([format!("{label}: {}", some(&told))]);
            chain.because(Cause::OtherObjects);
        }
        let names = (singular.as_str(), kind);
        let is_given = self.is_sibling_given(probe, series, label, names, chain);
        if !is_given.await {
            chain.advise(format!(
                "look whether what is asked about ({}) is scraped for {series}",
                some(self.names)
            ));
        }
    }

    /// Whether another label of the series names what is asked about; says so.
    async fn is_sibling_given(
        &self,
        probe: &Probe<'_>,
        series: &str,
        label: &str,
        (singular, kind): (&str, &GroupResource),
        chain: &mut Chain,
    ) -> bool {
        let labels = probe.labels(series, None).await.unwrap_or_default();
        for sibling in siblings(label, singular, &labels).iter().take(3) {
            let values = probe.values(series, &[sibling]).await.unwrap_or_default();
            let mut values = values.iter().flatten();
            let is_it = values.any(|value| match singular {
                "namespace" => self.namespace == Some(value),
                _ => self.names.contains(value),
            });
            if is_it {
                let origin = self.metric.rule.origin();
                let text = format!("the label {sibling} has what {label} should have");
                chain.wrong("Association", &text);
                chain.advise(add_override(&origin, sibling, kind));
                chain.because(Cause::NoObjectLabel);
                return true;
            }
        }
        false
    }

    /// The series of these very objects are there, and the query gives nothing of them.
    async fn unanswered(&self, probe: &Probe<'_>, chain: &mut Chain) {
        let series = self.series_of_ask();
        if let Some(window) = rate_windows(self.promql).first().copied() {
            let most = probe.number(count_over(&series, window)).await;
            if most.is_none_or(|count| count < 2.0) {
                let spacing = probe.number(spacing_of(&series)).await;
                let spacing = spacing.and_then(|it| Duration::try_from_secs_f64(it).ok());
                let text = match most {
                    Some(_) => "holds no more than 1 sample of a series",
                    None => "holds no sample",
                };
                let text = format!("the window [{}] {text}", shown(window));
                chain.wrong("Window", &text);
                chain.because(Cause::WindowTooShort);
                return chain.advise(match spacing {
                    Some(spacing) => advice::wider_window(window, spacing),
                    None => "the series have begun just now: a rate needs two samples".to_owned(),
                });
            }
        }
        let text = format!("{series} is there, and the query gives nothing of it");
        chain.wrong("Series", &text);
        chain.advise(
            "look at the other matchers, comparisons and joins in the query: one of them leaves \
             everything out"
                .to_owned(),
        );
    }

    /// The series of the objects that are asked about.
    fn series_of_ask(&self) -> String {
        let mut matchers = Vec::new();
        if let (Some(label), Some(namespace)) = (self.namespace_label(), self.namespace) {
            matchers.push(format!("{}={}", label_text(label), quote(namespace)));
        }
        if let (Some(label), Some(name)) = (self.object_label(), self.names.first())
            && self.names.len() == 1
        {
            matchers.push(format!("{}={}", label_text(label), quote(name)));
        }
        with_matchers(&self.metric.series, &matchers)
    }
}

/// The most samples that one series has in a window.
fn count_over(series: &str, window: Duration) -> String {
    format!("max(count_over_time({series}[{}]))", shown(window))
}

/// How far the samples of the series are apart, in seconds: that of the slowest. NaN where there is
/// but one.
fn spacing_of(series: &str) -> String {
    let times = format!("timestamp({series})[5m:1s]");
    format!(
        "max((timestamp({series}) - min_over_time({times})) \
         / (count_over_time({series}[5m]) - 1))"
    )
}

fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut values: Vec<String> = values.collect();
    values.sort();
    values.dedup();
    values
}
