//! Names and labels of objects: watched while anybody asks, so that an ask is answered from memory.
//!
//! The first ask of a kind begins a watch of its metadata, over all namespaces; until that has
//! caught up, wherever it is refused, and whenever it has been away for longer than
//! [`feed::STALE`], an ask is a list of its own. A name that is missing from an old store would
//! scale a workload down, and so would an empty answer: what cannot be listed is an error.
//!
//! `watch` is the one writer of a `feed`, which holds the `store` that asks look into. Pods that
//! run are a feed of their own, for the phase is no metadata.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::Object;
use super::client::{Client, Error};
use crate::kinds::{Kind, Kinds};
use crate::selector::Selector;
use crate::telemetry::{ListLabels, Metrics, ObjectsLabel};
use feed::Feed;
use pool::Pool;
use store::View;

/// What is held of one kind.
mod feed;
/// Lists of metadata.
mod list;
/// One copy of each text.
mod pool;
/// The objects of one kind.
mod store;
/// Keeps one feed true.
mod watch;
/// What the API server says, decoded.
mod wire;

pub use wire::Unreadable;

/// Kinds that are watched at the same time; more than that are listed for each ask.
const WATCHES: usize = 64;

/// How a pod that runs is told from one that waits or has ended.
const RUNNING: &str = "status.phase=Running";

/// Which objects are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// Their kind.
    pub(super) kind: &'a Kind,
    /// `None` for all.
    pub(super) namespace: Option<&'a str>,
    /// Their labels.
    pub(super) selector: &'a Selector,
    /// The one with this name.
    pub(super) name: Option<&'a str>,
    /// Pods only while they run.
    pub(super) running: bool,
}

/// The objects of a cluster.
#[derive(Debug)]
pub struct Objects {
    lister: Arc<Client>,
    /// Has connections of its own: a watch takes no place that a list waits for.
    watcher: Client,
    /// After so long without an ask a kind is watched no longer; zero: none ever is.
    idle: Duration,
    /// Told when a kind turns out to be served no longer.
    lost: Arc<Notify>,
    metrics: Arc<Metrics>,
    pool: Mutex<Pool>,
    /// By the path of their list.
    feeds: RwLock<BTreeMap<String, Arc<Feed>>>,
    begun: mpsc::UnboundedSender<Arc<Feed>>,
    /// Taken by the one task that runs the watches.
    to_watch: Mutex<Option<mpsc::UnboundedReceiver<Arc<Feed>>>>,
}

impl Objects {
    /// Objects that `lister` lists and `watcher` watches. Nothing is asked yet.
    pub(super) fn new(
        lister: Arc<Client>,
        watcher: Client,
        idle: Duration,
        lost: Arc<Notify>,
        metrics: Arc<Metrics>,
    ) -> Objects {
        let (begun, to_watch) = mpsc::unbounded_channel();
        Objects {
            lister,
            watcher,
            idle,
            lost,
            metrics,
            pool: Mutex::default(),
            feeds: RwLock::default(),
            begun,
            to_watch: Mutex::new(Some(to_watch)),
        }
    }

    /// What `pick` makes of each object that is asked for, by namespace and name.
    ///
    /// # Errors
    /// The API server does not list them.
    pub(super) async fn find<T>(
        &self,
        ask: Ask<'_>,
        pick: impl Fn(&Arc<Object>) -> T,
    ) -> Result<Vec<T>, Error> {
        let inside = ask.namespace;
        if inside.is_some_and(|namespace| !ask.kind.namespaced || !is_dns_label(namespace)) {
            return Ok(Vec::new());
        }
        // A comma would begin another requirement.
        if ask
            .name
            .is_some_and(|name| !name.split('.').all(is_dns_label))
        {
            return Ok(Vec::new());
        }
        match self.held(&ask) {
            Some(view) => {
                let wanted = view.iter().filter(|object| {
                    ask.name.is_none_or(|name| *name == *object.name)
                        && ask.selector.holds(|key| object.labels.get(key))
                });
                Ok(wanted.map(pick).collect())
            }
            None => self.list(&ask, pick).await,
        }
    }

