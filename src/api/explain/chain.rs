//! The steps as they are told.

use super::{Explanation, State, Step, Usage};
use crate::api::cause::Cause;
use crate::api::status::Failure;

/// Lines of one step; more of them are counted.
const LINES_MAX: usize = 12;

/// An explanation in the making.
#[derive(Debug, Default)]
pub(super) struct Chain {
    steps: Vec<Step>,
    advice: Vec<String>,
    /// What was found out beyond what the answer says.
    cause: Option<Cause>,
    usage: Option<Usage>,
}

impl Chain {
    pub(super) fn well(&mut self, title: &str, text: &str) -> &mut Step {
        self.step(title, State::Well, text)
    }

    pub(super) fn note(&mut self, title: &str, text: &str) -> &mut Step {
        self.step(title, State::Note, text)
    }

    pub(super) fn wrong(&mut self, title: &str, text: &str) -> &mut Step {
        self.step(title, State::Wrong, text)
    }

    pub(super) fn skipped(&mut self, title: &str, text: &str) -> &mut Step {
        self.step(title, State::Skipped, text)
    }

    /// A step that ends the way.
    pub(super) fn failed(&mut self, title: &str, failure: Failure) -> Failure {
        self.wrong(title, failure.message());
        failure
    }

    pub(super) fn step(&mut self, title: &str, state: State, text: &str) -> &mut Step {
        self.steps.push(Step {
            title: title.to_owned(),
            state,
            text: text.to_owned(),
            lines: Vec::new(),
            promql: None,
        });
        self.steps.last_mut().expect("a step must have been pushed")
    }

    /// Adds what to do, once.
    pub(super) fn advise(&mut self, text: String) {
        if !self.advice.contains(&text) {
            self.advice.push(text);
        }
    }

    /// Names the cause more closely than the answer does.
    pub(super) fn because(&mut self, cause: Cause) {
        self.cause = Some(cause);
    }

    /// Tells of whose containers there are CPU and memory.
    pub(super) fn use_of(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// The explanation of an answer with so many values, or of a failure.
    pub(super) fn concluded(self, asked: &str, outcome: Result<usize, Failure>) -> Explanation {
        let (code, message, cause) = match &outcome {
            Ok(0) => (
                200,
                "an empty list".to_owned(),
                self.cause.or(Some(Cause::NoRows)),
            ),
            Ok(1) => (200, "1 value".to_owned(), None),
            Ok(values) => (200, format!("{values} values"), None),
            Err(failure) => {
                let cause = self.cause.unwrap_or(failure.cause());
                (failure.code(), failure.message().to_owned(), Some(cause))
            }
        };
        Explanation {
            path: asked.to_owned(),
            served: outcome.is_ok_and(|values| values > 0),
            code,
            message,
            cause,
            usage: self.usage,
            steps: self.steps,
            advice: self.advice,
        }
    }
}

impl Explanation {
    /// Of a path that a server does not let us ask about.
    pub fn refused(path: &str, code: u16, message: &str) -> Explanation {
        let mut chain = Chain::default();
        let (cause, reason) = match code {
            401 => (Cause::Unauthorized, "Unauthorized"),
            _ => (Cause::Forbidden, "Forbidden"),
        };
        chain.wrong("Access", message);
        chain.advise(match cause {
            Cause::Unauthorized => "give a token that the cluster knows with --token-file, as \
                                    kubectl create token SERVICEACCOUNT prints one"
                .to_owned(),
            _ => "give the user a ClusterRole that may get the nonResourceURL /explain, and the \
                  resource that is asked for in its API group"
                .to_owned(),
        });
        let failure = Failure::new(code, Some(reason), message).caused(cause);
        chain.concluded(path, Err(failure))
    }

    /// Of a metric for which nothing can be asked.
    pub fn of_no_path(why: &str) -> Explanation {
        let mut chain = Chain::default();
        chain.wrong("Request", why);
        chain.concluded("", Err(Failure::bad_request(why)))
    }
}

impl Step {
    /// Adds lines, up to a limit.
    pub(super) fn lines(&mut self, lines: impl IntoIterator<Item = String>) -> &mut Step {
        let mut lines = lines.into_iter();
        let room = LINES_MAX.saturating_sub(self.lines.len());
        self.lines.extend(lines.by_ref().take(room));
        match lines.count() {
            0 => {}
            more => self.lines.push(format!("and {more} more")),
        }
        self
    }

    /// Names the query that it is about.
    pub(super) fn asks(&mut self, promql: &str) -> &mut Step {
        self.promql = Some(promql.to_owned());
        self
    }
}
