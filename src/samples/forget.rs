//! What is given up before its time: nobody is expected to ask for it.

use super::{Query, Samples};
use crate::prometheus::Backend;

impl Samples {
    /// Nobody will ask `query` for a while: it is not fetched ahead any more. Its rows are kept.
    pub fn abandon(&self, query: &Query) {
        if let Some(entry) = self.shared.entries.get(query) {
            entry.lock().abandon();
        }
    }

    /// Nobody will ask `backend` any more: what it answered is forgotten, and nothing is fetched
    /// from it ahead.
    pub fn forget(&self, backend: &Backend) {
        let entries = &self.shared.entries;
        for (query, _) in entries {
            if *query.backend == *backend {
                entries.invalidate(&*query);
            }
        }
    }
}
