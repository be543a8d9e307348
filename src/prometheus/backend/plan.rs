//! What a backend is made of. It is what its plan says, and nothing else.

use std::time::Duration;

use super::Settings;
use crate::promql::Enforcer;

/// What one backend is made of, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// Its name, for errors and metrics.
    pub name: String,
    /// Its replicas.
    pub replicas: Vec<Settings>,
    /// How many requests may be open at one time.
    pub concurrency: usize,
    /// Labels and values that all series asked for must have.
    pub enforced: Enforcer,
    /// The longest that a request for lists of names may take.
    pub listing_timeout: Duration,
    /// The largest answer to one, in bytes.
    pub listing_bytes_max: u64,
}

impl Plan {
    /// A client for lists of names, made like one for queries.
    pub(super) fn listing(&self, queries: &Settings) -> Settings {
        Settings {
            timeout: self.listing_timeout,
            response_bytes_max: self.listing_bytes_max,
            ..queries.clone()
        }
    }
}
