//! How Go writes again what it has read: paths, queries and the keys of headers.

use std::fmt::Write as _;

use super::super::tap::decode;

/// A decoded path as `url.URL.EscapedPath` writes one that it has no original spelling of: `*`
/// becomes `%2A`, and what was `%2F` inside a segment is a slash like the others.
pub fn path(decoded: &[u8]) -> String {
    escape(decoded, |byte| {
        byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte)
    })
}

/// A query as `url.Values.Encode` writes what `url.ParseQuery` read: sorted by key, `+` for a space,
/// without the pieces that Go does not parse.
pub fn query(raw: &str) -> String {
    let parsable = raw
        .split('&')
        .filter(|piece| !piece.contains(';') && is_escaped(piece));
    let mut pairs: Vec<(String, String)> = parsable
        .flat_map(|piece| decode(piece.as_bytes()))
        .collect();
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    let write = |text: &str| {
        let escaped = escape(text.as_bytes(), |byte| {
            byte.is_ascii_alphanumeric() || b"-_.~ ".contains(&byte)
        });
        escaped.replace(' ', "+")
    };
    let pairs = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", write(key), write(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The key of an extra as it stands in a header's name (client-go `headerKeyEscape`).
pub fn header_key(key: &str) -> String {
    escape(key.as_bytes(), |byte| {
        byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte)
    })
}

/// Whether each `%` begins an escape.
pub fn is_escaped(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.as_bytes().get(..2).unwrap_or_default();
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return false;
        }
        rest = after;
    }
    true
}

fn escape(bytes: &[u8], is_plain: impl Fn(u8) -> bool) -> String {
    let mut text = String::new();
    for &byte in bytes {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("text can be written to");
        }
    }
    text
}
