//! What a label's key and value and the name of an object may be
//! (`k8s.io/apimachinery/pkg/util/validation/validation.go`).

use std::collections::BTreeSet;

use super::{Operator, Requirement};
use crate::go::quote;

const NAME_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

/// `NewRequirement`: all that is wrong, joined as Go's error lists are.
pub(super) fn requirement(
    key: &str,
    operator: Operator,
    values: BTreeSet<&str>,
) -> Result<Requirement, String> {
    let mut errors = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if matches!(operator, Operator::GreaterThan | Operator::LessThan)
            && value.parse::<i64>().is_err()
        {
            let text = "for 'Gt', 'Lt' operators, the value must be an integer";
            errors.push(format!(
                "values[{index}]: Invalid value: {}: {text}",
                quote(value)
            ));
        }
    }
    for (index, value) in values.iter().enumerate() {
        let wrong = value_errors(value);
        if !wrong.is_empty() {
            let wrong = wrong.join("; ");
            errors.push(format!(
                "values[{index}][{key}]: Invalid value: {}: {wrong}",
                quote(value)
            ));
        }
    }
    match errors.as_slice() {
        [] => {
            let values = values.into_iter().map(str::to_owned).collect();
            Ok(Requirement {
                key: key.to_owned(),
                operator,
                values,
            })
        }
        [error] => Err(error.clone()),
        errors => Err(format!("[{}]", errors.join(", "))),
    }
}

/// `validateLabelKey`; `path` is what Go prints of the field's path.
pub(super) fn label_key(key: &str, path: &str) -> Result<(), String> {
    let wrong = key_errors(key);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{path}: Invalid value: {}: {}",
        quote(key),
        wrong.join("; ")
    ))
}

/// `IsQualifiedName`
fn key_errors(key: &str) -> Vec<String> {
    const CONSIST: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must \
        start \
        and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex \
        used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let mut errors = Vec::new();
    let mut parts = key.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(prefix), Some(name), None) => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(subdomain_errors(prefix));
            }
            name
        }
        _ => {
            let text = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a qualified name {CONSIST} {text}")];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > NAME_MAX {
        errors.push(format!(
            "name part must be no more than {NAME_MAX} characters"
        ));
    }
    if !is_name(name) {
        errors.push(format!("name part {CONSIST}"));
    }
    errors
}

/// `IsValidLabelValue`
fn value_errors(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > NAME_MAX {
        errors.push(format!("must be no more than {NAME_MAX} characters"));
    }
    if !value.is_empty() && !is_name(value) {
        errors.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', \
             '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  \
             or \
             'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    errors
}

/// `IsDNS1123Label`: what a namespace may be called.
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= NAME_MAX && is_lower_name(text)
}

/// `IsDNS1123Subdomain`: what most objects may be called. Its parts may be of any length.
pub fn is_dns_subdomain(text: &str) -> bool {
    subdomain_errors(text).is_empty()
}

fn subdomain_errors(prefix: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if prefix.len() > SUBDOMAIN_MAX {
        errors.push(format!(
            "prefix part must be no more than {SUBDOMAIN_MAX} characters"
        ));
    }
    if !prefix.split('.').all(is_lower_name) {
        errors.push(
            "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
             characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    errors
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn is_lower_name(text: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().all(|b| lower(b) || b == b'-')
        && text.bytes().next().is_some_and(lower)
        && text.bytes().last().is_some_and(lower)
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
fn is_name(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_alphanumeric();
    text.bytes().all(|b| alphanumeric(b) || b"-_.".contains(&b))
        && text.bytes().next().is_some_and(alphanumeric)
        && text.bytes().last().is_some_and(alphanumeric)
}
