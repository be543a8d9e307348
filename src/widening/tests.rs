//! The ladder in virtual time, over a backend that answers, refuses, dawdles and dies as told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;
use reqwest::StatusCode;
use tokio::time::{advance, sleep};

use super::*;
use crate::prometheus::backend::tests::nobody;
use crate::prometheus::{Error as Upstream, Kind};
use crate::samples::{self, Builder, Head, Labels, Policy};

const POLICY: Policy = Policy {
    ttl: Duration::from_secs(5),
    stale_grace: Duration::from_secs(60),
};
/// What a query takes while all is well.
const TAKES: Duration = Duration::from_millis(30);

/// How the backend meets queries of one scope.
#[derive(Clone, Copy, Debug, Default)]
enum Mood {
    #[default]
    Well,
    /// Answers after this time.
    Slow(Duration),
    /// Does not answer.
    Hangs,
    TooLarge,
    Refuses,
    /// Ends its answers too early.
    Breaks,
    Unreachable,
}

/// A backend, and all that stands before it.
struct World {
    moods: Mutex<BTreeMap<Scope, Mood>>,
    asked: Mutex<Vec<String>>,
    rows: AtomicUsize,
}

struct Scene {
    backend: Arc<Backend>,
    rule: Identity,
    world: Arc<World>,
    samples: Arc<Samples>,
    widening: Widening,
}

fn scope_of(promql: &str) -> Scope {
    match promql.split(' ').next() {
        Some("cluster") => Scope::Cluster,
        Some("namespace") => Scope::Namespace,
        _ => Scope::Exact,
    }
}

impl World {
    async fn fetch(&self, query: &Query) -> samples::Outcome {
        self.asked.lock().unwrap().push(query.promql.clone());
        let mood = self
            .moods
            .lock()
            .unwrap()
            .get(&scope_of(&query.promql))
            .copied();
        let took = match mood.unwrap_or_default() {
            Mood::Slow(took) => took,
            Mood::Hangs => query.timeout,
            _ => TAKES,
        };
        sleep(took).await;
        match mood.unwrap_or_default() {
            Mood::Well | Mood::Slow(_) => {}
            Mood::Hangs => return Err(Arc::new(Upstream::Timeout(took))),
            Mood::TooLarge => return Err(Arc::new(Upstream::TooLarge(1))),
            Mood::Refuses => {
                let (kind, text) = ("execution".to_owned(), "too many samples".to_owned());
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Err(Arc::new(Upstream::Refused { kind, text, status }));
            }
            Mood::Breaks => return Err(Arc::new(Upstream::Truncated(None))),
            Mood::Unreachable => {
                return Err(Arc::new(Upstream::Unreachable {
                    server: "test".to_owned(),
                    reason: "connection refused",
                    source: None,
                }));
            }
        }
        let mut rows = Builder::new(Labels::All, usize::MAX);
        for _ in 0..self.rows.load(Ordering::SeqCst) {
            rows.add(prometheus::Sample {
                labels: Vec::new(),
                timestamp: jiff::Timestamp::UNIX_EPOCH,
                value: 1.0,
            })
            .unwrap();
        }
        let nanoseconds = Instant::now().duration_since(*EPOCH).as_nanos();
        let at = jiff::Timestamp::from_nanosecond(i128::try_from(nanoseconds).unwrap()).unwrap();
        Ok(Arc::new(rows.finish(Head {
            kind: Kind::Vector,
            histograms: 0,
            at,
            took,
            partial: false,
        })))
    }

    fn is(&self, mood: Mood, scopes: &[Scope]) {
        let mut moods = self.moods.lock().unwrap();
        moods.extend(scopes.iter().map(|scope| (*scope, mood)));
    }

    /// The queries since the last call, with how often each was asked.
    fn taken(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for promql in self.asked.lock().unwrap().drain(..) {
            *counted.entry(promql).or_default() += 1;
        }
        counted
    }

    fn scopes_taken(&self) -> BTreeMap<Scope, usize> {
        let mut counted = BTreeMap::new();
        for (promql, count) in self.taken() {
            *counted.entry(scope_of(&promql)).or_default() += count;
        }
        counted
    }
}

/// Where rows count their time from.
static EPOCH: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

const ALL: [Scope; 3] = [Scope::Exact, Scope::Namespace, Scope::Cluster];

fn scene() -> Scene {
    scene_of(Widen::Auto)
}

