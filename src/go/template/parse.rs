//! Parses a template as Go does (`text/template/parse/parse.go`), into `gotmpl`'s tree.
//!
//! `gotmpl` has a parser, but it renders what Go refuses (`a<<end>>b` as `a`), accepts unclosed
//! blocks, and trims on the wrong side of a comment. A template that silently becomes another
//! query is worse than none, so the tree is built here, with Go's checks and Go's error texts:
//! functions and variables exist, blocks close, `break` is in a `range`.

mod pipeline;
mod tokens;

use std::collections::BTreeMap;

use gotmpl::parse::{ActionNode, BranchNode, ListNode, Node, Pos, TemplateNode, TextNode};

use super::super::quote;
use super::lex::{self, Kind, Token};

/// What is wrong with a template, and where.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    /// Byte offset in the template.
    pub(super) offset: usize,
}

/// The template called `name` in `text`, and those it defines, by name.
pub(super) fn parse(name: &str, text: &str) -> Result<BTreeMap<String, ListNode>, Failure> {
    let mut parser = Parser {
        tokens: lex::tokens(text),
        at: 0,
        lines: text.match_indices('\n').map(|(i, _)| i).collect(),
        action: None,
        depth: 0,
        scope: Scope::default(),
        trees: BTreeMap::new(),
    };
    let top = parser.top_level()?;
    parser.add(name.to_owned(), top)?;
    Ok(parser.trees)
}

/// Whether Go's templates have a function `name`.
pub(super) fn is_function(name: &str) -> bool {
    const FUNCTIONS: [&str; 19] = [
        "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not",
        "or", "print", "printf", "println", "slice", "urlquery",
    ];
    FUNCTIONS.binary_search(&name).is_ok()
}

/// How deep blocks and parentheses may nest, together. Parser and executor recurse.
const MAX_DEPTH: usize = 50;

struct Parser {
    tokens: Vec<Token>,
    /// The next token.
    at: usize,
    /// Where the line ends are.
    lines: Vec<usize>,
    /// The offset of the action being parsed.
    action: Option<usize>,
    depth: usize,
    scope: Scope,
    trees: BTreeMap<String, ListNode>,
}

/// What one template, as opposed to those it defines, knows.
struct Scope {
    variables: Vec<String>,
    /// How many `range`s we are in.
    ranges: usize,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope {
            variables: vec!["$".to_owned()],
            ranges: 0,
        }
    }
}

/// A node, or what ends a list of them.
enum Item {
    Node(Node),
    End,
    Else,
}

type Parsed<T> = Result<T, Failure>;

impl Parser {
    fn top_level(&mut self) -> Parsed<ListNode> {
        let mut list = self.new_list();
        while self.peek().kind != Kind::Eof {
            let before = self.at;
            if self.next().kind == Kind::LeftDelim && self.next_non_space().kind == Kind::Define {
                self.definition()?;
                continue;
            }
            self.at = before;
            match self.text_or_action()? {
                Item::Node(node) => list.nodes.push(node),
                Item::End => return self.fail("unexpected {{end}}"),
                Item::Else => return self.fail("unexpected {{else}}"),
            }
        }
        Ok(list)
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let name = self.template_name(CONTEXT)?;
        self.expect_right_delim(CONTEXT)?;
        self.separate_body(name, CONTEXT)
    }

    /// The body of a template within a template: it has variables of its own.
    fn separate_body(&mut self, name: String, context: &str) -> Parsed<()> {
        let outer = std::mem::take(&mut self.scope);
        let (body, end) = self.item_list()?;
        if let Item::Else = end {
            return self.fail(&format!("unexpected {{{{else}}}} in {context}"));
        }
        self.scope = outer;
        self.add(name, body)
    }

    /// Keeps a template under its name; of two, the one that is not blank.
    fn add(&mut self, name: String, tree: ListNode) -> Parsed<()> {
        match self.trees.get(&name) {
            Some(old) if !old.is_empty_tree() => match tree.is_empty_tree() {
                true => Ok(()),
                false => self.fail(&format!("multiple definition of template {}", quote(&name))),
            },
            _ => {
                self.trees.insert(name, tree);
                Ok(())
            }
        }
    }

