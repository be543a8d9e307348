//! The world of a real cluster: its kinds, known by discovery, and names of objects, asked for.
//!
//! Promises: nothing here waits for the API server at start; kinds that were known stay known while
//! it is away; a failed list is an error, never an empty list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::Object;
use super::client::{Client, Error};
use super::discovery::{self, Discovered};
use crate::kinds::{Kind, Kinds};
use crate::pace::Pace;
use crate::selector::Selector;
use crate::telemetry::with_causes;

/// How often kinds are looked at again.
const REFRESH: Duration = Duration::from_secs(120);

/// The least time between two looks, however many asks name a kind that is not known.
const WAKE_PAUSE: Duration = Duration::from_secs(10);

/// Objects in one answer of the API server.
const PAGE: usize = 500;

/// Names without the rest of the objects. A server that cannot leave the rest out answers with it.
const METADATA: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// What may stand in a query as it is (RFC 3986, "unreserved").
const ESCAPED: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    client: Client,
    kinds: ArcSwap<Kinds>,
    known: watch::Sender<bool>,
    asked: Notify,
}

impl Cluster {
    /// A cluster behind `client`. Until its kinds are known they are those of a plain Kubernetes.
    pub fn new(client: Client) -> Cluster {
        Cluster {
            client,
            kinds: ArcSwap::from_pointee(Kinds::builtin()),
            known: watch::Sender::new(false),
            asked: Notify::new(),
        }
    }

    /// The kinds there are now.
    pub fn kinds(&self) -> Arc<Kinds> {
        self.kinds.load_full()
    }

    /// Whether the cluster has told its kinds.
    pub fn is_known(&self) -> bool {
        *self.known.borrow()
    }

    /// Waits until it has.
    pub async fn known(&self) {
        // The sender lives as long as `self`: the wait ends when it is so.
        let mut known = self.known.subscribe();
        let _known = known.wait_for(|known| *known).await;
    }

    /// A kind is asked for that is not known: it may be new.
    pub fn look_again(&self) {
        self.asked.notify_one();
    }

    /// Keeps the kinds current, for ever; calls `changed` after each change.
    pub async fn follow(&self, changed: impl Fn()) {
        let mut pace = Pace::new(REFRESH);
        let mut state = State::default();
        loop {
            let started = Instant::now();
            let found = Discovered::fetch(&self.client, &state.discovered).await;
            let failed = found.is_err();
            if let Some(kinds) = state.note(found) {
                self.kinds.store(Arc::new(kinds));
                self.known.send_replace(true);
                changed();
            }
            let next = Instant::now() + pace.pause(failed);
            let woken = async {
                self.asked.notified().await;
                sleep_until(started + WAKE_PAUSE).await;
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = woken => {}
            }
        }
    }

    /// The names of the objects of `kind` that `selector` matches, in the API server's order;
    /// `namespace` is `None` for all.
    ///
    /// Asked of the API server each time and without `resourceVersion`, so that the answer is as
    /// new as the question: a name that is missing from an old list would scale a workload down.
    pub async fn names(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> Result<Vec<String>, Error> {
        let items = self.list(kind, namespace, selector, "").await?;
        Ok(items.into_iter().map(|item| item.name).collect())
    }

    /// The objects of `kind` that `selector` matches, or of them the one called `name`, with their
    /// labels; pods only while they run.
    pub async fn running(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
        name: Option<&str>,
    ) -> Result<Vec<Arc<Object>>, Error> {
        // A comma would begin another requirement.
        if name.is_some_and(|name| !name.split('.').all(is_dns_label)) {
            return Ok(Vec::new());
        }
        let running = (kind.group.is_empty() && kind.plural == "pods")
            .then(|| "status.phase%3DRunning".to_owned());
        let named = name.map(|name| format!("metadata.name%3D{name}"));
        let fields: Vec<String> = named.into_iter().chain(running).collect();
        let fields = match fields.is_empty() {
            true => String::new(),
            false => format!("&fieldSelector={}", fields.join("%2C")),
        };
        let items = self.list(kind, namespace, selector, &fields).await?;
        let objects = items.into_iter().map(|item| Object {
            namespace: item.namespace.into(),
            name: item.name.into(),
            labels: item.labels.into_iter().collect(),
        });
        Ok(objects.map(Arc::new).collect())
    }

    /// The metadata of objects, page by page; `fields` is added to the query as it is.
    async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
        fields: &str,
    ) -> Result<Vec<ItemMetadata>, Error> {
        if namespace.is_some_and(|namespace| !kind.namespaced || !is_dns_label(namespace)) {
            return Ok(Vec::new());
        }
        let path = objects_path(kind, namespace, selector) + fields;
        let items = self.pages(&path).await;
        if items.as_ref().is_err_and(Error::is_not_found) {
            // The kind is gone, or served in another version.
            self.look_again();
        }
        items
    }

