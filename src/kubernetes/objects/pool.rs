//! One copy of each text, set of labels and object, for all kinds.
//!
//! Fifty thousand pods have a few thousand sets of labels, because the pods of one workload have
//! the same. What nobody holds any longer goes at the next sweep; one comes whenever a quarter more
//! is held than after the last, so the dead are never many and sweeping costs little.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use super::wire::Metadata;
use crate::kubernetes::Object;
use crate::kubernetes::labels::{Label, Labels};

/// So few are not worth a sweep.
const FEW: usize = 1024;

/// The copies.
#[derive(Debug, Default)]
pub(super) struct Pool {
    texts: HashSet<Arc<str>>,
    labels: HashSet<Arc<[Label]>>,
    objects: HashSet<Arc<Object>>,
    after_sweep: usize,
}

impl Pool {
    /// The object that `metadata` describes.
    pub(super) fn object(&mut self, metadata: &Metadata<'_>) -> Arc<Object> {
        let object = Object {
            namespace: self.text(&metadata.namespace),
            // Its own: a name is hardly ever another object's too.
            name: Arc::from(&*metadata.name),
            labels: self.labels(metadata),
        };
        let object = match self.objects.get(&object) {
            Some(known) => Arc::clone(known),
            None => {
                let object = Arc::new(object);
                self.objects.insert(Arc::clone(&object));
                object
            }
        };
        if self.len() > self.after_sweep + self.after_sweep / 4 + FEW {
            self.sweep();
        }
        object
    }

    /// Lets go of what nobody else holds.
    pub(super) fn sweep(&mut self) {
        // An object holds labels, and those hold texts.
        sweep(&mut self.objects);
        sweep(&mut self.labels);
        sweep(&mut self.texts);
        self.after_sweep = self.len();
    }

    /// Copies of all sorts.
    pub(super) fn len(&self) -> usize {
        self.objects.len() + self.labels.len() + self.texts.len()
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }

    fn labels(&mut self, metadata: &Metadata<'_>) -> Labels {
        let labels = &metadata.labels.0;
        let mut sorted: Vec<Label> = labels
            .iter()
            .map(|(key, value)| (self.text(key), self.text(value)))
            .collect();
        if !sorted.is_sorted_by(|a, b| a.0 < b.0) {
            // The last of two with one key counts, as in every JSON object.
            sorted.reverse();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            sorted.dedup_by(|later, first| later.0 == first.0);
        }
        if let Some(known) = self.labels.get(&*sorted) {
            return Labels::from(Arc::clone(known));
        }
        let sorted: Arc<[Label]> = sorted.into();
        self.labels.insert(Arc::clone(&sorted));
        Labels::from(sorted)
    }
}

fn sweep<T: Hash + Eq + ?Sized>(copies: &mut HashSet<Arc<T>>) {
    copies.retain(|it| Arc::strong_count(it) > 1);
    if copies.len() < copies.capacity() / 4 {
        copies.shrink_to_fit();
    }
}
