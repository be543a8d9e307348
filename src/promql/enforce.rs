//! Matchers that every selector of every query must have.
//!
//! The syntax tree says which selectors there are and what they should become; the text is then
//! changed at those places and nowhere else, read again, and refused unless its tree is the one
//! that was wanted. So neither the reading of the text here nor a printer of trees has to be
//! believed, and what the query says besides stays as it was.
//!
//! The text that is sent leaves no room for two readings: comments are taken out, and raw strings,
//! which this parser and Prometheus do not read alike, become quoted ones beforehand.

mod splice;

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::{Expr, VectorSelector};

use super::{quote, syntax};
use splice::{Insertion, plain, spliced};

/// Puts the same matchers into each query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Enforcer {
    /// Labels, and the values that they must have.
    matchers: Vec<(String, String)>,
}

/// Why a query cannot be held to the matchers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEnforced {
    /// It is not understood.
    #[error("cannot put {matchers} into the query, for it is not understood: {cause}")]
    Syntax {
        /// What was to be put in.
        matchers: String,
        /// What the parser has against it.
        cause: String,
    },
    /// It asks for something else.
    #[error("the query asks for {asked}, and this backend is held to {enforced}")]
    Contradiction {
        /// The matcher of the query.
        asked: String,
        /// The matcher that it contradicts.
        enforced: String,
    },
    /// It reads series that no selector names.
    #[error("the query calls {0}, which reads series that no selector names: they cannot be held")]
    Unselected(String),
    /// It has alternatives in braces, which Prometheus does not know and other servers need not
    /// read as this parser does.
    #[error(
        "cannot put {0} into matchers that are joined by `or`: write one selector for each, as \
         `x{{a=\"1\"}} or x{{b=\"2\"}}`"
    )]
    Alternatives(String),
    /// What came out is not what was meant.
    #[error("cannot put {0} into the query: it would come to mean something else")]
    Unsure(String),
}

impl Enforcer {
    /// Of labels and the values that they must have.
    pub fn new(matchers: Vec<(String, String)>) -> Enforcer {
        Enforcer { matchers }
    }

    /// `query` with the matchers in each of its selectors; where there are no matchers, as it is.
    ///
    /// # Errors
    /// It cannot be shown that the result would say what it should.
    pub fn apply(&self, query: &str) -> Result<String, NotEnforced> {
        if self.matchers.is_empty() {
            return Ok(query.to_owned());
        }
        let unsure = || NotEnforced::Unsure(self.to_string());
        let plain = plain(query).ok_or_else(unsure)?;
        let mut tree = syntax(&plain).map_err(|cause| NotEnforced::Syntax {
            matchers: self.to_string(),
            cause,
        })?;
        let mut insertions = Vec::new();
        self.hold(&mut tree, &mut insertions)?;
        let enforced = spliced(&plain, &insertions).ok_or_else(unsure)?;
        let understood = syntax(&enforced).is_ok_and(|found| found == tree);
        if understood {
            Ok(enforced)
        } else {
            Err(unsure())
        }
    }

    /// Changes each selector of the tree to what it should be; says so in the order of the text.
    fn hold(&self, expr: &mut Expr, done: &mut Vec<Insertion>) -> Result<(), NotEnforced> {
        match expr {
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
            Expr::VectorSelector(selector) => self.hold_selector(selector, done),
            Expr::MatrixSelector(matrix) => self.hold_selector(&mut matrix.vs, done),
            Expr::Paren(paren) => self.hold(&mut paren.expr, done),
            Expr::Unary(unary) => self.hold(&mut unary.expr, done),
            Expr::Subquery(subquery) => self.hold(&mut subquery.expr, done),
            Expr::Binary(binary) => {
                self.hold(&mut binary.lhs, done)?;
                self.hold(&mut binary.rhs, done)
            }
            Expr::Aggregate(aggregate) => {
                if let Some(parameter) = &mut aggregate.param {
                    self.hold(parameter, done)?;
                }
                self.hold(&mut aggregate.expr, done)
            }
            // It joins `target_info`, whatever its second argument says.
            Expr::Call(call) if call.func.name == "info" => {
                Err(NotEnforced::Unselected("info()".to_owned()))
            }
            Expr::Call(call) => {
                let mut arguments = call.args.args.iter_mut();
                arguments.try_for_each(|argument| self.hold(argument, done))
            }
            Expr::Extension(extension) => {
                Err(NotEnforced::Unselected(extension.expr.name().to_owned()))
            }
        }
    }

    fn hold_selector(
        &self,
        selector: &mut VectorSelector,
        done: &mut Vec<Insertion>,
    ) -> Result<(), NotEnforced> {
        let Matchers {
            matchers,
            or_matchers,
        } = &mut selector.matchers;
        if !or_matchers.is_empty() {
            return Err(NotEnforced::Alternatives(self.to_string()));
        }
        let missing = self.missing(matchers)?;
        let texts = missing
            .iter()
            .map(|(label, value)| matcher_text(label, "=", value));
        done.push(Insertion {
            name: selector.name.clone(),
            text: texts.collect::<Vec<_>>().join(","),
        });
        let matcher =
            |(label, value): &(String, String)| Matcher::new(MatchOp::Equal, label, value);
        matchers.extend(missing.into_iter().map(matcher));
        Ok(())
    }

    /// The matchers that the selector does not have by itself. This parser reads `\xe9` in a string
    /// as a character and Prometheus as a byte: only what is ASCII is the same to both.
    fn missing(&self, matchers: &[Matcher]) -> Result<Vec<&(String, String)>, NotEnforced> {
        let mut missing = Vec::new();
        for enforced in &self.matchers {
            let (label, value) = enforced;
            let own = matchers.iter().filter(|it| it.name == *label);
            let mut there = false;
            for matcher in own {
                if !matcher.is_match(value) {
                    let asked = matcher_text(label, &matcher.op.to_string(), &matcher.value);
                    let enforced = matcher_text(label, "=", value);
                    return Err(NotEnforced::Contradiction { asked, enforced });
                }
                there |= matches!(matcher.op, MatchOp::Equal) && value.is_ascii();
            }
            if !there {
                missing.push(enforced);
            }
        }
        Ok(missing)
    }
}

impl std::fmt::Display for Enforcer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let texts = self.matchers.iter();
        let texts = texts.map(|(label, value)| matcher_text(label, "=", value));
        write!(f, "{{{}}}", texts.collect::<Vec<_>>().join(","))
    }
}

fn matcher_text(label: &str, op: &str, value: &str) -> String {
    format!("{label}{op}{}", quote(value))
}

#[cfg(test)]
mod tests;
