//! The queries of asks: how their rows came, and for how many objects they were asked.

use prometheus_client::registry::Registry;

use super::{CauseLabel, FreshnessLabel, Metrics, ScopeLabel};

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
        let label = FreshnessLabel { freshness };
        self.query_results.get_or_create(&label).inc();
    }

    /// Counts an ask by the scope of its query.
    pub fn count_scope(&self, scope: &'static str) {
        self.widened.get_or_create(&ScopeLabel { scope }).inc();
    }

    /// Counts a query for many objects that is given up.
    pub fn count_narrowed(&self, cause: &'static str) {
        self.narrowed.get_or_create(&CauseLabel { cause }).inc();
    }
}
