//! From a series name to the name of a metric in our API.
//!
//! Follows prometheus-adapter's `pkg/naming/metric_namer.go` and `regex_matcher.go`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Code;
use super::file::{RawFilter, RawRule};
use super::located::Located;
use super::query::{regex_error, regex_help};
use super::report::{Report, quoted};
use crate::go;

mod backwards;

/// What an absent `name.matches` means: shared, for most rules have none.
static ANYTHING: LazyLock<Regex> =
    LazyLock::new(|| go::regex::compile(".*").expect("a constant pattern must compile"));

/// Mistakes reported in one `name.as`.
const MAX_REPORTED: usize = 5;

/// Which series a rule takes, and what each is called.
#[derive(Debug, Clone)]
pub struct Naming {
    filters: Vec<Filter>,
    matches: Regex,
    /// `name.matches` as it is written; empty where it is absent.
    pattern: String,
    /// Its place in the file.
    pattern_span: Range<usize>,
    name_as: String,
}

#[derive(Debug, Clone)]
struct Filter {
    regex: Regex,
    keep: bool,
    span: Range<usize>,
}

/// The field of a rule that leaves series out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// `seriesFilters[0].is`, below the rule.
    pub field: String,
    /// Its place in the file.
    pub span: Range<usize>,
}

impl Naming {
    /// Whether the series named `series` belongs to the rule: every `seriesFilters` entry and
    /// `name.matches` agree. Regular expressions are not anchored.
    pub fn keeps(&self, series: &str) -> bool {
        self.lets_in(series) && self.matches.is_match(series)
    }

    /// Whether `seriesFilters` let the series named `series` in.
    pub fn lets_in(&self, series: &str) -> bool {
        let agrees = |it: &Filter| it.regex.is_match(series) == it.keep;
        self.filters.iter().all(agrees)
    }

    /// What leaves the last of these series out; `None` where one is kept, or where there are none.
    pub fn left_out(&self, series: &[&str]) -> Option<LeftOut> {
        let mut left = series.to_vec();
        if left.is_empty() {
            return None;
        }
        for (index, filter) in self.filters.iter().enumerate() {
            left.retain(|it| filter.regex.is_match(it) == filter.keep);
            if left.is_empty() {
                let word = if filter.keep { "is" } else { "isNot" };
                return Some(LeftOut {
                    field: format!("seriesFilters[{index}].{word}"),
                    span: filter.span.clone(),
                });
            }
        }
        left.retain(|it| self.matches.is_match(it));
        left.is_empty().then(|| LeftOut {
            field: "name.matches".to_owned(),
            span: self.pattern_span.clone(),
        })
    }

    /// The name of the metric made from `series`; `None` where `name.matches` does not match. The
    /// name can be empty, where `name.as` names a group that took no part.
    pub fn api_name(&self, series: &str) -> Option<String> {
        go::regex::expand(&self.name_as, &self.matches, series)
    }

    /// What names are made of: `name.as`, or what stands for it.
    pub fn template(&self) -> &str {
        &self.name_as
    }

    /// Whether it takes the same series as another, and calls them the same.
    pub fn is_like(&self, other: &Naming) -> bool {
        let same = |one: &Filter, other: &Filter| {
            one.keep == other.keep && one.regex.as_str() == other.regex.as_str()
        };
        let mut filters = self.filters.iter().zip(&other.filters);
        self.filters.len() == other.filters.len()
            && filters.all(|(one, other)| same(one, other))
            && self.matches.as_str() == other.matches.as_str()
            && self.name_as == other.name_as
    }

    /// `name.as` if it is the same whatever the series: a rule that knows its metric's name without
    /// asking anybody.
    pub fn literal(&self) -> Option<&str> {
        (!self.name_as.contains('$')).then_some(&self.name_as)
    }

    /// `None` where `report` has an error about it.
    pub(super) fn compile(raw: &RawRule, path: &str, report: &mut Report<'_>) -> Option<Naming> {
        let path_matches = format!("{path}.name.matches");
        let filters: Vec<Option<Filter>> = raw
            .filters
            .iter()
            .enumerate()
            .map(|(index, filter)| {
                Filter::compile(filter, &format!("{path}.seriesFilters[{index}]"), report)
            })
            .collect();
        let pattern = raw
            .matches
            .as_ref()
            .filter(|matches| !matches.text.is_empty());
        let matches = match pattern {
            Some(pattern) => compile(pattern, &path_matches, report),
            None => Some(ANYTHING.clone()),
        }?;
        let given = raw
            .name_as
            .as_ref()
            .filter(|name_as| !name_as.text.is_empty());
        let name_as = match (given, matches.captures_len()) {
            (Some(given), _) => {
                check_references(given, &matches, &format!("{path}.name.as"), report);
                given.text.clone()
            }
            (None, 1) => "$0".to_owned(),
            (None, 2) => "$1".to_owned(),
            (None, groups) => {
                let span = pattern.map_or(raw.span.clone(), |pattern| pattern.span.clone());
                let message = format!("`matches` has {} groups and there is no `as`", groups - 1);
                let help = "say which text is the name, as `as: \"${1}_${2}\"`, or keep one group \
                            and write the others as `(?:…)`";
                report.error(
                    Code::NameGroups,
                    span,
                    &path_matches,
                    message,
                    help.to_owned(),
                );
                return None;
            }
        };
        Some(Naming {
            filters: filters.into_iter().collect::<Option<_>>()?,
            matches,
            pattern: pattern.map(|it| it.text.clone()).unwrap_or_default(),
            pattern_span: pattern.map(|it| it.span.clone()).unwrap_or_default(),
            name_as,
        })
    }
}

