//! Texts in YAML: plain, quoted, or in lines.

use std::sync::LazyLock;

use regex::Regex;

use super::{INDENT, SIMPLE_KEY_MAX};

/// The column after which a space becomes a line break.
const WIDTH: usize = 80;

/// What a text allows (`yaml_emitter_analyze_scalar`).
struct Analysis {
    plain: bool,
    single_quoted: bool,
    literal: bool,
}

/// Writes a value; lines that it needs stand at `indent`.
pub(super) fn write(text: &str, to: &mut String, indent: usize) {
    let allows = analysis(text);
    if text.contains('\n') {
        if allows.literal {
            return literal(text, to, indent);
        }
        return double_quoted(text, to, Some(indent));
    }
    if !is_text(text) {
        return double_quoted(text, to, Some(indent));
    }
    if allows.plain {
        return folded(text, to, Some(indent));
    }
    if allows.single_quoted {
        return single_quoted(text, to, Some(indent));
    }
    double_quoted(text, to, Some(indent));
}

/// Whether a key can stand before its colon.
pub(super) fn is_simple_key(key: &str) -> bool {
    key.len() <= SIMPLE_KEY_MAX && !key.contains(is_break)
}

/// Writes a key, which is never folded.
pub(super) fn write_key(key: &str, to: &mut String) {
    let allows = analysis(key);
    if !is_text(key) {
        return double_quoted(key, to, None);
    }
    if allows.plain {
        return folded(key, to, None);
    }
    if allows.single_quoted {
        return single_quoted(key, to, None);
    }
    double_quoted(key, to, None);
}

fn analysis(text: &str) -> Analysis {
    let (mut indicators, mut special) = (text.starts_with("---") || text.starts_with("..."), false);
    let mut previous = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let before_blank = rest.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        let after_blank = previous.is_none_or(|p| matches!(p, ' ' | '\t') || is_break(p));
        indicators |= match (previous, c) {
            (None, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>') => true,
            (None, '\'' | '"' | '%' | '@' | '`') => true,
            (None, '?' | '-') | (_, ':') => before_blank,
            (_, '#') => after_blank,
            _ => false,
        };
        // Breaks that are no line feeds have no form that everybody reads alike.
        special |= !is_printable(c) || (is_break(c) && c != '\n');
        special |= c == '\n' && previous == Some(' ');
        previous = Some(c);
    }
    let spaced = text.starts_with(' ') || text.ends_with(' ');
    let broken = text.contains('\n');
    let break_space = text.contains("\n ");
    Analysis {
        plain: !(indicators || special || spaced || broken),
        single_quoted: !(special || break_space),
        literal: !(special || text.ends_with(' ')),
    }
}

/// Plain text, and what stands between single quotes.
fn folded(text: &str, to: &mut String, indent: Option<usize>) {
    let mut column = column_of(to);
    let mut after_space = false;
    let mut rest = text.chars().peekable();
    let mut is_first = true;
    while let Some(c) = rest.next() {
        let folds = c == ' '
            && !after_space
            && column > WIDTH
            && !is_first
            && rest.peek().is_some_and(|next| *next != ' ');
        match indent {
            Some(indent) if folds => column = break_line(to, indent),
            _ => {
                to.push(c);
                column += 1;
            }
        }
        after_space = c == ' ';
        is_first = false;
    }
}

fn single_quoted(text: &str, to: &mut String, indent: Option<usize>) {
    to.push('\'');
    folded(&text.replace('\'', "''"), to, indent);
    to.push('\'');
}

fn double_quoted(text: &str, to: &mut String, indent: Option<usize>) {
    to.push('"');
    let mut column = column_of(to);
    let mut after_space = false;
    let mut rest = text.chars().peekable();
    let mut is_first = true;
    while let Some(c) = rest.next() {
        let folds = c == ' ' && !after_space && column > WIDTH && !is_first;
        match (indent, rest.peek()) {
            (Some(indent), Some(next)) if folds => {
                column = break_line(to, indent);
                if *next == ' ' {
                    to.push('\\');
                    column += 1;
                }
            }
            _ => {
                let from = to.len();
                escaped(c, to);
                column += to[from..].chars().count();
            }
        }
        after_space = c == ' ';
        is_first = false;
    }
    to.push('"');
}

