//! One look at the files that a connection names.

use reqwest::header::{HeaderMap, HeaderValue};

use super::super::kubeconfig::{Connection, Credentials, Roots, Secret, Source};
use super::super::tls::Identity;
use super::Error;

#[derive(Clone, PartialEq)]
pub(super) enum Credential {
    Bearer(Secret),
    Basic(String, Secret),
}

/// Everything a client is built from; equal material needs no new client.
#[derive(Clone, PartialEq)]
pub(super) struct Material {
    pub(super) roots: Option<Vec<u8>>,
    pub(super) identity: Option<Identity>,
}

/// What one look at the files found.
pub(super) struct Found {
    pub(super) material: Material,
    pub(super) credential: Option<Credential>,
    pub(super) headers: HeaderMap,
}

pub(super) fn look(connection: &Connection) -> Result<Found, Error> {
    let read = |source: &Source| {
        source
            .read()
            .map_err(|error| Error::Read(source.clone(), error))
    };
    let roots = match &connection.roots {
        Roots::Pem(source) => Some(read(source)?),
        Roots::System | Roots::Anybody => None,
    };
    let identity = match &connection.certificate {
        None => None,
        Some((certificate, key)) => Some(Identity {
            certificate: read(certificate)?,
            key: read(key)?,
        }),
    };
    let credential = match &connection.credentials {
        Credentials::None | Credentials::Exec(_) => None,
        Credentials::Token(source) => Some(Credential::Bearer(token(source, &read(source)?)?)),
        Credentials::Basic { username, password } => {
            let secret = self::password(password, &read(password)?)?;
            Some(Credential::Basic(username.clone(), secret))
        }
    };
    let mut headers = HeaderMap::new();
    for (name, source) in &connection.headers {
        headers.append(name.clone(), header(source, &read(source)?)?);
    }
    Ok(Found {
        material: Material { roots, identity },
        credential,
        headers,
    })
}

fn token(source: &Source, bytes: &[u8]) -> Result<Secret, Error> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    if text.is_empty()
        || !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        return Err(Error::Token(source.clone()));
    }
    Ok(Secret(text.to_owned()))
}

/// A file ends its line, which is no part of the password.
fn password(source: &Source, bytes: &[u8]) -> Result<Secret, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Password(source.clone()))?;
    let text = if source.path().is_some() {
        text.trim()
    } else {
        text
    };
    Ok(Secret(text.to_owned()))
}

fn header(source: &Source, bytes: &[u8]) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_bytes(bytes.trim_ascii())
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Error::Header(source.clone()))?;
    value.set_sensitive(true);
    Ok(value)
}
