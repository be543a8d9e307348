//! Names and labels of objects: watched while anybody asks, so that an ask is answered from memory.
//!
//! The first ask of a kind begins a watch of its metadata, over all namespaces, and asks wait a
//! moment for its first list. Until it has caught up, wherever it is refused, and whenever it has
//! been away for longer than [`feed::STALE`], an ask is a list, one for all that ask the same
//! meanwhile. A name that is missing from an old store would scale a workload down, and so would an
//! empty answer: what cannot be listed is an error.
//!
//! `watch` is the one writer of a `feed`, which holds the `store` that asks look into. Pods that
//! run are a feed of their own, for the phase is no metadata.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::FutureExt;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::Object;
use super::client::{Client, Error};
use super::labels::Labels;
use crate::kinds::{Kind, Kinds};
use crate::selector::Selector;
use crate::telemetry::{Limit, ListLabels, Metrics};
use feed::Feed;
use pool::Pool;
use shared::Lists;

/// What is held of one kind.
mod feed;
/// Lists of metadata.
mod list;
/// One copy of each text.
mod pool;
/// Lists that several wait for.
mod shared;
/// The objects of one kind.
mod store;
/// Keeps one feed true.
mod watch;
/// What the API server says, decoded.
mod wire;

pub use wire::Unreadable;

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

/// How much is watched, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// After so long without an ask a kind is watched no longer; zero: none ever is.
    pub idle: Duration,
    /// Kinds that are watched at the same time; more than that are listed for each ask, for to
    /// begin a watch is a list, too, and a larger one.
    pub kinds: usize,
}

impl WatchLimits {
    /// Nothing is watched.
    pub const NONE: WatchLimits = WatchLimits {
        idle: Duration::ZERO,
        kinds: 0,
    };
}

/// How the watch of one kind is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// `pods`, `pods with status.phase=Running`
    pub objects: String,
    /// How many are held.
    pub held: usize,
    /// Whether asks are answered from what is held; else each of them is a list.
    pub in_step: bool,
    /// Whether it will soon be in step: its first list, or another one, is under way.
    pub catching_up: bool,
}

/// The objects of a cluster.
#[derive(Debug)]
pub struct Objects {
    /// For asks.
    lister: Client,
    /// Has connections and places of its own: watches, and the lists that they begin with, and asks
    /// that wait keep each other from nothing.
    watcher: Arc<Client>,
    limits: WatchLimits,
    /// Told when a kind turns out to be served no longer.
    lost: Arc<Notify>,
    metrics: Arc<Metrics>,
    pool: Mutex<Pool>,
    /// Those of asks.
    lists: Lists,
    /// The log has said that no kind more is watched.
    is_full: AtomicBool,
    /// By the path of their list.
    feeds: RwLock<BTreeMap<String, Arc<Feed>>>,
    begun: mpsc::UnboundedSender<Arc<Feed>>,
    /// Taken by the one task that runs the watches.
    to_watch: Mutex<Option<mpsc::UnboundedReceiver<Arc<Feed>>>>,
}

