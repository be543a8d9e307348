//! Which windows a query takes rates over.

use std::time::Duration;

use promql_parser::parser::Expr;

use super::syntax;

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

/// The windows of a query in which two samples must be, the shortest first. None of a query that is
/// not understood.
pub fn rate_windows(query: &str) -> Vec<Duration> {
    let mut windows = Vec::new();
    if let Ok(tree) = syntax(query) {
        collect(&tree, &mut windows);
    }
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// Recursive: [`syntax`] bounds the levels of the tree.
fn collect(it: &Expr, windows: &mut Vec<Duration>) {
    match it {
        Expr::Paren(paren) => collect(&paren.expr, windows),
        Expr::Unary(unary) => collect(&unary.expr, windows),
        Expr::Subquery(subquery) => collect(&subquery.expr, windows),
        Expr::Aggregate(aggregate) => {
            collect(&aggregate.expr, windows);
            if let Some(parameter) = &aggregate.param {
                collect(parameter, windows);
            }
        }
        Expr::Binary(binary) => {
            collect(&binary.lhs, windows);
            collect(&binary.rhs, windows);
        }
        Expr::Call(call) => {
            let wants_two = OF_TWO.contains(&call.func.name);
            for argument in &call.args.args {
                match &**argument {
                    Expr::MatrixSelector(matrix) if wants_two => windows.push(matrix.range),
                    other => collect(other, windows),
                }
            }
        }
        Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::Extension(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_rates_wherever_they_stand() {
        let seconds = |query: &str| {
            let windows = rate_windows(query);
            windows.iter().map(Duration::as_secs).collect::<Vec<_>>()
        };
        assert_eq!(seconds("sum(rate(a{b=\"c\"}[1m])) by (pod)"), [60]);
        assert_eq!(seconds("(irate(a[30s]) / -increase(b[5m])) > 1"), [30, 300]);
        assert_eq!(seconds("max_over_time(rate(a[2m])[1h:1m])"), [120]);
        assert_eq!(seconds("avg_over_time(a[15s])"), [0; 0]);
        assert_eq!(seconds("quantile(0.9, deriv(a[10m]))"), [600]);
        assert_eq!(seconds("rate(a[1m"), [0; 0]);
    }
}
