//! The world of a real cluster: its kinds, known by discovery, and its objects, watched while they
//! are asked for.
//!
//! Promises: nothing here waits for the API server at start; kinds that were known stay known while
//! it is away; objects that cannot be known are an error, never an empty list.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::Object;
use super::client::{Client, Error};
use super::discovery::Discovered;
use super::objects::{Ask, Objects, WatchLimits, Watched};
use crate::kinds::{Kind, Kinds};
use crate::pace::Pace;
use crate::selector::Selector;
use crate::telemetry::{Metrics, with_causes};

/// How often kinds are looked at again.
const REFRESH: Duration = Duration::from_secs(120);

/// The least time between two looks, however many asks name a kind that is not known.
const WAKE_PAUSE: Duration = Duration::from_secs(10);

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Asks may hang, and many be under way, while this one still gets through.
    background: Arc<Client>,
    kinds: ArcSwap<Kinds>,
    known: watch::Sender<bool>,
    asked: Arc<Notify>,
    objects: Arc<Objects>,
}

impl Cluster {
    /// A cluster behind `client`; objects are watched through `watcher` within `limits`. Until the
    /// cluster's kinds are known they are those of a plain Kubernetes.
    pub fn new(
        client: Client,
        watcher: Client,
        limits: WatchLimits,
        metrics: Arc<Metrics>,
    ) -> Cluster {
        let (background, asked) = (Arc::new(watcher), Arc::new(Notify::new()));
        let watcher = Arc::clone(&background);
        let objects = Objects::new(client, watcher, limits, Arc::clone(&asked), metrics);
        Cluster {
            background,
            kinds: ArcSwap::from_pointee(Kinds::builtin()),
            known: watch::Sender::new(false),
            asked,
            objects: Arc::new(objects),
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
            let found = Discovered::fetch(&self.background, &state.discovered).await;
            let failed = found.is_err();
            if let Some(kinds) = state.note(found) {
                let kinds = Arc::new(kinds);
                // First: an ask that comes between must not begin what is dropped here.
                self.kinds.store(Arc::clone(&kinds));
                self.objects.retain(&kinds);
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

    /// How the watches of objects are.
    pub fn watches(&self) -> Vec<Watched> {
        self.objects.watches()
    }

    /// Runs the watches of objects, for ever.
    pub async fn watch_objects(&self) {
        self.objects.watch().await;
    }

    /// The names of the objects of `kind` that `selector` matches, by namespace and name;
    /// `namespace` is `None` for all.
    pub async fn names(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> Result<Vec<String>, Error> {
        let ask = Ask {
            kind,
            namespace,
            selector,
            name: None,
            running: false,
        };
        self.objects
            .find(ask, |object| object.name.to_string())
            .await
    }

    /// All objects of `kind`, with their labels; `namespace` is `None` for all.
    pub async fn all(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> Result<Vec<Arc<Object>>, Error> {
        let ask = Ask {
            kind,
            namespace,
            selector: &Selector::default(),
            name: None,
            running: false,
        };
        self.objects.find(ask, Arc::clone).await
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
        let ask = Ask {
            kind,
            namespace,
            selector,
            name,
            running: true,
        };
        self.objects.find(ask, Arc::clone).await
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
