//! A watch that goes well, ends, falls silent or is away for long, in virtual time.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::time::{advance, timeout};

use super::*;
use crate::kinds::{GroupResource, Kinds};
use crate::kubernetes::client::Client;
use crate::kubernetes::kubeconfig::{Connection, Credentials, Roots};
use crate::kubernetes::objects::Ask;
use crate::selector::Selector;
use crate::telemetry::Metrics;

const ADDED: &str = concat!(
    r#"{"type":"ADDED","object":{"metadata":"#,
    r#"{"name":"b","namespace":"shop","resourceVersion":"8"}}}"#,
    "\n"
);
const BOOKMARK: &str = concat!(
    r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#,
    "\n"
);

/// Nothing answers there, and nothing is asked.
fn nowhere() -> Connection {
    Connection {
        server: "http://127.0.0.1:1".to_owned(),
        roots: Roots::Anybody,
        server_name: None,
        certificate: None,
        credentials: Credentials::None,
    }
}

fn objects() -> Arc<Objects> {
    let lister = Arc::new(Client::new(nowhere()).unwrap());
    let watcher = Client::for_streams(nowhere()).unwrap();
    let idle = Duration::from_secs(600);
    let lost = Arc::new(Notify::new());
    Arc::new(Objects::new(lister, watcher, idle, lost, Metrics::new()))
}

/// The writer of a feed that has just been listed: one pod, at version 7.
fn listed() -> Watch {
    let objects = objects();
    let kinds = Kinds::builtin();
    let kind = kinds.resource_for(&GroupResource::core("pods")).unwrap();
    let feed = Feed::new(kind.clone(), None);
    let mut store = Store::default();
    let metadata = r#"{"name":"a","namespace":"shop"}"#;
    let metadata = serde_json::from_str(metadata).unwrap();
    store.put(&metadata, &mut objects.pool());
    store.complete("7");
    feed.replace(store, Instant::now());
    Watch::new(objects, feed)
}

fn held(watch: &Watch) -> Option<Vec<String>> {
    let view = watch.feed.view(Some("shop"))?;
    Some(view.iter().map(|it| it.name.to_string()).collect())
}

/// A stream, and what the server says on it.
fn stream() -> (mpsc::UnboundedSender<Bytes>, Stream) {
    let (say, said) = mpsc::unbounded_channel::<Bytes>();
    let pieces = futures_util::stream::unfold(said, async |mut said| {
        let piece = said.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), said))
    });
    let body = reqwest::Body::wrap_stream(pieces);
    (say, Stream::of(hyper::Response::new(body).into()))
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_there_for_a_second_is_believed_from_then_on() {
    let mut watch = listed();
    let (_say, stream) = stream();
    let read = timeout(Duration::from_secs(60), watch.read(stream)).await;
    assert!(read.is_err(), "it goes on");
    assert_eq!(held(&watch).unwrap(), ["a"], "a minute after the list");
}

