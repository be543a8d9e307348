//! The errors that were answered lately.

use super::explained_path;
use crate::journal::Trouble;
use crate::page::callers;
use crate::page::data::Data;
use crate::page::html::Html;
use crate::page::words;

/// Errors that are shown.
const SHOWN: usize = 50;

pub(super) fn section(h: &mut Html, data: &Data) {
    h.raw("<section aria-labelledby=\"errors\"><h2 id=\"errors\">Recent errors</h2>");
    if data.errors.is_empty() {
        h.raw("<p>None.</p></section>\n");
        return;
    }
    let caption = "Each text once, the latest first, with who had it last";
    let caption = match data.errors.len() {
        count if count > SHOWN => format!("{caption}: {SHOWN} of {}", words::count(count)),
        _ => caption.to_owned(),
    };
    let columns = ["Last", "Times#", "Answer", "To whom", "For what"];
    h.table(&caption, &columns);
    for trouble in data.errors.iter().take(SHOWN) {
        row(h, trouble, data);
    }
    h.raw("</tbody></table></section>\n");
}

fn row(h: &mut Html, trouble: &Trouble, data: &Data) {
    h.raw("<tr><th scope=\"row\">")
        .time(trouble.last, data.now)
        .raw("</th>");
    h.cell("Times", "n", |h| {
        h.raw("<span>")
            .text(words::count(trouble.count))
            .raw("</span>");
    });
    h.cell("Answer", "any", |h| {
        h.raw("<span><span class=\"error\">")
            .text(trouble.failure.code)
            .raw("</span> ");
        h.text(&trouble.failure.message).raw("</span>");
    });
    h.cell("To whom", "any", |h| {
        h.raw("<span>")
            .text(callers::name(&trouble.asker))
            .raw("</span>");
    });
    h.cell("For what", "mono small", |h| {
        // What names a metric can be explained, where all of it was kept.
        match trouble.path.contains("metrics.k8s.io/") && trouble.is_whole() {
            true => explained_path(h, &trouble.path, &trouble.path),
            false => {
                h.raw("<span>").text(&trouble.path).raw("</span>");
            }
        }
    });
    h.raw("</tr>");
}
