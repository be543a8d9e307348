//! The series that a query reads, as far as its text says.

use std::time::Duration;

use crate::promql::{Matching, label_text, quote, reads, syntax, with_matchers};

/// Selectors of one query that are looked into.
const SERIES_MAX: usize = 3;

/// Series of one name, as one selector of a query reads them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    name: String,
    /// What the selector wants of labels that do not name what is asked about.
    own: Vec<String>,
    /// Whether it wants the object, and the namespace, that are asked about.
    pub(super) wants_object: bool,
    pub(super) wants_namespace: bool,
    /// The window in which each must have two samples.
    pub(super) window: Option<Duration>,
}

impl Series {
    /// Those that a query reads by name, where `object` and `namespace` are the labels that name
    /// what is asked about. None of a query that is not understood.
    pub(super) fn of(promql: &str, object: Option<&str>, namespace: Option<&str>) -> Vec<Series> {
        let Ok(tree) = syntax(promql) else {
            return Vec::new();
        };
        let mut found: Vec<Series> = Vec::new();
        for read in reads(&tree) {
            let Some(name) = read.name() else { continue };
            let matchers = read.matchers();
            let chooses = |it: &Matching, label: Option<&str>| {
                matches!(it.operator, "=" | "=~") && label == Some(it.label.as_str())
            };
            let wants = |label| matchers.iter().any(|it| chooses(it, label));
            let own = matchers
                .iter()
                .filter(|it| !chooses(it, object) && !chooses(it, namespace));
            let series = Series {
                name: name.to_owned(),
                own: own.map(text).collect(),
                wants_object: wants(object),
                wants_namespace: wants(namespace),
                window: read.window_of_two(),
            };
            if !found.contains(&series) {
                found.push(series);
            }
        }
        found.truncate(SERIES_MAX);
        found
    }

    /// All of this name.
    pub(super) fn bare(&self) -> String {
        with_matchers(&self.name, &[])
    }

    /// What the selector wants of them, whatever is asked about.
    pub(super) fn own(&self) -> &[String] {
        &self.own
    }

    /// Those that the selector reads, of these values of labels.
    pub(super) fn with(&self, labels: &[(&str, &str)]) -> String {
        let labels = labels
            .iter()
            .map(|(label, value)| format!("{}={}", label_text(label), quote(value)));
        let matchers: Vec<String> = self.own.iter().cloned().chain(labels).collect();
        with_matchers(&self.name, &matchers)
    }
}

fn text(it: &Matching) -> String {
    format!(
        "{}{}{}",
        label_text(&it.label),
        it.operator,
        quote(&it.value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_about_is_told_from_what_the_query_wants_itself() {
        let query = r#"sum(rate(a_total{code!="500",ns="shop",pod=~"x|y"}[1m])) by (pod)
            / on (pod) group_left b{ns="shop"} * c"#;
        let [a, b, c] = Series::of(query, Some("pod"), Some("ns"))
            .try_into()
            .unwrap();
        assert_eq!((a.wants_object, a.wants_namespace), (true, true));
        assert_eq!((b.wants_object, b.wants_namespace), (false, true));
        assert_eq!((c.wants_object, c.wants_namespace), (false, false));
        assert_eq!(a.window, Some(Duration::from_secs(60)));
        assert_eq!((b.window, c.window), (None, None));
        assert_eq!(a.bare(), "a_total");
        assert_eq!(a.own(), [r#"code!="500""#]);
        assert_eq!(a.with(&[]), r#"a_total{code!="500"}"#);
        assert_eq!(
            a.with(&[("ns", "shop"), ("a.b", "\"")]),
            r#"a_total{code!="500",ns="shop","a.b"="\""}"#
        );
        assert_eq!(b.with(&[]), "b");
    }

    #[test]
    fn a_query_that_is_not_understood_reads_nothing_that_is_known() {
        assert_eq!(Series::of("sum(a", None, None), []);
        assert_eq!(Series::of("{job=\"x\"}", None, None), []);
        let twice = Series::of("a / (a + a)", None, None);
        assert_eq!(twice.len(), 1);
    }
}
