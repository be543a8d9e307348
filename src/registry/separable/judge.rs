//! The induction: what the rows of each expression have, and what they are computed from.
//!
//! (Semantics: `promql/engine.go` of Prometheus: `VectorBinop`, `resultMetric`, `aggregation`, and
//! `ContainsSameLabelset`, which fails a query whose rows cannot be told apart.)

use promql_parser::label::{Labels, METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::token::T_LOR;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};

use super::known::{AGGREGATIONS, BUCKET, NAMELESS, PER_SERIES, QUANTILE_OF_BUCKETS};
use super::rows::{Match, Name, Rows, Told};
use super::{Inseparable, Keys, Reason};

/// Stands in a query for the values and for the grouping that an ask would put in; never sent.
pub(super) const NAMESPACES: &str = "NAMESPACES-OF-AN-ASK";
pub(super) const OBJECTS: &str = "OBJECTS-OF-AN-ASK";
pub(super) const GROUPED_BY_NAMESPACE: &str = "__namespace_of_an_ask__";
pub(super) const SERIES: &str = "series_of_an_ask";
pub(super) const RESERVED: [&str; 4] = [NAMESPACES, OBJECTS, GROUPED_BY_NAMESPACE, SERIES];

/// What is let into a query, beyond what Go lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lets {
    /// Series of many namespaces.
    Namespaces,
    /// Series of objects that nobody asks about, in whatever namespaces are asked for.
    Objects,
}

/// Judges one query for one scope.
pub(super) struct Judge<'a> {
    keys: Keys<'a>,
    lets: Lets,
}

/// The rows; `None` for a number that depends on no series.
type Judged = Result<Option<Rows>, Inseparable>;

impl<'a> Judge<'a> {
    pub(super) fn new(keys: Keys<'a>, lets: Lets) -> Judge<'a> {
        Judge { keys, lets }
    }

    pub(super) fn query(&self, it: &Expr) -> Result<(), Inseparable> {
        let rows = self.expression(it)?;
        rows.map(drop).ok_or_else(|| forbid(Reason::Constant, it))
    }

    /// Recursive: [`syntax`](crate::promql::syntax) bounds the levels of the tree.
    fn expression(&self, it: &Expr) -> Judged {
        match it {
            Expr::NumberLiteral(_) => Ok(None),
            Expr::VectorSelector(selector) => self.selector(selector, it).map(Some),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs, it).map(Some),
            Expr::Paren(paren) => self.expression(&paren.expr),
            Expr::Subquery(subquery) => {
                let of = self.expression(&subquery.expr)?;
                Ok(of.map(Rows::of_many_moments))
            }
            Expr::Unary(unary) => {
                let of = self.expression(&unary.expr)?;
                of.map(|rows| self.renamed(rows, false, it)).transpose()
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, it).map(Some),
            Expr::Call(call) => self.call(call, it),
            Expr::Binary(binary) => {
                let (left, right) = (self.expression(&binary.lhs)?, self.expression(&binary.rhs)?);
                match (left, right) {
                    (Some(left), Some(right)) => self.binary(binary, left, right, it).map(Some),
                    // Prometheus refuses to match numbers; VictoriaMetrics does as it is told.
                    _ if matches_labels(binary) => Err(forbid(Reason::Matching, it)),
                    (None, None) => Ok(None),
                    (Some(rows), None) | (None, Some(rows)) => {
                        self.renamed(rows, is_arithmetic(binary), it).map(Some)
                    }
                }
            }
            Expr::StringLiteral(_) | Expr::Extension(_) => Err(forbid(Reason::Text, it)),
        }
    }

    /// Both matchers of the ask must be there; more of them only select among the same series. The
    /// rest must not depend on what is asked for.
    fn selector(&self, selector: &VectorSelector, it: &Expr) -> Result<Rows, Inseparable> {
        let matchers = &selector.matchers;
        let is = |matcher: &Matcher, label: &str, value: &str| {
            matcher.name == label && matcher.value == value && matches!(matcher.op, MatchOp::Re(_))
        };
        let namespace = self.keys.namespace.map(|label| (label, NAMESPACES));
        let of_ask = || namespace.into_iter().chain([(self.keys.object, OBJECTS)]);
        let takes = |(label, value)| {
            let mut all = matchers.matchers.iter();
            all.any(|matcher| is(matcher, label, value))
        };
        if !of_ask().all(takes) || !matchers.or_matchers.is_empty() {
            return Err(forbid(Reason::Selector, it));
        }
        let is_own = |matcher: &&Matcher| !of_ask().any(|(label, value)| is(matcher, label, value));
        let own = matchers.matchers.iter().filter(is_own);
        // The series' name is the same in each ask, but a label that is made of it may be one of
        // those that matter.
        let names_series = |matcher: &Matcher| matcher.name.contains(SERIES);
        let depends = |text: &String| {
            let mut reserved = RESERVED.iter().filter(|it| **it != SERIES);
            reserved.any(|reserved| text.contains(reserved))
        };
        let texts = own
            .clone()
            .flat_map(|matcher| [&matcher.name, &matcher.value]);
        if own.clone().any(names_series) || texts.chain(&selector.name).any(depends) {
            return Err(forbid(Reason::Text, it));
        }
        let names_one = |matcher: &Matcher| {
            let is_name = matcher.name == METRIC_NAME && !matcher.value.is_empty();
            is_name && matcher.op == MatchOp::Equal
        };
        let name = matchers.matchers.iter().find(|it| names_one(it));
        let name = selector.name.as_ref().or(name.map(|it| &it.value));
        Ok(Rows {
            has_namespace: true,
            labels: match name {
                Some(name) => Told::ByLabels(Name::As(name.clone())),
                None => Told::ByName,
            },
        })
    }

