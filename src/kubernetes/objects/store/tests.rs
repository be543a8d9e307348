//! A store against a model of the API server, and what it shares.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::kubernetes::objects::wire::WireLabels;

fn described(
    namespace: &str,
    name: &str,
    labels: &[(&str, &str)],
    version: u64,
) -> Metadata<'static> {
    let owned = |text: &str| Cow::Owned(text.to_owned());
    let labels = labels.iter().map(|(k, v)| (owned(k), owned(v)));
    Metadata {
        name: owned(name),
        namespace: owned(namespace),
        labels: WireLabels(labels.collect()),
        version: owned(&version.to_string()),
    }
}

fn names(view: &View) -> Vec<String> {
    view.iter()
        .map(|it| format!("{}/{}", it.namespace, it.name))
        .collect()
}

#[test]
fn objects_come_by_namespace_and_name_and_go_at_once() {
    let (mut store, mut pool) = (Store::default(), Pool::default());
    for (namespace, name) in [("b", "x"), ("a", "z"), ("a", "m"), ("", "node")] {
        store.put(&described(namespace, name, &[], 1), &mut pool);
    }
    store.complete("4");
    assert_eq!(names(&store.view(None)), ["/node", "a/m", "a/z", "b/x"]);
    assert_eq!(names(&store.view(Some("a"))), ["a/m", "a/z"]);
    assert!(names(&store.view(Some("none"))).is_empty());
    let held = store.view(Some("a"));
    let gone = Event::Deleted(described("a", "m", &[], 5));
    store.apply(gone, &mut pool).unwrap();
    assert_eq!(names(&store.view(Some("a"))), ["a/z"]);
    assert_eq!(names(&held), ["a/m", "a/z"], "a view is of its moment");
    assert_eq!((store.len(), store.version()), (3, "5"));
}

#[test]
fn a_bookmark_moves_the_version_and_an_error_ends_the_watch() {
    let (mut store, mut pool) = (Store::default(), Pool::default());
    let version = Cow::Borrowed("77");
    store.apply(Event::Bookmark { version }, &mut pool).unwrap();
    assert_eq!(store.version(), "77");
    let error = Event::Error {
        code: 410,
        message: "too old resource version: 1 (599)".to_owned(),
    };
    let ended = store.apply(error, &mut pool).unwrap_err();
    assert_eq!(ended.code, 410);
    assert_eq!(
        store.version(),
        "77",
        "a watch goes on from the last version seen"
    );
}

#[test]
fn equal_labels_and_objects_are_one_copy_and_go_with_their_last_user() {
    let (mut store, mut pool) = (Store::default(), Pool::default());
    let labels = [("app", "web"), ("pod-template-hash", "5d9")];
    for pod in 0..100 {
        store.put(
            &described("shop", &format!("web-{pod}"), &labels, 1),
            &mut pool,
        );
    }
    // Namespace, two keys and two values; one set of labels; each object.
    assert_eq!(pool.len(), 5 + 1 + 100);
    let all = store.view(None);
    let first = all.iter().next().unwrap();
    assert!(
        all.iter()
            .all(|it| Arc::ptr_eq(&it.namespace, &first.namespace))
    );

    let mut other = Store::default();
    other.put(&described("shop", "web-7", &labels, 1), &mut pool);
    let shared = other.view(None);
    assert!(
        all.iter()
            .any(|it| Arc::ptr_eq(it, shared.iter().next().unwrap()))
    );

    drop((all, shared, store));
    pool.sweep();
    assert_eq!(pool.len(), 5 + 1 + 1, "what the other store holds stays");
    drop(other);
    pool.sweep();
    assert_eq!(pool.len(), 0);
}

#[test]
fn churn_does_not_fill_the_pool() {
    let (mut store, mut pool) = (Store::default(), Pool::default());
    for pod in 0..50_000 {
        let name = format!("job-{pod}");
        let labels = [("job-name", name.as_str())];
        store.put(&described("shop", &name, &labels, 1), &mut pool);
        let gone = Event::Deleted(described("shop", &name, &labels, 2));
        store.apply(gone, &mut pool).unwrap();
    }
    assert!(pool.len() < 2048, "{} copies of nothing", pool.len());
}

