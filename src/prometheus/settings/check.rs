//! What can be said of single settings before a client is made of them.

use reqwest::header::{HeaderName, HeaderValue};

use super::{IGNORED, SetupError, basic, parse_url};

/// Whether `text` can be the URL of a backend.
///
/// # Errors
/// What is wrong with it, without repeating it: it may hold a password.
pub fn check_url(text: &str) -> Result<(), SetupError> {
    parse_url(text).map(drop)
}

/// Whether `text` is a URL with a user or a password in it.
pub fn has_user(text: &str) -> bool {
    parse_url(text).is_ok_and(|url| basic(&url).is_some())
}

/// Whether a header can be called `name` and say `value`, and requests would carry it.
///
/// # Errors
/// What is wrong with it, without the value: it may be a secret.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    let key: HeaderName = name
        .parse()
        .map_err(|_| format!("{name:?} cannot be the name of a header"))?;
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
