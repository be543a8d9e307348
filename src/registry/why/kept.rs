//! What was found out already. Autoscalers ask for a metric that is not there again and again, and
//! each rule has to be read, and each name compared, to say why it is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Why;
use crate::kinds::GroupResource;
use crate::promql::SeriesSelector;
use crate::rules::{List, Rule, Rules};

/// Asks that are kept; with one more all are forgotten.
const ASKS_MAX: usize = 256;

/// A longer name is not kept, in bytes.
const NAME_MAX: usize = 256;

/// A metric that is asked for, and of which kind.
type Ask = (List, Option<GroupResource>, String);

/// What was found out about metrics that one snapshot lacks.
#[derive(Debug, Default)]
pub(in crate::registry) struct Kept {
    whys: Mutex<BTreeMap<Ask, Arc<Why>>>,
    selectors: OnceLock<Selectors>,
}

/// The selectors of the rules, in their order; `None` for one that is not understood.
#[derive(Debug)]
struct Selectors {
    custom: Vec<Option<SeriesSelector>>,
    external: Vec<Option<SeriesSelector>>,
}

impl Kept {
    /// What was found out about an ask, or what `find` finds now.
    pub(super) fn why(&self, ask: Ask, find: impl FnOnce() -> Why) -> Arc<Why> {
        let lock = || self.whys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = lock().get(&ask) {
            return Arc::clone(why);
        }
        let why = Arc::new(find());
        if ask.2.len() <= NAME_MAX {
            let mut whys = lock();
            if whys.len() >= ASKS_MAX {
                whys.clear();
            }
            whys.insert(ask, Arc::clone(&why));
        }
        why
    }

    /// The selectors of a list of these rules, which are always the same.
    pub(super) fn selectors(&self, rules: &Rules, list: List) -> &[Option<SeriesSelector>] {
        let selectors = self.selectors.get_or_init(|| {
            let of = |rule: &Arc<Rule>| SeriesSelector::parse(&rule.series_query.text);
            Selectors {
                custom: rules.custom.iter().map(of).collect(),
                external: rules.external.iter().map(of).collect(),
            }
        });
        match list {
            List::Custom => &selectors.custom,
            List::External => &selectors.external,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Unmade;

    fn ask(name: &str) -> Ask {
        (List::Custom, None, name.to_owned())
    }

    #[test]
    fn what_was_found_out_is_found_out_once_and_what_is_kept_is_bounded() {
        let (kept, mut times) = (Kept::default(), 0);
        let mut look = |name: &str| {
            kept.why(ask(name), || {
                times += 1;
                Why {
                    reason: Unmade::NoRule,
                    similar: vec![name.to_owned()],
                }
            })
        };
        for name in ["a", "b", "a", "b"] {
            assert_eq!(look(name).similar, [name]);
        }
        let long = "x".repeat(NAME_MAX + 1);
        look(&long);
        look(&long);
        for at in 0..10 * ASKS_MAX {
            look(&format!("n{at}"));
        }
        assert_eq!(times, 4 + 10 * ASKS_MAX);
        assert!(kept.whys.lock().unwrap().len() <= ASKS_MAX);
    }
}
