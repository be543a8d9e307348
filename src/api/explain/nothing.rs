//! Why a query gives nothing: what series there are, of which objects, and how often they come.

use std::time::Duration;

use super::Walk;
use super::advice::{self, name_label, shown, some};
use super::chain::Chain;
use super::probe::{LONG_AGO, Probe, Told, unanswered};
use super::series::Series;
use crate::api::cause::Cause;
use crate::kinds::GroupResource;
use crate::prometheus::Kind;
use crate::registry::siblings;
use crate::rules::Association;
use crate::samples::{Labels, Query};
use crate::selector::Selector;

/// The shortest time over which samples are looked at to see how far apart they are.
const SPACING_OVER: Duration = Duration::from_secs(300);

/// Looks at one time of such a one, at most.
const LOOKS: u32 = 300;

/// What was asked without an answer.
pub(super) struct Nothing<'a> {
    /// What is asked for whatever the metric selector says.
    pub(super) query: Query,
    /// The metric selector.
    pub(super) selector: &'a Selector,
    /// The rule of the query, as it is told.
    pub(super) rule: String,
    /// The labels of that rule.
    pub(super) association: &'a Association,
    /// The namespace in the query: its label and its name.
    pub(super) namespace: Option<(&'a str, &'a str)>,
    /// The objects in the query; of an external metric there are none.
    pub(super) objects: Option<Objects<'a>>,
}

/// The objects that are asked about.
pub(super) struct Objects<'a> {
    pub(super) label: &'a str,
    pub(super) names: &'a [String],
    pub(super) kind: GroupResource,
    pub(super) singular: &'a str,
}

