//! What to do about a wide query that was not answered.

use reqwest::StatusCode;

use crate::prometheus::Error;

/// What would mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// A narrower query: it is this one that cannot be answered.
    Narrow(Cause),
    /// The same, if such a one is answered: Thanos refuses any query while one of its stores is
    /// away, with the status for one that is too large.
    Try(Cause),
    /// A narrower query, if such a one is answered. Else it is the server that cannot.
    Probe(Cause),
    /// The same, once it has failed for a while: servers and proxies that go away fail so too.
    Doubt(Cause),
    /// Nothing that we can do: whoever asked would fail with any query.
    Wait,
}

/// Why a wide query is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It gives more rows or bytes than it may.
    TooLarge,
    /// The server does not like it.
    Refused,
    /// It takes too long.
    TooSlow,
    /// It takes more of the server's time than the queries that it stands for.
    Wasteful,
}

impl Cause {
    /// For logs, and for a metric's label.
    pub(super) fn word(self) -> &'static str {
        match self {
            Cause::TooLarge => "too_large",
            Cause::Refused => "refused",
            Cause::TooSlow => "too_slow",
            Cause::Wasteful => "wasteful",
        }
    }
}

impl Remedy {
    /// For what went wrong.
    pub(super) fn of(error: &Error) -> Remedy {
        match error {
            Error::TooLarge(_) | Error::Declined(_) => Remedy::Narrow(Cause::TooLarge),
            // It was not sent.
            Error::NotEnforced(_) => Remedy::Narrow(Cause::Refused),
            Error::Refused { kind, .. } if kind == "timeout" => Remedy::Probe(Cause::TooSlow),
            // A proxy that waits or reads no longer.
            Error::BadStatus(StatusCode::GATEWAY_TIMEOUT) => Remedy::Doubt(Cause::TooSlow),
            Error::Truncated(_) | Error::NotJson(_) | Error::Malformed(_) | Error::Html => {
                Remedy::Doubt(Cause::Refused)
            }
            Error::Refused { status, .. } | Error::BadStatus(status) if is_ill(*status) => {
                Remedy::Wait
            }
            Error::Refused { kind, .. } => match kind.as_str() {
                // The limits of a server on one query are among the second; VictoriaMetrics has
                // the status for a kind.
                "bad_data" | "execution" | "422" => Remedy::Try(Cause::Refused),
                _ => Remedy::Probe(Cause::Refused),
            },
            // Some part of what it is about is missing, perhaps not that which was asked about.
            Error::BadStatus(_) | Error::Partial(_) => Remedy::Probe(Cause::Refused),
            Error::Timeout(_) | Error::Deadline => Remedy::Probe(Cause::TooSlow),
            Error::Backend { error, .. } => Remedy::of(error),
            // One that is away says nothing about the query.
            Error::Replicas(all) => {
                let mut remedies = all.iter().map(Remedy::of);
                let told = remedies.find(|remedy| *remedy != Remedy::Wait);
                told.unwrap_or(Remedy::Wait)
            }
            _ => Remedy::Wait,
        }
    }
}

/// Whether the server says so itself, or that it has too much to do.
fn is_ill(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_sick_server_is_no_reason_to_ask_it_more() {
        let answered = |kind: &str, status| Error::Refused {
            kind: kind.to_owned(),
            text: String::new(),
            status,
        };
        let refused = |kind| answered(kind, StatusCode::UNPROCESSABLE_ENTITY);
        let of_backend = |error| Error::Backend {
            name: "team-a".to_owned(),
            error: Box::new(error),
        };
        let unreachable = Error::Unreachable {
            server: String::new(),
            reason: "",
            source: None,
        };
        for (error, remedy) in [
            (Error::TooLarge(1), Remedy::Narrow(Cause::TooLarge)),
            (
                Error::Declined(String::new()),
                Remedy::Narrow(Cause::TooLarge),
            ),
            (refused("execution"), Remedy::Try(Cause::Refused)),
            (refused("bad_data"), Remedy::Try(Cause::Refused)),
            (refused("422"), Remedy::Try(Cause::Refused)),
            (refused("timeout"), Remedy::Probe(Cause::TooSlow)),
            (refused("limit"), Remedy::Probe(Cause::Refused)),
            (
                of_backend(refused("execution")),
                Remedy::Try(Cause::Refused),
            ),
            (
                answered("internal", StatusCode::INTERNAL_SERVER_ERROR),
                Remedy::Wait,
            ),
            (
                answered("execution", StatusCode::TOO_MANY_REQUESTS),
                Remedy::Wait,
            ),
            (
                answered("timeout", StatusCode::SERVICE_UNAVAILABLE),
                Remedy::Probe(Cause::TooSlow),
            ),
            (Error::Replicas(Vec::new()), Remedy::Wait),
            (
                Error::Replicas(vec![
                    Error::BadStatus(StatusCode::BAD_GATEWAY),
                    Error::Truncated(None),
                ]),
                Remedy::Doubt(Cause::Refused),
            ),
            (
                Error::Timeout(Duration::ZERO),
                Remedy::Probe(Cause::TooSlow),
            ),
            (Error::Deadline, Remedy::Probe(Cause::TooSlow)),
            (Error::Partial(None), Remedy::Probe(Cause::Refused)),
            (
                Error::BadStatus(StatusCode::PAYLOAD_TOO_LARGE),
                Remedy::Probe(Cause::Refused),
            ),
            (
                Error::BadStatus(StatusCode::TOO_MANY_REQUESTS),
                Remedy::Wait,
            ),
            (Error::BadStatus(StatusCode::BAD_GATEWAY), Remedy::Wait),
            (Error::Auth(StatusCode::FORBIDDEN), Remedy::Wait),
            (Error::Truncated(None), Remedy::Doubt(Cause::Refused)),
            (Error::Html, Remedy::Doubt(Cause::Refused)),
            (
                Error::BadStatus(StatusCode::GATEWAY_TIMEOUT),
                Remedy::Doubt(Cause::TooSlow),
            ),
            (unreachable, Remedy::Wait),
        ] {
            assert_eq!(Remedy::of(&error), remedy, "{error:?}");
        }
    }
}
