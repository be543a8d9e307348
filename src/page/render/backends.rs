//! The backends, what is remembered of them, and the objects that are watched.

use super::badge;
use crate::journal::Faults;
use crate::page::data::{Backend, Data, mean};
use crate::page::html::Html;
use crate::page::{spark, words};

/// What counts as now.
const LATELY: usize = 5;

pub(super) fn section(h: &mut Html, data: &Data) {
    h.raw("<section aria-labelledby=\"backends\"><h2 id=\"backends\">Backends</h2>");
    h.table(
        "Requests of the last 30 minutes: a bar for each, as high as their latency, red below \
         where some had no answer; refused is what was answered by an error about the query",
        &[
            "Backend",
            "Latency",
            "Now#",
            "Slowest#",
            "Requests#",
            "No answer#",
            "Refused#",
            "Open#",
            "Waiting#",
        ],
    );
    for backend in &data.backends {
        row(h, backend, data);
    }
    h.raw("</tbody></table></section>\n");
}

fn row(h: &mut Html, backend: &Backend, data: &Data) {
    let all = backend.sum(backend.minutes.len());
    let lately = mean(&backend.sum(LATELY));
    h.raw("<tr><th scope=\"row\">").text(&backend.name);
    let Faults {
        failed, refused, ..
    } = &backend.faults;
    for (what, fault) in [("No answer", failed), ("Refused", refused)] {
        if let Some((at, error)) = fault {
            h.raw("<p class=\"small\"><span class=\"soft\">")
                .raw(what)
                .raw(", ");
            h.time(*at, data.now)
                .raw(":</span> <span class=\"error\">")
                .text(error);
            h.raw("</span></p>");
        }
    }
    h.raw("</th>");
    h.cell("Latency", "", |h| spark::draw(h, backend));
    let number = |h: &mut Html, label, text: String| {
        h.cell(label, "n", |h| {
            h.raw("<span>").text(text).raw("</span>");
        });
    };
    let latency = |took: Option<_>| took.map_or_else(|| "–".to_owned(), words::latency);
    number(h, "Now", latency(lately));
    number(
        h,
        "Slowest",
        latency((all.requests > 0).then_some(all.longest)),
    );
    number(h, "Requests", words::count(all.requests));
    for (label, count) in [("No answer", all.failed), ("Refused", all.refused)] {
        h.cell(label, "n", |h| {
            match count {
                0 => h.raw("<span>0</span>"),
                count => h
                    .raw("<span class=\"error\">")
                    .text(words::count(count))
                    .raw("</span>"),
            };
        });
    }
    number(h, "Open", words::count(backend.open));
    number(h, "Waiting", words::count(backend.waiting));
    h.raw("</tr>");
}

pub(super) fn memory(h: &mut Html, data: &Data) {
    let memory = &data.memory;
    h.raw("<section aria-labelledby=\"memory\"><h2 id=\"memory\">Memory</h2>");
    h.raw("<div class=\"columns\"><div>");
    let total = memory.results.iter().map(|(_, count)| *count).sum();
    let caption = format!(
        "How answers came by their rows, since the start; {} remembered",
        words::of(
            usize::try_from(memory.entries).unwrap_or(usize::MAX),
            "query",
            "queries"
        )
    );
    h.table(&caption, &["Rows", "What that means", "Answers#", "Share#"]);
    for (how, count) in &memory.results {
        h.raw("<tr><th scope=\"row\">").text(how).raw("</th>");
        h.cell("Means", "soft", |h| {
            h.raw("<span>").raw(meaning(how)).raw("</span>");
        });
        h.cell("Answers", "n", |h| {
            h.raw("<span>").text(words::count(*count)).raw("</span>");
        });
        h.cell("Share", "n", |h| {
            h.raw("<span>")
                .text(words::share(*count, total))
                .raw("</span>");
        });
        h.raw("</tr>");
    }
    h.raw("</tbody></table></div><div>");
    watches(h, data);
    h.raw("</div></div></section>\n");
}

fn meaning(how: &str) -> &'static str {
    match how {
        "fresh" => "in memory, and young enough",
        "fetched" => "asked of the backend for this answer",
        "shared" => "asked a moment ago for another one",
        "stale" => "old: newer ones cannot be had",
        "failed" => "an error: there were none",
        _ => "",
    }
}

fn watches(h: &mut Html, data: &Data) {
    if data.watches.is_empty() {
        h.raw("<p class=\"soft\">No objects are watched: nobody has asked for any by a ");
        h.raw("selector, or they come from a file.</p>");
        return;
    }
    h.table(
        "Objects whose names are known by a watch",
        &["Objects", "Held#", "State"],
    );
    for watch in &data.watches {
        h.raw("<tr><th scope=\"row\">")
            .text(&watch.objects)
            .raw("</th>");
        h.cell("Held", "n", |h| {
            h.raw("<span>")
                .text(words::count(watch.held))
                .raw("</span>");
        });
        h.cell("State", "", |h| match (watch.in_step, watch.catching_up) {
            (true, _) => badge(h, "good", "In step"),
            (false, true) => badge(h, "none", "Catching up"),
            (false, false) => badge(h, "warn", "Out of step"),
        });
        h.raw("</tr>");
    }
    h.raw("</tbody></table>");
}
