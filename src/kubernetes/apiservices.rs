//! The authority of our certificate in the `caBundle` of our APIServices (`--manage-apiservice`),
//! so that kube-aggregator verifies us and nobody needs `insecureSkipTLSVerify` or cert-manager.
//!
//! Promises: only APIServices that point to our service are changed, and of them only `caBundle`
//! and `insecureSkipTLSVerify`, which must not stand beside it; none is made or deleted, and none
//! is fought over with an injector that an annotation names. A change names the version that it
//! was made of, so two replicas that write at one time lose nothing: the second reads again. They
//! are looked at again and again, because somebody may apply an older manifest. One log line for
//! each change of state, and one each time that ours was taken out again.
//!
//! What a bundle must hold is not decided here: it comes in as a function.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::client::{Client, Error, JSON};
use crate::pace::Pace;
use crate::telemetry::{ApiServiceLabel, Metrics, with_causes};

/// How often they are looked at again.
const REFRESH: Duration = Duration::from_secs(30);

/// How often one is read again at once because another replica was faster.
const CONFLICTS_MAX: usize = 10;

/// What other injectors of `caBundle` go by: cert-manager's
/// (`pkg/apis/certmanager/v1/types.go`) and OpenShift's service CA.
const INJECTORS: [&str; 4] = [
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
    "service.beta.openshift.io/inject-cabundle",
];

/// Whether the aggregator trusts our certificate, as far as we see to that.
#[derive(Clone, Debug, Default)]
pub struct Trusted(Option<watch::Receiver<Vec<String>>>);

impl Trusted {
    /// Once authorities are published here, which [`ApiServices::follow`] does.
    pub fn when(known: watch::Receiver<Vec<String>>) -> Trusted {
        Trusted(Some(known))
    }

    /// Whether it is so, or whoever decides about it has said that it is not for us to see to.
    pub fn is_known(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|known| !known.borrow().is_empty())
    }
}

/// The APIServices that may be ours.
#[derive(Debug)]
pub struct ApiServices {
    client: Client,
    namespace: String,
    service: String,
    names: Vec<String>,
    metrics: Arc<Metrics>,
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
    /// Something else writes its bundle: the annotation that says so.
    Injected(&'static str),
    /// It is not for us to read or change it.
    Refused(String),
    /// Nobody knows, or it could not be changed.
    Failed(String),
}

impl ApiServices {
    /// Those called `names` (`v1beta1.custom.metrics.k8s.io`), if they point to this service.
    pub fn new(
        client: Client,
        namespace: &str,
        service: &str,
        names: Vec<String>,
        metrics: Arc<Metrics>,
    ) -> ApiServices {
        ApiServices {
            client,
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            names,
            metrics,
        }
    }

    /// Keeps `authorities` (PEM) in them, for ever. `merge` makes the bundle that is wanted of the
    /// one that is there. What is in all that are ours is published as `known`; those that we may
    /// not read or change do not count, unless we could before. When `back` completes the API
    /// server has come back: what failed is tried again at once.
    pub async fn follow(
        self,
        mut authorities: watch::Receiver<Vec<String>>,
        merge: impl Fn(&str, &[String]) -> String,
        known: watch::Sender<Vec<String>>,
        back: impl Future<Output = ()>,
    ) {
        let mut back = std::pin::pin!(back.fuse());
        let mut pace = Pace::new(REFRESH);
        let mut kept = Kept::default();
        loop {
            let wanted = authorities.borrow_and_update().clone();
            let asked = self
                .names
                .iter()
                .map(|name| self.keep(name, &wanted, &merge, kept.holds(name, &wanted)));
            let states = join_all(asked).await;
            let states: BTreeMap<&str, State> =
                self.names.iter().map(String::as_str).zip(states).collect();
            self.note(&states, &kept.states);
            let is_known = kept.take(&states, &wanted);
            if is_known {
                known.send_replace(wanted);
            }
            let refused = states.values().any(|it| matches!(it, State::Refused(_)));
            tokio::select! {
                () = sleep(pace.pause(!is_known || refused)) => {}
                () = &mut back, if !is_known => {}
                Ok(()) = authorities.changed() => {}
            }
        }
    }

    async fn keep(
        &self,
        name: &str,
        wanted: &[String],
        merge: impl Fn(&str, &[String]) -> String,
        was_kept: bool,
    ) -> State {
        for _ in 0..CONFLICTS_MAX {
            match self.try_keep(name, wanted, &merge, was_kept).await {
                Ok(state) => return state,
                Err(Error::Refused { status: 409, .. }) => {}
                Err(error) if error.is_not_found() => return State::Absent,
                Err(error) if is_final(&error) => return State::Refused(with_causes(&error)),
                Err(error) => return State::Failed(with_causes(&error)),
            }
        }
        State::Failed("somebody else changes it all the time".to_owned())
    }

