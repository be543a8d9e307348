//! The authority of our certificate in the `caBundle` of our APIServices (`--manage-apiservice`),
//! so that kube-aggregator verifies us and nobody needs `insecureSkipTLSVerify` or cert-manager.
//!
//! Promises: only APIServices that point to our service are changed, and of them only `caBundle`
//! and `insecureSkipTLSVerify`, which must not stand beside it; none is made or deleted. A change
//! names the version that it was made of, so two replicas that write at one time lose nothing: the
//! second reads again. They are looked at again and again, because somebody may apply an older
//! manifest. One log line for each change of state.
//!
//! What a bundle must hold is not decided here: it comes in as a function.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::client::{Client, Error, JSON};
use crate::pace::Pace;
use crate::telemetry::with_causes;

/// How often they are looked at again.
const REFRESH: Duration = Duration::from_secs(30);

/// How often one is read again at once because another replica was faster.
const CONFLICTS_MAX: usize = 10;

/// The APIServices that may be ours.
#[derive(Debug)]
pub struct ApiServices {
    client: Client,
    namespace: String,
    service: String,
    names: Vec<String>,
}

/// How one of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// It has the bundle that it should have.
    Kept,
    /// There is none of that name.
    Absent,
    /// It is somebody else's: what it points to.
    Foreign(String),
    /// Nobody knows, or it could not be changed.
    Failed(String),
}

impl ApiServices {
    /// Those called `names` (`v1beta1.custom.metrics.k8s.io`), if they point to this service.
    pub fn new(client: Client, namespace: &str, service: &str, names: Vec<String>) -> ApiServices {
        ApiServices {
            client,
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            names,
        }
    }

    /// Keeps `authorities` (PEM) in them, for ever. `merge` makes the bundle that is wanted of the
    /// one that is there. What is in all that are ours is published as `known`.
    pub async fn follow(
        self,
        mut authorities: watch::Receiver<Vec<String>>,
        merge: impl Fn(&str, &[String]) -> String,
        known: watch::Sender<Vec<String>>,
    ) {
        let mut pace = Pace::new(REFRESH);
        let mut states = BTreeMap::new();
        loop {
            let wanted = authorities.borrow_and_update().clone();
            let mut failed = false;
            for name in &self.names {
                let state = self.keep(name, |bundle| merge(bundle, &wanted)).await;
                failed |= matches!(state, State::Failed(_));
                self.note(name, &state, states.insert(name.clone(), state.clone()));
            }
            if !failed {
                known.send_replace(wanted);
            }
            tokio::select! {
                () = sleep(pace.pause(failed)) => {}
                Ok(()) = authorities.changed() => {}
            }
        }
    }

    async fn keep(&self, name: &str, merge: impl Fn(&str) -> String) -> State {
        for _ in 0..CONFLICTS_MAX {
            match self.try_keep(name, &merge).await {
                Ok(state) => return state,
                Err(Error::Refused { status: 409, .. }) => {}
                Err(error) if error.is_not_found() => return State::Absent,
                Err(error) => return State::Failed(with_causes(&error)),
            }
        }
        State::Failed("somebody else changes it all the time".to_owned())
    }

    async fn try_keep(&self, name: &str, merge: impl Fn(&str) -> String) -> Result<State, Error> {
        let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}");
        let found: APIService = self.client.get(&path, JSON).await?;
        let spec = found.spec.unwrap_or_default();
        let Some(service) = spec.service else {
            return Ok(State::Foreign("the API server itself".to_owned()));
        };
        let at = [service.namespace, service.name].map(Option::unwrap_or_default);
        if at != [&*self.namespace, &*self.service] {
            return Ok(State::Foreign(at.join("/")));
        }
        let bundle = spec.ca_bundle.map(|bytes| bytes.0).unwrap_or_default();
        let bundle = String::from_utf8_lossy(&bundle);
        let merged = merge(&bundle);
        if merged != bundle || spec.insecure_skip_tls_verify == Some(true) {
            let patch = json!({
                "metadata": {"resourceVersion": found.metadata.resource_version},
                "spec": {
                    "caBundle": ByteString(merged.into_bytes()),
                    "insecureSkipTLSVerify": Value::Null,
                },
            });
            let _changed: APIService = self.client.patch(&path, &patch).await?;
        }
        Ok(State::Kept)
    }

    fn note(&self, apiservice: &str, now: &State, before: Option<State>) {
        if before.as_ref() == Some(now) {
            return;
        }
        match now {
            State::Kept => tracing::info!(apiservice, "its caBundle holds our authority"),
            State::Absent => tracing::info!(apiservice, "there is none: nothing to keep"),
            State::Foreign(to) => {
                let ours = format!("{}/{}", self.namespace, self.service);
                tracing::info!(
                    apiservice,
                    to,
                    ours,
                    "points to another service: left alone"
                );
            }
            State::Failed(error) => tracing::warn!(
                apiservice,
                error,
                "cannot keep our authority in its caBundle, trying on; this needs the right to get \
                 and patch apiservices"
            ),
        }
    }
}
