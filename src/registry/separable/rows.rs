//! What the rows of an expression have, whatever series there are.

use std::collections::BTreeSet;

use promql_parser::label::Labels;

use super::judge::has;

/// What is known of the rows of an expression.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// Whether they have the namespace's label while *one* namespace is asked for, as the series
    /// do, and no aggregation has removed it. (Asked for many, they all have it.)
    pub(super) has_namespace: bool,
    pub(super) labels: Told,
}

/// What tells the rows of an expression apart.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// Their labels and names.
    ByName,
    /// At each moment their labels.
    ByLabels(Name),
    /// These of their labels: they have no others.
    Among(BTreeSet<String>),
}

/// What rows are named. One that is here and gone may come again with another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Nothing, in Prometheus and in VictoriaMetrics.
    Nothing,
    /// All of them alike, as this expression: itself, or whatever a server makes of its name.
    As(String),
    /// Some otherwise than others.
    Various,
}

impl Rows {
    /// The same, with the name that `it` gives them.
    pub(super) fn named(self, it: impl FnOnce() -> Name) -> Rows {
        let labels = match self.labels {
            Told::ByLabels(name) => Told::ByLabels(match (name, it()) {
                (_, Name::Nothing) | (Name::Nothing, _) => Name::Nothing,
                (Name::Various, _) => Name::Various,
                (Name::As(_), name) => name,
            }),
            other => other,
        };
        Rows { labels, ..self }
    }

    /// The rows of many moments, put together: of those with the same labels each has a name.
    pub(super) fn of_many_moments(self) -> Rows {
        let labels = match self.labels {
            Told::ByLabels(Name::Various) => Told::ByName,
            other => other,
        };
        Rows { labels, ..self }
    }

    /// What `or` makes: rows of the left side, and those of the right one whose labels none of them
    /// has.
    pub(super) fn or(self, right: Rows) -> Rows {
        let labels = match (self.labels, right.labels) {
            (Told::Among(left), Told::Among(right)) => Told::Among(&left | &right),
            (Told::ByName, _) | (_, Told::ByName) => Told::ByName,
            (left, right) => Told::ByLabels(match (left.name(), right.name()) {
                (left, right) if left == right => left,
                _ => Name::Various,
            }),
        };
        Rows { labels, ..self }
    }
}

impl Told {
    fn name(self) -> Name {
        match self {
            Told::ByName => Name::Various,
            Told::ByLabels(name) => name,
            Told::Among(_) => Name::Nothing,
        }
    }
}

/// How series of both sides of an operator find each other.
#[derive(Clone, Copy)]
pub(super) enum Match<'a> {
    On(&'a Labels),
    /// By all labels but these.
    Ignoring(&'a [String]),
}

impl Match<'_> {
    /// Whether no two rows have the same match.
    pub(super) fn finds_one(self, rows: &Told) -> bool {
        match (self, rows) {
            (Match::On(on), Told::Among(labels)) => labels.iter().all(|label| has(on, label)),
            (Match::On(_), _) => false,
            (Match::Ignoring(these), Told::Among(labels)) => {
                these.iter().all(|label| !labels.contains(label))
            }
            (Match::Ignoring(these), _) => these.is_empty(),
        }
    }
}
