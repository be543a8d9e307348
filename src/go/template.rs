//! Go's `text/template` with the delimiters `<<` and `>>`, as the configuration file uses it: for
//! queries (`metricsQuery`) and for label names (`resources.template`).
//!
//! Promised: the output Go renders, or a failure where Go fails, at the same stage (reading the
//! template, or rendering it). Rendering always ends: loops, calls, texts have limits.
//! Nearly all templates are texts with plain fields and are rendered by joining pieces; the others
//! by the executor of `gotmpl`, mended where it differs from Go (`exec.rs`).
//!
//! Known to be refused though Go takes it: complex numbers, hexadecimal fractions, nesting beyond
//! 50 levels. Printing the whole data is as in Go only by itself (`<<.>>`), not through `printf`.

mod exec;
mod lex;
mod lint;
mod literal;
mod parse;
mod source;

use std::collections::BTreeMap;

use gotmpl::parse::{Expr, ListNode, Node};
use thiserror::Error;

use exec::Program;
use lint::Findings;
use source::Source;

pub use lint::Lint;
pub use source::Position;

/// Why a template cannot be read or rendered, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The template is not one: `template: NAME:LINE: …`.
    #[error("{text}")]
    Parse {
        /// Go's text.
        text: String,
        /// Where in the template.
        position: Position,
    },
    /// Rendering failed: `template: NAME:LINE:COLUMN: executing …`, the place where it is known.
    #[error("{text}")]
    Render {
        /// Go's text.
        text: String,
    },
}

/// What a query is rendered with (`queryTemplateArgs` of the Go adapter).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// `.Series`: the name of the Prometheus series; empty for resource metrics.
    pub series: String,
    /// `.LabelMatchers`: matchers joined by commas, without braces.
    pub label_matchers: String,
    /// `.LabelValuesByName`: label to values joined by `|`.
    pub label_values_by_name: BTreeMap<String, String>,
    /// `.GroupBy`: labels joined by commas.
    pub group_by: String,
    /// `.GroupBySlice`: the same labels one by one.
    pub group_by_slice: Vec<String>,
}

/// A compiled template for queries.
#[derive(Debug)]
pub struct Template(Compiled);

impl Template {
    /// Reads a template. `name` is for the error texts; the Go adapter says `metrics-query`.
    pub fn parse(name: &str, text: &str) -> Result<Template, Error> {
        Compiled::new(Source {
            name,
            text,
            shape: &QUERY,
        })
        .map(Template)
    }

    /// Renders the query. Unknown fields are an error only here, as in Go.
    pub fn render(&self, data: &Data) -> Result<String, Error> {
        self.0.render(&[
            Field::Text(&data.series),
            Field::Text(&data.label_matchers),
            Field::Map(&data.label_values_by_name),
            Field::Text(&data.group_by),
            Field::List(&data.group_by_slice),
        ])
    }

    /// Whether it is nothing but text with plain text fields: rendering then puts their values in
    /// and does nothing else.
    pub fn is_plain(&self) -> bool {
        matches!(self.0.body, Body::Segments(_))
    }

    /// What fails whenever it is rendered, such as `<<.Foo>>`, in order. It may stand in a branch
    /// that is never taken.
    pub fn lint(&self) -> &[Lint] {
        &self.0.findings.lints
    }

    /// Whether rendering may read the field, written without its dot: `LabelMatchers`. Never
    /// false for a field that is read.
    pub fn reads(&self, field: &str) -> bool {
        self.0.findings.reads.contains(field)
    }
}

/// A compiled template for label names, rendered with `.Group` and `.Resource`.
#[derive(Debug)]
pub struct LabelTemplate(Compiled);

impl LabelTemplate {
    /// Reads a template. The Go adapter's name for it in error texts is `resource-label`.
    pub fn parse(text: &str) -> Result<LabelTemplate, Error> {
        Compiled::new(Source {
            name: "resource-label",
            text,
            shape: &LABEL,
        })
        .map(LabelTemplate)
    }

    /// Renders the label of a resource; the group of the core resources is empty.
    pub fn render(&self, group: &str, resource: &str) -> Result<String, Error> {
        self.0.render(&[Field::Text(group), Field::Text(resource)])
    }

