//! A watch that goes well, ends, falls silent or is away for long, in virtual time.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{advance, timeout};

use super::*;
use crate::kinds::{GroupResource, Kinds};
use crate::kubernetes::objects::tests::objects;

const ADDED: &str = concat!(
    r#"{"type":"ADDED","object":{"metadata":"#,
    r#"{"name":"b","namespace":"shop","resourceVersion":"8"}}}"#,
    "\n"
);
const BOOKMARK: &str = concat!(
    r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#,
    "\n"
);

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
async fn after_a_long_time_away_a_new_list_is_made_and_the_silence_of_a_watch_says_nothing() {
    let mut watch = listed();
    watch.feed.is_unwatched(Instant::now());
    advance(STALE).await;
    let (say, stream) = stream();
    say.send([ADDED, BOOKMARK].concat().into()).unwrap();
    let broken = watch.read(stream).await.unwrap_err();
    assert!(matches!(broken, Broken::Away), "{broken}");
    assert_eq!(held(&watch), None);
    assert_eq!(watch.note(&broken, None), Duration::ZERO);
    assert!(watch.expired, "a list");
    assert!(watch.note(&broken, None) > Duration::ZERO, "no tight loop");
}

#[tokio::test(start_paused = true)]
async fn after_a_short_time_away_a_watch_goes_on() {
    let mut watch = listed();
    advance(STALE - Duration::from_secs(1)).await;
    let (say, stream) = stream();
    say.send(ADDED.into()).unwrap();
    let read = timeout(Duration::from_secs(30), watch.read(stream)).await;
    assert!(read.is_err(), "it goes on");
    assert_eq!(held(&watch).unwrap(), ["a", "b"]);
}

/// Takes the place of what is held by a list of the same that took so long.
fn list_again(watch: &Watch, took: Duration) {
    let mut store = Store::default();
    let metadata = serde_json::from_str(r#"{"name":"a","namespace":"shop"}"#).unwrap();
    store.put(&metadata, &mut watch.objects.pool());
    store.complete("7");
    watch.feed.replace(store, Instant::now() - took);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_took_long_is_answered_from_once_a_watch_has_caught_up() {
    let mut watch = listed();
    advance(Duration::from_secs(60)).await;
    list_again(&watch, Duration::from_secs(60));
    assert_eq!(held(&watch), None);
    let (_say, stream) = stream();
    let read = timeout(Duration::from_secs(5), watch.read(stream)).await;
    assert!(read.is_err());
    assert_eq!(held(&watch).unwrap(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_long_ago_is_not_believed_because_a_watch_that_begins_now_is_silent() {
    let mut watch = listed();
    list_again(&watch, Duration::ZERO);
    // For a minute each watch is refused.
    advance(Duration::from_secs(60)).await;
    let (_say, stream) = stream();
    let broken = timeout(Duration::from_secs(5), watch.read(stream)).await;
    assert!(matches!(broken, Ok(Err(Broken::Away))), "{broken:?}");
    assert_eq!(held(&watch), None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_is_not_asked_for_again() {
    let renamed = r#"{"type":"RENAMED","object":{"metadata":{"name":"b"}}}"#;
    let nameless = r#"{"type":"ADDED","object":{"metadata":{}}}"#;
    for line in [renamed, nameless, "{"] {
        let mut watch = listed();
        let (say, stream) = stream();
        say.send(format!("{line}\n").into()).unwrap();
        let broken = watch.read(stream).await.unwrap_err();
        assert!(matches!(broken, Broken::Line(_)), "{broken}");
        assert_eq!(watch.note(&broken, None), Duration::ZERO);
        assert!(watch.expired, "a list, and a watch from after it");
        assert!(watch.note(&broken, None) > Duration::ZERO, "no tight loop");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_back_in_time_is_listed_again() {
    let mut watch = listed();
    let (say, stream) = stream();
    say.send(BOOKMARK.into()).unwrap();
    say.send(ADDED.into()).unwrap();
    let broken = watch.read(stream).await.unwrap_err();
    assert!(matches!(broken, Broken::Expired(_)), "{broken}");
    assert!(
        broken.to_string().contains("version 8 came after 9"),
        "{broken}"
    );
    assert_eq!(held(&watch).unwrap(), ["a"], "it has not been taken up");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_without_bookmarks_ends_before_it_would_be_taken_for_dead() {
    let mut watch = listed();
    for _ in 0..50 {
        let time = watch.time();
        assert!(time >= UNPROVEN_TIME && time < SILENCE, "{time:?}");
    }
    let time = watch.time();
    let (say, stream) = stream();
    let server = async {
        sleep(time).await;
        drop(say);
    };
    let (ended, ()) = tokio::join!(watch.read(stream), server);
    ended.unwrap();
    assert_eq!(held(&watch).unwrap(), ["a"], "it was there until now");

    let (say, stream) = self::stream();
    say.send(BOOKMARK.into()).unwrap();
    drop(say);
    watch.read(stream).await.unwrap();
    let time = watch.time();
    assert!(time >= WATCH_TIME && time <= 2 * WATCH_TIME, "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_list_waits_until_it_can_be_answered_from_or_has_failed() {
    let mut watch = listed();
    let waits = |watch: &Watch| {
        let feed = Arc::clone(&watch.feed);
        async move {
            timeout(Duration::from_millis(1), feed.caught_up())
                .await
                .is_err()
        }
    };
    assert!(!waits(&watch).await);
    watch.feed.is_catching_up();
    assert!(waits(&watch).await);
    advance(Duration::from_secs(60)).await;
    list_again(&watch, Duration::from_secs(60));
    assert!(waits(&watch).await, "a watch will say what happened since");
    let (_say, stream) = stream();
    let read = timeout(Duration::from_secs(5), watch.read(stream)).await;
    assert!(read.is_err());
    assert!(!waits(&watch).await);

    watch.feed.is_catching_up();
    assert_eq!(watch.note(&Broken::Away, None), Duration::ZERO);
    assert!(waits(&watch).await, "a list comes at once");
    watch.note(&Broken::Away, None);
    assert!(!waits(&watch).await, "it comes later");
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
    let expired = Broken::Expired(String::new());
    assert_eq!(watch.note(&expired, None), Duration::ZERO);
    assert_eq!(held(&watch).unwrap(), ["a"], "until the list is there");
    assert!(watch.note(&expired, None) > Duration::ZERO);
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
        assert_eq!(matches!(broken, Broken::Expired(_)), expired, "{broken}");
        assert!(
            expired || broken.to_string().contains("500: why"),
            "{broken}"
        );
    }
}
