//! The series that a selector finds, whatever labels the rule wants of them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::prometheus::{Backends, Error};
use crate::registry::Known;
use crate::rules::{List, Rule};

/// The label that holds a series' name.
const METRIC_NAME: &str = "__name__";

/// What Prometheus holds for the selector of a rule.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The names of the series.
    pub(super) names: BTreeSet<String>,
    /// Their labels, without that of the name. Of an external rule that needs none, none.
    pub(super) labels: BTreeSet<String>,
    /// Why Prometheus did not say.
    pub(super) failure: Option<String>,
}

impl Held {
    /// Takes it from the listing of a rule, and asks for what is not in there.
    pub(super) async fn ask(
        rule: &Rule,
        known: &Known,
        backends: &Backends,
        since: Timestamp,
    ) -> Held {
        let listed = Held::listed(known);
        let is_needed = match rule.id.list {
            // A listing has only labels that name kinds, and only names with one of them.
            List::Custom => {
                let overrides = &rule.association.overrides;
                let mut wanted = overrides.iter().map(|it| &it.label);
                listed.names.is_empty() || !wanted.all(|it| listed.labels.contains(it))
            }
            List::External => rule.association.namespaced && !listed.names.is_empty(),
        };
        if rule.metric.is_some() || !known.answered || known.failure.is_some() || !is_needed {
            return listed;
        }
        match Held::of_selector(rule, backends, since).await {
            Ok(held) => held,
            Err(error) => Held {
                failure: Some(error.to_string()),
                ..listed
            },
        }
    }

    fn listed(known: &Known) -> Held {
        let listing = known.listing.iter();
        let listing = listing.flat_map(|it| it.iter());
        let mut held = Held::default();
        for (name, labels) in listing {
            held.names.insert(name.clone());
            held.labels.extend(labels.iter().cloned());
        }
        held.labels.remove(METRIC_NAME);
        held
    }

    async fn of_selector(
        rule: &Rule,
        backends: &Backends,
        since: Timestamp,
    ) -> Result<Held, Error> {
        let backend = backends.get(rule.backend);
        let backend = backend.expect("the backends of the rules must all have been made");
        let (selector, budget) = (&rule.series_query.text, backend.timeout());
        let names = backend.label_values(METRIC_NAME, selector, since, budget);
        let labels = backend.labels(selector, since, budget);
        let ((names, _), (labels, _)) = futures_util::future::try_join(names, labels).await?;
        let labels = labels.into_iter().filter(|it| it != METRIC_NAME);
        Ok(Held {
            names: names.into_iter().collect(),
            labels: labels.collect(),
            failure: None,
        })
    }
}
