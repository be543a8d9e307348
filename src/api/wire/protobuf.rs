//! Protocol buffers as Kubernetes' generated Go code writes them.
//!
//! Promises: the same bytes. gogo's marshaller writes fields by number, strings, numbers and
//! messages even when they are empty, maps by key, and leaves out what is a nil pointer. Each
//! message says its fields in one `write`; the numbers are those of the `generated.proto` beside
//! the Go types. An object that is an answer stands in a `runtime.Unknown` behind the letters
//! `k8s\0` (`k8s.io/apimachinery/pkg/runtime/serializer/protobuf`).

/// The types of `k8s-openapi` that we answer with.
mod meta;

pub(super) use meta::entries;

/// What has a form in protocol buffers.
pub(in crate::api) trait Message {
    /// Writes its fields, by number.
    fn write(&self, to: &mut Fields);
}

/// The fields of one message, encoded.
#[derive(Debug, Default)]
pub(in crate::api) struct Fields(Vec<u8>);

/// Holds the answer for some pods.
const ANSWER_BYTES: usize = 1024;

/// The low three bits of a tag: how long the value is.
const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;

impl Fields {
    /// An `int64`, an `int32` of at least zero, or a `bool`.
    pub(in crate::api) fn integer(&mut self, number: u64, value: i64) {
        self.varint(number << 3 | VARINT);
        self.varint(value.cast_unsigned());
    }

    /// A `string`.
    pub(in crate::api) fn string(&mut self, number: u64, text: &str) {
        self.bytes(number, text.as_bytes());
    }

    /// Strings, one after the other.
    pub(in crate::api) fn strings<'a>(
        &mut self,
        number: u64,
        texts: impl IntoIterator<Item = &'a str>,
    ) {
        for text in texts {
            self.string(number, text);
        }
    }

    /// A message.
    pub(in crate::api) fn message(&mut self, number: u64, message: &impl Message) {
        self.nested(number, |fields| message.write(fields));
    }

    /// Messages, one after the other.
    pub(in crate::api) fn messages<'a, M: Message + 'a>(
        &mut self,
        number: u64,
        messages: impl IntoIterator<Item = &'a M>,
    ) {
        for message in messages {
            self.message(number, message);
        }
    }

    /// A message that has no type of its own here.
    pub(in crate::api) fn nested(&mut self, number: u64, write: impl FnOnce(&mut Fields)) {
        self.varint(number << 3 | LENGTH_DELIMITED);
        let start = self.0.len();
        write(self);
        // Its length, which is known now, stands before it.
        let length = Varint::of(u64::try_from(self.0.len() - start).unwrap_or(u64::MAX));
        self.0.splice(start..start, length.bytes().iter().copied());
    }

    /// A `map<string, string>`, whose entries must come by key.
    pub(in crate::api) fn map<'a>(
        &mut self,
        number: u64,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        for (key, value) in entries {
            self.nested(number, |entry| {
                entry.string(1, key);
                entry.string(2, value);
            });
        }
    }

    /// The message.
    pub(in crate::api) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | LENGTH_DELIMITED);
        self.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, value: u64) {
        self.0.extend_from_slice(Varint::of(value).bytes());
    }
}

/// A number in pieces of seven bits, the lowest ones first.
struct Varint {
    bytes: [u8; 10],
    length: usize,
}

impl Varint {
    fn of(mut value: u64) -> Varint {
        let mut bytes = [0; 10];
        let mut length = 0;
        for byte in &mut bytes {
            let [low, ..] = (value & 0x7f).to_le_bytes();
            value >>= 7;
            length += 1;
            *byte = if value == 0 { low } else { low | 0x80 };
            if value == 0 {
                break;
            }
        }
        Varint { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// `object`, of this kind, as an answer.
pub(super) fn envelope(api_version: &str, kind: &str, object: &impl Message) -> Vec<u8> {
    let mut unknown = Fields(Vec::with_capacity(ANSWER_BYTES));
    unknown.0.extend_from_slice(b"k8s\0");
    unknown.nested(1, |meta| {
        meta.string(1, api_version);
        meta.string(2, kind);
    });
    unknown.message(2, object);
    unknown.string(3, "");
    unknown.string(4, "");
    unknown.into_bytes()
}

/// The `metav1.ListMeta` of our lists, which says nothing.
pub(in crate::api) struct ListMeta;

impl Message for ListMeta {
    fn write(&self, to: &mut Fields) {
        for number in [1, 2, 3] {
            to.string(number, "");
        }
    }
}
