//! Go's dialects: what a configuration written for the Go adapter means.
//!
//! The configuration file and the flags were designed around Go's standard library, so their
//! regular expressions, templates and durations have Go's syntax, Go's semantics and Go's error
//! texts. Each module here promises the same answer as Go, or a refusal where Go refuses.

pub mod boolean;
pub mod duration;
pub mod regex;
pub mod template;

use std::fmt::Write;
use std::sync::LazyLock;

/// A Go string literal for `text`: `strconv.Quote`, which is what `%q` prints.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        push_quoted(&mut out, c);
    }
    out.push('"');
    out
}

fn push_quoted(out: &mut String, c: char) {
    let short = match c {
        '"' => Some('"'),
        '\\' => Some('\\'),
        '\u{7}' => Some('a'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{b}' => Some('v'),
        _ => None,
    };
    let code = u32::from(c);
    let written = match short {
        Some(letter) => {
            out.push('\\');
            out.push(letter);
            Ok(())
        }
        None if code < 0x20 || code == 0x7f => write!(out, "\\x{code:02x}"),
        None if is_print(c) => {
            out.push(c);
            Ok(())
        }
        None if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
        None => write!(out, "\\U{code:08x}"),
    };
    written.expect("writing to a String must succeed");
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII space.
fn is_print(c: char) -> bool {
    static PRINT: LazyLock<::regex::Regex> = LazyLock::new(|| {
        ::regex::Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$").expect("a constant must compile")
    });
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    PRINT.is_match(c.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_as_strconv_quote_does() {
        assert_eq!(quote(r#"a"b"#), r#""a\"b""#);
        assert_eq!(quote(r"p.1\"), r#""p.1\\""#);
        assert_eq!(quote("\n\t\r\u{7}\u{8}\u{b}\u{c}"), r#""\n\t\r\a\b\v\f""#);
        assert_eq!(quote("\0\u{1b}\u{7f}"), r#""\x00\x1b\x7f""#);
        assert_eq!(quote("é世界 😀"), "\"é世界 😀\"");
        assert_eq!(
            quote("\u{a0}\u{200b}\u{feff}\u{e0001}"),
            r#""\u00a0\u200b\ufeff\U000e0001""#
        );
    }
}
