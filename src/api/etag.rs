//! Entity tags: how a client that keeps a document asks whether it still holds (RFC 9110, sections
//! 8.8.3 and 13.1.2).

use aws_lc_rs::digest::{SHA512, digest};
use hyper::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};

/// Tells documents apart: the SHA-512 of the bytes in upper-case hexadecimal, as
/// `k8s.io/apiserver/pkg/endpoints/discovery/aggregated/etag.go` writes it. The same in every
/// replica.
pub(super) fn hash(bytes: &[u8]) -> String {
    let digest = digest(&SHA512, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02X}")).collect()
}

/// The tag of a document with this hash, as headers write it.
pub(super) fn tag(hash: &str) -> String {
    format!("\"{hash}\"")
}

/// Whether the client has the document of this tag, so that it need not be sent.
pub(super) fn is_kept(request: &HeaderMap, tag: &str) -> bool {
    let known = request.get_all(IF_NONE_MATCH);
    known.iter().any(|known| names(known, tag))
}

/// A list of tags, compared weakly, or `*`. (Go compares the whole header, which is one tag.)
fn names(known: &HeaderValue, wanted: &str) -> bool {
    let tags = known.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == wanted || tag == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_as_rfc_9110_says() {
        for (known, named) in [
            ("\"A\"", true),
            ("W/\"A\"", true),
            ("\"B\", \"A\"", true),
            ("*", true),
            ("\"B\"", false),
            ("A", false),
            ("", false),
        ] {
            assert_eq!(
                names(&HeaderValue::from_static(known), &tag("A")),
                named,
                "{known}"
            );
        }
    }

    #[test]
    fn a_hash_is_written_as_go_writes_it() {
        let hash = hash(b"abc");
        assert!(
            hash.starts_with("DDAF35A193617ABACC417349AE204131"),
            "{hash}"
        );
        assert_eq!(hash.len(), 128);
    }
}
