//! What a query reads, and which labels its rows lose, by its syntax tree alone.
//!
//! (Semantics: `promql/engine.go` of Prometheus: `resultMetric` for operators, `aggregation` for
//! aggregations, `promql/functions.go` for the functions that make rows of their own.)

use std::time::Duration;

use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::token::T_LOR;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};

/// Functions that give nothing for a series with less than two samples in their window
/// (`promql/functions.go`).
const OF_TWO: [&str; 7] = [
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
];

/// One selector of a query.
#[derive(Clone, Debug)]
pub struct Read<'a> {
    selector: &'a VectorSelector,
    range: Option<Duration>,
    /// The functions and aggregations around it, the outermost first.
    pub inside: Vec<String>,
}

/// A matcher as a person would write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// The label.
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub operator: &'static str,
    /// The value or pattern.
    pub value: String,
}

impl Read<'_> {
    /// The one name that it reads, if it says so.
    pub fn name(&self) -> Option<&str> {
        let named = self.selector.matchers.matchers.iter();
        let mut named = named
            .filter(|it| it.name == METRIC_NAME && it.op == MatchOp::Equal)
            .map(|it| it.value.as_str());
        self.selector.name.as_deref().or_else(|| named.next_back())
    }

    /// The window in which a series must have two samples, or it gives nothing.
    pub fn window_of_two(&self) -> Option<Duration> {
        let wants_two = |function: &String| OF_TWO.contains(&function.as_str());
        self.range
            .filter(|_| self.inside.last().is_some_and(wants_two))
    }

    /// Its matchers, without those on the name.
    pub fn matchers(&self) -> Vec<Matching> {
        let or = self.selector.matchers.or_matchers.iter().flatten();
        let all = self.selector.matchers.matchers.iter().chain(or);
        all.filter(|it| it.name != METRIC_NAME)
            .map(matching)
            .collect()
    }
}

fn matching(matcher: &Matcher) -> Matching {
    Matching {
        label: matcher.name.clone(),
        operator: match matcher.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Re(_) => "=~",
            MatchOp::NotRe(_) => "!~",
        },
        value: matcher.value.clone(),
    }
}

impl std::fmt::Display for Matching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = super::quote(&self.value);
        write!(f, "{}{}{value}", self.label, self.operator)
    }
}

impl super::SeriesSelector {
    /// What it demands of labels other than the name.
    pub fn matchers(&self) -> Vec<Matching> {
        let matchers = self.selector.matchers.matchers.iter();
        let of_labels = matchers.filter(|it| it.name != METRIC_NAME);
        of_labels.map(matching).collect()
    }
}

/// The selectors of a query, from left to right.
pub fn reads(query: &Expr) -> Vec<Read<'_>> {
    let mut found = Vec::new();
    visit(query, &mut Vec::new(), &mut found);
    found
}

/// Recursive: [`syntax`](super::syntax) bounds the levels of the tree.
fn visit<'a>(it: &'a Expr, inside: &mut Vec<String>, found: &mut Vec<Read<'a>>) {
    let mut read = |selector, range| {
        found.push(Read {
            selector,
            range,
            inside: inside.clone(),
        });
    };
    match it {
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        Expr::VectorSelector(selector) => read(selector, None),
        Expr::MatrixSelector(matrix) => read(&matrix.vs, Some(matrix.range)),
        Expr::Paren(paren) => visit(&paren.expr, inside, found),
        Expr::Unary(unary) => visit(&unary.expr, inside, found),
        Expr::Subquery(subquery) => visit(&subquery.expr, inside, found),
        Expr::Binary(binary) => {
            visit(&binary.lhs, inside, found);
            visit(&binary.rhs, inside, found);
        }
        Expr::Aggregate(aggregate) => {
            inside.push(aggregate.op.to_string());
            if let Some(parameter) = &aggregate.param {
                visit(parameter, inside, found);
            }
            visit(&aggregate.expr, inside, found);
            inside.pop();
        }
        Expr::Call(call) => {
            inside.push(call.func.name.to_owned());
            for argument in &call.args.args {
                visit(argument, inside, found);
            }
            inside.pop();
        }
    }
}

/// The part of the query that takes the label `le` away from all classic buckets before a quantile
/// is made of them: there is no quantile then.
pub fn loses_buckets(it: &Expr) -> Option<&Expr> {
    let of_quantile = |call: &'_ Call| call.func.name == "histogram_quantile";
    let is_bucket = |read: &Read<'_>| read.name().is_some_and(|name| name.ends_with("_bucket"));
    match it {
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => None,
        Expr::VectorSelector(_) | Expr::MatrixSelector(_) => None,
        Expr::Paren(paren) => loses_buckets(&paren.expr),
        Expr::Unary(unary) => loses_buckets(&unary.expr),
        Expr::Subquery(subquery) => loses_buckets(&subquery.expr),
        Expr::Aggregate(aggregate) => loses_buckets(&aggregate.expr),
        Expr::Binary(binary) => loses_buckets(&binary.lhs).or_else(|| loses_buckets(&binary.rhs)),
        Expr::Call(call) => {
            let buckets = call.args.args.get(1).filter(|_| of_quantile(call));
            let buckets = buckets.filter(|it| reads(it).iter().all(is_bucket));
            let lost = buckets.and_then(|it| loses(it, "le"));
            let mut inner = call.args.args.iter();
            lost.or_else(|| inner.find_map(|it| loses_buckets(it)))
        }
    }
}

