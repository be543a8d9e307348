//! Answers of reviews, for a while: bounded, shared between equal questions, and never an error.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared, TryFutureExt, ready};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::kubernetes;

/// Answers that are kept, as in Go (`webhook.go`, `NewLRUExpireCache`); the oldest make room.
const ENTRIES: usize = 8192;

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
}

#[derive(Debug)]
struct Entries<V> {
    by_key: HashMap<Digest, Entry<V>>,
    /// Keys as they came, with the numbers of their entries.
    order: VecDeque<(Digest, u64)>,
    next_number: u64,
}

#[derive(Debug)]
struct Entry<V> {
    number: u64,
    pending: Pending<V>,
    /// `None`: not answered yet.
    until: Option<Instant>,
}

impl<V> Default for Cache<V> {
    fn default() -> Cache<V> {
        let entries = Entries {
            by_key: HashMap::new(),
            order: VecDeque::new(),
            next_number: 0,
        };
        Cache {
            entries: Mutex::new(entries),
            slots: Arc::new(Semaphore::new(REVIEWS)),
            places: Semaphore::new(WAITING),
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
    pub(super) async fn get(
        self: &Arc<Self>,
        key: Digest,
        ttl: impl Fn(&V) -> Duration + Send + 'static,
        review: impl Future<Output = Result<V, kubernetes::Error>> + Send + 'static,
    ) -> Outcome<V> {
        if let Some(answer) = self.at_hand(&key) {
            return Ok(answer);
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(Error::Busy);
        };
        self.pending(key, ttl, review).await
    }

    fn at_hand(&self, key: &Digest) -> Option<V> {
        let entries = self.lock();
        let entry = entries.by_key.get(key)?;
        let holds = entry.until.is_some_and(|until| Instant::now() < until);
        let answer = holds.then(|| entry.pending.clone().now_or_never());
        answer.flatten()?.ok()
    }

    fn pending(
        self: &Arc<Self>,
        key: Digest,
        ttl: impl Fn(&V) -> Duration + Send + 'static,
        review: impl Future<Output = Result<V, kubernetes::Error>> + Send + 'static,
    ) -> Pending<V> {
        let mut entries = self.lock();
        if let Some(entry) = entries.by_key.get(&key)
            && entry.until.is_none_or(|until| Instant::now() < until)
        {
            return entry.pending.clone();
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return ready(Err(Error::Busy)).boxed().shared();
        };
        let number = entries.next_number;
        entries.next_number += 1;
        let unanswered = Unanswered {
            cache: Arc::clone(self),
            key,
            number,
        };
        let task = tokio::spawn(async move {
            let answer = review.await;
            if let Ok(answer) = &answer {
                unanswered.cache.answered(&key, number, ttl(answer));
            }
            drop(unanswered);
            drop(slot);
            answer.map_err(|error| Error::Review(Arc::new(error)))
        });
        let interrupted = |_| Err(Error::Review(Arc::new(kubernetes::Error::Interrupted)));
        let pending = task.unwrap_or_else(interrupted).boxed().shared();
        entries.by_key.insert(
            key,
            Entry {
                number,
                pending: pending.clone(),
                until: None,
            },
        );
        entries.order.push_back((key, number));
        if entries.order.len() > ENTRIES {
            entries.drop_oldest();
        }
        pending
    }

    fn answered(&self, key: &Digest, number: u64, ttl: Duration) {
        if ttl.is_zero() {
            return;
        }
        if let Some(entry) = self
            .lock()
            .by_key
            .get_mut(key)
            .filter(|it| it.number == number)
        {
            entry.until = Some(Instant::now() + ttl);
        }
    }
}

impl<V> Cache<V> {
    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Entries<V> {
    fn drop_oldest(&mut self) {
        let Some((key, number)) = self.order.pop_front() else {
            return;
        };
        // Unless a newer entry has taken its place.
        if self
            .by_key
            .get(&key)
            .is_some_and(|entry| entry.number == number)
        {
            self.by_key.remove(&key);
        }
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
        let mut entries = self.cache.lock();
        let entry = entries.by_key.get(&self.key);
        if entry.is_some_and(|entry| entry.number == self.number && entry.until.is_none()) {
            entries.by_key.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    /// A cache and how often it was asked.
    #[derive(Default)]
    struct Asked {
        cache: Arc<Cache<u32>>,
        reviews: Arc<AtomicU32>,
    }

    impl Asked {
        async fn ask(
            &self,
            question: &str,
            answer: Result<u32, kubernetes::Error>,
        ) -> Outcome<u32> {
            let reviews = Arc::clone(&self.reviews);
            let review = async move {
                reviews.fetch_add(1, Ordering::Relaxed);
                answer
            };
            self.cache
                .get(digest(question.as_bytes()), |_| TTL, review)
                .await
        }

        fn reviews(&self) -> u32 {
            self.reviews.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_digest_is_sha_256() {
        let hex: String = digest(b"abc")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[tokio::test]
    async fn an_answer_holds_for_its_time_and_an_error_for_none() {
        let asked = Asked::default();
        assert!(
            asked
                .ask("a", Err(kubernetes::Error::Timeout))
                .await
                .is_err()
        );
        assert_eq!(asked.ask("a", Ok(1)).await.unwrap(), 1);
        assert_eq!(asked.ask("b", Ok(2)).await.unwrap(), 2);
        assert_eq!(asked.ask("a", Ok(3)).await.unwrap(), 1);
        assert_eq!(asked.reviews(), 3);
        for answer in [4, 5] {
            let review = async move { Ok(answer) };
            let found = asked
                .cache
                .get(digest(b"c"), |_| Duration::ZERO, review)
                .await;
            assert_eq!(found.unwrap(), answer, "its time is over at once");
        }
        let entries = asked.cache.lock();
        assert!(
            !entries.by_key.contains_key(&digest(b"c")),
            "it is not kept"
        );
    }

    #[tokio::test]
    async fn equal_questions_at_one_time_are_one_review_even_if_the_first_goes_away() {
        let asked = Asked::default();
        let gate = Arc::new(Notify::new());
        let key = digest(b"a");
        let slow = {
            let (gate, reviews) = (Arc::clone(&gate), Arc::clone(&asked.reviews));
            async move {
                gate.notified().await;
                reviews.fetch_add(1, Ordering::Relaxed);
                Ok(1)
            }
        };
        let mut first = Box::pin(asked.cache.get(key, |_| TTL, slow));
        assert!(futures_util::poll!(&mut first).is_pending());
        let second = asked.ask("a", Ok(2));
        drop(first);
        gate.notify_one();
        assert_eq!(second.await.unwrap(), 1);
        assert_eq!(asked.reviews(), 1);
    }

    #[tokio::test]
    async fn a_storm_of_different_questions_is_bounded_though_nobody_waits_for_the_answers() {
        let cache: Arc<Cache<u32>> = Arc::default();
        let gate = Arc::new(Notify::new());
        for number in 0..REVIEWS {
            let gate = Arc::clone(&gate);
            let hangs = async move {
                gate.notified().await;
                Ok(1)
            };
            let mut asked = Box::pin(cache.get(digest(&number.to_be_bytes()), |_| TTL, hangs));
            assert!(futures_util::poll!(&mut asked).is_pending());
        }
        tokio::task::yield_now().await;
        let ask = |key: &[u8]| cache.get(digest(key), |_| TTL, async { Ok(2) });
        assert!(matches!(ask(b"one more").await, Err(Error::Busy)));
        let mut known = Box::pin(ask(&0_usize.to_be_bytes()));
        assert!(
            futures_util::poll!(&mut known).is_pending(),
            "this one is under way"
        );
        gate.notify_waiters();
        assert_eq!(known.await.unwrap(), 1);
        assert_eq!(ask(b"one more").await.unwrap(), 2);
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded_and_an_answer_at_hand_is_given_all_the_same() {
        let asked = Asked::default();
        asked.ask("known", Ok(1)).await.unwrap();
        let slow = || {
            let hangs = std::future::pending::<Result<u32, kubernetes::Error>>();
            Box::pin(asked.cache.get(digest(b"slow"), |_| TTL, hangs))
        };
        let mut waiting: Vec<_> = (0..WAITING).map(|_| slow()).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(matches!(slow().await, Err(Error::Busy)));
        assert!(matches!(asked.ask("new", Ok(2)).await, Err(Error::Busy)));
        assert_eq!(
            asked.reviews(),
            1,
            "a review that nobody waits for is not begun"
        );
        assert_eq!(asked.ask("known", Ok(3)).await.unwrap(), 1);
        waiting.pop();
        assert_eq!(asked.ask("new", Ok(2)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_review_that_panics_is_an_error_and_is_forgotten() {
        let cache: Arc<Cache<u32>> = Arc::default();
        let answer = cache
            .get(digest(b"a"), |_| TTL, async {
                panic!("as a test wants it")
            })
            .await;
        assert!(answer.is_err());
        assert_eq!(
            cache
                .get(digest(b"a"), |_| TTL, async { Ok(1) })
                .await
                .unwrap(),
            1
        );
    }

    #[tokio::test]
    async fn the_oldest_answers_make_room() {
        let asked = Asked::default();
        for number in 0..=ENTRIES {
            asked.ask(&number.to_string(), Ok(0)).await.unwrap();
        }
        let entries = asked.cache.lock();
        assert_eq!(
            (entries.by_key.len(), entries.order.len()),
            (ENTRIES, ENTRIES)
        );
        assert!(!entries.by_key.contains_key(&digest(b"0")));
        assert!(entries.by_key.contains_key(&digest(b"1")));
    }
}
