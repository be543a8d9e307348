//! Series as promtool's test files write them: `a{b="c"}` and `0+10x5 _ 7x3 stale`.
//!
//! (Grammar: `promql/parser/generated_parser.y` of Prometheus, `series_description` and
//! `series_item`; numbers: `lex.go`, `scanNumber`, where hexadecimal is off.)

use std::collections::BTreeMap;

use thiserror::Error;

use crate::promql::SeriesSelector;

/// More samples of one series than this are no test: a week of scrapes each 15 seconds has 40,320.
const SAMPLES_MAX: usize = 1_000_000;

/// Prometheus' own label for the name of a series.
pub(super) const METRIC_NAME: &str = "__name__";

/// What a series has at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sample {
    /// A number, NaN and the infinities included.
    Value(f64),
    /// Nothing: the scrape is missing.
    Missing,
    /// The series has ended (Prometheus' staleness marker).
    Stale,
}

/// Why a text is no series or no values.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum Error {
    #[error(
        "{0:?} is no series: write it as http_requests_total{{namespace=\"shop\",pod=\"web-1\"}}"
    )]
    Series(String),
    #[error("a series has a name, as http_requests_total{{…}}")]
    NoName,
    #[error("a series has values, not patterns: write {0}=\"…\"")]
    Pattern(String),
    #[error("there are no values")]
    NoValues,
    #[error(
        "{0:?} is no value: write numbers as 1, 2.5 or 1e3, `_` for a missing scrape, `stale` for \
         the end of the series, AxN for A and N times more of it, A+BxN for N more that grow by B"
    )]
    Value(String),
    #[error("native histograms cannot be written here: {0:?}")]
    Histogram(String),
    #[error("one series has more than {SAMPLES_MAX} samples")]
    TooMany,
}

/// The labels of a series, its name as `__name__`.
pub(super) fn series(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let selector = SeriesSelector::parse(text);
    let selector = selector.ok_or_else(|| Error::Series(text.to_owned()))?;
    let name = selector.literal_name().ok_or(Error::NoName)?;
    let mut labels = BTreeMap::from([(METRIC_NAME.to_owned(), name.to_owned())]);
    for matcher in selector.matchers() {
        if matcher.operator != "=" {
            return Err(Error::Pattern(matcher.label));
        }
        if !matcher.value.is_empty() {
            labels.insert(matcher.label, matcher.value);
        }
    }
    Ok(labels)
}

/// The labels that a sample is expected to have, as promtool writes them: `{a="b"}`, with a name or
/// without.
pub(super) fn labels(text: &str) -> Result<BTreeMap<String, String>, Error> {
    match text.trim() {
        "" | "{}" => Ok(BTreeMap::new()),
        text if text.starts_with('{') => {
            // A selector of Prometheus has a name or a matcher that is not empty.
            let selector = SeriesSelector::parse(text);
            let selector = selector.ok_or_else(|| Error::Series(text.to_owned()))?;
            let pair = |it: crate::promql::Matching| match it.operator {
                "=" => Ok((it.label, it.value)),
                _ => Err(Error::Pattern(it.label)),
            };
            selector.matchers().into_iter().map(pair).collect()
        }
        text => series(text),
    }
}

/// The values of a series, one for each interval.
pub(super) fn values(text: &str) -> Result<Vec<Sample>, Error> {
    let mut samples = Vec::new();
    for item in text.split_whitespace() {
        let more = item_samples(item)?;
        if samples.len() + more.count > SAMPLES_MAX {
            return Err(Error::TooMany);
        }
        let mut value = more.first;
        for _ in 0..more.count {
            samples.push(value);
            if let Sample::Value(number) = &mut value {
                *number += more.step;
            }
        }
    }
    match samples.is_empty() {
        true => Err(Error::NoValues),
        false => Ok(samples),
    }
}

/// So many samples from one on, each by a step more than the one before.
struct Run {
    first: Sample,
    step: f64,
    count: usize,
}

fn item_samples(item: &str) -> Result<Run, Error> {
    let wrong = || Error::Value(item.to_owned());
    if item.starts_with("{{") {
        return Err(Error::Histogram(item.to_owned()));
    }
    let one = |first, count| Run {
        first,
        step: 0.0,
        count,
    };
    if let Some(rest) = item.strip_prefix('_') {
        return match rest.strip_prefix('x') {
            Some(count) => Ok(one(Sample::Missing, whole(count).ok_or_else(wrong)?)),
            None if rest.is_empty() => Ok(one(Sample::Missing, 1)),
            None => Err(wrong()),
        };
    }
    let (first, rest) = match item.strip_prefix("stale") {
        Some(rest) => (Sample::Stale, rest),
        None => {
            let (number, rest) = number(item).ok_or_else(wrong)?;
            (Sample::Value(number), rest)
        }
    };
    if rest.is_empty() {
        return Ok(one(first, 1));
    }
    // The first stands for time 0, and so many come after it.
    let count = |rest: &str| whole(rest.strip_prefix('x')?)?.checked_add(1);
    if rest.starts_with('x') {
        return Ok(one(first, count(rest).ok_or_else(wrong)?));
    }
    let is_signed = rest.starts_with(['+', '-']);
    let (step, rest) = number(rest).filter(|_| is_signed).ok_or_else(wrong)?;
    Ok(Run {
        first,
        step,
        count: count(rest).ok_or_else(wrong)?,
    })
}

