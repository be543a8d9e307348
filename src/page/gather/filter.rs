//! What the reader looks for: words that stand in the name or kind of a metric, or in who asks for
//! what of it. Upper and lower case are the same (ASCII, as names are in Kubernetes).

use crate::journal::Ask;
use crate::page::callers;

/// Words, each of which must be found.
pub(super) struct Filter<'a>(Vec<&'a str>);

impl<'a> Filter<'a> {
    pub(super) fn new(text: &'a str) -> Filter<'a> {
        Filter(text.split_whitespace().collect())
    }

    /// Whether name and kind have all of it.
    pub(super) fn is_in(&self, name: &str, kind: &str) -> bool {
        self.0.iter().all(|word| has(name, word) || has(kind, word))
    }

    /// Whether they have it together with an ask.
    pub(super) fn is_of(&self, name: &str, kind: &str, ask: &Ask<String>) -> bool {
        let (about, asker) = (&ask.about, &ask.asker);
        let texts = [
            name,
            kind,
            &about.namespace,
            &about.name,
            &about.selector,
            &about.metric_selector,
            &asker.user,
            &asker.agent,
        ];
        self.0.iter().all(|word| {
            let stands = texts.into_iter().any(|text| has(text, word));
            stands || has(&callers::name(asker), word)
        })
    }
}

fn has(text: &str, word: &str) -> bool {
    let mut places = text.as_bytes().windows(word.len());
    places.any(|place| place.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{About, Asker};

    #[test]
    fn each_word_is_looked_for_in_the_metric_and_in_who_asks_for_what() {
        let ask = Ask {
            about: About {
                namespace: "team-7".to_owned(),
                selector: "app=Web".to_owned(),
                ..About::default()
            },
            asker: Asker {
                user: "system:kube-controller-manager".to_owned(),
                agent: "x system:serviceaccount:kube-system:horizontal-pod-autoscaler".to_owned(),
            },
        };
        let of = |text: &str| Filter::new(text).is_of("Queue_depth", "pods", &ask);
        for found in [
            "",
            "queue",
            "TEAM-7",
            "app=web",
            "hpa controller",
            "depth team-7 pods",
        ] {
            assert!(of(found), "{found}");
        }
        for missing in ["team-8", "depth team-8", "queue_depthx", "ü"] {
            assert!(!of(missing), "{missing}");
        }
        let plain = |text: &str| Filter::new(text).is_in("Queue_depth", "pods");
        assert!(plain(" POD  queue ") && plain("") && !plain("queue team-7"));
    }
}
