//! What can be said of single settings before a client is made of them.

use reqwest::header::{HeaderName, HeaderValue};

use super::{IGNORED, SetupError, Url, basic, parse_url};

/// What each request sets itself. Servers take the first of two, or the one of the URL before the
/// one of the body.
const OWN_PARAMS: [&str; 6] = ["query", "time", "timeout", "match[]", "start", "end"];

/// Whether each request sets the parameter `name` itself.
pub fn is_own_param(name: &str) -> bool {
    OWN_PARAMS.contains(&name)
}

/// A parameter in the query of `url` that each request sets itself.
pub(super) fn own_param(url: &Url) -> Option<&'static str> {
    let mut own = OWN_PARAMS.into_iter();
    own.find(|own| url.query_pairs().any(|(name, _)| name == *own))
}

/// Whether `text` can be the URL of a backend of the rules file.
///
/// # Errors
/// What is wrong with it, without repeating it: it may hold a password.
pub fn check_url(text: &str) -> Result<(), SetupError> {
    match own_param(&parse_url(text)?) {
        None => Ok(()),
        Some(own) => Err(SetupError::Url(format!(
            "its query sets `{own}`, which each request sets itself"
        ))),
    }
}

/// Whether `text` is a URL with a user or a password in it.
pub fn has_user(text: &str) -> bool {
    parse_url(text).is_ok_and(|url| basic(&url).is_some())
}

/// Whether a header can be called `name` and say `value`, and requests would carry it.
///
/// # Errors
/// What is wrong with it, without the value, which may be a secret, and without what is no name: it
/// may be name and value in one.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    let key: HeaderName = name
        .parse()
        .map_err(|_| "this cannot be the name of a header".to_owned())?;
    if IGNORED.contains(&key) {
        return Err(format!(
            "the header {name:?} is written by the HTTP client itself"
        ));
    }
    HeaderValue::from_str(value.trim())
        .map(drop)
        .map_err(|_| format!("the value of {name:?} cannot stand in a header"))
}

/// Whether a server's certificate can be for `name`: a DNS name or an IP address.
pub fn is_server_name(name: &str) -> bool {
    rustls::pki_types::ServerName::try_from(name).is_ok()
}
