//! One way from an object to its bytes, whatever the client asked for.

use serde::Serialize;

use super::protobuf::{self, Message};
use super::yaml;
use crate::api::accept::{Conversion, Encoding};

/// What can be answered in every encoding: JSON and YAML come from its serde form, which says
/// `kind` and `apiVersion` itself, protocol buffers from its [`Message`].
pub(in crate::api) trait Answer: Serialize + Message {
    /// Its `apiVersion` and `kind`.
    fn type_meta(&self) -> (&str, &str);
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::api) struct Form {
    /// In which encoding.
    pub(in crate::api) encoding: Encoding,
    /// With line breaks and indentation, for people, where the encoding has a choice.
    pub(in crate::api) pretty: bool,
    /// As which other object.
    pub(in crate::api) conversion: Option<Conversion>,
}

impl Form {
    /// Indented too where `pretty` says so.
    pub(in crate::api) fn prettier(self, pretty: bool) -> Form {
        Form {
            pretty: self.pretty || pretty,
            ..self
        }
    }

    /// `object` in the chosen encoding.
    pub(in crate::api) fn write(self, object: &impl Answer) -> Result<Vec<u8>, serde_json::Error> {
        if self.encoding == Encoding::Protobuf {
            let (api_version, kind) = object.type_meta();
            return Ok(protobuf::envelope(api_version, kind, object));
        }
        self.readable(object)
    }

    /// `value` as YAML, or else as JSON.
    pub(in crate::api) fn readable(
        self,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, serde_json::Error> {
        match self.encoding {
            Encoding::Yaml => Ok(yaml::write(&serde_json::to_value(value)?).into_bytes()),
            Encoding::Json | Encoding::Protobuf => self.json(value),
        }
    }

    /// `value` as JSON. Like Go's, it ends in a line break unless it is indented.
    pub(in crate::api) fn json(self, value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
        if self.pretty {
            return serde_json::to_vec_pretty(value);
        }
        let mut body = serde_json::to_vec(value)?;
        body.push(b'\n');
        Ok(body)
    }
}
