//! The query templates of a rule, and what their mistakes mean.

use std::ops::Range;

use super::Code;
use super::located::Located;
use super::report::Report;
use crate::go::regex;
use crate::go::template::{self, Template};
use crate::promql;

/// The name Go's adapter gives the template in its messages.
const QUERY_TEMPLATE: &str = "metrics-query";

const ACTIONS: &str = "an action begins with << and ends with >>, as <<.LabelMatchers>>";

/// Mistakes reported in one template.
const MAX_REPORTED: usize = 5;

/// A query template with its text.
#[derive(Debug)]
pub struct Query {
    /// `None`: the file gives none, and every ask fails.
    pub template: Option<Template>,
    /// The template's text and place; where there is none, the place where it is missing.
    pub source: Located,
}

impl Query {
    /// Whether its text is the same for every ask.
    pub fn is_fixed(&self) -> bool {
        const OF_ASKS: [&str; 4] = [
            "LabelMatchers",
            "LabelValuesByName",
            "GroupBy",
            "GroupBySlice",
        ];
        let template = self.template.as_ref();
        template.is_some_and(|template| !OF_ASKS.iter().any(|field| template.reads(field)))
    }

    /// `None` where `report` has an error about it. `missing` is where the field would belong;
    /// where it is absent for a reason already told, `quiet` says no more.
    pub(super) fn compile(
        raw: Option<&Located>,
        missing: &Located,
        quiet: bool,
        path: &str,
        report: &mut Report<'_>,
    ) -> Option<Query> {
        let Some(source) = raw.filter(|raw| !raw.text.is_empty()) else {
            // What an empty `query` lacks is told with all else that its rule lacks.
            if quiet || path.ends_with(".query") {
                return Some(Query {
                    template: None,
                    source: raw.unwrap_or(missing).clone(),
                });
            }
            let field = path.rsplit('.').next().unwrap_or(path);
            let message = format!("there is no `{field}`: every ask for it fails");
            let series = if field == "query" {
                "a_series"
            } else {
                "<<.Series>>"
            };
            let help = format!(
                "add one, as `{field}: 'sum({series}{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)'`"
            );
            let source = raw.unwrap_or(missing).clone();
            report.warning(Code::NoQuery, source.span.clone(), path, message, help);
            return Some(Query {
                template: None,
                source,
            });
        };
        let parsed = Template::parse(QUERY_TEMPLATE, &source.text);
        let template = parsed
            .map_err(|error| template_error(source, &error, None, path, ACTIONS, report))
            .ok()?;
        lint(&template, source, path, report);
        if template.lint().is_empty() {
            doubt(&template, source, path, report);
        }
        Some(Query {
            template: Some(template),
            source: source.clone(),
        })
    }
}

/// How the query reads for some object; `None` where it depends on the values of an ask.
pub(super) fn sample(template: &Template) -> Option<String> {
    if template.reads("LabelValuesByName") {
        return None;
    }
    let data = template::Data {
        series: "some_series".to_owned(),
        label_matchers: "namespace=\"shop\",pod=\"web\"".to_owned(),
        group_by: "pod".to_owned(),
        group_by_slice: vec!["pod".to_owned()],
        ..template::Data::default()
    };
    template.render(&data).ok()
}

/// Says where the query is no PromQL once rendered, for some object. What depends on the values of
/// an ask cannot be told.
fn doubt(template: &Template, source: &Located, path: &str, report: &mut Report<'_>) {
    let Some(query) = sample(template) else {
        return;
    };
    if let Some(doubt) = promql::doubt(&query) {
        let message = format!("this is hardly PromQL once rendered: {doubt}");
        let help = format!("Prometheus has the last word; rendered for a pod it reads: {query}");
        report.warning(Code::Promql, source.span.clone(), path, message, help);
    }
}

