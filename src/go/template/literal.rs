//! Strings, characters and numbers as they stand in a template (`strconv.Unquote`, and the
//! number syntax of `text/template/parse`). Complex numbers and hexadecimal fractions, which no
//! query needs, are refused.

use gotmpl::parse::Number;

use super::super::quote;

/// The value of a string in double quotes or back quotes. `None`: it is not one, or is not UTF-8.
pub(super) fn string(text: &str) -> Option<String> {
    if let Some(raw) = text.strip_prefix('`') {
        return Some(raw.strip_suffix('`')?.replace('\r', ""));
    }
    let mut rest = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (unit, after) = unit(rest, '"')?;
        match unit {
            Unit::Byte(byte) => bytes.push(byte),
            Unit::Char(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// The value of a number or of a character in single quotes, or Go's text for what is wrong.
pub(super) fn number(text: &str) -> Result<Number, String> {
    if let Some(inside) = text.strip_prefix('\'') {
        return match unit(inside, '\'') {
            Some((unit, "'")) => Ok(Number::Int(match unit {
                Unit::Byte(byte) => i64::from(byte),
                Unit::Char(c) => i64::from(u32::from(c)),
            })),
            Some(_) => Err(format!("malformed character constant: {text}")),
            None => Err("invalid syntax".to_owned()),
        };
    }
    let illegal = || format!("illegal number syntax: {}", quote(text));
    let digits = without_underscores(text).ok_or_else(illegal)?;
    if let Some(integer) = integer(&digits) {
        return Ok(integer);
    }
    if !digits.contains(['.', 'e', 'E']) {
        let all_digits = digits
            .trim_start_matches(['+', '-'])
            .bytes()
            .all(|b| b.is_ascii_digit());
        return Err(match all_digits && digits.len() > 1 {
            true => format!("integer overflow: {}", quote(text)),
            false => illegal(),
        });
    }
    match digits.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Number::Float(float)),
        _ => Err(illegal()),
    }
}

/// One character of a literal as written. A byte need not be a character by itself.
enum Unit {
    Byte(u8),
    Char(char),
}

/// The first character of a literal in quotes of the given kind, and what follows it
/// (`strconv.UnquoteChar`).
fn unit(text: &str, mark: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let c = chars.next().filter(|c| *c != mark)?;
    if c != '\\' {
        return Some((Unit::Char(c), chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let plain = match escape {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        c if c == mark => c,
        'x' => {
            let (code, rest) = code(rest, 2, 16)?;
            return Some((Unit::Byte(u8::try_from(code).ok()?), rest));
        }
        '0'..='7' => {
            let (code, rest) = code(&text[1..], 3, 8)?;
            return Some((Unit::Byte(u8::try_from(code).ok()?), rest));
        }
        'u' | 'U' => {
            let (code, rest) = code(rest, if escape == 'u' { 4 } else { 8 }, 16)?;
            return Some((Unit::Char(char::from_u32(code)?), rest));
        }
        _ => return None,
    };
    Some((Unit::Char(plain), rest))
}

/// A number of exactly `length` digits, and what follows it.
fn code(text: &str, length: usize, radix: u32) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(length)?;
    let all_digits = digits.chars().all(|c| c.is_digit(radix));
    Some((
        u32::from_str_radix(digits, radix)
            .ok()
            .filter(|_| all_digits)?,
        rest,
    ))
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match negative {
        true => 0i64.checked_sub_unsigned(magnitude).map(Number::Int),
        false => Some(i64::try_from(magnitude).map_or(Number::Uint(magnitude), Number::Int)),
    }
}

/// Underscores may stand between digits, and between a base and its digits.
fn without_underscores(text: &str) -> Option<String> {
    let pieces: Vec<&str> = text.split('_').collect();
    let separates = pieces.windows(2).all(|pair| {
        let based = matches!(pair[0], "0x" | "0X" | "0o" | "0O" | "0b" | "0B");
        (based || pair[0].ends_with(|c: char| c.is_ascii_hexdigit()))
            && pair[1].starts_with(|c: char| c.is_ascii_hexdigit())
    });
    separates.then(|| pieces.concat())
}
