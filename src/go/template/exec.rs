//! Renders a parsed template with `gotmpl`'s executor, where it differs from Go made to agree.
//!
//! The tree is rewritten once, so that the executor meets only what it does as Go does:
//! - a field is asked for by a function of ours: one that does not exist is an error (the
//!   executor prints `<no value>`), while a missing key of a map is none;
//! - `index` of a missing key gives `""`, the zero value of a map of strings;
//! - a template called without data gets none (the executor passes the caller's);
//! - each call of a template spends one step of the budget for loops, each value and the output
//!   have a greatest length: rendering ends, whatever the template says.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use gotmpl::parse::{
    ActionNode, BranchNode, CommandNode, Expr, ListNode, Node, Number, PipeNode, Pos, SmolStr,
    TemplateNode,
};
use gotmpl::{TemplateError, Value};

use super::super::quote;
use super::source::{Source, describe};
use super::{Field, Shape};

/// A template made ready to render.
pub(super) struct Program {
    name: String,
    shape: &'static Shape,
    template: gotmpl::Template,
}

/// Passes of loops and calls of templates in one rendering.
const MAX_STEPS: u64 = 100_000;

/// Bytes of a value, and of the output.
const MAX_BYTES: usize = 4 << 20;

/// Functions that only the rewritten tree can name, because of the space.
const FIELD: &str = "field of";
const BOUNDED: &str = "bounded text";
const SHOWN: &str = "shown text";
const NO_DATA: &str = "no data";

impl Program {
    pub(super) fn new(source: &Source<'_>, trees: &BTreeMap<String, ListNode>) -> Program {
        let type_name = source.shape.type_name;
        let mut template = gotmpl::Template::new(source.name)
            .max_range_iters(MAX_STEPS)
            .func("index", index)
            .func("call", call)
            .func(FIELD, move |args| field(args, type_name))
            .func(BOUNDED, bounded)
            .func(SHOWN, |args| match args {
                [Value::Function(root)] => root(&[]),
                _ => bounded(args),
            })
            .func(NO_DATA, |_| Ok(Value::Nil));
        for (name, tree) in trees {
            let rewriter = Rewriter {
                source,
                template: name,
            };
            let mut tree = rewriter.list(tree);
            tree.nodes.insert(0, step(tree.pos));
            template = template.add_parse_tree(name, tree);
        }
        Program {
            name: source.name.to_owned(),
            shape: source.shape,
            template,
        }
    }

    /// Renders with the fields of the shape, in its order. The error is Go's text.
    pub(super) fn render(&self, fields: &[Field<'_>]) -> Result<String, String> {
        let mut out = Output(String::new());
        match self
            .template
            .execute_template_fmt(&mut out, &self.name, &self.root(fields))
        {
            Ok(()) => Ok(out.0),
            Err(error) => Err(self.text(error)),
        }
    }

    /// The data as a struct, which can be asked for fields but not looped over: a function from a
    /// field's name to its value, and without a name to how Go prints the struct.
    fn root(&self, fields: &[Field<'_>]) -> Value {
        let names = self.shape.fields.iter().map(|(name, _)| *name);
        let values: Vec<(&str, Value)> = names.zip(fields.iter().map(Field::to_value)).collect();
        Value::Function(Arc::new(move |args| match args {
            [] => {
                let shown: Vec<String> = values.iter().map(|(_, v)| v.to_string()).collect();
                Ok(Value::String(format!("{{{}}}", shown.join(" ")).into()))
            }
            [Value::String(name), ..] => values
                .iter()
                .find(|(candidate, _)| *candidate == &**name)
                .map(|(_, value)| value.clone())
                .ok_or_else(|| TemplateError::Exec(String::new())),
            _ => Err(TemplateError::Exec(String::new())),
        }))
    }

    fn text(&self, error: TemplateError) -> String {
        let message = match error {
            TemplateError::Exec(message) if message.starts_with("template: ") => return message,
            TemplateError::Exec(message) => message,
            TemplateError::UndefinedTemplate(name) => {
                format!("template {} not defined", quote(&name))
            }
            TemplateError::RecursionLimit => "exceeded maximum template depth".to_owned(),
            TemplateError::RangeIterLimit => {
                format!("more than {MAX_STEPS} loop passes and template calls")
            }
            TemplateError::Write => format!("more than {MAX_BYTES} bytes of output"),
            TemplateError::NotIterable(kind) => format!("range can't iterate over a {kind}"),
            other => other.to_string(),
        };
        format!(
            "template: {0}: executing {1}: {message}",
            self.name,
            quote(&self.name)
        )
    }
}

/// A text with a greatest length.
struct Output(String);

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

impl Field<'_> {
    fn to_value(&self) -> Value {
        match self {
            Field::Text(text) => Value::String((*text).into()),
            Field::Map(map) => {
                let entry = |(k, v): (&String, &String)| {
                    (Arc::from(k.as_str()), Value::String(v.as_str().into()))
                };
                Value::Map(Arc::new(map.iter().map(entry).collect()))
            }
            Field::List(list) => Value::List(
                list.iter()
                    .map(|v| Value::String(v.as_str().into()))
                    .collect(),
            ),
        }
    }
}

struct Rewriter<'a> {
    source: &'a Source<'a>,
    /// The name of the template whose tree this is.
    template: &'a str,
}

