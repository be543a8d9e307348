//! How a client wants what we write: whether it takes JSON, and for whose eyes (RFC 9110, section
//! 12.5.1, as far as Go's servers read it).

use hyper::header::{HeaderMap, HeaderValue, USER_AGENT};

/// Whether plain JSON is among the media types of an `Accept` header, or there is none.
///
/// `application/json;as=Table` and other `as=` forms ask for another object, not for plain JSON.
pub(super) fn takes_json<'a>(accept: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let mut asked = false;
    for value in accept {
        let Ok(value) = value.to_str() else { continue };
        for media_range in value.split(',').filter(|range| !range.trim().is_empty()) {
            asked = true;
            let mut parts = media_range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let json = ["*/*", "application/*", "application/json"];
            let is_json = json.iter().any(|it| media_type.eq_ignore_ascii_case(it));
            if is_json && !parts.any(|parameter| parameter.starts_with("as=")) {
                return true;
            }
        }
    }
    !asked
}

/// Go's servers indent for these (`k8s.io/apiserver/pkg/endpoints/handlers/negotiation`).
pub(super) fn is_person(headers: &HeaderMap) -> bool {
    let agent = headers
        .get(USER_AGENT)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    [&b"curl"[..], b"Wget", b"Mozilla/5.0"]
        .iter()
        .any(|person| agent.starts_with(person))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_unless_something_else_is_demanded() {
        for (accept, taken) in [
            ("application/json", true),
            ("application/vnd.kubernetes.protobuf, */*", true),
            ("application/vnd.kubernetes.protobuf,application/json", true),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                true,
            ),
            ("application/json;as=Table;v=v1;g=meta.k8s.io", false),
            ("application/yaml", false),
            ("text/html", false),
            ("", true),
        ] {
            let value = HeaderValue::from_static(accept);
            assert_eq!(takes_json([&value]), taken, "{accept:?}");
        }
        assert!(takes_json([]));
    }
}