fn scene_of(default: Widen) -> Scene {
    let world = Arc::new(World {
        moods: Mutex::default(),
        asked: Mutex::default(),
        rows: AtomicUsize::new(1),
    });
    let backend = Arc::clone(&world);
    let limits = samples::Limits {
        entries: 10_000,
        bytes: 100 << 20,
    };
    let samples = Samples::new(
        limits,
        Box::new(move |query| {
            let world = Arc::clone(&backend);
            async move { world.fetch(&query).await }.boxed()
        }),
        Metrics::new().cache.clone(),
    );
    Scene {
        backend: nobody("default"),
        rule: Identity::new("a rule"),
        world,
        samples: Arc::new(samples),
        widening: Widening::new(default, Metrics::new()),
    }
}

type Answer = Result<(Scope, Freshness), String>;

impl Scene {
    /// An ask for a pod, of a query that may go as far as `proven`. Rows of more than one pod never
    /// hold one that is called "new"; no exact query can be made for one that is called "long"; in
    /// the namespace "same" all queries are one.
    async fn ask(&self, namespace: &str, pod: &str, proven: Scope) -> Answer {
        let ask = Ask {
            family: Family {
                backend: &self.backend,
                rule: &self.rule,
                series: "requests",
                object: "pod",
                selector: "",
            },
            rule: "rules[0]",
            place: Place::Namespace(namespace),
            names: vec![pod],
            proven,
            widen: None,
            ttl: POLICY.ttl,
        };
        let plan = |scope| {
            let promql = match scope {
                _ if namespace == "same" => "cluster same".to_owned(),
                Scope::Exact if pod == "long" => return Err("too long".to_owned()),
                Scope::Exact => format!("exact {namespace}/{pod}"),
                Scope::Namespace => format!("namespace {namespace}"),
                Scope::Cluster => "cluster ".to_owned(),
            };
            let query = Query {
                further: Vec::new(),
                backend: Arc::clone(&self.backend),
                promql,
                labels: Labels::All,
                rows_max: usize::MAX,
                timeout: Duration::from_secs(10),
                offset: Duration::ZERO,
                partial: prometheus::Partial::Accept,
                policy: POLICY,
            };
            Ok::<_, String>((scope, query))
        };
        let deadline = Instant::now() + Duration::from_secs(25);
        let holds = |scope| scope == Scope::Exact || pod != "new";
        let given = self
            .widening
            .rows(
                &self.samples,
                &ask,
                plan,
                |scope, _, _| holds(scope),
                deadline,
            )
            .await;
        match given {
            Ok(given) => Ok((given.planned, given.freshness)),
            Err(Error::Plan(error)) => Err(error),
            Err(Error::Prometheus(error)) => Err(error.class().to_owned()),
        }
    }

    /// So many autoscalers of so many namespaces, each asking for its own pod every 15 s.
    async fn rounds(&self, rounds: usize, askers: usize, namespaces: usize) {
        for _ in 0..rounds {
            for asker in 0..askers {
                let namespace = format!("ns-{}", asker % namespaces);
                self.ask(&namespace, &format!("pod-{asker}"), Scope::Cluster)
                    .await
                    .unwrap();
            }
            sleep(Duration::from_secs(15)).await;
        }
    }

