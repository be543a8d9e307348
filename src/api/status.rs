//! Any failure of a request as a full `metav1.Status`.
//!
//! The message is what a person reads in `kubectl describe hpa`: it names the cause, says the same
//! thing each time (it becomes an event, and events are told apart by their text), and holds no
//! secret. Texts and shapes are the Go adapter's where it has them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};

use super::accept::NotAcceptable;
use super::cause::Cause;
use super::explain::Busy;
use super::route;
use crate::auth::{Attributes, Refusal};
use crate::kubernetes;
use crate::plan::resource::Missing;
use crate::telemetry::Limit;

/// Failures of metrics: not known, not to be asked for, not answered.
mod metrics;

/// How a request failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    code: u16,
    reason: Option<&'static str>,
    message: String,
    details: Option<Box<StatusDetails>>,
    cause: Cause,
    /// The limit that was reached, to be counted.
    limit: Option<Limit>,
}

impl Failure {
    /// 400: the client asked for something that cannot be.
    pub(super) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(400, Some("BadRequest"), message).caused(Cause::BadRequest)
    }

    /// 401, 403, 429, or 500 where nobody knows; `uri` is the request's, for the last
    /// (`authorization.go`).
    pub(super) fn refused(refusal: &Refusal, uri: &str) -> Failure {
        match refusal {
            Refusal::Unauthorized => Failure::new(401, Some("Unauthorized"), refusal.to_string())
                .caused(Cause::Unauthorized),
            Refusal::Forbidden { attributes, .. } => {
                Failure::new(403, Some("Forbidden"), refusal.to_string())
                    .caused(Cause::Forbidden)
                    .with_details(forbidden_details(attributes))
            }
            Refusal::Busy => Failure::too_many_requests(),
            Refusal::Impersonation(_) | Refusal::Review(_) => {
                let uri = uri
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;");
                let text = format!("Internal Server Error: {uri:?}: {refusal}");
                Failure::new(500, Some("InternalError"), text)
            }
        }
    }

    /// 500, or 504 where time ran out: the objects' names are not to be had.
    pub(super) fn unlisted(error: &kubernetes::Error) -> Failure {
        let message = "unable to list matching resources";
        if error.is_timeout() {
            return Failure::new(504, Some("Timeout"), format!("Timeout: {message}: {error}"))
                .caused(Cause::ObjectsUnlisted)
                .with_details(StatusDetails::default());
        }
        let message = format!("{message}: {error}");
        Failure::internal(&message, &error.to_string()).caused(Cause::ObjectsUnlisted)
    }

    /// 404: a path below an installed group that no route takes.
    pub(super) fn no_such_route() -> Failure {
        Failure::new(
            404,
            Some("NotFound"),
            "the server could not find the requested resource",
        )
        .caused(Cause::UnknownPath)
        .with_details(StatusDetails::default())
    }

    /// 404: the pod or node is not there, or does not run; `kind` as metrics-server calls it.
    pub(super) fn no_such_object(kind: &str, name: &str) -> Failure {
        Failure::new(404, Some("NotFound"), format!("{kind} {name:?} not found"))
            .caused(Cause::NoSuchObject)
            .with_details(StatusDetails {
                name: Some(name.to_owned()),
                kind: Some(kind.to_owned()),
                ..StatusDetails::default()
            })
    }

    /// 404: the pod or node runs, but has no usage; `kind` as `podmetrics`. Where some of its
    /// samples are there, the text says which one is not.
    pub(super) fn no_usage(kind: &str, group: &str, name: &str, missing: &Missing) -> Failure {
        let text = format!("{kind}.{group} {name:?} not found");
        let text = match missing {
            Missing::Everything => text,
            Missing::Sample { .. } => format!("{text}: {missing}"),
        };
        let cause = match missing.is_not_a_number() {
            true => Cause::NotANumber,
            false => Cause::NoRows,
        };
        Failure::new(404, Some("NotFound"), text)
            .caused(cause)
            .with_details(StatusDetails {
                name: Some(name.to_owned()),
                group: Some(group.to_owned()),
                kind: Some(kind.to_owned()),
                ..StatusDetails::default()
            })
    }

    /// 405: a route that has no such method.
    pub(super) fn method_not_allowed() -> Failure {
        let text = "the server does not allow this method on the requested resource";
        Failure::new(405, Some("MethodNotAllowed"), text)
            .caused(Cause::BadRequest)
            .with_details(StatusDetails::default())
    }

    /// 405: a watch where only reads are served; `resource` with its group.
    pub(super) fn watch_not_supported(resource: &str, group: &str) -> Failure {
        let text = format!("watch is not supported on resources of kind \"{resource}.{group}\"");
        let failure = Failure::new(405, Some("MethodNotAllowed"), text).caused(Cause::BadRequest);
        failure.with_details(StatusDetails {
            group: Some(group.to_owned()),
            kind: Some(resource.to_owned()),
            ..StatusDetails::default()
        })
    }

    /// 406: none of the media types that the client takes is served.
    pub(super) fn not_acceptable(cause: NotAcceptable) -> Failure {
        let failure = Failure::new(406, Some("NotAcceptable"), cause.to_string());
        match cause {
            NotAcceptable::Route { .. } => failure.with_details(StatusDetails::default()),
            NotAcceptable::Object | NotAcceptable::Document(_) => failure,
        }
    }

    /// 406: the metadata of one object are asked for where a list of this kind is.
    pub(super) fn no_object(kind: &str) -> Failure {
        let asked = "you requested PartialObjectMetadata, but the requested object is a list";
        Failure::new(406, Some("NotAcceptable"), format!("{asked} ({kind})"))
    }

    /// 406: the metadata of a list are asked for where one object of this kind is.
    pub(super) fn no_list(kind: &str) -> Failure {
        let asked = "you requested PartialObjectMetadataList, but the requested object is not a";
        Failure::new(406, Some("NotAcceptable"), format!("{asked} list ({kind})"))
    }

    /// 415: the request has a body of a type that nobody reads.
    pub(super) fn unsupported_media_type() -> Failure {
        let text = "415: Unsupported Media Type";
        Failure::new(415, Some("UnsupportedMediaType"), text).with_details(StatusDetails::default())
    }

    /// 429: too many requests at once.
    pub(super) fn too_many_requests() -> Failure {
        Failure::later("Too many requests, please try again later.")
    }

    fn later(text: &str) -> Failure {
        let failure = Failure::new(429, Some("TooManyRequests"), text).caused(Cause::Busy);
        failure.with_details(StatusDetails {
            retry_after_seconds: Some(1),
            ..StatusDetails::default()
        })
    }

    /// 500 with Go's text `unable to …`; `cause` is told in the details.
    pub(super) fn internal(message: &str, cause: &str) -> Failure {
        Failure::new(
            500,
            Some("InternalError"),
            format!("Internal error occurred: {message}"),
        )
        .with_details(caused_by(cause, None))
    }

    /// 500: a bug of ours.
    pub(super) fn panicked() -> Failure {
        let text = "This request caused tidegauge to panic. Look in the logs for details.";
        Failure::new(500, Some("InternalError"), text)
    }

    /// 504: the request's own time ran out.
    pub(super) fn timed_out() -> Failure {
        let text = "Timeout: request did not complete within the allotted timeout";
        Failure::new(504, Some("Timeout"), text)
            .caused(Cause::Busy)
            .because_of_limit(Limit::RequestTimeout)
            .with_details(StatusDetails::default())
    }

    /// The same for another cause.
    pub(super) fn caused(self, cause: Cause) -> Failure {
        Failure { cause, ..self }
    }

    /// Why, as a word.
    pub(super) fn cause(&self) -> Cause {
        self.cause
    }

    /// What people read.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub(super) fn code(&self) -> u16 {
        self.code
    }

    /// Seconds for the `Retry-After` header.
    pub(super) fn retry_after(&self) -> Option<i32> {
        self.details
            .as_ref()
            .and_then(|details| details.retry_after_seconds)
    }

    /// As Kubernetes writes it.
    pub(super) fn status(&self) -> Status {
        Status {
            code: Some(i32::from(self.code)),
            reason: self.reason.map(str::to_owned),
            message: Some(self.message.clone()),
            details: self.details.as_deref().cloned(),
            status: Some("Failure".to_owned()),
            ..Status::default()
        }
    }

    pub(super) fn new(
        code: u16,
        reason: Option<&'static str>,
        message: impl Into<String>,
    ) -> Failure {
        Failure {
            code,
            reason,
            message: message.into(),
            details: None,
            cause: Cause::Internal,
            limit: None,
        }
    }

    /// Which limit was reached, where it was one.
    pub(super) fn limit(&self) -> Option<Limit> {
        let too_long = (self.cause == Cause::QueryTooLong).then_some(Limit::MaxQueryBytes);
        self.limit.or(too_long)
    }

    /// The same, because this limit was reached.
    pub(super) fn because_of_limit(self, limit: Limit) -> Failure {
        Failure {
            limit: Some(limit),
            ..self
        }
    }

    fn with_details(self, details: StatusDetails) -> Failure {
        Failure {
            details: Some(Box::new(details)),
            ..self
        }
    }
}

