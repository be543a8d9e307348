//! Rows to values: of objects, and of external metrics.

use std::collections::BTreeMap;

use super::{Error, ExternalQuery, ObjectsQuery};
use crate::prometheus::{Kind, Sample};
use crate::quantity::Quantity;
use crate::rules::{NonFinite, OnEmpty, Origin, Terms};
use crate::samples::{Point, Rows};

/// A value at the time it was evaluated for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Exact.
    pub quantity: Quantity,
    /// By Prometheus' clock.
    pub timestamp: jiff::Timestamp,
}

/// Rows that became no value, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// NaN, infinite, or a native histogram.
    pub not_a_number: u64,
    /// A second or further row for one object: the last one counts.
    pub ambiguous: u64,
}

impl Dropped {
    /// What no value can come of, whatever is asked for.
    pub(super) fn from(rows: &Rows) -> Dropped {
        Dropped {
            not_a_number: rows.head().histograms,
            ambiguous: 0,
        }
    }

    /// Takes a row of an object: of several the last one counts.
    fn add(&mut self, found: &mut Found, point: Point, terms: &Terms) {
        if *found != Found::Nothing {
            self.ambiguous += 1;
        }
        *found = match value(number(point, terms)) {
            Some(value) => Found::Value(value),
            None => {
                self.not_a_number += 1;
                Found::NotANumber(point.value)
            }
        };
    }
}

/// The values of some objects, out of the rows of a custom query.
#[derive(Debug)]
pub struct ObjectValues {
    /// Of each name, in their order.
    found: Vec<Found>,
    dropped: Dropped,
}

/// What the rows said about one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Found<T = Value> {
    /// No row.
    #[default]
    Nothing,
    /// The row that counts has NaN or an infinity.
    NotANumber(f64),
    /// What the row that counts says.
    Value(T),
}

impl ObjectsQuery {
    /// Whether these are rows of all objects `names`. Where a query does not name them, older rows
    /// cannot tell that an object has none by now.
    pub fn holds(&self, rows: &Rows, names: &[String]) -> bool {
        let choice = self.choice.as_ref();
        let takes = |rest| choice.is_none_or(|choice| choice.takes(rest));
        let (mut names, mut search) = (names.iter(), rows.search());
        names.all(|name| {
            search
                .under(self.key(&[self.of(), name]))
                .any(|(rest, _)| takes(rest))
        })
    }

