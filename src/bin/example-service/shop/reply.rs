//! Errors as customers see them: one JSON form, the right status, and nothing of the inside.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::dependency::Unavailable;
use crate::sessions::Trouble;

/// Seconds. A dependency that has restarted is back by then.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An answer other than what was asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    why: String,
}

impl Refusal {
    pub(super) fn new(code: StatusCode, why: impl Into<String>) -> Refusal {
        Refusal {
            code,
            why: why.into(),
        }
    }

    /// It is not the request's fault: it can be sent again.
    pub(super) fn later(why: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({"error": self.why}));
        let mut answer = (self.code, body).into_response();
        if self.code == StatusCode::SERVICE_UNAVAILABLE {
            let headers = answer.headers_mut();
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        answer
    }
}

impl From<Unavailable> for Refusal {
    fn from(unavailable: Unavailable) -> Refusal {
        // In the log of each request this would be a flood: the health check logs the change, and
        // `dependency_errors_total` has the number. Customers get no addresses of the inside.
        tracing::debug!(error = %unavailable, "a request failed");
        Refusal::later(format!("{} is not available", unavailable.dependency))
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Refusal {
        match trouble {
            Trouble::Unavailable(unavailable) => Refusal::from(unavailable),
            Trouble::UnknownSession => Refusal::new(StatusCode::UNAUTHORIZED, trouble.to_string()),
            Trouble::Full => Refusal::new(StatusCode::CONFLICT, trouble.to_string()),
        }
    }
}

pub(super) async fn not_found() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "no such page: GET / lists what is here",
    )
}

pub(super) async fn method_not_allowed() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "not by this method: GET / lists what is here",
    )
}
