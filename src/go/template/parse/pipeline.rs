//! Pipelines: declarations, commands, and the terms they are made of.

use gotmpl::parse::{CommandNode, Expr, PipeNode, SmolStr};

use super::super::super::quote;
use super::super::lex::{Kind, Token};
use super::super::literal;
use super::{Parsed, Parser, is_function};

impl Parser {
    /// A pipeline up to `end`. `context` is what it belongs to, for the error texts.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<PipeNode> {
        let start = self.peek_non_space().offset;
        let pos = self.pos(start);
        let mut pipe = PipeNode {
            pos,
            decl: Vec::new(),
            commands: Vec::new(),
            is_assign: false,
        };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                kind if starts_operand(kind) => {
                    self.at -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if pipe.commands.is_empty() {
            return self.fail(&format!("missing value for {context}"));
        }
        let later = pipe.commands.iter().zip(1..).skip(1);
        for (stage, number) in later.map(|(command, number)| (command.args.first(), number)) {
            if stage.is_some_and(is_literal) {
                return self.fail(&format!(
                    "non executable command in pipeline stage {number}"
                ));
            }
        }
        Ok(pipe)
    }

    /// `$x :=`, `$x =`, and in a range also `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut PipeNode, context: &str) -> Parsed<()> {
        while self.peek_non_space().kind == Kind::Variable {
            let before = self.at;
            let variable = self.next();
            let next = self.next_non_space();
            let is_comma = next.kind == Kind::Char && next.text == ",";
            if !is_comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                self.at = before;
                return Ok(());
            }
            pipe.decl.push(SmolStr::from(variable.text.as_str()));
            self.scope.variables.push(variable.text);
            if !is_comma {
                pipe.is_assign = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.decl.len() >= 2 {
                return self.fail(&format!("too many declarations in {context}"));
            }
            let ends = [Kind::Variable, Kind::RightDelim, Kind::RightParen];
            if !ends.contains(&self.peek_non_space().kind) {
                return self.fail("range can only initialize variables");
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<CommandNode> {
        let start = self.peek_non_space().offset;
        let pos = self.pos(start);
        let mut args = Vec::new();
        loop {
            self.peek_non_space();
            args.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                Kind::Space => {}
                Kind::RightDelim | Kind::RightParen => {
                    self.at -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        match args.is_empty() {
            true => self.fail("empty command"),
            false => Ok(CommandNode { pos, args }),
        }
    }

    /// A term with the fields asked of it.
    fn operand(&mut self) -> Parsed<Option<Expr>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let written = self
            .tokens
            .get(self.at.saturating_sub(1))
            .map_or("", |t| &t.text);
        let literal = format!("unexpected . after term {}", quote(written));
        let pos = self.pos(self.peek().offset);
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(SmolStr::from(self.next().text.trim_start_matches('.')));
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        Ok(Some(match term {
            Expr::Field(_, mut chain) => {
                chain.extend(fields);
                Expr::Field(pos, chain)
            }
            Expr::Variable(_, name, mut chain) => {
                chain.extend(fields);
                Expr::Variable(pos, name, chain)
            }
            term if is_literal(&term) => {
                return self.fail(&literal);
            }
            term => Expr::Chain(pos, Box::new(term), fields),
        }))
    }

    fn term(&mut self) -> Parsed<Option<Expr>> {
        let token = self.next_non_space();
        let pos = self.pos(token.offset);
        Ok(Some(match token.kind {
            Kind::Identifier if is_function(&token.text) => {
                Expr::Identifier(pos, token.text.into())
            }
            Kind::Identifier => {
                return self.fail(&format!("function {} not defined", quote(&token.text)));
            }
            Kind::Dot => Expr::Dot(pos),
            Kind::Nil => Expr::Nil(pos),
            Kind::Variable if self.scope.variables.contains(&token.text) => {
                Expr::Variable(pos, token.text.into(), Vec::new())
            }
            Kind::Variable => {
                return self.fail(&format!("undefined variable {}", quote(&token.text)));
            }
            Kind::Field => {
                Expr::Field(pos, vec![SmolStr::from(token.text.trim_start_matches('.'))])
            }
            Kind::Bool => Expr::Bool(pos, token.text == "true"),
            Kind::CharConstant | Kind::Number => match literal::number(&token.text) {
                Ok(number) => Expr::Number(pos, number),
                Err(message) => return self.fail(&message),
            },
            Kind::LeftParen => {
                self.enter()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                Expr::Pipe(pos, pipe)
            }
            Kind::String | Kind::RawString => Expr::String(pos, self.string(&token)?.into()),
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        }))
    }

    pub(super) fn string(&self, token: &Token) -> Parsed<String> {
        match literal::string(&token.text) {
            Some(value) => Ok(value),
            None => self.fail("invalid syntax"),
        }
    }
}

fn starts_operand(kind: Kind) -> bool {
    use Kind::{
        Bool, CharConstant, Dot, Field, Identifier, LeftParen, Nil, Number, RawString, String,
        Variable,
    };
    matches!(
        kind,
        Bool | CharConstant
            | Dot
            | Field
            | Identifier
            | LeftParen
            | Nil
            | Number
            | RawString
            | String
            | Variable
    )
}

fn is_literal(expr: &Expr) -> bool {
    use Expr::{Bool, Dot, Nil, Number, String};
    matches!(expr, Bool(..) | Dot(_) | Nil(_) | Number(..) | String(..))
}
