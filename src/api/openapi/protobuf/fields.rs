//! Fields of a message of protocol buffers, version 3: what is empty or false is not written.

/// The fields of one message, encoded.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<u8>);

/// The low three bits of a tag: how long the value is.
const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;

impl Fields {
    /// A `string`.
    pub(super) fn string(&mut self, number: u64, text: &str) {
        if !text.is_empty() {
            self.bytes(number, text.as_bytes());
        }
    }

    /// A `bool` that is true.
    pub(super) fn flag(&mut self, number: u64) {
        self.varint(number << 3 | VARINT);
        self.varint(1);
    }

    /// A message, which is written even when it is empty: it is there.
    pub(super) fn nested(&mut self, number: u64, write: impl FnOnce(&mut Fields)) {
        let mut fields = Fields::default();
        write(&mut fields);
        self.bytes(number, &fields.0);
    }

    /// The message.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | LENGTH_DELIMITED);
        self.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = (value & 0x7f).to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}
