//! Failures of metrics: not known, not to be asked for, not answered. Where the Go adapter has a
//! text it stands first, and the cause behind it.

use super::{Failure, caused_by};
use crate::api::cause::Cause;
use crate::plan::number_word;
use crate::registry::{Unlisted, Unmade, Why, nearest};
use crate::rules::Origin;
use crate::{plan, prometheus};

/// Kinds that are told where a word means none.
const COMMON_KINDS: [&str; 12] = [
    "pods",
    "services",
    "nodes",
    "namespaces",
    "persistentvolumes",
    "persistentvolumeclaims",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "jobs.batch",
    "cronjobs.batch",
    "ingresses.networking.k8s.io",
];

/// Kinds by what `kubectl` also calls them, which the API does not know.
const SHORT_KINDS: [(&str, &str); 9] = [
    ("po", "pods"),
    ("svc", "services"),
    ("no", "nodes"),
    ("ns", "namespaces"),
    ("deploy", "deployments.apps"),
    ("sts", "statefulsets.apps"),
    ("ds", "daemonsets.apps"),
    ("ing", "ingresses.networking.k8s.io"),
    ("cj", "cronjobs.batch"),
];

impl Failure {
    /// 404: no such metric for this kind of object; `resource` as the client wrote it.
    pub(in crate::api) fn no_such_metric(metric: &str, resource: &str) -> Failure {
        let text = format!("the server could not find the metric {metric} for {resource}");
        Failure::new(404, Some("NotFound"), text).caused(Cause::NoRule)
    }

    /// 404: no such external metric.
    pub(in crate::api) fn no_such_external_metric(metric: &str) -> Failure {
        let text = format!("the server could not find the metric {metric}");
        Failure::new(404, Some("NotFound"), text).caused(Cause::NoRule)
    }

    /// Says why no rule makes it.
    pub(in crate::api) fn because(self, why: &Why) -> Failure {
        let cause = match &why.reason {
            Unmade::Scope(_) => Cause::WrongScope,
            Unmade::OtherKinds { .. } => Cause::OtherKind,
            Unmade::OtherList(..) => Cause::OtherApi,
            Unmade::Renamed { .. } | Unmade::Unmatched { .. } => Cause::OtherName,
            Unmade::FilteredOut { .. } => Cause::FilteredOut,
            Unmade::NoLabel { .. } => Cause::NoObjectLabel,
            Unmade::NoSeries { .. } => Cause::NoSeries,
            Unmade::Off(_) => Cause::RuleOff,
            Unmade::NoRule => Cause::NoRule,
        };
        self.and(&why.to_string()).caused(cause)
    }

    /// A kind of object that the cluster does not have, as the client wrote it: 404 for one of
    /// them, and 500 for those of a selector, as in Go.
    pub(in crate::api) fn no_such_kind(
        metric: &str,
        resource: &str,
        is_named: bool,
        no_match: &str,
    ) -> Failure {
        let cause = no_kind(resource, no_match);
        let failure = match is_named {
            true => Failure::no_such_metric(metric, resource).and(&cause),
            false => {
                let message = format!("unable to list matching resources: {cause}");
                Failure::internal(&message, no_match)
            }
        };
        failure.caused(Cause::UnknownKind)
    }

    /// Says that the query found nothing of it.
    pub(in crate::api) fn of_no_series(self, rule: &Origin) -> Failure {
        self.and(&format!("the query of {rule} gives no series for it"))
    }

    /// Says what the rule is at fault for.
    pub(in crate::api) fn of_plan(self, error: &plan::Error) -> Failure {
        self.and(&error.to_string()).caused(of_plan(error))
    }

    fn and(mut self, more: &str) -> Failure {
        self.message += ": ";
        self.message += more;
        self
    }

    /// A metric that no rule makes now: 404, or 503 where one that was never listed may make it.
    pub(in crate::api) fn unmade(
        metric: &str,
        unlisted: Option<&Unlisted>,
        not_found: impl FnOnce() -> Failure,
    ) -> Failure {
        match unlisted {
            Some(broken) if broken.answered => not_found().or_broken(broken),
            Some(unlisted) => Failure::not_listed_yet(metric, unlisted),
            None => not_found(),
        }
    }

    /// Adds that a rule which may be the one cannot be listed, for good.
    fn or_broken(mut self, unlisted: &Unlisted) -> Failure {
        let Unlisted {
            rule, line, cause, ..
        } = unlisted;
        if let Some(cause) = cause {
            self.message += &format!(" ({rule} (line {line}) cannot be listed: {cause})");
        }
        match self.cause {
            Cause::NoRule | Cause::NoSeries => self.caused(Cause::NotListed),
            _ => self,
        }
    }

    /// 503: no rule makes this metric so far, and one that might has never been listed.
    fn not_listed_yet(metric: &str, unlisted: &Unlisted) -> Failure {
        let Unlisted {
            rule, line, cause, ..
        } = unlisted;
        let cause = match cause {
            Some(cause) => format!("{rule} (line {line}) could not be listed so far: {cause}"),
            None => "metrics are being listed for the first time".to_owned(),
        };
        let text = format!("the metric {metric} is not known yet: {cause}");
        Failure::new(503, Some("ServiceUnavailable"), text).caused(Cause::NotListed)
    }

