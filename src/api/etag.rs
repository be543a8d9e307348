//! Entity tags: how a client that keeps a document asks whether it still holds (RFC 9110, sections
//! 8.8.3 and 13.1.2).

use aws_lc_rs::digest::{SHA512, digest};
use hyper::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY};

use super::body::Body;

/// Tells documents apart: the SHA-512 of the bytes in upper-case hexadecimal, as
/// `k8s.io/apiserver/pkg/endpoints/discovery/aggregated/etag.go` writes it. The same in every
/// replica.
pub(super) fn hash(bytes: &[u8]) -> String {
    let digest = digest(&SHA512, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02X}")).collect()
}

/// The document with this hash under its tag; nothing but headers where the client has it. There
/// are several forms of each document, and `Accept` chooses.
pub(super) fn tagged(document: Body, hash: &str, request: &HeaderMap) -> Body {
    let tag = tag(hash);
    let known = request.get_all(IF_NONE_MATCH);
    let mut headers = document.headers.clone();
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    let body = match known.iter().any(|known| names(known, &tag)) {
        true => Body::not_modified(),
        false => document,
    };
    Body { headers, ..body }
}

/// The tag of a document with this hash, as headers write it.
fn tag(hash: &str) -> String {
    format!("\"{hash}\"")
}

/// A list of tags, compared weakly, or `*`. (Go compares the whole header, which is one tag.)
fn names(known: &HeaderValue, wanted: &str) -> bool {
    let tags = known.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == wanted || tag == "*")
}

#[cfg(test)]
mod tests {
    use hyper::header::CACHE_CONTROL;

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
    fn a_document_that_is_kept_is_nothing_but_its_headers() {
        for (known, code, bytes) in [("\"A\"", 304, ""), ("\"B\"", 200, "{}")] {
            let mut request = HeaderMap::new();
            request.append(IF_NONE_MATCH, HeaderValue::from_static("\"C\""));
            request.append(IF_NONE_MATCH, HeaderValue::from_static(known));
            let mut document = Body::made("application/json", "{}".into());
            let public = HeaderValue::from_static("public");
            document.headers.insert(CACHE_CONTROL, public);
            let body = tagged(document, "A", &request);
            assert_eq!((body.code.as_u16(), &*body.bytes), (code, bytes.as_bytes()));
            assert_eq!(body.headers[ETAG], "\"A\"");
            assert_eq!(body.headers[VARY], "Accept");
            assert_eq!(body.headers[CACHE_CONTROL], "public");
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
