//! Whether one query can be asked for the objects of many namespaces at once.
//!
//! Asked *wide*, a template has a matcher that lets many namespaces in and groups by the
//! namespace's label as well; asked *narrow*, as the Go adapter asks, the matcher lets one in. The
//! wide answer can stand for the narrow ones only where each row carries its namespace and its
//! object, and is computed from series of that namespace and that object alone. This is shown here
//! by induction over the syntax tree, for what is understood; all else is [`Inseparable`], and is
//! asked narrow. The same proof allows the matcher on object names to be left out: rows of other
//! objects change no row.
//!
//! (Semantics: `promql/engine.go` of Prometheus: `VectorBinop`, `resultMetric`, `aggregation`.)

use promql_parser::label::{Labels, MatchOp, Matcher};
use promql_parser::parser::token::{
    T_AVG, T_COUNT, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM,
};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};
use thiserror::Error;

use crate::go::template::Data;
use crate::promql;
use crate::rules::Query;

#[cfg(test)]
mod tests;

/// Why a query is asked for one namespace at a time.
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
    /// One label stands for two of namespace, object and container.
    #[error("labels of namespace, object and container must be three")]
    Labels,
    /// Actions other than plain fields: what they render may depend on the names asked for.
    #[error("the template does more than to put .LabelMatchers and .GroupBy in")]
    Template,
    /// Not PromQL, or more than this parser understands.
    #[error("the query is not understood ({0})")]
    Unparsable(String),
    /// More than [`DEPTH_MAX`] levels.
    #[error("the query is nested too deeply")]
    Depth,
    /// A selector that takes series whatever is asked for.
    #[error("a selector without .LabelMatchers")]
    Selector,
    /// An aggregation that merges namespaces or objects.
    #[error("an aggregation that is not `by (<<.GroupBy>>)`")]
    Grouping,
    /// An aggregation whose rows are not one per group.
    #[error("this aggregation is not known to keep namespaces apart")]
    Aggregation,
    /// A function that is not known to work on each series by itself, and to keep its labels.
    #[error("the function {0} is not known to keep namespaces apart")]
    Function(&'static str),
    /// An operator whose sides are matched without the labels of namespace or object.
    #[error("an operator that matches series across namespaces or objects")]
    Matching,
    /// Only one side of an operator has the namespace's label when one namespace is asked for.
    #[error("an operator with the namespace's label on one side only")]
    Sides,
    /// A text: whether it names a label that matters is not looked into.
    #[error("a text")]
    Text,
    /// A number that stands for no object.
    #[error("a value without labels")]
    Constant,
}

/// How deep a query may nest: the tree is walked recursively.
pub const DEPTH_MAX: usize = 100;

/// The labels by which rows must be kept apart, and the one that tells containers.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Names namespaces.
    pub namespace: &'a str,
    /// Names objects.
    pub object: &'a str,
    /// Names containers.
    pub container: &'a str,
}

/// Stands in a query for the values and for the grouping that an ask would put in; never sent.
const NAMESPACES: &str = "NAMESPACES-OF-AN-ASK";
const OBJECTS: &str = "OBJECTS-OF-AN-ASK";
const GROUPED_BY_NAMESPACE: &str = "__namespace_of_an_ask__";