    fn item_list(&mut self) -> Parsed<(ListNode, Item)> {
        self.enter()?;
        let mut list = self.new_list();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => list.nodes.push(node),
                end => {
                    self.depth -= 1;
                    return Ok((list, end));
                }
            }
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(TextNode {
                pos: self.pos(token.offset),
                text: token.text.into(),
            }))),
            Kind::LeftDelim => {
                self.action = Some(token.offset);
                let item = self.action();
                self.action = None;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        let pos = self.pos(token.offset);
        let node = match token.kind {
            Kind::Block => self.block(pos)?,
            Kind::Break => self.loop_control("{{break}}", Node::Break(pos))?,
            Kind::Continue => self.loop_control("{{continue}}", Node::Continue(pos))?,
            Kind::Else => {
                let next = self.peek_non_space().kind;
                if !matches!(next, Kind::If | Kind::With) {
                    self.expect_right_delim("else")?;
                }
                return Ok(Item::Else);
            }
            Kind::End => {
                self.expect_right_delim("end")?;
                return Ok(Item::End);
            }
            Kind::If => Node::If(self.branch("if", Kind::If, pos)?),
            Kind::Range => Node::Range(self.branch("range", Kind::Range, pos)?),
            Kind::With => Node::With(self.branch("with", Kind::With, pos)?),
            Kind::Template => self.template_call()?,
            _ => {
                self.at -= 1;
                let pipe = self.pipeline("command", Kind::RightDelim)?;
                Node::Action(ActionNode { pos, pipe })
            }
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, name: &str, node: Node) -> Parsed<Node> {
        self.expect_right_delim(name)?;
        match self.scope.ranges {
            0 => self.fail(&format!("{name} outside {{{{range}}}}")),
            _ => Ok(node),
        }
    }

    fn branch(&mut self, context: &str, kind: Kind, pos: Pos) -> Parsed<BranchNode> {
        let variables = self.scope.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let ranges = self.scope.ranges;
        self.scope.ranges += usize::from(kind == Kind::Range);
        let (body, end) = self.item_list()?;
        self.scope.ranges = ranges;
        let else_body = match end {
            Item::Else => Some(self.else_body(context, kind)?),
            _ => None,
        };
        self.scope.variables.truncate(variables);
        Ok(BranchNode {
            pos,
            pipe,
            body,
            else_body,
        })
    }

    /// What follows an `else`: a list, or directly another `if` or `with`, which then needs no
    /// `end` of its own.
    fn else_body(&mut self, context: &str, kind: Kind) -> Parsed<ListNode> {
        let mut list = self.new_list();
        let token = self.peek();
        let pos = self.pos(token.offset);
        if kind != Kind::Range && token.kind == kind {
            self.next();
            self.enter()?;
            let inner = self.branch(context, kind, pos)?;
            self.depth -= 1;
            list.nodes.push(match kind {
                Kind::If => Node::If(inner),
                _ => Node::With(inner),
            });
            return Ok(list);
        }
        match self.item_list()? {
            (list, Item::End) => Ok(list),
            _ => self.fail("expected end; found {{else}}"),
        }
    }

    /// `block "name" pipeline`: defines a template and calls it.
    fn block(&mut self, pos: Pos) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let name = self.template_name(CONTEXT)?;
        let pipe = Some(self.pipeline(CONTEXT, Kind::RightDelim)?);
        self.separate_body(name.clone(), CONTEXT)?;
        Ok(Node::Template(TemplateNode {
            pos,
            name: name.into(),
            pipe,
        }))
    }

    fn template_call(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let start = self.peek_non_space().offset;
        let pos = self.pos(start);
        let name = self.template_name(CONTEXT)?;
        let pipe = match self.next_non_space().kind {
            Kind::RightDelim => None,
            _ => {
                self.at -= 1;
                Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
            }
        };
        Ok(Node::Template(TemplateNode {
            pos,
            name: name.into(),
            pipe,
        }))
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.next_non_space();
        match token.kind {
            Kind::String | Kind::RawString => self.string(&token),
            _ => self.unexpected(&token, context),
        }
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => self.fail(&format!("nested more than {MAX_DEPTH} deep")),
            false => Ok(()),
        }
    }

    fn new_list(&mut self) -> ListNode {
        let offset = self.peek().offset;
        ListNode {
            pos: self.pos(offset),
            nodes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