impl Objects {
    /// Objects that `watcher` watches, and `lister` lists meanwhile. Nothing is asked yet.
    pub(super) fn new(
        lister: Client,
        watcher: Arc<Client>,
        limits: WatchLimits,
        lost: Arc<Notify>,
        metrics: Arc<Metrics>,
    ) -> Objects {
        let (begun, to_watch) = mpsc::unbounded_channel();
        Objects {
            lister,
            watcher,
            limits,
            lost,
            metrics,
            pool: Mutex::default(),
            lists: Lists::default(),
            is_full: AtomicBool::new(false),
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
        self: &Arc<Self>,
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
        if let Some(feed) = self.feed(&ask) {
            if feed.view(None).is_none() {
                match ask.is_of_all() {
                    // Its list is the one that this ask needs.
                    true => feed.caught_up().await,
                    // A process that begins would list once for each autoscaler.
                    false => feed.begun().await,
                }
            }
            if let Some(view) = feed.view(ask.namespace) {
                // Most of those that stand together share their labels.
                let mut judged: Option<(&Labels, bool)> = None;
                let mut is_selected = |labels| match judged {
                    Some((known, selected)) if known.is(labels) => selected,
                    _ => {
                        let selected = ask.selector.holds(|key| labels.get(key));
                        judged = Some((labels, selected));
                        selected
                    }
                };
                let wanted = view.iter().filter(|object| {
                    ask.name.is_none_or(|name| *name == *object.name) && is_selected(&object.labels)
                });
                return Ok(wanted.map(pick).collect());
            }
        }
        let found = self.list(&ask).await.map_err(Error::Shared)?;
        Ok(found.iter().map(pick).collect())
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

    /// What is watched now, by its path.
    pub(super) fn watches(&self) -> Vec<Watched> {
        let feeds = self.feeds.read().unwrap_or_else(PoisonError::into_inner);
        feeds.values().map(|feed| feed.watched()).collect()
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

    /// What watches the kind; begins it where there is none, unless too many are watched.
    fn feed(&self, ask: &Ask<'_>) -> Option<Arc<Feed>> {
        if self.limits.idle.is_zero() {
            return None;
        }
        let fields = ask.standing_fields();
        let path = list::path(ask.kind, None, &Selector::default(), fields);
        let feeds = self.feeds.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(&path) {
            // Under the lock: one that is dropped for being idle is not touched afterwards.
            feed.touch();
            return Some(Arc::clone(feed));
        }
        drop(feeds);
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(&path) {
            return Some(Arc::clone(feed));
        }
        if feeds.len() >= self.limits.kinds {
            self.metrics.reached.count(Limit::MaxObjectWatches);
            if !self.is_full.swap(true, Ordering::Relaxed) {
                let objects = list::title(ask.kind, fields);
                tracing::warn!(
                    objects,
                    limit = self.limits.kinds,
                    "more kinds are asked for than are watched (--max-object-watches): each ask \
                     for another is a list"
                );
            }
            return None;
        }
        self.is_full.store(false, Ordering::Relaxed);
        let feed = Feed::new(ask.kind.clone(), fields);
        feeds.insert(path, Arc::clone(&feed));
        // The receiver is gone only when the process ends.
        let _sent = self.begun.send(Arc::clone(&feed));
        Some(feed)
    }

    /// The list that answers this ask, and all that ask the same meanwhile.
    async fn list(self: &Arc<Self>, ask: &Ask<'_>) -> shared::Found {
        let named = ask.name.map(|name| format!("metadata.name={name}"));
        let fields = named.as_deref().into_iter().chain(ask.standing_fields());
        let path = list::path(ask.kind, ask.namespace, ask.selector, fields);
        let list = self.lists.join(&path, || {
            self.count_list(list::title(ask.kind, ask.standing_fields()), "ask");
            let (objects, path) = (Arc::clone(self), path.clone());
            async move {
                let mut found = Vec::new();
                let read = list::pages(&objects.lister, &path, |items| {
                    let mut pool = objects.pool();
                    found.extend(items.iter().map(|item| pool.object(item)));
                });
                let read = read.await;
                objects.note_lost(&read);
                read.map(|_version| Arc::new(found)).map_err(Arc::new)
            }
            .boxed()
        });
        list.await
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
        if feed.asked().elapsed() < self.limits.idle {
            return false;
        }
        remove(&mut feeds, feed);
        true
    }

    /// A feed whose objects there are no longer: the next ask begins another.
    fn forget(&self, feed: &Arc<Feed>) {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        remove(&mut feeds, feed);
    }

    /// After a feed has gone: its texts go too.
    fn tidy_up(&self, feed: Arc<Feed>) {
        feed.clear();
        feed.has_given_up();
        let feeds = self.feeds.read().unwrap_or_else(PoisonError::into_inner);
        // Another one may have begun, of the same objects in another version.
        if !feeds.values().any(|other| other.title == feed.title) {
            self.metrics.forget_objects(&feed.title);
        }
        drop(feeds);
        drop(feed);
        self.pool().sweep();
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(feeds: &mut BTreeMap<String, Arc<Feed>>, feed: &Arc<Feed>) {
    let path = feed.list_path();
    if feeds
        .get(&path)
        .is_some_and(|known| Arc::ptr_eq(known, feed))
    {
        feeds.remove(&path);
    }
}

impl Ask<'_> {
    /// Whether it takes a list of all objects, which is then filtered.
    fn is_of_all(&self) -> bool {
        self.namespace.is_none() && self.name.is_none()
    }

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
