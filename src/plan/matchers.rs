//! What a query may use of an ask: matchers as text, and values by label.

use std::collections::BTreeMap;

use super::Error;
use crate::promql::{alternatives, is_label_name, quote};
use crate::selector::{Operator, Requirement, Selector};

/// `.LabelMatchers` and `.LabelValuesByName` as they grow.
#[derive(Debug, Default)]
pub(super) struct Matchers {
    pub(super) texts: Vec<String>,
    pub(super) values: BTreeMap<String, String>,
    /// Of the namespace and the objects, as the path has them.
    names: Vec<String>,
}

impl Matchers {
    pub(super) fn of(selector: &Selector) -> Result<Matchers, Error> {
        let mut matchers = Matchers::default();
        for requirement in selector.requirements() {
            matchers.require(requirement)?;
        }
        Ok(matchers)
    }

    /// `processQueryParts` of the Go adapter, one requirement at a time.
    fn require(&mut self, requirement: &Requirement) -> Result<(), Error> {
        let label = &requirement.key;
        if !is_label_name(label) {
            return Err(Error::Label(label.clone()));
        }
        let first = || requirement.values.first().map_or("", String::as_str);
        let (operator, value) = match requirement.operator {
            Operator::Equals | Operator::DoubleEquals => ("=", first().to_owned()),
            Operator::NotEquals => ("!=", first().to_owned()),
            Operator::In => ("=~", alternatives(&requirement.values)),
            Operator::NotIn => ("!~", alternatives(&requirement.values)),
            Operator::Exists => ("!=", String::new()),
            Operator::DoesNotExist => ("=", String::new()),
            Operator::GreaterThan => return Err(Error::Operator(">")),
            Operator::LessThan => return Err(Error::Operator("<")),
        };
        self.texts
            .push(format!("{label}{operator}{}", quote(&value)));
        self.values
            .insert(label.clone(), requirement.values.join("|"));
        Ok(())
    }

    pub(super) fn equal(&mut self, label: &str, value: &str) {
        self.texts.push(format!("{label}={}", quote(value)));
        self.values.insert(label.to_owned(), value.to_owned());
        self.names.push(value.to_owned());
    }

    pub(super) fn one_of(&mut self, label: &str, values: &[String]) {
        if let [value] = values {
            return self.equal(label, value);
        }
        self.texts
            .push(format!("{label}=~{}", quote(&alternatives(values))));
        self.values.insert(label.to_owned(), values.join("|"));
        self.names.extend_from_slice(values);
    }

    /// Any value, so that rows without the label are left out.
    pub(super) fn present(&mut self, label: &str) {
        self.texts.push(format!("{label}!=\"\""));
    }

    /// `.LabelValuesByName` goes into the query unquoted, and names come from a path that anyone
    /// may write who may read metrics of one namespace: nothing in them may end a string or a
    /// selector, or be a pattern. Selector values cannot, by their own grammar.
    pub(super) fn check_names(&self) -> Result<(), Error> {
        let is_safe = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
        let unsafe_name = |name: &&String| *name != "*" && !name.chars().all(is_safe);
        match self.names.iter().find(unsafe_name) {
            Some(name) => Err(Error::UnsafeValue(name.clone())),
            None => Ok(()),
        }
    }
}
