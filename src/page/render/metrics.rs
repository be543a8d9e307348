//! The metrics: value, age, who asks how often.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{address, explained, explained_path, leaves};
use crate::journal::{ASKS, About, Range, Summary};
use crate::page::callers;
use crate::page::data::{Asks, Data, Metric, View};
use crate::page::html::Html;
use crate::page::words;

/// Callers that are shown at once, and those that can be unfolded.
const CALLERS: usize = 3;
const CALLERS_MAX: usize = 40;

/// No more of them are unfolded once a page is so many bytes long.
const UNFOLDED: usize = 1 << 20;

/// Values that are this much older than the newest ones are of somebody who asks no more.
const LATELY: Duration = Duration::from_secs(300);

pub(super) fn section(h: &mut Html, data: &Data) {
    let metrics = &data.metrics;
    h.raw("<section aria-labelledby=\"metrics\"><h2 id=\"metrics\">Metrics</h2>");
    h.raw("<form action=\"/#metrics\" method=\"get\" role=\"search\">");
    h.raw("<label for=\"q\">Find</label><input type=\"search\" id=\"q\" name=\"q\"");
    h.raw(" aria-describedby=\"q-what\"");
    h.attribute("value", &data.view.filter).raw(">");
    if let Some(seconds) = data.view.refresh {
        h.raw("<input type=\"hidden\" name=\"refresh\"")
            .attribute("value", seconds)
            .raw(">");
    }
    h.raw("<button>Filter</button>");
    if !data.view.filter.is_empty() {
        let all = View {
            refresh: data.view.refresh,
            ..View::default()
        };
        h.raw(" <a")
            .attribute("href", format_args!("{}#metrics", address(&all)))
            .raw(">Show all</a>");
    }
    h.raw("<span class=\"soft small\" id=\"q-what\">");
    h.raw("words of a metric, kind, namespace, selector or caller</span></form>");
    if metrics.shown.is_empty() {
        h.raw("<p>").text(nothing(data)).raw("</p></section>\n");
        return;
    }
    if metrics.crowded {
        h.raw("<p>More is asked for than is remembered: of ")
            .text(words::count(ASKS))
            .raw(" asks the latest are here, how often each is asked is more than is said, and ");
        h.raw("that one fails again and again may not be seen.</p>");
    }
    let columns = [
        "Metric",
        "Of",
        "Value#",
        "Age#",
        "Asked#",
        "By whom, for what",
    ];
    h.table(&caption(data), &columns);
    for metric in &metrics.shown {
        row(h, metric, data.now);
    }
    h.raw("</tbody></table>");
    let to = |page| {
        let view = View {
            page,
            ..data.view.clone()
        };
        format!("{}#metrics", address(&view))
    };
    let leaf = (data.view.page, metrics.pages);
    leaves(h, "Pages of metrics", leaf, to);
    h.raw("</section>\n");
}

fn caption(data: &Data) -> String {
    let metrics = &data.metrics;
    let found = words::of(metrics.found, "metric", "metrics");
    let of = match data.view.filter.as_str() {
        "" => found,
        filter => format!(
            "{found} of {} with \u{201C}{filter}\u{201D}",
            words::count(metrics.total)
        ),
    };
    format!(
        "{of}, those that are asked for first ({})",
        words::count(metrics.asked)
    )
}

fn nothing(data: &Data) -> String {
    match data.view.filter.as_str() {
        "" => "No rule makes a metric now; the rules below say why.".to_owned(),
        filter => format!(
            "None of {} has \u{201C}{filter}\u{201D} in its name or kind, or is asked for so.",
            words::of(data.metrics.total, "metric", "metrics")
        ),
    }
}

fn row(h: &mut Html, metric: &Metric, now: Timestamp) {
    h.raw("<tr><th scope=\"row\" class=\"name mono\">");
    explained_path(h, &metric.path, &metric.name);
    h.raw("</th>");
    h.cell("Of", "", |h| {
        match &metric.kind {
            Some(kind) => h.raw("<span>").text(kind).raw("</span>"),
            None => h.raw("<span class=\"soft\">external</span>"),
        };
    });
    let served = served(&metric.asks);
    h.cell("Value", "n", |h| match &served {
        Some(summary) => value(h, summary),
        None if metric.asks.is_empty() => {
            h.raw("<span class=\"soft\">not asked for</span>");
        }
        None => {
            h.raw("<span class=\"soft\">none</span>");
        }
    });
    h.cell("Age", "n", |h| {
        if let Some(oldest) = served.and_then(|it| it.oldest) {
            h.raw("<span>")
                .text(words::span(words::age(oldest, now)))
                .raw("</span>");
        }
    });
    let per_minute: f64 = metric.asks.iter().map(|ask| ask.per_minute).sum();
    h.cell("Asked", "n", |h| {
        if !metric.asks.is_empty() {
            h.raw("<span>").text(words::rate(per_minute)).raw("</span>");
        }
    });
    h.cell("By whom", "", |h| callers_of(h, metric, now));
    h.raw("</tr>");
}