    async fn pages(&self, path: &str) -> Result<Vec<ItemMetadata>, Error> {
        let mut items = Vec::new();
        let mut page: Page = self.client.get(path, METADATA).await?;
        loop {
            items.extend(page.items.into_iter().map(|item| item.metadata));
            let Some(next) = page.metadata.next.filter(|next| !next.is_empty()) else {
                return Ok(items);
            };
            let path = format!("{path}&continue={}", utf8_percent_encode(&next, ESCAPED));
            page = self.client.get(&path, METADATA).await?;
        }
    }
}

/// What the follower remembers.
#[derive(Default)]
struct State {
    discovered: Discovered,
    failure: Option<String>,
    missing: Vec<String>,
}

impl State {
    /// Returns the kinds when they are new.
    fn note(&mut self, found: Result<Discovered, Error>) -> Option<Kinds> {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let text = with_causes(&error);
                if self.failure.as_ref() != Some(&text) {
                    tracing::warn!(
                        error = text,
                        "the cluster's kinds cannot be listed, trying on"
                    );
                    self.failure = Some(text);
                }
                return None;
            }
        };
        if self.failure.take().is_some() {
            tracing::info!("the cluster's kinds can be listed again");
        }
        let missing = found.missing();
        if missing != self.missing && !missing.is_empty() {
            let groups = missing.join(" ");
            tracing::warn!(
                groups,
                "the API server cannot say which kinds these groups have"
            );
        }
        self.missing = missing;
        if found == self.discovered {
            return None;
        }
        self.discovered = found;
        Some(self.discovered.kinds())
    }
}

fn objects_path(kind: &Kind, namespace: Option<&str>, selector: &Selector) -> String {
    let mut path = discovery::root(&kind.group, &kind.version);
    if let Some(namespace) = namespace {
        path += &format!("/namespaces/{namespace}");
    }
    path += &format!("/{}?limit={PAGE}", kind.plural);
    if !selector.is_empty() {
        let selector = selector.to_string();
        path += &format!("&labelSelector={}", utf8_percent_encode(&selector, ESCAPED));
    }
    path
}

/// Whether a namespace can be called so. `..`, which a URL takes for a step upwards, cannot.
fn is_dns_label(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

/// One answer to a list, without what is not needed of it.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    metadata: ItemMetadata,
}

#[derive(Deserialize)]
struct ItemMetadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(kind: (&str, &str, &str), namespace: Option<&str>, selector: &str) -> String {
        let (group, version, plural) = kind;
        let kind = Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: String::new(),
            plural: plural.to_owned(),
            singular: String::new(),
            namespaced: true,
        };
        objects_path(&kind, namespace, &Selector::parse(selector).unwrap())
    }

    #[test]
    fn objects_are_where_their_group_and_version_are() {
        let pods = path(("", "v1", "pods"), Some("shop"), "app=web,tier in (a,b)");
        assert_eq!(
            pods,
            "/api/v1/namespaces/shop/pods?limit=500\
             &labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29"
        );
        let all = path(("apps", "v1", "deployments"), None, "");
        assert_eq!(all, "/apis/apps/v1/deployments?limit=500");
    }

    #[test]
    fn a_namespace_cannot_step_out_of_its_path() {
        for name in ["", ".", "..", "a/b", "%2e%2e", "a?x", "A"] {
            assert!(!is_dns_label(name), "{name}");
        }
        assert!(is_dns_label("kube-system") && is_dns_label("0"));
    }
}
