//! Answers asked for from a review that a test holds in its hands.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

use super::entries::ENTRIES;
use super::*;
use crate::telemetry::{Limit, Metrics};

const TTL: Duration = Duration::from_secs(10);

/// A cache and how often it was asked.
struct Asked {
    cache: Arc<Cache<u32>>,
    reviews: Arc<AtomicU32>,
    metrics: Arc<Metrics>,
}

impl Default for Asked {
    fn default() -> Asked {
        let metrics = Metrics::new();
        let review = metrics.reviews.access.clone();
        Asked {
            cache: Arc::new(Cache::new(review, |it| *it % 2 == 1)),
            reviews: Arc::default(),
            metrics,
        }
    }
}

impl Asked {
    async fn ask(&self, question: &str, answer: Result<u32, kubernetes::Error>) -> Outcome<u32> {
        let reviews = Arc::clone(&self.reviews);
        let review = async move {
            reviews.fetch_add(1, Ordering::Relaxed);
            answer
        };
        self.cache
            .get(digest(question.as_bytes()), |_| TTL, || review)
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
            .get(digest(b"c"), |_| Duration::ZERO, || review)
            .await;
        assert_eq!(found.unwrap(), answer, "its time is over at once");
    }
    assert!(
        !asked.cache.lock().contains(&digest(b"c")),
        "it is not kept"
    );
}

#[tokio::test]
async fn each_answer_is_counted_by_how_it_came_and_each_review_by_what_it_said() {
    let asked = Asked::default();
    for _ in 0..3 {
        asked.ask("yes", Ok(1)).await.unwrap();
        asked.ask("no", Ok(2)).await.unwrap();
        let failed = asked.ask("failed", Err(kubernetes::Error::Timeout)).await;
        assert!(failed.is_err());
    }
    let text = asked.metrics.text();
    for line in [
        r#"tidegauge_review_answers_total{review="access",source="memory"} 4"#,
        r#"tidegauge_review_answers_total{review="access",source="review"} 5"#,
        r#"tidegauge_review_answers_total{review="token",source="memory"} 0"#,
        r#"tidegauge_reviews_total{review="access",outcome="yes"} 1"#,
        r#"tidegauge_reviews_total{review="access",outcome="no"} 1"#,
        r#"tidegauge_reviews_total{review="access",outcome="error"} 3"#,
        r#"tidegauge_review_duration_seconds_count{review="access"} 5"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
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
    let mut first = Box::pin(asked.cache.get(key, |_| TTL, || slow));
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = asked.ask("a", Ok(2));
    drop(first);
    gate.notify_one();
    assert_eq!(second.await.unwrap(), 1);
    assert_eq!(asked.reviews(), 1);
}

#[tokio::test]
async fn a_storm_of_different_questions_is_bounded_though_nobody_waits_for_the_answers() {
    let cache = Asked::default().cache;
    let gate = Arc::new(Notify::new());
    for number in 0..REVIEWS {
        let gate = Arc::clone(&gate);
        let hangs = async move {
            gate.notified().await;
            Ok(1)
        };
        let mut asked = Box::pin(cache.get(digest(&number.to_be_bytes()), |_| TTL, || hangs));
        assert!(futures_util::poll!(&mut asked).is_pending());
    }
    tokio::task::yield_now().await;
    let ask = |key: &[u8]| cache.get(digest(key), |_| TTL, || async { Ok(2) });
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
        Box::pin(asked.cache.get(digest(b"slow"), |_| TTL, || hangs))
    };
    let mut waiting: Vec<_> = (0..WAITING).map(|_| slow()).collect();
    for one in &mut waiting {
        assert!(futures_util::poll!(one).is_pending());
    }
    assert!(matches!(slow().await, Err(Error::Busy)));
    let turned_away = r#"tidegauge_limit_reached_total{limit="reviews"} 1"#;
    assert!(asked.metrics.text().contains(turned_away));
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
    let cache = Asked::default().cache;
    let answer = cache
        .get(
            digest(b"a"),
            |_| TTL,
            || async { panic!("as a test wants it") },
        )
        .await;
    assert!(answer.is_err());
    assert_eq!(
        cache
            .get(digest(b"a"), |_| TTL, || async { Ok(1) })
            .await
            .unwrap(),
        1
    );
}

