//! What must come of an ask, and how an answer differs from it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::file::RawSample;
use super::notation::{self, METRIC_NAME};
use crate::quantity::Quantity;

/// What is expected.
#[derive(Debug)]
pub(super) enum Expected {
    /// `exp_values`: each object by its name, and no other; of CPU and memory `NAME/cpu` and
    /// `NAME/memory`.
    Values(BTreeMap<String, Quantity>),
    /// `exp_value`: one item, whatever it is about.
    Value(Quantity),
    /// `exp_samples`: items of an external metric, by their labels.
    Samples(BTreeMap<BTreeMap<String, String>, Quantity>),
    /// `exp_error` and `exp_code`
    Error {
        /// What its message holds.
        text: Option<String>,
        /// Its status code.
        code: Option<u16>,
    },
}

/// As it is written.
pub(super) struct Raw<'a> {
    pub(super) values: Option<&'a BTreeMap<String, Value>>,
    pub(super) value: Option<&'a Value>,
    pub(super) samples: Option<&'a [RawSample]>,
    pub(super) error: Option<&'a str>,
    pub(super) code: Option<u16>,
}

/// Why nothing can be expected so.
#[derive(Debug, Error)]
pub(super) enum Wrong {
    #[error(
        "nothing is expected: add `exp_values: {{web-1: 20}}`, `exp_value: 20`, \
         `exp_samples: [{{labels: '{{queue=\"a\"}}', value: 20}}]`, `exp_error: TEXT` or \
         `exp_code: 404`; `exp_values: {{}}` expects an empty list"
    )]
    Nothing,
    #[error(
        "only one of exp_values, exp_value, exp_samples and an error (exp_error, exp_code) can \
         come of an ask"
    )]
    Several,
    #[error("{0} is no quantity: write a number, or a text such as 250m or 64Mi")]
    Quantity(String),
    #[error("{0}")]
    Labels(notation::Error),
    #[error("these labels are given twice: {0}")]
    Twice(String),
}

impl Expected {
    /// Reads what is written.
    pub(super) fn read(raw: Raw<'_>) -> Result<Expected, Wrong> {
        let is_error = raw.error.is_some() || raw.code.is_some();
        let kinds = [
            raw.values.is_some(),
            raw.value.is_some(),
            raw.samples.is_some(),
            is_error,
        ];
        match kinds.iter().filter(|given| **given).count() {
            0 => return Err(Wrong::Nothing),
            1 => {}
            _ => return Err(Wrong::Several),
        }
        if let Some(values) = raw.values {
            let of = |(name, value): (&String, &Value)| Ok((name.clone(), quantity(value)?));
            return values
                .iter()
                .map(of)
                .collect::<Result<_, _>>()
                .map(Expected::Values);
        }
        if let Some(value) = raw.value {
            return quantity(value).map(Expected::Value);
        }
        if let Some(samples) = raw.samples {
            let mut all = BTreeMap::new();
            for sample in samples {
                let mut labels = notation::labels(&sample.labels.value).map_err(Wrong::Labels)?;
                labels.remove(METRIC_NAME);
                let value = quantity(&sample.value.value)?;
                if all.insert(labels, value).is_some() {
                    return Err(Wrong::Twice(sample.labels.value.clone()));
                }
            }
            return Ok(Expected::Samples(all));
        }
        Ok(Expected::Error {
            text: raw.error.map(str::to_owned),
            code: raw.code,
        })
    }
}

fn quantity(value: &Value) -> Result<Quantity, Wrong> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => return Err(Wrong::Quantity(other.to_string())),
    };
    text.parse()
        .map_err(|_| Wrong::Quantity(format!("{text:?}")))
}

/// What the API answered.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// Items, each as a person would name it.
    Items(Vec<Item>),
    /// A `metav1.Status`.
    Error { code: u16, message: String },
}

/// One item of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// The object's name, or of CPU and memory `NAME/cpu`; empty for an external metric.
    pub(super) name: String,
    /// Of an external metric.
    pub(super) labels: BTreeMap<String, String>,
    /// As it is written.
    pub(super) value: String,
}

/// One difference.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Expected, and not there.
    Missing(String),
    /// There, and not expected.
    Surplus(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing(text) => write!(f, "- {text}"),
            Difference::Surplus(text) => write!(f, "+ {text}"),
        }
    }
}

impl Expected {
    /// How `answer` differs; empty where it is as expected.
    pub(super) fn differences(&self, answer: &Answer) -> Vec<Difference> {
        match (self, answer) {
            (Expected::Error { text, code }, Answer::Error { code: got, message }) => {
                let has_text = text.as_ref().is_none_or(|it| message.contains(it.as_str()));
                match has_text && code.is_none_or(|it| it == *got) {
                    true => Vec::new(),
                    false => both(self.wanted(), vec![format!("error {got}: {message}")]),
                }
            }
            (Expected::Error { .. }, Answer::Items(items)) => both(self.wanted(), shown(items)),
            (_, Answer::Error { code, message }) => {
                both(self.wanted(), vec![format!("error {code}: {message}")])
            }
            (Expected::Value(value), Answer::Items(items)) => match items.as_slice() {
                [item] if is(item, value) => Vec::new(),
                items => both(self.wanted(), shown(items)),
            },
            (Expected::Values(values), Answer::Items(items)) => {
                let named = |item: &Item| item.name.clone();
                compare(values, items, named, |name| name.clone())
            }
            (Expected::Samples(samples), Answer::Items(items)) => {
                let labels = |item: &Item| {
                    let mut labels = item.labels.clone();
                    labels.remove(METRIC_NAME);
                    labels
                };
                compare(samples, items, labels, set)
            }
        }
    }

