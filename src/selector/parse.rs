//! The lexer and parser of `labels/selector.go`, function by function.

use std::collections::BTreeSet;

use super::validation::{label_key, requirement};
use super::{Operator, Requirement};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Identifier,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
}

/// How `in` and `notin` are read: as operators, or as the identifiers they may also be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Operator,
    Values,
}

pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser {
        items: lex(text),
        position: 0,
    };
    let mut requirements = Vec::new();
    loop {
        match parser.look(Context::Values) {
            (Token::Identifier | Token::Not, _) => {
                let requirement = parser.requirement();
                requirements
                    .push(requirement.map_err(|e| format!("unable to parse requirement: {e}"))?);
                match parser.take(Context::Values) {
                    (Token::End, _) => return Ok(requirements),
                    (Token::Comma, _) => match parser.look(Context::Values) {
                        (Token::Identifier | Token::Not, _) => {}
                        (_, found) => {
                            return Err(format!("found '{found}', expected: identifier after ','"));
                        }
                    },
                    (_, found) => {
                        return Err(format!("found '{found}', expected: ',' or 'end of string'"));
                    }
                }
            }
            (Token::End, _) => return Ok(requirements),
            (_, found) => {
                return Err(format!(
                    "found '{found}', expected: !, identifier, or 'end of string'"
                ));
            }
        }
    }
}

fn lex(text: &str) -> Vec<(Token, &str)> {
    let mut items = Vec::new();
    // Go's lexer takes a NUL for the end.
    let mut rest = text.split('\0').next().unwrap_or_default();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let symbol = match rest.as_bytes() {
            [] => {
                items.push((Token::End, ""));
                return items;
            }
            [b'=', b'=', ..] => Some((Token::DoubleEquals, 2)),
            [b'!', b'=', ..] => Some((Token::NotEquals, 2)),
            [b'=', ..] => Some((Token::Equals, 1)),
            [b'!', ..] => Some((Token::Not, 1)),
            [b'(', ..] => Some((Token::Open, 1)),
            [b')', ..] => Some((Token::Close, 1)),
            [b',', ..] => Some((Token::Comma, 1)),
            [b'>', ..] => Some((Token::Greater, 1)),
            [b'<', ..] => Some((Token::Less, 1)),
            _ => None,
        };
        let (token, len) = symbol.unwrap_or_else(|| {
            let ends = |c: char| " \t\r\n=!(),><".contains(c);
            let len = rest.find(ends).unwrap_or(rest.len());
            match rest.get(..len) {
                Some("in") => (Token::In, len),
                Some("notin") => (Token::NotIn, len),
                _ => (Token::Identifier, len),
            }
        });
        let (literal, after) = rest.split_at(len);
        items.push((token, literal));
        rest = after;
    }
}

struct Parser<'t> {
    items: Vec<(Token, &'t str)>,
    position: usize,
}

impl<'t> Parser<'t> {
    fn look(&self, context: Context) -> (Token, &'t str) {
        let (token, literal) = self
            .items
            .get(self.position)
            .copied()
            .unwrap_or((Token::End, ""));
        match (token, context) {
            (Token::In | Token::NotIn, Context::Values) => (Token::Identifier, literal),
            _ => (token, literal),
        }
    }

    fn take(&mut self, context: Context) -> (Token, &'t str) {
        let item = self.look(context);
        self.position += 1;
        item
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (key, operator) = self.key()?;
        if let Some(operator) = operator {
            return requirement(key, operator, BTreeSet::new());
        }
        let operator = match self.take(Context::Operator) {
            (Token::In, _) => Operator::In,
            (Token::NotIn, _) => Operator::NotIn,
            (Token::Equals, _) => Operator::Equals,
            (Token::DoubleEquals, _) => Operator::DoubleEquals,
            (Token::NotEquals, _) => Operator::NotEquals,
            (Token::Greater, _) => Operator::GreaterThan,
            (Token::Less, _) => Operator::LessThan,
            (_, found) => {
                return Err(format!(
                    "found '{found}', expected: in, notin, =, ==, !=, gt, lt"
                ));
            }
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => BTreeSet::from([self.exact_value()?]),
        };
        requirement(key, operator, values)
    }

    /// The key, and the operator where it is one of the two of existence.
    fn key(&mut self) -> Result<(&'t str, Option<Operator>), String> {
        let (mut token, mut literal) = self.take(Context::Values);
        let denied = token == Token::Not;
        if denied {
            (token, literal) = self.take(Context::Values);
        }
        if token != Token::Identifier {
            return Err(format!("found '{literal}', expected: identifier"));
        }
        label_key(literal, "<nil>")?;
        let ends = matches!(self.look(Context::Values), (Token::End | Token::Comma, _));
        let operator = match (denied, ends) {
            (true, _) => Some(Operator::DoesNotExist),
            (false, true) => Some(Operator::Exists),
            (false, false) => None,
        };
        Ok((literal, operator))
    }

    fn exact_value(&mut self) -> Result<&'t str, String> {
        if let (Token::End | Token::Comma, _) = self.look(Context::Values) {
            return Ok("");
        }
        match self.take(Context::Values) {
            (Token::Identifier, literal) => Ok(literal),
            (_, found) => Err(format!("found '{found}', expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<&'t str>, String> {
        let (token, found) = self.take(Context::Values);
        if token != Token::Open {
            return Err(format!("found '{found}' expected: '('"));
        }
        match self.look(Context::Values) {
            (Token::Identifier | Token::Comma, _) => {
                let values = self.identifiers()?;
                self.take(Context::Values);
                Ok(values)
            }
            (Token::Close, _) => {
                self.take(Context::Values);
                Ok(BTreeSet::from([""]))
            }
            (_, found) => Err(format!("found '{found}', expected: ',', ')' or identifier")),
        }
    }

    /// Up to the closing parenthesis, which stays.
    fn identifiers(&mut self) -> Result<BTreeSet<&'t str>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.take(Context::Values) {
                (Token::Identifier, literal) => {
                    values.insert(literal);
                    match self.look(Context::Values) {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => return Ok(values),
                        (_, found) => {
                            return Err(format!("found '{found}', expected: ',' or ')'"));
                        }
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.insert("");
                    }
                    match self.look(Context::Values) {
                        (Token::Close, _) => {
                            values.insert("");
                            return Ok(values);
                        }
                        (Token::Comma, _) => {
                            self.take(Context::Values);
                            values.insert("");
                        }
                        _ => {}
                    }
                }
                (_, found) => return Err(format!("found '{found}', expected: ',', or identifier")),
            }
        }
    }
}
