//! What one query may be asked for at once: objects of many namespaces, and objects that nobody
//! asks about.
//!
//! The Go adapter asks for the objects of one namespace, by name. One query for *many namespaces*
//! has a matcher that lets them all in and groups by the namespace's label as well; a query without
//! the names has no matcher on objects. Either can stand for Go's queries only where it gives the
//! same rows for the objects that are asked about, and fails only where one of theirs does. This is
//! shown by induction over the syntax tree (`judge.rs`), for what is understood; all else
//! is [`Inseparable`], and is asked as Go asks.

use thiserror::Error;

use crate::go::template::{Data, Template};
use crate::promql;
use crate::rules::Query;

mod judge;
#[cfg(test)]
mod tests;

pub use judge::{AGGREGATIONS, PER_SERIES};
use judge::{GROUPED_BY_NAMESPACE, Judge, NAMESPACES, OBJECTS, Scope};

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
}

/// The labels that tell the rows of a query apart.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Names namespaces.
    pub namespace: &'a str,
    /// Names objects.
    pub object: &'a str,
    /// What `.GroupBy` names beside the object, such as the label of containers.
    pub parts: &'a [String],
}

/// The verdict on `query`, whose rows are told apart by `keys`.
pub fn verdict(query: &Query, keys: Keys<'_>) -> Verdict {
    let tree = match syntax(query, keys) {
        Ok(tree) => tree,
        Err(error) => {
            return Verdict {
                namespaces: Err(error.clone()),
                others: Err(error),
            };
        }
    };
    let judged = |scope| Judge::new(keys, scope).query(&tree);
    Verdict {
        namespaces: judged(Scope::Namespaces),
        others: judged(Scope::Objects),
    }
}

/// The syntax tree of an ask with values that no ask has.
fn syntax(query: &Query, keys: Keys<'_>) -> Result<promql::Expr, Inseparable> {
    let source = query.source.text.as_str();
    let whole = |reason| Inseparable {
        reason,
        expression: source.to_owned(),
    };
    let (namespace, object) = (keys.namespace, keys.object);
    let is_part = |label: &str| keys.parts.iter().any(|part| part == label);
    let has_two_meanings = |label| is_part(label) || label == "__name__";
    if namespace == object || has_two_meanings(namespace) || has_two_meanings(object) {
        return Err(whole(Reason::Labels));
    }
    let template = query.template.as_ref().filter(|it| Template::is_plain(it));
    let template = template.ok_or_else(|| whole(Reason::Template))?;
    let reserved = [NAMESPACES, OBJECTS, GROUPED_BY_NAMESPACE];
    if reserved.into_iter().any(|text| source.contains(text)) {
        return Err(whole(Reason::Text));
    }
    let mut group_by = vec![object];
    group_by.extend(keys.parts.iter().map(String::as_str));
    group_by.push(GROUPED_BY_NAMESPACE);
    let data = Data {
        label_matchers: format!("{namespace}=~\"{NAMESPACES}\",{object}=~\"{OBJECTS}\""),
        group_by: group_by.join(","),
        ..Data::default()
    };
    let probe = template.render(&data);
    let probe = probe.map_err(|_| whole(Reason::Template))?;
    promql::syntax(&probe).map_err(|error| whole(Reason::Unparsable(error)))
}
