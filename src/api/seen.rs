//! What the journal is told of an answer: once for each, and nothing where there is no journal.

use hyper::header::{HeaderMap, USER_AGENT};
use hyper::http::request::Parts;
use jiff::Timestamp;

use super::Api;
use super::body::Body;
use super::route::{CustomAsk, ExternalAsk, ListQuery, Objects, ResourceAsk, Route, UsageOf};
use super::status::Failure;
use crate::auth::User;
use crate::journal::{About, Ask, Asker, Journal, Range, Summary};
use crate::plan::Value;
use crate::plan::resource::Usage;

/// Tells of an answer to `user`, who is nobody where the request failed before that was known.
pub(super) fn note(
    journal: &Journal,
    route: &Route,
    user: Option<&User>,
    request: &Parts,
    answer: &Result<Body, Failure>,
) {
    let now = Timestamp::now();
    let asker = Asker {
        user: user.map_or("", |user| user.name.as_str()),
        agent: agent(&request.headers),
    };
    let error = answer.as_ref().err();
    let error = error.map(|failure| (failure.code(), failure.message()));
    if let Some(error) = error {
        let uri = &request.uri;
        let path = uri.path_and_query().map_or(uri.path(), |it| it.as_str());
        journal.failed(&asker, path, error, now);
    }
    // Whom the cluster has not allowed has asked for nothing.
    let is_refused = error.is_some_and(|(code, _)| matches!(code, 401 | 403));
    if let (Some(about), false) = (about(route), is_refused) {
        let outcome = match answer {
            Ok(body) => Ok(body.summary.as_deref()),
            Err(failure) => Err((failure.code(), failure.message())),
        };
        journal.answered(&Ask { about, asker }, outcome, now);
    }
}

fn agent(headers: &HeaderMap) -> &str {
    let agent = headers.get(USER_AGENT).map(|it| it.to_str());
    agent.and_then(Result::ok).unwrap_or_default()
}

/// What a route asks for, where that is a metric.
fn about(route: &Route) -> Option<About<&str>> {
    let group = route.group()?.name();
    match route {
        Route::Custom(ask) => Some(of_custom(group, ask)),
        Route::External(ask) => Some(of_external(group, ask)),
        Route::Resource(ask) => Some(of_resource(group, ask)),
        _ => None,
    }
}

fn of_custom<'a>(group: &'static str, ask: &'a CustomAsk) -> About<&'a str> {
    let name = match &ask.objects {
        Objects::Named(name) => name.as_str(),
        Objects::Selected => "",
    };
    About {
        group,
        resource: &ask.resource,
        metric: &ask.metric,
        namespace: ask.namespace.as_deref().unwrap_or_default(),
        name,
        selector: &ask.list.label_selector,
        metric_selector: &ask.metric_label_selector,
    }
}

fn of_external<'a>(group: &'static str, ask: &'a ExternalAsk) -> About<&'a str> {
    About {
        group,
        metric: &ask.metric,
        namespace: &ask.namespace,
        selector: &ask.list.label_selector,
        ..About::default()
    }
}

fn of_resource<'a>(group: &'static str, ask: &'a ResourceAsk) -> About<&'a str> {
    let about = |resource, namespace, name, list: Option<&'a ListQuery>| About {
        group,
        resource,
        namespace,
        name,
        selector: list.map_or("", |list| list.label_selector.as_str()),
        ..About::default()
    };
    match &ask.objects {
        UsageOf::Nodes(list) => about("nodes", "", "", Some(list)),
        UsageOf::Node { name } => about("nodes", "", name, None),
        UsageOf::Pods { namespace, list } => about(
            "pods",
            namespace.as_deref().unwrap_or_default(),
            "",
            Some(list),
        ),
        UsageOf::Pod { namespace, name } => about("pods", namespace, name, None),
    }
}

impl Api {
    /// These values in short, where somebody looks.
    pub(super) fn seen<'a>(
        &self,
        values: impl ExactSizeIterator<Item = &'a Value> + Clone,
    ) -> Option<Box<Summary>> {
        self.rooms.journal.as_ref()?;
        Some(Box::new(Summary {
            count: values.len(),
            oldest: values.clone().map(|value| value.timestamp).min(),
            values: Range::of(values.map(|value| value.quantity.approximate())),
            memory: None,
        }))
    }

    /// The same of pods or nodes, each with the usage of its containers or its own.
    pub(super) fn seen_usage<'a, T>(
        &self,
        usages: &'a [T],
        of: impl Fn(&'a T) -> Vec<&'a Usage>,
    ) -> Option<Box<Summary>> {
        self.rooms.journal.as_ref()?;
        let sums = usages.iter().map(|usage| {
            let parts = of(usage);
            let sum = |of: fn(&Usage) -> &Value| {
                parts
                    .iter()
                    .map(|part| of(part).quantity.approximate())
                    .sum::<f64>()
            };
            let times = parts
                .iter()
                .flat_map(|part| [part.cpu.timestamp, part.memory.timestamp]);
            (sum(|part| &part.cpu), sum(|part| &part.memory), times.min())
        });
        let sums: Vec<_> = sums.collect();
        Some(Box::new(Summary {
            count: sums.len(),
            values: Range::of(sums.iter().map(|(cpu, _, _)| *cpu)),
            memory: Range::of(sums.iter().map(|(_, memory, _)| *memory)),
            oldest: sums.iter().filter_map(|(_, _, time)| *time).min(),
        }))
    }
}
