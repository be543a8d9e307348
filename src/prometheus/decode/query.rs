//! The data of an instant query: rows handed on as they come, or the one pair of a scalar.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::value::{I64Deserializer, U64Deserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Body, Data, Kind, Labels, Refusal, Sample, Summary, envelope, shorten, stopped};
use crate::prometheus::error::Error;

/// Decodes an answer of `/api/v1/query`. `fold` gets each sample, and may refuse to go on.
///
/// # Errors
/// What the answer states, why it cannot be read, or the refusal of `fold`. Samples may have been
/// handed on before.
pub fn query(
    body: Body,
    fold: &mut dyn FnMut(Sample) -> Result<(), Refusal>,
) -> Result<Summary, Error> {
    let (samples, histograms) = (0, 0);
    let mut data = Query {
        fold,
        kind: None,
        rows: Rows::None,
        samples,
        histograms,
        stop: None,
    };
    let read = envelope(body, &mut data);
    if let Some(stop) = data.stop.take() {
        return Err(stop);
    }
    let (notes, found) = read?;
    let kind = data.finish()?;
    match (found, kind) {
        (true, Some(kind)) => {
            let Query {
                samples,
                histograms,
                ..
            } = data;
            Ok(Summary {
                kind,
                samples,
                histograms,
                notes,
            })
        }
        _ => Err(Error::Malformed("no result in the answer".into())),
    }
}

/// The data of a query: `resultType` and `result`, in either order.
struct Query<'a> {
    fold: &'a mut dyn FnMut(Sample) -> Result<(), Refusal>,
    kind: Option<String>,
    rows: Rows,
    samples: u64,
    histograms: u64,
    stop: Option<Error>,
}

/// What `result` turned out to be made of.
enum Rows {
    None,
    /// Objects, folded as they came.
    Vector,
    /// `[time, "text"]`: a scalar or a string, only `resultType` tells.
    Pair(Point),
}

impl Query<'_> {
    /// Folds a scalar, now that the type is known, and tells what the result was.
    fn finish(&mut self) -> Result<Option<Kind>, Error> {
        let rows = std::mem::replace(&mut self.rows, Rows::None);
        match (self.kind.as_deref(), rows) {
            (Some("vector"), Rows::Vector) => Ok(Some(Kind::Vector)),
            (Some("scalar"), Rows::Pair(point)) => {
                let sample = point
                    .sample(Vec::new())
                    .ok_or_else(|| Error::Malformed("a scalar that is no number".into()))?;
                self.samples = 1;
                (self.fold)(sample).map_err(|Refusal(text)| Error::Declined(text))?;
                Ok(Some(Kind::Scalar))
            }
            (Some("vector" | "scalar") | None, _) => Ok(None),
            (Some(other), _) => Err(Error::UnexpectedType(shorten(other))),
        }
    }
}

impl<'de> Data<'de> for Query<'_> {
    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Query<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query result")
    }

    /// `"data":null` beside an error.
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "resultType" => {
                    let kind: String = map.next_value()?;
                    if kind != "vector" && kind != "scalar" && !kind.is_empty() {
                        return stopped(&mut self.stop, Error::UnexpectedType(shorten(&kind)));
                    }
                    self.kind = Some(kind).filter(|kind| !kind.is_empty());
                }
                "result" if seen => return Err(de::Error::duplicate_field("result")),
                "result" => {
                    seen = true;
                    map.next_value_seed(ResultSeed(self))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct ResultSeed<'a, 'b>(&'a mut Query<'b>);

impl<'de> DeserializeSeed<'de> for ResultSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ResultSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of samples")
    }

    /// `"result":null` is what Go refuses as no vector at all; it stays `Rows::None`.
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let query = self.0;
        if query.kind.as_deref() != Some("scalar") {
            query.rows = Rows::Vector;
        }
        let mut first = true;
        while let Some(element) = seq.next_element()? {
            match element {
                Element::Row(row) => query.row(row)?,
                Element::Seconds(seconds) if first => {
                    let text = seq
                        .next_element()?
                        .ok_or_else(|| de::Error::custom("no value"))?;
                    if seq.next_element::<IgnoredAny>()?.is_some() {
                        return Err(de::Error::custom("more than a time and a value"));
                    }
                    query.rows = Rows::Pair(Point { seconds, text });
                    return Ok(());
                }
                Element::Seconds(_) => return Err(de::Error::custom("a number among the rows")),
            }
            first = false;
        }
        Ok(())
    }
}

impl Query<'_> {
    fn row<E: de::Error>(&mut self, row: Row) -> Result<(), E> {
        match (row.value, row.histogram) {
            _ if row.matrix => stopped(&mut self.stop, Error::UnexpectedType("matrix".to_owned())),
            (Some(point), _) => {
                let sample = point
                    .sample(row.labels)
                    .ok_or_else(|| E::custom("a value or time that is no number"))?;
                self.samples += 1;
                match (self.fold)(sample) {
                    Ok(()) => Ok(()),
                    Err(Refusal(text)) => stopped(&mut self.stop, Error::Declined(text)),
                }
            }
            (None, true) => {
                self.histograms += 1;
                Ok(())
            }
            (None, false) => Err(E::missing_field("value")),
        }
    }
}

/// `[1435781451.781, "1.5"]`.
#[derive(Deserialize)]
struct Point {
    seconds: f64,
    text: String,
}

impl Point {
    fn sample(self, labels: Vec<(String, String)>) -> Option<Sample> {
        // Truncated to milliseconds, as Go does. The half microsecond makes up for what a float
        // of this size loses: 1435781451.781 is 1435781451.78099990... .
        let since = SignedDuration::try_from_secs_f64(self.seconds + 5e-7).ok()?;
        let timestamp = Timestamp::from_millisecond(i64::try_from(since.as_millis()).ok()?).ok()?;
        Some(Sample {
            labels,
            timestamp,
            value: self.text.parse().ok()?,
        })
    }
}

/// An element of `result`.
enum Element {
    Row(Row),
    /// The first half of a pair that is the whole result.
    Seconds(f64),
}

#[derive(Default)]
struct Row {
    labels: Vec<(String, String)>,
    value: Option<Point>,
    histogram: bool,
    matrix: bool,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Metric,
    Value,
    /// A native histogram, in the place of `value`.
    Histogram,
    /// A range, which is what a matrix has.
    Values,
    Histograms,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sample")
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Element, E> {
        Ok(Element::Seconds(seconds))
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Element, E> {
        f64::deserialize(U64Deserializer::new(seconds)).map(Element::Seconds)
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Element, E> {
        f64::deserialize(I64Deserializer::new(seconds)).map(Element::Seconds)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let mut row = Row::default();
        while let Some(field) = map.next_key()? {
            match field {
                Field::Metric => row.labels = map.next_value::<Labels>()?.0,
                Field::Value => row.value = Some(map.next_value()?),
                Field::Histogram | Field::Values | Field::Histograms | Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                    row.histogram |= matches!(field, Field::Histogram);
                    row.matrix |= matches!(field, Field::Values | Field::Histograms);
                }
            }
        }
        Ok(Element::Row(row))
    }
}