    /// A group must hold series of one namespace and object alone.
    fn aggregate(&self, aggregate: &AggregateExpr, it: &Expr) -> Result<Rows, Inseparable> {
        let of = self.expression(&aggregate.expr)?;
        let parameter = aggregate.param.as_deref();
        let parameter = parameter.map(|it| self.expression(it)).transpose()?;
        if !AGGREGATIONS.contains(&aggregate.op.to_string().as_str()) {
            return Err(forbid(Reason::Aggregation, it));
        }
        let (Some(of), None) = (of, parameter.flatten()) else {
            return Err(forbid(Reason::Constant, it));
        };
        match &aggregate.modifier {
            Some(LabelModifier::Include(by)) if self.keeps_apart(by) => {
                whole(by, it)?;
                Ok(Rows {
                    has_namespace: of.has_namespace && self.has_namespace(by),
                    labels: match has(by, METRIC_NAME) {
                        true => Told::ByName,
                        false => Told::Among(by.labels.iter().cloned().collect()),
                    },
                })
            }
            Some(LabelModifier::Exclude(without)) if !self.touches(without) => {
                whole(without, it)?;
                let labels = match of.labels {
                    // Its rows have no names.
                    Told::ByName | Told::ByLabels(_) => Told::ByLabels(Name::Nothing),
                    among @ Told::Among(_) => among,
                };
                Ok(Rows { labels, ..of })
            }
            _ => Err(forbid(Reason::Grouping, it)),
        }
    }

    fn call(&self, call: &Call, it: &Expr) -> Judged {
        let name = call.func.name;
        let arguments = call.args.args.iter().map(|it| self.expression(it));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let mut rows = arguments.into_iter().flatten();
        match (rows.next(), rows.next()) {
            (Some(rows), None) if PER_SERIES.contains(&name) => {
                self.renamed(rows, NAMELESS.contains(&name), it).map(Some)
            }
            (Some(rows), None) if name == QUANTILE_OF_BUCKETS && !self.is_key(BUCKET) => {
                let mut rows = self.renamed(rows, false, it)?;
                // It makes one row of those that differ in this label alone.
                if let Told::Among(labels) = &mut rows.labels {
                    labels.remove(BUCKET);
                }
                Ok(Some(rows))
            }
            (None, _) if matches!(name, "time" | "pi") => Ok(None),
            _ => Err(forbid(Reason::Function(name), it)),
        }
    }

    /// Series of one namespace and object must only meet each other.
    fn binary(
        &self,
        binary: &BinaryExpr,
        left: Rows,
        right: Rows,
        it: &Expr,
    ) -> Result<Rows, Inseparable> {
        if self.lets == Lets::Namespaces && left.has_namespace != right.has_namespace {
            return Err(forbid(Reason::Sides, it));
        }
        let modifier = binary.modifier.as_ref();
        let fills = modifier.map(|it| &it.fill_values);
        let fills = fills.is_some_and(|it| it.lhs.is_some() || it.rhs.is_some());
        let card = modifier.map_or(&VectorMatchCardinality::OneToOne, |it| &it.card);
        if fills || card.labels().is_some_and(|labels| self.touches(labels)) {
            return Err(forbid(Reason::Matching, it));
        }
        let matching = match modifier.and_then(|it| it.matching.as_ref()) {
            None => Match::Ignoring(&[]),
            Some(LabelModifier::Exclude(ignoring)) if !self.touches(ignoring) => {
                whole(ignoring, it)?;
                Match::Ignoring(&ignoring.labels)
            }
            Some(LabelModifier::Include(on)) if self.keeps_apart(on) => {
                whole(on, it)?;
                Match::On(on)
            }
            _ => return Err(forbid(Reason::Matching, it)),
        };
        card.labels().map_or(Ok(()), |labels| whole(labels, it))?;
        if !binary.op.is_set_operator() {
            let rows = self.matched(matching, card, left, right, it)?;
            return self.renamed(rows, is_arithmetic(binary), it);
        }
        match binary.op.id() == T_LOR {
            true => Ok(left.or(right)),
            // Some of the rows of the left side.
            false => Ok(left),
        }
    }

