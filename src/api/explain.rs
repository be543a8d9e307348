//! Why an ask is answered as it is: the way of an answer, step by step, and what to do about it.
//!
//! The steps are those of `custom`, `external` and `resource` themselves, called in their order, so
//! an explanation cannot disagree with an answer. Only the question to Prometheus is asked aside:
//! explaining notes no ask, fills no cache and widens nothing. Where the answer holds nothing, some
//! more questions are asked to find out why; they are few, and each has the time of a query. Few
//! explanations are made at one time, whoever asks for them.

use serde::{Deserialize, Serialize};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::cause::Cause;
use super::route::{Parsed, Route};
use super::status::Failure;
use super::{Api, Deadline};
use crate::registry::Snapshot;
use crate::telemetry::Limit;

/// What to do next.
mod advice;
/// The steps as they are told.
mod chain;
mod custom;
mod external;
/// Why a query gives nothing.
mod nothing;
/// Which objects are chosen.
mod objects;
/// Questions that only an explanation asks.
mod probe;
mod resource;
/// What was asked, and what came back.
mod rows;
/// What each rule has to do with it.
mod rules;
/// What a query reads.
mod series;
/// Why there is no such metric.
mod unmade;
/// What CPU and memory lack.
mod usage;

use chain::Chain;
pub use usage::Usage;

/// Explanations at one time: each asks Prometheus several questions.
pub(super) const AT_ONCE: usize = 4;

/// As many are being made as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} explanations are being made, as many as may be at one time: ask again in a second",
    AT_ONCE
)]
pub struct Busy;

/// Why an ask is answered as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The API path that was asked, with its query.
    pub path: String,
    /// Whether at least one value would be served.
    pub served: bool,
    /// The HTTP status that the API answers now.
    pub code: u16,
    /// The message of its `metav1.Status`; where values are served, how many.
    pub message: String,
    /// Why no value is served; `None` where one is.
    pub cause: Option<Cause>,
    /// Of whose containers there are CPU and memory; `None` where not of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What happens on the way, in its order.
    pub steps: Vec<Step>,
    /// What to do next, the likeliest first.
    pub advice: Vec<String>,
}

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What it is about, in a word or two.
    pub title: String,
    /// How it goes.
    pub state: State,
    /// What happens there.
    pub text: String,
    /// More of it, a line each.
    #[serde(default)]
    pub lines: Vec<String>,
    /// The query that it is about.
    #[serde(default)]
    pub promql: Option<String>,
}

/// How a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should.
    Well,
    /// Worth to be known.
    Note,
    /// Here it fails.
    Wrong,
    /// It has nothing to do with it, or is not come to.
    Skipped,
}

/// One walk along the way of an answer.
struct Walk<'a> {
    api: &'a Api,
    snapshot: &'a Snapshot,
    deadline: Deadline,
}

/// What is kept of a request's time to tell what was found until then.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(250);

/// What is asked by a path and query, as `GET` would.
pub(super) fn parsed(asked: &str) -> Parsed {
    let (path, query) = match asked.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (asked, None),
    };
    Parsed::new("GET", path, query)
}

impl Api {
    /// Why the answer to a path and query, such as
    /// `/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/http_requests`, is what it is.
    /// It takes as long as a request may, and asks Prometheus a few questions.
    ///
    /// # Errors
    /// [`Busy`], which is counted.
    pub async fn explain(&self, path_and_query: &str) -> Result<Explanation, Busy> {
        let place = self.place_to_explain();
        let _place =
            place.inspect_err(|Busy| self.rooms.metrics.reached.count(Limit::Explanations))?;
        let deadline = Deadline(Instant::now() + self.limits.timeout);
        let snapshot = self.snapshot();
        Ok(self.explained(&snapshot, path_and_query, deadline).await)
    }

    /// A place among the explanations that are made at one time.
    pub(super) fn place_to_explain(&self) -> Result<SemaphorePermit<'_>, Busy> {
        self.explaining.try_acquire().map_err(|_| Busy)
    }

    /// The same as of one snapshot, for one who has a place.
    pub(super) async fn explained(
        &self,
        snapshot: &Snapshot,
        asked: &str,
        deadline: Deadline,
    ) -> Explanation {
        let until = deadline.0.checked_sub(LAST_WORDS).unwrap_or(deadline.0);
        let walk = Walk {
            api: self,
            snapshot,
            deadline: Deadline(until),
        };
        let mut chain = Chain::default();
        walk.tell_refused_rules(&mut chain);
        let outcome = timeout_at(until, walk.walk(asked, &mut chain)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            chain.wrong("Time", "the time of the request ran out at this step");
            Err(Failure::timed_out())
        });
        chain.concluded(asked, outcome)
    }
}

/// JSON as YAML, as `kubectl -o yaml` prints it.
pub fn yaml(value: &serde_json::Value) -> String {
    super::wire::yaml::write(value)
}

impl Walk<'_> {
    /// Tells where the files say other rules than those that are in force.
    fn tell_refused_rules(&self, chain: &mut Chain) {
        let state = self.api.rooms.config.load();
        let Some(error) = &state.last_error else {
            return;
        };
        let since = state.loaded_at.strftime("%F %T UTC");
        let text = format!(
            "those in force are older than the files, of {since}: what stands in the files now is \
             refused"
        );
        chain.note("Rules files", &text).lines([error.clone()]);
        chain.advise(format!(
            "mend the rules files, for all of this is about older rules: {error}"
        ));
    }

    /// Goes the way of an answer; how many values it has.
    async fn walk(&self, asked: &str, chain: &mut Chain) -> Result<usize, Failure> {
        let parsed = parsed(asked);
        let route = parsed.route;
        if let Err(refusal) = parsed.timeout {
            return Err(chain.failed("Request", refusal.into()));
        }
        if !self.api.is_installed(self.snapshot, &route) {
            let group = route.group().map_or("", |group| group.name());
            let text = format!("{group} is not served here");
            chain.wrong("API group", &text);
            chain.advise(advice::group_off(group));
            return Err(Failure::no_such_route().caused(Cause::GroupOff));
        }
        match &route {
            Route::Custom(ask) => custom::walk(self, ask, chain).await,
            Route::External(ask) => external::walk(self, ask, chain).await,
            Route::Resource(ask) => resource::walk(self, ask, chain).await,
            Route::Refused { refusal, .. } => Err(chain.failed("Request", refusal.clone().into())),
            _ => {
                chain.wrong("Request", "only the paths of metrics can be explained");
                chain.advise(advice::paths());
                Err(Failure::no_such_route())
            }
        }
    }
}