    /// As [`Template::lint`].
    pub fn lint(&self) -> &[Lint] {
        &self.0.findings.lints
    }

    /// As [`Template::reads`].
    pub fn reads(&self, field: &str) -> bool {
        self.0.findings.reads.contains(field)
    }
}

impl Error {
    /// Where in the template the error is, in bytes; `None` for an error of rendering.
    pub fn offset(&self) -> Option<usize> {
        match self {
            Error::Parse { position, .. } => Some(position.offset),
            Error::Render { .. } => None,
        }
    }
}

/// The fields a kind of template is rendered with, and what Go calls the struct of them.
struct Shape {
    type_name: &'static str,
    fields: &'static [(&'static str, FieldType)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldType {
    Text,
    Map,
    List,
}

/// The value of a field.
enum Field<'d> {
    Text(&'d str),
    Map(&'d BTreeMap<String, String>),
    List(&'d [String]),
}

const QUERY: Shape = Shape {
    type_name: "naming.queryTemplateArgs",
    fields: &[
        ("Series", FieldType::Text),
        ("LabelMatchers", FieldType::Text),
        ("LabelValuesByName", FieldType::Map),
        ("GroupBy", FieldType::Text),
        ("GroupBySlice", FieldType::List),
    ],
};

const LABEL: Shape = Shape {
    type_name: "schema.GroupResource",
    fields: &[("Group", FieldType::Text), ("Resource", FieldType::Text)],
};

/// A template of either kind.
struct Compiled {
    body: Body,
    findings: Findings,
}

enum Body {
    /// Texts and plain fields, to be joined.
    Segments(Vec<Segment>),
    Program(Box<Program>),
}

enum Segment {
    Text(String),
    /// A text field, by its place in the shape.
    Field(usize),
}

impl Compiled {
    fn new(source: Source<'_>) -> Result<Compiled, Error> {
        let trees = parse::parse(source.name, source.text).map_err(|failure| {
            let position = source.position(failure.offset);
            let (name, line) = (source.name, position.line);
            Error::Parse {
                text: format!("template: {name}:{line}: {}", failure.message),
                position,
            }
        })?;
        let body = match trees
            .get(source.name)
            .and_then(|tree| segments(tree, source.shape))
        {
            Some(segments) => Body::Segments(segments),
            None => Body::Program(Box::new(Program::new(&source, &trees))),
        };
        Ok(Compiled {
            body,
            findings: lint::inspect(&source, &trees),
        })
    }

    fn render(&self, fields: &[Field<'_>]) -> Result<String, Error> {
        let segments = match &self.body {
            Body::Segments(segments) => segments,
            Body::Program(program) => {
                return program
                    .render(fields)
                    .map_err(|text| Error::Render { text });
            }
        };
        let mut out = String::new();
        for segment in segments {
            match segment {
                Segment::Text(text) => out.push_str(text),
                Segment::Field(place) => {
                    if let Some(Field::Text(text)) = fields.get(*place) {
                        out.push_str(text);
                    }
                }
            }
        }
        Ok(out)
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled")
            .field("findings", &self.findings)
            .finish_non_exhaustive()
    }
}

/// A tree as segments, if it consists of nothing but texts and text fields.
fn segments(tree: &ListNode, shape: &Shape) -> Option<Vec<Segment>> {
    let segment = |node: &Node| match node {
        Node::Text(text) => Some(Segment::Text(text.text.to_string())),
        Node::Action(action) if action.pipe.decl.is_empty() => {
            let [command] = action.pipe.commands.as_slice() else {
                return None;
            };
            let [Expr::Field(_, names)] = command.args.as_slice() else {
                return None;
            };
            let [name] = names.as_slice() else {
                return None;
            };
            let wanted = (name.as_str(), FieldType::Text);
            shape
                .fields
                .iter()
                .position(|field| *field == wanted)
                .map(Segment::Field)
        }
        _ => None,
    };
    tree.nodes.iter().map(segment).collect()
}

#[cfg(test)]
mod tests;
