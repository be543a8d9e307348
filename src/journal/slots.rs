//! A bounded map, spread over locks so that those who write do not wait on each other.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Mutex;

use jiff::Timestamp;

use super::lock;

/// How many locks there are: far more than threads that write at one time.
const SHARDS: usize = 32;

/// Values by key, of which the one that was used longest ago goes where there are too many.
#[derive(Debug)]
pub(super) struct Slots<K, V> {
    /// Keyed at random: nobody can choose texts that fall together.
    hasher: RandomState,
    shards: Vec<Mutex<Shard<K, V>>>,
    /// What one shard may hold.
    each: usize,
}

#[derive(Debug)]
struct Shard<K, V> {
    /// By the hash of the key, so that a look needs no owned one.
    slots: HashMap<u64, Slot<K, V>>,
    /// The last one that had to go, and when that was used.
    forgotten: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
    used: Timestamp,
}

impl<K: Clone, V: Clone> Slots<K, V> {
    /// Room for about `max`, and never for more.
    pub(super) fn new(max: usize) -> Slots<K, V> {
        let shards = SHARDS.min(max.max(1));
        Slots {
            hasher: RandomState::new(),
            shards: (0..shards).map(|_| Mutex::new(Shard::new())).collect(),
            each: (max / shards).max(1),
        }
    }

    /// Changes the value of a key, which `is` it; where it is not there it is made `new` first. Its
    /// hash is that of `hashed`.
    pub(super) fn change(
        &self,
        hashed: &impl Hash,
        is: impl Fn(&K) -> bool,
        new: impl FnOnce() -> (K, V),
        now: Timestamp,
        change: impl FnOnce(&mut V),
    ) {
        let hash = self.hasher.hash_one(hashed);
        let count = u64::try_from(self.shards.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(hash % count).unwrap_or_default();
        let mut shard = lock(&self.shards[at]);
        // Two keys of one hash are not to be expected; the later one takes the place.
        let is_there = shard.slots.get(&hash).is_some_and(|slot| is(&slot.key));
        if !is_there {
            if shard.slots.len() >= self.each {
                shard.forget_oldest();
            }
            let (key, value) = new();
            let used = now;
            shard.slots.insert(hash, Slot { key, value, used });
        }
        if let Some(slot) = shard.slots.get_mut(&hash) {
            slot.used = now;
            change(&mut slot.value);
        }
    }

    /// When the youngest of those that had to go was last used.
    pub(super) fn forgotten(&self) -> Option<Timestamp> {
        let shards = self.shards.iter();
        shards.filter_map(|shard| lock(shard).forgotten).max()
    }

    /// All that is there, in no order.
    pub(super) fn all(&self) -> Vec<(K, V)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let slots = shard.slots.values();
            all.extend(slots.map(|slot| (slot.key.clone(), slot.value.clone())));
        }
        all
    }
}

impl<K, V> Shard<K, V> {
    fn new() -> Shard<K, V> {
        Shard {
            slots: HashMap::new(),
            forgotten: None,
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.slots.iter().min_by_key(|(_, slot)| slot.used);
        let oldest = oldest.map(|(hash, _)| *hash);
        if let Some(slot) = oldest.and_then(|hash| self.slots.remove(&hash)) {
            self.forgotten = Some(slot.used);
        }
    }
}
