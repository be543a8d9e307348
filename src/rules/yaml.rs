//! The first YAML document of a text as a tree whose every node knows its place.
//!
//! serde stops at the first thing it does not like and forgets how a scalar was written. The rules
//! file needs every error at once, with its place, and Go's reading of scalars by their raw text
//! (`as: yes` is the text "yes"); so the tree is built from the parser's events. Nodes live in one
//! list and an alias is the number of the node it names: no cycle is possible, and no chain of
//! aliases costs stack.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::located::Style;

/// Index into [`Document::nodes`].
pub(super) type NodeId = usize;

/// One document.
#[derive(Debug, Default)]
pub(super) struct Document {
    nodes: Vec<Node>,
    /// `None`: the text holds no document.
    pub(super) root: Option<NodeId>,
    /// Where something follows the first document. Go never looks there.
    pub(super) ignored_from: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Node {
    /// Bytes of the text; for a mapping or list its beginning only.
    pub(super) span: Range<usize>,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// `~`, `null`, nothing at all.
    Null,
    Scalar {
        text: String,
        style: Style,
        /// Not quoted and not tagged as text: may be read as a boolean or a merge key.
        plain: bool,
    },
    Mapping(Vec<(NodeId, NodeId)>),
    Sequence(Vec<NodeId>),
}

/// The text is not YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Document {
    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes
            .get(id)
            .expect("node ids must come from the same document")
    }

    #[cfg(test)]
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// Reads the first document of `text`.
pub(super) fn compose(text: &str) -> Result<Document, SyntaxError> {
    refuse_control_characters(text)?;
    let mut options = Options::default();
    options.emit_comments = false;
    let mut composer = Composer::default();
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                if composer.take(event, &span)? {
                    break;
                }
            }
            Err(error) if composer.ended => {
                composer.document.ignored_from = Some(offset(&error));
                break;
            }
            Err(error) => return Err(syntax_error(text, &error)),
        }
    }
    Ok(composer.document)
}

/// The set that libyaml, and so Go, refuses (YAML 1.1 §5.1). A parser may take NUL for the end.
fn refuse_control_characters(text: &str) -> Result<(), SyntaxError> {
    let bad = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    match text.char_indices().find(|(_, c)| bad(*c)) {
        None => Ok(()),
        Some((at, c)) => Err(SyntaxError {
            at,
            message: format!(
                "control characters are not allowed, found U+{:04X}",
                u32::from(c)
            ),
            help: Some("remove it, or write it as an escape in double quotes".into()),
        }),
    }
}

/// A collection whose end has not come yet.
struct Open {
    id: NodeId,
    anchor: usize,
    /// In a mapping: the key that waits for its value.
    key: Option<NodeId>,
}

#[derive(Default)]
struct Composer {
    document: Document,
    open: Vec<Open>,
    /// Complete nodes by the parser's anchor number.
    anchors: HashMap<usize, NodeId>,
    ended: bool,
}