    /// What the rows of an object begin with.
    fn key<'a, 'b>(&self, key: &'a [&'b str; 2]) -> &'a [&'b str] {
        match self.namespace {
            Some(_) => key,
            None => &key[1..],
        }
    }

    fn of(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

/// Whether rows say of which objects they are, as far as that can be told without looking for each.
///
/// # Errors
/// There are rows, and none has the label that names objects.
pub fn check_labels(origin: &Origin, rows: &Rows, query: &ObjectsQuery) -> Result<(), Error> {
    let of_object = usize::from(query.namespace.is_some());
    let label = query.labels.get(of_object);
    let Some(label) = label.filter(|_| query.choice.is_none() && !rows.is_empty()) else {
        return Ok(());
    };
    if rows.with_label(of_object) > 0 {
        return Ok(());
    }
    let present = match rows.strange() {
        [] => "they have none".to_owned(),
        present => format!("they have {}", present.join(", ")),
    };
    Err(Error::Unlabelled {
        rule: origin.rule.clone(),
        line: origin.line,
        label: label.clone(),
        present,
    })
}

impl ObjectValues {
    /// The values of the objects `names` among the rows of `query`, which are kept by its labels.
    ///
    /// # Errors
    /// Rows of a query that is the same for every ask, and do not say whose they are.
    pub fn of(
        rows: &Rows,
        query: &ObjectsQuery,
        terms: &Terms,
        names: &[String],
    ) -> Result<ObjectValues, Error> {
        let mut values = ObjectValues {
            found: Vec::with_capacity(names.len()),
            dropped: Dropped::from(rows),
        };
        let choice = query.choice.as_ref();
        choice.map_or(Ok(()), |it| it.check_objects(rows, &query.labels))?;
        let mut search = rows.search();
        for name in names {
            let mut found = Found::Nothing;
            for (rest, point) in search.under(query.key(&[query.of(), name])) {
                if choice.is_none_or(|choice| choice.takes(rest)) {
                    values.dropped.add(&mut found, point, terms);
                }
            }
            values.found.push(found);
            if let (Some(choice), 1..) = (choice, values.dropped.ambiguous) {
                return Err(choice.several(name));
            }
        }
        let is_empty = values.found.iter().all(|it| *it == Found::Nothing);
        if is_empty && is_empty_for_sure(rows, terms) {
            values.found.fill(Found::Value(zero(rows)));
        }
        Ok(values)
    }

    /// What was found for each of the objects, in the order of their names.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// What was dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// Items of an external metric. An autoscaler adds them all up; more are a query that lacks its
/// aggregation, and each would be held until the answer is written.
pub const ITEMS_MAX: usize = 10_000;

/// One item of an external metric: its labels and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalValue {
    /// All labels of the row.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: Value,
}

/// The items of an external metric, in the order of the answer.
#[derive(Debug)]
pub struct ExternalValues {
    items: Vec<ExternalValue>,
    dropped: Dropped,
}

impl ExternalValues {
    /// What the rows of `query` say, which are kept whole.
    ///
    /// # Errors
    /// Rows of a query that is the same for every ask, which are not one, or do not say what is
    /// asked for.
    pub fn of(rows: &Rows, query: &ExternalQuery, terms: &Terms) -> Result<ExternalValues, Error> {
        let mut values = ExternalValues {
            items: Vec::new(),
            dropped: Dropped::from(rows),
        };
        let chosen = match &query.choice {
            Some(choice) => choice.external(rows, query.namespace.as_ref())?,
            None => rows.whole().iter().collect(),
        };
        for sample in &chosen {
            match value(number((*sample).into(), terms)) {
                None => values.dropped.not_a_number += 1,
                Some(value) => {
                    let labels = sample.labels.iter().cloned().collect();
                    values.items.push(ExternalValue { labels, value });
                }
            }
        }
        if chosen.is_empty() && is_empty_for_sure(rows, terms) {
            values.items.push(ExternalValue {
                labels: BTreeMap::new(),
                value: zero(rows),
            });
        }
        Ok(values)
    }

    /// The items.
    pub fn items(&self) -> &[ExternalValue] {
        &self.items
    }

    /// What was dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// How PromQL writes what is not a number.
pub fn number_word(sample: f64) -> &'static str {
    match sample {
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => "NaN",
    }
}

/// The value of a label; one that is not there is empty, as in PromQL.
pub(super) fn label_value<'a>(sample: &'a Sample, label: &str) -> &'a str {
    let found = sample.labels.iter().find(|(name, _)| name == label);
    found.map_or("", |(_, value)| value.as_str())
}

/// Whether a rule that wants zero for nothing may have it. An answer that is partial, or that held
/// what no number can be made of, does not say that there is nothing.
fn is_empty_for_sure(rows: &Rows, terms: &Terms) -> bool {
    let head = rows.head();
    let whole = !head.partial && head.histograms == 0 && head.kind == Kind::Vector;
    whole && terms.on_empty == OnEmpty::Zero
}

fn zero(rows: &Rows) -> Value {
    Value {
        quantity: Quantity::default(),
        timestamp: rows.head().at,
    }
}

fn number(point: Point, terms: &Terms) -> Point {
    match terms.non_finite {
        NonFinite::Zero if !point.value.is_finite() => Point {
            value: 0.0,
            ..point
        },
        _ => point,
    }
}

pub(super) fn value(point: Point) -> Option<Value> {
    let quantity = Quantity::from_sample(point.value)?;
    Some(Value {
        quantity,
        timestamp: point.timestamp,
    })
}
