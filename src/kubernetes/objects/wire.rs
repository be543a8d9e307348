//! Lists and watches of metadata as kube-apiserver writes them, decoded into what is kept.
//!
//! Texts are borrowed from the answer, and what nobody asks for (annotations, managed fields) is
//! skipped over without being held: it is nine tenths of the bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// The longest line of a watch. etcd takes no object above 1.5 MiB.
pub(super) const LINE_BYTES: usize = 8 << 20;

/// One answer to a list (`metav1.PartialObjectMetadataList`, or the list of whole objects).
#[derive(Debug, Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) metadata: PageMetadata<'a>,
    #[serde(borrow, deserialize_with = "items")]
    pub(super) items: Vec<Item<'a>>,
}

impl<'a> Page<'a> {
    /// Reads one answer.
    ///
    /// # Errors
    /// It is no list: what a proxy answers in the API server's place (`{}`, a `Status`) must not
    /// pass for an empty one. A list without a version is one: servers that keep nothing, such as
    /// metrics-server, have no other.
    pub(super) fn read(bytes: &'a [u8]) -> serde_json::Result<Page<'a>> {
        use serde::de::Error;
        let page: Page<'a> = serde_json::from_slice(bytes)?;
        if !page.kind.ends_with("List") {
            return Err(Error::custom(format_args!("{:?} is no list", page.kind)));
        }
        if page.items.iter().any(|item| item.metadata.name.is_empty()) {
            return Err(Error::custom("an object without a name"));
        }
        Ok(page)
    }
}

/// Go writes an empty list as `null`, too; but it writes it.
fn items<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Vec<Item<'a>>, D::Error> {
    let items: Option<Vec<Item<'a>>> = Deserialize::deserialize(from)?;
    Ok(items.unwrap_or_default())
}

/// `metav1.ListMeta`
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageMetadata<'a> {
    /// Where the next page begins; empty on the last one.
    #[serde(default, borrow, rename = "continue")]
    pub(super) next: Cow<'a, str>,
    /// From where a watch goes on without a gap.
    #[serde(default, borrow, rename = "resourceVersion")]
    pub(super) version: Cow<'a, str>,
}

/// An object, of which only the metadata is read.
#[derive(Debug, Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    pub(super) metadata: Metadata<'a>,
}

/// As much of `metav1.ObjectMeta` as is kept.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(default, borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) namespace: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) labels: WireLabels<'a>,
    #[serde(default, borrow, rename = "resourceVersion")]
    pub(super) version: Cow<'a, str>,
}

/// Labels in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct WireLabels<'a>(pub(super) Vec<(Cow<'a, str>, Cow<'a, str>)>);

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for WireLabels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Labels;
        impl<'de> Visitor<'de> for Labels {
            type Value = WireLabels<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of labels")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(WireLabels::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut labels = Vec::new();
                while let Some((Text(key), Text(value))) = map.next_entry()? {
                    labels.push((key, value));
                }
                Ok(WireLabels(labels))
            }
        }
        deserializer.deserialize_any(Labels)
    }
}

/// One line of a watch (`metav1.WatchEvent`).
#[derive(Clone, Debug)]
pub(super) enum Event<'a> {
    /// `ADDED` or `MODIFIED`: it is so now.
    Put(Metadata<'a>),
    /// `DELETED`, or no longer selected.
    Deleted(Metadata<'a>),
    /// `BOOKMARK`: everything up to this version has been said.
    Bookmark {
        /// `metadata.resourceVersion`
        version: Cow<'a, str>,
    },
    /// `ERROR`: the watch ends here.
    Error {
        /// As an HTTP status: 410 when the version asked for is too old.
        code: u16,
        /// What the server says.
        message: String,
    },
}

/// Why a line is no event.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Not JSON of the right shape.
    #[error("a line of the watch cannot be understood")]
    Json(#[from] serde_json::Error),
    /// A type of event that no documentation names.
    #[error("the watch holds an event of type {0:?}")]
    Type(String),
    /// Without a name it cannot be told from others.
    #[error("the watch names an object without a name")]
    Nameless,
    /// A line without an end.
    #[error("a line of the watch is longer than {} MiB", LINE_BYTES >> 20)]
    TooLong,
}

impl<'a> Event<'a> {
    /// Reads one line.
    pub(super) fn read(line: &'a [u8]) -> Result<Event<'a>, Unreadable> {
        #[derive(Deserialize)]
        struct Line<'a> {
            #[serde(borrow, rename = "type")]
            kind: Cow<'a, str>,
            #[serde(borrow)]
            object: Item<'a>,
        }
        #[derive(Deserialize)]
        struct Failed {
            object: Status,
        }
        #[derive(Deserialize)]
        struct Status {
            #[serde(default)]
            code: u16,
            #[serde(default)]
            message: String,
        }
        let line_of: Line<'a> = serde_json::from_slice(line)?;
        let metadata = line_of.object.metadata;
        match &*line_of.kind {
            "ADDED" | "MODIFIED" | "DELETED" if metadata.name.is_empty() => {
                Err(Unreadable::Nameless)
            }
            "ADDED" | "MODIFIED" => Ok(Event::Put(metadata)),
            "DELETED" => Ok(Event::Deleted(metadata)),
            "BOOKMARK" => Ok(Event::Bookmark {
                version: metadata.version,
            }),
            "ERROR" => {
                let Failed { object } = serde_json::from_slice(line)?;
                Ok(Event::Error {
                    code: object.code,
                    message: object.message,
                })
            }
            other => Err(Unreadable::Type(other.to_owned())),
        }
    }
}

/// Cuts a stream into lines, however it is cut into pieces.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
}

impl Lines {
    /// Hands each line that ends in `piece` to `each`, without its end. A half line at the end of
    /// the stream is never handed out.
    pub(super) fn feed<E: From<Unreadable>>(
        &mut self,
        mut piece: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = piece.split_at(end);
            piece = rest.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                each(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(line);
                each(&whole)?;
            }
        }
        if self.begun.len() + piece.len() > LINE_BYTES {
            return Err(Unreadable::TooLong.into());
        }
        self.begun.extend_from_slice(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