    fn wanted(&self) -> Vec<String> {
        match self {
            Expected::Values(values) if values.is_empty() => vec!["nothing".to_owned()],
            Expected::Samples(samples) if samples.is_empty() => vec!["nothing".to_owned()],
            Expected::Values(values) => {
                let values = values.iter();
                values
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect()
            }
            Expected::Samples(samples) => {
                let samples = samples.iter();
                samples
                    .map(|(labels, value)| format!("{}: {value}", set(labels)))
                    .collect()
            }
            Expected::Value(value) => vec![value.to_string()],
            Expected::Error { text, code } => {
                let code = code.map(|code| format!(" {code}")).unwrap_or_default();
                let text = text.as_ref().map(|text| format!(" that says {text:?}"));
                vec![format!("error{code}{}", text.unwrap_or_default())]
            }
        }
    }
}

fn both(wanted: Vec<String>, got: Vec<String>) -> Vec<Difference> {
    let wanted = wanted.into_iter().map(Difference::Missing);
    wanted
        .chain(got.into_iter().map(Difference::Surplus))
        .collect()
}

/// By key: what is missing, what is another value, what is too much.
fn compare<K: Ord>(
    expected: &BTreeMap<K, Quantity>,
    items: &[Item],
    key: impl Fn(&Item) -> K,
    name: impl Fn(&K) -> String,
) -> Vec<Difference> {
    let mut left: Vec<&Item> = items.iter().collect();
    let mut differences = Vec::new();
    for (wanted, value) in expected {
        let at = left.iter().position(|item| key(item) == *wanted);
        let found = at.map(|at| left.remove(at));
        if found.is_some_and(|item| is(item, value)) {
            continue;
        }
        differences.push(Difference::Missing(format!("{}: {value}", name(wanted))));
        if let Some(item) = found {
            differences.push(Difference::Surplus(format!(
                "{}: {}",
                name(wanted),
                item.value
            )));
        }
    }
    let surplus = left
        .iter()
        .map(|item| format!("{}: {}", name(&key(item)), item.value));
    differences.extend(surplus.map(Difference::Surplus));
    differences
}

fn is(item: &Item, value: &Quantity) -> bool {
    let got = item.value.parse::<Quantity>();
    got.is_ok_and(|got| got.equals(value))
}

fn shown(items: &[Item]) -> Vec<String> {
    if items.is_empty() {
        return vec!["nothing".to_owned()];
    }
    let one = |item: &Item| match item.name.is_empty() {
        true => format!("{}: {}", set(&item.labels), item.value),
        false => format!("{}: {}", item.name, item.value),
    };
    items.iter().map(one).collect()
}

fn set(labels: &BTreeMap<String, String>) -> String {
    let labels = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"));
    format!("{{{}}}", labels.collect::<Vec<_>>().join(","))
}

impl Answer {
    /// Reads what the API answers: a list of custom or external metrics, usage, or a Status.
    ///
    /// # Errors
    /// Where it is none of those.
    pub(super) fn read(code: u16, body: &[u8]) -> Result<Answer, String> {
        let json: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if code >= 400 {
            let message = text(&json["message"]);
            return Ok(Answer::Error { code, message });
        }
        let mut items = Vec::new();
        match json["kind"].as_str().unwrap_or_default() {
            "MetricValueList" | "ExternalMetricValueList" => {
                for item in json["items"].as_array().into_iter().flatten() {
                    let labels = item["metricLabels"].as_object().into_iter().flatten();
                    items.push(Item {
                        name: text(&item["describedObject"]["name"]),
                        labels: labels
                            .map(|(name, value)| (name.clone(), text(value)))
                            .collect(),
                        value: text(&item["value"]),
                    });
                }
            }
            "PodMetricsList" | "NodeMetricsList" => {
                for item in json["items"].as_array().into_iter().flatten() {
                    usage(item, &mut items)?;
                }
            }
            "PodMetrics" | "NodeMetrics" => usage(&json, &mut items)?,
            kind => {
                return Err(format!(
                    "the answer is a {kind:?}, which has no values of metrics"
                ));
            }
        }
        Ok(Answer::Items(items))
    }
}

/// CPU and memory of one object; of a pod, of all its containers.
fn usage(object: &Value, items: &mut Vec<Item>) -> Result<(), String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    for of in ["cpu", "memory"] {
        let containers = object["containers"].as_array().into_iter().flatten();
        let own = object.get("usage").into_iter();
        let usages = containers.filter_map(|it| it.get("usage")).chain(own);
        let mut sum = Quantity::default();
        for usage in usages {
            let part = usage[of].as_str().unwrap_or_default().parse::<Quantity>();
            let part = part.map_err(|error| format!("{name}: {of}: {error}"))?;
            sum = sum.plus(&part).ok_or("a usage below zero")?;
        }
        items.push(Item {
            name: format!("{name}/{of}"),
            labels: BTreeMap::new(),
            value: sum.to_string(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
