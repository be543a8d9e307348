//! Queries that are too long for one.
//!
//! Servers refuse long queries (VictoriaMetrics from 16 KiB on, `-search.maxQueryLen`), and so do
//! proxies. Where each row of a query is made of one object's series alone, as the verdict of its
//! metric says, the names are asked about in parts, and the rows are put together.

use super::{Error, ObjectsQuery, custom_query};
use crate::registry::Metric;
use crate::registry::separable::Scope;
use crate::rules::Origin;
use crate::selector::Selector;

/// Refuses a text that is too long and cannot be asked in parts.
///
/// # Errors
/// [`Error::TooLong`]
pub fn check_length(origin: &Origin, promql: &str, bytes_max: usize) -> Result<(), Error> {
    match promql.len() {
        bytes if bytes > bytes_max => Err(Error::TooLong {
            rule: origin.rule.clone(),
            line: origin.line,
            bytes,
            bytes_max,
            cause: "it cannot be asked in parts".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// As [`custom_query`], with texts of at most `bytes_max` each.
///
/// # Errors
/// [`Error::TooLong`] where that cannot be.
pub fn custom_query_within(
    metric: &Metric,
    scope: Scope,
    namespace: Option<&str>,
    names: &[String],
    selector: &Selector,
    bytes_max: usize,
) -> Result<ObjectsQuery, Error> {
    let of = |names: &[String]| custom_query(metric, scope, namespace, names, selector);
    let whole = of(names)?;
    if whole.promql.len() <= bytes_max {
        return Ok(whole);
    }
    let verdict = metric.verdict(namespace.is_some());
    let forbids = verdict.and_then(|verdict| verdict.others.as_ref().err());
    let too_long = |names: &[String], bytes| {
        let cause = match forbids {
            Some(forbids) => format!("it cannot be asked in parts: {forbids}"),
            None if names.len() > 1 => "it cannot be asked in parts".to_owned(),
            None => "one name alone makes it so".to_owned(),
        };
        let origin = metric.rule.origin();
        Error::TooLong {
            rule: origin.rule,
            line: origin.line,
            bytes,
            bytes_max,
            cause,
        }
    };
    let may_be_split = scope == Scope::Exact && verdict.is_some() && forbids.is_none();
    if !may_be_split {
        return Err(too_long(names, whole.promql.len()));
    }
    let mut texts = Vec::new();
    let mut parts = vec![names];
    while let Some(part) = parts.pop() {
        let query = of(part)?;
        if query.promql.len() <= bytes_max {
            texts.push(query.promql);
        } else if let ([_, _, ..], (first, second)) = (part, part.split_at(part.len() / 2)) {
            parts.extend([second, first]);
        } else {
            return Err(too_long(part, query.promql.len()));
        }
    }
    let mut texts = texts.into_iter();
    Ok(ObjectsQuery {
        promql: texts.next().unwrap_or_default(),
        further: texts.collect(),
        ..whole
    })
}
