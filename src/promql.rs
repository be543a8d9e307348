//! PromQL text and syntax: quoting, escaping, and what a series selector says.
//!
//! Everything here is about *text that Prometheus will parse*. Strings are quoted as Go's `%q`
//! does, because the Go adapter renders matchers that way and our queries must equal its queries
//! byte for byte. Syntax is judged on the AST of `promql-parser`; where that parser refuses what
//! Prometheus may accept, the answer is "unknown", never a guess.

mod alternatives;

use std::fmt::Write as _;

use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::VectorSelector;

pub use alternatives::alternatives;
pub use promql_parser::parser::Expr;

pub use crate::go::quote;
pub use enforce::{Enforcer, NotEnforced};
pub use reads::{Matching, Read, loses, loses_buckets, reads};

mod enforce;
mod reads;

/// Escapes the characters that mean something in a regular expression, as Go's `regexp.QuoteMeta`.
pub fn escape_regex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Whether Prometheus takes `name` as an unquoted label name: `[a-zA-Z_][a-zA-Z0-9_]*`
/// (`model.LabelName`, Prometheus data model).
pub fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether PromQL reads `name` as the name of a series wherever it stands: one of the classic form,
/// `[a-zA-Z_:][a-zA-Z0-9_:]*` (Prometheus data model), that is no word of the language itself
/// (`promql/parser/lex.go`).
pub fn is_series_name(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "and",
        "anchored",
        "atan2",
        "bool",
        "by",
        "end",
        "fill",
        "fill_left",
        "fill_right",
        "group_left",
        "group_right",
        "ignoring",
        "inf",
        "nan",
        "offset",
        "on",
        "or",
        "range",
        "smoothed",
        "start",
        "step",
        "unless",
        "without",
    ];
    let is_letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b':';
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_letter)
        && bytes.all(|b| is_letter(b) || b.is_ascii_digit())
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// How many levels a syntax tree may have. Trees are walked, written and taken apart recursively,
/// on stacks of two megabytes.
const LEVELS_MAX: usize = 250;

/// A number that the syntax tree of a query does not exceed in levels, whatever they are: each of
/// them but one takes an operator, a parenthesis or a bracket.
fn levels(query: &str) -> usize {
    let mut levels = 1;
    let (mut string, mut comment, mut escaped) = (None, false, false);
    let mut before = ' ';
    let mut word = 0;
    for (at, c) in query.char_indices() {
        if let Some(quote) = string {
            let is_end = c == quote && !escaped;
            // So does this parser, in raw strings as well.
            escaped = c == '\\' && !escaped;
            string = (!is_end).then_some(quote);
            word = at + c.len_utf8();
            continue;
        }
        if comment {
            comment = !matches!(c, '\n' | '\r');
            word = at + c.len_utf8();
            continue;
        }
        match c {
            '"' | '\'' | '`' => string = Some(c),
            '#' => comment = true,
            // `=` is a matcher's as well, and those make no level.
            '(' | '[' | '+' | '-' | '*' | '/' | '%' | '^' | '<' | '>' | '!' => levels += 1,
            '=' if before == '=' => levels += 1,
            _ => {}
        }
        if !c.is_ascii_alphanumeric() && c != '_' {
            levels += usize::from(is_operator(&query[word..at]));
            word = at + c.len_utf8();
        }
        before = c;
    }
    levels
}

/// Digits may stand before a word without a space.
fn is_operator(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let operators = ["and", "or", "unless", "atan2"];
    operators.iter().any(|it| it.eq_ignore_ascii_case(word))
}

/// Reads a query; `None` where it may have more than [`LEVELS_MAX`].
fn parse(query: &str) -> Option<Result<Expr, String>> {
    (levels(query) <= LEVELS_MAX).then(|| promql_parser::parser::parse(query))
}

/// What seems wrong with a query. This parser lags behind Prometheus, so that its refusal is a hint
/// for a person and never a verdict.
pub fn doubt(query: &str) -> Option<String> {
    parse(query)?.err()
}

/// The syntax tree of a query, which can be walked recursively.
///
/// # Errors
/// What this parser has against the query, which may still be one to Prometheus.
pub fn syntax(query: &str) -> Result<Expr, String> {
    let too_deep =
        || format!("it has more than {LEVELS_MAX} operators, parentheses and brackets in all");
    parse(query).unwrap_or_else(|| Err(too_deep()))
}

