//! Label selectors: `app=web,tier in (front,back),!canary`.
//!
//! Grammar, order and error texts are apimachinery's
//! (`k8s.io/apimachinery/pkg/labels/selector.go`), so that a selector means here what it means
//! everywhere in Kubernetes, and a mistake reads the same.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

mod parse;
mod validation;
#[cfg(test)]
mod tests;

pub use validation::{is_dns_label, is_dns_subdomain};

/// Requirements that all must hold; none holds for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What must hold.
    pub operator: Operator,
    /// Sorted, without repetition. One for the operators that compare, none for the two of
    /// existence.
    pub values: Vec<String>,
}

/// What a requirement asks of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equals,
    /// `==`
    DoubleEquals,
    /// `!=`; holds without the label, too.
    NotEquals,
    /// `in (…)`
    In,
    /// `notin (…)`; holds without the label, too.
    NotIn,
    /// `KEY`
    Exists,
    /// `!KEY`
    DoesNotExist,
    /// `>`, of whole numbers.
    GreaterThan,
    /// `<`, of whole numbers.
    LessThan,
}

/// Why a text is no selector, in apimachinery's words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ParseError(String);

impl Selector {
    /// Parses a selector; the empty text holds for everything. Requirements are sorted by key.
    pub fn parse(text: &str) -> Result<Selector, ParseError> {
        let mut requirements = parse::requirements(text).map_err(ParseError)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Selector { requirements })
    }

    /// Sorted by key; those of one key in the order in which they were written.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether it holds for everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether it holds for an object with these labels.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.holds(|key| labels.get(key).map(String::as_str))
    }

    /// Whether it holds for an object whose label of a key has this value.
    pub fn holds<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(value_of(&requirement.key)))
    }
}

impl Requirement {
    /// Whether it holds where its label has this value, or is missing.
    fn holds(&self, value: Option<&str>) -> bool {
        let listed = || {
            value.is_some_and(|value| {
                let found = self.values.binary_search_by(|it| it.as_str().cmp(value));
                found.is_ok()
            })
        };
        let numbers = || {
            let value: i64 = value?.parse().ok()?;
            let bound: i64 = self.values.first()?.parse().ok()?;
            Some((value, bound))
        };
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => listed(),
            Operator::NotEquals | Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => numbers().is_some_and(|(value, bound)| value > bound),
            Operator::LessThan => numbers().is_some_and(|(value, bound)| value < bound),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}