fn lint(template: &Template, source: &Located, path: &str, report: &mut Report<'_>) {
    for lint in template.lint().iter().take(MAX_REPORTED) {
        let place = source.span_in(report.text(), word(&source.text, lint.position.offset));
        let help = "the fields are .Series, .LabelMatchers, .LabelValuesByName, .GroupBy and \
                    .GroupBySlice";
        let message = format!("{}: an ask that gets here fails", cause(&lint.text));
        report.warning(Code::TemplateField, place, path, message, help.to_owned());
    }
    if let Some(at) = source.text.find("{{") {
        let place = source.span_in(report.text(), at..at + 2);
        let message = "`{{` begins no action here: it is sent to Prometheus as it stands";
        let help = ACTIONS.to_owned();
        report.warning(Code::TemplateDelimiters, place, path, message, help);
    }
}

/// Reports what is wrong at the byte `at` of a template, if that is known. `help` says what the
/// template can hold.
pub(super) fn template_error(
    source: &Located,
    error: &template::Error,
    at: Option<usize>,
    path: &str,
    help: &str,
    report: &mut Report<'_>,
) {
    let place = match error.offset().or(at) {
        Some(at) => source.span_in(report.text(), word(&source.text, at)),
        None => source.span.clone(),
    };
    // Go names actions in its own delimiters, whatever the template's are.
    let cause = cause(&error.to_string())
        .replace("{{", "<<")
        .replace("}}", ">>");
    let message = format!("not a template: {cause}");
    report.error(Code::Template, place, path, message, help.to_owned());
}

/// The field, word or single character at the byte `at` of a template.
fn word(text: &str, at: usize) -> Range<usize> {
    let rest = text.get(at..).unwrap_or_default();
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let len = rest.find(|c| !part(c)).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    at..at + len.max(first)
}

/// Go's error without its place in the template, which the code frame shows:
/// `template: NAME:LINE:COLUMN: executing "NAME" at <.Foo>: …`.
fn cause(error: &str) -> &str {
    let rest = error
        .strip_prefix("template: ")
        .and_then(|rest| rest.split_once(": "));
    let rest = rest.map_or(error, |(_, rest)| rest);
    match rest
        .strip_prefix("executing ")
        .and_then(|rest| rest.split_once(">: "))
    {
        Some((_, cause)) => cause,
        None => rest,
    }
}

/// Go's words for what is wrong with a regular expression.
pub(super) fn regex_error(error: &regex::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("error parsing regexp: ")
        .unwrap_or(&text)
        .to_owned()
}

/// What to write instead, by the words of Go's `regexp/syntax` errors.
pub(super) fn regex_help(error: &str) -> Option<&'static str> {
    const HELP: &[(&str, &str)] = &[
        (
            "missing closing )",
            "close the group, or write `\\(` for a parenthesis",
        ),
        (
            "unexpected )",
            "open the group, or write `\\)` for a parenthesis",
        ),
        (
            "missing closing ]",
            "close the set, or write `\\[` for a bracket",
        ),
        (
            "missing argument to repetition",
            "write `.*` for any text: `*` repeats what is before it",
        ),
        (
            "invalid nested repetition",
            "repeat once only, or put the inner part into `(?:…)`",
        ),
        (
            "(?=",
            "there is no look-ahead: use a `seriesFilters` entry with `is` or `isNot`",
        ),
        (
            "(?!",
            "there is no look-ahead: use a `seriesFilters` entry with `is` or `isNot`",
        ),
        (
            "(?<",
            "there is no look-behind, and a named group is `(?P<name>…)`",
        ),
        (
            "invalid or unsupported Perl syntax",
            "write a group as `(…)`, `(?:…)` or `(?P<name>…)`",
        ),
        (
            "invalid escape sequence",
            "write the character itself, or its code as `\\x41`",
        ),
        ("invalid repeat count", "a count goes up to 1000"),
        (
            "invalid character class range",
            "put a literal `-` last in the set",
        ),
        ("trailing backslash", "write `\\\\` for a backslash"),
    ];
    HELP.iter()
        .find(|(text, _)| error.contains(text))
        .map(|(_, help)| *help)
}
