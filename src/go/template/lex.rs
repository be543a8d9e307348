//! Splits a template into tokens, exactly where Go does (`text/template/parse/lex.go`), with the
//! delimiters `<<` and `>>`.

use std::sync::LazyLock;

use regex::Regex;

use super::super::quote;

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Bool,
    /// A character that is nothing else, such as a comma.
    Char,
    CharConstant,
    Number,
    Assign,
    Declare,
    /// `.Name`
    Field,
    Identifier,
    LeftParen,
    RightParen,
    Pipe,
    String,
    RawString,
    /// `$` or `$name`
    Variable,
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
    Eof,
    /// Where the text cannot be split any further; the last token.
    Error,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// What stands in the template; for an error, what is wrong.
    pub(super) text: String,
    /// Byte offset in the template.
    pub(super) offset: usize,
}

/// The tokens of `input`. The last is an end or an error.
pub(super) fn tokens(input: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        input,
        start: 0,
        at: 0,
        parens: 0,
        tokens: Vec::new(),
    };
    if let Err(message) = lexer.run() {
        let offset = lexer.start;
        lexer.tokens.push(Token {
            kind: Kind::Error,
            text: message,
            offset,
        });
    }
    lexer.tokens
}

/// A letter, a digit or an underscore, as Go's `unicode` package has them.
pub(super) fn is_alphanumeric(c: char) -> bool {
    static OTHER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nd}]$").expect("a constant must compile"));
    match c.is_ascii() {
        true => c == '_' || c.is_ascii_alphanumeric(),
        false => OTHER.is_match(c.encode_utf8(&mut [0; 4])),
    }
}

const LEFT: &str = "<<";
const RIGHT: &str = ">>";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

