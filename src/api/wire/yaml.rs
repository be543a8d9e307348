//! YAML as `sigs.k8s.io/yaml` writes it: the JSON form, its keys sorted, in block style.
//!
//! Promises: the bytes of `go.yaml.in/yaml/v2` (the emitter of libyaml) for what JSON can hold:
//! sequences stand at the indentation of their key, texts are plain where they can be, literal
//! blocks where they have lines, else quoted, and are folded at the first space after column 80.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// How a text is written.
mod scalar;
#[cfg(test)]
mod tests;

/// How much deeper each level stands.
const INDENT: usize = 2;

/// A longer key stands behind a `?`.
const SIMPLE_KEY_MAX: usize = 128;

/// A document, ending in a line break.
pub(in crate::api) fn write(value: &Value) -> String {
    let mut document = Document::default();
    document.value(value, 0);
    document.line();
    document.0
}

/// The document so far.
#[derive(Default)]
struct Document(String);

impl Document {
    /// A value after `key:`, `-`, or at the start; `indent` is that of a mapping that it would be.
    fn value(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.0.push_str("null"),
            Value::Bool(value) => self.0.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => self.0.push_str(&number.to_string()),
            Value::String(text) => scalar::write(text, &mut self.0, indent),
            Value::Array(items) if items.is_empty() => self.0.push_str("[]"),
            Value::Array(items) => self.sequence(items, indent),
            Value::Object(fields) if fields.is_empty() => self.0.push_str("{}"),
            Value::Object(fields) => self.mapping(fields, indent),
        }
    }

    /// The first element stands where the document ends.
    fn sequence(&mut self, items: &[Value], indent: usize) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.line();
                self.indent(indent);
            }
            self.0.push_str("- ");
            self.value(item, indent + INDENT);
        }
    }

    /// The first key stands where the document ends.
    fn mapping(&mut self, fields: &Map<String, Value>, indent: usize) {
        for (index, (key, value)) in sorted(fields).into_iter().enumerate() {
            if index > 0 {
                self.line();
                self.indent(indent);
            }
            if scalar::is_simple_key(key) {
                scalar::write_key(key, &mut self.0);
            } else {
                self.0.push_str("? ");
                scalar::write(key, &mut self.0, indent + INDENT);
                self.line();
                self.indent(indent);
            }
            self.0.push(':');
            match value {
                Value::Array(items) if !items.is_empty() => {
                    self.line();
                    self.indent(indent);
                    self.sequence(items, indent);
                }
                Value::Object(fields) if !fields.is_empty() => {
                    self.line();
                    self.indent(indent + INDENT);
                    self.mapping(fields, indent + INDENT);
                }
                value => {
                    self.0.push(' ');
                    self.value(value, indent + INDENT);
                }
            }
        }
    }

    /// Ends the line, unless a literal block has ended it.
    fn line(&mut self) {
        if !self.0.ends_with('\n') {
            self.0.push('\n');
        }
    }

    fn indent(&mut self, indent: usize) {
        self.0.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Fields in Go's order, by insertion: nothing promises that the order is one.
fn sorted(fields: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut sorted: Vec<(&str, &Value)> = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        let after = sorted.iter().rposition(|(known, _)| !is_before(key, known));
        sorted.insert(after.map_or(0, |at| at + 1), (key, value));
    }
    sorted
}

/// `keyList.Less`: letters by code, numbers by value, everything else before letters.
fn is_before(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let different = a.iter().zip(&b).position(|(a, b)| a != b);
    let Some(at) = different else {
        return a.len() < b.len();
    };
    let (left, right) = (a[at], b[at]);
    match (left.is_alphabetic(), right.is_alphabetic()) {
        (true, true) => return left < right,
        (false, false) => {}
        (_, right_is_letter) => return right_is_letter,
    }
    // A zero inside of a number is a digit like any other.
    let inside = (left == '0' || right == '0')
        && a[..at]
            .iter()
            .rev()
            .take_while(|digit| digit.is_ascii_digit())
            .any(|digit| *digit != '0');
    let number = |text: &[char]| {
        let digits = text[at..].iter().map_while(|digit| digit.to_digit(10));
        digits.fold((i64::from(inside), 0), |(number, length), digit| {
            let number = number.wrapping_mul(10).wrapping_add(digit.into());
            (number, length + 1)
        })
    };
    let ((left_number, left_length), (right_number, right_length)) = (number(&a), number(&b));
    let by_number = left_number.cmp(&right_number);
    let order = by_number.then(left_length.cmp(&right_length));
    order.then(left.cmp(&right)) == Ordering::Less
}
