//! What the cluster is asked about callers.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::upstream::seconds;
use super::{Limit, Reached};

/// Reviews of tokens and of access.
#[derive(Clone, Debug)]
pub struct Reviews {
    /// Who somebody is.
    pub tokens: Review,
    /// Whether somebody may do something.
    pub access: Review,
    answers: Family<SourceLabels, Counter>,
    reviews: Family<OutcomeLabels, Counter>,
    took: Family<ReviewLabel, Histogram>,
}

/// Reviews of one sort. Clones count in the same.
#[derive(Clone, Debug)]
pub struct Review {
    name: &'static str,
    memory: Counter,
    waited: Counter,
    none: Counter,
    yes: Counter,
    no: Counter,
    error: Counter,
    took: Histogram,
    reached: Reached,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabel {
    /// `token` or `access`.
    review: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    review: &'static str,
    /// `memory`, `review` or `none`.
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    review: &'static str,
    /// `yes`, `no` or `error`.
    outcome: &'static str,
}

impl Reviews {
    /// All at zero; what finds no place is counted in `reached`.
    pub fn new(reached: &Reached) -> Reviews {
        let answers = Family::default();
        let reviews = Family::default();
        let took: Family<ReviewLabel, Histogram> = Family::new_with_constructor(seconds);
        let of = |review| {
            let source = |source| answers.get_or_create_owned(&SourceLabels { review, source });
            let outcome = |outcome| reviews.get_or_create_owned(&OutcomeLabels { review, outcome });
            Review {
                name: review,
                memory: source("memory"),
                waited: source("review"),
                none: source("none"),
                yes: outcome("yes"),
                no: outcome("no"),
                error: outcome("error"),
                took: took.get_or_create_owned(&ReviewLabel { review }),
                reached: reached.clone(),
            }
        };
        Reviews {
            tokens: of("token"),
            access: of("access"),
            answers,
            reviews,
            took,
        }
    }

    pub(super) fn register(&self, own: &mut Registry) {
        own.register(
            "review_answers",
            "Questions about callers by how they were answered: from memory, by a review that was \
             waited for, or not at all, because too many were under way",
            self.answers.clone(),
        );
        own.register(
            "reviews",
            "Reviews asked of the API server by what they said; tries of one are counted together",
            self.reviews.clone(),
        );
        own.register(
            "review_duration_seconds",
            "How long reviews took, with all tries of one",
            self.took.clone(),
        );
    }
}

impl Review {
    /// `token` or `access`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Remembered.
    pub fn from_memory(&self) {
        self.memory.inc();
    }

    /// A review was waited for, one's own or that of an equal question.
    pub fn waited(&self) {
        self.waited.inc();
    }

    /// There was no place for one.
    pub fn turned_away(&self) {
        self.none.inc();
        self.reached.count(Limit::Reviews);
    }

    /// An answer that still held was forgotten to make room for another.
    pub fn crowded(&self) {
        self.reached.count(Limit::ReviewMemory);
    }

    /// A review came to its end: yes, no, or an error.
    pub fn ended<E>(&self, said: Result<bool, E>, took: Duration) {
        match said {
            Ok(true) => self.yes.inc(),
            Ok(false) => self.no.inc(),
            Err(_) => self.error.inc(),
        };
        self.took.observe(took.as_secs_f64());
    }
}
