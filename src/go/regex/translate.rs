//! Reads a pattern as Go does and writes it for the `regex` crate.
//!
//! Follows `parse` in Go's `regexp/syntax/parse.go`, token by token and check by check, with the
//! flags of `syntax.Perl`. What it writes uses as little of the crate's syntax as possible: every
//! literal that is not a letter or digit is written by number, classes are spelled out.

use std::collections::BTreeMap;

use super::class::{self, Escape};
use super::{Error, MAX_DEPTH, stored_name};

/// The pattern for the `regex` crate that means what `pattern` means to Go.
pub(super) fn translate(pattern: &str) -> Result<String, Error> {
    let mut t = Translator {
        whole: pattern,
        rest: pattern,
        out: String::with_capacity(pattern.len() * 2),
        flags: Flags::default(),
        written: Flags::default(),
        groups: Vec::new(),
        has_operand: false,
        repeats: Repeats::default(),
        names: BTreeMap::new(),
    };
    let mut last_repeat = None;
    while !t.rest.is_empty() {
        last_repeat = t.token(last_repeat)?;
    }
    match t.groups.is_empty() {
        true => Ok(t.out),
        false => Err(Error::MissingParen(pattern.to_owned())),
    }
}

struct Translator<'p> {
    whole: &'p str,
    rest: &'p str,
    out: String,
    /// Go's flags here.
    flags: Flags,
    /// The flags under which the `regex` crate reads what is written next. They are brought up to
    /// date only before an operand: in `a(?i)*` the star belongs to the `a`.
    written: Flags,
    groups: Vec<Group>,
    /// Whether something stands before a repetition operator.
    has_operand: bool,
    repeats: Repeats,
    names: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Flags {
    /// `i`
    fold_case: bool,
    /// `m`
    multi_line: bool,
    /// `s`
    dot_newline: bool,
    /// `U`: never written, since each repetition is written as what it is.
    non_greedy: bool,
}

/// What is to be restored when a group closes.
struct Group {
    flags: Flags,
    written: Flags,
    repeats: Repeats,
}

/// How often the innermost part of what was read may be repeated at most: nested counts multiply,
/// and Go stops at 1000 (`repeatIsValid`).
#[derive(Debug, Clone, Copy)]
struct Repeats {
    /// Of the operands before the last one in this group.
    before: u64,
    /// Of the last operand.
    last: u64,
}

impl Default for Repeats {
    fn default() -> Repeats {
        Repeats { before: 1, last: 1 }
    }
}

impl Repeats {
    fn most(self) -> u64 {
        self.before.max(self.last)
    }
}