impl Filter {
    fn compile(raw: &RawFilter, path: &str, report: &mut Report<'_>) -> Option<Filter> {
        let given = |field: &'_ Option<Located>| field.clone().filter(|text| !text.text.is_empty());
        match (given(&raw.is), given(&raw.is_not)) {
            (Some(_), Some(is_not)) => {
                let message = "a filter takes `is` or `isNot`, not both";
                let help = "make two filters of it: a series must pass every one of them";
                report.error(
                    Code::SeriesFilter,
                    is_not.span,
                    path,
                    message,
                    help.to_owned(),
                );
                None
            }
            (None, None) => {
                let message = "this filter has neither `is` nor `isNot`";
                let help = "write `- is: REGEX` or `- isNot: REGEX`, or remove the filter";
                report.error(
                    Code::SeriesFilter,
                    raw.span.clone(),
                    path,
                    message,
                    help.to_owned(),
                );
                None
            }
            (Some(is), None) => {
                let regex = compile(&is, &format!("{path}.is"), report)?;
                Some(Filter {
                    regex,
                    keep: true,
                    span: is.span,
                })
            }
            (None, Some(is_not)) => {
                let regex = compile(&is_not, &format!("{path}.isNot"), report)?;
                Some(Filter {
                    regex,
                    keep: false,
                    span: is_not.span,
                })
            }
        }
    }
}

fn compile(pattern: &Located, path: &str, report: &mut Report<'_>) -> Option<Regex> {
    go::regex::compile(&pattern.text)
        .map_err(|error| {
            let text = regex_error(&error);
            let place = blamed(&text, &pattern.text).unwrap_or(0..pattern.text.len());
            let place = pattern.span_in(report.text(), place);
            let help = regex_help(&text).map(str::to_owned);
            report.error(
                Code::Regex,
                place,
                path,
                format!("not a regular expression: {text}"),
                help,
            );
        })
        .ok()
}

/// Go's errors end in the piece that is wrong, in backticks, or in the whole pattern.
fn blamed(error: &str, pattern: &str) -> Option<Range<usize>> {
    let (_, piece) = error.split_once(": `")?;
    let piece = piece.strip_suffix('`')?;
    let at = pattern.find(piece)?;
    Some(at..at + piece.len())
}

/// Go expands a reference to a group that does not exist to nothing, without a word.
fn check_references(name_as: &Located, matches: &Regex, path: &str, report: &mut Report<'_>) {
    let exists = |name: &str| match index(name) {
        Some(index) => index < matches.captures_len(),
        None => go::regex::group_names(matches).any(|known| known == name),
    };
    let references = references(&name_as.text);
    let unknown: Vec<_> = references
        .iter()
        .filter(|(_, name)| !exists(name))
        .collect();
    let covered: usize = references.iter().map(|(span, _)| span.len()).sum();
    let empty = unknown.len() == references.len() && covered == name_as.text.len();
    for (span, name) in unknown.iter().take(MAX_REPORTED) {
        let digits = name
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(name.len());
        let (number, rest) = name.split_at(digits);
        let help = if !number.is_empty() && !rest.is_empty() && exists(number) {
            format!("write `${{{number}}}{rest}`: without braces the name of the group goes on")
        } else {
            groups_help(matches.captures_len() - 1)
        };
        let message = format!(
            "`matches` has no group {}, so it stands for nothing{}",
            quoted(name),
            if empty { ": every name is empty" } else { "" }
        );
        let place = name_as.span_in(report.text(), span.clone());
        report.warning(Code::NameReference, place, path, message, help);
    }
}

fn groups_help(groups: usize) -> String {
    match groups {
        0 => "put the part of `matches` that is meant into parentheses".to_owned(),
        1 => "it has one group, written `${1}`".to_owned(),
        _ => format!("it has groups up to `${{{groups}}}`"),
    }
}

/// The number a reference means; with a leading zero it is a name (Go `regexp.extract`).
fn index(name: &str) -> Option<usize> {
    let number =
        name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if number { name.parse().ok() } else { None }
}

/// The `$name` and `${name}` of a template with their places (Go `Regexp.Expand`).
fn references(template: &str) -> Vec<(Range<usize>, &str)> {
    let word = |text: &str| {
        text.find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(text.len())
    };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(dollar) = template.get(at..).and_then(|rest| rest.find('$')) {
        let start = at + dollar;
        let rest = template.get(start + 1..).unwrap_or_default();
        let braced = rest.strip_prefix('{');
        let name = braced.unwrap_or(rest);
        let name = name.get(..word(name)).unwrap_or_default();
        let after = |rest: &str| {
            rest.get(name.len()..)
                .is_some_and(|rest| rest.starts_with('}'))
        };
        let closed = braced.is_none_or(after);
        let len = 1 + name.len() + if braced.is_some() { 2 } else { 0 };
        at = if rest.starts_with('$') {
            start + 2
        } else if name.is_empty() || !closed {
            start + 1
        } else {
            found.push((start..start + len, name));
            start + len
        };
    }
    found
}
