//! Prometheus' JSON, one sample at a time.
//!
//! The answer is never held: each element of `result` is decoded, handed on and forgotten, so a
//! million rows cost the memory of one. Fields may come in any order and unknown ones are passed
//! over. Formats: "HTTP API" of the Prometheus documentation; `isPartial` is VictoriaMetrics'.
//!
//! Promises: no bytes make it panic; an answer that says `"status":"error"` is an error whatever
//! else it holds; a native histogram is counted and never becomes the value 0; anything cut short
//! is an error, even if every sample before the cut was handed on.

use std::fmt;
use std::io::Read;

use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::Error;

mod names;
mod query;

pub use names::{NAMES_MAX, names};
pub use query::query;

/// One row of an instant vector, or the one row of a scalar.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values in the server's order, `__name__` among them; empty for a scalar.
    pub labels: Vec<(String, String)>,
    /// When Prometheus says it was so, to the millisecond.
    pub timestamp: Timestamp,
    /// Any float, NaN and infinities included.
    pub value: f64,
}

/// Said by the one who folds samples to stop reading. The text becomes the error's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

/// Which of the two kinds of result it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An instant vector.
    Vector,
    /// A scalar.
    Scalar,
}

/// What stands beside the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// `warnings`: the result may be incomplete (Prometheus with remote reads, Thanos).
    pub warnings: Texts,
    /// `infos`: about the query, the result is whole.
    pub infos: Texts,
    /// The server says that it did not reach all its storage (VictoriaMetrics).
    pub partial: bool,
}

impl Notes {
    /// Of two answers that are parts of one.
    #[must_use]
    pub fn and(self, other: Notes) -> Notes {
        Notes {
            warnings: self.warnings.and(other.warnings),
            infos: self.infos.and(other.infos),
            partial: self.partial || other.partial,
        }
    }
}

/// Some texts: all counted, the first few kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// How many there were.
    pub count: u64,
    /// How many of them are about the query. Prometheus has annotations of two kinds for that
    /// (`util/annotations/annotations.go`), and servers that do not send `infos` have both here.
    pub of_query: u64,
    /// The first [`TEXTS_KEPT`], shortened; those that are not about the query come first.
    pub first: Vec<String>,
}

/// How texts about the query begin.
const OF_QUERY: [&str; 2] = ["PromQL info", "PromQL warning"];

impl Texts {
    fn and(mut self, other: Texts) -> Texts {
        self.count += other.count;
        self.of_query += other.of_query;
        self.first.extend(other.first);
        self.first.sort_by_key(|text| is_of_query(text));
        self.first.truncate(TEXTS_KEPT);
        self
    }
}

/// What a query's answer was, besides its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Vector or scalar.
    pub kind: Kind,
    /// How many samples were handed on.
    pub samples: u64,
    /// How many rows were native histograms, and were passed over.
    pub histograms: u64,
    /// What stands beside the data.
    pub notes: Notes,
}

/// Enough to see what is wrong; a federation of hundreds of stores may send hundreds.
pub const TEXTS_KEPT: usize = 8;

/// Longer texts of the server are cut: an HPA's condition is read in a terminal.
const TEXT_CHARS_MAX: usize = 400;

/// An answer's bytes: all of them, or as they come.
pub enum Body {
    /// All of them.
    Whole(bytes::Bytes),
    /// As they come, read where it may block.
    Streamed(Box<dyn Read + Send>),
}

/// Decodes an answer of `/api/v1/series`. `fold` gets each label set, and may refuse to go on.
///
/// # Errors
/// What the answer states, why it cannot be read, or the refusal of `fold`.
pub fn series(
    body: Body,
    fold: &mut dyn FnMut(Vec<(String, String)>) -> Result<(), Refusal>,
) -> Result<Notes, Error> {
    let mut data = Series { fold, stop: None };
    let read = envelope(body, &mut data);
    if let Some(stop) = data.stop.take() {
        return Err(stop);
    }
    let (notes, found) = read?;
    if found {
        Ok(notes)
    } else {
        Err(Error::Malformed("no data in the answer".into()))
    }
}

/// The kind and the text of the error that an answer states, if it does.
pub(super) fn refusal(body: &[u8]) -> Option<(String, String)> {
    let body = Body::Whole(bytes::Bytes::copy_from_slice(body));
    match envelope(body, &mut Ignored) {
        Err(Error::Refused { kind, text, .. }) => Some((kind, text)),
        _ => None,
    }
}

