//! What is asked of the cluster: its objects, and our certificate's authority in it.

use prometheus_client::registry::Registry;

use super::Metrics;

impl Metrics {
    pub(super) fn register_objects(&self, own: &mut Registry) {
        own.register(
            "object_lists",
            "Lists of objects asked of the API server: for an ask that no watch could answer, or \
             to begin a watch",
            self.object_lists.clone(),
        );
        own.register(
            "object_watches",
            "Watches of objects begun, each for minutes",
            self.object_watches.clone(),
        );
        own.register(
            "objects_held",
            "Objects whose names and labels are known by a watch",
            self.objects_held.clone(),
        );
        own.register(
            "apiservice_authority_restored",
            "Times that our authority was put back into the caBundle of an APIService, because \
             somebody had taken it out",
            self.authority_restored.clone(),
        );
    }
}