/// Whether `query` can be asked for many namespaces, and without its matcher on object names.
///
/// # Errors
/// [`Inseparable`] where that is not shown.
pub fn separable(query: &Query, keys: Keys<'_>) -> Result<(), Inseparable> {
    let source = query.source.text.as_str();
    let whole = |reason| Inseparable {
        reason,
        expression: source.to_owned(),
    };
    let Keys {
        namespace,
        object,
        container,
    } = keys;
    if namespace == object || namespace == container || object == container {
        return Err(whole(Reason::Labels));
    }
    let template = query.template.as_ref().filter(|it| it.is_plain());
    let template = template.ok_or_else(|| whole(Reason::Template))?;
    let reserved = [NAMESPACES, OBJECTS, GROUPED_BY_NAMESPACE];
    if reserved.into_iter().any(|text| source.contains(text)) {
        return Err(whole(Reason::Text));
    }
    let data = Data {
        label_matchers: format!("{namespace}=~\"{NAMESPACES}\",{object}=~\"{OBJECTS}\""),
        group_by: format!("{object},{container},{GROUPED_BY_NAMESPACE}"),
        ..Data::default()
    };
    let probe = template.render(&data);
    let probe = probe.map_err(|_| whole(Reason::Template))?;
    let tree = promql::syntax(&probe).map_err(|error| whole(Reason::Unparsable(error)))?;
    match (Judge { namespace, object }).expression(&tree, 0)? {
        Kept::Constant => Err(forbid(Reason::Constant, &tree)),
        Kept::Label | Kept::Group => Ok(()),
    }
}

/// What the rows of an expression that keeps namespaces and objects apart have of the namespace's
/// label while *one* namespace is asked for. (Asked wide, they all have it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// The expression is a number that depends on no series.
    Constant,
    /// They have it, as the series do.
    Label,
    /// An aggregation has removed it: `.GroupBy` does not name it then.
    Group,
}

struct Judge<'a> {
    namespace: &'a str,
    object: &'a str,
}

type Judged = Result<Kept, Inseparable>;

