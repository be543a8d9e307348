//! Answers of reviews, for a while: bounded, shared between equal questions, and never an error.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared, TryFutureExt, ready};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::kubernetes;
use crate::telemetry::{Review, Trouble, with_causes};
use entries::Entries;

/// The questions and their answers.
mod entries;

/// Reviews under way, with those that nobody waits for any more. Each ends by its deadline, so a
/// storm of different questions costs this much and no more.
const REVIEWS: usize = 1000;

/// Requests that wait for a review, their own or that of an equal question. Whoever sends them may
/// be a stranger: without a limit they would queue up.
const WAITING: usize = 1000;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Error {
    /// The review failed.
    Review(Arc<kubernetes::Error>),
    /// It is not waited for: [`REVIEWS`] are under way, or [`WAITING`] requests wait.
    Busy,
}

/// A question's SHA-256: entries are small whatever is asked, and no token stays in memory.
pub(super) type Digest = [u8; 32];

type Outcome<V> = Result<V, Error>;
type Pending<V> = Shared<BoxFuture<'static, Outcome<V>>>;

/// Answers by the digest of their question.
#[derive(Debug)]
pub(super) struct Cache<V> {
    entries: Mutex<Entries<V>>,
    slots: Arc<Semaphore>,
    places: Semaphore,
    is_yes: fn(&V) -> bool,
    review: Review,
    /// What the log knows.
    trouble: Trouble,
}

impl<V> Cache<V> {
    /// An empty one, whose answers `review` counts.
    pub(super) fn new(review: Review, is_yes: fn(&V) -> bool) -> Cache<V> {
        Cache {
            entries: Mutex::default(),
            slots: Arc::new(Semaphore::new(REVIEWS)),
            places: Semaphore::new(WAITING),
            is_yes,
            review,
            trouble: Trouble::after(1),
        }
    }
}

/// The SHA-256 of some bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    let suite = TLS13_AES_128_GCM_SHA256.tls13();
    let suite = suite.expect("a suite of TLS 1.3 must be one");
    let hash = suite.common.hash_provider.hash(bytes);
    hash.as_ref()
        .try_into()
        .expect("SHA-256 must have 32 bytes")
}

impl<V: Clone + Send + Sync + 'static> Cache<V> {
    /// The answer to the question `key`: the one at hand, or that of `review`, which then holds for
    /// `ttl`; for no time: it is not kept. A review goes on when nobody waits for it any more; it
    /// must end by itself. An answer at hand is given however many wait for others.
    ///
    /// `review` is called where one is needed: a future that is at hand would make each request as
    /// large as one that waits for it.
    pub(super) async fn get<R>(
        self: &Arc<Self>,
        key: Digest,
        ttl: impl Fn(&V) -> Duration + Send + 'static,
        review: impl FnOnce() -> R,
    ) -> Outcome<V>
    where
        R: Future<Output = Result<V, kubernetes::Error>> + Send + 'static,
    {
        if let Some(answer) = self.at_hand(&key) {
            return Ok(answer);
        }
        let Ok(_place) = self.places.try_acquire() else {
            self.review.turned_away();
            return Err(Error::Busy);
        };
        let answer = self.pending(key, ttl, review).await;
        match &answer {
            Err(Error::Busy) => self.review.turned_away(),
            _ => self.review.waited(),
        }
        answer
    }

    /// The answer to the question `key`, where there is one that holds.
    pub(super) fn at_hand(&self, key: &Digest) -> Option<V> {
        let answer = self.lock().at_hand(key, Instant::now())?;
        let answer = answer.now_or_never()?.ok()?;
        self.review.from_memory();
        Some(answer)
    }

    fn pending<R>(
        self: &Arc<Self>,
        key: Digest,
        ttl: impl Fn(&V) -> Duration + Send + 'static,
        review: impl FnOnce() -> R,
    ) -> Pending<V>
    where
        R: Future<Output = Result<V, kubernetes::Error>> + Send + 'static,
    {
        let mut entries = self.lock();
        if let Some(pending) = entries.get(&key, Instant::now()) {
            return pending;
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return ready(Err(Error::Busy)).boxed().shared();
        };
        let number = entries.number();
        let unanswered = Unanswered {
            cache: Arc::clone(self),
            key,
            number,
        };
        let review = review();
        let task = tokio::spawn(async move {
            let began = Instant::now();
            let answer = review.await;
            unanswered.cache.note(&answer, began);
            if let Ok(answer) = &answer {
                let now = Instant::now();
                let is_crowded = unanswered.cache.lock().keep(key, number, now, ttl(answer));
                if is_crowded {
                    unanswered.cache.review.crowded();
                }
            }
            drop(unanswered);
            drop(slot);
            answer.map_err(|error| Error::Review(Arc::new(error)))
        });
        let interrupted = |_| Err(Error::Review(Arc::new(kubernetes::Error::Interrupted)));
        let pending = task.unwrap_or_else(interrupted).boxed().shared();
        entries.begin(key, number, pending.clone());
        pending
    }
}

impl<V> Cache<V> {
    /// Counts a review that came to its end, and logs when they begin to fail and when they are
    /// well again: each request may need one.
    fn note(&self, answer: &Result<V, kubernetes::Error>, began: Instant) {
        let (said, now) = (answer.as_ref().map(self.is_yes), Instant::now());
        self.review.ended(said, now.duration_since(began));
        let what = self.review.name();
        match answer {
            Err(error) => {
                let error = with_causes(error);
                if self.trouble.failed(&error, now) {
                    tracing::warn!(
                        error,
                        "{what} reviews fail: callers who need one are refused"
                    );
                } else {
                    tracing::debug!(error, "a {what} review failed");
                }
            }
            Ok(_) => {
                if self.trouble.went_well(now) {
                    tracing::info!("{what} reviews are answered again");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the entry away when the review ends without an answer to keep, however it ends.
struct Unanswered<V> {
    cache: Arc<Cache<V>>,
    key: Digest,
    number: u64,
}

impl<V> Drop for Unanswered<V> {
    fn drop(&mut self) {
        self.cache.lock().give_up(&self.key, self.number);
    }
}

#[cfg(test)]
mod tests;