    async fn try_keep(
        &self,
        name: &str,
        wanted: &[String],
        merge: impl Fn(&str, &[String]) -> String,
        was_kept: bool,
    ) -> Result<State, Error> {
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
        if let Some(annotation) = injector(&found.metadata) {
            return Ok(State::Injected(annotation));
        }
        let bundle = spec.ca_bundle.map(|bytes| bytes.0).unwrap_or_default();
        let bundle = String::from_utf8_lossy(&bundle);
        let merged = merge(&bundle, wanted);
        let insecure = spec.insecure_skip_tls_verify == Some(true);
        if merged != bundle || insecure {
            let patch = json!({
                "metadata": {"resourceVersion": found.metadata.resource_version},
                "spec": {
                    "caBundle": ByteString(merged.into_bytes()),
                    "insecureSkipTLSVerify": Value::Null,
                },
            });
            let _changed: APIService = self.client.patch(&path, &patch).await?;
            if was_kept && (insecure || !holds(&bundle, wanted)) {
                self.note_taken_out(name);
            }
        }
        Ok(State::Kept)
    }

    fn note(&self, states: &BTreeMap<&str, State>, before: &BTreeMap<String, State>) {
        for (apiservice, now) in states {
            if before.get(*apiservice) != Some(now) {
                self.note_one(apiservice, now);
            }
        }
        let changed = states
            .iter()
            .any(|(name, now)| before.get(*name) != Some(now));
        let foreign = |it: &State| matches!(it, State::Foreign(_));
        let not_ours = |it: &State| foreign(it) || *it == State::Absent;
        if changed && states.values().all(not_ours) && states.values().any(foreign) {
            let ours = format!("{}/{}", self.namespace, self.service);
            tracing::warn!(
                ours,
                "no APIService points to our service, so --manage-apiservice does nothing; if the \
                 service has another name say so with --service-name and --service-namespace"
            );
        }
    }

    fn note_one(&self, apiservice: &str, now: &State) {
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
            State::Injected(annotation) => tracing::warn!(
                apiservice,
                annotation,
                "something else writes its caBundle: left alone; it must vouch for our \
                 certificate, or the annotation must go"
            ),
            State::Refused(error) | State::Failed(error) => tracing::warn!(
                apiservice,
                error,
                "cannot keep our authority in its caBundle, trying on; this needs the right to get \
                 and patch apiservices"
            ),
        }
    }

    fn note_taken_out(&self, apiservice: &str) {
        tracing::warn!(
            apiservice,
            "somebody took our authority out of its caBundle: it is in again; until then this \
             replica was not trusted"
        );
        let label = ApiServiceLabel {
            apiservice: apiservice.to_owned(),
        };
        self.metrics.authority_restored.get_or_create(&label).inc();
    }
}

/// How they were the last time.
#[derive(Default)]
struct Kept {
    states: BTreeMap<String, State>,
    /// What each holds, by the last word that it does.
    holding: BTreeMap<String, Vec<String>>,
}

impl Kept {
    fn holds(&self, name: &str, wanted: &[String]) -> bool {
        self.holding.get(name).is_some_and(|held| held == wanted)
    }

    /// Whether `wanted` is in all where that is for us to see to.
    fn take(&mut self, states: &BTreeMap<&str, State>, wanted: &[String]) -> bool {
        let mut all = true;
        for (name, state) in states {
            match state {
                State::Kept => {
                    self.holding.insert((*name).to_owned(), wanted.to_vec());
                }
                State::Absent | State::Foreign(_) | State::Injected(_) => {
                    self.holding.remove(*name);
                }
                // What could be kept once is ours; else somebody gave us no right to it.
                State::Refused(_) => all &= !self.holding.contains_key(*name),
                State::Failed(_) => all = false,
            }
            self.states.insert((*name).to_owned(), state.clone());
        }
        all
    }
}

/// Whether asking again is of no use before somebody changes a right or the object: not so for
/// credentials that may be renewed (401), for what took too long (408) or comes too often (429).
fn is_final(error: &Error) -> bool {
    let status = error.status().unwrap_or_default();
    (400..500).contains(&status) && ![401, 408, 409, 429].contains(&status)
}

fn injector(metadata: &ObjectMeta) -> Option<&'static str> {
    let annotations = metadata.annotations.as_ref()?;
    let says = |name: &&str| {
        let value = annotations.get(*name);
        value.is_some_and(|value| !value.is_empty() && value != "false")
    };
    INJECTORS.into_iter().find(|name| says(name))
}

/// Whether each of these certificates stands in the bundle, however its lines end.
fn holds(bundle: &str, wanted: &[String]) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let bundle = squeezed(bundle);
    wanted.iter().all(|pem| bundle.contains(&squeezed(pem)))
}