fn escaped(c: char, to: &mut String) {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ if is_printable(c) => return to.push(c),
        _ => {
            let code = u32::from(c);
            to.push_str(&match code {
                ..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            });
            return;
        }
    };
    to.extend(['\\', short]);
}

/// `|`, the hints, and the lines.
fn literal(text: &str, to: &mut String, indent: usize) {
    to.push('|');
    if text.starts_with([' ', '\n']) {
        to.push_str(&INDENT.to_string());
    }
    match text.strip_suffix('\n') {
        None => to.push('-'),
        Some(lines) if lines.is_empty() || lines.ends_with('\n') => to.push('+'),
        Some(_) => {}
    }
    to.push('\n');
    for line in text.split_inclusive('\n') {
        if line != "\n" {
            to.extend(std::iter::repeat_n(' ', indent));
        }
        to.push_str(line);
    }
}

fn break_line(to: &mut String, indent: usize) -> usize {
    to.push('\n');
    to.extend(std::iter::repeat_n(' ', indent));
    indent
}

fn column_of(text: &str) -> usize {
    let line = text.rsplit('\n').next().unwrap_or_default();
    line.chars().count()
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// `is_printable`, for which nothing outside of the first plane is.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

/// Whether the text, written plainly, is read as a text again (`resolve`, `isBase60Float`).
fn is_text(text: &str) -> bool {
    !(is_word(text) || is_integer(text) || is_float(text) || OTHER.is_match(text))
}

/// The words of YAML 1.1.
fn is_word(text: &str) -> bool {
    // Each in the three ways of writing it: `yes`, `Yes`, `YES`.
    const WORDS: [&str; 11] = [
        "y", "yes", "true", "on", "n", "no", "false", "off", "null", ".nan", ".inf",
    ];
    if matches!(text, "" | "~") {
        return true;
    }
    let unsigned = match text.strip_prefix(['+', '-']) {
        Some(rest) if rest.eq_ignore_ascii_case(".inf") => rest,
        _ => text,
    };
    let lower = unsigned.to_ascii_lowercase();
    let letters = unsigned.trim_start_matches('.');
    let tail_is_lower = letters.chars().skip(1).all(|c| c.is_ascii_lowercase());
    let is_upper = letters.chars().all(|c| c.is_ascii_uppercase());
    let is_spelt = tail_is_lower || is_upper || unsigned == ".NaN";
    WORDS.contains(&lower.as_str()) && is_spelt && unsigned != ".Nan"
}

/// `strconv.ParseInt(text, 0, 64)` and the like, without underscores.
fn is_integer(text: &str) -> bool {
    let plain = text.replace('_', "");
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')) {
        return false;
    }
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some(two) if two.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let signed = digits.starts_with(['+', '-']);
    let fits = i64::from_str_radix(&format!("{sign}{digits}"), radix).is_ok()
        || u64::from_str_radix(digits, radix).is_ok();
    fits && !signed
}

fn is_float(text: &str) -> bool {
    let plain = if text.starts_with('.') {
        text.to_owned()
    } else {
        text.replace('_', "")
    };
    FLOAT.is_match(&plain) && plain.parse().is_ok_and(f64::is_finite)
}

static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$";
    Regex::new(pattern).expect("the pattern must be valid")
});

/// Times of day in base 60, and dates (of which no more than the form is looked at).
static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    let base60 = r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?";
    let date = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}";
    let time = r"[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}([.,][0-9]+)?";
    let zone = r"(Z|[-+][0-9]{2}:[0-9]{2})";
    let pattern = format!("^({base60}|{date}([Tt]{time}{zone}| {time})?)$");
    Regex::new(&pattern).expect("the pattern must be valid")
});
