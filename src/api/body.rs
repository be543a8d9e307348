//! A successful answer on its way to HTTP, with the headers that Go's servers send.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

use super::status::Failure;

/// A successful answer.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) code: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Further headers, or other values for those that every answer has.
    pub(super) headers: HeaderMap,
}

impl Body {
    pub(super) fn json(bytes: Result<Vec<u8>, serde_json::Error>) -> Result<Body, Failure> {
        let bytes = bytes.map_err(|e| Failure::internal("unable to encode", &e.to_string()))?;
        Ok(Body {
            code: StatusCode::OK,
            content_type: "application/json",
            bytes,
            headers: HeaderMap::new(),
        })
    }

    pub(super) fn text(code: StatusCode, text: String) -> Body {
        Body {
            code,
            content_type: "text/plain; charset=utf-8",
            bytes: text.into_bytes(),
            headers: HeaderMap::new(),
        }
    }

    pub(super) fn exposition(text: String) -> Body {
        let content_type = "text/plain; version=0.0.4; charset=utf-8";
        Body {
            code: StatusCode::OK,
            content_type,
            bytes: text.into_bytes(),
            headers: HeaderMap::new(),
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.bytes.into()));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if self.content_type.starts_with("text/") {
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        headers.extend(self.headers);
        response
    }
}
