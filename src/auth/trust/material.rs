//! What trust is made of, and where it is read: files that flags name, and the cluster's ConfigMap.

use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;

use super::Unusable;
use crate::auth::identity::HeaderNames;
use crate::kubernetes::Client;

/// Keys of the ConfigMap; by these names messages call the bundles, too.
pub(super) const CLIENT_CA: &str = "client-ca-file";
pub(super) const PROXY_CA: &str = "requestheader-client-ca-file";
const ALLOWED_NAMES: &str = "requestheader-allowed-names";
const USER_HEADERS: &str = "requestheader-username-headers";
const UID_HEADERS: &str = "requestheader-uid-headers";
const GROUP_HEADERS: &str = "requestheader-group-headers";
const EXTRA_PREFIXES: &str = "requestheader-extra-headers-prefix";

/// Where trust is read.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Who is asked for the ConfigMap; `None`: it is not looked up
    /// (`--authentication-skip-lookup`).
    pub lookup: Option<Arc<Client>>,
    /// Whether to be ready although it cannot be read (`--authentication-tolerate-lookup-failure`).
    pub tolerate_failure: bool,
    /// `--client-ca-file`, in place of the ConfigMap's.
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-client-ca-file`, in place of the ConfigMap's, with the names below.
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Headers that name the user.
    pub username_headers: Vec<String>,
    /// Headers that name the user's UID.
    pub uid_headers: Vec<String>,
    /// Headers that name the groups.
    pub group_headers: Vec<String>,
    /// Prefixes of headers with extra attributes.
    pub extra_headers_prefix: Vec<String>,
    /// Common names of front proxies; empty: any.
    pub allowed_names: Vec<String>,
}

/// A bundle and the names that go with it, not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProxyMaterial {
    pub(super) ca: Vec<u8>,
    pub(super) allowed_names: Vec<String>,
    pub(super) headers: HeaderNames,
}

impl Sources {
    /// A front proxy's authority from a file, with the names that flags give.
    pub(super) fn proxies(&self, ca: Vec<u8>) -> ProxyMaterial {
        ProxyMaterial {
            ca,
            allowed_names: self.allowed_names.clone(),
            headers: HeaderNames {
                user: self.username_headers.clone(),
                uid: self.uid_headers.clone(),
                groups: self.group_headers.clone(),
                extra: self.extra_headers_prefix.clone(),
            },
        }
    }

    /// Whom to ask for what the files do not say.
    pub(super) fn asked(&self) -> Option<&Client> {
        let complete = self.client_ca_file.is_some() && self.requestheader_client_ca_file.is_some();
        self.lookup.as_deref().filter(|_| !complete)
    }
}

/// The ConfigMap's bundle for clients, PEM. Absent: none.
pub(super) fn client_ca(map: &ConfigMap) -> Option<Vec<u8>> {
    bundle(map, CLIENT_CA)
}

/// The ConfigMap's bundle for front proxies, with its names. Absent: none.
pub(super) fn proxies(map: &ConfigMap) -> Result<Option<ProxyMaterial>, Unusable> {
    let Some(ca) = bundle(map, PROXY_CA) else {
        return Ok(None);
    };
    Ok(Some(ProxyMaterial {
        ca,
        allowed_names: names(map, ALLOWED_NAMES)?,
        headers: HeaderNames {
            user: names(map, USER_HEADERS)?,
            uid: names(map, UID_HEADERS)?,
            groups: names(map, GROUP_HEADERS)?,
            extra: names(map, EXTRA_PREFIXES)?,
        },
    }))
}

fn bundle(map: &ConfigMap, key: &str) -> Option<Vec<u8>> {
    let pem = map.data.as_ref()?.get(key)?;
    (!pem.is_empty()).then(|| pem.clone().into_bytes())
}

/// A JSON array of names; absent: none.
fn names(map: &ConfigMap, key: &'static str) -> Result<Vec<String>, Unusable> {
    let text = map.data.as_ref().and_then(|data| data.get(key));
    match text.map_or("", String::as_str) {
        "" => Ok(Vec::new()),
        text => serde_json::from_str(text).map_err(|error| Unusable::Names(key, error)),
    }
}
