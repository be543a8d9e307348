//! Going through the tokens, and the errors about them.

use gotmpl::parse::Pos;

use super::super::super::quote;
use super::super::lex::{Kind, Token};
use super::{Failure, Parsed, Parser};

impl Parser {
    pub(super) fn expect_right_delim(&mut self, context: &str) -> Parsed<()> {
        let token = self.next_non_space();
        match token.kind {
            Kind::RightDelim => Ok(()),
            _ => self.unexpected(&token, context),
        }
    }

    pub(super) fn peek(&self) -> Token {
        let last = self
            .tokens
            .last()
            .expect("a lexer must end with a token that says so");
        self.tokens.get(self.at).unwrap_or(last).clone()
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    pub(super) fn next_non_space(&mut self) -> Token {
        self.peek_non_space();
        self.next()
    }

    /// Skips white space within an action.
    pub(super) fn peek_non_space(&mut self) -> Token {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
        self.peek()
    }

    pub(super) fn pos(&self, offset: usize) -> Pos {
        Pos::new(offset, 1 + self.lines.partition_point(|end| *end < offset))
    }

    /// An error at the token read last.
    pub(super) fn fail<T>(&self, message: &str) -> Parsed<T> {
        let last = self.at.saturating_sub(1).min(self.tokens.len() - 1);
        let offset = self.tokens.get(last).map_or(0, |token| token.offset);
        Err(Failure {
            message: message.to_owned(),
            offset,
        })
    }

    pub(super) fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        let message = match token.kind {
            Kind::Error => token.text.clone() + &self.started(token.offset, &token.text),
            _ => format!("unexpected {} in {context}", described(token)),
        };
        Err(Failure {
            message,
            offset: token.offset,
        })
    }

    /// Where the action that is in error began, if on another line.
    fn started(&self, offset: usize, message: &str) -> String {
        let line = |offset| self.pos(offset).line;
        match self.action.map(line) {
            Some(action) if action != line(offset) => {
                let noun = if message.ends_with(" action") {
                    ""
                } else {
                    " in action"
                };
                format!("{noun} started at line {action}")
            }
            _ => String::new(),
        }
    }
}

/// A token as Go's errors show it.
fn described(token: &Token) -> String {
    let keyword = matches!(
        token.kind,
        Kind::Block
            | Kind::Break
            | Kind::Continue
            | Kind::Define
            | Kind::Dot
            | Kind::Else
            | Kind::End
            | Kind::If
            | Kind::Nil
            | Kind::Range
            | Kind::Template
            | Kind::With
    );
    match token.kind {
        Kind::Eof => "EOF".to_owned(),
        _ if keyword => format!("<{}>", token.text),
        _ if token.text.chars().count() > 10 => {
            quote(&token.text.chars().take(10).collect::<String>()) + "..."
        }
        _ => quote(&token.text),
    }
}
