//! The documents as protocol buffers: messages of `gnostic` (`openapiv2/OpenAPIv2.proto`,
//! `openapiv3/OpenAPIv3.proto` in `github.com/google/gnostic-models`), as
//! `k8s.io/kube-openapi` makes them of the JSON.
//!
//! A table says, message by message, which field of the JSON has which number. What our documents
//! never say is not in it, and a field that is not in it is an error, never left out.

use serde_json::{Map, Value};
use thiserror::Error;

use super::Dialect;
use crate::api::wire::protobuf::Fields;
use messages::{V2, V3};

/// The table.
mod messages;
#[cfg(test)]
mod tests;

/// A field that the table does not have, which is a mistake of ours.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the field {0:?} of an OpenAPI document has no number")]
pub(super) struct Unnumbered(String);

/// A message: its fields by number.
struct Message {
    fields: &'static [(u64, &'static str, Holds)],
    /// The number of what begins with `x-`.
    extensions: u64,
}

/// How a value of the JSON becomes a field.
enum Holds {
    Text,
    Flag,
    /// A field for each element of a list.
    Each(&'static Holds),
    /// A message of an object.
    One(&'static Message),
    /// A message with one field, of this number, that holds the value.
    Within(u64, &'static Holds),
    /// A field for each entry of an object: a message of its name and its value.
    Named(&'static Holds),
    /// A message that holds the value as field 1 or, where it is a reference, that as field 2.
    OrReference(&'static Holds),
    /// A parameter of OpenAPI 2.0, whose message depends on where the parameter stands.
    Placed {
        query: &'static Message,
        path: &'static Message,
    },
}

/// Encodes a document.
pub(super) fn encode(document: &Value, dialect: Dialect) -> Result<Vec<u8>, Unnumbered> {
    let message = match dialect {
        Dialect::V2 => &V2,
        Dialect::V3 => &V3,
    };
    let mut fields = Fields::default();
    message.write(document, &mut fields)?;
    Ok(fields.into_bytes())
}

impl Message {
    fn write(&self, object: &Value, to: &mut Fields) -> Result<(), Unnumbered> {
        let object = object.as_object().into_iter().flatten();
        let known = |name: &str| self.fields.iter().any(|(_, it, _)| *it == name);
        let is_extension = |name: &str| name.starts_with("x-");
        let mut rest = object.clone();
        if let Some((name, _)) = rest.find(|(name, _)| !known(name) && !is_extension(name)) {
            return Err(Unnumbered(name.clone()));
        }
        for (number, name, holds) in self.fields {
            let mut found = object.clone();
            if let Some((_, value)) = found.find(|(it, _)| it == name) {
                holds.write(*number, value, to)?;
            }
        }
        for (name, value) in object.filter(|(name, _)| is_extension(name)) {
            to.nested(self.extensions, |extension| {
                text(1, name, extension);
                extension.nested(2, |any| text(2, &yaml(value), any));
            });
        }
        Ok(())
    }
}

impl Holds {
    fn write(&self, number: u64, value: &Value, to: &mut Fields) -> Result<(), Unnumbered> {
        match self {
            Holds::Text => text(number, value.as_str().unwrap_or_default(), to),
            Holds::Flag => {
                if value == true {
                    to.integer(number, 1);
                }
            }
            Holds::Each(holds) => {
                for element in value.as_array().into_iter().flatten() {
                    holds.write(number, element, to)?;
                }
            }
            Holds::One(message) => {
                return nested(number, to, |inside| message.write(value, inside));
            }
            Holds::Within(inner, holds) => {
                return nested(number, to, |inside| holds.write(*inner, value, inside));
            }
            Holds::Named(holds) => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    nested(number, to, |entry| {
                        text(1, name, entry);
                        holds.write(2, value, entry)
                    })?;
                }
            }
            Holds::OrReference(holds) => {
                return nested(number, to, |inside| match &value["$ref"] {
                    Value::String(reference) => {
                        inside.nested(2, |it| text(1, reference, it));
                        Ok(())
                    }
                    _ => holds.write(1, value, inside),
                });
            }
            Holds::Placed { query, path } => {
                let (inner, message) = match value["in"] == "path" {
                    true => (4, path),
                    false => (3, query),
                };
                return nested(number, to, |parameter| {
                    nested(2, parameter, |inside| {
                        Holds::One(message).write(inner, value, inside)
                    })
                });
            }
        }
        Ok(())
    }
}

/// A text as version 3 of protocol buffers writes it: an empty one not at all.
fn text(number: u64, text: &str, to: &mut Fields) {
    if !text.is_empty() {
        to.string(number, text);
    }
}

/// An extension's value as block YAML, in which gnostic carries what it has no message for. Ours
/// are texts, objects of texts, and lists of these; of anything else its JSON is YAML, too.
fn yaml(value: &Value) -> String {
    let plain = |text: &str| {
        let letters = |b: u8| b.is_ascii_alphanumeric() || b"./-".contains(&b);
        text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(letters)
    };
    let scalar = |value: &Value| match value.as_str().filter(|text| plain(text)) {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let entries = |object: &Map<String, Value>, indent: &str| {
        let entries = object
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", scalar(value)));
        entries.collect::<Vec<_>>().join(indent)
    };
    match value {
        Value::Object(object) => entries(object, ""),
        Value::Array(values) => values
            .iter()
            .map(|value| match value {
                Value::Object(object) => format!("- {}", entries(object, "  ")),
                other => format!("- {}\n", scalar(other)),
            })
            .collect(),
        other => format!("{}\n", scalar(other)),
    }
}

/// A message within a message.
fn nested(
    number: u64,
    to: &mut Fields,
    write: impl FnOnce(&mut Fields) -> Result<(), Unnumbered>,
) -> Result<(), Unnumbered> {
    let mut written = Ok(());
    to.nested(number, |inside| written = write(inside));
    written
}
