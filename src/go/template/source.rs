//! Where in a template something is, and how Go's error texts say so.

use gotmpl::parse::Expr;

use super::super::quote;
use super::Shape;

/// A place in a template's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Bytes before it.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its byte within the line, from 1.
    pub column: usize,
}

/// A template as written, and what it is rendered with.
pub(super) struct Source<'t> {
    pub(super) name: &'t str,
    pub(super) text: &'t str,
    pub(super) shape: &'static Shape,
}

impl Source<'_> {
    pub(super) fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Position {
            offset: before.len(),
            line: before.matches('\n').count() + 1,
            column: before.len() - line_start + 1,
        }
    }

    /// What Go's execution errors begin with, up to the cause: the place, the template that was
    /// being executed, and the expression in it. Go counts columns from 0.
    pub(super) fn execution_error(&self, template: &str, offset: usize, at: &str) -> String {
        let Position { line, column, .. } = self.position(offset);
        let at = match at.char_indices().nth(20) {
            Some((end, _)) => format!("{}...", &at[..end]),
            None => at.to_owned(),
        };
        let (name, column) = (self.name, column - 1);
        format!(
            "template: {name}:{line}:{column}: executing {} at <{at}>: ",
            quote(template)
        )
    }
}

/// An expression that asks for fields, as Go's errors show it.
pub(super) fn describe(expr: &Expr) -> String {
    match expr {
        Expr::Field(_, names) => format!(".{}", names.join(".")),
        Expr::Variable(_, name, names) if names.is_empty() => name.to_string(),
        Expr::Variable(_, name, names) => format!("{name}.{}", names.join(".")),
        Expr::Chain(_, _, names) => format!("(…).{}", names.join(".")),
        _ => "…".to_owned(),
    }
}