impl Nothing<'_> {
    /// Finds out why, and says so.
    pub(super) async fn find_out(&self, walk: &Walk<'_>, chain: &mut Chain) {
        if let Err(error) = self.ask(walk, chain).await {
            unanswered(walk, &error, chain);
        }
    }

    async fn ask(&self, walk: &Walk<'_>, chain: &mut Chain) -> Told<()> {
        match self.is_for_selector(walk, chain).await? {
            true => Ok(()),
            false => self.look(&Probe::beside(walk, &self.query), chain).await,
        }
    }

    /// Whether it is the metric selector that leaves nothing; says so.
    async fn is_for_selector(&self, walk: &Walk<'_>, chain: &mut Chain) -> Told<bool> {
        let selector = self.selector;
        if selector.is_empty() {
            return Ok(false);
        }
        let all = Query {
            labels: Labels::All,
            ..self.query.clone()
        };
        let rows = walk.api.rooms.samples.aside(all).await?;
        if rows.is_empty() || rows.head().kind == Kind::Scalar {
            return Ok(false);
        }
        let text = format!("without {selector} there are {} series", rows.len());
        chain
            .wrong("Metric selector", &text)
            .asks(&self.query.promql);
        chain.because(Cause::MetricSelector);
        let keys = selector.requirements().iter().map(|it| it.key.as_str());
        let keys: Vec<&str> = keys.collect();
        chain.advise(format!(
            "change the metric selector: look which values {} has on the series of this query",
            some(&keys)
        ));
        Ok(true)
    }

    async fn look(&self, probe: &Probe<'_>, chain: &mut Chain) -> Told<()> {
        let object = self.objects.as_ref().map(|it| it.label);
        let namespace = self.namespace.map(|(label, _)| label);
        let all = Series::of(&self.query.promql, object, namespace);
        if all.is_empty() {
            chain.advise(format!(
                "try the query of {} in Prometheus: its text does not say plainly which series it \
                 reads",
                self.rule
            ));
            return Ok(());
        }
        if !self.query.offset.is_zero() {
            let text = format!(
                "the query is asked as of {} ago (offsetFromNow): what has begun since is not yet \
                 there",
                shown(self.query.offset)
            );
            chain.note("Offset", &text);
        }
        for series in &all {
            if self.is_for(series, probe, chain).await? {
                return Ok(());
            }
        }
        let there: Vec<String> = all.iter().map(|it| self.asked(it)).collect();
        let text = format!(
            "{} is there, and the query gives nothing of it",
            some(&there)
        );
        chain.wrong("Series", &text);
        chain.advise(
            "look at the other matchers, comparisons and joins in the query: one of them leaves \
             everything out"
                .to_owned(),
        );
        Ok(())
    }

    /// Whether these series are why; says so.
    async fn is_for(&self, series: &Series, probe: &Probe<'_>, chain: &mut Chain) -> Told<bool> {
        let namespace = self.namespace.filter(|_| series.wants_namespace);
        let here = series.with(namespace.as_slice());
        let objects = self.objects.as_ref().filter(|_| series.wants_object);
        let labels: Vec<&str> = objects.iter().map(|it| it.label).collect();
        let found = probe.values(&here, &labels).await?;
        if found.is_empty() {
            if let Some((label, wanted)) = namespace {
                let places = probe.values_of(&series.with(&[]), label).await?;
                if !places.is_empty() {
                    let at = (label, wanted, places.as_slice());
                    return self
                        .elsewhere(series, at, probe, chain)
                        .await
                        .map(|()| true);
                }
            }
            return gone(series, &self.rule, probe, chain).await.map(|()| true);
        }
        let Some(objects) = objects else {
            return self.is_window_short(series, probe, chain).await;
        };
        let mut there: Vec<String> = found.into_iter().flatten().collect();
        there.sort();
        there.dedup();
        match there.iter().any(|name| objects.names.contains(name)) {
            true => self.is_window_short(series, probe, chain).await,
            false => self
                .others(series, (objects, &there), probe, chain)
                .await
                .map(|()| true),
        }
    }

    /// There are series, none of them in the namespace that is asked about.
    async fn elsewhere(
        &self,
        series: &Series,
        (label, wanted, places): (&str, &str, &[String]),
        probe: &Probe<'_>,
        chain: &mut Chain,
    ) -> Told<()> {
        let selector = series.with(&[]);
        let text = format!("{selector} is there, not with {label}={wanted:?}");
        let told: Vec<&String> = places.iter().filter(|it| !it.is_empty()).collect();
        chain
            .wrong("Series", &text)
            .lines([format!("{label}: {}", some(&told))]);
        chain.because(Cause::OtherObjects);
        let kind = GroupResource::core("namespaces");
        let is_it = |value: &String| value == wanted;
        let names = ("namespace", &kind);
        let is_given = self.is_sibling_given(&selector, label, names, is_it, probe, chain);
        if is_given.await? {
            return Ok(());
        }
        chain.advise(advice::other_namespace(&selector, (label, wanted), &told));
        if self.objects.is_none() {
            chain.advise(format!(
                "where the metric is the same in every namespace, set resources: {{namespaced: \
                 false}} in {}",
                self.rule
            ));
        }
        Ok(())
    }

    /// There are series in the namespace, of other objects.
    async fn others(
        &self,
        series: &Series,
        (objects, there): (&Objects<'_>, &[String]),
        probe: &Probe<'_>,
        chain: &mut Chain,
    ) -> Told<()> {
        let (label, kind, selector) = (objects.label, &objects.kind, series.with(&[]));
        let told: Vec<&String> = there.iter().filter(|it| !it.is_empty()).collect();
        if told.is_empty() {
            let text =
                format!("{selector} is there, without the label {label:?} that names {kind}");
            chain.wrong("Association", &text);
            chain.because(Cause::NoObjectLabel);
        } else {
            let text =
                format!("{selector} is there, of other {kind} than those that are asked about");
            let step = chain.wrong("Series", &text);
            step.lines([format!("{label}: {}", some(&told))]);
            chain.because(Cause::OtherObjects);
        }
        let names = (objects.singular, kind);
        let is_it = |value: &String| objects.names.contains(value);
        let is_given = self.is_sibling_given(&selector, label, names, is_it, probe, chain);
        if !is_given.await? {
            chain.advise(format!(
                "look whether what is asked about ({}) is scraped for {selector}",
                some(objects.names)
            ));
        }
        Ok(())
    }

    /// Whether another label of the series names what is asked about; says so.
    async fn is_sibling_given(
        &self,
        selector: &str,
        label: &str,
        (singular, kind): (&str, &GroupResource),
        is_it: impl Fn(&String) -> bool,
        probe: &Probe<'_>,
        chain: &mut Chain,
    ) -> Told<bool> {
        let labels = probe.labels(selector, None).await?.unwrap_or_default();
        for sibling in siblings(label, singular, &labels).iter().take(3) {
            if probe.values_of(selector, sibling).await?.iter().any(&is_it) {
                let text = format!("the label {sibling} has what {label} should have");
                chain.wrong("Association", &text);
                let of_rule = (self.rule.as_str(), self.association);
                chain.advise(name_label(of_rule, label, sibling, kind));
                chain.because(Cause::NoObjectLabel);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the window of a rate holds too few samples of these very objects; says so.
    async fn is_window_short(
        &self,
        series: &Series,
        probe: &Probe<'_>,
        chain: &mut Chain,
    ) -> Told<bool> {
        let Some(window) = series.window else {
            return Ok(false);
        };
        let asked = self.asked(series);
        let most = probe.number(count_over(&asked, window)).await?;
        if most.is_some_and(|count| count >= 2.0) {
            return Ok(false);
        }
        let holds = match most {
            Some(_) => "no more than 1 sample of a series",
            None => "no sample",
        };
        let text = format!("the window [{}] of {asked} holds {holds}", shown(window));
        chain.wrong("Window", &text);
        chain.because(Cause::WindowTooShort);
        let over = SPACING_OVER.max(window.saturating_mul(4));
        let spacing = probe.number(spacing_of(&asked, over)).await?;
        let spacing = spacing.and_then(|it| Duration::try_from_secs_f64(it).ok());
        chain.advise(match spacing {
            Some(spacing) => advice::wider_window(window, spacing),
            None => format!(
                "a rate needs two samples in its window: the series have begun just now, or are \
                 scraped less often than every {}",
                shown(over)
            ),
        });
        Ok(true)
    }

    /// The series of what is asked about.
    fn asked(&self, series: &Series) -> String {
        let namespace = self.namespace.filter(|_| series.wants_namespace);
        let mut labels: Vec<(&str, &str)> = namespace.into_iter().collect();
        if let Some(objects) = self.objects.as_ref().filter(|_| series.wants_object)
            && let [name] = objects.names
        {
            labels.push((objects.label, name));
        }
        series.with(&labels)
    }
}

/// Prometheus has none of the series now.
async fn gone(series: &Series, rule: &str, probe: &Probe<'_>, chain: &mut Chain) -> Told<()> {
    let (selector, bare) = (series.with(&[]), series.bare());
    if selector != bare && probe.labels(&bare, None).await?.is_some() {
        let own = series.own().join(",");
        let text = format!("{bare} is there, and none of it with {own}");
        chain.wrong("Series", &text).asks(&selector);
        chain.advise(format!(
            "look at the matchers {own} in the query of {rule}: they leave all of {bare} out"
        ));
        return Ok(());
    }
    let text = format!("Prometheus has 0 series called {bare}");
    chain.wrong("Series", &text);
    match probe.labels(&bare, Some(LONG_AGO)).await? {
        Some(_) => {
            let text = format!("there are samples of it of the last {}", shown(LONG_AGO));
            chain.note("Series", &text);
            chain.advise(format!(
                "nothing writes {bare} any more: look at its scrape target"
            ));
            chain.because(Cause::SeriesTooOld);
        }
        None => {
            chain.advise(advice::look_for(&bare));
            chain.because(Cause::NoSeries);
        }
    }
    Ok(())
}

/// The most samples that one series has in a window.
fn count_over(series: &str, window: Duration) -> String {
    format!("max(count_over_time({series}[{}]))", shown(window))
}

/// How far the samples of the series are apart, in seconds: that of the slowest. NaN where that
/// cannot be seen.
fn spacing_of(series: &str, over: Duration) -> String {
    let step = (over / LOOKS).max(Duration::from_secs(1));
    let times = format!("timestamp({series})[{}:{}]", shown(over), shown(step));
    let first = format!("min_over_time({times})");
    let seen = format!("(max_over_time({times}) - {first}) / changes({times})");
    // Of series that have begun between two looks.
    let counted = format!("(count_over_time({series}[{}]) - 1)", shown(over));
    format!("max({seen} >= 0 or (timestamp({series}) - {first}) / {counted})")
}
