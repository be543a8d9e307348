//! A text of the rules file that still knows where it stands.
//!
//! Errors of templates come as offsets into the *value* of a YAML scalar. The file shows that value
//! quoted, escaped, folded or indented; [`Located::span_in`] leads back.

use std::ops::Range;

/// How a scalar is written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Without quotes.
    #[default]
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// After `|` or `>`.
    Block,
}

/// A scalar of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Located {
    /// Its value.
    pub text: String,
    /// The bytes of the file it was read from, quotes included. Where a field is absent: where it
    /// would belong.
    pub span: Range<usize>,
    /// How it is written there.
    pub style: Style,
}

impl Located {
    /// Where the bytes `at` of the value stand in `source`, the file it was read from. Where that
    /// cannot be traced, the whole scalar.
    pub fn span_in(&self, source: &str, at: Range<usize>) -> Range<usize> {
        let places = self.trace(source, at.start).zip(self.trace(source, at.end));
        places.map_or(self.span.clone(), |(start, end)| start..end.max(start))
    }

    /// Walks value and file side by side. YAML folding changes white space only, so everything else
    /// must agree character by character.
    fn trace(&self, source: &str, target: usize) -> Option<usize> {
        let raw = source.get(self.span.clone())?;
        let body = match self.style {
            Style::Single => raw.strip_prefix('\'')?.strip_suffix('\'')?,
            Style::Double => raw.strip_prefix('"')?.strip_suffix('"')?,
            Style::Plain | Style::Block => raw,
        };
        let quote = usize::from(matches!(self.style, Style::Single | Style::Double));
        let place = |rest: &str| self.span.start + quote + (body.len() - rest.len());
        let mut rest = body;
        for (at, wanted) in self.text.char_indices() {
            if !wanted.is_whitespace() {
                rest = self.skip_blank(rest);
            }
            if at >= target {
                return Some(place(rest));
            }
            if wanted.is_whitespace() {
                continue;
            }
            let (found, len) = self.unit(rest)?;
            if found != Some(wanted) {
                return None;
            }
            rest = rest.get(len..)?;
        }
        Some(place(rest))
    }

    fn skip_blank<'s>(&self, mut rest: &'s str) -> &'s str {
        loop {
            rest = rest.trim_start();
            match self.unit(rest) {
                Some((found, len)) if found.is_none_or(char::is_whitespace) && len > 0 => {
                    rest = rest.get(len..).unwrap_or_default();
                }
                _ => return rest,
            }
        }
    }

    /// The first character of `raw` as written in this style and its length there; the character is
    /// `None` for a line continuation, which stands for nothing.
    fn unit(&self, raw: &str) -> Option<(Option<char>, usize)> {
        let first = raw.chars().next()?;
        match (self.style, first) {
            (Style::Single, '\'') => raw.starts_with("''").then_some((Some('\''), 2)),
            (Style::Double, '\\') => escape(raw),
            _ => Some((Some(first), first.len_utf8())),
        }
    }
}

/// A double-quoted escape at the start of `raw` (YAML 1.2 §5.7, the same in 1.1).
fn escape(raw: &str) -> Option<(Option<char>, usize)> {
    let letter = raw.chars().nth(1)?;
    let simple = match letter {
        '\n' => return Some((None, 2)),
        '\r' => return Some((None, if raw.starts_with("\\\r\n") { 3 } else { 2 })),
        'x' | 'u' | 'U' => {
            let digits = match letter {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let hex = raw.get(2..2 + digits)?;
            return Some((
                char::from_u32(u32::from_str_radix(hex, 16).ok()?),
                2 + digits,
            ));
        }
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        other => other,
    };
    Some((Some(simple), 1 + letter.len_utf8()))
}
