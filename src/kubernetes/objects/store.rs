//! The objects of one kind: filled by a list, kept true by the events of a watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pool::Pool;
use super::wire::{Event, Metadata};
use crate::kubernetes::Object;

/// Objects by namespace and name. One task writes it; readers hold a [`View`] of a moment.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Those of one namespace by name. Copied before a change only while a reader holds them.
    namespaces: BTreeMap<Arc<str>, Arc<Vec<Arc<Object>>>>,
    len: usize,
    /// `resourceVersion`: the last change that is in here.
    version: String,
}

/// Some objects as they were at one moment, by namespace and name.
#[derive(Debug)]
pub(super) struct View(Vec<Arc<Vec<Arc<Object>>>>);

/// The watch is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// As an HTTP status.
    pub(super) code: u16,
    /// What the server says.
    pub(super) message: String,
}

impl Store {
    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// From where a watch goes on without a gap.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Takes up a change.
    ///
    /// # Errors
    /// The event says that there will be no further one, or is of a time before what is held: the
    /// server has lost what happened since, and nobody will say what of it never was.
    pub(super) fn apply(&mut self, event: Event<'_>, pool: &mut Pool) -> Result<(), Ended> {
        match &event {
            Event::Put(Metadata { version, .. })
            | Event::Deleted(Metadata { version, .. })
            | Event::Bookmark { version }
                if is_before(version, &self.version) =>
            {
                let held = &self.version;
                let message = format!("version {version} came after {held}");
                return Err(Ended { code: 410, message });
            }
            _ => {}
        }
        match event {
            Event::Put(metadata) => {
                self.put(&metadata, pool);
                self.advance(&metadata.version);
            }
            Event::Deleted(metadata) => {
                self.remove(&metadata.namespace, &metadata.name);
                self.advance(&metadata.version);
            }
            Event::Bookmark { version } => self.advance(&version),
            Event::Error { code, message } => return Err(Ended { code, message }),
        }
        Ok(())
    }

    /// Adds an object, or makes it as described.
    pub(super) fn put(&mut self, metadata: &Metadata<'_>, pool: &mut Pool) {
        let within = self.namespaces.get(&*metadata.namespace);
        let found = within.map(|objects| (position(objects, &metadata.name), objects));
        match found {
            Some((Ok(at), objects)) => {
                // Most changes of an object are of its status.
                if objects
                    .get(at)
                    .is_some_and(|known| is_same(known, metadata))
                {
                    return;
                }
                let object = pool.object(metadata);
                if let Some(objects) = self.namespaces.get_mut(&*metadata.namespace)
                    && let Some(place) = Arc::make_mut(objects).get_mut(at)
                {
                    *place = object;
                }
            }
            other => {
                let at = other.and_then(|(at, _)| at.err()).unwrap_or_default();
                let object = pool.object(metadata);
                let namespace = Arc::clone(&object.namespace);
                let objects = self.namespaces.entry(namespace).or_default();
                Arc::make_mut(objects).insert(at, object);
                self.len += 1;
            }
        }
    }

    /// The list that filled it is complete.
    pub(super) fn complete(&mut self, version: &str) {
        self.advance(version);
        for objects in self.namespaces.values_mut() {
            Arc::make_mut(objects).shrink_to_fit();
        }
    }

    /// The objects in `namespace`, or all.
    pub(super) fn view(&self, namespace: Option<&str>) -> View {
        View(match namespace {
            Some(namespace) => self
                .namespaces
                .get(namespace)
                .into_iter()
                .cloned()
                .collect(),
            None => self.namespaces.values().cloned().collect(),
        })
    }

    fn remove(&mut self, namespace: &str, name: &str) {
        let Some(objects) = self.namespaces.get_mut(namespace) else {
            return;
        };
        if let Ok(at) = position(objects, name) {
            Arc::make_mut(objects).remove(at);
            self.len -= 1;
            if objects.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
    }

    fn advance(&mut self, version: &str) {
        // An event without one leaves us where we were: a watch from there says it again.
        if !version.is_empty() {
            version.clone_into(&mut self.version);
        }
    }
}

impl View {
    /// Each object, by namespace and name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.0.iter().flat_map(|objects| objects.iter())
    }
}

/// Whether the one version is older than the other: numbers can be compared, other texts cannot.
fn is_before(version: &str, other: &str) -> bool {
    let numbers = version.parse::<u64>().ok().zip(other.parse().ok());
    numbers.is_some_and(|(version, other)| version < other)
}

fn position(objects: &[Arc<Object>], name: &str) -> Result<usize, usize> {
    // A list comes sorted: its next object belongs at the end.
    match objects.last() {
        Some(last) if *last.name < *name => Err(objects.len()),
        _ => objects.binary_search_by(|object| (*object.name).cmp(name)),
    }
}

fn is_same(object: &Object, metadata: &Metadata<'_>) -> bool {
    let labels = &metadata.labels.0;
    object.labels.iter().len() == labels.len()
        && labels
            .iter()
            .all(|(key, value)| object.labels.get(key) == Some(&**value))
}

#[cfg(test)]
mod tests;
