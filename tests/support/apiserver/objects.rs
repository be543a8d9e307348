//! The objects of the API server: listed in pages, watched from a version on, changed by tests.
//!
//! Each change has a version of its own, as in etcd. A list is of one version however many pages it
//! has; a watch says each change since the version it begins at, or that this one is too old.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tidegauge::selector::Selector;

use super::{ApiServer, Call};

/// The version of a fresh cluster, and the oldest that can be watched from, as recorded.
const FIRST_VERSION: u64 = 6574;

/// Namespace, name, and label `app`.
const PODS: [(&str, &str, &str); 4] = [
    ("shop", "web-a", "web"),
    ("shop", "web-b", "web"),
    ("shop", "web-c", "web"),
    ("bank", "teller-a", "teller"),
];

/// Plural, namespace, name.
type Place = (String, String, String);

/// All objects, and what happened to them.
pub(super) struct Objects {
    version: u64,
    /// Watches that begin before this are refused.
    oldest: u64,
    present: BTreeMap<Place, Object>,
    changes: Vec<Change>,
    /// Lists of which pages were given that were not the last.
    begun: Vec<List>,
}

/// What was there at one version.
struct List {
    version: u64,
    objects: Vec<(Place, Object)>,
}

#[derive(Clone)]
struct Object {
    labels: BTreeMap<String, String>,
    running: bool,
    version: u64,
}

struct Change {
    version: u64,
    place: Place,
    before: Option<Object>,
    after: Option<Object>,
}

/// What a list or a watch is of.
pub(super) struct Asked {
    plural: String,
    namespace: Option<String>,
    selector: Selector,
    /// `status.phase` and `metadata.name`, where they matter.
    running: bool,
    name: Option<String>,
}

impl Asked {
    /// By the path and the query of a call.
    pub(super) fn of(call: &Call) -> Asked {
        let (front, plural) = call
            .path
            .rsplit_once('/')
            .expect("a path must have a slash");
        let namespace = front
            .rsplit_once("/namespaces/")
            .map(|(_, it)| it.to_owned());
        let selector = call.parameter("labelSelector").unwrap_or_default();
        let mut asked = Asked {
            plural: plural.to_owned(),
            namespace,
            selector: Selector::parse(selector).expect("a valid selector must come"),
            running: false,
            name: None,
        };
        let fields = call.parameter("fieldSelector").unwrap_or_default();
        for field in fields.split(',').filter(|it| !it.is_empty()) {
            match field.split_once('=') {
                Some(("status.phase", "Running")) => asked.running = true,
                Some(("metadata.name", name)) => asked.name = Some(name.to_owned()),
                _ => panic!("a field selector that this server does not know: {field}"),
            }
        }
        asked
    }

    fn is_within(&self, (plural, namespace, _): &Place) -> bool {
        *plural == self.plural && self.namespace.as_ref().is_none_or(|it| it == namespace)
    }

    fn is_at(&self, place: &Place) -> bool {
        let (_, _, name) = place;
        self.is_within(place) && self.name.as_ref().is_none_or(|it| it == name)
    }

    fn selects(&self, object: &Object) -> bool {
        (object.running || !self.running) && self.selector.matches(&object.labels)
    }
}

impl Objects {
    /// The pods of the recorded cluster.
    pub(super) fn new() -> Objects {
        let mut objects = Objects {
            version: FIRST_VERSION - PODS.len() as u64,
            oldest: FIRST_VERSION,
            present: BTreeMap::new(),
            changes: Vec::new(),
            begun: Vec::new(),
        };
        for (namespace, name, app) in PODS {
            objects.put("pods", namespace, name, &[("app", app)], true);
        }
        objects.changes.clear();
        objects
    }

    /// Whether there is, or was, an object of this kind.
    pub(super) fn has_kind(&self, plural: &str) -> bool {
        plural == "pods" || self.present.keys().any(|(known, _, _)| known == plural)
    }

    /// Adds an object, or changes it.
    pub(super) fn put(
        &mut self,
        plural: &str,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
        running: bool,
    ) {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let object = Object {
            labels: labels.collect(),
            running,
            version: self.version + 1,
        };
        self.change(place(plural, namespace, name), Some(object));
    }

    /// Takes an object away.
    pub(super) fn delete(&mut self, plural: &str, namespace: &str, name: &str) {
        self.change(place(plural, namespace, name), None);
    }

    /// Forgets what happened: who watches from before now must list again.
    pub(super) fn compact(&mut self) {
        // Something else in the cluster has changed since.
        self.version += 1;
        self.oldest = self.version;
        self.changes.clear();
    }

