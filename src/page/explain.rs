//! Why an ask is answered as it is, as a page.

use super::health::State;
use super::html::Html;
use super::shell::Shell;
use crate::api::explain::{Explanation, State as StepState, Step};

/// The longest path that is explained, in bytes.
pub(super) const PATH: usize = 4096;

/// A form, and below it what is known of the path that was asked about.
pub(super) fn page(path: &str, explanation: Option<&Explanation>) -> String {
    let state = explanation.map(|it| match it.served {
        true => State::Well,
        false => State::Bad,
    });
    let shell = Shell {
        title: "Explain",
        state,
        refresh: None,
        version: env!("CARGO_PKG_VERSION"),
    };
    let main = |h: &mut Html| {
        h.raw("<section aria-labelledby=\"title\"><h1 id=\"title\">");
        match explanation {
            Some(explanation) => verdict(h, explanation),
            None => {
                h.raw("Explain an ask</h1>");
            }
        }
        form(h, path);
        h.raw("</section>\n");
        if let Some(explanation) = explanation {
            advice(h, explanation);
            steps(h, explanation);
        }
    };
    let nav = |h: &mut Html| {
        h.raw("<nav aria-label=\"Other pages\"><ul><li><a href=\"/\">Status</a></li></ul></nav>");
    };
    let foot = |h: &mut Html| {
        h.raw("<span>The same as JSON: ask with <code>Accept: application/json</code></span>");
    };
    shell.document(nav, main, foot)
}

fn form(h: &mut Html, path: &str) {
    h.raw("<form action=\"/explain\" method=\"get\"><label for=\"path\">API path</label>");
    h.raw("<input class=\"wide mono\" id=\"path\" name=\"path\"");
    h.raw(" autocomplete=\"off\" spellcheck=\"false\"");
    h.attribute("value", path)
        .raw("><button>Explain</button></form>");
}

fn verdict(h: &mut Html, explanation: &Explanation) {
    let (class, word) = match explanation.served {
        true => ("good", "Served"),
        false => ("bad", "Not served"),
    };
    h.raw("<span class=\"badge ")
        .raw(class)
        .raw("\">")
        .raw(word)
        .raw("</span> ");
    match explanation.message.as_str() {
        "" => h.raw("It has a value now").raw("</h1>"),
        message => h.text(message).raw("</h1>"),
    };
    h.raw("<dl class=\"facts\"><div><dt>Answer</dt><dd>")
        .text(explanation.code);
    h.raw("</dd></div>");
    if let Some(cause) = explanation.cause {
        h.raw("<div><dt>Cause</dt><dd><code>")
            .text(cause.slug())
            .raw("</code> ");
        h.text(cause.meaning()).raw("</dd></div>");
    }
    h.raw("</dl>");
}

fn advice(h: &mut Html, explanation: &Explanation) {
    if explanation.advice.is_empty() {
        return;
    }
    h.raw("<section aria-labelledby=\"advice\"><h2 id=\"advice\">What to do</h2><ul>");
    for advice in &explanation.advice {
        h.raw("<li>").text(advice).raw("</li>");
    }
    h.raw("</ul></section>\n");
}

fn steps(h: &mut Html, explanation: &Explanation) {
    h.raw("<section aria-labelledby=\"steps\"><h2 id=\"steps\">Step by step</h2>");
    h.raw("<ol class=\"steps\">");
    for step in &explanation.steps {
        self::step(h, step);
    }
    h.raw("</ol></section>\n");
}

fn step(h: &mut Html, step: &Step) {
    let (class, word) = match step.state {
        StepState::Well => ("good", "Well"),
        StepState::Note => ("warn", "Note"),
        StepState::Wrong => ("bad", "Wrong"),
        StepState::Skipped => ("none", "Skipped"),
    };
    h.raw("<li><h3>")
        .text(&step.title)
        .raw(" <span class=\"badge ")
        .raw(class)
        .raw("\">");
    h.raw(word).raw("</span></h3>");
    if !step.text.is_empty() {
        h.raw("<p>").text(&step.text).raw("</p>");
    }
    if !step.lines.is_empty() {
        h.raw("<ul>");
        for line in &step.lines {
            h.raw("<li class=\"mono\">").text(line).raw("</li>");
        }
        h.raw("</ul>");
    }
    if let Some(promql) = &step.promql {
        h.raw("<pre><code>").text(promql).raw("</code></pre>");
    }
    h.raw("</li>");
}
