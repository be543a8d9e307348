//! Numbers and times as a person reads them.

use std::time::Duration;

use jiff::Timestamp;

/// How long ago: `now`, `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    match age(then, now).as_secs() {
        0 => "now".to_owned(),
        _ => format!("{} ago", span(age(then, now))),
    }
}

/// The time since then; none where that is ahead.
pub(super) fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// `12 s`, `3 min`, `2 h`, `5 d`: cut off, in the largest unit.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `0.8 ms`, `12 ms`, `1.4 s`
pub(super) fn latency(took: Duration) -> String {
    let millis = took.as_secs_f64() * 1000.0;
    match millis {
        _ if millis < 10.0 => format!("{millis:.1} ms"),
        _ if millis < 1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

/// A number with some four digits that count: `0.0312`, `1.5`, `12.4`, `18 250`.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e15 || (magnitude > 0.0 && magnitude < 1e-6) {
        return format!("{value:.3e}");
    }
    let decimals = match magnitude {
        _ if magnitude >= 1000.0 => 0,
        _ if magnitude >= 100.0 => 1,
        _ if magnitude >= 10.0 => 2,
        _ if magnitude >= 1.0 => 3,
        _ if magnitude >= 0.1 => 4,
        _ => 6,
    };
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        None => grouped(&text),
        Some((whole, part)) => match part.trim_end_matches('0') {
            "" => whole.to_owned(),
            part => format!("{whole}.{part}"),
        },
    }
}

/// A count: `7`, `18 250`.
pub(super) fn count(value: impl ToString) -> String {
    grouped(&value.to_string())
}

/// `1.5 GiB`
pub(super) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value.abs() < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    let text = match value.abs() >= 100.0 || unit == "B" {
        true => format!("{value:.0}"),
        false => format!("{value:.1}"),
    };
    format!("{text} {unit}")
}

/// A part of a whole: `12 %`, and `<1 %` for what is there and rounds to nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0 %".to_owned(),
        (part, whole) => match u128::from(part) * 100 / u128::from(whole) {
            0 => "<1 %".to_owned(),
            percent => format!("{percent} %"),
        },
    }
}

/// How often in a minute: `4/min`, `0.5/min`.
pub(super) fn rate(per_minute: f64) -> String {
    match per_minute {
        _ if per_minute >= 9.95 => format!("{}/min", grouped(&format!("{per_minute:.0}"))),
        _ if per_minute > 0.0 && per_minute < 0.05 => "<0.1/min".to_owned(),
        _ => {
            let text = format!("{per_minute:.1}");
            format!("{}/min", text.strip_suffix(".0").unwrap_or(&text))
        }
    }
}

/// `1 metric`, `3 metrics`
pub(super) fn of(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", grouped(&count.to_string())),
    }
}

/// The moment: `2026-11-26 20:15:07 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let text = whole.to_string();
    format!("{} UTC", text.trim_end_matches('Z').replace('T', " "))
}

/// Digits by threes, with a narrow space that does not break.
fn grouped(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let mut text = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && digits.len() > 4 {
            text.push('\u{202F}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_count() {
        for (value, text) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (12.3456, "12.35"),
            (0.03125, "0.03125"),
            (120.0, "120"),
            (1234.5, "1234"),
            (18_250.2, "18\u{202F}250"),
            (-1_234_567.0, "-1\u{202F}234\u{202F}567"),
            (1e18, "1.000e18"),
            (0.000_000_2, "2.000e-7"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1536.0 * 1024.0 * 1024.0), "1.5 GiB");
        assert_eq!(share(1, 1000), "<1 %");
        assert_eq!(share(999, 1000), "99 %");
        assert_eq!(share(0, 0), "0 %");
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let before = |seconds: i64| Timestamp::from_second(1_800_000_000 - seconds).unwrap();
        for (seconds, text) in [
            (-5, "now"),
            (0, "now"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7199, "1 h ago"),
            (200_000, "2 d ago"),
        ] {
            assert_eq!(ago(before(seconds), now), text);
        }
        assert_eq!(latency(Duration::from_micros(812)), "0.8 ms");
        assert_eq!(latency(Duration::from_millis(1400)), "1.4 s");
        assert_eq!(rate(4.0), "4/min");
        assert_eq!(rate(0.25), "0.2/min");
        assert_eq!(rate(1200.0), "1200/min");
        assert_eq!(moment(now), "2027-01-15 08:00:00 UTC");
    }
}