/// A series selector as rules write it in `seriesQuery`, understood through its AST.
#[derive(Clone, Debug)]
pub struct SeriesSelector {
    selector: VectorSelector,
}

impl SeriesSelector {
    /// Parses a plain instant selector. `None` where the text is something else, or more than this
    /// parser understands (`offset`, `@`, `or` between matchers): ask Prometheus for `/series`
    /// then.
    pub fn parse(text: &str) -> Option<SeriesSelector> {
        let Some(Ok(Expr::VectorSelector(selector))) = parse(text) else {
            return None;
        };
        let plain = selector.offset.is_none()
            && selector.at.is_none()
            && selector.matchers.or_matchers.is_empty();
        plain.then_some(SeriesSelector { selector })
    }

    /// The one series name this selector can match, if it names one.
    pub fn literal_name(&self) -> Option<&str> {
        let mut names = self
            .selector
            .matchers
            .matchers
            .iter()
            .filter(|m| m.name == METRIC_NAME);
        match (&self.selector.name, names.next(), names.next()) {
            (Some(name), None, _) => Some(name),
            (
                None,
                Some(Matcher {
                    op: MatchOp::Equal,
                    value,
                    ..
                }),
                None,
            ) if !value.is_empty() => Some(value),
            _ => None,
        }
    }

    /// Whether a series of this name may be among those that it matches.
    pub fn admits(&self, name: &str) -> bool {
        let own = self.selector.name.as_deref();
        own.is_none_or(|own| own == name) && self.of_name().all(|it| it.is_match(name))
    }

    /// Whether it says anything about the names of series.
    pub fn names_series(&self) -> bool {
        self.selector.name.is_some() || self.of_name().next().is_some()
    }

    /// The text of this selector for the series of one name.
    pub fn of_series(&self, name: &str) -> String {
        let matchers = self.selector.matchers.matchers.iter();
        let rest = matchers.filter(|it| it.name != METRIC_NAME).map(|it| {
            let (name, value) = (label_text(&it.name), quote(&it.value));
            format!("{name}{}{value}", it.op)
        });
        let rest: Vec<String> = rest.collect();
        with_matchers(name, &rest)
    }

    fn of_name(&self) -> impl Iterator<Item = &Matcher> {
        let matchers = self.selector.matchers.matchers.iter();
        matchers.filter(|it| it.name == METRIC_NAME)
    }

    /// The labels that every series this selector matches carries, with a value that is not empty.
    pub fn guaranteed(&self) -> impl Iterator<Item = &str> {
        let certain = self
            .selector
            .matchers
            .matchers
            .iter()
            .filter(|m| !m.is_match(""));
        certain
            .map(|m| m.name.as_str())
            .filter(|name| *name != METRIC_NAME)
    }

    /// Whether `label` is one of [`SeriesSelector::guaranteed`].
    pub fn guarantees(&self, label: &str) -> bool {
        self.guaranteed().any(|name| name == label)
    }

    /// The text of this selector with `label!=""` added.
    pub fn with_label(&self, label: &str) -> String {
        let mut text = self.selector.name.clone().unwrap_or_default();
        text.push('{');
        for matcher in &self.selector.matchers.matchers {
            let (name, value) = (label_text(&matcher.name), quote(&matcher.value));
            write!(text, "{name}{}{value},", matcher.op)
                .expect("writing to a String must not fail");
        }
        text.push_str(&label_text(label));
        text.push_str("!=\"\"}");
        text
    }
}

/// A selector of the series of one name with these matchers, such as `pod="web-1"`.
pub fn with_matchers(series: &str, matchers: &[String]) -> String {
    match is_series_name(series) {
        true if matchers.is_empty() => series.to_owned(),
        true => format!("{series}{{{}}}", matchers.join(",")),
        false => {
            let name = format!("{METRIC_NAME}={}", quote(series));
            let all: Vec<&str> = std::iter::once(name.as_str())
                .chain(matchers.iter().map(String::as_str))
                .collect();
            format!("{{{}}}", all.join(","))
        }
    }
}

/// A label name as it may stand in a selector: Prometheus 3 takes any UTF-8 name when it is quoted.
pub fn label_text(label: &str) -> String {
    if is_label_name(label) {
        label.to_owned()
    } else {
        quote(label)
    }
}

#[cfg(test)]
mod tests;