    /// The oldest version that can be watched from.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// A `PartialObjectMetadataList`, at most `page` objects of it.
    pub(super) fn list(&mut self, call: &Call, page: usize) -> Value {
        let asked = Asked::of(call);
        let limit = call.parameter("limit").and_then(|it| it.parse().ok());
        let page = page.min(limit.unwrap_or(usize::MAX));
        let token = call.parameter("continue").unwrap_or_default();
        // A token of a real server is opaque and needs escaping.
        let (list, from) = match token.trim_end_matches("+/=").split_once(':') {
            Some((list, from)) => {
                let number = |text: &str| text.parse::<usize>().expect("an own token must come");
                (number(list), number(from))
            }
            None => {
                let there = self.at(&asked);
                let selected = there.filter(|(at, it)| asked.is_at(at) && asked.selects(it));
                let objects = selected
                    .map(|(place, it)| (place.clone(), it.clone()))
                    .collect();
                let version = self.version;
                self.begun.push(List { version, objects });
                (self.begun.len() - 1, 0)
            }
        };
        let List { version, objects } = &self.begun[list];
        let until = from.saturating_add(page).min(objects.len());
        let items: Vec<Value> = objects[from..until]
            .iter()
            .map(|(place, it)| partial(place, it))
            .collect();
        let next = if until < objects.len() {
            format!("{list}:{until}+/=")
        } else {
            String::new()
        };
        let metadata = json!({"resourceVersion": version.to_string(), "continue": next});
        if next.is_empty() {
            self.begun[list].objects = Vec::new();
        }
        json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata, "items": items})
    }

    /// What is where it is asked for, selected or not.
    fn at<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = (&'a Place, &'a Object)> {
        let namespace = asked.namespace.as_deref().unwrap_or_default();
        let from = place(&asked.plural, namespace, "");
        let there = self.present.range(from..);
        there.take_while(|(place, _)| asked.is_within(place))
    }

    /// What happened after `version` to what is asked for, as lines of a watch, and until when.
    pub(super) fn since(&self, asked: &Asked, version: u64) -> (String, u64) {
        let later = self.changes.iter().filter(|it| it.version > version);
        let mut lines = String::new();
        for change in later.filter(|it| asked.is_at(&it.place)) {
            let selected = |it: &Option<Object>| it.clone().filter(|it| asked.selects(it));
            let (kind, object) = match (selected(&change.before), selected(&change.after)) {
                (None, None) => continue,
                (None, Some(after)) => ("ADDED", after),
                (Some(_), Some(after)) => ("MODIFIED", after),
                // As it was, with the version of its end.
                (Some(before), None) => ("DELETED", before),
            };
            let version = change.version;
            let object = partial(&change.place, &Object { version, ..object });
            lines += &line(kind, &object);
        }
        (lines, self.version)
    }

    fn change(&mut self, place: Place, after: Option<Object>) {
        self.version += 1;
        let before = match after.clone() {
            Some(object) => self.present.insert(place.clone(), object),
            None => self.present.remove(&place),
        };
        self.changes.push(Change {
            version: self.version,
            place,
            before,
            after,
        });
    }
}

impl ApiServer {
    /// Adds a running pod, or gives one other labels.
    pub fn put_pod(&self, namespace: &str, name: &str, labels: &[(&str, &str)]) {
        self.change(|objects| objects.put("pods", namespace, name, labels, true));
    }

    /// The same of a pod whose containers have ended.
    pub fn put_ended_pod(&self, namespace: &str, name: &str, labels: &[(&str, &str)]) {
        self.change(|objects| objects.put("pods", namespace, name, labels, false));
    }

    /// Takes a pod away.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        self.change(|objects| objects.delete("pods", namespace, name));
    }

    /// Forgets what happened until now: no watch can go on from before.
    pub fn compact(&self) {
        self.world().objects.compact();
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Objects)) {
        let mut world = self.world();
        change(&mut world.objects);
        world.signal.send_modify(|_| {});
    }
}

/// A line of a watch.
pub(super) fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

/// A bookmark, of which only the version means something.
pub(super) fn bookmark(version: u64) -> String {
    let metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
    let object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata});
    line("BOOKMARK", &object)
}

fn place(plural: &str, namespace: &str, name: &str) -> Place {
    (plural.to_owned(), namespace.to_owned(), name.to_owned())
}

/// As the recorded pod, with all that a metrics adapter has no use for.
fn partial((_, namespace, name): &Place, object: &Object) -> Value {
    static RECORDED: LazyLock<Value> = LazyLock::new(super::answers::recorded_pod);
    let mut partial = RECORDED.clone();
    let metadata = &mut partial["metadata"];
    metadata["name"] = json!(name);
    metadata["resourceVersion"] = json!(object.version.to_string());
    metadata["namespace"] = json!(namespace);
    metadata["labels"] = json!(object.labels);
    if let Value::Object(metadata) = metadata {
        metadata.retain(|_, value| *value != json!("") && *value != json!({}));
    }
    partial
}
