//! Kubernetes quantities, exact.
//!
//! `1500m`, `12k`, `2560Mi`: the text in which Kubernetes writes numbers
//! (`k8s.io/apimachinery/pkg/api/resource.Quantity`). A quantity here is a decimal number of any
//! size, so that no sample overflows into another value; its text is Kubernetes' canonical form.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A number of bytes above zero: `1048576`, `512KiB`, `64MiB`, `1GiB`.
///
/// # Errors
/// What is expected, where `text` is something else.
pub fn parse_bytes(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let scale: u64 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => 0,
    };
    let size = number
        .parse::<u64>()
        .ok()
        .and_then(|it| it.checked_mul(scale));
    size.filter(|size| *size > 0)
        .ok_or("must be a size above zero in bytes, KiB, MiB or GiB, such as 64MiB")
}

#[cfg(test)]
mod tests;

/// A decimal number with the form in which it is written. By default it is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantity {
    sign: Sign,
    /// Without leading and trailing zeros; empty for zero.
    digits: String,
    /// The power of ten that `digits` is multiplied with, from −9.
    exponent: i32,
    form: Form,
}

/// Kubernetes keeps a plus sign that was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sign {
    #[default]
    None,
    Plus,
    Minus,
}

/// The three forms of a suffix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// `m`, `k`, `M`, …
    #[default]
    Decimal,
    /// `e3`
    Exponent,
    /// `Ki`, `Mi`, …
    Binary,
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Not a number, or with a suffix that does not exist.
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// A number too large to be told.
    #[error("the quantity is too large")]
    TooLarge,
}

/// Nothing smaller is told: Kubernetes rounds up to it.
const SMALLEST: i32 = -9;

/// Nothing larger is read: far beyond any number there is a use for, and its text stays short.
const LARGEST: i32 = 999;

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

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// How much of a sample rounding may change: one part in a thousand.
const TOLERANCE: f64 = 0.001;

impl Quantity {
    /// The quantity of a sample; `None` for NaN and the infinities, which are not values.
    ///
    /// In thousandths, as the Go adapter tells it, where that is within 0.1 % of the sample; else
    /// in millionths, else in billionths, rounded half away from zero (`0.0004` is `400u`, where Go
    /// says `0`). What is a whole number of thousandths equals Go's text; what is not is rounded
    /// where Go cuts off: 64.1, whose nearest binary fraction is a little less, is `64100m` and not
    /// `64099m`. A sample that is not zero never becomes zero.
    pub fn from_sample(sample: f64) -> Option<Quantity> {
        if !sample.is_finite() {
            return None;
        }
        let magnitude = sample.abs();
        let sign = if sample < 0.0 {
            Sign::Minus
        } else {
            Sign::None
        };
        // From here on the product with a thousand is no longer exact; the decimal text is.
        const LARGE: f64 = 1e12;
        if magnitude >= LARGE {
            return Some(Quantity::from_decimal(sign, &format!("{magnitude:.3}")));
        }
        for (exponent, unit) in [(-3, 1e3), (-6, 1e6), (-9, 1e9)] {
            let count = (magnitude * unit).round();
            if (count / unit - magnitude).abs() <= magnitude * TOLERANCE {
                return Some(Quantity::new(sign, &format!("{count:.0}"), exponent));
            }
        }
        let count = (magnitude * 1e9).round().max(1.0);
        Some(Quantity::new(sign, &format!("{count:.0}"), SMALLEST))
    }

    /// The same number, written with `Ki`, `Mi`, … where it is a whole number from 1024
    /// (`resource.BinarySI`).
    pub fn in_binary(self) -> Quantity {
        Quantity {
            form: Form::Binary,
            ..self
        }
    }

    /// About how much it is, for people and pictures.
    pub fn approximate(&self) -> f64 {
        if self.digits.is_empty() {
            return 0.0;
        }
        let text = format!("{}e{}", self.digits, self.exponent);
        // Digits and a power of ten are a number; one beyond all floats is an infinity.
        let magnitude = text.parse().unwrap_or(f64::INFINITY);
        match self.sign {
            Sign::Minus => -magnitude,
            Sign::None | Sign::Plus => magnitude,
        }
    }

