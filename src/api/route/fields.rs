//! Field selectors: the grammar and error texts of `k8s.io/apimachinery/pkg/fields`, and the two
//! fields that metrics know.

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    field: String,
    value: String,
    negated: bool,
}

/// Why a field selector is refused. Texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    Term { selector: String, term: String },
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    #[error("invalid field selector: unescaped character in value: {}", u32::from(*.0))]
    Unescaped(char),
    #[error("{0:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")]
    Unknown(String),
}

/// `fields.ParseSelector`.
pub(super) fn parse(selector: &str) -> Result<Vec<Term>, Error> {
    let mut terms = split_terms(selector);
    terms.sort_unstable();
    let terms = terms.into_iter().filter(|term| !term.is_empty());
    terms.map(|term| parse_term(selector, term)).collect()
}

/// `DefaultMetaV1FieldSelectorConversion`: which fields may be selected by.
pub(super) fn check_known(terms: &[Term]) -> Result<(), Error> {
    let known = |term: &&Term| matches!(&*term.field, "metadata.name" | "metadata.namespace");
    match terms.iter().find(|term| !known(term)) {
        Some(term) => Err(Error::Unknown(term.field.clone())),
        None => Ok(()),
    }
}

/// `fields.Selector.Matches`; `namespace` is empty where there is none.
pub(super) fn matches(terms: &[Term], namespace: &str, name: &str) -> bool {
    terms.iter().all(|term| {
        let actual = match term.field.as_str() {
            "metadata.name" => name,
            "metadata.namespace" => namespace,
            _ => "",
        };
        (actual == term.value) != term.negated
    })
}

/// `RequiresExactMatch("metadata.name")`.
pub(super) fn exact_name(terms: &[Term]) -> Option<&str> {
    let exact = |term: &&Term| term.field == "metadata.name" && !term.negated;
    terms.iter().find(exact).map(|term| term.value.as_str())
}

/// Splits at commas that no backslash precedes.
fn split_terms(selector: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, byte) in selector.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                terms.extend(selector.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.extend(selector.get(start..));
    terms
}

fn parse_term(selector: &str, term: &str) -> Result<Term, Error> {
    let refuse = || Error::Term {
        selector: selector.to_owned(),
        term: term.to_owned(),
    };
    let at = term.char_indices().map(|(at, _)| at).find_map(|at| {
        let operator = ["!=", "==", "="]
            .into_iter()
            .find(|op| starts_at(term, at, op))?;
        Some((term.get(..at)?, operator, term.get(at + operator.len()..)?))
    });
    let (field, operator, value) = at.ok_or_else(refuse)?;
    let value = unescape(value)?;
    Ok(Term {
        field: field.to_owned(),
        value,
        negated: operator == "!=",
    })
}

fn starts_at(text: &str, at: usize, prefix: &str) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with(prefix))
}

/// `fields.UnescapeValue`.
fn unescape(value: &str) -> Result<String, Error> {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => text.push(c),
                Some(c) => return Err(Error::Escape(format!("\\{c}"))),
                None => return Err(Error::Escape("\\".to_owned())),
            },
            ',' | '=' => return Err(Error::Unescaped(c)),
            c => text.push(c),
        }
    }
    Ok(text)
}
