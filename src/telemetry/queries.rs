//! The queries of asks: how their rows came, and for how many objects they were asked.

use prometheus_client::registry::Registry;

use super::Metrics;

/// How rows come: those of `samples::Freshness`, or not.
pub(super) const FRESHNESS: [&str; 5] = ["fresh", "fetched", "shared", "stale", "failed"];

/// How many objects a query is about.
pub(super) const SCOPES: [&str; 3] = ["exact", "namespace", "cluster"];

/// Why a query for many objects is given up: those of `widening`.
pub(super) const CAUSES: [&str; 4] = ["too_large", "too_slow", "refused", "wasteful"];

impl Metrics {
    pub(super) fn register_queries(&self, own: &mut Registry) {
        own.register(
            "query_results",
            "Queries of asks by how their rows came: fetched for the ask, by a fetch shared with \
             another, fresh from memory, stale for newer ones cannot be had, or failed",
            self.query_results.clone(),
        );
        own.register(
            "asks_by_scope",
            "Asks for objects by the scope of the query that answered them: these objects, all of \
             their namespace, or all of the cluster",
            self.widened.clone(),
        );
        own.register(
            "widening_given_up",
            "Queries for many objects that were given up for a while, each for many asks, by cause",
            self.narrowed.clone(),
        );
    }

    /// Counts a query of an ask by how its rows came.
    pub fn count_answer(&self, freshness: &'static str) {
        self.query_results.count(freshness);
    }

    /// Counts an ask by the scope of its query.
    pub fn count_scope(&self, scope: &'static str) {
        self.widened.count(scope);
    }

    /// Counts a query for many objects that is given up.
    pub fn count_narrowed(&self, cause: &'static str) {
        self.narrowed.count(cause);
    }
}