    /// Runs the watches that asks begin, for ever.
    ///
    /// # Panics
    /// When a watch does, so that it does not go unseen.
    pub(super) async fn watch(self: &Arc<Self>) {
        let receiver = {
            let mut to_watch = self.to_watch.lock().unwrap_or_else(PoisonError::into_inner);
            to_watch.take()
        };
        let mut to_watch = receiver.expect("the watches must have one task only");
        let mut watches = JoinSet::new();
        loop {
            tokio::select! {
                // The sender lives as long as `self`.
                Some(feed) = to_watch.recv() => {
                    watches.spawn(watch::keep(Arc::clone(self), feed));
                }
                Some(ended) = watches.join_next() => {
                    if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }

    /// Drops what is held of kinds that are no longer there, or are served in another version.
    pub(super) fn retain(&self, kinds: &Kinds) {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        feeds.retain(|_, feed| {
            let now = kinds.resource_for(&feed.kind.group_resource());
            let kept = now.is_ok_and(|kind| *kind == feed.kind);
            if !kept {
                feed.dropped.cancel();
            }
            kept
        });
    }

    /// The objects as a watch knows them; begins one where there is none.
    fn held(&self, ask: &Ask<'_>) -> Option<View> {
        if self.idle.is_zero() {
            return None;
        }
        let fields = ask.standing_fields();
        let path = list::path(ask.kind, None, &Selector::default(), fields);
        let feeds = self.feeds.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(&path) {
            // Under the lock: one that is dropped for being idle is not touched afterwards.
            feed.touch();
            return feed.view(ask.namespace);
        }
        drop(feeds);
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        if feeds.len() < WATCHES && !feeds.contains_key(&path) {
            let feed = Feed::new(ask.kind.clone(), fields);
            feeds.insert(path, Arc::clone(&feed));
            // The receiver is gone only when the process ends.
            let _sent = self.begun.send(feed);
        }
        None
    }

    async fn list<T>(
        &self,
        ask: &Ask<'_>,
        pick: impl Fn(&Arc<Object>) -> T,
    ) -> Result<Vec<T>, Error> {
        let named = ask.name.map(|name| format!("metadata.name={name}"));
        let fields = named.as_deref().into_iter().chain(ask.standing_fields());
        let path = list::path(ask.kind, ask.namespace, ask.selector, fields);
        self.count_list(list::title(ask.kind, ask.standing_fields()), "ask");
        let mut found = Vec::new();
        let read = list::pages(&self.lister, &path, |items| {
            found.extend(items.iter().map(|item| {
                let labels = item.labels.0.iter();
                pick(&Arc::new(Object {
                    namespace: Arc::from(&*item.namespace),
                    name: Arc::from(&*item.name),
                    labels: labels.map(|(k, v)| (&**k, &**v)).collect(),
                }))
            }));
        });
        let read = read.await;
        self.note_lost(&read);
        read.map(|_version| found)
    }

    /// A kind that is gone, or served in another version, is looked for.
    fn note_lost<T>(&self, answer: &Result<T, Error>) {
        if answer.as_ref().is_err_and(Error::is_not_found) {
            self.lost.notify_one();
        }
    }

    fn count_list(&self, objects: String, reason: &'static str) {
        let labels = ListLabels { objects, reason };
        self.metrics.object_lists.get_or_create(&labels).inc();
    }

    /// Lets a feed go if nobody asked for it lately; says whether it did.
    fn let_go(&self, feed: &Arc<Feed>) -> bool {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        if feed.asked().elapsed() < self.idle {
            return false;
        }
        let is_it = |known: &Arc<Feed>| Arc::ptr_eq(known, feed);
        let path = feed.list_path();
        if feeds.get(&path).is_some_and(is_it) {
            feeds.remove(&path);
        }
        true
    }

    /// After a feed has gone: its texts go too.
    fn tidy_up(&self, feed: Arc<Feed>) {
        let label = ObjectsLabel {
            objects: feed.title.clone(),
        };
        self.metrics.objects_held.remove(&label);
        feed.clear();
        self.pool().sweep();
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask<'_> {
    /// The field selector of all asks of this sort.
    fn standing_fields(&self) -> Option<&'static str> {
        let pods = self.kind.group.is_empty() && self.kind.plural == "pods";
        (self.running && pods).then_some(RUNNING)
    }
}

/// Whether a namespace can be called so. `..`, which a URL takes for a step upwards, cannot.
fn is_dns_label(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
