//! What is asked of the cluster: its objects, and our certificate's authority in it.

use prometheus_client::registry::Registry;

use super::{Metrics, ObjectsLabel};

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
            "objects_watched",
            "Whether a watch says what changes, so that asks are answered from memory; otherwise \
             each is a list",
            self.objects_watched.clone(),
        );
        own.register(
            "objects_last_heard_timestamp_seconds",
            "When the watch began, or last said something: an event or a bookmark",
            self.objects_heard.clone(),
        );
        own.register(
            "apiservice_authority_restored",
            "Times that our authority was put back into the caBundle of an APIService, because \
             somebody had taken it out",
            self.authority_restored.clone(),
        );
    }
    /// Shows a watch no longer: nobody asks for its objects.
    pub fn forget_objects(&self, objects: &str) {
        let label = ObjectsLabel {
            objects: objects.to_owned(),
        };
        self.objects_held.remove(&label);
        self.objects_watched.remove(&label);
        self.objects_heard.remove(&label);
    }
}
