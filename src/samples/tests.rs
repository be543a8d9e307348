//! The promises, with a backend of virtual time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;
use hyper::header::{HeaderMap, HeaderValue};
use tokio::time::sleep;

use super::*;
use crate::prometheus::backend::tests::nobody;
use crate::prometheus::{Kind, Sample};
use crate::telemetry::{AUDIT_ID, Metrics};

const LIMITS: Limits = Limits {
    entries: 100,
    bytes: 10 << 20,
};
const POLICY: Policy = Policy {
    ttl: Duration::from_secs(5),
    stale_grace: Duration::from_secs(60),
};
/// What a fetch takes, in virtual time.
const TAKES: Duration = Duration::from_millis(30);

/// A backend that answers its query's text as a label, and with the number of the fetch.
#[derive(Default)]
struct Backend {
    fetches: AtomicUsize,
    fails: AtomicBool,
    panics: AtomicBool,
    hangs: AtomicBool,
    metrics: Seen,
    /// The requests that fetches were made for.
    askers: Mutex<Vec<Option<String>>>,
}

/// Our own metrics, of which a test reads some.
struct Seen(Arc<Metrics>);

impl Default for Seen {
    fn default() -> Seen {
        Seen(Metrics::new())
    }
}

impl Backend {
    fn samples(self: &Arc<Self>) -> Samples {
        let backend = Arc::clone(self);
        Samples::new(
            LIMITS,
            Box::new(move |query| {
                let backend = Arc::clone(&backend);
                async move { backend.fetch(&query).await }.boxed()
            }),
            self.metrics.0.cache.clone(),
        )
    }

