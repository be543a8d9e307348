//! What is made once per snapshot: the documents that the control plane asks for all day.
//!
//! Five probes per version and API server in half a minute, and one aggregated document a minute:
//! with thousands of metrics each would be written anew. They are made when the first of a snapshot
//! is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderValue};

use super::aggregated;
use super::{Shown, resources};
use crate::api::accept::DiscoveryVersion;
use crate::api::gzip::Kept;
use crate::api::route::{ApiGroup, GroupVersion};
use crate::api::status::Failure;
use crate::api::wire::Form;
use crate::api::{Body, etag};
use crate::registry::Snapshot;
use crate::telemetry::{Limit, Metrics};

/// The documents of one snapshot.
#[derive(Debug)]
pub(in crate::api) struct Made {
    /// Keeps nothing but its address, so that another one cannot be taken for it.
    snapshot: Weak<Snapshot>,
    lists: BTreeMap<GroupVersion, Kept>,
    v2: Aggregated,
    v2beta1: Aggregated,
    /// Metrics that are not listed, for there are too many.
    omitted: usize,
}

/// One aggregated document.
#[derive(Debug)]
struct Aggregated {
    version: DiscoveryVersion,
    bytes: Kept,
    hash: String,
}

/// The documents, for the newest snapshot that was asked about.
#[derive(Debug, Default)]
pub(in crate::api) struct Documents {
    current: Mutex<Option<Arc<Made>>>,
}

impl Documents {
    /// The documents of `snapshot`. Those who wait for the same wait for one making of it.
    pub(in crate::api) fn of(
        &self,
        snapshot: &Arc<Snapshot>,
        shown: &Shown,
        metrics: &Metrics,
    ) -> Result<Arc<Made>, Failure> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let known = current.as_ref();
        if let Some(known) = known.filter(|known| known.is_of(snapshot)) {
            return Ok(Arc::clone(known));
        }
        let made = Made::new(snapshot, shown);
        let made = made.map_err(|e| Failure::internal("unable to encode", &e.to_string()))?;
        note(known.map_or(0, |known| known.omitted), made.omitted, shown);
        let omitted = i64::try_from(made.omitted).unwrap_or(i64::MAX);
        metrics.discovery_omitted.set(omitted);
        if omitted > 0 {
            metrics.reached.count(Limit::DiscoveryMaxMetrics);
        }
        let made = Arc::new(made);
        *current = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// Says once that the limit has begun to bite, and once that it no longer does.
fn note(before: usize, omitted: usize, shown: &Shown) {
    let limit = shown.metrics;
    match (before, omitted) {
        (0, 1..) => tracing::warn!(
            omitted,
            limit,
            "discovery documents do not list all metrics (--discovery-max-metrics); those that are \
             left out can be asked for all the same"
        ),
        (1.., 0) => tracing::info!(limit, "discovery documents list all metrics again"),
        _ => {}
    }
}

impl Made {
    fn is_of(&self, snapshot: &Arc<Snapshot>) -> bool {
        std::ptr::eq(self.snapshot.as_ptr(), Arc::as_ptr(snapshot))
    }

    fn new(snapshot: &Arc<Snapshot>, shown: &Shown) -> Result<Made, serde_json::Error> {
        let mut lists = BTreeMap::new();
        let mut groups = Vec::new();
        for group in shown.groups(snapshot) {
            for version in super::versions(group) {
                let list = shown.resource_list(snapshot, version);
                lists.insert(version, Form::default().json(&list)?.into());
            }
            let listed = resources(snapshot, group, shown.metrics);
            groups.push(aggregated::group(group, &listed));
        }
        let encoded = |version: DiscoveryVersion| {
            let bytes = Form::default().json(&aggregated::list(version, &groups))?;
            Ok(Aggregated {
                version,
                hash: etag::hash(&bytes),
                bytes: bytes.into(),
            })
        };
        let (v2, v2beta1) = (
            encoded(DiscoveryVersion::V2)?,
            encoded(DiscoveryVersion::V2Beta1)?,
        );
        let omitted = |group: ApiGroup, count: usize| match shown.groups.contains(&group) {
            true => count.saturating_sub(shown.metrics),
            false => 0,
        };
        let custom = omitted(ApiGroup::Custom, snapshot.custom_metrics().count());
        let external = omitted(ApiGroup::External, snapshot.external_metrics().count());
        Ok(Made {
            snapshot: Arc::downgrade(snapshot),
            lists,
            v2,
            v2beta1,
            omitted: custom + external,
        })
    }

    /// `/apis/GROUP/VERSION` as compact JSON; `None` where it is not served.
    pub(in crate::api) fn resource_list(&self, version: GroupVersion) -> Option<Body> {
        let list = self.lists.get(&version)?;
        Some(Body::kept("application/json", list))
    }

    /// `/apis` as aggregated discovery: unless the client has it already, as its tag tells.
    pub(in crate::api) fn aggregated(
        &self,
        version: DiscoveryVersion,
        request: &HeaderMap,
    ) -> Body {
        let document = match version {
            DiscoveryVersion::V2 => &self.v2,
            DiscoveryVersion::V2Beta1 => &self.v2beta1,
        };
        let media_type = aggregated::media_type(document.version);
        let mut body = Body::kept(media_type, &document.bytes);
        // Who may read `/apis` at all is told the same as everybody else.
        let public = HeaderValue::from_static("public");
        body.headers.insert(CACHE_CONTROL, public);
        etag::tagged(body, &document.hash, request)
    }
}
