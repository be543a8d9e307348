//! A small picture of the last minutes of a backend, and the same in words.

use super::data::{Backend, mean};
use super::html::Html;
use super::words;
use crate::journal::Minute;

/// The drawing's units: six for each of thirty minutes.
const WIDTH: f64 = 180.0;
const HEIGHT: f64 = 36.0;
/// At the bottom, where failures are.
const FOOT: f64 = 5.0;

/// A bar for each minute, as high as the mean latency, and a red foot where some had no answer.
pub(super) fn draw(h: &mut Html, backend: &Backend) {
    let minutes = &backend.minutes;
    let seconds = |minute: &Minute| mean(minute).map(|it| it.as_secs_f64());
    let highest = minutes.iter().filter_map(seconds).fold(0.0, f64::max);
    h.raw("<svg class=\"spark\" viewBox=\"0 0 180 36\" preserveAspectRatio=\"none\" role=\"img\"");
    h.attribute("aria-label", in_words(backend)).raw(">");
    h.raw("<path class=\"base\" d=\"M0 30.5H180\"/>");
    let step = WIDTH / minutes.len().max(1) as f64;
    for (at, minute) in minutes.iter().enumerate() {
        let Some(latency) = seconds(minute) else {
            continue;
        };
        let x = at as f64 * step;
        let room = HEIGHT - FOOT - 2.0;
        let height = match highest > 0.0 {
            true => (room * latency / highest).max(1.5),
            false => 1.5,
        };
        rectangle(
            h,
            "bar",
            (x, HEIGHT - FOOT - 1.0 - height),
            (step - 1.5, height),
        );
        if minute.failed > 0 {
            rectangle(
                h,
                "fail",
                (x, HEIGHT - FOOT + 0.5),
                (step - 1.5, FOOT - 0.5),
            );
        }
    }
    h.raw("</svg>");
}

fn rectangle(h: &mut Html, class: &'static str, at: (f64, f64), size: (f64, f64)) {
    h.raw("<rect").attribute("class", class);
    h.attribute("x", format_args!("{:.1}", at.0));
    h.attribute("y", format_args!("{:.1}", at.1));
    h.attribute("width", format_args!("{:.1}", size.0));
    h.attribute("height", format_args!("{:.1}", size.1))
        .raw("/>");
}

/// What the picture says.
pub(super) fn in_words(backend: &Backend) -> String {
    let all = backend.sum(backend.minutes.len());
    let Some(average) = mean(&all) else {
        return format!("{}: no requests in the last 30 minutes", backend.name);
    };
    let lately = backend.minutes.iter().rev().find_map(mean);
    format!(
        "{}, the last 30 minutes: latency {} on average, {} lately, {} at most; {} of {} without \
         an answer",
        backend.name,
        words::latency(average),
        words::latency(lately.unwrap_or(average)),
        words::latency(all.longest),
        words::count(all.failed),
        words::of(
            usize::try_from(all.requests).unwrap_or(usize::MAX),
            "request",
            "requests"
        ),
    )
}
