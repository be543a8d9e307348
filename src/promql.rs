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

mod enforce;

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

/// A label name as it may stand in a selector: Prometheus 3 takes any UTF-8 name when it is quoted.
fn label_text(label: &str) -> String {
    if is_label_name(label) {
        label.to_owned()
    } else {
        quote(label)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn selector(text: &str) -> SeriesSelector {
        SeriesSelector::parse(text).unwrap_or_else(|| panic!("{text} must parse"))
    }

    #[test]
    fn a_literal_name_is_found_in_both_spellings() {
        assert_eq!(
            selector(r#"a:b_total{x!=""}"#).literal_name(),
            Some("a:b_total")
        );
        assert_eq!(
            selector(r#"{__name__="lag",x!=""}"#).literal_name(),
            Some("lag")
        );
        assert_eq!(selector(r#"{__name__=~"lag"}"#).literal_name(), None);
        assert_eq!(
            selector(r#"{__name__="a",__name__=~"b"}"#).literal_name(),
            None
        );
        assert_eq!(selector(r#"{x="y"}"#).literal_name(), None);
    }

    #[test]
    fn a_matcher_that_refuses_the_empty_string_guarantees_its_label() {
        let s = selector(r#"m{a!="",b="x",c=~"y|z",d=~".*",e!="w",f!~"",g=""}"#);
        let guaranteed: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"]
            .into_iter()
            .filter(|l| s.guarantees(l))
            .collect();
        assert_eq!(guaranteed, ["a", "b", "c", "f"]);
    }

    #[test]
    fn a_label_is_added_without_changing_the_rest() {
        for (text, extended) in [
            ("up", r#"up{pod!=""}"#),
            ("up{}", r#"up{pod!=""}"#),
            (
                r#"{__name__=~"^c_.*",x!="POD",}"#,
                r#"{__name__=~"^c_.*",x!="POD",pod!=""}"#,
            ),
            (
                r#"m{path=~"/a\\.b|\"c"}"#,
                r#"m{path=~"/a\\.b|\"c",pod!=""}"#,
            ),
            ("m{a='x'}", r#"m{a="x",pod!=""}"#),
        ] {
            assert_eq!(selector(text).with_label("pod"), extended);
        }
        assert_eq!(selector("up").with_label("a.b"), r#"up{"a.b"!=""}"#);
    }

    #[test]
    fn anything_but_a_plain_selector_is_left_to_prometheus() {
        for text in [
            "",
            "rate(a[5m])",
            "a offset 5m",
            "a @ 5",
            "a[5m]",
            "a + b",
            "a{",
            r#"{a="1" or b="2"}"#,
        ] {
            assert!(SeriesSelector::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_deepest_tree_is_walked_and_a_deeper_one_is_not_made() {
        let repeated = |head: &str, level: &str, tail: &str, end: &str, n: usize| {
            format!("{head}{}{tail}{}", level.repeat(n), end.repeat(n))
        };
        for (head, level, tail, end) in [
            ("", "-", "a", ""),
            ("a", " + a", "", ""),
            ("a", " and on () a", "", ""),
            ("a", " == bool 1", "", ""),
            ("", "(", "a", ")"),
            ("", "abs(", "a", ")"),
            ("", "sum(", "a", ") by (b)"),
            ("a", "[1h:1m]", "", ""),
        ] {
            let of = |n| repeated(head, level, tail, end, n);
            let deep = of((LEVELS_MAX - 1) / levels(&of(1)).saturating_sub(1).max(1));
            assert!(levels(&deep) <= LEVELS_MAX);
            if let Ok(tree) = syntax(&deep) {
                assert!(!tree.to_string().is_empty());
            }
            let deeper = of(100_000);
            let cause = syntax(&deeper).expect_err(level);
            assert!(
                cause.contains("more than 250 operators"),
                "{level}: {cause}"
            );
            assert_eq!(doubt(&deeper), None, "{level}");
            assert!(SeriesSelector::parse(&deeper).is_none(), "{level}");
        }
        // A comment ends at either, to the parser as well.
        for end in ["\n", "\r", "\r\n"] {
            let hidden = format!("# {end}{}a", "-".repeat(100_000));
            assert!(syntax(&hidden).is_err(), "{end:?}");
        }
    }

    #[test]
    fn levels_are_of_operators_and_not_of_texts() {
        for (query, expected) in [
            ("a", 1),
            (r#"a{b="((", c=~'\'--', d=`-"-`} # + + +"#, 1),
            (r#"a{b!="x"} == 1"#, 3),
            ("a or b\nOR c unless(d)", 5),
            ("sum(rate(nor_and[5m])) by (b)", 5),
        ] {
            assert_eq!(levels(query), expected, "{query}");
            assert!(parse(query).is_some_and(|it| it.is_ok()), "{query}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_string_reads_back_as_itself(text in "\\PC*|[\\x00-\\x7f]*") {
            let s = selector(&format!("m{{a={}}}", quote(&text)));
            prop_assert_eq!(&s.selector.matchers.matchers[0].value, &text);
        }

        #[test]
        fn an_escaped_value_matches_only_itself(value in "\\PC{0,12}", other in "\\PC{0,12}") {
            let re = regex::Regex::new(&format!("^(?:{})$", escape_regex(&value))).unwrap();
            prop_assert!(re.is_match(&value));
            prop_assert_eq!(re.is_match(&other), value == other);
        }

        #[test]
        fn an_extended_selector_parses_to_the_same_matchers_and_one_more(
            value in "[a-z./\"\\\\ ]{0,8}", op in prop::sample::select(vec!["=", "!="]),
        ) {
            let original = selector(&format!("m{{a{op}{},b=\"c\"}}", quote(&value)));
            let extended = selector(&original.with_label("pod"));
            let before = original.selector.matchers.matchers;
            let after = extended.selector.matchers.matchers;
            prop_assert_eq!(&after[..before.len()], &before[..]);
            prop_assert_eq!(after.len(), before.len() + 1);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = SeriesSelector::parse(&text);
        }
    }
}
