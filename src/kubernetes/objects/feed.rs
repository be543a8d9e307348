//! What is held of one kind, and whether it may be answered from.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::store::{Store, View};
use super::{Watched, list};
use crate::kinds::Kind;
use crate::selector::Selector;

/// An unwatched store is answered from for so long: a watch that ends is begun again well within
/// it. After that, each ask is a list.
pub(super) const STALE: Duration = Duration::from_secs(10);

/// Asks for a part of the objects wait for the first list of all until this long after it began.
const FIRST_LIST: Duration = Duration::from_secs(2);

/// One kind's objects, or the running ones of them. One task writes the store, every ask reads it.
#[derive(Debug)]
pub(super) struct Feed {
    /// Its kind, in the version that is asked for.
    pub(super) kind: Kind,
    /// `status.phase=Running`, or none.
    pub(super) fields: Option<&'static str>,
    /// For logs and metrics: `pods`, `pods with status.phase=Running`.
    pub(super) title: String,
    /// Cancelled when its kind is gone.
    pub(super) dropped: CancellationToken,
    state: RwLock<State>,
    /// Whether what is held will soon be current: a list is under way, or the watch after it has
    /// not said yet what happened meanwhile.
    catching_up: watch::Sender<bool>,
    began: Instant,
    asked: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` until a list was complete, and where watching is refused.
    store: Option<Store>,
    /// No watch says what changes.
    away: Option<Away>,
}

/// How far what is held can be believed while no watch is there.
#[derive(Clone, Copy, Debug)]
struct Away {
    /// It is true as of then.
    since: Instant,
    /// When the list was complete, or the watch was there for the last time. A watch that begins
    /// long after that may keep silent about what happened between: a server that has just begun
    /// lags behind, and says so to nobody.
    last_word: Instant,
}

impl Feed {
    /// One that is asked for now, and holds nothing yet.
    pub(super) fn new(kind: Kind, fields: Option<&'static str>) -> Arc<Feed> {
        Arc::new(Feed {
            title: list::title(&kind, fields),
            kind,
            fields,
            dropped: CancellationToken::new(),
            state: RwLock::default(),
            catching_up: watch::Sender::new(true),
            began: Instant::now(),
            asked: Mutex::new(Instant::now()),
        })
    }

    /// Its list. No two feeds have the same.
    pub(super) fn list_path(&self) -> String {
        list::path(&self.kind, None, &Selector::default(), self.fields)
    }

    /// Its watch from `version` on, for so many seconds.
    pub(super) fn watch_path(&self, version: &str, seconds: u64) -> String {
        list::watch_path(&self.kind, self.fields, version, seconds)
    }

    /// The objects in `namespace`, or all, as they are now; `None` where that is not known.
    pub(super) fn view(&self, namespace: Option<&str>) -> Option<View> {
        let state = self.read();
        state
            .is_current()
            .then(|| state.store.as_ref())
            .flatten()
            .map(|store| store.view(namespace))
    }

    /// Somebody asks.
    pub(super) fn touch(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When somebody asked last.
    pub(super) fn asked(&self) -> Instant {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is something that a watch which begins now goes on from without a gap.
    pub(super) fn can_go_on(&self) -> bool {
        let state = self.read();
        let away = state.away.map(|away| away.last_word.elapsed());
        state.store.is_some() && away.is_none_or(|away| away < STALE)
    }

    /// A list is under way.
    pub(super) fn is_catching_up(&self) {
        self.catching_up.send_replace(true);
    }

    /// It will not be current soon.
    pub(super) fn has_given_up(&self) {
        self.catching_up.send_replace(false);
    }

    /// Waits until what is held is current, or will not be soon.
    pub(super) async fn caught_up(&self) {
        // The sender lives as long as `self`: the wait ends when it is so.
        let mut catching_up = self.catching_up.subscribe();
        let _caught_up = catching_up.wait_for(|catching_up| !catching_up).await;
    }

    /// Waits as [`caught_up`](Self::caught_up), but not for long after the feed began.
    pub(super) async fn begun(&self) {
        let _in_time = timeout_at(self.began + FIRST_LIST, self.caught_up()).await;
    }

    /// How it is.
    pub(super) fn watched(&self) -> Watched {
        let state = self.read();
        Watched {
            objects: self.title.clone(),
            held: state.store.as_ref().map_or(0, Store::len),
            in_step: state.store.is_some() && state.is_current(),
            catching_up: *self.catching_up.borrow(),
        }
    }

    /// How many objects are held.
    pub(super) fn len(&self) -> usize {
        self.read().store.as_ref().map_or(0, Store::len)
    }

    /// From where a watch goes on; `None` where there is nothing to go on from.
    pub(super) fn version(&self) -> Option<String> {
        let state = self.read();
        state.store.as_ref().map(|store| store.version().to_owned())
    }

    /// A new list, complete now, takes the place of all that was held. It is true as of `since`.
    pub(super) fn replace(&self, store: Store, since: Instant) {
        let mut state = self.write();
        let old = state.store.replace(store);
        let last_word = Instant::now();
        state.away = Some(Away { since, last_word });
        if state.is_current() {
            self.catching_up.send_replace(false);
        }
        drop(state);
        // Tens of thousands of objects take their time to go.
        drop(old);
    }

    /// Nothing is held any longer.
    pub(super) fn clear(&self) {
        let old = self.write().store.take();
        drop(old);
    }

    /// Changes the store. Readers wait for it: no waiting inside.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> Option<T> {
        self.write().store.as_mut().map(change)
    }

    /// Everything up to now has been said, and what changes will be.
    pub(super) fn is_watched(&self) {
        self.write().away = None;
        self.catching_up.send_replace(false);
    }

    /// Nothing says what changed since `since`, or since the last time this was said.
    pub(super) fn is_unwatched(&self, since: Instant) {
        let last_word = since;
        let mut state = self.write();
        state.away.get_or_insert(Away { since, last_word });
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_current(&self) -> bool {
        let away = self.away.map(|away| away.since.elapsed());
        away.is_none_or(|away| away < STALE)
    }
}
