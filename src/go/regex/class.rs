//! Character classes and escapes of Go's dialect, written for the `regex` crate.
//!
//! Follows `parseClass`, `parseEscape`, `parseUnicodeClass` and `parsePerlClassEscape` in Go's
//! `regexp/syntax/parse.go`. Go's classes know no set operations, no nesting and no Unicode in
//! `\d`, `\s` and `\w`.

use std::fmt::Write;

use super::Error;
use super::translate::consumed;

/// A class that matches no character.
pub(super) const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

/// A class that matches every character.
const EVERYTHING: &str = r"[\x{0}-\x{10FFFF}]";

/// What a backslash and what follows it stand for.
pub(super) enum Escape {
    /// A code point, perhaps a surrogate.
    Char(u32),
    /// What to write between brackets.
    Class(String),
}

/// Writes `c` as a literal, inside or outside a class.
pub(super) fn push_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        write!(out, "\\x{:02X}", u32::from(c)).expect("writing to a String must succeed");
    }
}

/// The class in brackets at the start of `text`, and what follows it.
pub(super) fn bracketed(text: &str) -> Result<(String, &str), Error> {
    let inside = text.strip_prefix('[').unwrap_or(text);
    let negated = inside.strip_prefix('^');
    let mut rest = negated.unwrap_or(inside);
    let mut items = String::new();
    let mut first = true;
    while first || !rest.starts_with(']') {
        first = false;
        if let Some((item, after)) = posix(rest)? {
            items.push_str(item);
            rest = after;
            continue;
        }
        let range = rest;
        let low = match class_item(rest, text)? {
            (Escape::Class(class), after) => {
                items.push_str(&class);
                rest = after;
                continue;
            }
            (Escape::Char(low), after) => {
                rest = after;
                low
            }
        };
        let mut high = low;
        if let Some(after) = rest
            .strip_prefix('-')
            .filter(|a| !a.is_empty() && !a.starts_with(']'))
        {
            (high, rest) = range_end(after, text)?;
            if high < low {
                return Err(Error::InvalidCharRange(consumed(range, rest)));
            }
        }
        push_range(&mut items, low, high);
    }
    let rest = rest.strip_prefix(']').unwrap_or(rest);
    let class = match (negated, items.is_empty()) {
        (None, true) => NOTHING.to_owned(),
        (Some(_), true) => EVERYTHING.to_owned(),
        (None, false) => format!("[{items}]"),
        (Some(_), false) => format!("[^{items}]"),
    };
    Ok((class, rest))
}

/// What the backslash at the start of `text` stands for, and what follows it.
pub(super) fn escape(text: &str) -> Result<(Escape, &str), Error> {
    let mut chars = text.chars();
    chars.next();
    let Some(c) = chars.next() else {
        return Err(Error::TrailingBackslash);
    };
    let class = match c {
        'd' => DIGIT,
        'D' => "[^0-9]",
        's' => r"\t\n\x0C\r ",
        'S' => r"[^\t\n\x0C\r ]",
        'w' => "0-9A-Za-z_",
        'W' => "[^0-9A-Za-z_]",
        'p' | 'P' => {
            let (class, rest) = unicode(text, c == 'P')?;
            return Ok((Escape::Class(class), rest));
        }
        _ => {
            let (code, rest) = char_escape(text)?;
            return Ok((Escape::Char(code), rest));
        }
    };
    Ok((Escape::Class(class.to_owned()), chars.as_str()))
}

const DIGIT: &str = "0-9";

/// A class such as `[:alpha:]` within brackets, which both dialects spell alike.
fn posix(text: &str) -> Result<Option<(&str, &str)>, Error> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
        "space", "upper", "word", "xdigit",
    ];
    let Some((name, rest)) = text
        .strip_prefix("[:")
        .and_then(|inside| inside.split_once(":]"))
    else {
        return Ok(None);
    };
    let item = text.strip_suffix(rest).unwrap_or(text);
    match NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        true => Ok(Some((item, rest))),
        false => Err(Error::InvalidCharRange(item.to_owned())),
    }
}

/// A character or an escape within brackets. `class` is for the error text.
fn class_item<'p>(text: &'p str, class: &str) -> Result<(Escape, &'p str), Error> {
    if text.starts_with('\\') {
        return escape(text);
    }
    range_end(text, class).map(|(code, rest)| (Escape::Char(code), rest))
}