impl Composer {
    /// Whether nothing more needs to be read.
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<bool, SyntaxError> {
        let place = span.byte_range().unwrap_or_default();
        if self.ended {
            return Ok(self.after_the_end(&event, place.start));
        }
        match event {
            Event::DocumentEnd => self.ended = true,
            Event::Scalar(text, style, anchor, tag) => {
                let content = scalar(&text, style, tag.as_deref(), place.start)?;
                let id = self.push(place, content);
                self.complete(id, anchor);
            }
            Event::SequenceStart(_, anchor, _) => {
                let id = self.push(place, Content::Sequence(Vec::new()));
                self.open.push(Open {
                    id,
                    anchor,
                    key: None,
                });
            }
            Event::MappingStart(_, anchor, _) => {
                let id = self.push(place, Content::Mapping(Vec::new()));
                self.open.push(Open {
                    id,
                    anchor,
                    key: None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { id, anchor, .. }) = self.open.pop() {
                    self.complete(id, anchor);
                }
            }
            Event::Alias(anchor) => {
                let id = *self.anchors.get(&anchor).ok_or_else(|| SyntaxError {
                    at: place.start,
                    message: "this alias stands inside the value that it repeats".into(),
                    help: None,
                })?;
                self.complete(id, 0);
            }
            _ => {}
        }
        Ok(false)
    }

    /// A second document with nothing in it (a `---` at the end) is no loss.
    fn after_the_end(&mut self, event: &Event<'_>, at: usize) -> bool {
        let empty = matches!(event, Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(text));
        if event.is_node() && !empty {
            self.document.ignored_from = Some(at);
        }
        self.document.ignored_from.is_some()
    }

    fn push(&mut self, span: Range<usize>, content: Content) -> NodeId {
        self.document.nodes.push(Node { span, content });
        self.document.nodes.len() - 1
    }

    /// Puts a finished node where it belongs. `anchor` is 0 for none.
    fn complete(&mut self, id: NodeId, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let Some(open) = self.open.last_mut() else {
            self.document.root = Some(id);
            return;
        };
        let end = self.document.node(id).span.end;
        let Some(parent) = self.document.nodes.get_mut(open.id) else {
            return;
        };
        match &mut parent.content {
            Content::Sequence(items) => items.push(id),
            Content::Mapping(entries) => match open.key.take() {
                Some(key) => entries.push((key, id)),
                None => {
                    // A block mapping has no bracket to show: it is shown by its first key.
                    if entries.is_empty() && parent.span.is_empty() {
                        parent.span.end = end.max(parent.span.start);
                    }
                    open.key = Some(id);
                }
            },
            _ => {}
        }
    }
}

/// yaml.v2's words for nothing (resolve.go).
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: usize,
) -> Result<Content, SyntaxError> {
    let suffix = tag.map(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:"));
    let core = suffix
        .as_ref()
        .map(|suffix| suffix.as_deref().unwrap_or("str"));
    if core == Some("binary") {
        return Err(SyntaxError {
            at,
            message: "`!!binary` values are not supported".into(),
            help: Some("write the text itself".into()),
        });
    }
    let plain = match core {
        None => style == ScalarStyle::Plain,
        Some(name) => name != "str",
    };
    if plain && is_null(text) {
        return Ok(Content::Null);
    }
    let style = match style {
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        _ => Style::Plain,
    };
    Ok(Content::Scalar {
        text: text.to_owned(),
        style,
        plain,
    })
}

fn offset(error: &ScanError) -> usize {
    error.marker().byte_offset().unwrap_or_default()
}

fn syntax_error(text: &str, error: &ScanError) -> SyntaxError {
    let at = offset(error);
    let lines = if matches!(error.kind(), ErrorKind::TabInPlainScalar) {
        2
    } else {
        1
    };
    if let Some(at) = indenting_tab(text, at, lines) {
        return SyntaxError {
            at,
            message: "this is not YAML: a tab begins the line".into(),
            help: Some("indent with spaces".into()),
        };
    }
    let help = advice(text, error.kind(), at).map(str::to_owned);
    SyntaxError {
        at,
        message: format!("this is not YAML: {}", error.kind()),
        help,
    }
}

/// The tab that indents one of the first `lines` from that of `at` on: an unquoted text that goes
/// on after a tab is blamed where it begins.
fn indenting_tab(text: &str, at: usize, lines: usize) -> Option<usize> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |at| at + 1);
    let mut begin = start;
    for line in text.get(start..)?.split_inclusive('\n').take(lines) {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        if line.get(spaces..)?.starts_with('\t') {
            return Some(begin + spaces);
        }
        begin += line.len();
    }
    None
}

/// What people meant, from 164 public rule files and the issues about them.
fn advice(text: &str, kind: &ErrorKind, at: usize) -> Option<&'static str> {
    let here = text.get(at..).unwrap_or_default();
    let before = text.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(line_start..).unwrap_or_default();
    let line = line.lines().next().unwrap_or_default();
    let advice = match kind {
        ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            "the text ends at the second double quote: put the whole value in single quotes"
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar => {
            "the text ends at the second single quote: double those inside it, as in 'it''s'"
        }
        ErrorKind::InvalidColonPlacement | ErrorKind::UnclosedFlowCollection { .. } => {
            "close the bracket, or put the value in single quotes if it is text"
        }
        ErrorKind::UnclosedQuotedScalar => "close the quote",
        ErrorKind::UnknownQuotedScalarEscape => {
            "in double quotes `\\` begins an escape: put regular expressions in single quotes"
        }
        ErrorKind::UnknownAnchor => {
            "a value that begins with `*` repeats an anchor: put it in single quotes if it is text"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put the value in single quotes",
        _ if here.starts_with(',') => "remove the comma: it separates entries in { } and [ ] only",
        ErrorKind::MappingValueNotAllowed if !key_before(text, line_start, at) => {
            "begin the keys of one mapping in the same column"
        }
        _ if line.contains("eriesQuery:") || line.contains("etricsQuery:") => {
            "put the whole value in single quotes"
        }
        ErrorKind::MappingValueNotAllowed => "put the value that holds `: ` in single quotes",
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry => {
            "begin the keys of one mapping, and the `-` of one list, in the same column"
        }
        _ => return None,
    };
    Some(advice)
}

/// Whether a key stands in the line before `at`: then what is there belongs to its value.
fn key_before(text: &str, line_start: usize, at: usize) -> bool {
    text.get(line_start..at).unwrap_or_default().contains(": ")
}
