//! A successful answer on its way to HTTP, with the headers that Go's servers send.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::status::Failure;
use super::wire::{Answer, Form};

/// A successful answer.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) code: StatusCode,
    /// Empty where there is no body.
    pub(super) content_type: &'static str,
    pub(super) bytes: Bytes,
    /// Further headers, or other values for those that every answer has.
    pub(super) headers: HeaderMap,
}

impl Body {
    /// Bytes that stand ready.
    pub(super) fn made(content_type: &'static str, bytes: Bytes) -> Body {
        Body {
            code: StatusCode::OK,
            content_type,
            bytes,
            headers: HeaderMap::new(),
        }
    }

    pub(super) fn json(bytes: Result<Vec<u8>, serde_json::Error>) -> Result<Body, Failure> {
        let bytes = bytes.map_err(|e| Failure::internal("unable to encode", &e.to_string()))?;
        Ok(Body::made("application/json", bytes.into()))
    }

    /// The client has it: nothing but headers, and no media type, as Go's servers answer.
    pub(super) fn not_modified() -> Body {
        Body {
            code: StatusCode::NOT_MODIFIED,
            content_type: "",
            bytes: Bytes::new(),
            headers: HeaderMap::new(),
        }
    }

    /// An object in the encoding that the client asked for.
    pub(super) fn object(form: Form, object: &impl Answer) -> Result<Body, Failure> {
        Ok(Body {
            content_type: form.encoding.media_type(),
            ..Body::json(form.write(object))?
        })
    }

    /// The same for one that has no form in protocol buffers.
    pub(super) fn readable(form: Form, object: &impl Serialize) -> Result<Body, Failure> {
        Ok(Body {
            content_type: form.encoding.media_type(),
            ..Body::json(form.readable(object))?
        })
    }

    pub(super) fn text(code: StatusCode, text: String) -> Body {
        Body {
            code,
            content_type: "text/plain; charset=utf-8",
            bytes: text.into(),
            headers: HeaderMap::new(),
        }
    }

    pub(super) fn exposition(text: String) -> Body {
        let content_type = "text/plain; version=0.0.4; charset=utf-8";
        Body {
            code: StatusCode::OK,
            content_type,
            bytes: text.into(),
            headers: HeaderMap::new(),
        }
    }

    /// The same, compressed where it is large and the client takes it so, as Go's servers do
    /// (`k8s.io/apiserver/pkg/endpoints/handlers/responsewriters`).
    pub(super) async fn compressed(mut self, request: &HeaderMap) -> Body {
        if self.bytes.len() <= COMPRESSED_FROM || !takes_gzip(request) {
            return self;
        }
        let plain = self.bytes.clone();
        // A megabyte takes some ten milliseconds: too long for a thread that others wait for.
        let compressed = tokio::task::spawn_blocking(move || gzip(&plain)).await;
        if let Ok(Ok(compressed)) = compressed {
            self.bytes = compressed.into();
            let gzip = HeaderValue::from_static("gzip");
            self.headers.insert(CONTENT_ENCODING, gzip);
            let vary = HeaderValue::from_static("Accept-Encoding");
            self.headers.append(VARY, vary);
        }
        self
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.bytes));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if self.content_type.starts_with("text/") {
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        headers.extend(self.headers);
        response
    }
}

/// A body is compressed from one byte more.
const COMPRESSED_FROM: usize = 128 * 1024;

/// Whether `gzip` is among what the client takes; Go does not look at qualities.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get(ACCEPT_ENCODING).map(HeaderValue::as_bytes);
    let mut codings = given.unwrap_or_default().split(|byte| *byte == b',');
    codings.any(|coding| coding.trim_ascii() == b"gzip")
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    async fn answer(length: usize, accept_encoding: Option<&'static str>) -> (HeaderMap, Bytes) {
        let mut headers = HeaderMap::new();
        if let Some(accepted) = accept_encoding {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        }
        let body = Body::text(StatusCode::OK, "a".repeat(length));
        let response = body.compressed(&headers).await.into_response();
        let (parts, body) = response.into_parts();
        let bytes = http_body_util::BodyExt::collect(body)
            .await
            .unwrap()
            .to_bytes();
        (parts.headers, bytes)
    }

    #[tokio::test]
    async fn what_is_larger_than_128_kib_is_compressed_for_those_who_take_gzip() {
        for accepted in ["gzip", "deflate, gzip", "gzip, br"] {
            let (headers, bytes) = answer(COMPRESSED_FROM + 1, Some(accepted)).await;
            assert_eq!(headers[CONTENT_ENCODING], "gzip");
            assert_eq!(headers[VARY], "Accept-Encoding");
            let mut text = String::new();
            let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
            decoder.read_to_string(&mut text).unwrap();
            assert_eq!(text, "a".repeat(COMPRESSED_FROM + 1));
        }
        for (length, accepted) in [
            (COMPRESSED_FROM, Some("gzip")),
            (COMPRESSED_FROM + 1, None),
            (COMPRESSED_FROM + 1, Some("gzip;q=1")),
            (COMPRESSED_FROM + 1, Some("deflate, br")),
        ] {
            let (headers, bytes) = answer(length, accepted).await;
            assert_eq!(headers.get(CONTENT_ENCODING), None, "{accepted:?}");
            assert_eq!(headers.get(VARY), None, "{accepted:?}");
            assert_eq!(bytes.len(), length, "{accepted:?}");
        }
    }
}