/// The upper end of a range, where a class may not stand. `class` is for the error text.
fn range_end<'p>(text: &'p str, class: &str) -> Result<(u32, &'p str), Error> {
    let mut chars = text.chars();
    match chars.next() {
        None => Err(Error::MissingBracket(class.to_owned())),
        Some('\\') => char_escape(text),
        Some(c) => Ok((u32::from(c), chars.as_str())),
    }
}

/// Writes a range without the surrogates, which no text holds.
fn push_range(items: &mut String, low: u32, high: u32) {
    let low = char::from_u32(low).unwrap_or('\u{E000}');
    let high = char::from_u32(high).unwrap_or('\u{D7FF}');
    if low > high {
        return;
    }
    push_char(items, low);
    if low < high {
        items.push('-');
        push_char(items, high);
    }
}

/// A Unicode category or script, as an item of a class.
fn unicode(text: &str, upper: bool) -> Result<(String, &str), Error> {
    let inside = &text[r"\p".len()..];
    let (name, rest) = match inside.strip_prefix('{') {
        Some(braced) => braced
            .split_once('}')
            .ok_or_else(|| Error::InvalidCharRange(text.to_owned()))?,
        None => inside.split_at(inside.chars().next().map_or(0, char::len_utf8)),
    };
    let unknown = || Error::InvalidCharRange(consumed(text, rest));
    let plain = name.strip_prefix('^');
    let negated = upper != plain.is_some();
    let name = plain.unwrap_or(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(unknown());
    }
    let whole_sets = ["any", "ascii", "assigned"];
    let candidates = match whole_sets.contains(&name.to_ascii_lowercase().as_str()) {
        true => vec![name.to_owned()],
        false => vec![format!("gc={name}"), format!("sc={name}")],
    };
    let p = if negated { 'P' } else { 'p' };
    candidates
        .into_iter()
        .map(|candidate| format!("\\{p}{{{candidate}}}"))
        .find(|class| regex::Regex::new(class).is_ok())
        .map(|class| (class, rest))
        .ok_or_else(unknown)
}

/// A single character after a backslash: Go's `parseEscape`.
fn char_escape(text: &str) -> Result<(u32, &str), Error> {
    let mut chars = text.chars();
    chars.next();
    let Some(c) = chars.next() else {
        return Err(Error::TrailingBackslash);
    };
    let rest = chars.as_str();
    let code = match c {
        // A digit alone would be a back reference, which neither engine has.
        '1'..='7' if !rest.starts_with(|c: char| ('0'..='7').contains(&c)) => None,
        '0'..='7' => return Ok(octal(&text[1..])),
        'x' => return hexadecimal(text, rest),
        'a' => Some(0x07),
        'f' => Some(0x0C),
        'n' => Some(0x0A),
        'r' => Some(0x0D),
        't' => Some(0x09),
        'v' => Some(0x0B),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
        _ => None,
    };
    match code {
        Some(code) => Ok((code, rest)),
        None => Err(Error::InvalidEscape(consumed(text, rest))),
    }
}

/// One to three octal digits, and what follows them.
fn octal(text: &str) -> (u32, &str) {
    let end = text
        .bytes()
        .take(3)
        .take_while(|b| (b'0'..=b'7').contains(b))
        .count();
    let (digits, rest) = text.split_at(end);
    (
        digits
            .bytes()
            .fold(0, |code, b| code * 8 + u32::from(b - b'0')),
        rest,
    )
}

/// `\xFF` or `\x{10FFFF}`. `text` is the whole escape, `rest` what follows the `x`.
fn hexadecimal<'p>(text: &str, rest: &'p str) -> Result<(u32, &'p str), Error> {
    let mut chars = rest.chars();
    let mut digit = || chars.next().and_then(|c| c.to_digit(16));
    if let Some(braced) = rest.strip_prefix('{') {
        return braced_hexadecimal(text, braced);
    }
    match (digit(), digit()) {
        (Some(first), Some(second)) => Ok((first * 16 + second, chars.as_str())),
        _ => Err(Error::InvalidEscape(consumed(text, chars.as_str()))),
    }
}

fn braced_hexadecimal<'p>(text: &str, braced: &'p str) -> Result<(u32, &'p str), Error> {
    let mut chars = braced.chars();
    let mut code = None;
    while let Some(c) = chars.next() {
        if let ('}', Some(code)) = (c, code) {
            return Ok((code, chars.as_str()));
        }
        let Some(digit) = c.to_digit(16) else { break };
        code = Some(code.unwrap_or(0) * 16 + digit).filter(|code| *code <= u32::from(char::MAX));
        if code.is_none() {
            break;
        }
    }
    Err(Error::InvalidEscape(consumed(text, chars.as_str())))
}
