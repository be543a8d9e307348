//! Labels of an object: sorted, and one copy for all objects that have the same.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// `metadata.labels`, by key. Cloning it copies a pointer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[Label]>);

/// Key and value.
pub(super) type Label = (Arc<str>, Arc<str>);

impl Labels {
    /// The value of a label; the empty text is a value.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(known, _)| (**known).cmp(key));
        found
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| &**value)
    }

    /// Whether these are the very same, not a copy.
    pub(super) fn is(&self, other: &Labels) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of two labels with one key, the last counts, as in a JSON object.
impl<K: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Labels {
        let labels = labels.into_iter().map(|(k, v)| (k.into(), v.into()));
        let sorted: std::collections::BTreeMap<Arc<str>, Arc<str>> = labels.collect();
        Labels(sorted.into_iter().collect())
    }
}

impl From<Arc<[Label]>> for Labels {
    /// They must be sorted, each key once.
    fn from(sorted: Arc<[Label]>) -> Labels {
        debug_assert!(
            sorted.is_sorted_by(|a, b| a.0 < b.0),
            "sorted, without repetition"
        );
        Labels(sorted)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_by_key_and_come_sorted() {
        let labels: Labels = [("tier", "front"), ("app", "web"), ("app", "shop")]
            .into_iter()
            .collect();
        assert_eq!((labels.get("app"), labels.get("a")), (Some("shop"), None));
        assert_eq!(
            labels.iter().collect::<Vec<_>>(),
            [("app", "shop"), ("tier", "front")]
        );
        assert_eq!(
            serde_json::to_string(&labels).unwrap(),
            r#"{"app":"shop","tier":"front"}"#
        );
    }
}