struct Lexer<'t> {
    input: &'t str,
    /// Where the token being read starts.
    start: usize,
    at: usize,
    /// Open parentheses in this action.
    parens: usize,
    tokens: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn run(&mut self) -> Result<(), String> {
        loop {
            let Some(length) = self.rest().find(LEFT) else {
                self.at = self.input.len();
                if self.at > self.start {
                    self.emit(Kind::Text);
                }
                self.emit(Kind::Eof);
                return Ok(());
            };
            let text = &self.rest()[..length];
            let after = &self.rest()[length + LEFT.len()..];
            let trims = after.starts_with('-') && after[1..].starts_with(SPACES);
            let kept = if trims {
                text.trim_end_matches(SPACES)
            } else {
                text
            };
            if !kept.is_empty() {
                self.at += kept.len();
                self.emit(Kind::Text);
            }
            self.at = self.start + length - kept.len();
            self.start = self.at;
            self.action(trims)?;
        }
    }

    /// From the opening delimiter to behind the closing one.
    fn action(&mut self, trims: bool) -> Result<(), String> {
        self.at += LEFT.len();
        let marker = if trims { "- ".len() } else { 0 };
        if self.input[self.at + marker..].starts_with("/*") {
            self.at += marker;
            self.start = self.at;
            return self.comment();
        }
        self.emit(Kind::LeftDelim);
        self.at += marker;
        self.start = self.at;
        self.parens = 0;
        while self.right_delim().is_none() {
            self.inside()?;
        }
        if self.parens > 0 {
            return Err("unclosed left paren".to_owned());
        }
        self.close();
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        let Some(length) = self.rest()["/*".len()..].find("*/") else {
            return Err("unclosed comment".to_owned());
        };
        self.at += "/*".len() + length + "*/".len();
        if self.right_delim().is_none() {
            return Err("comment ends before closing delimiter".to_owned());
        }
        self.close();
        self.tokens.pop();
        Ok(())
    }

    /// Takes the closing delimiter, and the white space behind it if it says so.
    fn close(&mut self) {
        let trims = self.right_delim() == Some(true);
        if trims {
            self.at += " -".len();
            self.start = self.at;
        }
        self.at += RIGHT.len();
        self.emit(Kind::RightDelim);
        if trims {
            self.at += self.rest().len() - self.rest().trim_start_matches(SPACES).len();
            self.start = self.at;
        }
    }

    /// Whether the closing delimiter stands here, and if so, whether it trims.
    fn right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        let trimming = rest
            .strip_prefix(SPACES)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| rest.starts_with(RIGHT));
        match trimming {
            true => Some(true),
            false => rest.starts_with(RIGHT).then_some(false),
        }
    }

    /// One token within an action.
    fn inside(&mut self) -> Result<(), String> {
        let Some(c) = self.next() else {
            return Err("unclosed action".to_owned());
        };
        match c {
            c if SPACES.contains(&c) => {
                while self.right_delim().is_none() && self.rest().starts_with(SPACES) {
                    self.next();
                }
                self.emit(Kind::Space);
            }
            '=' => self.emit(Kind::Assign),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare),
            ':' => return Err("expected :=".to_owned()),
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string")?,
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant")?,
            '`' => self.raw_string()?,
            '$' => self.name(Kind::Variable, Kind::Variable)?,
            '.' if !self.rest().starts_with(|c: char| c.is_ascii_digit()) => {
                self.name(Kind::Field, Kind::Dot)?;
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.at = self.start;
                self.number()?;
            }
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen);
            }
            ')' => {
                self.parens = self
                    .parens
                    .checked_sub(1)
                    .ok_or_else(|| "unexpected right paren".to_owned())?;
                self.emit(Kind::RightParen);
            }
            c if is_alphanumeric(c) => self.identifier()?,
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => {
                return Err(format!(
                    "unrecognized character in action: {}",
                    code_point(c)
                ));
            }
        }
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), String> {
        self.alphanumerics();
        self.check_terminator()?;
        let kind = match &self.input[self.start..self.at] {
            "block" => Kind::Block,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "nil" => Kind::Nil,
            "range" => Kind::Range,
            "template" => Kind::Template,
            "with" => Kind::With,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    /// What follows a `.` or a `$`: a name, or nothing.
    fn name(&mut self, kind: Kind, alone: Kind) -> Result<(), String> {
        if self.at_terminator() {
            self.emit(alone);
            return Ok(());
        }
        self.alphanumerics();
        self.check_terminator()?;
        self.emit(kind);
        Ok(())
    }

    fn quoted(&mut self, end: char, kind: Kind, message: &str) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.next(), None | Some('\n')) => {}
                Some('\\' | '\n') | None => return Err(message.to_owned()),
                Some(c) if c == end => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn raw_string(&mut self) -> Result<(), String> {
        let Some(length) = self.rest().find('`') else {
            return Err("unterminated raw quoted string".to_owned());
        };
        self.at += length + 1;
        self.emit(Kind::RawString);
        Ok(())
    }

    /// Takes what may be a number; whether it is one, the parser finds out.
    fn number(&mut self) -> Result<(), String> {
        self.accept(&['+', '-'], 1);
        let mut digits = "0123456789_";
        let mut exponent: &[char] = &['e', 'E'];
        if self.accept(&['0'], 1) {
            if self.accept(&['x', 'X'], 1) {
                (digits, exponent) = ("0123456789abcdefABCDEF_", &['p', 'P']);
            } else if self.accept(&['o', 'O'], 1) {
                (digits, exponent) = ("01234567_", &[]);
            } else if self.accept(&['b', 'B'], 1) {
                (digits, exponent) = ("01_", &[]);
            }
        }
        let digits: Vec<char> = digits.chars().collect();
        self.accept(&digits, usize::MAX);
        if self.accept(&['.'], 1) {
            self.accept(&digits, usize::MAX);
        }
        if self.accept(exponent, 1) {
            self.accept(&['+', '-'], 1);
            self.accept(
                &['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '_'],
                usize::MAX,
            );
        }
        if self.rest().starts_with(is_alphanumeric) {
            self.next();
            return Err(format!(
                "bad number syntax: {}",
                quote(&self.input[self.start..self.at])
            ));
        }
        self.emit(Kind::Number);
        Ok(())
    }

    /// Takes up to `most` characters of `set`; whether there was one.
    fn accept(&mut self, set: &[char], most: usize) -> bool {
        let count = self
            .rest()
            .chars()
            .take(most)
            .take_while(|c| set.contains(c))
            .count();
        self.at += count;
        count > 0
    }

    fn alphanumerics(&mut self) {
        let rest = self.rest();
        self.at += rest.find(|c| !is_alphanumeric(c)).unwrap_or(rest.len());
    }

    /// Whether a name may end here.
    fn at_terminator(&self) -> bool {
        const ENDS: [char; 10] = [' ', '\t', '\r', '\n', '.', ',', '|', ':', ')', '('];
        self.rest().is_empty() || self.rest().starts_with(ENDS) || self.rest().starts_with(RIGHT)
    }

    fn check_terminator(&self) -> Result<(), String> {
        match self.rest().chars().next() {
            Some(c) if !self.at_terminator() => Err(format!("bad character {}", code_point(c))),
            _ => Ok(()),
        }
    }

    fn rest(&self) -> &'t str {
        &self.input[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn emit(&mut self, kind: Kind) {
        let text = self.input[self.start..self.at].to_owned();
        self.tokens.push(Token {
            kind,
            text,
            offset: self.start,
        });
        self.start = self.at;
    }
}

/// `U+002D '-'`: Go's `%#U`.
fn code_point(c: char) -> String {
    match c.is_control() {
        true => format!("U+{:04X}", u32::from(c)),
        false => format!("U+{:04X} '{c}'", u32::from(c)),
    }
}
