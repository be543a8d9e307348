//! The name of a request, from the client's log through ours to that of whoever is asked for it.
//!
//! Kubernetes names each request (`Audit-Id`, `k8s.io/apiserver/pkg/apis/audit`) and its aggregator
//! hands the name on. It goes with the request's task rather than through every signature: nothing
//! decides by it.

use std::fmt;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// `k8s.io/apiserver/pkg/apis/audit` `HeaderAuditID`.
pub const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// What proxies and Prometheus-compatible servers call the same: Envoy and nginx log it, and so do
/// the query frontends of Thanos and Mimir.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The API server's are UUIDs; `GetAuditIDTruncated` in k8s.io/apiserver has the same limit.
const BYTES_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: Option<RequestId>;
}

/// A request's name: short, and fit for logs and headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The one that a client gave. What could be no name is none: it would stand in logs.
    pub fn of(headers: &HeaderMap) -> Option<RequestId> {
        let value = headers.get(AUDIT_ID)?;
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        let bytes = value.as_bytes();
        let is_name = (1..=BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(allowed);
        is_name.then(|| RequestId(value.clone()))
    }

    /// That of the request for which this is done; none where nobody asked.
    pub fn current() -> Option<RequestId> {
        CURRENT.try_with(Clone::clone).ok().flatten()
    }

    /// Does something for the request of this name.
    pub fn scope<F: Future>(id: Option<RequestId>, work: F) -> impl Future<Output = F::Output> {
        // Not an `async fn`: that would have room for the work twice.
        CURRENT.scope(id, work)
    }

    /// For a header.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(AUDIT_ID, HeaderValue::from_bytes(value).unwrap());
        RequestId::of(&headers).map(|id| id.to_string())
    }

    #[test]
    fn only_what_could_be_a_name_is_one() {
        let uuid = "0d1ad2b2-3b2e-4f0e-8a0b-6b1f8a3a7c11";
        assert_eq!(of(uuid.as_bytes()).as_deref(), Some(uuid));
        for wrong in ["", "two words", "line\tfeed", "a=\"b\"", "a,b"] {
            assert_eq!(of(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(of(b"\xff"), None);
        assert_eq!(of("x".repeat(65).as_bytes()), None);
        assert_eq!(RequestId::of(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn it_goes_with_the_work_and_no_further() {
        let mut headers = HeaderMap::new();
        headers.insert(AUDIT_ID, HeaderValue::from_static("one"));
        let id = RequestId::of(&headers);
        assert_eq!(RequestId::current(), None);
        let inside = RequestId::scope(id.clone(), async { RequestId::current() });
        assert_eq!(inside.await, id);
        assert_eq!(RequestId::current(), None);
    }
}