impl Judge<'_> {
    fn expression(&self, it: &Expr, depth: usize) -> Judged {
        if depth > DEPTH_MAX {
            return Err(forbid(Reason::Depth, it));
        }
        let inner = |inner: &Expr| self.expression(inner, depth + 1);
        match it {
            Expr::NumberLiteral(_) => Ok(Kept::Constant),
            Expr::VectorSelector(selector) => self.selector(selector, it),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs, it),
            Expr::Paren(paren) => inner(&paren.expr),
            Expr::Unary(unary) => inner(&unary.expr),
            Expr::Subquery(subquery) => inner(&subquery.expr),
            Expr::Aggregate(aggregate) => {
                let of = inner(&aggregate.expr)?;
                let parameter = aggregate.param.as_deref().map(inner).transpose()?;
                self.aggregate(aggregate, of, parameter, it)
            }
            Expr::Call(call) => {
                let arguments = call.args.args.iter().map(|argument| inner(argument));
                called(call, &arguments.collect::<Result<Vec<_>, _>>()?, it)
            }
            Expr::Binary(binary) => {
                let sides = (inner(&binary.lhs)?, inner(&binary.rhs)?);
                self.binary(binary, sides, it)
            }
            Expr::StringLiteral(_) | Expr::Extension(_) => Err(forbid(Reason::Text, it)),
        }
    }

    /// Both matchers of the ask must be there; more of them only select among the same series. The
    /// rest must not depend on what is asked for.
    fn selector(&self, selector: &VectorSelector, it: &Expr) -> Judged {
        let matchers = &selector.matchers;
        let is = |matcher: &Matcher, label: &str, value: &str| {
            matcher.name == label && matcher.value == value && matches!(matcher.op, MatchOp::Re(_))
        };
        let of_ask = |matcher: &Matcher| {
            is(matcher, self.namespace, NAMESPACES) || is(matcher, self.object, OBJECTS)
        };
        let takes = |label: &str, value: &str| {
            let mut all = matchers.matchers.iter();
            all.any(|matcher| is(matcher, label, value))
        };
        let all = takes(self.namespace, NAMESPACES) && takes(self.object, OBJECTS);
        if !all || !matchers.or_matchers.is_empty() {
            return Err(forbid(Reason::Selector, it));
        }
        let others = matchers.matchers.iter().filter(|matcher| !of_ask(matcher));
        for matcher in others {
            let reserved = [NAMESPACES, OBJECTS, GROUPED_BY_NAMESPACE];
            if reserved.iter().any(|text| matcher.value.contains(text)) {
                return Err(forbid(Reason::Text, it));
            }
        }
        Ok(Kept::Label)
    }

    /// A group must hold series of one namespace and object alone.
    fn aggregate(
        &self,
        aggregate: &AggregateExpr,
        of: Kept,
        parameter: Option<Kept>,
        it: &Expr,
    ) -> Judged {
        let known = [
            T_AVG, T_COUNT, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM,
        ];
        if !known.contains(&aggregate.op.id()) {
            return Err(forbid(Reason::Aggregation, it));
        }
        if of == Kept::Constant || parameter.is_some_and(|it| it != Kept::Constant) {
            return Err(forbid(Reason::Constant, it));
        }
        match &aggregate.modifier {
            Some(LabelModifier::Include(by)) if self.keeps_apart(by) => Ok(self.left_by(by, of)),
            Some(LabelModifier::Exclude(without)) if !self.touches(without) => Ok(of),
            _ => Err(forbid(Reason::Grouping, it)),
        }
    }

    /// Series of one namespace and object must only meet each other.
    fn binary(&self, binary: &BinaryExpr, sides: (Kept, Kept), it: &Expr) -> Judged {
        let (left, right) = match sides {
            (Kept::Constant, other) | (other, Kept::Constant) => return Ok(other),
            sides => sides,
        };
        if left != right {
            return Err(forbid(Reason::Sides, it));
        }
        let Some(modifier) = &binary.modifier else {
            return Ok(left);
        };
        let fills = &modifier.fill_values;
        let included = modifier.card.labels();
        if fills.lhs.is_some()
            || fills.rhs.is_some()
            || included.is_some_and(|labels| self.touches(labels))
        {
            return Err(forbid(Reason::Matching, it));
        }
        match &modifier.matching {
            None => Ok(left),
            Some(LabelModifier::Exclude(ignoring)) if !self.touches(ignoring) => Ok(left),
            Some(LabelModifier::Include(on)) if self.keeps_apart(on) => Ok(match modifier.card {
                VectorMatchCardinality::OneToOne => self.left_by(on, left),
                _ => left,
            }),
            _ => Err(forbid(Reason::Matching, it)),
        }
    }

    /// Rows that differ in namespace or object differ in these labels.
    fn keeps_apart(&self, labels: &Labels) -> bool {
        let has = |label: &str| labels.labels.iter().any(|it| it == label);
        has(self.object) && (has(self.namespace) || has(GROUPED_BY_NAMESPACE))
    }

    /// Whether one of these labels tells namespaces or objects.
    fn touches(&self, labels: &Labels) -> bool {
        let keys = [self.namespace, self.object, GROUPED_BY_NAMESPACE];
        labels.labels.iter().any(|it| keys.contains(&it.as_str()))
    }

    /// What is left of the namespace's label where only `labels` are kept.
    fn left_by(&self, labels: &Labels, of: Kept) -> Kept {
        if labels.labels.iter().any(|it| it == self.namespace) {
            of
        } else {
            Kept::Group
        }
    }
}

/// Functions that make a row of each series by itself, with its labels but for the name. Sorted.
const PER_SERIES: &[&str] = &[
    "abs",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "count_over_time",
    "delta",
    "deriv",
    "exp",
    "floor",
    "idelta",
    "increase",
    "irate",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "max_over_time",
    "min_over_time",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "sgn",
    "sqrt",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "timestamp",
];

fn called(call: &Call, arguments: &[Kept], it: &Expr) -> Judged {
    let name = call.func.name;
    let mut rows = arguments.iter().filter(|kept| **kept != Kept::Constant);
    match (rows.next(), rows.next()) {
        (Some(kept), None) if PER_SERIES.binary_search(&name).is_ok() => Ok(*kept),
        (None, _) if matches!(name, "time" | "pi") => Ok(Kept::Constant),
        _ => Err(forbid(Reason::Function(name), it)),
    }
}

fn forbid(reason: Reason, it: &Expr) -> Inseparable {
    Inseparable {
        reason,
        expression: it.to_string(),
    }
}