    /// What an operator makes of pairs of rows. It fails where a row that must be the only one of
    /// its match is not.
    fn matched(
        &self,
        matching: Match<'_>,
        card: &VectorMatchCardinality,
        left: Rows,
        right: Rows,
        it: &Expr,
    ) -> Result<Rows, Inseparable> {
        let (left, right) = (self.unnamed(left, it)?, self.unnamed(right, it)?);
        let one = |rows: &Rows| self.certainly(matching.finds_one(&rows.labels), it);
        let (many, included) = match card {
            VectorMatchCardinality::ManyToOne(included) => {
                one(&right)?;
                (left, included)
            }
            VectorMatchCardinality::OneToMany(included) => {
                one(&left)?;
                (right, included)
            }
            _ => {
                one(&left)?;
                one(&right)?;
                return Ok(match matching {
                    Match::On(on) => Rows {
                        has_namespace: left.has_namespace && self.has_namespace(on),
                        labels: Told::Among(on.labels.iter().cloned().collect()),
                    },
                    Match::Ignoring(_) => left,
                });
            }
        };
        // A label that is written over must not be what told two rows apart.
        let kept = match &many.labels {
            Told::Among(labels) => included.labels.iter().all(|it| !labels.contains(it)),
            _ => included.is_empty(),
        };
        self.certainly(kept, it)?;
        let labels = match many.labels {
            Told::Among(mut labels) => {
                labels.extend(included.labels.iter().cloned());
                Told::Among(labels)
            }
            other => other,
        };
        Ok(Rows { labels, ..many })
    }

    /// The rows of an expression which takes their names away, or does so at some servers.
    fn renamed(&self, rows: Rows, surely: bool, it: &Expr) -> Result<Rows, Inseparable> {
        let name = || match surely {
            true => Name::Nothing,
            false => Name::As(it.to_string()),
        };
        Ok(self.unnamed(rows, it)?.named(name))
    }

    /// The rows without their names, which must not be what tells them apart.
    fn unnamed(&self, rows: Rows, it: &Expr) -> Result<Rows, Inseparable> {
        match rows.labels {
            Told::ByName if self.lets == Lets::Objects => Err(forbid(Reason::Name, it)),
            _ => Ok(rows),
        }
    }

    /// Where objects that nobody asks about are let in, theirs must not be able to fail a query.
    fn certainly(&self, holds: bool, it: &Expr) -> Result<(), Inseparable> {
        match holds || self.lets == Lets::Namespaces {
            true => Ok(()),
            false => Err(forbid(Reason::Duplicates, it)),
        }
    }

    /// Rows that differ in what must be kept apart differ in these labels.
    fn keeps_apart(&self, labels: &Labels) -> bool {
        let namespace = self.has_namespace(labels) || has(labels, GROUPED_BY_NAMESPACE);
        has(labels, self.keys.object) && (namespace || self.lets == Lets::Objects)
    }

    fn is_key(&self, label: &str) -> bool {
        self.keys.object == label || self.keys.namespace == Some(label)
    }

    fn has_namespace(&self, labels: &Labels) -> bool {
        self.keys.namespace.is_some_and(|label| has(labels, label))
    }

    /// Whether one of these labels tells what must be kept apart.
    fn touches(&self, labels: &Labels) -> bool {
        let namespace = self.has_namespace(labels) && self.lets == Lets::Namespaces;
        namespace || has(labels, self.keys.object) || has(labels, GROUPED_BY_NAMESPACE)
    }
}

/// A label that is made of `.GroupBy` and more is another one in each ask, and one that is made of
/// `.Series` may be any.
fn whole(labels: &Labels, it: &Expr) -> Result<(), Inseparable> {
    let is_made = |label: &String| {
        let is_grouping = label.contains(GROUPED_BY_NAMESPACE) && label != GROUPED_BY_NAMESPACE;
        is_grouping || label.contains(SERIES)
    };
    match labels.labels.iter().any(is_made) {
        true => Err(forbid(Reason::Text, it)),
        false => Ok(()),
    }
}

/// Whether an operator computes. Those that compare keep the names of what they let pass.
fn is_arithmetic(binary: &BinaryExpr) -> bool {
    !binary.op.is_comparison_operator() && !binary.op.is_set_operator()
}

/// Whether an operator says which labels its sides are matched by.
fn matches_labels(binary: &BinaryExpr) -> bool {
    let modifier = binary.modifier.as_ref();
    modifier.is_some_and(|it| {
        let fills = it.fill_values.lhs.is_some() || it.fill_values.rhs.is_some();
        let is_grouped = it.card.labels().is_some();
        it.matching.is_some() || is_grouped || fills
    })
}

pub(super) fn has(labels: &Labels, label: &str) -> bool {
    labels.labels.iter().any(|it| it == label)
}

fn forbid(reason: Reason, it: &Expr) -> Inseparable {
    Inseparable {
        reason,
        expression: it.to_string(),
    }
}
