//! The page: [`Data`] to HTML. Pure; nothing is looked up here.

use super::data::{Data, View};
use super::health::Health;
use super::html::Html;
use super::shell::Shell;
use super::{explain, paths, words};
use crate::journal::About;

mod backends;
mod errors;
mod failing;
mod metrics;
mod rules;

/// How often the page comes anew, for those who want that.
const REFRESH_SECONDS: u32 = 10;

/// The whole page.
pub(super) fn page(data: &Data) -> String {
    let shell = Shell {
        title: data.health.state.word(),
        state: Some(data.health.state),
        refresh: data.view.refresh,
        version: data.version,
    };
    let main = |h: &mut Html| {
        health(h, data);
        failing::section(h, data);
        metrics::section(h, data);
        rules::section(h, data);
        backends::section(h, data);
        backends::memory(h, data);
        errors::section(h, data);
    };
    shell.document(|h| nav(h, data), main, |h| foot(h, data))
}

fn nav(h: &mut Html, data: &Data) {
    h.raw("<nav aria-label=\"Parts of this page\"><ul>");
    let counts = [
        ("#failing", "Failing", data.failing.total),
        ("#metrics", "Metrics", data.metrics.total),
        ("#rules", "Rules", data.rules.total),
        ("#backends", "Backends", data.backends.len()),
    ];
    let is_there = |part: &str| part != "#failing" || data.failing.total > 0;
    for (part, name, count) in counts.into_iter().filter(|(part, ..)| is_there(part)) {
        h.raw("<li><a").attribute("href", part).raw(">").raw(name);
        h.raw("</a> <span class=\"soft\">")
            .text(words::count(count))
            .raw("</span></li>");
    }
    h.raw("<li><a href=\"#memory\">Memory</a></li>");
    h.raw("<li><a href=\"#errors\">Errors</a> <span class=\"soft\">");
    h.text(words::count(data.errors.len()))
        .raw("</span></li></ul></nav>");
}

fn health(h: &mut Html, data: &Data) {
    let Health {
        state,
        sentence,
        reasons,
    } = &data.health;
    h.raw("<section aria-labelledby=\"health\"><h1 id=\"health\">");
    badge(h, state.class(), state.word());
    h.raw(" ").text(sentence).raw("</h1>");
    if !reasons.is_empty() {
        h.raw("<ul class=\"reasons\">");
        for reason in reasons {
            h.raw("<li>");
            badge(h, reason.state.class(), reason.state.mark());
            h.raw("<span>").text(&reason.text);
            if reason.section != "health" {
                h.raw(" <a")
                    .attribute("href", format_args!("#{}", reason.section));
                h.raw(">more</a>");
            }
            h.raw("</span></li>");
        }
        h.raw("</ul>");
    }
    h.raw("</section>\n");
}

fn foot(h: &mut Html, data: &Data) {
    let now = data.now;
    h.raw("<span>As of <time")
        .attribute("datetime", now)
        .raw(">");
    h.text(words::moment(now))
        .raw("</time></span><span>Running for ");
    h.text(words::span(words::age(data.began, now)))
        .raw("</span><span>");
    let to = |refresh| {
        address(&View {
            refresh,
            ..data.view.clone()
        })
    };
    match data.view.refresh {
        Some(seconds) => {
            h.raw("Loaded anew every ").text(seconds).raw(" s. <a");
            h.attribute("href", to(None)).raw(">Stop that</a>");
        }
        None => {
            h.raw("<a").attribute("href", to(Some(REFRESH_SECONDS)));
            h.raw(">Load anew every ")
                .text(REFRESH_SECONDS)
                .raw(" s</a>");
        }
    }
    h.raw("</span>");
}

/// Where this is seen.
fn address(view: &View) -> String {
    let mut parameters = Vec::new();
    if !view.filter.is_empty() {
        parameters.push(format!("q={}", super::encoded(&view.filter)));
    }
    for (name, page) in [("page", view.page), ("rules", view.rules_page)] {
        if page > 1 {
            parameters.push(format!("{name}={page}"));
        }
    }
    if let Some(seconds) = view.refresh {
        parameters.push(format!("refresh={seconds}"));
    }
    match parameters.is_empty() {
        true => "/".to_owned(),
        false => format!("/?{}", parameters.join("&")),
    }
}

/// A word in a colour.
fn badge(h: &mut Html, class: &'static str, word: &str) {
    h.raw("<span class=\"badge ")
        .raw(class)
        .raw("\">")
        .text(word)
        .raw("</span>");
}

/// Links to the leaves before and after one of several.
fn leaves(
    h: &mut Html,
    label: &'static str,
    (page, pages): (usize, usize),
    to: impl Fn(usize) -> String,
) {
    if pages < 2 {
        return;
    }
    h.raw("<nav class=\"pages\"")
        .attribute("aria-label", label)
        .raw(">");
    if page > 1 {
        h.raw("<a rel=\"prev\"")
            .attribute("href", to(page - 1))
            .raw(">Previous page</a>");
    }
    h.raw("<span>Page ")
        .text(page)
        .raw(" of ")
        .text(pages)
        .raw("</span>");
    if page < pages {
        h.raw("<a rel=\"next\"")
            .attribute("href", to(page + 1))
            .raw(">Next page</a>");
    }
    h.raw("</nav>");
}

/// A link to why an ask is answered as it is. Where a part of it was not kept there is none: it
/// would explain something else.
fn explained(h: &mut Html, about: &About<String>, text: &str) {
    match about.is_whole() {
        true => explained_path(h, &paths::of(about), text),
        false => {
            h.raw("<span>").text(text).raw("</span>");
        }
    }
}

/// The same by its path, if that is short enough to be explained.
fn explained_path(h: &mut Html, path: &str, text: &str) {
    if path.len() > explain::PATH {
        h.raw("<span>").text(text).raw("</span>");
        return;
    }
    h.raw("<a").attribute(
        "href",
        format_args!("/explain?path={}", super::encoded(path)),
    );
    h.raw(">").text(text).raw("</a>");
}
