//! What a query reads, and which labels its rows lose, by its syntax tree alone.
//!
//! (Semantics: `promql/engine.go` of Prometheus: `resultMetric` for operators, `aggregation` for
//! aggregations, `promql/functions.go` for the functions that make rows of their own.)

use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::token::T_LOR;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};

/// One selector of a query.
#[derive(Clone, Debug)]
pub struct Read<'a> {
    selector: &'a VectorSelector,
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
    let mut read = |selector| {
        found.push(Read {
            selector,
            inside: inside.clone(),
        });
    };
    match it {
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        Expr::VectorSelector(selector) => read(selector),
        Expr::MatrixSelector(matrix) => read(&matrix.vs),
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
mod tests {
    use super::*;
    use crate::promql::syntax;

    fn lost(query: &str, label: &str) -> Option<String> {
        let tree = syntax(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        loses(&tree, label).map(ToString::to_string)
    }

    #[test]
    fn a_label_is_lost_where_no_row_can_have_it() {
        for query in [
            "sum(a)",
            "sum by (job) (a)",
            "sum without (pod) (a)",
            "max(sum by (pod) (a))",
            "scalar(a)",
            "vector(1)",
            "1",
            "time()",
            r#"a{pod=""}"#,
            "sum(a) + sum(b)",
            "a * on (job) b",
            "a * ignoring (pod) b",
            "sum(a) * on (job) group_left (node) b",
            "sum(a) or sum(b)",
            "sum(a) and b",
            "rate(a[5m]) / scalar(sum(b)) + sum(c)",
            "topk(3, sum(a))",
            "histogram_quantile(0.9, sum by (le) (rate(a[5m])))",
            "max_over_time(sum(a)[5m:1m])",
            r#"label_replace(sum(a), "b", "$1", "c", "(.*)")"#,
            "hour()",
        ] {
            assert!(lost(query, "pod").is_some(), "{query}");
        }
    }

    #[test]
    fn a_label_that_rows_may_have_is_not_lost() {
        for query in [
            "a",
            "sum by (pod) (a)",
            "sum without (job) (a)",
            "a * 2",
            "2 * a",
            "a * on (pod) b",
            "a * ignoring (job) b",
            "a * on (job) group_left (pod) b",
            "b * on (job) group_right (node) a",
            "sum(a) or b",
            "b and sum(a)",
            "topk(3, a)",
            "topk by (job) (3, a)",
            "rate(a[5m])",
            "absent(a)",
            "clamp_min(a, scalar(b))",
            r#"label_replace(sum(a), "pod", "$1", "c", "(.*)")"#,
            r#"label_join(sum(a), "pod", "", "c")"#,
            r#"count_values("pod", a)"#,
            "histogram_quantile(0.9, sum by (le, pod) (rate(a[5m])))",
            "a * on (job) sum by (job) (b) or a",
        ] {
            assert_eq!(lost(query, "pod"), None, "{query}");
        }
    }

    #[test]
    fn the_part_that_loses_it_is_named() {
        let lost = lost("max by (pod) (sum by (job) (a))", "pod");
        assert_eq!(lost.as_deref(), Some("sum by (job) (a)"));
    }

    #[test]
    fn selectors_are_read_with_what_is_around_them() {
        let query = r#"sum(rate(a_total{x="1",y!~"2|3"}[5m])) / {__name__="b",z=~".+"}"#;
        let tree = syntax(query).unwrap();
        let reads = reads(&tree);
        let names: Vec<_> = reads.iter().map(Read::name).collect();
        assert_eq!(names, [Some("a_total"), Some("b")]);
        assert_eq!(reads[0].inside, ["sum", "rate"]);
        assert!(reads[1].inside.is_empty());
        let texts = |read: &Read<'_>| {
            let matchers = read.matchers();
            matchers.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(texts(&reads[0]), [r#"x="1""#, r#"y!~"2|3""#]);
        assert_eq!(texts(&reads[1]), [r#"z=~".+""#]);
    }
}