/// Makes a server's text fit for one line of a terminal.
fn shorten(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(TEXT_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// What stands under `data`, decoded into itself. Called at most once.
trait Data<'de> {
    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error>;
}

/// Reads the whole answer. True if it had `data`.
fn envelope<T: for<'de> Data<'de>>(body: Body, data: &mut T) -> Result<(Notes, bool), Error> {
    match body {
        Body::Whole(bytes) => run(&mut serde_json::Deserializer::from_slice(&bytes), data),
        // serde_json asks a reader for single bytes.
        Body::Streamed(reader) => {
            let reader = std::io::BufReader::with_capacity(32 << 10, reader);
            run(&mut serde_json::Deserializer::from_reader(reader), data)
        }
    }
}

fn run<'de, R: serde_json::de::Read<'de>, T: Data<'de>>(
    json: &mut serde_json::Deserializer<R>,
    data: &mut T,
) -> Result<(Notes, bool), Error> {
    let notes = Notes::default();
    let mut answer = Envelope {
        data,
        status: None,
        kind: None,
        text: None,
        found: false,
        notes,
    };
    json.deserialize_map(&mut answer)
        .and_then(|()| json.end())
        .map_err(|error| {
            if error.is_eof() {
                Error::Truncated(Some(error.into()))
            } else if error.is_data() {
                Error::Malformed(error.into())
            } else {
                Error::NotJson(error.into())
            }
        })?;
    if answer.status.as_deref() == Some("error") {
        return Err(Error::Refused {
            kind: shorten(answer.kind.as_deref().unwrap_or("unknown error")),
            text: shorten(answer.text.as_deref().unwrap_or("no reason given")),
            status: StatusCode::OK,
        });
    }
    Ok((answer.notes, answer.found))
}

struct Envelope<'a, T> {
    data: &'a mut T,
    status: Option<String>,
    kind: Option<String>,
    text: Option<String>,
    found: bool,
    notes: Notes,
}

impl<'de, T: Data<'de>> Visitor<'de> for &mut Envelope<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of the Prometheus HTTP API")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "status" => self.status = map.next_value()?,
                "errorType" => self.kind = map.next_value()?,
                "error" => self.text = map.next_value()?,
                "warnings" => self.notes.warnings = map.next_value()?,
                "infos" => self.notes.infos = map.next_value()?,
                "isPartial" => {
                    self.notes.partial = map.next_value::<Option<bool>>()?.unwrap_or(false);
                }
                "data" if self.found => return Err(de::Error::duplicate_field("data")),
                "data" => {
                    self.found = true;
                    map.next_value_seed(DataSeed(&mut *self.data))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct DataSeed<'a, T>(&'a mut T);

impl<'de, T: Data<'de>> DeserializeSeed<'de> for DataSeed<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.read(deserializer)
    }
}

struct Ignored;

impl<'de> Data<'de> for Ignored {
    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| ())
    }
}

struct Series<'a> {
    fold: &'a mut dyn FnMut(Vec<(String, String)>) -> Result<(), Refusal>,
    stop: Option<Error>,
}

impl<'de> Data<'de> for Series<'_> {
    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for &mut Series<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of label sets")
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(Labels(labels)) = seq.next_element()? {
            if let Err(Refusal(text)) = (self.fold)(labels) {
                return stopped(&mut self.stop, Error::Declined(text));
            }
        }
        Ok(())
    }
}

/// Breaks off the decoder; the reason travels beside serde, which only carries texts.
fn stopped<T, E: de::Error>(stop: &mut Option<Error>, reason: Error) -> Result<T, E> {
    *stop = Some(reason);
    Err(E::custom("stopped"))
}

/// A label set, in the server's order.
#[derive(Default)]
struct Labels(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelsVisitor)
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut labels = Vec::new();
        while let Some(pair) = map.next_entry()? {
            labels.push(pair);
        }
        Ok(Labels(labels))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all: Vec<String> = Option::deserialize(deserializer)?.unwrap_or_default();
        all.sort_by_key(|text| is_of_query(text));
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let count = number(all.len());
        let of_query = number(all.iter().filter(|text| is_of_query(text)).count());
        let first = all
            .iter()
            .take(TEXTS_KEPT)
            .map(|text| shorten(text))
            .collect();
        Ok(Self {
            count,
            of_query,
            first,
        })
    }
}

fn is_of_query(text: &str) -> bool {
    OF_QUERY.iter().any(|begin| text.starts_with(begin))
}

#[cfg(test)]
mod tests;
