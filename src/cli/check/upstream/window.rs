//! Rates over windows that hold less than two samples.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Told;
use super::held::Held;
use crate::check;
use crate::go::duration::format_prometheus;
use crate::prometheus::backend::Question;
use crate::prometheus::{Backend, Backends, Partial, Sample};
use crate::promql::{label_text, quote, reads, syntax, with_matchers};
use crate::rules::{Code, Rule, Severity};

/// The shortest time over which samples are looked at to see how far apart they are.
const SPACING_OVER: Duration = Duration::from_secs(5 * 60);

/// A rate that gives nothing, for no series of its name has two samples in its window.
pub(super) async fn told(rule: &Arc<Rule>, held: &Held, backends: &Backends) -> Option<Told> {
    let mut names = held.names.iter();
    let series = names.find(|it| rule.naming.keeps(it)).map(String::as_str);
    let promql = check::probe(rule, series)?;
    let windows: Vec<(String, Duration)> = {
        let tree = syntax(&promql).ok()?;
        let reads = reads(&tree).into_iter();
        let of_two = reads.filter_map(|it| Some((it.name()?.to_owned(), it.window_of_two()?)));
        of_two.collect()
    };
    let backend = backends.get(rule.backend)?;
    for (name, window) in windows {
        if let Some(spacing) = too_far_apart(&name, window, backend).await {
            return Some(of_window(rule, (&name, window), spacing));
        }
    }
    None
}

fn of_window(rule: &Rule, (name, window): (&str, Duration), spacing: Duration) -> Told {
    let field = match rule.metric {
        Some(_) => "query",
        None => "metricsQuery",
    };
    let wanted = format_prometheus(spacing * 4);
    let (window, spacing) = (format_prometheus(window), format_prometheus(spacing));
    Told {
        severity: Severity::Warning,
        code: Code::WindowTooShort,
        span: rule.query.source.span.clone(),
        field: format!("{}.{field}", rule.id.in_file()),
        message: format!(
            "the window [{window}] of {name} holds one sample at most, for they are about \
             {spacing} apart: there is no value"
        ),
        help: format!(
            "a rate needs two samples in its window: write [{wanted}], four times that, so that \
             one missed scrape does no harm"
        ),
    }
}

/// How far the samples of a series of this name are apart, if none of them has two in the window.
async fn too_far_apart(name: &str, window: Duration, backend: &Backend) -> Option<Duration> {
    let all = with_matchers(name, &[]);
    let most = |over| {
        format!(
            "topk(1, count_over_time({all}[{}]))",
            format_prometheus(over)
        )
    };
    let has_two = |it: &Sample| it.value >= 2.0;
    if ask(most(window), backend)
        .await?
        .is_some_and(|it| has_two(&it))
    {
        return None;
    }
    let over = SPACING_OVER.max(window.saturating_mul(4));
    let one = ask(most(over), backend).await?.filter(has_two)?;
    let labels = one.labels.iter().filter(|(label, _)| label != "__name__");
    let matchers = labels.map(|(label, value)| format!("{}={}", label_text(label), quote(value)));
    let one = with_matchers(name, &matchers.collect::<Vec<_>>());
    let times = format!("timestamp({one})[{}:1s]", format_prometheus(over));
    let spacing =
        format!("max((max_over_time({times}) - min_over_time({times})) / changes({times}))");
    let seconds = ask(spacing, backend).await??.value.round().max(1.0);
    Duration::try_from_secs_f64(seconds).ok()
}

/// The first row of a query, `Some(None)` where it has none; nothing where there is no answer:
/// then nothing is known.
async fn ask(promql: String, backend: &Backend) -> Option<Option<Sample>> {
    let question = Question {
        promql: &promql,
        further: &[],
        at: Timestamp::now(),
        budget: backend.timeout(),
        partial: Partial::Accept,
    };
    let first = |first: &mut Option<Sample>, sample| {
        first.get_or_insert(sample);
        Ok(())
    };
    let answer = backend.query(question, None, first).await;
    answer.ok().map(|answer| answer.value)
}