#[tokio::test(start_paused = true)]
async fn without_a_watch_what_is_held_is_too_old_after_ten_seconds() {
    let watch = listed();
    advance(Duration::from_millis(9_900)).await;
    assert_eq!(held(&watch).unwrap(), ["a"]);
    advance(Duration::from_millis(200)).await;
    assert_eq!(held(&watch), None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_taken_for_dead_and_nothing_is_answered_from_it() {
    let mut watch = listed();
    let (_say, stream) = stream();
    let began = Instant::now();
    let broken = watch.read(stream).await.unwrap_err();
    assert!(matches!(broken, Broken::Silent), "{broken}");
    assert_eq!(began.elapsed(), SILENCE);
    assert_eq!(held(&watch), None, "nothing was heard since");
    assert_eq!(watch.note(&broken, None), Duration::ZERO);
    assert!(watch.expired, "what was missed is not known: a list");
}

#[tokio::test(start_paused = true)]
async fn bookmarks_keep_a_quiet_watch_alive() {
    let mut watch = listed();
    let (say, stream) = stream();
    let speak = async {
        for _ in 0..10 {
            sleep(Duration::from_secs(60)).await;
            say.send(BOOKMARK.into()).unwrap();
        }
    };
    tokio::select! {
        ended = watch.read(stream) => panic!("{ended:?}"),
        () = speak => {}
    }
    assert_eq!(held(&watch).unwrap(), ["a"]);
    assert_eq!(
        watch.feed.version().unwrap(),
        "9",
        "and move the version on"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_long_time_away_only_a_bookmark_says_that_nothing_is_missing() {
    let mut watch = listed();
    watch.feed.is_unwatched(Instant::now());
    advance(Duration::from_secs(60)).await;
    let (say, stream) = stream();
    say.send(ADDED.into()).unwrap();
    let hear = async |watch: &mut Watch, stream: &mut Option<Stream>| {
        let read = watch.read(stream.take().unwrap());
        assert!(timeout(Duration::from_secs(30), read).await.is_err());
    };
    hear(&mut watch, &mut Some(stream)).await;
    assert_eq!(held(&watch), None, "there may be more to come");

    let (say, stream) = self::stream();
    say.send(ADDED.into()).unwrap();
    say.send(BOOKMARK.into()).unwrap();
    hear(&mut watch, &mut Some(stream)).await;
    assert_eq!(held(&watch).unwrap(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_took_long_is_answered_from_once_a_watch_has_caught_up() {
    let mut watch = listed();
    watch.feed.is_unwatched(Instant::now());
    advance(Duration::from_secs(60)).await;
    watch.fresh = true;
    assert_eq!(held(&watch), None);
    let (_say, stream) = stream();
    let read = timeout(Duration::from_secs(5), watch.read(stream)).await;
    assert!(read.is_err());
    assert_eq!(held(&watch).unwrap(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_at_once_is_a_failure_and_one_that_ends_later_is_not() {
    let mut watch = listed();
    let (say, stream) = stream();
    drop(say);
    let short = watch.read(stream).await.unwrap_err();
    assert!(matches!(short, Broken::Short));
    assert!(
        watch.note(&short, None) >= Duration::from_millis(900),
        "no tight loop"
    );

    let (say, stream) = self::stream();
    let end = async {
        sleep(Duration::from_secs(2)).await;
        drop(say);
        std::future::pending().await
    };
    tokio::select! {
        ended = watch.read(stream) => ended.unwrap(),
        () = end => {}
    }
    assert_eq!(held(&watch).unwrap(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_expiry_is_a_list_at_once_and_the_next_waits() {
    let mut watch = listed();
    assert_eq!(watch.note(&Broken::Expired, None), Duration::ZERO);
    assert_eq!(held(&watch).unwrap(), ["a"], "until the list is there");
    assert!(watch.note(&Broken::Expired, None) > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_of_its_end_is_kept() {
    for (code, expired) in [(410, true), (500, false)] {
        let mut watch = listed();
        let (say, stream) = stream();
        let status = format!(r#"{{"code":{code},"message":"why","metadata":{{}}}}"#);
        let line = format!("{{\"type\":\"ERROR\",\"object\":{status}}}\n");
        say.send(line.into()).unwrap();
        let broken = watch.read(stream).await.unwrap_err();
        assert_eq!(matches!(broken, Broken::Expired), expired, "{broken}");
        assert!(
            expired || broken.to_string().contains("500: why"),
            "{broken}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_is_let_go_when_nobody_asked_for_its_idle_time() {
    let (kinds, selector) = (Kinds::builtin(), Selector::default());
    let kind = kinds.resource_for(&GroupResource::core("pods")).unwrap();
    let ask = Ask {
        kind,
        namespace: None,
        selector: &selector,
        name: None,
        running: false,
    };
    let objects = objects();
    assert!(objects.held(&ask).is_none(), "the first ask begins");
    let feed = objects
        .feeds
        .read()
        .unwrap()
        .values()
        .next()
        .cloned()
        .unwrap();
    advance(Duration::from_secs(599)).await;
    assert!(!objects.let_go(&feed));
    assert!(objects.held(&ask).is_none());
    advance(Duration::from_secs(599)).await;
    assert!(!objects.let_go(&feed), "an ask begins the time anew");
    advance(Duration::from_secs(1)).await;
    assert!(objects.let_go(&feed));
    assert!(objects.feeds.read().unwrap().is_empty());
}

#[tokio::test]
async fn a_kind_that_is_gone_or_served_in_another_version_is_dropped() {
    let (kinds, selector) = (Kinds::builtin(), Selector::default());
    let objects = objects();
    let resources = ["pods", "horizontalpodautoscalers.autoscaling", "nodes"];
    for resource in resources {
        let kind = kinds.resource_for(&GroupResource::parse(resource)).unwrap();
        let ask = Ask {
            kind,
            namespace: None,
            selector: &selector,
            name: None,
            running: true,
        };
        assert!(objects.held(&ask).is_none());
    }
    objects.retain(&kinds);
    assert_eq!(objects.feeds.read().unwrap().len(), 3);
    let before: Vec<Arc<Feed>> = objects.feeds.read().unwrap().values().cloned().collect();

    let mut later: Vec<_> = resources
        .into_iter()
        .map(|it| {
            kinds
                .resource_for(&GroupResource::parse(it))
                .unwrap()
                .clone()
        })
        .filter(|kind| kind.plural != "nodes")
        .collect();
    later[1].version = "v3".to_owned();
    objects.retain(&Kinds::new(later, &std::collections::BTreeMap::new()));
    let titles: Vec<String> = before
        .iter()
        .filter(|feed| feed.dropped.is_cancelled())
        .map(|feed| feed.title.clone())
        .collect();
    assert_eq!(titles, ["nodes", "horizontalpodautoscalers.autoscaling"]);
    assert_eq!(objects.feeds.read().unwrap().len(), 1);
}