/// The part of the query that takes `label` away from all its rows; `None` where they may have it.
pub fn loses<'a>(it: &'a Expr, label: &str) -> Option<&'a Expr> {
    match it {
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Some(it),
        Expr::Extension(_) => None,
        Expr::VectorSelector(selector) => lacks(selector, label).then_some(it),
        Expr::MatrixSelector(matrix) => lacks(&matrix.vs, label).then_some(it),
        Expr::Paren(paren) => loses(&paren.expr, label),
        Expr::Unary(unary) => loses(&unary.expr, label),
        Expr::Subquery(subquery) => loses(&subquery.expr, label),
        Expr::Aggregate(aggregate) => of_aggregate(aggregate, it, label),
        Expr::Call(call) => of_call(call, it, label),
        Expr::Binary(binary) => of_binary(binary, it, label),
    }
}

fn lacks(selector: &VectorSelector, label: &str) -> bool {
    let mut matchers = selector.matchers.matchers.iter();
    matchers.any(|it| it.name == label && it.op == MatchOp::Equal && it.value.is_empty())
}

fn of_aggregate<'a>(aggregate: &'a AggregateExpr, it: &'a Expr, label: &str) -> Option<&'a Expr> {
    const CHOOSING: &[&str] = &["topk", "bottomk", "limitk", "limit_ratio"];
    let has = |labels: &promql_parser::label::Labels| labels.labels.iter().any(|it| it == label);
    let op = aggregate.op.to_string();
    if CHOOSING.contains(&op.as_str()) {
        return loses(&aggregate.expr, label);
    }
    if op == "count_values" && text(aggregate.param.as_deref()) == Some(label) {
        return None;
    }
    match &aggregate.modifier {
        Some(LabelModifier::Include(by)) if has(by) => loses(&aggregate.expr, label),
        Some(LabelModifier::Exclude(without)) if !has(without) => loses(&aggregate.expr, label),
        _ => Some(it),
    }
}

fn of_call<'a>(call: &'a Call, it: &'a Expr, label: &str) -> Option<&'a Expr> {
    let arguments = &call.args.args;
    match call.func.name {
        "absent" | "absent_over_time" | "info" => None,
        "label_replace" | "label_join" if text(arguments.get(1).map(|it| &**it)) == Some(label) => {
            None
        }
        "scalar" | "vector" => Some(it),
        _ => {
            let is_rows = |it: &&Expr| !is_scalar(it) && !matches!(it, Expr::StringLiteral(_));
            let arguments = arguments.iter().map(|it| &**it);
            let mut rows = arguments.filter(is_rows);
            match (rows.next(), rows.next()) {
                (Some(rows), None) => loses(rows, label),
                (None, _) => Some(it),
                (Some(_), Some(_)) => None,
            }
        }
    }
}

fn of_binary<'a>(binary: &'a BinaryExpr, it: &'a Expr, label: &str) -> Option<&'a Expr> {
    let (left, right) = (&binary.lhs, &binary.rhs);
    match (is_scalar(left), is_scalar(right)) {
        (true, true) => return Some(it),
        (true, false) => return loses(right, label),
        (false, true) => return loses(left, label),
        (false, false) => {}
    }
    if binary.op.is_set_operator() {
        let lost = loses(left, label)?;
        // Of `and` and `unless` the rows are the left side's.
        return match binary.op.id() == T_LOR {
            true => loses(right, label).map(|_| lost),
            false => Some(lost),
        };
    }
    let modifier = binary.modifier.as_ref();
    let fills = modifier.map(|it| &it.fill_values);
    if fills.is_some_and(|it| it.lhs.is_some() || it.rhs.is_some()) {
        return None;
    }
    let has = |labels: &promql_parser::label::Labels| labels.labels.iter().any(|it| it == label);
    match modifier.map(|it| &it.card) {
        Some(VectorMatchCardinality::ManyToOne(included)) => match has(included) {
            true => loses(right, label),
            false => loses(left, label),
        },
        Some(VectorMatchCardinality::OneToMany(included)) => match has(included) {
            true => loses(left, label),
            false => loses(right, label),
        },
        _ => match modifier.and_then(|it| it.matching.as_ref()) {
            Some(LabelModifier::Include(on)) if !has(on) => Some(it),
            Some(LabelModifier::Exclude(ignoring)) if has(ignoring) => Some(it),
            // Both sides agree in it.
            _ => loses(left, label).or_else(|| loses(right, label)),
        },
    }
}

/// Whether it is one number without labels.
fn is_scalar(it: &Expr) -> bool {
    match it {
        Expr::NumberLiteral(_) => true,
        Expr::Paren(paren) => is_scalar(&paren.expr),
        Expr::Unary(unary) => is_scalar(&unary.expr),
        Expr::Binary(binary) => is_scalar(&binary.lhs) && is_scalar(&binary.rhs),
        Expr::Call(call) => matches!(call.func.name, "scalar" | "time" | "pi"),
        _ => false,
    }
}

fn text(it: Option<&Expr>) -> Option<&str> {
    match it? {
        Expr::StringLiteral(text) => Some(&text.val),
        Expr::Paren(paren) => text(Some(&paren.expr)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
