//! A file of tests: what it holds, and every mistake in it with its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::expected::{Expected, Raw as RawExpected};
use super::notation::{self, Sample};
use crate::config::ask::{self, Ask};
use crate::go;
use crate::kubernetes::standalone::Objects;
use crate::rules::{Code, Finding, Severity};

/// promtool's default of `interval`.
const INTERVAL: Duration = Duration::from_secs(60);

/// Samples of all series of one test.
const SAMPLES_MAX: usize = 5_000_000;

/// One file of tests.
pub(super) struct TestFile {
    /// The rules that it is about.
    pub(super) rule_files: Vec<PathBuf>,
    pub(super) tests: Vec<Test>,
}

/// A world, and what is asked of it.
pub(super) struct Test {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) series: Vec<Series>,
    pub(super) objects: Arc<Objects>,
    pub(super) asks: Vec<Question>,
}

/// One series from time 0 on.
pub(super) struct Series {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) interval: Duration,
    pub(super) samples: Vec<Sample>,
}

/// What is asked at some time, and what must come of it.
pub(super) struct Question {
    pub(super) line: usize,
    /// As it is written.
    pub(super) text: String,
    /// The path and query of the API.
    pub(super) path: String,
    pub(super) at: Timestamp,
    /// As it is written.
    pub(super) time: String,
    pub(super) expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    rule_files: Spanned<Vec<Spanned<String>>>,
    tests: Spanned<Vec<RawTest>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTest {
    name: Option<Spanned<String>>,
    interval: Option<Spanned<String>>,
    #[serde(default)]
    input_series: Vec<RawSeries>,
    #[serde(default)]
    objects: Vec<Spanned<Value>>,
    metric_test: Spanned<Vec<RawQuestion>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeries {
    series: Spanned<String>,
    values: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuestion {
    ask: Spanned<String>,
    eval_time: Spanned<String>,
    exp_values: Option<Spanned<BTreeMap<String, Value>>>,
    exp_value: Option<Spanned<Value>>,
    exp_samples: Option<Spanned<Vec<RawSample>>>,
    exp_error: Option<Spanned<String>>,
    exp_code: Option<Spanned<u16>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSample {
    pub(super) labels: Spanned<String>,
    pub(super) value: Spanned<Value>,
}

/// Reads `text`, a file in `folder`.
///
/// # Errors
/// Every mistake that can be told at once: where it is not of this shape, the first.
pub(super) fn read(text: &str, folder: &Path) -> Result<TestFile, Vec<Finding>> {
    let raw: RawFile = serde_saphyr::from_str(text).map_err(|error| {
        let location = error.location().unwrap_or(Location::UNKNOWN);
        let span = at(text, &location);
        let message = error.without_snippet().to_string();
        let code = Code::YamlSyntax;
        vec![Finding::new(Severity::Error, code, text, span, "", message)]
    })?;
    let mut reader = Reader {
        text,
        findings: Vec::new(),
    };
    if raw.rule_files.value.is_empty() {
        let span = at(text, &raw.rule_files.referenced);
        reader.wrong(span, "rule_files", "there is no file of rules", None);
    }
    if raw.tests.value.is_empty() {
        let span = at(text, &raw.tests.referenced);
        reader.wrong(span, "tests", "there is no test", None);
    }
    let rule_files = raw.rule_files.value.iter();
    let rule_files = rule_files.map(|it| folder.join(&it.value)).collect();
    let tests: Vec<Option<Test>> = raw
        .tests
        .value
        .iter()
        .enumerate()
        .map(|(index, raw)| reader.test(raw, &format!("tests[{index}]")))
        .collect();
    match tests.into_iter().collect() {
        Some(tests) if reader.findings.is_empty() => Ok(TestFile { rule_files, tests }),
        _ => Err(reader.findings),
    }
}

/// The bytes of `text` at a place.
fn at(text: &str, place: &Location) -> Range<usize> {
    let line = usize::try_from(place.line()).unwrap_or(usize::MAX).max(1);
    let column = usize::try_from(place.column()).unwrap_or(usize::MAX).max(1);
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(line - 1).map(str::len).sum();
    let on_line = lines.next().unwrap_or_default();
    let content = on_line.trim_end();
    let start = content.char_indices().nth(column - 1);
    let start = before + start.map_or(content.len(), |(at, _)| at);
    start..(before + content.len()).max(start)
}

struct Reader<'t> {
    text: &'t str,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn wrong(&mut self, span: Range<usize>, field: &str, message: &str, help: Option<&str>) {
        let code = Code::InvalidValue;
        let finding = Finding::new(Severity::Error, code, self.text, span, field, message);
        let finding = Finding {
            help: help.map(str::to_owned),
            ..finding
        };
        self.findings.push(finding);
    }

    /// What was read, or a finding where it stands.
    fn told<T, E: std::fmt::Display>(
        &mut self,
        read: Result<T, E>,
        place: &Location,
        field: &str,
    ) -> Option<T> {
        read.map_err(|error| {
            self.wrong(at(self.text, place), field, &error.to_string(), None);
        })
        .ok()
    }

    fn test(&mut self, raw: &RawTest, path: &str) -> Option<Test> {
        let interval = match &raw.interval {
            Some(interval) => self.duration(interval, &format!("{path}.interval"), true),
            None => Some(INTERVAL),
        };
        let series: Vec<Option<Series>> = raw
            .input_series
            .iter()
            .enumerate()
            .map(|(index, raw)| {
                let path = format!("{path}.input_series[{index}]");
                self.series(raw, interval.unwrap_or(INTERVAL), &path)
            })
            .collect();
        let objects = self.objects(&raw.objects, path);
        if raw.metric_test.value.is_empty() {
            let span = at(self.text, &raw.metric_test.referenced);
            self.wrong(
                span,
                &format!("{path}.metric_test"),
                "nothing is asked",
                None,
            );
        }
        let asks: Vec<Option<Question>> = raw
            .metric_test
            .value
            .iter()
            .enumerate()
            .map(|(index, raw)| {
                let path = format!("{path}.metric_test[{index}]");
                self.question(raw, &path)
            })
            .collect();
        let series: Vec<Series> = series.into_iter().collect::<Option<_>>()?;
        let samples: usize = series.iter().map(|it| it.samples.len()).sum();
        let first = raw.metric_test.referenced;
        let place = raw.name.as_ref().map_or(first, |name| name.referenced);
        if samples > SAMPLES_MAX {
            let message = format!("the series of one test have more than {SAMPLES_MAX} samples");
            self.wrong(
                at(self.text, &place),
                &format!("{path}.input_series"),
                &message,
                None,
            );
            return None;
        }
        let name = raw.name.as_ref().map(|name| name.value.clone());
        Some(Test {
            name: name.unwrap_or_else(|| path.to_owned()),
            line: usize::try_from(place.line()).unwrap_or(usize::MAX),
            series,
            objects: Arc::new(objects?),
            asks: asks.into_iter().collect::<Option<_>>()?,
        })
    }

    fn duration(
        &mut self,
        raw: &Spanned<String>,
        field: &str,
        above_zero: bool,
    ) -> Option<Duration> {
        // promtool takes 0 alone as well.
        let read = match raw.value.as_str() {
            "0" => Ok(Duration::ZERO),
            text => go::duration::parse_prometheus(text),
        };
        let duration = self.told(read, &raw.referenced, field)?;
        if above_zero && duration.is_zero() {
            let span = at(self.text, &raw.referenced);
            self.wrong(span, field, "it must be above zero", None);
            return None;
        }
        Some(duration)
    }

    fn series(&mut self, raw: &RawSeries, interval: Duration, path: &str) -> Option<Series> {
        let labels = notation::series(&raw.series.value);
        let labels = self.told(labels, &raw.series.referenced, &format!("{path}.series"));
        let samples = notation::values(&raw.values.value);
        let samples = self.told(samples, &raw.values.referenced, &format!("{path}.values"));
        Some(Series {
            labels: labels?,
            interval,
            samples: samples?,
        })
    }

    /// Each by itself first, so that a mistake is told where it stands; then all together, so that
    /// definitions of kinds are known to the others.
    fn objects(&mut self, raw: &[Spanned<Value>], path: &str) -> Option<Objects> {
        let list = |items: Vec<&Value>| {
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
            Objects::parse(list.to_string().as_bytes())
        };
        let before = self.findings.len();
        for (index, object) in raw.iter().enumerate() {
            let field = format!("{path}.objects[{index}]");
            if let Err(error) = list(vec![&object.value]) {
                let text = error.to_string();
                let text = text.strip_prefix("document 1.items[0]: ").unwrap_or(&text);
                self.wrong(at(self.text, &object.referenced), &field, text, None);
            }
        }
        if self.findings.len() > before {
            return None;
        }
        let objects = list(raw.iter().map(|it| &it.value).collect());
        let place = raw.first().map_or(Location::UNKNOWN, |it| it.referenced);
        let objects = self.told(objects, &place, &format!("{path}.objects"))?;
        for unknown in objects.unknown() {
            let text = unknown.trim_start_matches("document 1.items");
            let message = format!("objects{text}");
            self.wrong(
                at(self.text, &place),
                &format!("{path}.objects"),
                &message,
                None,
            );
        }
        Some(objects)
    }

    fn question(&mut self, raw: &RawQuestion, path: &str) -> Option<Question> {
        let asked = Ask::read(&raw.ask.value).and_then(|ask| ask.path());
        let field = format!("{path}.ask");
        if let Err(error) = &asked {
            let span = at(self.text, &raw.ask.referenced);
            self.wrong(span, &field, error, Some(ask::SYNTAX));
        }
        let since = self.duration(&raw.eval_time, &format!("{path}.eval_time"), false);
        let expected = self.expected(raw, path);
        let since = since.and_then(|it| Timestamp::UNIX_EPOCH.checked_add(it).ok());
        Some(Question {
            line: usize::try_from(raw.ask.referenced.line()).unwrap_or(usize::MAX),
            text: raw.ask.value.clone(),
            path: asked.ok()?,
            at: since?,
            time: raw.eval_time.value.clone(),
            expected: expected?,
        })
    }

    fn expected(&mut self, raw: &RawQuestion, path: &str) -> Option<Expected> {
        let read = Expected::read(RawExpected {
            values: raw.exp_values.as_ref().map(|it| &it.value),
            value: raw.exp_value.as_ref().map(|it| &it.value),
            samples: raw.exp_samples.as_ref().map(|it| it.value.as_slice()),
            error: raw.exp_error.as_ref().map(|it| it.value.as_str()),
            code: raw.exp_code.as_ref().map(|it| it.value),
        });
        let places = [
            (
                "exp_values",
                raw.exp_values.as_ref().map(|it| it.referenced),
            ),
            ("exp_value", raw.exp_value.as_ref().map(|it| it.referenced)),
            (
                "exp_samples",
                raw.exp_samples.as_ref().map(|it| it.referenced),
            ),
            ("exp_error", raw.exp_error.as_ref().map(|it| it.referenced)),
            ("exp_code", raw.exp_code.as_ref().map(|it| it.referenced)),
        ];
        let given = places
            .into_iter()
            .find_map(|(field, place)| Some((field, place?)));
        let (field, place) = given.unwrap_or(("ask", raw.ask.referenced));
        self.told(read, &place, &format!("{path}.{field}"))
    }
}

#[cfg(test)]
mod tests;
