//! Durations in the two notations a configuration uses, with the error texts their users know.
//!
//! Flags take Go's notation (`time.ParseDuration`: `1m30s`, `1.5h`, `-5ms`), the configuration
//! file takes Prometheus' (`model.ParseDuration` of prometheus/common: `5m`, `1d12h`, no
//! fractions, no sign). They differ: `1d` is only Prometheus', `1.5h` and `100us` are only Go's.

use std::time::Duration;

use jiff::SignedDuration;
use thiserror::Error;

use super::quote;

/// Why a text is no duration. The texts are those of Go and of prometheus/common.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// Go: not a number with a unit, or out of range.
    #[error("time: invalid duration {0}")]
    GoInvalid(String),
    /// Go: a number stands without a unit.
    #[error("time: missing unit in duration {0}")]
    GoMissingUnit(String),
    /// Go: a unit Go does not have.
    #[error("time: unknown unit {unit} in duration {text}")]
    GoUnknownUnit {
        /// The unit, quoted as Go quotes it.
        unit: String,
        /// The whole text, quoted as Go quotes it.
        text: String,
    },
    /// Prometheus: nothing stands there.
    #[error("empty duration string")]
    Empty,
    /// Prometheus: not numbers with units, biggest first, each once.
    #[error("not a valid duration string: {}", quote(.0))]
    Invalid(String),
    /// Prometheus: a unit it does not have.
    #[error("unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Prometheus: more than Go's `time.Duration` holds (about 292 years).
    #[error("duration out of range")]
    OutOfRange,
}

/// Reads Go's notation, as `time.ParseDuration` does: range and rounding are those of Go's
/// `time.Duration`, an `i64` of nanoseconds.
pub fn parse_go(text: &str) -> Result<SignedDuration, Error> {
    let invalid = || Error::GoInvalid(quote_go(text));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let nanoseconds;
        (nanoseconds, rest) = go_term(rest, text)?;
        total = total
            .checked_add(nanoseconds)
            .filter(|t| *t <= MOST)
            .ok_or_else(invalid)?;
    }
    let signed = if negative {
        0i64.checked_sub_unsigned(total)
    } else {
        i64::try_from(total).ok()
    };
    signed.map(SignedDuration::from_nanos).ok_or_else(invalid)
}

/// Writes Go's notation, as `time.Duration.String` does: `1m0s`, `1.5s`, `300ms`, `0s`.
pub fn format_go(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{nanoseconds}ns"),
        1_000..1_000_000 => return decimal(nanoseconds, 3) + "µs",
        1_000_000..1_000_000_000 => return decimal(nanoseconds, 6) + "ms",
        _ => {}
    }
    let minutes = nanoseconds / 60_000_000_000;
    let seconds = decimal(nanoseconds % 60_000_000_000, 9);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Reads Prometheus' notation, as `model.ParseDuration` does.
pub fn parse_prometheus(text: &str) -> Result<Duration, Error> {
    match text {
        "0" => return Ok(Duration::ZERO),
        "" => return Err(Error::Empty),
        _ => {}
    }
    let invalid = || Error::Invalid(text.to_owned());
    let mut units = PROMETHEUS_UNITS.as_slice();
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, after) = split_while(rest, |b| b.is_ascii_digit());
        let (unit, after) = split_while(after, |b| !b.is_ascii_digit());
        let value: u64 = digits.parse().map_err(|_| invalid())?;
        if unit.is_empty() {
            return Err(invalid());
        }
        let Some((_, factor, _)) = PROMETHEUS_UNITS.iter().find(|(name, ..)| *name == unit) else {
            return Err(Error::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            });
        };
        let place = units
            .iter()
            .position(|(name, ..)| *name == unit)
            .ok_or_else(invalid)?;
        units = &units[place + 1..];
        let milliseconds = value.checked_mul(*factor).ok_or(Error::OutOfRange)?;
        total = total
            .checked_add(milliseconds)
            .filter(|t| *t <= MOST / 1_000_000)
            .ok_or(Error::OutOfRange)?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// Writes Prometheus' notation, as `model.Duration.String` does: `5m`, `1h30m`, `90d`. Finer than