fn forbidden_details(attributes: &Attributes) -> StatusDetails {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let Some(resource) = &attributes.resource else {
        return StatusDetails::default();
    };
    StatusDetails {
        name: given(&resource.name),
        group: given(&resource.group),
        kind: given(&resource.resource),
        ..StatusDetails::default()
    }
}

/// 429: too many explanations at once.
impl From<Busy> for Failure {
    fn from(busy: Busy) -> Failure {
        Failure::later(&busy.to_string()).because_of_limit(Limit::Explanations)
    }
}

impl From<route::Refusal> for Failure {
    fn from(refusal: route::Refusal) -> Failure {
        match &refusal {
            route::Refusal::BadRequest(text) => Failure::bad_request(text),
            route::Refusal::NotFound => Failure::no_such_route(),
            route::Refusal::MethodNotAllowed => Failure::method_not_allowed(),
            route::Refusal::WatchNotSupported(watch) => {
                Failure::watch_not_supported(watch.resource, watch.group.name())
            }
        }
    }
}

fn caused_by(message: &str, reason: Option<&str>) -> StatusDetails {
    let cause = StatusCause {
        message: Some(message.to_owned()),
        reason: reason.map(str::to_owned),
        ..StatusCause::default()
    };
    StatusDetails {
        causes: Some(vec![cause]),
        ..StatusDetails::default()
    }
}