fn whole(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// A number at the start of `text`, and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = text.len() - unsigned.len();
    for word in ["Inf", "inf", "NaN", "nan"] {
        if let Some(rest) = unsigned.strip_prefix(word) {
            let value = text.get(..sign + word.len())?.parse().ok()?;
            return Some((value, rest));
        }
    }
    let bytes = unsigned.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let after = digits(end + 1 + signed);
        end = if after > end + 1 + signed { after } else { end };
    }
    let value = text.get(..sign + end)?.parse().ok()?;
    Some((value, unsigned.get(end..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(text: &str) -> Vec<f64> {
        let samples = values(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let number = |it: &Sample| match it {
            Sample::Value(value) => *value,
            other => panic!("{other:?}"),
        };
        samples.iter().map(number).collect()
    }

    #[test]
    fn values_are_promtools() {
        // From the documentation of promtool's unit tests.
        assert_eq!(numbers("-2+4x3"), [-2.0, 2.0, 6.0, 10.0]);
        assert_eq!(numbers("1-2x4"), [1.0, -1.0, -3.0, -5.0, -7.0]);
        assert_eq!(numbers("1x4"), [1.0; 5]);
        assert_eq!(numbers("1 2 3.5 1e3 -4"), [1.0, 2.0, 3.5, 1000.0, -4.0]);
        assert_eq!(numbers("0x3"), [0.0; 4]);
        assert_eq!(numbers("1e1+1e-1x1"), [10.0, 10.1]);
        assert_eq!(numbers("+Inf -Inf"), [f64::INFINITY, f64::NEG_INFINITY]);
        assert!(numbers("NaN")[0].is_nan());
        let (gap, end) = (Sample::Missing, Sample::Stale);
        assert_eq!(
            values("1 _x2 stale _"),
            Ok(vec![Sample::Value(1.0), gap, gap, end, gap])
        );
        assert_eq!(values("stalex1"), Ok(vec![end, end]));
    }

    #[test]
    fn other_values_are_refused() {
        for text in [
            "a", "1x", "1+x3", "1+2", "_3", "x3", "1x-1", "1++2x3", "1,2", "0x1F", "1 2y",
        ] {
            assert_eq!(
                values(text),
                Err(Error::Value(text.split(' ').next_back().unwrap().into()))
            );
        }
        assert_eq!(values(" "), Err(Error::NoValues));
        assert_eq!(values("0x99999999"), Err(Error::TooMany));
        assert!(matches!(values("{{count:1}}"), Err(Error::Histogram(_))));
    }

    #[test]
    fn a_series_is_a_name_and_labels() {
        let labels = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect()
        };
        let expected = labels(&[(METRIC_NAME, "a_total"), ("b", "c d")]);
        assert_eq!(series(r#"a_total{b="c d",e=""}"#), Ok(expected));
        assert_eq!(series("up"), Ok(labels(&[(METRIC_NAME, "up")])));
        assert_eq!(series(r#"{b="c"}"#), Err(Error::NoName));
        assert_eq!(series(r#"a{b=~"c"}"#), Err(Error::Pattern("b".into())));
        assert!(matches!(series("rate(a[5m])"), Err(Error::Series(_))));
        assert_eq!(super::labels("{}"), Ok(labels(&[])));
        assert_eq!(super::labels(r#"{b="c"}"#), Ok(labels(&[("b", "c")])));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-+_xXeE.0-9 {}stalenfINa]{0,16}|\\PC{0,16}") {
            let _ = values(&text);
            let _ = series(&text);
        }

        #[test]
        fn a_run_has_one_more_than_it_says(
            first in -1e6..1e6_f64, step in -100_i32..100, count in 0_usize..50,
        ) {
            let sign = if step < 0 { "" } else { "+" };
            let numbers = numbers(&format!("{first}{sign}{step}x{count}"));
            prop_assert_eq!(numbers.len(), count + 1);
            prop_assert!((numbers[0] - first).abs() < 1e-9);
            let last = first + f64::from(step) * f64::from(u32::try_from(count).unwrap());
            prop_assert!((numbers[count] - last).abs() < 1e-3);
        }
    }
}