/// a millisecond is cut off.
pub fn format_prometheus(duration: Duration) -> String {
    let mut left = duration.as_millis();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, factor, only_exact) in PROMETHEUS_UNITS {
        let factor = u128::from(factor);
        let count = left / factor;
        if count == 0 || (only_exact && !left.is_multiple_of(factor)) {
            continue;
        }
        out.push_str(&format!("{count}{unit}"));
        left %= factor;
    }
    out
}

/// The magnitude of Go's smallest duration, and one more than its greatest.
const MOST: u64 = 1 << 63;

/// Units of `time.ParseDuration`, in nanoseconds. Micro is spelled with either of its two letters.
const GO_UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Units of `model.ParseDuration`, biggest first, in milliseconds; and whether `String` uses the
/// unit only when nothing is left over (90d reads better than 12w6d).
const PROMETHEUS_UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 86_400_000, true),
    ("w", 7 * 86_400_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

/// One number with its unit off the front of `rest`, in nanoseconds, and what follows it. `whole`
/// is for the error texts.
fn go_term<'a>(rest: &'a str, whole: &str) -> Result<(u64, &'a str), Error> {
    let invalid = || Error::GoInvalid(quote_go(whole));
    let (digits, after) = split_while(rest, |b| b.is_ascii_digit());
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => split_while(after, |b| b.is_ascii_digit()),
        None => ("", after),
    };
    if digits.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let value = match digits {
        "" => 0,
        digits => digits
            .parse::<u64>()
            .ok()
            .filter(|v| *v <= MOST)
            .ok_or_else(invalid)?,
    };
    let (unit, after) = split_while(after, |b| b != b'.' && !b.is_ascii_digit());
    if unit.is_empty() {
        return Err(Error::GoMissingUnit(quote_go(whole)));
    }
    let Some((_, factor)) = GO_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(Error::GoUnknownUnit {
            unit: quote_go(unit),
            text: quote_go(whole),
        });
    };
    let nanoseconds = value
        .checked_mul(*factor)
        .filter(|v| *v <= MOST)
        .ok_or_else(invalid)?;
    let nanoseconds = nanoseconds + go_fraction(fraction, *factor);
    if nanoseconds > MOST {
        return Err(invalid());
    }
    Ok((nanoseconds, after))
}

/// The nanoseconds in `0.DIGITS` of a unit. Computed in floating point because Go does: 0.33…h is
/// 20 minutes there, not a nanosecond less.
fn go_fraction(digits: &str, unit: u64) -> u64 {
    let mut value: u64 = 0;
    let mut scale = 1.0;
    for digit in digits.bytes() {
        let next = value * 10 + u64::from(digit - b'0');
        if next > MOST {
            break;
        }
        value = next;
        scale *= 10.0;
        if value > (MOST - 1) / 10 {
            break;
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cutting off is what Go does, and the value lies between 0 and one hour"
    )]
    let nanoseconds = (value as f64 * (unit as f64 / scale)) as u64;
    nanoseconds
}

/// `value` / 10^`places` without trailing zeros.
fn decimal(value: u128, places: u32) -> String {
    let scale = 10u128.pow(places);
    let fraction = format!("{:0width$}", value % scale, width = places as usize);
    match fraction.trim_end_matches('0') {
        "" => (value / scale).to_string(),
        fraction => format!("{}.{fraction}", value / scale),
    }
}

/// Splits where `test` first fails. `test` must tell ASCII bytes apart only, so that the split
/// falls between characters.
fn split_while(text: &str, test: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !test(b)).unwrap_or(text.len());
    text.split_at(end)
}

/// The quoting of package `time`: not `strconv.Quote`, it writes everything outside printable
/// ASCII byte by byte.
fn quote_go(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='\u{7f}' => out.push(c),
            _ => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    out.push_str(&format!("\\x{byte:02x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