/// Fills the cache, oldest first.
async fn full() -> Asked {
    let asked = Asked::default();
    for number in 0..ENTRIES {
        asked.ask(&number.to_string(), Ok(0)).await.unwrap();
    }
    assert_eq!(asked.cache.lock().kept(), ENTRIES);
    asked
}

#[tokio::test]
async fn the_answers_that_nobody_has_asked_for_the_longest_make_room() {
    let asked = full().await;
    assert_eq!(asked.ask("0", Ok(1)).await.unwrap(), 0, "it is in use");
    asked.ask("new", Ok(0)).await.unwrap();
    let entries = asked.cache.lock();
    assert_eq!(entries.kept(), ENTRIES);
    assert!(entries.contains(&digest(b"0")) && entries.contains(&digest(b"new")));
    assert!(!entries.contains(&digest(b"1")));
    assert!(entries.contains(&digest(b"2")));
    assert_eq!(asked.metrics.reached.get(Limit::ReviewMemory), 1);
}

#[tokio::test]
async fn only_an_answer_that_is_kept_takes_a_place() {
    let asked = full().await;
    for number in 0..100 {
        let question = format!("failed {number}");
        let failed = asked.ask(&question, Err(kubernetes::Error::Timeout));
        assert!(failed.await.is_err());
        let key = digest(format!("not kept {number}").as_bytes());
        let review = async { Ok(0) };
        let answer = asked.cache.get(key, |_| Duration::ZERO, || review);
        assert_eq!(answer.await.unwrap(), 0);
    }
    assert!(asked.cache.lock().contains(&digest(b"0")));
    assert_eq!(asked.cache.lock().kept(), ENTRIES);
}

#[tokio::test(start_paused = true)]
async fn the_same_question_asked_again_and_again_takes_one_place() {
    let asked = full().await;
    tokio::time::advance(TTL / 2).await;
    let key = digest(b"again");
    for answer in 0..100 {
        let review = async move { Ok(answer) };
        let short = |_: &u32| Duration::from_millis(1);
        let found = asked.cache.get(key, short, || review).await;
        assert_eq!(found.unwrap(), answer);
        tokio::time::advance(Duration::from_millis(2)).await;
    }
    let entries = asked.cache.lock();
    assert_eq!(entries.kept(), ENTRIES);
    assert!(!entries.contains(&digest(b"0")) && entries.contains(&digest(b"1")));
}

#[tokio::test]
async fn a_question_under_way_makes_no_room_for_answers() {
    let asked = Asked::default();
    let gate = Arc::new(Notify::new());
    let slow = {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Ok(1)
        }
    };
    let mut first = Box::pin(asked.cache.get(digest(b"slow"), |_| TTL, || slow));
    assert!(futures_util::poll!(&mut first).is_pending());
    for number in 0..=ENTRIES {
        asked.ask(&number.to_string(), Ok(0)).await.unwrap();
    }
    let mut second = Box::pin(asked.ask("slow", Ok(2)));
    assert!(
        futures_util::poll!(&mut second).is_pending(),
        "it is shared"
    );
    gate.notify_one();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_time_is_over_makes_room_before_any_that_holds() {
    let asked = Asked::default();
    for number in 1..ENTRIES {
        asked.ask(&number.to_string(), Ok(0)).await.unwrap();
    }
    let short = |_: &u32| TTL / 2;
    let last = asked.cache.get(digest(b"short"), short, || async { Ok(0) });
    last.await.unwrap();
    tokio::time::advance(TTL / 2).await;
    asked.ask("new", Ok(0)).await.unwrap();
    let entries = asked.cache.lock();
    assert_eq!(entries.kept(), ENTRIES);
    assert!(!entries.contains(&digest(b"short")));
    assert_eq!(asked.metrics.reached.get(Limit::ReviewMemory), 0);
    assert!(entries.contains(&digest(b"1")) && entries.contains(&digest(b"new")));
}