#[test]
fn labels_that_come_in_any_order_are_the_same() {
    let mut pool = Pool::default();
    let one = pool.object(&described("a", "b", &[("x", "1"), ("b", "2")], 1));
    let other = pool.object(&described(
        "a",
        "b",
        &[("b", "0"), ("x", "1"), ("b", "2")],
        9,
    ));
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(
        one.labels.iter().collect::<Vec<_>>(),
        [("b", "2"), ("x", "1")]
    );
}

/// An API server in three fields, and what can happen between it and us.
#[derive(Default)]
struct Server {
    present: BTreeMap<(String, String), String>,
    changes: Vec<(u64, bool, (String, String), String)>,
    oldest: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8, u8),
    Delete(u8, u8),
    /// So many events arrive.
    Deliver(usize),
    Bookmark,
    /// The watch breaks, and what was under way is lost with it.
    Reconnect,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3, 0_u8..5, 0_u8..3).prop_map(|(ns, name, label)| Step::Put(ns, name, label)),
        2 => (0_u8..3, 0_u8..5).prop_map(|(ns, name)| Step::Delete(ns, name)),
        4 => (0_usize..4).prop_map(Step::Deliver),
        1 => Just(Step::Bookmark),
        2 => Just(Step::Reconnect),
        1 => Just(Step::Compact),
    ]
}

impl Server {
    fn version(&self) -> u64 {
        self.changes.last().map_or(0, |it| it.0)
    }

    fn change(&mut self, at: (String, String), label: Option<String>) {
        let version = self.version() + 1;
        let (put, label) = match label {
            Some(label) => {
                self.present.insert(at.clone(), label.clone());
                (true, label)
            }
            None => match self.present.remove(&at) {
                Some(label) => (false, label),
                None => return,
            },
        };
        self.changes.push((version, put, at, label));
    }

    fn list(&self, pool: &mut Pool) -> Store {
        let mut store = Store::default();
        for ((namespace, name), label) in &self.present {
            store.put(&described(namespace, name, &[("app", label)], 1), pool);
        }
        store.complete(&self.version().to_string());
        store
    }

    /// The watch as it goes on: true while there was more to say.
    fn deliver(&self, store: &mut Store, pool: &mut Pool) -> Result<bool, Ended> {
        let seen: u64 = store.version().parse().unwrap();
        if seen < self.oldest {
            let message = format!("too old resource version: {seen} ({})", self.oldest);
            store.apply(Event::Error { code: 410, message }, pool)?;
        }
        let Some((version, put, (namespace, name), label)) =
            self.changes.iter().find(|it| it.0 > seen)
        else {
            return Ok(false);
        };
        let metadata = described(namespace, name, &[("app", label)], *version);
        let event = if *put {
            Event::Put(metadata)
        } else {
            Event::Deleted(metadata)
        };
        store.apply(event, pool).map(|()| true)
    }
}

proptest! {
    #[test]
    fn events_reconnects_and_lists_in_any_order_end_where_the_server_is(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let (mut server, mut pool) = (Server::default(), Pool::default());
        let mut store = server.list(&mut pool);
        let mut expired = false;
        for step in steps {
            let at = |ns: u8, name: u8| (format!("ns-{ns}"), format!("pod-{name}"));
            match step {
                Step::Put(ns, name, label) => server.change(at(ns, name), Some(label.to_string())),
                Step::Delete(ns, name) => server.change(at(ns, name), None),
                Step::Deliver(count) => for _ in 0..count {
                    expired |= server.deliver(&mut store, &mut pool).is_err();
                },
                // Comes after all events before it.
                Step::Bookmark => {
                    while let Ok(true) = server.deliver(&mut store, &mut pool) {}
                    let version = server.version().to_string().into();
                    if store.version().parse::<u64>().unwrap() >= server.oldest {
                        store.apply(Event::Bookmark { version }, &mut pool).unwrap();
                    }
                }
                // Again from the version that the store has: nothing else is remembered.
                Step::Reconnect => {}
                Step::Compact => server.oldest = server.version(),
            }
            if std::mem::take(&mut expired) {
                store = server.list(&mut pool);
            }
        }
        loop {
            match server.deliver(&mut store, &mut pool) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => store = server.list(&mut pool),
            }
        }
        let held: Vec<_> = store.view(None).iter().map(|it| (
            (it.namespace.to_string(), it.name.to_string()),
            it.labels.get("app").unwrap().to_owned(),
        )).collect();
        let present: Vec<_> = server.present.into_iter().collect();
        prop_assert_eq!(store.len(), held.len());
        prop_assert_eq!(held, present);
    }
}
