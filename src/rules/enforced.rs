//! Whether the matchers that a backend enforces can be put into what its rules ask. What never can
//! is refused.

use super::file::RawBackend;
use super::located::Located;
use super::report::{Report, quoted};
use super::{Code, Query};
use crate::promql::Enforcer;

/// What the backend of one rule enforces.
#[derive(Debug)]
pub(super) struct Enforced<'a> {
    backend: &'a str,
    enforcer: Enforcer,
}

impl<'a> Enforced<'a> {
    pub(super) fn by(backend: &'a RawBackend) -> Enforced<'a> {
        let pairs = backend.enforce_matchers.iter();
        let pairs = pairs.map(|(label, value)| {
            let value = value.clone().unwrap_or_default();
            (label.text.clone(), value.text)
        });
        Enforced {
            backend: &backend.name.text,
            enforcer: Enforcer::new(pairs.collect()),
        }
    }

    /// A selector of series.
    pub(super) fn check(&self, selector: &Located, path: &str, report: &mut Report<'_>) {
        if !selector.text.is_empty() {
            self.check_text(&selector.text, selector, path, report);
        }
    }

    /// A template, as it reads for some object.
    pub(super) fn check_query(&self, query: &Query, path: &str, report: &mut Report<'_>) {
        if let Some(sample) = query.template.as_ref().and_then(super::query::sample) {
            self.check_text(&sample, &query.source, path, report);
        }
    }

    fn check_text(&self, text: &str, at: &Located, path: &str, report: &mut Report<'_>) {
        if let Err(cause) = self.enforcer.apply(text) {
            let name = quoted(self.backend);
            let help = format!(
                "the backend {name} puts its `enforceMatchers` into every selector, and what they \
                 cannot be put into is not sent: write it in PromQL, without a matcher that \
                 contradicts them"
            );
            let cause = cause.to_string();
            report.error(Code::EnforcedMatchers, at.span.clone(), path, cause, help);
        }
    }
}