impl Rewriter<'_> {
    fn list(&self, list: &ListNode) -> ListNode {
        ListNode {
            pos: list.pos,
            nodes: list.nodes.iter().map(|n| self.node(n)).collect(),
        }
    }

    fn node(&self, node: &Node) -> Node {
        match node {
            Node::Action(action) => {
                let mut pipe = self.pipe(&action.pipe);
                if pipe.decl.is_empty() {
                    pipe.commands.push(call_of(action.pos, SHOWN));
                }
                Node::Action(ActionNode {
                    pos: action.pos,
                    pipe,
                })
            }
            Node::If(branch) => Node::If(self.branch(branch)),
            Node::Range(branch) => Node::Range(self.branch(branch)),
            Node::With(branch) => Node::With(self.branch(branch)),
            Node::Template(call) => {
                let no_data = || PipeNode {
                    pos: call.pos,
                    decl: Vec::new(),
                    commands: vec![call_of(call.pos, NO_DATA)],
                    is_assign: false,
                };
                let pipe = call
                    .pipe
                    .as_ref()
                    .map_or_else(no_data, |pipe| self.pipe(pipe));
                Node::Template(TemplateNode {
                    pos: call.pos,
                    name: call.name.clone(),
                    pipe: Some(pipe),
                })
            }
            Node::List(list) => Node::List(self.list(list)),
            Node::Text(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => node.clone(),
        }
    }

    fn branch(&self, branch: &BranchNode) -> BranchNode {
        BranchNode {
            pos: branch.pos,
            pipe: self.pipe(&branch.pipe),
            body: self.list(&branch.body),
            else_body: branch.else_body.as_ref().map(|list| self.list(list)),
        }
    }

    fn pipe(&self, pipe: &PipeNode) -> PipeNode {
        let mut commands = Vec::with_capacity(pipe.commands.len() * 2);
        for command in &pipe.commands {
            let args: Vec<Expr> = command.args.iter().map(|arg| self.expr(arg)).collect();
            let calls = matches!(args.first(), Some(Expr::Identifier(..)));
            commands.push(CommandNode {
                pos: command.pos,
                args,
            });
            if calls {
                commands.push(call_of(command.pos, BOUNDED));
            }
        }
        PipeNode {
            pos: pipe.pos,
            decl: pipe.decl.clone(),
            commands,
            is_assign: pipe.is_assign,
        }
    }

    fn expr(&self, expr: &Expr) -> Expr {
        match expr {
            Expr::Field(pos, names) => self.field(*pos, expr, Expr::Dot(*pos), names),
            Expr::Variable(pos, name, names) if !names.is_empty() => self.field(
                *pos,
                expr,
                Expr::Variable(*pos, name.clone(), Vec::new()),
                names,
            ),
            Expr::Chain(pos, inner, names) => self.field(*pos, expr, self.expr(inner), names),
            Expr::Pipe(pos, pipe) => Expr::Pipe(*pos, self.pipe(pipe)),
            other => other.clone(),
        }
    }

    /// `.A.B` of `receiver` as a call: receiver, what an error begins with, and the names.
    fn field(&self, pos: Pos, whole: &Expr, receiver: Expr, names: &[SmolStr]) -> Expr {
        let begin = self
            .source
            .execution_error(self.template, pos.offset, &describe(whole));
        let mut args = vec![
            Expr::Identifier(pos, FIELD.into()),
            receiver,
            Expr::String(pos, begin.into()),
        ];
        args.extend(
            names
                .iter()
                .map(|name| Expr::String(pos, name.as_str().into())),
        );
        let commands = vec![CommandNode { pos, args }];
        Expr::Pipe(
            pos,
            PipeNode {
                pos,
                decl: Vec::new(),
                commands,
                is_assign: false,
            },
        )
    }
}