    /// 404: the metric exists, but has no value for this object.
    pub(in crate::api) fn no_value(metric: &str, resource: &str, name: &str) -> Failure {
        let text = format!("the server could not find the metric {metric} for {resource} {name}");
        Failure::new(404, Some("NotFound"), text).caused(Cause::NoRows)
    }

    /// 404: the metric's sample for this object is NaN or infinite.
    pub(in crate::api) fn not_a_number(
        metric: &str,
        resource: &str,
        name: &str,
        sample: f64,
    ) -> Failure {
        let sample = number_word(sample);
        Failure::no_value(metric, resource, name)
            .and(&format!("the sample is not a number ({sample})"))
            .caused(Cause::NotANumber)
    }

    /// 500: a rule's query gives a scalar where rows of objects are wanted.
    pub(in crate::api) fn scalar() -> Failure {
        let cause = "the query gives a scalar, which belongs to no object";
        let message = format!("unable to fetch metrics: {cause}");
        Failure::internal(&message, cause).caused(Cause::Scalar)
    }

    /// 503, or 504 where time ran out: Prometheus gave no answer that can be used. 400 where it was
    /// not asked, because its backend may not give what the request wants: rules that want that are
    /// refused when they are read. It names the rule where its query is at fault, and `--max-rows`
    /// where the query may give so many.
    pub(in crate::api) fn upstream(
        error: &prometheus::Error,
        rule: &Origin,
        max_rows: Option<usize>,
    ) -> Failure {
        if error.is_contradiction() {
            return Failure::bad_request(error.to_string());
        }
        let whose = match (error.class(), max_rows) {
            ("declined", Some(max)) => format!(" (the query of {rule}; --max-rows is {max})"),
            ("declined" | "refused", _) => format!(" (the query of {rule})"),
            _ => String::new(),
        };
        let message = format!("unable to fetch metrics: {error}{whose}");
        let details = caused_by(&error.to_string(), Some(error.class()));
        let cause = match error.class() {
            _ if error.is_timeout() => Cause::PrometheusTimeout,
            "busy" => Cause::PrometheusTimeout,
            "unreachable" | "tls" | "truncated" => Cause::PrometheusUnreachable,
            "refused" | "auth" | "bad_status" => Cause::PrometheusRefused,
            _ => Cause::PrometheusFailed,
        };
        let (code, reason) = match error.is_timeout() {
            true => (504, "Timeout"),
            // Without Retry-After: client-go would ask ten times more, and an HPA's worker wait for
            // it.
            false => (503, "ServiceUnavailable"),
        };
        let failure = Failure::new(code, Some(reason), message).caused(cause);
        failure.with_details(details)
    }

    /// A custom metric's ask that cannot become a query: 400 where the client can mend it, else the
    /// 404 that the Go adapter answers, with the cause in the details.
    pub(in crate::api) fn custom_plan(
        error: &plan::Error,
        metric: &str,
        resource: &str,
    ) -> Failure {
        if error.is_clients() {
            return Failure::bad_request(error.to_string()).caused(of_plan(error));
        }
        let failure = Failure::no_such_metric(metric, resource).and(&error.to_string());
        let failure = failure.caused(of_plan(error));
        failure.with_details(caused_by(&error.to_string(), None))
    }

    /// The same for external and resource metrics: 500, as Go answers for external ones. (For
    /// resource metrics it answers an empty list.)
    pub(in crate::api) fn plan(error: &plan::Error) -> Failure {
        if error.is_clients() {
            return Failure::bad_request(error.to_string()).caused(of_plan(error));
        }
        let text = format!("unable to fetch metrics: {error}");
        Failure::internal(&text, &error.to_string()).caused(of_plan(error))
    }
}

fn of_plan(error: &plan::Error) -> Cause {
    match error {
        plan::Error::Operator(_) | plan::Error::Label(_) | plan::Error::UnsafeValue(_) => {
            Cause::SelectorNotPromql
        }
        plan::Error::NoLabel { .. } | plan::Error::Template { .. } => Cause::NoQuery,
        plan::Error::TooLong { .. } => Cause::QueryTooLong,
        plan::Error::Unlabelled { .. } => Cause::RowsWithoutLabel,
        plan::Error::Rows { .. } => Cause::SeveralRows,
    }
}

/// Why a word means no kind of object, and which it may have been meant for.
fn no_kind(word: &str, no_match: &str) -> String {
    let short = SHORT_KINDS.iter().find(|(short, _)| *short == word);
    let similar = match short {
        Some((_, kind)) => vec![(*kind).to_owned()],
        None => nearest(word, COMMON_KINDS.into_iter()),
    };
    match similar.as_slice() {
        [] => no_match.to_owned(),
        similar => format!("{no_match}; similar: {}", similar.join(", ")),
    }
}
