//! A successful answer on its way to HTTP, with the headers that Go's servers send.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::gzip::Kept;
use super::status::Failure;
use super::wire::{Answer, Form};
use crate::journal::Summary;

/// A successful answer.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) code: StatusCode,
    /// Empty where there is no body.
    pub(super) content_type: &'static str,
    pub(super) bytes: Bytes,
    /// The bytes with their compressed form, where they are sent more than once.
    pub(super) kept: Option<Kept>,
    /// Further headers, or other values for those that every answer has.
    pub(super) headers: HeaderMap,
    /// Its values in short, where somebody looks.
    pub(super) summary: Option<Box<Summary>>,
}

impl Body {
    pub(super) fn made(content_type: &'static str, bytes: Bytes) -> Body {
        Body {
            code: StatusCode::OK,
            content_type,
            bytes,
            kept: None,
            headers: HeaderMap::new(),
            summary: None,
        }
    }

    /// Bytes that stand ready.
    pub(super) fn kept(content_type: &'static str, bytes: &Kept) -> Body {
        Body {
            kept: Some(bytes.clone()),
            ..Body::made(content_type, bytes.plain())
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
            ..Body::made("", Bytes::new())
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
            ..Body::made("text/plain; charset=utf-8", text.into())
        }
    }

    /// The same with its values in short.
    pub(super) fn seen(self, summary: Option<Box<Summary>>) -> Body {
        Body { summary, ..self }
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
