//! A backend is what its plan says: two of one plan are one.

use std::hash::{Hash, Hasher};

use super::Backend;

/// Cheap where it is the very same, as it is for every ask but those around a reload.
impl PartialEq for Backend {
    fn eq(&self, other: &Backend) -> bool {
        std::ptr::eq(self, other) || (self.hash == other.hash && self.plan == other.plan)
    }
}

impl Eq for Backend {}

impl Hash for Backend {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}
