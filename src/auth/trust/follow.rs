//! Keeps trust current: files are read again, the ConfigMap is watched and read again.
//!
//! A watch only says *when* to read: what is believed always comes of a whole read, so an event
//! that is lost or cannot be understood costs time and nothing else. With or without one the
//! ConfigMap is read every [`REFRESH`]; the watch goes on meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, FutureExt};
use k8s_openapi::api::core::v1::ConfigMap;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::material::{self, CLIENT_CA, PROXY_CA, ProxyMaterial};
use super::{Authorities, Bundle, Proxies, Sources, Trust, Unusable};
use crate::kubernetes::{self, Client};
use crate::pace::Pace;
use crate::reload;
use crate::telemetry::{Certificates, with_causes};

/// How often the ConfigMap is read, whatever the watch says.
const REFRESH: Duration = Duration::from_secs(30);

/// The least time between two reads, however many certificates are refused.
const WAKE_PAUSE: Duration = Duration::from_secs(5);

/// The least time between two reads, however often the ConfigMap changes.
const CHANGE_PAUSE: Duration = Duration::from_secs(1);

/// How often files are read again.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// Follows the sources of one [`Trust`].
pub struct Follower {
    trust: Arc<Trust>,
    sources: Sources,
    /// What the files held when they were first read.
    client_ca: reload::Contents,
    proxy_ca: reload::Contents,
}

/// One part of the ConfigMap. `M` may say that there is nothing.
struct Part<M> {
    used: Option<M>,
    /// Why the newest one is not in use.
    refused: Option<String>,
}

#[derive(Default)]
struct State {
    clients: Part<Option<Vec<u8>>>,
    proxies: Part<Option<ProxyMaterial>>,
    /// The `resourceVersion` to watch from, empty where there is no ConfigMap; `None`: it cannot
    /// be read, so there is nothing to watch for.
    version: Option<String>,
    failure: Option<String>,
}

/// A watch of the ConfigMap. It is kept while reads find what it was begun with.
#[derive(Default)]
struct Watch<'a> {
    version: Option<String>,
    /// As of [`Client::trust_changed`]; `None`: there is none under way.
    outcome: Option<BoxFuture<'a, Result<bool, kubernetes::Error>>>,
}

impl Trust {
    /// Reads the files that `sources` names; they must be good. The cluster is not asked yet.
    /// When authorities end is shown in `ends`.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub async fn new(
        sources: Sources,
        ends: Certificates,
    ) -> anyhow::Result<(Arc<Trust>, Follower)> {
        let client_ca = read(sources.client_ca_file.as_ref()).await?;
        let proxy_ca = read(sources.requestheader_client_ca_file.as_ref()).await?;
        let clients = client_ca.first().map(|pem| Bundle::new(CLIENT_CA, pem));
        let proxies = proxy_ca
            .first()
            .map(|pem| Proxies::new(&sources.proxies(pem.clone())));
        let (clients, proxies) = (clients.transpose()?, proxies.transpose()?);
        ends.ends(CLIENT_CA, clients.as_ref().and_then(Bundle::end));
        ends.ends(PROXY_CA, proxies.as_ref().and_then(Proxies::end));
        let authorities = Authorities {
            clients: clients.map(Arc::new),
            proxies: proxies.map(Arc::new),
        };
        let trust = Arc::new(Trust {
            current: ArcSwap::from_pointee(authorities),
            known: AtomicBool::new(sources.asked().is_none()),
            asked: Notify::new(),
            ends,
        });
        let follower = Follower {
            trust: Arc::clone(&trust),
            sources,
            client_ca,
            proxy_ca,
        };
        Ok((trust, follower))
    }
}

async fn read(path: Option<&PathBuf>) -> Result<reload::Contents, Unusable> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let contents = tokio::fs::read(path).await;
    let contents = contents.map_err(|error| Unusable::File(path.clone(), error))?;
    Ok(vec![contents])
}

impl Follower {
    /// Keeps the authorities current, for ever.
    pub async fn run(self) {
        let (trust, sources) = (&self.trust, &self.sources);
        let clients = follow_file(
            CLIENT_CA,
            sources.client_ca_file.clone(),
            self.client_ca.clone(),
            |pem| Bundle::new(CLIENT_CA, pem),
            |clients| trust.believe_clients(Some(clients)),
        );
        let proxies = follow_file(
            PROXY_CA,
            sources.requestheader_client_ca_file.clone(),
            self.proxy_ca.clone(),
            |pem| Proxies::new(&sources.proxies(pem.to_vec())),
            |proxies| trust.believe_proxies(Some(proxies)),
        );
        tokio::join!(clients, proxies, self.follow_cluster());
    }

    async fn follow_cluster(&self) {
        let Some(client) = self.sources.asked() else {
            return std::future::pending().await;
        };
        let mut pace = Pace::new(REFRESH);
        let mut state = State::default();
        let mut watch = Watch::default();
        loop {
            let started = Instant::now();
            let failed = self.refresh(client, &mut state).await;
            watch.follow(client, state.version.as_deref());
            let next = Instant::now() + pace.pause(failed);
            let woken = async {
                self.trust.asked.notified().await;
                sleep_until(started + WAKE_PAUSE).await;
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = woken => {}
                pause = watch.read_after() => sleep_until(started + pause).await,
            }
        }
    }