    async fn fetch(&self, query: &Query) -> Outcome {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        let asker = RequestId::current().map(|id| id.to_string());
        self.askers.lock().unwrap().push(asker);
        sleep(TAKES).await;
        if self.hangs.load(Ordering::SeqCst) {
            sleep(Duration::from_secs(3600)).await;
        }
        assert!(!self.panics.load(Ordering::SeqCst), "as the test asked");
        if self.fails.load(Ordering::SeqCst) {
            return Err(Arc::new(Error::Deadline));
        }
        let mut rows = Builder::new(query.labels.clone(), query.rows_max);
        let said = format!("{} of {}", query.promql, query.backend.name());
        let value = f64::from(u32::try_from(number).unwrap());
        let timestamp = jiff::Timestamp::UNIX_EPOCH;
        let labels = vec![("said".to_owned(), said)];
        rows.add(Sample {
            labels,
            timestamp,
            value,
        })
        .unwrap();
        Ok(Arc::new(rows.finish(Head {
            kind: Kind::Vector,
            histograms: 0,
            partial: false,
            at: timestamp,
            took: TAKES,
        })))
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

fn query(promql: &str) -> Query {
    Query {
        backend: nobody("default"),
        promql: promql.to_owned(),
        further: Vec::new(),
        labels: Labels::All,
        rows_max: 10,
        timeout: TAKES * 2,
        offset: Duration::ZERO,
        partial: Partial::Accept,
        policy: POLICY,
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_of_a_cold_query_make_one_fetch() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let query = query("up");
    let asks = (0..200).map(|_| samples.rows(&query, soon()));
    for answer in join_all(asks).await {
        assert_eq!(answer.unwrap().0.len(), 1);
    }
    assert_eq!(backend.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn callers_who_hang_up_leave_the_last_one_answered() {
    let backend = Arc::new(Backend::default());
    let samples = Arc::new(backend.samples());
    let mut tasks: Vec<_> = (0..200)
        .map(|_| {
            let samples = Arc::clone(&samples);
            tokio::spawn(async move { samples.rows(&query("up"), soon()).await.map(|it| it.1) })
        })
        .collect();
    sleep(TAKES / 2).await;
    let last = tasks.pop().unwrap();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(last.await.unwrap().unwrap(), Freshness::Shared);
    assert_eq!(backend.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_everybody_left_still_counts() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let late = samples.rows(&query("up"), Instant::now() + TAKES / 2).await;
    assert!(matches!(*late.unwrap_err(), Error::Deadline));
    sleep(TAKES).await;
    let (_, freshness) = samples.rows(&query("up"), soon()).await.unwrap();
    assert_eq!(freshness, Freshness::Fresh);
    assert_eq!(backend.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_steady_asker_never_waits_and_costs_one_fetch_a_round() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let round = Duration::from_secs(15);
    for _ in 0..2 {
        samples.rows(&query("up"), soon()).await.unwrap();
        sleep(round).await;
    }
    let before = backend.fetches();
    for _ in 0..40 {
        let started = Instant::now();
        let (_, freshness) = samples.rows(&query("up"), soon()).await.unwrap();
        assert_eq!(freshness, Freshness::Fresh);
        assert_eq!(started.elapsed(), Duration::ZERO);
        sleep(round).await;
    }
    assert!(
        backend.fetches() - before <= 41,
        "{}",
        backend.fetches() - before
    );
    let before = backend.fetches();
    sleep(Duration::from_secs(600)).await;
    assert!(backend.fetches() - before <= 10, "nobody asks any more");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_askers_never_wait_and_cost_one_fetch_for_the_time_that_rows_hold() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let pause = Duration::from_millis(15);
    let begun = Instant::now();
    let mut waited = 0;
    while begun.elapsed() < Duration::from_secs(120) {
        let (_, freshness) = samples.rows(&query("up"), soon()).await.unwrap();
        let is_known = begun.elapsed() > POLICY.ttl * 2;
        waited += usize::from(is_known && freshness != Freshness::Fresh);
        sleep(pause).await;
    }
    assert_eq!(waited, 0);
    // 120 s of rows that hold for five, fetched a little ahead.
    assert!(backend.fetches() <= 27, "{}", backend.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_is_not_seen_and_a_long_one_is_an_error_with_its_cause() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let round = Duration::from_secs(5);
    for _ in 0..3 {
        samples.rows(&query("up"), soon()).await.unwrap();
        sleep(round).await;
    }
    backend.fails.store(true, Ordering::SeqCst);
    let failing = Instant::now();
    let mut stale = 0;
    let mut errors = 0;
    while failing.elapsed() < Duration::from_secs(120) {
        match samples.rows(&query("up"), soon()).await {
            Ok((_, Freshness::Stale)) => stale += 1,
            Ok((_, _)) => assert!(failing.elapsed() <= POLICY.ttl, "{:?}", failing.elapsed()),
            Err(_) => {
                assert!(
                    failing.elapsed() >= POLICY.stale_grace,
                    "{:?}",
                    failing.elapsed()
                );
                errors += 1;
            }
        }
        sleep(round).await;
    }
    assert!(stale >= 10 && errors >= 9, "{stale} stale, {errors} errors");
    let tries = backend.fetches();
    sleep(Duration::from_secs(5)).await;
    assert!(backend.fetches() - tries <= 3, "back-off");
    backend.fails.store(false, Ordering::SeqCst);
    let back = Instant::now();
    while samples.rows(&query("up"), soon()).await.is_err() {
        sleep(Duration::from_millis(100)).await;
    }
    assert!(
        back.elapsed() <= Duration::from_secs(5),
        "{:?}",
        back.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_while_a_fetch_hangs_gets_the_last_rows_at_the_deadline() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    samples.rows(&query("up"), soon()).await.unwrap();
    sleep(Duration::from_secs(20)).await;
    let (_, freshness) = samples
        .rows(&query("up"), Instant::now() + TAKES / 2)
        .await
        .unwrap();
    assert_eq!(freshness, Freshness::Stale);
}

#[tokio::test(start_paused = true)]
async fn who_asks_seldom_waits_a_second_at_most_while_a_backend_hangs() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let ask = || Query {
        policy: Policy {
            stale_grace: Duration::from_secs(600),
            ..POLICY
        },
        ..query("up")
    };
    samples.rows(&ask(), soon()).await.unwrap();
    sleep(Duration::from_secs(70)).await;
    backend.fails.store(true, Ordering::SeqCst);
    samples.rows(&ask(), soon()).await.unwrap();
    backend.hangs.store(true, Ordering::SeqCst);
    sleep(Duration::from_secs(70)).await;
    let asked = Instant::now();
    let (_, freshness) = samples.rows(&ask(), soon()).await.unwrap();
    assert_eq!((freshness, asked.elapsed()), (Freshness::Stale, GLANCE));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_is_an_error_and_the_next_ask_fetches_again() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    backend.panics.store(true, Ordering::SeqCst);
    let failed = samples.rows(&query("up"), soon()).await;
    assert!(matches!(*failed.unwrap_err(), Error::Internal));
    backend.panics.store(false, Ordering::SeqCst);
    sleep(LONGEST_PAUSE).await;
    assert!(samples.rows(&query("up"), soon()).await.is_ok());
    // What was fetched long ago does not stand for what was not fetched now.
    sleep(POLICY.ttl + POLICY.stale_grace).await;
    backend.panics.store(true, Ordering::SeqCst);
    let failed = samples.rows(&query("up"), soon()).await;
    assert!(matches!(*failed.unwrap_err(), Error::Internal));
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_and_asked_for_again_is_fetched_by_one_alone() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let round = Duration::from_secs(15);
    for _ in 0..3 {
        samples.rows(&query("up"), soon()).await.unwrap();
        sleep(round).await;
    }
    for _ in 0..3 {
        samples.shared.entries.invalidate_all();
        samples.shared.entries.run_pending_tasks();
        samples.rows(&query("up"), soon()).await.unwrap();
        sleep(round).await;
    }
    let before = backend.fetches();
    for _ in 0..20 {
        samples.rows(&query("up"), soon()).await.unwrap();
        sleep(round).await;
    }
    let fetches = backend.fetches() - before;
    assert!(fetches <= 21, "{fetches} fetches in 20 rounds");
    samples.shared.entries.invalidate_all();
    samples.shared.entries.run_pending_tasks();
    let before = backend.fetches();
    sleep(round * 10).await;
    assert_eq!(backend.fetches(), before, "nobody holds it any more");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_larger_than_all_that_may_be_kept_pushes_nothing_out() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    samples.rows(&query("up"), soon()).await.unwrap();
    let large = "x".repeat(usize::try_from(LIMITS.bytes).unwrap());
    let (rows, _) = samples.rows(&query(&large), soon()).await.unwrap();
    assert_eq!(rows.len(), 1);
    samples.shared.entries.run_pending_tasks();
    assert!(samples.shared.entries.contains_key(&query("up")));
    assert!(!samples.shared.entries.contains_key(&query(&large)));
}

#[tokio::test(start_paused = true)]
async fn nothing_answers_for_another_backend_text_or_set_of_labels() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let mut queries = vec![query("a"), query("b")];
    queries.push(Query {
        backend: nobody("other"),
        ..query("a")
    });
    queries.push(Query {
        labels: Labels::Keys(vec!["said".to_owned()]),
        ..query("a")
    });
    queries.push(Query {
        rows_max: 11,
        ..query("a")
    });
    queries.push(Query {
        offset: TAKES,
        ..query("a")
    });
    queries.push(Query {
        partial: Partial::Refuse,
        ..query("a")
    });
    queries.push(Query {
        timeout: TAKES * 3,
        ..query("a")
    });
    queries.push(Query {
        policy: Policy {
            ttl: POLICY.ttl * 2,
            ..POLICY
        },
        ..query("a")
    });
    for query in queries {
        let (rows, freshness) = samples.rows(&query, soon()).await.unwrap();
        assert_eq!(freshness, Freshness::Fetched, "{query:?}");
        let said = format!("{} of {}", query.promql, query.backend.name());
        let found = match query.labels {
            Labels::All => rows.whole()[0].labels[0].1 == said,
            Labels::Keys(_) => rows.of(&[&said]).count() == 1,
        };
        assert!(found, "{rows:?}");
    }
    assert_eq!(backend.fetches(), 9);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    for number in 0..1000 {
        samples
            .rows(&query(&format!("q{number}")), soon())
            .await
            .unwrap();
    }
    samples.shared.entries.run_pending_tasks();
    assert!(samples.len() <= LIMITS.entries, "{}", samples.len());
    assert!(samples.weight() <= LIMITS.bytes, "{}", samples.weight());
    let text = backend.metrics.0.text();
    for line in [
        "tidegauge_query_cache_evictions_total{cause=\"size\"} 9",
        "tidegauge_limit_reached_total{limit=\"query-cache\"} 9",
        "tidegauge_query_cache_max_bytes 10485760\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_is_made_for_the_request_that_wanted_it_and_ahead_for_nobody() {
    let id = |name: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(AUDIT_ID, HeaderValue::from_static(name));
        RequestId::of(&headers)
    };
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let round = Duration::from_secs(15);
    let query = query("up");
    let ask = |name| RequestId::scope(id(name), samples.rows(&query, soon()));
    let (first, shared) = tokio::join!(ask("first"), ask("second"));
    assert_eq!(first.unwrap().1, Freshness::Fetched);
    assert_eq!(shared.unwrap().1, Freshness::Shared);
    sleep(round).await;
    ask("third").await.unwrap();
    sleep(round).await;
    assert_eq!(ask("fourth").await.unwrap().1, Freshness::Fresh);
    let askers = backend.askers.lock().unwrap().clone();
    let askers: Vec<_> = askers.iter().map(Option::as_deref).collect();
    assert_eq!(askers[..3], [Some("first"), Some("third"), None]);
}

#[test]
fn pauses_double_up_to_a_limit_below_five_seconds() {
    assert!(pause(POLICY, 1) <= FIRST_PAUSE && pause(POLICY, 1) >= FIRST_PAUSE * 9 / 10);
    assert!(pause(POLICY, 2) > pause(POLICY, 1));
    for failures in [4, 10, u32::MAX] {
        assert!(pause(POLICY, failures) <= LONGEST_PAUSE, "{failures}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_ttl_each_ask_is_a_fetch_and_no_failure_is_remembered() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let policy = Policy {
        ttl: Duration::ZERO,
        stale_grace: Duration::ZERO,
    };
    let ask = || Query {
        policy,
        ..query("up")
    };
    for number in 1..20 {
        backend.fails.store(number % 2 == 0, Ordering::SeqCst);
        let answer = samples.rows(&ask(), soon()).await;
        assert_eq!(answer.is_ok(), number % 2 == 1);
        assert_eq!(backend.fetches(), number);
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_answered_that_is_gone_is_forgotten_and_not_fetched_again() {
    let backend = Arc::new(Backend::default());
    let samples = backend.samples();
    let of = |name, promql| Query {
        backend: nobody(name),
        ..query(promql)
    };
    // Asked so regularly that they are fetched ahead.
    for _ in 0..4 {
        for query in [of("gone", "a"), of("gone", "b"), of("stays", "a")] {
            samples.rows(&query, soon()).await.unwrap();
        }
        sleep(POLICY.ttl).await;
    }
    samples.forget(&nobody("gone"));
    assert!(samples.remembered(&of("gone", "a")).is_none());
    assert!(samples.remembered(&of("gone", "b")).is_none());
    assert!(samples.remembered(&of("stays", "a")).is_some());
    samples.rows(&of("stays", "a"), soon()).await.unwrap();
    samples.shared.entries.run_pending_tasks();
    let fetches = backend.fetches();
    sleep(POLICY.ttl * 20).await;
    // The one that stays is fetched ahead until nobody is expected any more.
    assert!(backend.fetches() <= fetches + 4, "{}", backend.fetches());
    assert_eq!(samples.len(), 1);
}
