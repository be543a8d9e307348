//! What trust is made of, and where it is read: files that flags name, and the cluster's ConfigMap.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;

use super::Unusable;
use crate::auth::identity::HeaderNames;
use crate::kubernetes::Client;
use crate::telemetry::with_causes;

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
    /// Headers that name the groups.
    pub group_headers: Vec<String>,
    /// Prefixes of headers with extra attributes.
    pub extra_headers_prefix: Vec<String>,
    /// Common names of front proxies; empty: any.
    pub allowed_names: Vec<String>,
}

/// PEM bundles and names, not yet looked at. Equal material makes equal trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Material {
    pub(super) client_ca: Option<Vec<u8>>,
    pub(super) proxies: Option<ProxyMaterial>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProxyMaterial {
    pub(super) ca: Vec<u8>,
    pub(super) allowed_names: Vec<String>,
    pub(super) headers: HeaderNames,
}

impl Sources {
    /// What the files say, and whether nothing else has to be asked.
    pub(super) async fn files(&self) -> Result<(Material, bool), Unusable> {
        let mut material = Material::default();
        if let Some(path) = &self.client_ca_file {
            material.client_ca = Some(read(path).await?);
        }
        if let Some(path) = &self.requestheader_client_ca_file {
            material.proxies = Some(ProxyMaterial {
                ca: read(path).await?,
                allowed_names: self.allowed_names.clone(),
                headers: HeaderNames {
                    user: self.username_headers.clone(),
                    uid: Vec::new(),
                    groups: self.group_headers.clone(),
                    extra: self.extra_headers_prefix.clone(),
                },
            });
        }
        let complete = material.client_ca.is_some() && material.proxies.is_some();
        Ok((material, complete || self.lookup.is_none()))
    }

    /// What files and ConfigMap say. A ConfigMap that does not exist says nothing at first, and
    /// later what it said in `last`.
    pub(super) async fn read(&self, last: Option<&Material>) -> Result<Material, Unusable> {
        let (mut material, complete) = self.files().await?;
        let client = match &self.lookup {
            Some(client) if !complete => client,
            _ => return Ok(material),
        };
        let published = match client.trust().await {
            Ok(map) => Material::of(map)?,
            Err(error) if error.is_not_found() => match last {
                Some(last) => last.clone(),
                None => {
                    let hint = "no client certificate is believed";
                    tracing::warn!("{}: {hint}", with_causes(&Unusable::Lookup(error)));
                    Material::default()
                }
            },
            Err(error) => return Err(Unusable::Lookup(error)),
        };
        material.client_ca = material.client_ca.or(published.client_ca);
        material.proxies = material.proxies.or(published.proxies);
        Ok(material)
    }

    pub(super) fn tolerates_failure(&self) -> bool {
        self.tolerate_failure
    }
}

async fn read(path: &PathBuf) -> Result<Vec<u8>, Unusable> {
    tokio::fs::read(path)
        .await
        .map_err(|error| Unusable::File(path.clone(), error))
}

impl Material {
    /// The content of the ConfigMap. Bundles may be absent.
    pub(super) fn of(map: ConfigMap) -> Result<Material, Unusable> {
        let data = map.data.unwrap_or_default();
        let bundle = |key: &str| data.get(key).filter(|pem| !pem.is_empty());
        let names = |key| names(&data, key);
        let client_ca = bundle(CLIENT_CA).map(|pem| pem.clone().into_bytes());
        let proxies = match bundle(PROXY_CA) {
            None => None,
            Some(pem) => Some(ProxyMaterial {
                ca: pem.clone().into_bytes(),
                allowed_names: names(ALLOWED_NAMES)?,
                headers: HeaderNames {
                    user: names(USER_HEADERS)?,
                    uid: names(UID_HEADERS)?,
                    groups: names(GROUP_HEADERS)?,
                    extra: names(EXTRA_PREFIXES)?,
                },
            }),
        };
        Ok(Material { client_ca, proxies })
    }
}

/// A JSON array of names; absent: none.
fn names(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, Unusable> {
    match data.get(key).map(String::as_str) {
        None | Some("") => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text).map_err(|error| Unusable::Names(key, error)),
    }
}

impl fmt::Display for Material {
    /// For the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |known: bool| if known { "known" } else { "not known" };
        let clients = known(self.client_ca.is_some());
        let proxies = known(self.proxies.is_some());
        write!(
            f,
            "authority of client certificates {clients}, of front proxies {proxies}"
        )
    }
}
