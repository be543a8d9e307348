//! Go's regular expressions (RE2, package `regexp`) on the `regex` crate.
//!
//! The two engines agree on what a match is, not on how a pattern is written: 41 of 131 recorded
//! patterns mean something else to the `regex` crate, or are accepted by only one of the two.
//! So a pattern is read as Go's `regexp/syntax` reads it and written down again so that the
//! `regex` crate cannot misunderstand it. Promised: the same submatches as Go, or the same
//! refusal in Go's words. Known to be looser: `\p{…}` takes every spelling of a category or
//! script that Unicode allows, Go only some. Known to be stricter: groups may nest 60 deep
//! (Go: 1000).

mod class;
mod translate;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexBuilder};
use thiserror::Error;

/// Why Go refuses a pattern: Go's text, which quotes the offending part.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the texts, which are Go's, say it")]
pub enum Error {
    #[error("error parsing regexp: missing closing ): `{0}`")]
    MissingParen(String),
    #[error("error parsing regexp: unexpected ): `{0}`")]
    UnexpectedParen(String),
    #[error("error parsing regexp: missing closing ]: `{0}`")]
    MissingBracket(String),
    #[error("error parsing regexp: invalid character class range: `{0}`")]
    InvalidCharRange(String),
    #[error("error parsing regexp: invalid escape sequence: `{0}`")]
    InvalidEscape(String),
    #[error("error parsing regexp: trailing backslash at end of expression: ``")]
    TrailingBackslash,
    #[error("error parsing regexp: invalid named capture: `{0}`")]
    InvalidNamedCapture(String),
    #[error("error parsing regexp: invalid or unsupported Perl syntax: `{0}`")]
    InvalidPerlOp(String),
    #[error("error parsing regexp: missing argument to repetition operator: `{0}`")]
    MissingRepeatArgument(String),
    #[error("error parsing regexp: invalid nested repetition operator: `{0}`")]
    InvalidRepeatOp(String),
    #[error("error parsing regexp: invalid repeat count: `{0}`")]
    InvalidRepeatSize(String),
    #[error("error parsing regexp: expression nests too deeply: `{0}`")]
    NestingDepth(String),
    #[error("error parsing regexp: expression too large: `{0}`")]
    TooLarge(String),
}

/// Compiles `pattern` with Go's syntax (`regexp.Compile`). Group names that the `regex` crate
/// could not hold are stored altered: ask [`group_names`] for them.
pub fn compile(pattern: &str) -> Result<Regex, Error> {
    let translated = translate::translate(pattern)?;
    RegexBuilder::new(&translated)
        .size_limit(SIZE_LIMIT)
        .nest_limit(NEST_LIMIT)
        .build()
        .map_err(|_| Error::TooLarge(pattern.to_owned()))
}

/// The names of the groups of a [`compile`]d expression, as written: `Regexp.SubexpNames`. The
/// first, for the whole match, and those of unnamed groups are empty.
pub fn group_names(re: &Regex) -> impl Iterator<Item = &str> {
    re.capture_names()
        .map(|name| name.map_or("", original_name))
}

/// What `template` becomes with the groups of the leftmost match in `text`:
/// `Regexp.ExpandString`. `None`: no match.
///
/// `$name` takes the longest run of letters, digits and underscores (`$1_total` is a group called
/// `1_total`; write `${1}_total`), `$$` is a dollar sign, a group that is unknown or took no part
/// is empty, and a `$` before anything else stays.
pub fn expand(template: &str, re: &Regex, text: &str) -> Option<String> {
    let captures = re.captures(text)?;
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = reference(after) {
            out.push_str(group(name, re, &captures));
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Some(out)
}

/// How big a compiled program may be. Go allows 128 MiB; 64 MiB here hold any pattern that is
/// about metric names (`\pL{1000}` takes under 48), and stop one that would eat the machine.
const SIZE_LIMIT: usize = 64 << 20;

/// How deep groups may nest. The `regex` crate's compiler recurses: unoptimized, 100 levels
/// overflow the 2 MiB stack of a thread.
const MAX_DEPTH: usize = 60;

/// What the `regex` crate counts as nesting: a group, a repetition, an alternation and a
/// concatenation at each of our levels, and a class within a class at the innermost.
const NEST_LIMIT: u32 = 4 * 60 + 8;

/// The name after a `$` (digits count as a name), and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nd}_]+").expect("a constant must compile"));
    let braced = text.strip_prefix('{');
    let text = braced.unwrap_or(text);
    let (name, after) = text.split_at(NAME.find(text)?.end());
    match braced {
        Some(_) => Some((name, after.strip_prefix('}')?)),
        None => Some((name, after)),
    }
}

fn group<'t>(name: &str, re: &Regex, captures: &Captures<'t>) -> &'t str {
    let number = name.parse::<usize>().ok().filter(|_| {
        name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'))
    });
    let found = match number {
        Some(number) => captures.get(number),
        None => group_names(re)
            .enumerate()
            .filter(|(_, candidate)| *candidate == name)
            .find_map(|(i, _)| captures.get(i)),
    };
    found.map_or("", |m| m.as_str())
}

/// A name under which the `regex` crate holds a group that Go calls `name`. Go allows a digit in
/// front and the same name twice; the crate does not, but allows `.` and `[…]`, which Go does not.
fn stored_name(name: &str, used: &mut BTreeMap<String, usize>) -> String {
    let count = used.entry(name.to_owned()).or_insert(0);
    *count += 1;
    let front = if name.starts_with(|c: char| c.is_ascii_digit()) {
        "_."
    } else {
        ""
    };
    match count {
        1 => format!("{front}{name}"),
        n => format!("{front}{name}[{n}]"),
    }
}

/// Undoes [`stored_name`].
fn original_name(stored: &str) -> &str {
    let name = stored.strip_prefix("_.").unwrap_or(stored);
    name.split_once('[').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests;
