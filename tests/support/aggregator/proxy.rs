//! One request through the aggregator, as `handler_proxy.go` and `upgradeaware.go` send it on and
//! give its answer back.

use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;

use flate2::read::GzDecoder;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderName,
    HeaderValue, LOCATION,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};

use super::backend::{Answer, Backend};
use super::{User, escape};

/// What kube-apiserver gives a request, and one for `/apis/GROUP/VERSION` (`proxy.go`).
const REQUEST: Duration = Duration::from_secs(60);
const DOCUMENT: Duration = Duration::from_secs(5);

/// Headers that concern one connection only.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends a request on as `user`, and gives what the client gets.
pub(super) async fn proxy(
    backend: &Backend,
    user: &User,
    peer: IpAddr,
    parts: &Parts,
    body: Bytes,
) -> Answer {
    if !escape::is_escaped(parts.uri.path()) {
        return text(StatusCode::BAD_REQUEST, "400 Bad Request");
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(parts.uri.path()).collect();
    let path = escape::path(&decoded);
    let query = escape::query(parts.uri.query().unwrap_or_default());
    let target = match query.as_str() {
        "" => path.clone(),
        query => format!("{path}?{query}"),
    };
    let asked_for_gzip = parts.headers.contains_key(ACCEPT_ENCODING);
    let headers = headers(backend, user, peer, parts, &path);
    let limit = if path.trim_start_matches('/').split('/').count() == 3 {
        DOCUMENT
    } else {
        REQUEST
    };
    let sent = backend.send(parts.method.clone(), &target, headers, body);
    match tokio::time::timeout(limit, sent).await {
        Ok(Ok(answer)) => back(answer, asked_for_gzip),
        Ok(Err(reason)) => {
            let reason = format!("error trying to reach service: {reason}");
            text(StatusCode::SERVICE_UNAVAILABLE, &reason)
        }
        Err(_late) => text(
            StatusCode::GATEWAY_TIMEOUT,
            "the server was unable to answer in time",
        ),
    }
}

fn headers(backend: &Backend, user: &User, peer: IpAddr, parts: &Parts, path: &str) -> HeaderMap {
    let mut headers = parts.headers.clone();
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            HOP_BY_HOP.contains(&name)
                || name.starts_with("impersonate-")
                || ["x-remote-user", "x-remote-uid", "x-remote-group"].contains(&name)
                || name.starts_with("x-remote-extra-")
        })
        .cloned()
        .collect();
    for name in dropped.iter().chain(&[HOST, AUTHORIZATION, CONTENT_LENGTH]) {
        headers.remove(name);
    }
    let came: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let forwarded_for = [&came[..], &[&peer.to_string()]].concat().join(", ");
    headers.remove("x-forwarded-for");
    let mut add = |name: &str, value: &str| {
        let name: HeaderName = name.parse().expect("an own header's name must be one");
        headers.append(
            name,
            value.parse().expect("an own header's value must be one"),
        );
    };
    add("x-remote-user", user.name);
    if !user.uid.is_empty() {
        add("x-remote-uid", user.uid);
    }
    for group in user.groups {
        add("x-remote-group", group);
    }
    for (key, value) in user.extra {
        add(
            &format!("x-remote-extra-{}", escape::header_key(key)),
            value,
        );
    }
    add("x-forwarded-for", &forwarded_for);
    if !headers.contains_key(ACCEPT_ENCODING) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in [
        ("audit-id", AUDIT_ID),
        ("x-forwarded-host", &backend.authority()),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-uri", path),
    ] {
        let name = HeaderName::from_static(name);
        headers.insert(
            name,
            value.parse().expect("an own header's value must be one"),
        );
    }
    headers
}

/// Any will do: it is passed on, and comes back.
pub const AUDIT_ID: &str = "2329aab2-1a8d-4617-817c-f2ad86c5a58b";

/// The answer as the client gets it.
fn back(mut answer: Answer, asked_for_gzip: bool) -> Answer {
    if answer.status.is_redirection() && answer.headers.contains_key(LOCATION) {
        let reason = "the backend attempted to redirect this request, which is not permitted";
        return text(StatusCode::BAD_GATEWAY, reason);
    }
    let dropped: Vec<HeaderName> = answer
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control-"))
        .cloned()
        .collect();
    for name in dropped {
        answer.headers.remove(name);
    }
    // Go's transport unpacks what it asked to be packed.
    if !asked_for_gzip && answer.header("content-encoding") == "gzip" {
        let mut plain = Vec::new();
        if let Err(error) = GzDecoder::new(&answer.body[..]).read_to_end(&mut plain) {
            return text(StatusCode::SERVICE_UNAVAILABLE, &format!("gzip: {error}"));
        }
        answer.headers.remove(CONTENT_ENCODING);
        answer.body = Bytes::from(plain);
    }
    answer.headers.remove(CONTENT_LENGTH);
    answer
}

/// What `http.Error` writes.
pub(super) fn text(status: StatusCode, reason: &str) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Answer {
        status,
        headers,
        body: Bytes::from(format!("{reason}\n")),
    }
}
