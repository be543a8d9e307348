//! The asks that fail time after time: whose, since when, and what they are answered.

use std::sync::Arc;

use super::explained;
use crate::journal::{Ask, Failing};
use crate::page::callers;
use crate::page::data::Data;
use crate::page::html::Html;
use crate::page::words;

pub(super) fn section(h: &mut Html, data: &Data) {
    let failing = &data.failing;
    if failing.shown.is_empty() {
        return;
    }
    h.raw("<section aria-labelledby=\"failing\"><h2 id=\"failing\">Failing asks</h2>");
    let asks = words::of(failing.total, "ask", "asks");
    let caption = match failing.shown.len() {
        shown if shown < failing.total => format!(
            "{asks} whose last answers were all errors; the {} that have had them longest",
            words::count(shown)
        ),
        _ => format!("{asks} whose last answers were all errors, the longest first"),
    };
    let columns = ["By whom", "For what", "Failing for#", "Times#", "Answer"];
    h.table(&caption, &columns);
    for (ask, failing) in &failing.shown {
        row(h, ask, failing, data);
    }
    h.raw("</tbody></table></section>\n");
}

fn row(h: &mut Html, ask: &Arc<Ask<String>>, failing: &Failing, data: &Data) {
    h.raw("<tr><th scope=\"row\" class=\"any\">");
    h.text(callers::name(&ask.asker)).raw("</th>");
    h.cell("For what", "any", |h| {
        explained(h, &ask.about, &callers::metric(&ask.about));
        h.raw("<p class=\"mono small\">")
            .text(callers::what(&ask.about))
            .raw("</p>");
    });
    h.cell("Failing for", "n", |h| {
        let age = words::age(failing.since, data.now);
        h.raw("<time").attribute("datetime", failing.since);
        h.attribute("title", words::moment(failing.since)).raw(">");
        h.text(words::span(age)).raw("</time>");
    });
    h.cell("Times", "n", |h| {
        h.raw("<span>")
            .text(words::count(failing.count))
            .raw("</span>");
    });
    h.cell("Answer", "any", |h| {
        h.raw("<span><span class=\"error\">")
            .text(failing.failure.code)
            .raw("</span> ");
        h.text(&failing.failure.message).raw("</span>");
    });
    h.raw("</tr>");
}
