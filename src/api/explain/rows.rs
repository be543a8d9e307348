//! What was asked of Prometheus, what came back, and what is remembered.

use std::sync::Arc;
use std::time::Duration;

use super::Walk;
use super::chain::Chain;
use crate::api::status::Failure;
use crate::plan::{Dropped, number_word};
use crate::prometheus::{self, Kind, Sample};
use crate::registry::separable::{Scope, Verdict};
use crate::rules::{NonFinite, OnEmpty, Origin, Rules, Terms};
use crate::samples::{Labels, Query, Remembered, Rows};
use crate::widening::Ask;

/// What a query may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// Rows of objects.
    Vector,
    /// Rows, or a number of nothing.
    Any,
}

/// What there is to answer from.
pub(super) struct Given {
    /// The rows of the exact query, with all their labels.
    pub(super) whole: Result<Arc<Rows>, Arc<prometheus::Error>>,
    /// What is remembered of the query that an ask would ask now.
    remembered: Option<Remembered>,
    /// What is remembered of the exact query, which is asked where a wider one fails.
    older: Option<Remembered>,
    /// `--max-rows`, where it limits the exact query.
    max_rows: Option<usize>,
}

impl Given {
    /// Asks the exact query aside, and looks what is remembered of the one that is asked `now`.
    pub(super) async fn ask(walk: &Walk<'_>, exact: &Query, now: &Query) -> Given {
        let samples = &walk.api.rooms.samples;
        let (remembered, older) = (samples.look(now), samples.look(exact));
        let max_rows = walk.api.max_rows(exact);
        let exact = Query {
            labels: Labels::All,
            ..exact.clone()
        };
        let whole = samples.aside(exact).await;
        Given {
            whole,
            remembered,
            older,
            max_rows,
        }
    }

    /// The rows that an ask would be answered from without a question, or although it fails.
    pub(super) fn remembered(&self, holds: impl Fn(&Rows) -> bool) -> Option<Arc<Rows>> {
        let remembered = self.remembered.as_ref()?;
        let (rows, _) = remembered.rows.as_ref()?;
        let is_given = remembered.is_fresh || self.whole.is_err();
        (is_given && holds(rows)).then(|| Arc::clone(rows))
    }

    /// The rows that the answer would be made of, and what was planned for their query: those that
    /// are remembered of the one that is asked `now`, or those of the exact one by these labels, or
    /// where that fails its older ones.
    pub(super) fn answered<'q, Q>(
        &self,
        rule: &Origin,
        remembered: Option<Arc<Rows>>,
        now: &'q Q,
        (exact, labels): (&'q Q, &[String]),
    ) -> Result<(&'q Q, Arc<Rows>), Failure> {
        let (query, rows) = match (remembered, &self.whole) {
            (Some(rows), _) => (now, rows),
            (None, Ok(rows)) if rows.head().kind == Kind::Scalar => return Err(Failure::scalar()),
            (None, Ok(rows)) => (exact, Arc::new(rows.by(labels.to_vec()))),
            (None, Err(error)) => match self.older.as_ref().and_then(|it| it.rows.as_ref()) {
                Some((rows, _)) => (exact, Arc::clone(rows)),
                None => return Err(Failure::upstream(error, rule, self.max_rows)),
            },
        };
        match rows.head().kind {
            Kind::Scalar => Err(Failure::scalar()),
            Kind::Vector => Ok((query, rows)),
        }
    }

    /// Whether Prometheus gives no row now, not even one that no number can be made of.
    pub(super) fn is_empty(&self) -> bool {
        let is_empty = |rows: &Arc<Rows>| rows.is_empty() && rows.head().histograms == 0;
        self.whole.as_ref().is_ok_and(is_empty)
    }

    /// Whether a value is made of there being none, and by which rule; says so.
    pub(super) fn tell_made_up(&self, terms: &Terms, rule: &Origin, chain: &mut Chain) -> bool {
        let is_made_up = self.is_empty() && terms.on_empty == OnEmpty::Zero;
        if is_made_up {
            let text = format!("there is no row: onEmpty: zero of {rule} makes it 0");
            chain.note("Values", &text);
        }
        is_made_up
    }

