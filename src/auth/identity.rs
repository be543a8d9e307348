//! Who somebody is, by what they show. Believes nothing that is not handed in as proven.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::name::DirectoryString;

use super::User;
use super::cache::digest;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// Which certificate a user came with (`x509.go` of k8s.io/apiserver).
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// A certificate or header that cannot be read as an identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Error {
    /// Not X.509, or a subject that is not text.
    #[error("the client certificate's subject cannot be read")]
    Subject(#[source] x509_cert::der::Error),
    /// Not UTF-8.
    #[error("the header {0} is not UTF-8")]
    Header(String),
}

/// Names of headers that name a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HeaderNames {
    /// The first one that is set holds the user's name.
    pub(super) user: Vec<String>,
    /// The first one that is set holds the user's ID.
    pub(super) uid: Vec<String>,
    /// All hold groups.
    pub(super) groups: Vec<String>,
    /// Beginnings; the rest of the header's name is the key.
    pub(super) extra: Vec<String>,
}

/// The parts of a certificate's subject that mean something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// The last one, as in Go.
    pub(super) common_name: String,
    pub(super) organizations: Vec<String>,
}

impl Subject {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Subject, Error> {
        let certificate = x509_cert::Certificate::from_der(certificate).map_err(Error::Subject)?;
        let mut subject = Subject::default();
        for attribute in certificate.tbs_certificate().subject().iter() {
            let text = || {
                let text = attribute.value.decode_as::<DirectoryString>();
                text.map(|text| text.value().into_owned())
                    .map_err(Error::Subject)
            };
            match attribute.oid {
                COMMON_NAME => subject.common_name = text()?,
                ORGANIZATION => subject.organizations.push(text()?),
                _ => {}
            }
        }
        Ok(subject)
    }
}

/// The user that a certificate is, of which this is the subject; none without a common name.
pub(super) fn certified(certificate: &CertificateDer<'_>, subject: &Subject) -> Option<User> {
    if subject.common_name.is_empty() {
        return None;
    }
    let id: String = digest(certificate)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let extra = BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={id}")])]);
    Some(User {
        name: subject.common_name.clone(),
        groups: subject.organizations.clone(),
        extra,
        ..User::default()
    })
}

/// The user that a front proxy names; none where it names none (`headerrequest.go`).
pub(super) fn proxied(headers: &HeaderMap, names: &HeaderNames) -> Result<Option<User>, Error> {
    let Some(name) = first(headers, &names.user)? else {
        return Ok(None);
    };
    let mut groups = Vec::new();
    for name in &names.groups {
        groups.extend(all(headers, name)?);
    }
    let uid = first(headers, &names.uid)?.unwrap_or_default();
    let extra = extra(headers, &names.extra)?;
    Ok(Some(User {
        name,
        uid,
        groups,
        extra,
    }))
}

/// The token of `Authorization: Bearer TOKEN`, not yet looked at.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes().trim_ascii();
    let mut parts = value.splitn(3, |byte| *byte == b' ');
    let (scheme, token) = (parts.next()?, parts.next()?);
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}

/// The user whose token it is; none where it is nobody's.
pub(super) fn reviewed(status: TokenReviewStatus) -> Option<User> {
    let user = status.user.filter(|_| status.authenticated == Some(true))?;
    Some(User {
        name: user.username.unwrap_or_default(),
        uid: user.uid.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    })
}

/// The value of the first header of `names` that is set to something.
pub(super) fn first(headers: &HeaderMap, names: &[String]) -> Result<Option<String>, Error> {
    for name in names {
        // Of a header given twice Go takes the first.
        if let Some(value) = all(headers, name)?
            .into_iter()
            .next()
            .filter(|it| !it.is_empty())
        {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// All values of one header.
pub(super) fn all(headers: &HeaderMap, name: &str) -> Result<Vec<String>, Error> {
    // An identity that is not text could be taken for another one: it is refused.
    let text = |value: &hyper::header::HeaderValue| {
        let text = std::str::from_utf8(value.as_bytes());
        text.map(str::to_owned)
            .map_err(|_| Error::Header(name.to_owned()))
    };
    headers.get_all(name).iter().map(text).collect()
}

/// Attributes in headers whose names begin with one of `prefixes`; keys are escaped and any case.
pub(super) fn extra(
    headers: &HeaderMap,
    prefixes: &[String],
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for prefix in prefixes {
        let prefix = prefix.to_lowercase();
        // Header names are lower case in a `HeaderMap`.
        for name in headers.keys() {
            let Some(key) = name.as_str().strip_prefix(&prefix) else {
                continue;
            };
            let decoded = percent_decode_str(key).decode_utf8();
            let key = decoded.map_or_else(|_| key.to_owned(), std::borrow::Cow::into_owned);
            extra
                .entry(key)
                .or_default()
                .extend(all(headers, name.as_str())?);
        }
    }
    Ok(extra)
}

#[cfg(test)]
mod tests;
