//! One relist that is nobody's background task: for commands that look once.

use std::sync::Arc;

use futures_util::future::join_all;

use super::asking::{Asking, Queue, Queues};
use super::{Outcome, Settings, survey};
use crate::kinds::Kinds;
use crate::prometheus::Backends;
use crate::registry::{Known, Listings};
use crate::rules::{Rule, Rules};

/// What Prometheus holds now for each rule, or why that cannot be told. Ends by the deadline of
/// `settings`.
pub async fn once(
    rules: &Rules,
    backends: &Backends,
    kinds: &Kinds,
    settings: Settings,
) -> Listings {
    let askings = backends
        .iter()
        .map(|it| Asking::new(it, &Queues::new(it.concurrency()), settings));
    let askings: Vec<Asking> = askings.collect();
    let known = |rule: &Arc<Rule>| {
        let (rule, asking) = (Arc::clone(rule), askings.get(rule.backend));
        let asking = asking.expect("the backends of the rules must all have been made");
        async move { known(&rule, kinds, asking).await }
    };
    let custom = join_all(rules.custom.iter().map(known));
    let external = join_all(rules.external.iter().map(known));
    let (custom, external) = futures_util::future::join(custom, external).await;
    Listings { custom, external }
}

async fn known(rule: &Rule, kinds: &Kinds, asking: &Asking) -> Known {
    match survey(rule, Queue::Well, kinds, asking).await {
        Ok(Outcome::Off) => Known::default(),
        Ok(Outcome::Quiet) => Known {
            answered: true,
            ..Known::default()
        },
        Ok(Outcome::Listed(listing)) => Known {
            listing: Some(Arc::new(listing)),
            live: true,
            answered: true,
            ..Known::default()
        },
        Err(error) => Known {
            answered: error.is_bad_data(),
            failure: Some(error.to_string()),
            ..Known::default()
        },
    }
}