    /// Whether both are the same number, however they are written.
    pub fn equals(&self, other: &Quantity) -> bool {
        let is_negative = |it: &Quantity| it.sign == Sign::Minus && !it.digits.is_empty();
        is_negative(self) == is_negative(other)
            && self.digits == other.digits
            && (self.digits.is_empty() || self.exponent == other.exponent)
    }

    /// The sum, in the form of the first that is not zero (`resource.Quantity.Add`). `None` below
    /// zero, which no usage is.
    pub fn plus(&self, other: &Quantity) -> Option<Quantity> {
        if [self, other].iter().any(|it| it.sign == Sign::Minus) {
            return None;
        }
        if self.digits.is_empty() {
            return Some(other.clone());
        }
        let exponent = self.exponent.min(other.exponent);
        // From the right, all digits at the same power of ten.
        let aligned = |it: &Quantity| {
            let zeros = usize::try_from(it.exponent - exponent).unwrap_or_default();
            let digits = it.digits.bytes().rev().map(|digit| digit - b'0');
            std::iter::repeat_n(0, zeros)
                .chain(digits)
                .collect::<Vec<u8>>()
        };
        let (left, right) = (aligned(self), aligned(other));
        let mut carry = 0;
        let mut sum: Vec<u8> = (0..=left.len().max(right.len()))
            .map(|at| {
                let column = [&left, &right].map(|digits| digits.get(at).copied().unwrap_or(0));
                let total = column[0] + column[1] + carry;
                carry = total / 10;
                b'0' + total % 10
            })
            .collect();
        sum.reverse();
        let digits = String::from_utf8_lossy(&sum);
        Some(Quantity {
            form: self.form,
            ..Quantity::new(Sign::None, &digits, exponent)
        })
    }

    /// `digits` × 10^`exponent`, cut to what is significant.
    fn new(sign: Sign, digits: &str, exponent: i32) -> Quantity {
        let digits = digits.trim_start_matches('0');
        let kept = digits.trim_end_matches('0');
        if kept.is_empty() {
            return Quantity {
                sign: Sign::None,
                digits: String::new(),
                exponent: 0,
                form: Form::Decimal,
            };
        }
        let zeros = i32::try_from(digits.len() - kept.len()).unwrap_or(i32::MAX);
        let exponent = exponent.saturating_add(zeros);
        Quantity {
            sign,
            digits: kept.to_owned(),
            exponent,
            form: Form::Decimal,
        }
    }

    /// A number as `123.456`.
    fn from_decimal(sign: Sign, text: &str) -> Quantity {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        Quantity::new(sign, &format!("{whole}{fraction}"), -places)
    }

    /// Rounds up, away from zero, to a whole number of billionths.
    fn rounded_up(self) -> Quantity {
        let surplus = SMALLEST.saturating_sub(self.exponent);
        let Ok(surplus @ 1..) = usize::try_from(surplus) else {
            return self;
        };
        // What is cut off is not zero: there are no trailing zeros.
        let kept = self.digits.len().saturating_sub(surplus);
        let digits = plus_one(self.digits.get(..kept).unwrap_or_default());
        Quantity {
            form: self.form,
            ..Quantity::new(self.sign, &digits, SMALLEST)
        }
    }

    /// The whole number that this is, if it is one and small enough.
    fn whole(&self) -> Option<u128> {
        let zeros = u32::try_from(self.exponent).ok()?;
        let digits: u128 = self.digits.parse().ok()?;
        digits.checked_mul(10_u128.checked_pow(zeros)?)
    }

    fn write_binary(&self, f: &mut fmt::Formatter<'_>, mut number: u128) -> fmt::Result {
        let mut suffixes = BINARY.iter().peekable();
        while number.is_multiple_of(1024) && number != 0 {
            let Some(_) = suffixes.next_if(|suffix| **suffix != "Ei") else {
                break;
            };
            number /= 1024;
        }
        write!(f, "{number}{}", suffixes.peek().unwrap_or(&&""))
    }

