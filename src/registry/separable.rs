//! What one query may be asked for at once: objects of many namespaces, and objects that nobody
//! asks about.
//!
//! The Go adapter asks for the objects of one namespace, by name. One query for *many namespaces*
//! has a matcher that lets them all in and groups by the namespace's label as well; a query without
//! the names lets in all objects that have one. Either can stand for Go's queries only where it
//! gives the same rows for the objects that are asked about, and fails only where one of theirs
//! does. This is shown by induction over the syntax tree (`judge.rs`), for what is understood; all
//! else is [`Inseparable`], and is asked as Go asks.
//!
//! What holds for a query holds with more matchers on the series, as those of a metric selector:
//! they stand in each query alike, and only take series away. A server may still refuse the larger
//! query for its size alone, which no proof can tell: whoever asks it must be able to go back.

use std::sync::Arc;

use thiserror::Error;

use crate::go::template::{Data, Template};
use crate::promql;
use crate::rules::Query;

mod judge;
mod known;
mod rows;
#[cfg(test)]
mod tests;

use judge::{GROUPED_BY_NAMESPACE, Judge, Lets, NAMESPACES, OBJECTS, RESERVED, SERIES};
pub use known::{AGGREGATIONS, PER_SERIES};

/// Which objects one query is about. Those of the same kind whose labels do not name them never
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Those that are asked about, by name, as the Go adapter asks.
    Exact,
    /// All of one namespace; at the root, where objects have none, all.
    Namespace,
    /// All of all namespaces.
    Cluster,
}

/// What a query may be asked for at once, and where it may not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Many namespaces: each row names its own, and is computed from series of that namespace and
    /// of one object alone.
    pub namespaces: Result<(), Inseparable>,
    /// Objects that nobody asks about, in the namespaces that are asked for: they neither change a
    /// row of another object nor make the query fail.
    pub others: Result<(), Inseparable>,
}

impl Verdict {
    /// The widest scope in which the query gives what it gives for each ask.
    pub fn widest(&self) -> Scope {
        match (&self.others, &self.namespaces) {
            (Err(_), _) => Scope::Exact,
            (Ok(()), Err(_)) => Scope::Namespace,
            (Ok(()), Ok(())) => Scope::Cluster,
        }
    }

    fn refused(error: Inseparable) -> Verdict {
        Verdict {
            namespaces: Err(error.clone()),
            others: Err(error),
        }
    }

    /// Why many namespaces cannot be asked for at once, with whatever objects they have.
    pub fn forbids(&self) -> Option<&Inseparable> {
        let causes = [&self.namespaces, &self.others];
        causes.into_iter().find_map(|it| it.as_ref().err())
    }
}

/// Why a query is asked as Go asks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}: {expression}")]
pub struct Inseparable {
    /// Why.
    pub reason: Reason,
    /// The part of the query that forbids it, as `promql-parser` writes it; where the query has no
    /// such part, all of it or the template.
    pub expression: String,
}

/// What forbids it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// One label stands for two things, or for the name of a series, which is easily lost.
    #[error("the labels that tell rows apart must differ, and none may be __name__")]
    Labels,
    /// Actions other than plain fields: what they render may depend on the names asked for.
    #[error("the template does more than to put .LabelMatchers and .GroupBy in")]
    Template,
    /// Not PromQL, or more than this parser understands.
    #[error("the query is not understood ({0})")]
    Unparsable(String),
    /// A selector that takes series whatever is asked for.
    #[error("a selector without .LabelMatchers")]
    Selector,
    /// An aggregation that merges namespaces or objects.
    #[error("an aggregation that is not `by (<<.GroupBy>>)`")]
    Grouping,
    /// An aggregation whose rows are not one per group.
    #[error("this aggregation is not known to keep namespaces and objects apart")]
    Aggregation,
    /// A function that is not known to work on each series by itself, and to keep its labels.
    #[error("the function {0} is not known to keep namespaces and objects apart")]
    Function(&'static str),
    /// An operator whose sides are matched without the labels of namespace or object.
    #[error("an operator that matches series across namespaces or objects")]
    Matching,
    /// Only one side of an operator has the namespace's label when one namespace is asked for.
    #[error("an operator with the namespace's label on one side only")]
    Sides,
    /// An operator may find two series of one object where it must find one.
    #[error("an operator that fails where any object has several such series")]
    Duplicates,
    /// Series that differ in their names only may become the same.
    #[error("a series' name is dropped that may tell it from others")]
    Name,
    /// A text, or a name made of `.GroupBy`: whether it names what matters is not looked into.
    #[error("a text, or a name that is made of .GroupBy")]
    Text,
    /// A number that stands for no object.
    #[error("a value without labels")]
    Constant,
    /// Objects that are not in a namespace.
    #[error("objects at the root have no namespace")]
    Root,
    /// A series' name that is not plainly one where PromQL is read.
    #[error("the name of the series may be read as something else")]
    Series,
}

