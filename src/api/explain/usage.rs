//! CPU and memory as they would be told, and what they lack.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::rows::Given;
use crate::api::cause::Cause;
use crate::api::resource::by_name;
use crate::api::route::UsageOf;
use crate::api::status::Failure;
use crate::kubernetes::Object;
use crate::plan::resource::{Missing, Samples, node_usage, pod_usage};
use crate::registry::ResourceMetric;

/// Of whose containers CPU and memory would be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The pods that have both.
    pub pods: usize,
    /// How many of them have a container of this name.
    pub containers: BTreeMap<String, usize>,
}

/// Whose usage it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Pods,
    Nodes,
}

impl Whose {
    pub(super) fn of(of: &UsageOf) -> Whose {
        match of {
            UsageOf::Pods { .. } | UsageOf::Pod { .. } => Whose::Pods,
            UsageOf::Nodes(_) | UsageOf::Node { .. } => Whose::Nodes,
        }
    }
}

/// Tells what would be told of the objects; of how many.
pub(super) fn tell(
    of: &UsageOf,
    objects: &[Arc<Object>],
    (cpu, memory): (&Samples, &Samples),
    chain: &mut Chain,
) -> Result<usize, Failure> {
    let mut usage = Usage::default();
    let mut missing: Vec<(&Arc<Object>, Missing)> = Vec::new();
    for object in objects {
        let found: Result<Vec<String>, Missing> = match Whose::of(of) {
            Whose::Pods => pod_usage(cpu, memory, &object.namespace, &object.name)
                .map(|containers| containers.into_keys().collect()),
            Whose::Nodes => node_usage(cpu, memory, &object.name).map(|_| Vec::new()),
        };
        match found {
            Ok(containers) => usage.add(containers),
            Err(why) => missing.push((object, why)),
        }
    }
    let served = usage.pods;
    let text = format!("{served} of {} have both CPU and memory", objects.len());
    let step = match (served, missing.is_empty()) {
        (0, _) => chain.wrong("Values", &text),
        (_, true) => chain.well("Values", &text),
        (_, false) => chain.note("Values", &text),
    };
    let lines = missing.iter();
    step.lines(lines.map(|(object, why)| format!("{}: {why}", object.name)));
    if !missing.is_empty() && missing.iter().all(|(_, why)| why.is_not_a_number()) {
        chain.because(Cause::NotANumber);
    }
    let lacks = missing.iter().find_map(|(object, why)| match why {
        Missing::Sample {
            of, value: None, ..
        } => Some((object, of)),
        Missing::Sample { .. } | Missing::Everything => None,
    });
    if let Some((object, of)) = lacks {
        let rule = of.to_lowercase();
        chain.advise(format!(
            "what has only one of CPU and memory is left out, for an autoscaler would take what is \
             missing for zero: look why the query of resourceRules.{rule} gives no {of} of {}",
            object.name
        ));
    }
    if Whose::of(of) == Whose::Pods {
        chain.use_of(usage);
    }
    match (of, missing.into_iter().next()) {
        (UsageOf::Node { name }, Some((_, why))) => by_name("nodemetrics", name, Err(why)),
        (UsageOf::Pod { namespace, name }, Some((_, why))) => {
            by_name("podmetrics", &format!("{namespace}/{name}"), Err(why))
        }
        _ => Ok(served),
    }
}

impl Usage {
    fn add(&mut self, containers: Vec<String>) {
        self.pods += 1;
        for container in containers {
            *self.containers.entry(container).or_default() += 1;
        }
    }
}

/// Tells of rows that do not say of which container they are.
pub(super) fn tell_unnamed(metric: &ResourceMetric, given: &Given, chain: &mut Chain) {
    let Ok(rows) = &given.whole else {
        return;
    };
    let (rule, label) = (&metric.rule.origin, &metric.rule.container_label);
    let is_named = |(name, value): &(String, String)| name == label && !value.is_empty();
    let unnamed = rows.whole().iter();
    let unnamed = unnamed.filter(|row| !row.labels.iter().any(is_named));
    let (unnamed, all) = (unnamed.count(), rows.len());
    if unnamed == 0 {
        return;
    }
    let of = match unnamed == all {
        true => "all rows are".to_owned(),
        false => format!("{unnamed} of {all} rows are"),
    };
    let text = format!(
        "{of} without the label {label:?} that names containers: they count as one container \
         without a name, which an autoscaler adds to the others of its pod, and of several the \
         last one counts"
    );
    chain.note("Containers", &text);
    chain.advise(format!(
        "keep the label {label} in the query of {rule}, as in sum(…) by (<<.GroupBy>>), name the \
         label that holds the names of containers in its containerLabel, and leave out what is of \
         no container, as with {label}!=\"\""
    ));
}