    /// Digits, and an exponent that is a multiple of three and not above `largest`.
    fn write_scaled(&self, f: &mut fmt::Formatter<'_>, largest: i32) -> Result<i32, fmt::Error> {
        let exponent = (self.exponent.div_euclid(3) * 3).min(largest);
        f.write_str(&self.digits)?;
        for _ in exponent..self.exponent {
            f.write_str("0")?;
        }
        Ok(exponent)
    }
}

/// Kubernetes' canonical form: no fraction, the largest suffix that keeps all digits.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sign {
            Sign::None => {}
            Sign::Plus => f.write_str("+")?,
            Sign::Minus => f.write_str("-")?,
        }
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        // Below 1024 and for fractions the binary form is the decimal one.
        if let (Form::Binary, Some(number @ 1024..)) = (self.form, self.whole()) {
            return self.write_binary(f, number);
        }
        if self.form == Form::Exponent {
            return match self.write_scaled(f, i32::MAX)? {
                0 => Ok(()),
                exponent => write!(f, "e{exponent}"),
            };
        }
        let exponent = self.write_scaled(f, 18)?;
        let suffix = DECIMAL.iter().find(|(_, it)| *it == exponent);
        f.write_str(suffix.map_or("", |(suffix, _)| suffix))
    }
}

/// `ParseQuantity`: what is below a billionth is rounded up to it.
impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Quantity, ParseError> {
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (Sign::Plus, rest),
            Some(("-", rest)) => (Sign::Minus, rest),
            _ => (Sign::None, text),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let dots = number.matches('.').count();
        if dots > 1 || number.len() == dots {
            return Err(ParseError::Format);
        }
        let plain = Quantity::from_decimal(sign, number);
        let scaled = |form, by: i32| {
            let exponent = plain.exponent.checked_add(by).filter(|it| *it <= LARGEST);
            let exponent = exponent.ok_or(ParseError::TooLarge)?;
            let exponent = if plain.digits.is_empty() { 0 } else { exponent };
            Ok(Quantity {
                exponent,
                form,
                ..plain.clone()
            })
        };
        if let Some((_, exponent)) = DECIMAL.iter().find(|(it, _)| *it == suffix) {
            return scaled(Form::Decimal, *exponent).map(Quantity::rounded_up);
        }
        if let Some(power) = BINARY.iter().position(|it| *it == suffix) {
            return plain.times_1024(power).map(Quantity::rounded_up);
        }
        let exponent = suffix
            .strip_prefix(['e', 'E'])
            .and_then(|it| it.parse().ok());
        let exponent = exponent.filter(|it: &i32| it.unsigned_abs() <= LARGEST.unsigned_abs());
        let exponent = exponent.ok_or(ParseError::Format)?;
        scaled(Form::Exponent, exponent).map(Quantity::rounded_up)
    }
}

impl Quantity {
    fn times_1024(&self, power: usize) -> Result<Quantity, ParseError> {
        let mut number: u128 = match self.digits.as_str() {
            "" => 0,
            digits => digits.parse().map_err(|_| ParseError::TooLarge)?,
        };
        for _ in 0..power {
            number = number.checked_mul(1024).ok_or(ParseError::TooLarge)?;
        }
        let product = Quantity::new(self.sign, &number.to_string(), self.exponent);
        Ok(Quantity {
            form: Form::Binary,
            ..product
        })
    }
}

/// `digits` + 1, in decimal.
fn plus_one(digits: &str) -> String {
    let kept = digits.trim_end_matches('9');
    let nines = digits.len() - kept.len();
    let zeros = "0".repeat(nines);
    let mut kept = kept.to_owned();
    match kept.pop().and_then(|last| last.to_digit(10)) {
        Some(last) => format!("{kept}{}{zeros}", last + 1),
        None => format!("1{zeros}"),
    }
}
