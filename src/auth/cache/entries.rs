//! Which questions are under way and which answers are kept, and which of these make room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::{Digest, Pending};

/// Answers that are kept, as in Go (`webhook.go`, `NewLRUExpireCache`). First those make room whose
/// time is over, then those that nobody has asked for the longest.
pub(super) const ENTRIES: usize = 8192;

/// Entries by the digest of their question. Those that are under way are never dropped: reviews at
/// one time have a limit of their own.
#[derive(Debug)]
pub(super) struct Entries<V> {
    by_key: HashMap<Digest, Entry<V>>,
    /// The answers that are kept, by the number of their last use.
    by_use: BTreeMap<u64, Digest>,
    /// The same by when their time is over.
    by_end: BTreeSet<(Instant, Digest)>,
    next_number: u64,
}

#[derive(Debug)]
struct Entry<V> {
    /// Tells it apart from another of the same question.
    number: u64,
    pending: Pending<V>,
    /// `None`: not answered yet.
    kept: Option<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    until: Instant,
    used: u64,
}

impl<V> Default for Entries<V> {
    fn default() -> Entries<V> {
        Entries {
            by_key: HashMap::new(),
            by_use: BTreeMap::new(),
            by_end: BTreeSet::new(),
            next_number: 0,
        }
    }
}

impl<V> Entries<V> {
    /// One that was not given out before.
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// The question is under way from now on.
    pub(super) fn begin(&mut self, key: Digest, number: u64, pending: Pending<V>) {
        self.remove(&key);
        let entry = Entry {
            number,
            pending,
            kept: None,
        };
        self.by_key.insert(key, entry);
    }

    /// The answer holds from `now` for `ttl`; for no time: it is not kept. Whether another one made
    /// room for it that still held.
    pub(super) fn keep(&mut self, key: Digest, number: u64, now: Instant, ttl: Duration) -> bool {
        let used = self.number();
        let entry = self.by_key.get_mut(&key);
        let Some(entry) = entry.filter(|entry| entry.number == number && !ttl.is_zero()) else {
            return false;
        };
        let until = now + ttl;
        entry.kept = Some(Kept { until, used });
        self.by_use.insert(used, key);
        self.by_end.insert((until, key));
        self.make_room(now)
    }

    /// Takes the question away that was not answered, or not for any time.
    pub(super) fn give_up(&mut self, key: &Digest, number: u64) {
        let entry = self.by_key.get(key);
        if entry.is_some_and(|entry| entry.number == number && entry.kept.is_none()) {
            self.by_key.remove(key);
        }
    }

    /// Under way, or an answer that holds.
    pub(super) fn get(&self, key: &Digest, now: Instant) -> Option<Pending<V>> {
        let entry = self.by_key.get(key)?;
        let holds = entry.kept.is_none_or(|kept| now < kept.until);
        holds.then(|| entry.pending.clone())
    }

    /// An answer that holds; it is in use.
    pub(super) fn at_hand(&mut self, key: &Digest, now: Instant) -> Option<Pending<V>> {
        let used = self.number();
        let entry = self.by_key.get_mut(key)?;
        let kept = entry.kept.as_mut().filter(|kept| now < kept.until)?;
        self.by_use.remove(&kept.used);
        kept.used = used;
        self.by_use.insert(used, *key);
        Some(entry.pending.clone())
    }

    fn make_room(&mut self, now: Instant) -> bool {
        let mut is_crowded = false;
        while self.by_use.len() > ENTRIES {
            let over = self.by_end.first().filter(|(until, _)| *until <= now);
            let over = over.map(|(_, key)| *key);
            let held = || self.by_use.values().next().copied();
            is_crowded |= over.is_none();
            let Some(key) = over.or_else(held) else {
                break;
            };
            self.remove(&key);
        }
        is_crowded
    }

    fn remove(&mut self, key: &Digest) {
        if let Some(kept) = self.by_key.remove(key).and_then(|entry| entry.kept) {
            self.by_use.remove(&kept.used);
            self.by_end.remove(&(kept.until, *key));
        }
    }

    /// Whether something is known of the question.
    #[cfg(test)]
    pub(super) fn contains(&self, key: &Digest) -> bool {
        self.by_key.contains_key(key)
    }

    /// Answers that are kept; the indexes must have the same.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        let kept = self.by_key.values().filter(|it| it.kept.is_some()).count();
        assert_eq!((self.by_use.len(), self.by_end.len()), (kept, kept));
        kept
    }
}