    /// Tells what came back of a query on these terms.
    pub(super) fn tell(&self, walk: &Walk<'_>, terms: &Terms, wants: Wants, chain: &mut Chain) {
        let rows = match &self.whole {
            Ok(rows) => rows,
            Err(error) => {
                chain.wrong("Prometheus", &error.to_string());
                return chain.advise(mend(error, walk.snapshot.rules()));
            }
        };
        let head = rows.head();
        if head.kind == Kind::Scalar && wants == Wants::Vector {
            chain.wrong("Rows", "a scalar, which belongs to no object");
            let text = "let the query keep the labels of objects, as in \
                        sum(…) by (<<.GroupBy>>): scalar(…), time() and numbers have none";
            return chain.advise(text.to_owned());
        }
        let partial = match head.partial {
            true => "; the backend calls its answer partial",
            false => "",
        };
        let took = shown(head.took);
        let text = match rows.len() {
            0 => format!("0 series, after {took}{partial}"),
            1 => format!("1 series, after {took}{partial}"),
            count => format!("{count} series, after {took}{partial}"),
        };
        let is_zero = terms.on_empty == OnEmpty::Zero;
        let step = match (rows.is_empty(), head.partial) {
            (true, _) if !is_zero => chain.wrong("Rows", &text),
            (true, _) | (_, true) => chain.note("Rows", &text),
            (false, false) => chain.well("Rows", &text),
        };
        step.lines(rows.whole().iter().map(row));
        let not_finite = rows.whole().iter().filter(|row| !row.value.is_finite());
        let zeros = not_finite.count();
        if zeros > 0 && terms.non_finite == NonFinite::Zero {
            let text = format!("{zeros} that are no numbers count as 0: nonFinite: zero says so");
            chain.note("Rows", &text);
        }
        if head.histograms > 0 {
            let count = head.histograms;
            let text = format!("{count} native histograms, which have no single value");
            chain.note("Rows dropped", &text);
            chain.advise(
                "take a number out of native histograms in the query, as histogram_quantile(…) or \
                 histogram_count(…) do"
                    .to_owned(),
            );
        }
    }

    /// Tells what is remembered.
    pub(super) fn tell_cache(&self, policy_ttl: Duration, chain: &mut Chain) {
        let Some(remembered) = &self.remembered else {
            chain.skipped(
                "Cache",
                "nobody has asked this lately: nothing is remembered",
            );
            return;
        };
        let mut text = match (&remembered.rows, remembered.is_fresh) {
            (Some((_, age)), true) => {
                let left = policy_ttl.saturating_sub(*age);
                format!(
                    "rows of {} ago count as now for {} more",
                    shown(*age),
                    shown(left)
                )
            }
            (Some((_, age)), false) => {
                format!(
                    "rows of {} ago: the next ask waits for newer ones",
                    shown(*age)
                )
            }
            (None, _) => "no rows that may still be given".to_owned(),
        };
        match &remembered.failure {
            Some(failure) => {
                text += &format!("; the last fetch failed: {failure}");
                chain.note("Cache", &text);
            }
            None => {
                chain.well("Cache", &text);
            }
        }
    }
}

