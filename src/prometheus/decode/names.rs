//! A list of names: of labels, or of the values of one.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::{Body, Data, Notes, envelope, stopped};
use crate::prometheus::error::Error;

/// Names in one answer. More are no names of metrics that anybody asks for, but a selector that
/// matches everything, and they would all be held.
pub const NAMES_MAX: usize = 100_000;

/// Decodes an answer of `/api/v1/labels` or `/api/v1/label/<name>/values`.
///
/// # Errors
/// What the answer states, why it cannot be read, or more than [`NAMES_MAX`] names.
pub fn names(body: Body) -> Result<(Vec<String>, Notes), Error> {
    let mut data = Names::default();
    let read = envelope(body, &mut data);
    if let Some(stop) = data.stop.take() {
        return Err(stop);
    }
    let (notes, found) = read?;
    if found {
        Ok((data.names, notes))
    } else {
        Err(Error::Malformed("no data in the answer".into()))
    }
}

#[derive(Default)]
struct Names {
    names: Vec<String>,
    stop: Option<Error>,
}

impl<'de> Data<'de> for Names {
    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for &mut Names {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    /// Go reads null as an empty list, and old servers sent it.
    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(name) = seq.next_element()? {
            if self.names.len() >= NAMES_MAX {
                let text = format!("more than {NAMES_MAX} names: narrow the seriesQuery");
                return stopped(&mut self.stop, Error::Declined(text));
            }
            self.names.push(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(names: usize) -> Result<usize, Error> {
        let list = vec!["\"a\""; names].join(",");
        let body = format!("{{\"status\":\"success\",\"data\":[{list}]}}");
        super::names(Body::Whole(body.into())).map(|(names, _)| names.len())
    }

    #[test]
    fn more_names_than_are_held_are_refused_and_the_error_says_what_to_do() {
        assert_eq!(count(NAMES_MAX).ok(), Some(NAMES_MAX));
        let error = count(NAMES_MAX + 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "more than 100000 names: narrow the seriesQuery"
        );
    }
}
