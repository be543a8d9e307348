//! What can be said about a template without rendering it: fields that cannot be there, and which
//! fields of the data it may read.
//!
//! Follows the types of values through the tree. Go says nothing before it renders; but the data
//! of our templates has a fixed shape, so a mistyped field is known the moment it is read.

use std::collections::{BTreeMap, BTreeSet};

use gotmpl::parse::{CommandNode, Expr, ListNode, Node, Number, PipeNode, SmolStr};

use super::super::quote;
use super::source::{Position, Source, describe};
use super::{FieldType, Shape};

/// Something that fails whenever it is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// Where it stands in the template.
    pub position: Position,
    /// The error of rendering it.
    pub text: String,
}

/// What a look through a template found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) lints: Vec<Lint>,
    /// Names of fields that may be read.
    pub(super) reads: BTreeSet<String>,
}

/// What is known of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Type {
    /// The whole data.
    Root,
    Text,
    Map,
    List,
    Int,
    Float,
    Bool,
    Unknown,
}

/// Looks through all that rendering `source` can reach.
pub(super) fn inspect(source: &Source<'_>, trees: &BTreeMap<String, ListNode>) -> Findings {
    let mut inspector = Inspector {
        source,
        template: source.name,
        reassigned: BTreeSet::new(),
        variables: Vec::new(),
        calls: vec![(source.name.to_owned(), Type::Root)],
        findings: Findings::default(),
    };
    let mut seen = BTreeSet::new();
    while let Some(call) = inspector.calls.pop() {
        let Some((name, tree)) = trees.get_key_value(&call.0) else {
            continue;
        };
        let dot = call.1;
        if !seen.insert(call) {
            continue;
        }
        inspector.template = name;
        inspector.reassigned.clear();
        collect_reassigned(tree, &mut inspector.reassigned);
        inspector.variables = vec![("$".into(), dot)];
        inspector.list(tree, dot, trees);
    }
    let mut findings = inspector.findings;
    findings.lints.sort_by_key(|lint| lint.position.offset);
    findings.lints.dedup();
    findings
}

struct Inspector<'a> {
    source: &'a Source<'a>,
    /// The template being looked through.
    template: &'a str,
    /// Variables that change their value, and perhaps its type.
    reassigned: BTreeSet<SmolStr>,
    variables: Vec<(SmolStr, Type)>,
    /// Templates to look through, and with what data.
    calls: Vec<(String, Type)>,
    findings: Findings,
}

