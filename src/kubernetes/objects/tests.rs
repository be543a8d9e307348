//! Which asks are answered, and from where.

use tokio::net::TcpListener;
use tokio::time::advance;

use super::*;
use crate::kinds::GroupResource;
use crate::kubernetes::kubeconfig::{Connection, Credentials, Roots};
use crate::telemetry::ObjectsLabel;

fn at(server: &str) -> Connection {
    Connection {
        server: format!("http://{server}"),
        roots: Roots::Anybody,
        server_name: None,
        certificate: None,
        credentials: Credentials::None,
        headers: Vec::new(),
    }
}

/// Kinds that are watched here.
const KINDS: usize = 16;

/// Objects of a server that nobody can reach.
pub(super) fn objects() -> Arc<Objects> {
    let nowhere = "127.0.0.1:1";
    objects_of(nowhere, nowhere)
}

/// Objects that are listed and watched there, for ten minutes after an ask.
fn objects_of(lister: &str, watcher: &str) -> Arc<Objects> {
    let lister = Client::new(at(lister)).unwrap();
    let watcher = Arc::new(Client::for_streams(at(watcher)).unwrap());
    let limits = WatchLimits {
        idle: Duration::from_secs(600),
        kinds: KINDS,
    };
    let lost = Arc::new(Notify::new());
    Arc::new(Objects::new(lister, watcher, limits, lost, Metrics::new()))
}

#[test]
fn a_namespace_cannot_step_out_of_its_path() {
    for name in ["", ".", "..", "a/b", "%2e%2e", "a?x", "A"] {
        assert!(!is_dns_label(name), "{name}");
    }
    assert!(is_dns_label("kube-system") && is_dns_label("0"));
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
    let feed = objects.feed(&ask).unwrap();
    advance(Duration::from_secs(599)).await;
    assert!(!objects.let_go(&feed));
    assert!(Arc::ptr_eq(&objects.feed(&ask).unwrap(), &feed));
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
        assert!(objects.feed(&ask).is_some());
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
    objects.retain(&Kinds::new(later, &BTreeMap::new()));
    let titles: Vec<String> = before
        .iter()
        .filter(|feed| feed.dropped.is_cancelled())
        .map(|feed| feed.title.clone())
        .collect();
    assert_eq!(titles, ["nodes", "horizontalpodautoscalers.autoscaling"]);
    assert_eq!(objects.feeds.read().unwrap().len(), 1);
}

/// An ask for all objects of a kind.
fn all<'a>(kind: &'a Kind, selector: &'a Selector) -> Ask<'a> {
    Ask {
        kind,
        namespace: None,
        selector,
        name: None,
        running: false,
    }
}

#[tokio::test]
async fn the_list_that_a_watch_begins_with_takes_no_place_that_asks_wait_for() {
    let (kinds, selector) = (Kinds::builtin(), Selector::default());
    let pods = kinds.resource_for(&GroupResource::core("pods")).unwrap();
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (lister, watcher) = (bind().await, bind().await);
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let objects = objects_of(&address(&lister), &address(&watcher));
    objects.feed(&all(pods, &selector)).unwrap();
    tokio::select! {
        () = objects.watch() => unreachable!("it runs for ever"),
        _ = lister.accept() => panic!("asks may fill all places there"),
        accepted = watcher.accept() => assert!(accepted.is_ok()),
    }
}

#[tokio::test]
async fn more_kinds_than_the_limit_are_not_watched_until_another_goes() {
    let (kinds, selector) = (Kinds::builtin(), Selector::default());
    let pods = kinds.resource_for(&GroupResource::core("pods")).unwrap();
    let objects = objects();
    let numbered: Vec<Kind> = (0..=KINDS)
        .map(|number| Kind {
            plural: format!("things{number}"),
            ..pods.clone()
        })
        .collect();
    let (last, first) = numbered.split_last().unwrap();
    for kind in first {
        assert!(objects.feed(&all(kind, &selector)).is_some());
    }
    assert!(objects.feed(&all(last, &selector)).is_none());
    assert!(objects.is_full.load(Ordering::Relaxed), "it says so");
    let feed = objects.feed(&all(&first[0], &selector)).unwrap();
    objects.forget(&feed);
    assert!(objects.feed(&all(last, &selector)).is_some());
    assert!(!objects.is_full.load(Ordering::Relaxed));
}

#[tokio::test]
async fn the_count_of_a_version_that_goes_is_not_taken_from_the_one_that_came() {
    let (kinds, selector) = (Kinds::builtin(), Selector::default());
    let old = kinds.resource_for(&GroupResource::core("pods")).unwrap();
    let new = Kind {
        version: "v2".to_owned(),
        ..old.clone()
    };
    let objects = objects();
    let before = objects.feed(&all(old, &selector)).unwrap();
    objects.forget(&before);
    let after = objects.feed(&all(&new, &selector)).unwrap();
    let label = ObjectsLabel {
        objects: after.title.clone(),
    };
    objects.metrics.objects_held.get_or_create(&label).set(7);
    objects.tidy_up(before);
    assert_eq!(objects.metrics.objects_held.get_or_create(&label).get(), 7);
    objects.forget(&after);
    objects.tidy_up(after);
    assert_eq!(objects.metrics.objects_held.get_or_create(&label).get(), 0);
}
