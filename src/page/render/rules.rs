//! The rules, and the files they come from.

use super::{address, badge, leaves};
use crate::page::data::{Data, File, Rule, RuleState, View};
use crate::page::html::Html;
use crate::page::words;

pub(super) fn section(h: &mut Html, data: &Data) {
    h.raw("<section aria-labelledby=\"rules\"><h2 id=\"rules\">Rules</h2>");
    for file in &data.files {
        self::file(h, file, data);
    }
    if data.rules.total == 0 {
        h.raw("<p>The file has no rule: there is no metric.</p></section>\n");
        return;
    }
    let caption = match data.rules.troubled {
        0 => "Each rule with what it makes now, in the order of the file".to_owned(),
        troubled => format!(
            "Each rule with what it makes now: first those that fail or are off ({}), then in the \
             order of the file",
            words::count(troubled)
        ),
    };
    h.table(&caption, &["Rule", "Series or query", "Makes", "State"]);
    for rule in &data.rules.shown {
        self::rule(h, rule);
    }
    h.raw("</tbody></table>");
    let to = |rules_page| {
        let view = View {
            rules_page,
            ..data.view.clone()
        };
        format!("{}#rules", address(&view))
    };
    let leaf = (data.view.rules_page, data.rules.pages);
    leaves(h, "Pages of rules", leaf, to);
    h.raw("</section>\n");
}

fn file(h: &mut Html, file: &File, data: &Data) {
    h.raw("<p><code>")
        .text(&file.path)
        .raw("</code> <span class=\"soft\">");
    if let Some(loaded) = file.loaded {
        h.raw("read ").time(loaded, data.now);
    }
    if let Some(hash) = &file.hash {
        h.raw(", content <code>").text(hash).raw("</code>");
    }
    h.raw("</span></p>");
    if let Some(error) = &file.error {
        h.raw("<p class=\"error\">Its newest content is not in force:</p><pre class=\"error\">");
        h.text(error).raw("</pre>");
    }
}

fn rule(h: &mut Html, rule: &Rule) {
    h.raw("<tr><th scope=\"row\" class=\"name\"><span class=\"mono\">")
        .text(&rule.id);
    h.raw("</span><p class=\"soft small\">line ")
        .text(rule.line)
        .raw("</p></th>");
    h.cell("Series", "series", |h| {
        h.raw("<code>").text(&rule.selector).raw("</code>");
        if !rule.backend.is_empty() {
            h.raw("<p class=\"soft small\">of the backend ")
                .text(&rule.backend)
                .raw("</p>");
        }
    });
    h.cell("Makes", "", |h| {
        h.raw("<span>")
            .text(words::of(rule.count, "metric", "metrics"))
            .raw("</span>");
        if !rule.names.is_empty() {
            h.raw("<p class=\"mono small\">")
                .text(rule.names.join(", "));
            if rule.names.len() < rule.count {
                h.raw(" …");
            }
            h.raw("</p>");
        }
    });
    h.cell("State", "", |h| {
        h.raw("<span>");
        state(h, &rule.state);
        h.raw("</span>");
        for remark in &rule.remarks {
            h.raw("<p class=\"small\">").text(remark).raw("</p>");
        }
    });
    h.raw("</tr>");
}

fn state(h: &mut Html, state: &RuleState) {
    match state {
        RuleState::Well => badge(h, "good", "Listed"),
        RuleState::Quiet => {
            badge(h, "none", "Quiet");
            h.raw("<p class=\"small\">Prometheus holds none of its series now</p>");
        }
        RuleState::Empty => {
            badge(h, "warn", "Makes nothing");
            h.raw("<p class=\"small\">Its series are there, and no metric comes of them</p>");
        }
        RuleState::Waiting => badge(h, "none", "Not listed yet"),
        RuleState::Failing(error, failing_for) => {
            badge(h, "bad", "Failing");
            if let Some(failing_for) = failing_for {
                h.raw(" <span class=\"small soft\">for ")
                    .text(words::span(*failing_for))
                    .raw("</span>");
            }
            h.raw("<p class=\"small error\">").text(error).raw("</p>");
        }
        RuleState::Off(cause) => {
            badge(h, "warn", "Off");
            h.raw("<p class=\"small\">").text(cause).raw("</p>");
        }
    }
}