    /// Returns whether it failed.
    async fn refresh(&self, client: &Client, state: &mut State) -> bool {
        match client.trust().await {
            Ok(map) => {
                self.take(map, state);
                let given = &self.sources;
                if (given.client_ca_file.is_some() || state.clients.used.is_some())
                    && (given.requestheader_client_ca_file.is_some()
                        || state.proxies.used.is_some())
                {
                    self.trust.known.store(true, Ordering::Relaxed);
                }
                if state.failure.take().is_some() {
                    tracing::info!("whom the cluster trusts can be read again");
                }
                false
            }
            Err(error) => {
                // Absent is an answer: what was published before holds, and before that nothing.
                let absent = error.is_not_found();
                state.version = absent.then(String::new);
                state.note_failure(error);
                if absent || self.sources.tolerate_failure {
                    self.trust.known.store(true, Ordering::Relaxed);
                }
                true
            }
        }
    }

    /// Puts in use what is new and good; files stand in place of the ConfigMap.
    fn take(&self, map: ConfigMap, state: &mut State) {
        if self.sources.client_ca_file.is_none() {
            let clients = Ok(material::client_ca(&map));
            let make = |pem: &Option<Vec<u8>>| {
                let bundle = pem.as_ref().map(|pem| Bundle::new(CLIENT_CA, pem));
                bundle.transpose()
            };
            if let Some(clients) = state.clients.take(clients, make) {
                self.trust.believe_clients(clients);
            }
        }
        if self.sources.requestheader_client_ca_file.is_none() {
            let proxies = material::proxies(&map);
            let make =
                |material: &Option<ProxyMaterial>| material.as_ref().map(Proxies::new).transpose();
            if let Some(proxies) = state.proxies.take(proxies, make) {
                self.trust.believe_proxies(proxies);
            }
        }
        state.version = Some(map.metadata.resource_version.unwrap_or_default());
    }
}

impl<'a> Watch<'a> {
    /// Watches for anything but `version`, unless it does so already.
    fn follow(&mut self, client: &'a Client, version: Option<&str>) {
        if self.outcome.is_some() && self.version.as_deref() == version {
            return;
        }
        self.version = version.map(str::to_owned);
        let watched = |version: String| async move { client.trust_changed(&version).await };
        self.outcome = self.version.clone().map(|version| watched(version).boxed());
    }

    /// Completes when the ConfigMap should be read again: how long after it was read, at the
    /// earliest. Never where it is not watched.
    async fn read_after(&mut self) -> Duration {
        let Some(outcome) = &mut self.outcome else {
            return std::future::pending().await;
        };
        let outcome = outcome.await;
        self.outcome = None;
        match outcome {
            Ok(true) => CHANGE_PAUSE,
            // Whatever happens before the next watch begins is seen by that read.
            Ok(false) => WAKE_PAUSE,
            Err(error) => {
                tracing::debug!(error = with_causes(&error), "the ConfigMap is not watched");
                std::future::pending().await
            }
        }
    }
}

/// As [`reload::follow`], of one file if there is one.
async fn follow_file<T>(
    what: &str,
    path: Option<PathBuf>,
    seen: reload::Contents,
    parse: impl Fn(&[u8]) -> Result<T, Unusable>,
    publish: impl FnMut(T),
) {
    let Some(path) = path else {
        return std::future::pending().await;
    };
    let parse = |contents: &reload::Contents| {
        parse(contents.first().map(Vec::as_slice).unwrap_or_default())
    };
    reload::follow(what, vec![path], FILES_EVERY, seen, parse, publish).await;
}

impl State {
    fn note_failure(&mut self, error: kubernetes::Error) {
        let text = with_causes(&Unusable::Lookup(error));
        if self.failure.as_ref() != Some(&text) {
            tracing::warn!(error = text, "whom the cluster trusts cannot be read");
            self.failure = Some(text);
        }
    }
}

impl<M> Default for Part<M> {
    fn default() -> Part<M> {
        Part {
            used: None,
            refused: None,
        }
    }
}

impl<M: PartialEq> Part<M> {
    /// What to put in use, if `found` is new and good; what is not is logged once.
    fn take<T>(
        &mut self,
        found: Result<M, Unusable>,
        make: impl FnOnce(&M) -> Result<T, Unusable>,
    ) -> Option<T> {
        let made = found.and_then(|found| {
            if self.used.as_ref() == Some(&found) {
                return Ok(None);
            }
            let made = make(&found)?;
            Ok(Some((found, made)))
        });
        match made {
            Ok(made) => {
                if self.refused.take().is_some() {
                    tracing::info!("the authorities are good again");
                }
                made.map(|(found, made)| {
                    self.used = Some(found);
                    made
                })
            }
            Err(error) => {
                let text = with_causes(&error);
                if self.refused.as_ref() != Some(&text) {
                    tracing::warn!(error = text, "the last good authorities stay in use");
                    self.refused = Some(text);
                }
                None
            }
        }
    }
}