fn call_of(pos: Pos, function: &str) -> CommandNode {
    CommandNode {
        pos,
        args: vec![Expr::Identifier(pos, function.into())],
    }
}

/// A loop that passes once and does nothing, for what it takes off the budget.
fn step(pos: Pos) -> Node {
    let once = CommandNode {
        pos,
        args: vec![Expr::Number(pos, Number::Int(1))],
    };
    Node::Range(BranchNode {
        pos,
        pipe: PipeNode {
            pos,
            decl: Vec::new(),
            commands: vec![once],
            is_assign: false,
        },
        body: ListNode {
            pos,
            nodes: Vec::new(),
        },
        else_body: None,
    })
}

type Evaluated = Result<Value, TemplateError>;

/// Go's `evalField`: of a struct, of a map, or of no data at all.
fn field(args: &[Value], struct_name: &str) -> Evaluated {
    let [receiver, Value::String(begin), names @ ..] = args else {
        return Err(TemplateError::Exec("field without a receiver".to_owned()));
    };
    let mut value = receiver.clone();
    for name in names {
        let Value::String(key) = name else { continue };
        let found = match &value {
            Value::Function(root) => root(std::slice::from_ref(name)).ok(),
            Value::Map(map) => Some(map.get(key).cloned().unwrap_or(Value::Nil)),
            Value::Nil => Some(Value::Nil),
            _ => None,
        };
        value = found.ok_or_else(|| {
            let kind = type_name(&value, struct_name);
            TemplateError::Exec(format!("{begin}can't evaluate field {key} in type {kind}"))
        })?;
    }
    Ok(value)
}

/// Go's name for the type of a value of the template's data.
fn type_name<'n>(value: &Value, struct_name: &'n str) -> &'n str {
    match value {
        Value::Function(_) => struct_name,
        Value::Map(_) => "map[string]string",
        Value::List(_) => "[]string",
        Value::String(_) => "string",
        other => other.type_name(),
    }
}

fn bounded(args: &[Value]) -> Evaluated {
    match args {
        [Value::String(text)] if text.len() > MAX_BYTES => Err(TemplateError::Exec(format!(
            "a text of more than {MAX_BYTES} bytes"
        ))),
        [value] => Ok(value.clone()),
        _ => Err(TemplateError::Exec("one value expected".to_owned())),
    }
}

/// Go's `index`, in which a missing key of a map of strings gives the empty string.
fn index(args: &[Value]) -> Evaluated {
    let fail = |message: String| TemplateError::Exec(format!("error calling index: {message}"));
    let Some((item, indexes)) = args.split_first() else {
        return Err(fail(
            "wrong number of args for index: want at least 1 got 0".to_owned(),
        ));
    };
    let mut value = item.clone();
    for key in indexes {
        value = match (&value, key) {
            (Value::Map(map), Value::String(key)) => map
                .get(key)
                .cloned()
                .unwrap_or_else(|| Value::String("".into())),
            (Value::Map(_), key) => {
                let kind = key.type_name();
                return Err(fail(format!("value has type {kind}; should be string")));
            }
            (Value::Function(_), _) => {
                return Err(fail("can't index item of type struct".to_owned()));
            }
            (value, key) => value.index(key).map_err(|error| match error {
                TemplateError::Exec(message) => fail(message),
                other => fail(other.to_string()),
            })?,
        };
    }
    Ok(value)
}

/// Go's `call`: the data holds no functions.
fn call(args: &[Value]) -> Evaluated {
    let kind = args
        .first()
        .map_or("nil", |value| type_name(value, "struct"));
    Err(TemplateError::Exec(format!(
        "error calling call: non-function of type {kind}"
    )))
}