    /// One ask of a family that is asked about in this scope.
    async fn settled(scope: Scope) -> Scene {
        let scene = scene();
        let namespaces = match scope {
            Scope::Exact => 1,
            Scope::Namespace => 2,
            Scope::Cluster => 3,
        };
        let askers = if scope == Scope::Exact { 1 } else { 6 };
        scene.rounds(2, askers, namespaces).await;
        let (found, _) = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(found, scope);
        scene.world.taken();
        scene
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_askers_of_fifty_namespaces_cost_one_query_for_each_time_that_rows_hold() {
    let scene = scene();
    scene.rounds(1, 1000, 50).await;
    let first = scene.world.scopes_taken();
    assert_eq!(first[&Scope::Exact], 2, "{first:?}");
    assert!(!first.contains_key(&Scope::Namespace), "{first:?}");
    scene.rounds(4, 1000, 50).await;
    let then = scene.world.scopes_taken();
    let times = 4 * 15 / 4;
    assert!(then[&Scope::Cluster] <= times + 1, "{then:?}");
    assert_eq!(then.len(), 1, "{then:?}");
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_first_asks_is_answered_by_a_few_queries() {
    let scene = scene();
    let asks = (0..1000).map(|asker| {
        let scene = &scene;
        async move {
            let namespace = format!("ns-{}", asker % 50);
            scene
                .ask(&namespace, &format!("pod-{asker}"), Scope::Cluster)
                .await
        }
    });
    for answer in join_all(asks).await {
        answer.unwrap();
    }
    let taken: usize = scene.world.scopes_taken().values().sum();
    assert!(taken <= 3, "{taken} queries");
}

#[tokio::test(start_paused = true)]
async fn each_goes_as_far_as_is_proven_and_allowed() {
    for (widen, proven, widest) in [
        (Widen::Auto, Scope::Cluster, Scope::Cluster),
        (Widen::Auto, Scope::Namespace, Scope::Namespace),
        (Widen::Auto, Scope::Exact, Scope::Exact),
        (Widen::Namespace, Scope::Cluster, Scope::Namespace),
        (Widen::Off, Scope::Cluster, Scope::Exact),
    ] {
        let scene = scene_of(widen);
        for asker in 0..20 {
            let namespace = format!("ns-{}", asker % 4);
            let pod = format!("pod-{asker}");
            scene.ask(&namespace, &pod, proven).await.unwrap();
        }
        let found = scene.ask("ns-1", "pod-1", proven).await.unwrap();
        assert_eq!(found.0, widest, "{widen:?} {proven:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_or_refused_is_answered_by_narrower_queries_at_once() {
    for mood in [Mood::TooLarge, Mood::Refuses] {
        let scene = Scene::settled(Scope::Cluster).await;
        scene.world.is(mood, &[Scope::Cluster]);
        advance(Duration::from_secs(5)).await;
        let begun = Instant::now();
        let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(found, (Scope::Namespace, Freshness::Fetched), "{mood:?}");
        assert!(begun.elapsed() < Duration::from_secs(1));
        // It is not asked again for minutes, neither for who asks nor ahead.
        scene.world.taken();
        scene.rounds(10, 6, 3).await;
        assert!(!scene.world.scopes_taken().contains_key(&Scope::Cluster));
        scene.world.is(Mood::Well, &ALL);
        scene.rounds(12, 6, 3).await;
        let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(found.0, Scope::Cluster, "and then it is");
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_scope_but_the_narrowest_is_answered_it_is_found_in_one_ask() {
    let scene = Scene::settled(Scope::Cluster).await;
    scene
        .world
        .is(Mood::TooLarge, &[Scope::Cluster, Scope::Namespace]);
    advance(Duration::from_secs(5)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!(found, (Scope::Exact, Freshness::Fetched));
    // Where nothing is answered the last rows are given, and then the cause.
    scene.world.is(Mood::Refuses, &ALL);
    advance(Duration::from_secs(10)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!(found.1, Freshness::Stale);
    advance(Duration::from_secs(70)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await;
    assert_eq!(found, Err("refused".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_dead_backend_is_not_asked_more_narrowly() {
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::Unreachable, &ALL);
    advance(Duration::from_secs(6)).await;
    for _ in 0..20 {
        for asker in 0..6 {
            let namespace = format!("ns-{}", asker % 3);
            let pod = format!("pod-{asker}");
            let answer = scene.ask(&namespace, &pod, Scope::Cluster).await;
            match answer {
                Ok(found) => assert_eq!(found, (Scope::Cluster, Freshness::Stale)),
                Err(class) => assert_eq!(class, "unreachable"),
            }
        }
        sleep(Duration::from_secs(5)).await;
    }
    let taken = scene.world.scopes_taken();
    assert_eq!(taken.keys().collect::<Vec<_>>(), [&Scope::Cluster]);
    scene.world.is(Mood::Well, &ALL);
    sleep(Duration::from_secs(5)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!(found.0, Scope::Cluster);
    assert_ne!(found.1, Freshness::Stale);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_taken_when_the_backend_dies_loses_no_answer() {
    let scene = Scene::settled(Scope::Exact).await;
    scene.world.is(Mood::Unreachable, &ALL);
    advance(Duration::from_secs(6)).await;
    // Another one asks in the namespace: all of it would be asked for now.
    let answer = scene.ask("ns-0", "other", Scope::Cluster).await;
    assert_eq!(answer, Err("unreachable".to_owned()));
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await;
    assert_eq!(found, Ok((Scope::Exact, Freshness::Stale)));
    assert!(scene.world.scopes_taken().contains_key(&Scope::Namespace));
    // And the other way round: the others are gone, so that it is asked for exactly again.
    let alone = async |scene: &Scene| {
        sleep(Duration::from_secs(15)).await;
        scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap()
    };
    let scene = Scene::settled(Scope::Namespace).await;
    let mut turns = 0;
    while alone(&scene).await.0 != Scope::Exact {
        turns += 1;
        assert!(turns < 40);
    }
    let scene = Scene::settled(Scope::Namespace).await;
    for _ in 0..turns {
        assert_eq!(alone(&scene).await.0, Scope::Namespace);
    }
    scene.world.taken();
    scene.world.is(Mood::Unreachable, &ALL);
    assert_eq!(alone(&scene).await, (Scope::Namespace, Freshness::Stale));
    assert!(scene.world.scopes_taken().contains_key(&Scope::Exact));
}

#[tokio::test(start_paused = true)]
async fn a_wide_query_that_hangs_is_given_up_only_if_an_exact_one_is_answered() {
    // All hang: nobody asks exactly but one who looks, once in a while.
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::Hangs, &ALL);
    advance(Duration::from_secs(6)).await;
    for round in 0..4 {
        let asks = (0..60).map(|asker| {
            let scene = &scene;
            async move {
                let namespace = format!("ns-{}", asker % 3);
                scene
                    .ask(&namespace, &format!("pod-{asker}"), Scope::Cluster)
                    .await
            }
        });
        for found in join_all(asks).await.into_iter().flatten() {
            assert_eq!(found.1, Freshness::Stale, "round {round}");
        }
        sleep(Duration::from_secs(1)).await;
    }
    let taken = scene.world.scopes_taken();
    assert!(taken[&Scope::Exact] <= 6, "{taken:?}");
    assert!(!taken.contains_key(&Scope::Namespace), "{taken:?}");
    // Only the wide one hangs.
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::Hangs, &[Scope::Cluster]);
    advance(Duration::from_secs(6)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!(found, (Scope::Cluster, Freshness::Stale));
    // Whoever has nothing else waits for the exact one.
    sleep(Duration::from_secs(15)).await;
    let found = scene.ask("ns-0", "new", Scope::Cluster).await.unwrap();
    assert_eq!(found, (Scope::Exact, Freshness::Fetched));
    sleep(Duration::from_secs(15)).await;
    let found = scene.ask("ns-1", "pod-1", Scope::Cluster).await.unwrap();
    assert_eq!(found.0, Scope::Namespace);
}

#[tokio::test(start_paused = true)]
async fn a_wide_answer_that_never_comes_whole_is_given_up_after_a_while() {
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::Breaks, &[Scope::Cluster]);
    advance(Duration::from_secs(6)).await;
    let asked = async || scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    for _ in 0..3 {
        assert_eq!(asked().await, (Scope::Cluster, Freshness::Stale));
        sleep(Duration::from_secs(4)).await;
    }
    sleep(Duration::from_secs(4)).await;
    assert_eq!(asked().await, (Scope::Cluster, Freshness::Stale));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(asked().await.0, Scope::Namespace);
    // A server that breaks off and comes back is not asked more narrowly.
    let scene = Scene::settled(Scope::Cluster).await;
    for _ in 0..5 {
        scene.world.is(Mood::Breaks, &ALL);
        sleep(Duration::from_secs(10)).await;
        let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(found, (Scope::Cluster, Freshness::Stale));
        scene.world.is(Mood::Well, &ALL);
        sleep(Duration::from_secs(10)).await;
        let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(found.0, Scope::Cluster);
    }
    assert!(!scene.world.scopes_taken().contains_key(&Scope::Exact));
}

#[tokio::test(start_paused = true)]
async fn a_slow_wide_query_is_given_up_where_exact_ones_are_not_slow() {
    let slow = Mood::Slow(Duration::from_secs(3));
    for (scopes, then) in [
        (&[Scope::Cluster][..], Scope::Namespace),
        (&ALL[..], Scope::Cluster),
    ] {
        let scene = Scene::settled(Scope::Cluster).await;
        scene.world.is(slow, scopes);
        advance(Duration::from_secs(6)).await;
        let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(found.0, Scope::Cluster, "it is an answer nevertheless");
        // Once is no reason.
        sleep(Duration::from_secs(6)).await;
        let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(found.0, Scope::Cluster);
        sleep(Duration::from_secs(10)).await;
        let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(found.0, then, "{scopes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_whole_cluster_are_not_fetched_for_three_who_ask() {
    let scene = scene();
    scene.world.rows.store(50_000, Ordering::SeqCst);
    scene.rounds(4, 3, 3).await;
    assert!(scene.world.scopes_taken().contains_key(&Scope::Cluster));
    scene.rounds(2, 3, 3).await;
    scene.world.taken();
    scene.rounds(10, 3, 3).await;
    let taken = scene.world.scopes_taken();
    assert_eq!(taken.keys().collect::<Vec<_>>(), [&Scope::Exact]);
    // For a thousand they are.
    let scene = self::scene();
    scene.world.rows.store(50_000, Ordering::SeqCst);
    scene.rounds(8, 1000, 50).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!(found.0, Scope::Cluster);
}

#[tokio::test(start_paused = true)]
async fn names_that_are_too_long_for_a_query_need_not_be_listed() {
    let scene = scene();
    let long = "x".repeat(NAMES_BYTES_MAX);
    let found = scene.ask("ns", &long, Scope::Cluster).await.unwrap();
    assert_eq!(found.0, Scope::Namespace);
    let found = scene.ask("ns", &long, Scope::Exact).await.unwrap();
    assert_eq!(found.0, Scope::Exact);
    let scene = self::scene();
    scene.world.is(Mood::TooLarge, &[Scope::Namespace]);
    for _ in 0..2 {
        let found = scene.ask("ns", &long, Scope::Cluster).await.unwrap();
        assert_eq!(found.0, Scope::Exact);
    }
}

#[tokio::test(start_paused = true)]
async fn older_rows_say_nothing_of_objects_that_are_newer() {
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::Unreachable, &ALL);
    advance(Duration::from_secs(6)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await;
    assert_eq!(found, Ok((Scope::Cluster, Freshness::Stale)));
    let found = scene.ask("ns-0", "new", Scope::Cluster).await;
    assert_eq!(found, Err("unreachable".to_owned()));
    // The latest rows do not know it, but older ones do.
    let scene = scene_of(Widen::Auto);
    scene.ask("ns-0", "new", Scope::Cluster).await.unwrap();
    scene.rounds(1, 6, 3).await;
    scene.world.is(Mood::Unreachable, &ALL);
    let found = scene.ask("ns-0", "new", Scope::Cluster).await;
    assert_eq!(found, Ok((Scope::Exact, Freshness::Stale)));
}

#[tokio::test(start_paused = true)]
async fn rows_that_end_while_narrower_queries_are_waited_for_are_not_given() {
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::Hangs, &ALL);
    scene.world.is(Mood::Refuses, &[Scope::Cluster]);
    advance(Duration::from_secs(57)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await;
    assert_eq!(found, Err("timeout".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_given_up_for_a_query_that_cannot_be_made() {
    let slow = Mood::Slow(Duration::from_secs(3));
    for mood in [Mood::Unreachable, Mood::Hangs, slow] {
        let scene = Scene::settled(Scope::Cluster).await;
        scene.world.is(mood, &ALL);
        for _ in 0..3 {
            advance(Duration::from_secs(6)).await;
            let found = scene.ask("ns-0", "long", Scope::Cluster).await.unwrap();
            assert_eq!(found.0, Scope::Cluster, "{mood:?}");
        }
    }
    let found = scene().ask("ns-0", "long", Scope::Cluster).await;
    assert_eq!(
        found,
        Err("too long".to_owned()),
        "but if it is that which is asked"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_who_can_have_rows_waits_for_a_look_at_the_exact_query() {
    let slow = Mood::Slow(Duration::from_secs(3));
    for mood in [Mood::Breaks, slow] {
        let scene = Scene::settled(Scope::Cluster).await;
        scene.world.is(mood, &[Scope::Cluster]);
        scene.world.is(Mood::Hangs, &[Scope::Exact]);
        for _ in 0..10 {
            sleep(Duration::from_secs(5)).await;
            let begun = Instant::now();
            let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
            assert_eq!(found.0, Scope::Cluster, "{mood:?}");
            assert!(begun.elapsed() < Duration::from_secs(4), "{mood:?}");
        }
        let taken = scene.world.scopes_taken();
        assert!(taken[&Scope::Exact] >= 1, "{taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_while_somebody_looks_is_not_asked_more_narrowly() {
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::Hangs, &ALL);
    let soon = Mood::Slow(Duration::from_secs(2));
    scene.world.is(soon, &[Scope::Exact]);
    advance(Duration::from_secs(6)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!(found, (Scope::Cluster, Freshness::Stale));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.world.scopes_taken()[&Scope::Exact], 1);
    scene.world.is(Mood::Well, &ALL);
    sleep(Duration::from_secs(30)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!(found.0, Scope::Cluster);
    assert_ne!(found.1, Freshness::Stale);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_everything_for_a_while_is_asked_widely_again() {
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::Refuses, &ALL);
    advance(Duration::from_secs(6)).await;
    for asker in 0..6 {
        let (namespace, pod) = (format!("ns-{}", asker % 3), format!("pod-{asker}"));
        let found = scene.ask(&namespace, &pod, Scope::Cluster).await;
        assert_eq!(found, Ok((Scope::Cluster, Freshness::Stale)));
    }
    scene.world.is(Mood::Well, &ALL);
    sleep(Duration::from_secs(10)).await;
    scene.world.taken();
    for asker in 0..6 {
        let (namespace, pod) = (format!("ns-{}", asker % 3), format!("pod-{asker}"));
        let found = scene.ask(&namespace, &pod, Scope::Cluster).await.unwrap();
        assert_eq!(found.0, Scope::Cluster);
        assert_ne!(found.1, Freshness::Stale);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_text_is_no_narrower_query() {
    let scene = Scene::settled(Scope::Cluster).await;
    scene.world.is(Mood::TooLarge, &ALL);
    let found = scene.ask("same", "pod", Scope::Cluster).await;
    assert_eq!(found, Err("too_large".to_owned()));
    assert_eq!(scene.world.taken()["cluster same"], 1);
    scene.world.is(Mood::Well, &ALL);
    sleep(Duration::from_secs(6)).await;
    let found = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!(found.0, Scope::Cluster, "nothing is given up");
}

#[tokio::test(start_paused = true)]
async fn a_family_that_is_new_is_remembered_however_many_there_are() {
    let scene = scene();
    let scope = |namespace: &str, pod| {
        let ask = Ask {
            family: Family {
                backend: &scene.backend,
                rule: &scene.rule,
                series: "requests",
                object: "pod",
                selector: "",
            },
            rule: "rules[0]",
            place: Place::Namespace(namespace),
            names: vec![pod],
            proven: Scope::Namespace,
            widen: None,
            ttl: POLICY.ttl,
        };
        let ladder = scene.widening.ladder(&ask);
        scene.widening.levels.run_pending_tasks();
        ladder.scope(Instant::now(), Scope::Cluster)
    };
    for _ in 0..3 {
        for namespace in 0..LEVELS_MAX {
            scope(&namespace.to_string(), "pod");
        }
    }
    assert_eq!(scope("new", "pod-0"), Scope::Exact);
    assert_eq!(scope("new", "pod-1"), Scope::Namespace);
}

#[tokio::test(start_paused = true)]
async fn a_step_outlasts_a_reload_that_leaves_rule_and_backend_as_they_are_and_no_other() {
    let mut scene = Scene::settled(Scope::Cluster).await;
    // Read again: the same, in another place of memory.
    (scene.backend, scene.rule) = (nobody("default"), Identity::new("a rule"));
    let (scope, freshness) = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
    assert_eq!((scope, freshness), (Scope::Cluster, Freshness::Fresh));
    for (backend, rule) in [("default", "another rule"), ("other", "a rule")] {
        (scene.backend, scene.rule) = (nobody(backend), Identity::new(rule));
        let (scope, _) = scene.ask("ns-0", "pod-0", Scope::Cluster).await.unwrap();
        assert_eq!(scope, Scope::Exact, "{backend}, {rule}");
    }
}

#[test]
fn a_step_that_is_forgotten_for_want_of_room_is_counted() {
    let metrics = Metrics::new();
    let widening = Widening::new(Widen::Auto, Arc::clone(&metrics));
    for number in 0..=LEVELS_MAX {
        widening.levels.insert(number, Arc::default());
    }
    widening.levels.run_pending_tasks();
    assert_eq!(metrics.reached.get(Limit::WideningSteps), 1);
}