impl<'p> Translator<'p> {
    /// Reads one token. Returns where it starts if it was a repetition operator, because two of
    /// them in a row are an error that quotes both.
    fn token(&mut self, last_repeat: Option<&'p str>) -> Result<Option<&'p str>, Error> {
        let start = self.rest;
        let mut chars = start.chars();
        let first = chars.next();
        let after = chars.as_str();
        match first {
            Some('(') if after.starts_with('?') => self.perl_group()?,
            Some('(') => {
                self.rest = after;
                self.open("(")?;
            }
            Some('|') => {
                self.rest = after;
                self.out.push('|');
                self.has_operand = false;
            }
            Some(')') => {
                self.rest = after;
                self.close()?;
            }
            Some(c @ ('^' | '$' | '.')) => {
                self.rest = after;
                self.operand(c.encode_utf8(&mut [0; 4]));
            }
            Some('[') => {
                let (class, after) = class::bracketed(start)?;
                self.rest = after;
                self.operand(&class);
            }
            Some(c @ ('*' | '+' | '?')) => {
                self.rest = after;
                self.repeat(c.encode_utf8(&mut [0; 4]), start, last_repeat)?;
                return Ok(Some(start));
            }
            Some('{') => return self.counted(start, after, last_repeat),
            Some('\\') => self.backslash(start)?,
            Some(c) => {
                self.rest = after;
                self.literal(u32::from(c));
            }
            None => {}
        }
        Ok(None)
    }

    /// Writes something that matches by itself and may be repeated.
    fn operand(&mut self, text: &str) {
        self.begin_operand();
        self.out.push_str(text);
    }

    fn begin_operand(&mut self) {
        let wanted = Flags {
            non_greedy: false,
            ..self.flags
        };
        if self.written != wanted {
            self.out.push_str(&wanted.spelled());
            self.written = wanted;
        }
        self.repeats = Repeats {
            before: self.repeats.most(),
            last: 1,
        };
        self.has_operand = true;
    }

    fn literal(&mut self, code: u32) {
        self.begin_operand();
        match char::from_u32(code) {
            Some(c) => class::push_char(&mut self.out, c),
            // A surrogate: no text holds one.
            None => self.out.push_str(class::NOTHING),
        }
    }

    fn open(&mut self, text: &str) -> Result<(), Error> {
        if self.groups.len() == MAX_DEPTH {
            return Err(Error::NestingDepth(self.whole.to_owned()));
        }
        self.operand(text);
        self.groups.push(Group {
            flags: self.flags,
            written: self.written,
            repeats: self.repeats,
        });
        self.repeats = Repeats::default();
        self.has_operand = false;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(group) = self.groups.pop() else {
            return Err(Error::UnexpectedParen(self.whole.to_owned()));
        };
        self.out.push(')');
        self.repeats = Repeats {
            before: group.repeats.before,
            last: self.repeats.most(),
        };
        self.flags = group.flags;
        self.written = group.written;
        self.has_operand = true;
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)` or `(?flags:` (Go's `parsePerlFlags`).
    fn perl_group(&mut self) -> Result<(), Error> {
        let start = self.rest;
        if let Some(name) = start
            .strip_prefix("(?P<")
            .or_else(|| start.strip_prefix("(?<"))
            && !name.is_empty()
        {
            let Some((name, after)) = name.split_once('>') else {
                return Err(Error::InvalidNamedCapture(start.to_owned()));
            };
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(Error::InvalidNamedCapture(consumed(start, after)));
            }
            self.rest = after;
            let stored = stored_name(name, &mut self.names);
            return self.open(&format!("(?P<{stored}>"));
        }
        let mut chars = start["(?".len()..].chars();
        let mut flags = self.flags;
        let mut on = true;
        let mut saw_flag = false;
        while let Some(c) = chars.next() {
            let flag = match c {
                'i' => &mut flags.fold_case,
                'm' => &mut flags.multi_line,
                's' => &mut flags.dot_newline,
                'U' => &mut flags.non_greedy,
                '-' if on => {
                    on = false;
                    saw_flag = false;
                    continue;
                }
                ':' | ')' if on || saw_flag => {
                    self.rest = chars.as_str();
                    if c == ':' {
                        self.open("(?:")?;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            };
            *flag = on;
            saw_flag = true;
        }
        Err(Error::InvalidPerlOp(consumed(start, chars.as_str())))
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else after the brace makes it a literal.
    fn counted(
        &mut self,
        start: &'p str,
        after: &'p str,
        last_repeat: Option<&'p str>,
    ) -> Result<Option<&'p str>, Error> {
        let Some((min, max, after)) = counts(after) else {
            self.rest = after;
            self.literal(u32::from('{'));
            return Ok(None);
        };
        self.rest = after;
        if min > MAX_COUNT || max.is_some_and(|max| max > MAX_COUNT || min > max) {
            return Err(Error::InvalidRepeatSize(consumed(start, after)));
        }
        let operator = match max {
            Some(max) => format!("{{{min},{max}}}"),
            None => format!("{{{min},}}"),
        };
        self.repeat(&operator, start, last_repeat)?;
        self.repeats.last = match max {
            Some(0) => 1,
            max => self.repeats.last.saturating_mul(max.unwrap_or(min).max(1)),
        };
        if max.unwrap_or(min) >= 2 && self.repeats.last > MAX_COUNT {
            return Err(Error::InvalidRepeatSize(consumed(start, self.rest)));
        }
        Ok(Some(start))
    }

    /// Writes `operator` for the operator that starts at `start` and ends at the rest.
    fn repeat(
        &mut self,
        operator: &str,
        start: &'p str,
        last_repeat: Option<&'p str>,
    ) -> Result<(), Error> {
        let mut lazy = self.flags.non_greedy;
        if let Some(after) = self.rest.strip_prefix('?') {
            self.rest = after;
            lazy = !lazy;
        }
        if let Some(last_repeat) = last_repeat {
            return Err(Error::InvalidRepeatOp(consumed(last_repeat, self.rest)));
        }
        if !self.has_operand {
            return Err(Error::MissingRepeatArgument(consumed(start, self.rest)));
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        Ok(())
    }

    fn backslash(&mut self, start: &'p str) -> Result<(), Error> {
        let mut chars = start.chars();
        chars.next();
        let second = chars.next();
        let after = chars.as_str();
        let assertion = match second {
            Some('A') => r"\A",
            Some('z') => r"\z",
            // Go's word characters are those of ASCII.
            Some('b') => r"(?-u:\b)",
            Some('B') => r"(?-u:\B)",
            Some('C') => return Err(Error::InvalidEscape(consumed(start, after))),
            Some('Q') => {
                let (quoted, after) = after.split_once(r"\E").unwrap_or((after, ""));
                self.rest = after;
                quoted.chars().for_each(|c| self.literal(u32::from(c)));
                return Ok(());
            }
            _ => {
                let (escape, after) = class::escape(start)?;
                self.rest = after;
                match escape {
                    Escape::Char(code) => self.literal(code),
                    Escape::Class(class) => self.operand(&format!("[{class}]")),
                }
                return Ok(());
            }
        };
        self.rest = after;
        self.operand(assertion);
        Ok(())
    }
}

impl Flags {
    /// As the `regex` crate writes them, all of them, so that none is left as it was.
    fn spelled(self) -> String {
        let flags = [
            ('i', self.fold_case),
            ('m', self.multi_line),
            ('s', self.dot_newline),
        ];
        let on: String = flags
            .iter()
            .filter(|(_, on)| *on)
            .map(|(c, _)| *c)
            .collect();
        let off: String = flags
            .iter()
            .filter(|(_, on)| !*on)
            .map(|(c, _)| *c)
            .collect();
        match off.is_empty() {
            true => format!("(?{on})"),
            false => format!("(?{on}-{off})"),
        }
    }
}

/// The greatest count of a repetition, nested ones multiplied.
const MAX_COUNT: u64 = 1000;

/// The counts after a `{`, and what follows the `}`. `None` for the maximum: there is none.
fn counts(text: &str) -> Option<(u64, Option<u64>, &str)> {
    let (min, rest) = count(text)?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, Some(min), rest));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, None, rest));
    }
    let (max, rest) = count(rest)?;
    Some((min, Some(max), rest.strip_prefix('}')?))
}

/// A number without leading zeros; one that is far too big is some number above the limit.
fn count(text: &str) -> Option<(u64, &str)> {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u64::MAX), rest))
}

/// The part of `start` before `rest`, which ends it.
pub(super) fn consumed(start: &str, rest: &str) -> String {
    start.strip_suffix(rest).unwrap_or(start).to_owned()
}