/// What was served lately, over all that was asked for; each thing once, whoever asks.
fn served(asks: &[Asks]) -> Option<Summary> {
    let mut latest: BTreeMap<&About<String>, &(Timestamp, Summary)> = BTreeMap::new();
    for ask in asks {
        if let Some(served) = &ask.served {
            let known = latest.entry(&ask.ask.about).or_insert(served);
            if known.0 < served.0 {
                *known = served;
            }
        }
    }
    let newest = latest.values().map(|(at, _)| *at).max()?;
    let lately = latest
        .values()
        .filter(|(at, _)| words::age(*at, newest) <= LATELY);
    let join = |a: Option<Range>, b: Option<Range>| match (a, b) {
        (Some(a), Some(b)) => Range::of([a.min, a.max, b.min, b.max]),
        (a, b) => a.or(b),
    };
    Some(
        lately.fold(Summary::default(), |sum, (_, summary)| Summary {
            count: sum.count + summary.count,
            values: join(sum.values, summary.values),
            memory: join(sum.memory, summary.memory),
            oldest: [sum.oldest, summary.oldest].into_iter().flatten().min(),
        }),
    )
}

fn value(h: &mut Html, summary: &Summary) {
    let range = |range: Range, word: fn(f64) -> String| {
        let (min, max) = (word(range.min), word(range.max));
        match min == max {
            true => min,
            false => format!("{min} – {max}"),
        }
    };
    match (summary.values, summary.memory) {
        (Some(cpu), Some(memory)) => {
            h.raw("<span>CPU ")
                .text(range(cpu, words::number))
                .raw("</span><p>");
            h.text(range(memory, words::bytes)).raw("</p>");
        }
        (Some(values), None) => {
            h.raw("<span>")
                .text(range(values, words::number))
                .raw("</span>");
        }
        (None, _) => {
            h.raw("<span class=\"soft\">none</span>");
        }
    }
    if summary.count != 1 {
        h.raw("<p class=\"soft small\">")
            .text(words::of(summary.count, "value", "values"))
            .raw("</p>");
    }
}

fn callers_of(h: &mut Html, metric: &Metric, now: Timestamp) {
    let (first, rest) = metric.asks.split_at(metric.asks.len().min(CALLERS));
    if first.is_empty() {
        return;
    }
    h.raw("<ul>");
    first.iter().for_each(|ask| caller(h, ask, now));
    h.raw("</ul>");
    if rest.is_empty() {
        return;
    }
    let kind = metric.kind.as_deref().unwrap_or_default();
    h.raw("<details")
        .attribute("data-key", format_args!("{kind}/{}", metric.name));
    h.raw("><summary>")
        .text(words::count(rest.len()))
        .raw(" more</summary><ul>");
    let mut left = rest.len();
    for ask in rest.iter().take(CALLERS_MAX) {
        if h.len() > UNFOLDED {
            break;
        }
        caller(h, ask, now);
        left -= 1;
    }
    if left > 0 {
        h.raw("<li class=\"soft\">and ")
            .text(words::of(left, "other", "others"))
            .raw("; find them by namespace or selector</li>");
    }
    h.raw("</ul></details>");
}

fn caller(h: &mut Html, ask: &Asks, now: Timestamp) {
    h.raw("<li>");
    explained(h, &ask.ask.about, &callers::name(&ask.ask.asker));
    let what = callers::what(&ask.ask.about);
    if !what.is_empty() {
        h.raw(" for <span class=\"mono\">")
            .text(what)
            .raw("</span>");
    }
    h.raw(" <span class=\"soft when\">")
        .text(words::rate(ask.per_minute))
        .raw(", ");
    h.time(ask.last, now).raw("</span>");
    if let Some(failing) = &ask.failing {
        h.raw("<p class=\"error\">").text(failing.failure.code);
        h.raw(": ").text(&failing.failure.message).raw("</p>");
    }
    h.raw("</li>");
}
