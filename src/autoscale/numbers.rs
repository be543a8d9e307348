//! Numbers as the controller reckons with them: thousandths in 64 bits, ratios in floating point.
//!
//! Go leaves to the machine what a conversion does with a number that does not fit (a surge that
//! overflows becomes the smallest number on amd64, the largest on arm64), and its sums wrap. Here
//! both stop at the nearest number there is, so that a huge metric never scales in.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::quantity::{ParseError, Quantity};

const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// A quantity taken apart: `digits` × 1024^`binary` × 10^`exponent`.
struct Parts {
    negative: bool,
    digits: String,
    binary: u32,
    exponent: i32,
}

/// The canonical text has no fraction, and one suffix.
fn parts(text: &Text) -> Result<Parts, ParseError> {
    let canonical = text.0.parse::<Quantity>()?.to_string();
    let unsigned = canonical.trim_start_matches(['+', '-']);
    let end = unsigned.find(|c: char| !c.is_ascii_digit());
    let (digits, suffix) = unsigned.split_at(end.unwrap_or(unsigned.len()));
    let decimal = DECIMAL.iter().find(|(it, _)| *it == suffix);
    let power = BINARY.iter().position(|it| *it == suffix);
    let exponent = suffix.strip_prefix('e').and_then(|it| it.parse().ok());
    let power = power.and_then(|it| u32::try_from(it + 1).ok());
    Ok(Parts {
        negative: canonical.starts_with('-'),
        digits: digits.to_owned(),
        binary: power.unwrap_or(0),
        exponent: decimal.map(|(_, it)| *it).or(exponent).unwrap_or(0),
    })
}

/// A quantity in thousandths: rounded away from zero (`resource.Quantity.MilliValue`), and the
/// largest or smallest number where it is larger or smaller.
pub(super) fn milli(text: &Text) -> Result<i64, ParseError> {
    let parts = parts(text)?;
    let exponent = parts.exponent + 3;
    let ten = 10_u128.checked_pow(exponent.unsigned_abs());
    // `None`: too large for 128 bits.
    let whole = || {
        let digits: u128 = parts.digits.parse().ok()?;
        let number = digits.checked_mul(1024_u128.checked_pow(parts.binary)?)?;
        if exponent < 0 {
            Some(number.div_ceil(ten?))
        } else {
            number.checked_mul(ten?)
        }
    };
    let magnitude = whole().and_then(|it| i64::try_from(it).ok());
    Ok(match (magnitude, parts.negative) {
        (Some(magnitude), true) => -magnitude,
        (Some(magnitude), false) => magnitude,
        (None, true) => i64::MIN,
        (None, false) => i64::MAX,
    })
}

/// A quantity as a ratio (`resource.Quantity.AsApproximateFloat64`, the same multiplication).
pub(super) fn ratio(text: &Text) -> Result<f64, ParseError> {
    let parts = parts(text)?;
    let digits: f64 = parts.digits.parse().map_err(|_| ParseError::Format)?;
    let base = digits * f64::from(1024_u32).powi(i32::try_from(parts.binary).unwrap_or(0));
    let scaled = match parts.exponent {
        0 => base,
        exponent => base * 10_f64.powi(exponent),
    };
    Ok(if parts.negative { -scaled } else { scaled })
}

/// `thousandths` as a quantity in the canonical form (`resource.NewMilliQuantity`); bytes with
/// `Ki`, `Mi`, … (`resource.BinarySI`).
pub(super) fn quantity(thousandths: i64, bytes: bool) -> Text {
    let text = format!("{thousandths}m");
    // Digits and a suffix are a quantity.
    let exact: Quantity = text.parse().unwrap_or_default();
    let exact = if bytes { exact.in_binary() } else { exact };
    Text(exact.to_string())
}

/// Rounded up to a count of replicas (`int32(math.Ceil(x))`).
pub(super) fn ceil(number: f64) -> i32 {
    truncate(number.ceil())
}

/// Cut off to a count of replicas (`int32(x)`).
pub(super) fn truncate(number: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "cutting off is what Go does; what does not fit becomes the nearest that does"
    )]
    let whole = number as i32;
    whole
}

/// Rounded up to thousandths (`int64(math.Ceil(x))`).
pub(super) fn ceil_wide(number: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounded up before; what does not fit becomes the nearest that does"
    )]
    let whole = number.ceil() as i64;
    whole
}

/// How far a ratio may be from one without effect (`replica_calculator.go`, `Tolerances`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerances {
    pub(super) scale_down: f64,
    pub(super) scale_up: f64,
}

impl Tolerances {
    /// `Tolerances.isWithin`; what is not a number is not.
    pub(super) fn holds(self, ratio: f64) -> bool {
        (1.0 - self.scale_down) <= ratio && ratio <= (1.0 + self.scale_up)
    }
}
