//! The watch of the ConfigMap that says whom the cluster trusts.

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;

use super::objects::line;
use super::watch::Body;
use super::{Call, State};

/// An event for each change after the version that the call names.
pub(super) fn watch(call: &Call, state: &State) -> Body {
    let from = call.parameter("resourceVersion").unwrap_or_default();
    let from: u64 = from.parse().unwrap_or_default();
    let published = state.world().published.subscribe();
    let events = stream::unfold((published, from), |(mut published, from)| async move {
        let version = *published.wait_for(|version| *version > from).await.ok()?;
        let metadata = json!({"name": "extension-apiserver-authentication",
            "namespace": "kube-system", "resourceVersion": version.to_string()});
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata});
        let event = Frame::data(line("MODIFIED", &object).into());
        Some((Ok(event), (published, version)))
    });
    BodyExt::boxed(StreamBody::new(events))
}