impl Inspector<'_> {
    fn list(&mut self, list: &ListNode, dot: Type, trees: &BTreeMap<String, ListNode>) {
        for node in &list.nodes {
            self.node(node, dot, trees);
        }
    }

    fn node(&mut self, node: &Node, dot: Type, trees: &BTreeMap<String, ListNode>) {
        let variables = self.variables.len();
        match node {
            Node::Action(action) => {
                let shown = self.pipe(&action.pipe, dot);
                self.declare_one(&action.pipe, shown);
                if action.pipe.decl.is_empty() {
                    self.escapes(shown);
                }
                return;
            }
            Node::If(branch) | Node::With(branch) => {
                let value = self.pipe(&branch.pipe, dot);
                self.declare_one(&branch.pipe, value);
                let inner = if matches!(node, Node::With(_)) {
                    value
                } else {
                    dot
                };
                self.list(&branch.body, inner, trees);
                if let Some(list) = &branch.else_body {
                    self.list(list, dot, trees);
                }
            }
            Node::Range(branch) => {
                let (key, element) = match self.pipe(&branch.pipe, dot) {
                    Type::List => (Type::Int, Type::Text),
                    Type::Map => (Type::Text, Type::Text),
                    Type::Int => (Type::Int, Type::Int),
                    _ => (Type::Unknown, Type::Unknown),
                };
                match branch.pipe.decl.as_slice() {
                    [value] => self.declare(value, element),
                    [index, value] => {
                        self.declare(index, key);
                        self.declare(value, element);
                    }
                    _ => {}
                }
                self.list(&branch.body, element, trees);
                if let Some(list) = &branch.else_body {
                    self.list(list, dot, trees);
                }
            }
            Node::Template(call) => {
                let data = match &call.pipe {
                    Some(pipe) => self.pipe(pipe, dot),
                    None => Type::Unknown,
                };
                let name = call.name.as_str();
                if !trees.contains_key(name) {
                    let at = format!("{{{{template {}}}}}", quote(name));
                    let cause = format!("template {} not defined", quote(name));
                    self.lint(call.pos.offset, &at, &cause);
                }
                self.calls.push((name.to_owned(), data));
            }
            Node::List(list) => self.list(list, dot, trees),
            Node::Text(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => {}
        }
        self.variables.truncate(variables);
    }

    fn declare_one(&mut self, pipe: &PipeNode, value: Type) {
        if let [name] = pipe.decl.as_slice() {
            self.declare(name, value);
        }
    }

    fn declare(&mut self, name: &SmolStr, value: Type) {
        if self.reassigned.contains(name) {
            self.escapes(value);
            self.variables.push((name.clone(), Type::Unknown));
        } else {
            self.variables.push((name.clone(), value));
        }
    }

    /// A value goes where it is no longer followed: with the whole data, every field does.
    fn escapes(&mut self, value: Type) {
        if value == Type::Root {
            let names = self
                .source
                .shape
                .fields
                .iter()
                .map(|(name, _)| (*name).to_owned());
            self.findings.reads.extend(names);
        }
    }

    fn pipe(&mut self, pipe: &PipeNode, dot: Type) -> Type {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(command, dot, piped));
        }
        piped.unwrap_or(Type::Unknown)
    }

    fn command(&mut self, command: &CommandNode, dot: Type, piped: Option<Type>) -> Type {
        let Some((head, args)) = command.args.split_first() else {
            return Type::Unknown;
        };
        let mut types: Vec<Type> = args.iter().map(|arg| self.expr(arg, dot)).collect();
        types.extend(piped);
        for value in &types {
            self.escapes(*value);
        }
        match head {
            Expr::Identifier(_, name) => result(name, &types),
            other => self.expr(other, dot),
        }
    }

    fn expr(&mut self, expr: &Expr, dot: Type) -> Type {
        match expr {
            Expr::Dot(_) => dot,
            Expr::Field(_, names) => self.fields(expr, dot, names),
            Expr::Variable(_, name, names) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = known.map_or(Type::Unknown, |(_, value)| *value);
                self.fields(expr, value, names)
            }
            Expr::Chain(_, inner, names) => {
                let value = self.expr(inner, dot);
                self.fields(expr, value, names)
            }
            Expr::Pipe(_, pipe) => {
                let value = self.pipe(pipe, dot);
                self.declare_one(pipe, value);
                value
            }
            Expr::String(..) => Type::Text,
            Expr::Bool(..) => Type::Bool,
            Expr::Number(_, Number::Float(_)) => Type::Float,
            Expr::Number(..) => Type::Int,
            Expr::Identifier(..) | Expr::Nil(_) => Type::Unknown,
        }
    }

    /// The type of `.A.B` of a receiver.
    fn fields(&mut self, whole: &Expr, mut receiver: Type, names: &[SmolStr]) -> Type {
        for name in names {
            self.findings.reads.insert(name.to_string());
            receiver = match field_type(self.source.shape, receiver, name) {
                Some(value) => value,
                None => {
                    let kind = type_name(self.source.shape, receiver);
                    let cause = format!("can't evaluate field {name} in type {kind}");
                    self.lint(whole.pos().offset, &describe(whole), &cause);
                    return Type::Unknown;
                }
            };
        }
        receiver
    }

    fn lint(&mut self, offset: usize, at: &str, cause: &str) {
        let text = self.source.execution_error(self.template, offset, at) + cause;
        self.findings.lints.push(Lint {
            position: self.source.position(offset),
            text,
        });
    }
}

/// The type of a field. `None`: there can be no such field.
fn field_type(shape: &Shape, receiver: Type, name: &str) -> Option<Type> {
    match receiver {
        Type::Root => {
            let (_, field) = shape.fields.iter().find(|(known, _)| *known == name)?;
            Some(match field {
                FieldType::Text => Type::Text,
                FieldType::Map => Type::Map,
                FieldType::List => Type::List,
            })
        }
        // A missing key is no value at all, of which fields may be asked.
        Type::Map | Type::Unknown => Some(Type::Unknown),
        Type::Text | Type::List | Type::Int | Type::Float | Type::Bool => None,
    }
}

fn type_name(shape: &Shape, value: Type) -> &'static str {
    match value {
        Type::Root => shape.type_name,
        Type::Text => "string",
        Type::Map => "map[string]string",
        Type::List => "[]string",
        Type::Int => "int",
        Type::Float => "float64",
        Type::Bool => "bool",
        Type::Unknown => "unknown",
    }
}

/// What a function returns.
fn result(name: &str, args: &[Type]) -> Type {
    match (name, args) {
        ("html" | "js" | "print" | "printf" | "println" | "urlquery", _) => Type::Text,
        ("eq" | "ge" | "gt" | "le" | "lt" | "ne" | "not", _) => Type::Bool,
        ("len", _) => Type::Int,
        ("index", [Type::Map | Type::List, _]) => Type::Text,
        ("slice", [whole, ..]) => *whole,
        _ => Type::Unknown,
    }
}

fn collect_reassigned(list: &ListNode, names: &mut BTreeSet<SmolStr>) {
    let pipe = |pipe: &PipeNode, names: &mut BTreeSet<SmolStr>| {
        if pipe.is_assign {
            names.extend(pipe.decl.iter().cloned());
        }
    };
    for node in &list.nodes {
        match node {
            Node::Action(action) => pipe(&action.pipe, names),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                pipe(&branch.pipe, names);
                collect_reassigned(&branch.body, names);
                if let Some(list) = &branch.else_body {
                    collect_reassigned(list, names);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