/// Tells how many objects one query may be about, and how many it is about now.
pub(super) fn tell_widening(
    walk: &Walk<'_>,
    verdict: Option<&Verdict>,
    (alike, now): (&Ask<'_>, Scope),
    wide: Option<&str>,
    chain: &mut Chain,
) {
    let proven = alike.proven;
    let widest = walk.api.rooms.widening.widest(proven, alike.widen);
    let asked = match now {
        Scope::Exact => "asked for these objects alone now",
        Scope::Namespace => "asked for all objects of the namespace now, because several asks meet",
        Scope::Cluster => "asked for all namespaces now, because asks of several meet",
    };
    let may = match (widest, proven) {
        (Scope::Cluster, _) => "may be asked for all namespaces at once",
        (Scope::Namespace, Scope::Cluster) => {
            "could be asked for all namespaces; widen or --widening forbids"
        }
        (Scope::Namespace, _) => "may be asked for a whole namespace at once",
        (Scope::Exact, Scope::Exact) => "is asked as the Go adapter asks: for these objects alone",
        (Scope::Exact, _) => "could be asked for more objects; widen or --widening forbids",
    };
    let step = chain.well("Widening", &format!("the query {may}; {asked}"));
    if let Some(verdict) = verdict {
        let causes = [
            ("all namespaces at once", &verdict.namespaces),
            ("more objects than are asked about", &verdict.others),
        ];
        let forbidden = causes.iter().filter_map(|(what, verdict)| {
            let cause = verdict.as_ref().err()?;
            Some(format!("not for {what}: {cause}"))
        });
        step.lines(forbidden);
    }
    if let Some(wide) = wide {
        step.asks(wide);
    }
}

/// Tells what became no value, by cause.
pub(super) fn tell_dropped(dropped: Dropped, chain: &mut Chain) {
    let Dropped {
        not_a_number,
        ambiguous,
    } = dropped;
    if not_a_number > 0 {
        let text = format!("{not_a_number} that are no numbers: NaN, infinite or a histogram");
        chain.wrong("Rows dropped", &text);
        chain.advise(
            "NaN is often 0/0: let the query give nothing then, as in … and (DIVISOR > 0), or set \
             nonFinite: zero where it means zero"
                .to_owned(),
        );
    }
    if ambiguous > 0 {
        let text = format!(
            "{ambiguous} further rows of an object that has one already: the last \
                            one counts, whichever that is"
        );
        chain.note("Rows dropped", &text);
        chain.advise(
            "aggregate the query by the labels of objects alone, as sum(…) by (<<.GroupBy>>), so \
             that each object has one row"
                .to_owned(),
        );
    }
}

/// What to do about a failure of Prometheus, or of one of the backends of the rules file.
pub(super) fn mend(error: &prometheus::Error, rules: &Rules) -> String {
    let backend = match error {
        prometheus::Error::Backend { name, .. } => {
            rules.backends.iter().find(|it| it.name == *name)
        }
        _ => None,
    };
    let setting = |flag: &str, field: &str| match backend {
        Some(it) => it.setting(field),
        None => flag.to_owned(),
    };
    match error.class() {
        _ if error.is_timeout() => format!(
            "the query takes too long, or Prometheus is busy: try it there, make it a recording \
             rule, or raise {}",
            setting("--prometheus-timeout", "timeout")
        ),
        "unreachable" | "tls" | "truncated" => format!(
            "look whether Prometheus runs, and whether {} leads there from here",
            setting("--prometheus-url", "url")
        ),
        "refused" => "Prometheus refuses the query: paste it there, see where it is wrong, and \
                      mend metricsQuery in the rules file"
            .to_owned(),
        "busy" => format!(
            "more is asked at once than {} allows: raise it, or make the queries faster",
            setting("--prometheus-concurrency", "concurrency")
        ),
        "auth" | "credentials" => match backend {
            Some(it) => format!("look at the credentials: {}", it.setting("auth")),
            None => "look at the credentials for Prometheus".to_owned(),
        },
        "declined" | "too_large" => format!(
            "let the query give fewer rows, as sum(…) by (<<.GroupBy>>) does, or raise --max-rows \
             or {}, whichever was reached",
            setting("--prometheus-max-response-bytes", "maxResponseBytes")
        ),
        "partial" => {
            "a part of the backend does not answer: look which, or set partial: accept in \
                      the rule where incomplete answers will do"
                .to_owned()
        }
        "not_enforced" => "write the query so that the matchers of its backend (enforceMatchers) \
                           can be put into each of its selectors"
            .to_owned(),
        "internal" => "the log of tidegauge says more".to_owned(),
        _ => "see what the URL of Prometheus answers to the query above".to_owned(),
    }
}

/// A row as PromQL shows it, and its value.
fn row(sample: &Sample) -> String {
    let name = sample.labels.iter().find(|(name, _)| name == "__name__");
    let name = name.map_or("", |(_, name)| name.as_str());
    let labels = sample.labels.iter().filter(|(name, _)| name != "__name__");
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let value = match sample.value.is_finite() {
        true => sample.value.to_string(),
        false => number_word(sample.value).to_owned(),
    };
    format!("{name}{{{}}} {value}", labels.join(", "))
}

/// A time that has passed, short.
fn shown(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1000 => format!("{millis}ms"),
        millis => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
    }
}