/// The labels that tell the rows of a query apart.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Names namespaces; `None`: the query is asked without a matcher on them, for objects at the
    /// root.
    pub namespace: Option<&'a str>,
    /// Names objects.
    pub object: &'a str,
    /// What `.GroupBy` names beside the object, such as the label of containers.
    pub parts: &'a [String],
}

/// The verdict on `query`, whose rows are told apart by `keys`. A query for resource metrics is
/// rendered without a series' name.
pub fn verdict(query: &Query, keys: Keys<'_>) -> Verdict {
    judged(query, "", keys)
}

fn judged(query: &Query, series: &str, keys: Keys<'_>) -> Verdict {
    let tree = match syntax(query, series, keys) {
        Ok(tree) => tree,
        Err(error) => return Verdict::refused(error),
    };
    let judged = |lets| Judge::new(keys, lets).query(&tree);
    Verdict {
        namespaces: match keys.namespace {
            Some(_) => judged(Lets::Namespaces),
            None => Err(whole(query, Reason::Root)),
        },
        others: judged(Lets::Objects),
    }
}

/// The verdicts on the query of a rule for one kind of object, whatever the series is called.
#[derive(Debug)]
pub struct AtOnce {
    /// For asks that name a namespace; `None` where the rule has no label for it.
    pub in_namespace: Option<Verdict>,
    /// For asks at the root.
    pub at_root: Verdict,
}

impl AtOnce {
    /// Of a query that finds objects by the label `object`, and their namespaces by `namespace`.
    pub fn new(query: &Query, namespace: Option<&str>, object: &str) -> AtOnce {
        let of = |namespace| {
            let parts = &[];
            judged(
                query,
                SERIES,
                Keys {
                    namespace,
                    object,
                    parts,
                },
            )
        };
        AtOnce {
            in_namespace: namespace.map(|label| of(Some(label))),
            at_root: of(None),
        }
    }

    /// The same for the series of this name: where it is no plain one, what the template makes of
    /// it is not known.
    pub fn of_series(self: &Arc<AtOnce>, query: &Query, series: &str) -> Arc<AtOnce> {
        let template = query.template.as_ref();
        let reads = template.is_some_and(|it| it.reads("Series"));
        if !reads || promql::is_series_name(series) {
            return Arc::clone(self);
        }
        let refused = || {
            Verdict::refused(Inseparable {
                reason: Reason::Series,
                expression: series.to_owned(),
            })
        };
        Arc::new(AtOnce {
            in_namespace: self.in_namespace.as_ref().map(|_| refused()),
            at_root: refused(),
        })
    }
}

fn whole(query: &Query, reason: Reason) -> Inseparable {
    Inseparable {
        reason,
        expression: query.source.text.clone(),
    }
}

/// The syntax tree of an ask with values that no ask has.
fn syntax(query: &Query, series: &str, keys: Keys<'_>) -> Result<promql::Expr, Inseparable> {
    let source = query.source.text.as_str();
    let whole = |reason| whole(query, reason);
    let object = keys.object;
    let is_part = |label: &str| keys.parts.iter().any(|part| part == label);
    let has_two_meanings = |label| is_part(label) || label == "__name__";
    if keys.namespace == Some(object)
        || keys.namespace.is_some_and(has_two_meanings)
        || has_two_meanings(object)
    {
        return Err(whole(Reason::Labels));
    }
    let template = query.template.as_ref().filter(|it| Template::is_plain(it));
    let template = template.ok_or_else(|| whole(Reason::Template))?;
    if RESERVED.into_iter().any(|text| source.contains(text)) {
        return Err(whole(Reason::Text));
    }
    let mut group_by = vec![object];
    group_by.extend(keys.parts.iter().map(String::as_str));
    let mut label_matchers = format!("{object}=~\"{OBJECTS}\"");
    if let Some(namespace) = keys.namespace {
        label_matchers = format!("{namespace}=~\"{NAMESPACES}\",{label_matchers}");
        group_by.push(GROUPED_BY_NAMESPACE);
    }
    let data = Data {
        series: series.to_owned(),
        label_matchers,
        group_by: group_by.join(","),
        ..Data::default()
    };
    let probe = template.render(&data);
    let probe = probe.map_err(|_| whole(Reason::Template))?;
    promql::syntax(&probe).map_err(|error| whole(Reason::Unparsable(error)))
}
