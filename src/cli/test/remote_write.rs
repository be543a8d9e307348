//! Samples as Prometheus receives them: remote write 1.0, protobuf in a snappy block.
//!
//! (`prometheus/prompb/remote.proto` and `types.proto`; snappy's `format_description.txt`. A block
//! may be made of literals alone, and what goes to this machine need not be small.)

use std::collections::BTreeMap;

use super::notation::Sample;

/// The NaN by which Prometheus knows that a series has ended (`model/value/value.go`, `StaleNaN`).
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The longest literal that three bytes introduce.
const LITERAL_MAX: usize = 1 << 16;

/// The labels of a series, and its samples at times in milliseconds.
pub(super) type Timed<'a> = (&'a BTreeMap<String, String>, Vec<(i64, Sample)>);

/// Series, as one request.
pub(super) fn request(series: &[Timed<'_>]) -> Vec<u8> {
    let mut message = Vec::new();
    for (labels, samples) in series {
        let mut of_one = Vec::new();
        for (name, value) in *labels {
            let mut label = Vec::new();
            bytes(&mut label, 1, name.as_bytes());
            bytes(&mut label, 2, value.as_bytes());
            bytes(&mut of_one, 1, &label);
        }
        for (time, sample) in samples {
            let bits = match sample {
                Sample::Value(value) => value.to_bits(),
                Sample::Stale => STALE,
                Sample::Missing => continue,
            };
            let mut encoded = vec![1 << 3 | 1];
            encoded.extend(bits.to_le_bytes());
            encoded.push(2 << 3);
            varint(&mut encoded, time.cast_unsigned());
            bytes(&mut of_one, 2, &encoded);
        }
        bytes(&mut message, 1, &of_one);
    }
    block(&message)
}

/// A field of bytes: text or a message.
fn bytes(into: &mut Vec<u8>, field: u8, value: &[u8]) {
    into.push(field << 3 | 2);
    varint(into, value.len().try_into().unwrap_or(u64::MAX));
    into.extend(value);
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return into.push(low & 0x7f);
        }
        into.push(low | 0x80);
    }
}

/// A snappy block of literals.
fn block(data: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(data.len() + data.len() / LITERAL_MAX * 3 + 16);
    varint(&mut block, data.len().try_into().unwrap_or(u64::MAX));
    for literal in data.chunks(LITERAL_MAX) {
        let length = u16::try_from(literal.len() - 1).unwrap_or(u16::MAX);
        // The length is in the two bytes that follow.
        block.push(61 << 2);
        block.extend(length.to_le_bytes());
        block.extend(literal);
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_the_protocol_says() {
        let labels = BTreeMap::from([("__name__".to_owned(), "up".to_owned())]);
        let request = request(&[(
            &labels,
            vec![(300, Sample::Value(1.0)), (1, Sample::Missing)],
        )]);
        let message: Vec<u8> = [
            &[0x0a, 30][..],
            &[0x0a, 14, 0x0a, 8],
            b"__name__",
            &[0x12, 2],
            b"up",
            &[
                0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02,
            ],
        ]
        .concat();
        assert_eq!(message.len(), 32);
        let mut expected = vec![32, 61 << 2, 31, 0];
        expected.extend(&message);
        assert_eq!(request, expected);
    }

    #[test]
    fn a_block_of_many_literals_says_its_length_first() {
        let data = vec![7; LITERAL_MAX * 2 + 5];
        let block = block(&data);
        assert_eq!(block[..3], [0x85, 0x80, 0x08]);
        assert_eq!(block.len(), 3 + data.len() + 3 * 3);
        assert_eq!(block[3..6], [61 << 2, 0xff, 0xff]);
    }
}
