//! The documents, ready to be sent, and which of their forms a client takes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{CACHE_CONTROL, EXPIRES, HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Ask, Dialect, documents, encoded, protobuf, v2, v3, v3_index};
use crate::api::accept::{self, NotAcceptable};
use crate::api::gzip::Kept;
use crate::api::route::ApiGroup;
use crate::api::status::Failure;
use crate::api::{Body, etag};

const JSON: &str = "application/json";

/// What each dialect is offered as, in the order of `k8s.io/kube-openapi/pkg/{handler,handler3}`:
/// JSON, and protocol buffers by their old name and by the one that is answered.
const V2_TYPES: [&str; 3] = [
    JSON,
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];
const V3_TYPES: [&str; 3] = [
    JSON,
    "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
];

/// How long a document may be kept that was asked for by its hash. (The header must say some date.)
const KEPT: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The documents over the groups that were asked about last. Groups hardly ever change, so they are
/// made once.
#[derive(Debug, Default)]
pub(in crate::api) struct Documents {
    current: Mutex<Option<Arc<Described>>>,
}

/// The documents over some groups.
#[derive(Debug)]
struct Described {
    groups: Vec<ApiGroup>,
    v2: Document,
    index: Document,
    /// By the path below `/openapi/v3/`.
    v3: BTreeMap<String, Document>,
}

/// One document in its forms. Its hash is that of the JSON, whatever the form, as in Go: it tells
/// states of the document apart.
#[derive(Debug)]
struct Document {
    hash: String,
    json: Kept,
    /// Media types in the order of preference; none where there is nothing to choose.
    types: &'static [&'static str],
    protobuf: Kept,
}

impl Documents {
    /// Answers a request for a document over these groups; `None` where there is no such document.
    pub(in crate::api) fn answer(
        &self,
        groups: &[ApiGroup],
        ask: Ask<'_>,
        request: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Body>, Failure> {
        let described = self.of(groups)?;
        let document = match ask {
            Ask::V2 => Some(&described.v2),
            Ask::V3 { document: "", .. } => Some(&described.index),
            Ask::V3 { document, .. } => described.v3.get(document),
        };
        let Some(document) = document else {
            return Ok(None);
        };
        let mut body = document.body(&accept::header(request))?;
        if matches!(ask, Ask::V3 { hash: Some(asked), .. } if asked == document.hash) {
            let immutable = HeaderValue::from_static("public, immutable");
            body.headers.insert(CACHE_CONTROL, immutable);
            if let Ok(date) = HeaderValue::try_from(http_date(now + KEPT)) {
                body.headers.insert(EXPIRES, date);
            }
        }
        Ok(Some(etag::tagged(body, &document.hash, request)))
    }

    fn of(&self, groups: &[ApiGroup]) -> Result<Arc<Described>, Failure> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = current.as_ref().filter(|known| known.groups == groups) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(Described::new(groups)?);
        *current = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Described {
    fn new(groups: &[ApiGroup]) -> Result<Described, Failure> {
        let mut all = BTreeMap::new();
        for name in documents(groups) {
            if let Some(document) = v3(groups, &name) {
                all.insert(name, Document::new(&document, Some(Dialect::V3))?);
            }
        }
        Ok(Described {
            groups: Vec::from(groups),
            v2: Document::new(&v2(groups), Some(Dialect::V2))?,
            index: Document::new(&v3_index(groups)?, None)?,
            v3: all,
        })
    }
}

impl Document {
    /// The index has no dialect, and no form but JSON.
    fn new(document: &Value, dialect: Option<Dialect>) -> Result<Document, Failure> {
        let json = encoded(document)?;
        let types: &[&str] = match dialect {
            None => &[],
            Some(Dialect::V2) => &V2_TYPES,
            Some(Dialect::V3) => &V3_TYPES,
        };
        let protobuf = dialect.map(|it| protobuf::encode(document, it)).transpose();
        let protobuf = protobuf.map_err(|e| Failure::internal("unable to encode", &e.to_string()));
        Ok(Document {
            hash: etag::hash(&json),
            json: json.into(),
            types,
            protobuf: protobuf?.unwrap_or_default().into(),
        })
    }

    fn body(&self, accept: &str) -> Result<Body, Failure> {
        let Some(last) = self.types.last() else {
            return Ok(Body::kept(JSON, &self.json));
        };
        match accept::media_type(accept, self.types) {
            Some(JSON) => Ok(Body::kept(JSON, &self.json)),
            Some(_) => Ok(Body::kept(last, &self.protobuf)),
            None => Err(Failure::not_acceptable(NotAcceptable::Document(self.types))),
        }
    }
}

/// RFC 9110, section 5.6.7.
pub(super) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
