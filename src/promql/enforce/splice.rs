//! Changes the text of a query at its selectors, and nowhere else.
//!
//! Which words are selectors is known from the tree; here they are only found again, one after the
//! other. Where that goes wrong the result is another query, and the caller sees that.

use super::quote;

/// What one selector becomes, in the order of the text.
#[derive(Debug)]
pub(super) struct Insertion {
    /// The name before its braces, if there is one.
    pub(super) name: Option<String>,
    /// What is added to its matchers.
    pub(super) text: String,
}

/// A piece of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Space(&'t str),
    Comment,
    Text(&'t str),
    /// Without its backquotes.
    Raw(&'t str),
    Word(&'t str),
    /// Begins with a digit: a number or a duration.
    Number(&'t str),
    Other(char),
}

/// The same query without comments and raw strings. `None` where a string has no end.
pub(super) fn plain(query: &str) -> Option<String> {
    let mut plain = String::with_capacity(query.len());
    for token in tokens(query)? {
        match token {
            Token::Comment => plain.push(' '),
            Token::Raw(raw) => plain.push_str(&quote(raw)),
            token => push(&mut plain, token),
        }
    }
    Some(plain)
}

/// `query` with the insertions; `None` where its selectors are not found again.
pub(super) fn spliced(query: &str, insertions: &[Insertion]) -> Option<String> {
    let tokens = tokens(query)?;
    let mut out = String::with_capacity(query.len() * 2);
    let mut wanted = insertions.iter();
    let mut next = wanted.next();
    let mut labels = Labels::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at).copied() {
        let is_next = |name: &str| next.is_some_and(|it| it.name.as_deref() == Some(name));
        let follows = after_space(&tokens, at + 1);
        match token {
            Token::Other('{') => {
                at = braces(&tokens, at, &next?.text, &mut out)?;
                next = wanted.next();
                continue;
            }
            Token::Word(word)
                if is_next(word) && !labels.inside() && follows != Some(Token::Other('(')) =>
            {
                out.push_str(word);
                if follows != Some(Token::Other('{')) {
                    let text = &next?.text;
                    if !text.is_empty() {
                        out.push('{');
                        out.push_str(text);
                        out.push('}');
                    }
                    next = wanted.next();
                }
            }
            token => push(&mut out, token),
        }
        labels.see(token);
        at += 1;
    }
    next.is_none().then_some(out)
}

/// Copies the braces that open at `at` with the insertion; gives the place after them.
fn braces(tokens: &[Token<'_>], mut at: usize, text: &str, out: &mut String) -> Option<usize> {
    let mut last = Token::Other('{');
    loop {
        let token = tokens.get(at).copied()?;
        if token == Token::Other('}') && !text.is_empty() {
            let first = matches!(last, Token::Other('{' | ','));
            out.push_str(if first { "" } else { "," });
            out.push_str(text);
        }
        push(out, token);
        at += 1;
        if token == Token::Other('}') {
            return Some(at);
        }
        if !matches!(token, Token::Space(_)) {
            last = token;
        }
    }
}

/// Whether the words are names of labels: between the parentheses after `by`, `on` and their like.
#[derive(Default)]
struct Labels {
    announced: bool,
    inside: bool,
}

impl Labels {
    fn inside(&self) -> bool {
        self.inside
    }

    fn see(&mut self, token: Token<'_>) {
        const BEFORE: [&str; 6] = [
            "by",
            "without",
            "on",
            "ignoring",
            "group_left",
            "group_right",
        ];
        match token {
            Token::Space(_) | Token::Comment => {}
            Token::Other('(') if self.announced => (self.announced, self.inside) = (false, true),
            Token::Other(')') => self.inside = false,
            Token::Word(word) if !self.inside => {
                self.announced = BEFORE.iter().any(|it| it.eq_ignore_ascii_case(word));
            }
            _ => self.announced = false,
        }
    }
}

fn after_space<'t>(tokens: &[Token<'t>], from: usize) -> Option<Token<'t>> {
    let rest = tokens.get(from..)?;
    let mut solid = rest
        .iter()
        .filter(|token| !matches!(token, Token::Space(_)));
    solid.next().copied()
}

fn push(out: &mut String, token: Token<'_>) {
    match token {
        Token::Space(text) | Token::Text(text) | Token::Word(text) | Token::Number(text) => {
            out.push_str(text);
        }
        Token::Raw(text) => {
            out.push('`');
            out.push_str(text);
            out.push('`');
        }
        Token::Comment => {}
        Token::Other(c) => out.push(c),
    }
}

/// Splits a query; `None` where a string has no end.
fn tokens(query: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let (token, len) = match first {
            '#' => {
                let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
                (Token::Comment, end)
            }
            '`' => {
                let len = rest[1..].find('`')? + 2;
                (Token::Raw(&rest[1..len - 1]), len)
            }
            '"' | '\'' => {
                let len = quoted_len(rest, first)?;
                (Token::Text(&rest[..len]), len)
            }
            c if c.is_ascii_whitespace() => {
                let len = run(rest, |c| c.is_ascii_whitespace());
                (Token::Space(&rest[..len]), len)
            }
            c if c.is_ascii_digit() => {
                let len = run(rest, |c| {
                    c.is_ascii_alphanumeric() || matches!(c, '.' | '_')
                });
                (Token::Number(&rest[..len]), len)
            }
            c if c.is_ascii_alphabetic() || matches!(c, '_' | ':') => {
                let len = run(rest, |c| {
                    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
                });
                (Token::Word(&rest[..len]), len)
            }
            c => (Token::Other(c), c.len_utf8()),
        };
        tokens.push(token);
        rest = &rest[len..];
    }
    Some(tokens)
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// The length of the string at the start of `text`, quotes included.
fn quoted_len(text: &str, quote: char) -> Option<usize> {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}
