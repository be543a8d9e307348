//! Walks a YAML tree as Go's yaml.v2 fills structs (`decode.go`, strict), noting every mistake.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::Code;
use super::located::Located;
use super::report::{Report, quoted};
use super::yaml::{Content, Document, NodeId};

/// Merge keys inside merged mappings are followed this deep.
const MAX_MERGES: usize = 32;

pub(super) struct Reader<'a, 't> {
    document: &'a Document,
    report: &'a mut Report<'t>,
    /// How much more may be taken out of the tree, in bytes of text and one for each value: with
    /// aliases a few lines can stand for billions.
    budget: usize,
    merges: usize,
    /// Fields of the whole file with the mapping they belong to, to help when one is misplaced.
    homes: &'a [(&'a [&'a str], &'a str)],
    /// Whether what is read may hold secrets: then no value is repeated in a message.
    guarded: bool,
    /// Values that may be secrets.
    hidden: HashSet<NodeId>,
}

/// What a mapping is made of.
enum Entry {
    Field(NodeId, NodeId),
    /// A mapping that a merge key (`<<`) brings in at this point.
    Merged(NodeId),
}

impl<'a, 't> Reader<'a, 't> {
    pub(super) fn new(
        document: &'a Document,
        report: &'a mut Report<'t>,
        homes: &'a [(&'a [&'a str], &'a str)],
    ) -> Self {
        let budget = report
            .text()
            .len()
            .saturating_mul(10)
            .saturating_add(1_000_000);
        Reader {
            document,
            report,
            budget,
            merges: 0,
            homes,
            guarded: false,
            hidden: HashSet::new(),
        }
    }

    pub(super) fn span(&self, id: NodeId) -> Range<usize> {
        self.document.node(id).span.clone()
    }

    /// Reads something that may hold secrets: where it is not as it should be, its values are shown
    /// neither in messages nor in code frames.
    pub(super) fn guarded(&mut self, read: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.guarded, true);
        read(self);
        self.guarded = before;
    }

    /// This value and all values in it are shown nowhere, nor is what may be one by mistake.
    pub(super) fn hide(&mut self, id: NodeId) {
        let mut left = vec![id];
        while let Some(id) = left.pop() {
            if !self.hidden.insert(id) {
                continue;
            }
            match self.content(id) {
                Content::Null => {}
                Content::Scalar { .. } => self.report.hide(self.document.node(id).span.clone()),
                Content::Mapping(entries) => {
                    let mistaken =
                        |(key, value): &&(NodeId, NodeId)| self.is_mistaken(*key, *value);
                    left.extend(entries.iter().filter(mistaken).map(|(key, _)| key));
                    left.extend(entries.iter().map(|(_, value)| value));
                }
                Content::Sequence(items) => left.extend(items),
            }
        }
    }

    /// Whether a key may be more than one: without a space after its colon, `KEY:VALUE` is a key
    /// without a value.
    pub(super) fn is_mistaken(&self, key: NodeId, value: NodeId) -> bool {
        self.is_null(value) || !self.scalar(key).is_some_and(is_name)
    }

    pub(super) fn is_list(&self, id: NodeId) -> bool {
        matches!(self.content(id), Content::Sequence(_))
    }

    pub(super) fn is_null(&self, id: NodeId) -> bool {
        matches!(self.content(id), Content::Null)
    }

    /// How many findings there are by now.
    pub(super) fn count(&self) -> usize {
        self.report.count()
    }

    /// The keys of a mapping that are text; none where `id` is no mapping.
    pub(super) fn keys(&self, id: NodeId) -> Vec<&'a str> {
        let Content::Mapping(entries) = self.content(id) else {
            return Vec::new();
        };
        entries
            .iter()
            .filter_map(|(key, _)| self.scalar(*key))
            .collect()
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        id: NodeId,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        let span = self.span(id);
        self.report.error(code, span, path, message, help);
    }

    /// A mapping with the fields `known`; `what` completes "expected …". Null is an empty one.
    pub(super) fn mapping(
        &mut self,
        id: NodeId,
        path: &str,
        what: &str,
        known: &[&str],
        field: &mut dyn FnMut(&mut Self, &str, NodeId, &str),
    ) {
        let mut seen = HashMap::new();
        self.each(id, path, what, &mut |me, entry| {
            let (key, value) = match entry {
                Entry::Field(key, value) => (key, value),
                Entry::Merged(target) => return me.mapping(target, path, what, known, field),
            };
            let Some(name) = me.scalar(key) else {
                let message = "a field name must be text".to_owned();
                return me.error(Code::WrongType, key, path, message, None);
            };
            let is_known = known.contains(&name);
            if !is_known || seen.contains_key(name) {
                // What is meant by it is not known, and it may be a secret.
                me.hide(value);
            }
            if !is_known && me.guarded && me.is_mistaken(key, value) {
                me.hide(key);
                let message = "unknown field, not shown: it may hold a secret".to_owned();
                let help = format!("is there a space after its colon? {}", fields(known));
                return me.error(Code::UnknownField, key, path, message, Some(help));
            }
            let path = join(path, name);
            if !is_known {
                let help = me.suggest(name, known);
                let message = format!("unknown field {}", quoted(name));
                me.error(Code::UnknownField, key, &path, message, help);
            } else if let Some(first) = seen.insert(name, key) {
                let line = me.report.line(&me.span(first));
                let help = format!("keep one of them: the other is on line {line}");
                let message = format!("`{name}` is given twice");
                me.error(Code::GivenTwice, key, &path, message, Some(help));
            } else {
                field(me, name, value, &path);
            }
        });
    }

    /// A mapping whose keys are free. Null is an empty one.
    pub(super) fn table(
        &mut self,
        id: NodeId,
        path: &str,
        what: &str,
        entry: &mut dyn FnMut(&mut Self, NodeId, NodeId),
    ) {
        self.each(id, path, what, &mut |me, item| match item {
            Entry::Field(key, value) => entry(me, key, value),
            Entry::Merged(target) => me.table(target, path, what, entry),
        });
    }

    /// A list. Null is an empty one.
    pub(super) fn sequence(
        &mut self,
        id: NodeId,
        path: &str,
        what: &str,
        item: &mut dyn FnMut(&mut Self, NodeId, &str),
    ) {
        let items = match self.content(id) {
            Content::Null => return,
            Content::Sequence(items) => items,
            _ => return self.mismatch(id, path, what),
        };
        for (index, id) in items.iter().enumerate() {
            if !self.spend(*id, 1) {
                return;
            }
            item(self, *id, &format!("{path}[{index}]"));
        }
    }

    /// Any scalar by its text; null is `None`.
    pub(super) fn text(&mut self, id: NodeId, path: &str, into: &mut Option<Located>) {
        match self.content(id) {
            Content::Null => *into = None,
            Content::Scalar { text, style, .. } if self.spend(id, text.len()) => {
                *into = Some(Located {
                    text: text.clone(),
                    span: self.span(id),
                    style: *style,
                });
            }
            Content::Scalar { .. } => {}
            _ => self.mismatch(id, path, "text"),
        }
    }

    /// A YAML 1.1 boolean as yaml.v2 reads it (`resolve.go`): unquoted only; null is `None`.
    pub(super) fn boolean(&mut self, id: NodeId, path: &str, into: &mut Option<bool>) {
        let value = match self.content(id) {
            Content::Null => return *into = None,
            Content::Scalar {
                text, plain: true, ..
            } => match text.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On"
                | "ON" => Some(true),
                "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off"
                | "OFF" => Some(false),
                _ => None,
            },
            _ => None,
        };
        match value {
            Some(value) => *into = Some(value),
            None => self.mismatch(id, path, "`true` or `false`, without quotes"),
        }
    }

    fn content(&self, id: NodeId) -> &'a Content {
        &self.document.node(id).content
    }

    /// Text as a key: yaml.v2 reads null there as "".
    fn scalar(&self, id: NodeId) -> Option<&'a str> {
        match self.content(id) {
            Content::Scalar { text, .. } => Some(text),
            Content::Null => Some(""),
            _ => None,
        }
    }

    fn each(
        &mut self,
        id: NodeId,
        path: &str,
        what: &str,
        visit: &mut dyn FnMut(&mut Self, Entry),
    ) {
        let entries = match self.content(id) {
            Content::Null => return,
            Content::Mapping(entries) => entries,
            _ => return self.mismatch(id, path, what),
        };
        for (key, value) in entries {
            if !self.spend(*key, 1) {
                return;
            }
            match self.content(*key) {
                Content::Scalar {
                    text, plain: true, ..
                } if text == "<<" => {
                    self.merge(*value, path, visit);
                }
                _ => visit(self, Entry::Field(*key, *value)),
            }
        }
    }

    /// In a list of mappings the first wins, so it comes last.
    fn merge(&mut self, id: NodeId, path: &str, visit: &mut dyn FnMut(&mut Self, Entry)) {
        let one = [id];
        let targets: &[NodeId] = match self.content(id) {
            Content::Sequence(items) => items,
            _ => &one,
        };
        if self.merges == MAX_MERGES {
            let message = format!("merge keys stand in each other more than {MAX_MERGES} deep");
            return self.error(Code::YamlLimit, id, path, message, None);
        }
        for target in targets.iter().rev() {
            if !matches!(self.content(*target), Content::Mapping(_)) {
                let message = "`<<` takes a mapping or a list of mappings".to_owned();
                self.error(Code::WrongType, *target, path, message, None);
                continue;
            }
            self.merges += 1;
            visit(self, Entry::Merged(*target));
            self.merges -= 1;
        }
    }

    fn spend(&mut self, id: NodeId, cost: usize) -> bool {
        if self.budget > 0 && self.budget <= cost {
            let message = "aliases repeat too much of this file".to_owned();
            self.error(Code::YamlLimit, id, "", message, None);
        }
        self.budget = self.budget.saturating_sub(cost);
        self.budget > 0
    }

    fn mismatch(&mut self, id: NodeId, path: &str, what: &str) {
        if self.guarded {
            self.hide(id);
        }
        let span = self.span(id);
        let flow = self
            .report
            .text()
            .get(span.start..)
            .unwrap_or_default()
            .starts_with(['{', '[']);
        let (found, help) = match self.content(id) {
            Content::Null => ("nothing".to_owned(), None),
            Content::Scalar { .. } if self.guarded => ("other text".to_owned(), None),
            Content::Scalar { text, .. } => (quoted(text), None),
            Content::Mapping(_) | Content::Sequence(_) if what == "text" && flow => {
                let help = "put the value in single quotes: unquoted, `{` and `[` begin a mapping \
                            or a list";
                ("a mapping or list".to_owned(), Some(help.to_owned()))
            }
            Content::Mapping(_) => ("a mapping".to_owned(), None),
            Content::Sequence(_) => ("a list".to_owned(), None),
        };
        let message = format!("expected {what}, found {found}");
        self.error(Code::WrongType, id, path, message, help);
    }

    fn suggest(&self, name: &str, known: &[&str]) -> Option<String> {
        if let Some(nearest) = nearest(name, known) {
            return Some(format!("did you mean `{nearest}`?"));
        }
        if let Some((_, home)) = self.homes.iter().find(|(fields, _)| fields.contains(&name)) {
            return Some(format!("`{name}` belongs in {home}: check the indentation"));
        }
        Some(fields(known))
    }
}

fn fields(known: &[&str]) -> String {
    let fields: Vec<String> = known.iter().map(|field| format!("`{field}`")).collect();
    format!("the fields here are {}", fields.join(", "))
}

/// Whether `text` looks like the name of something, and may be repeated where secrets stand.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '[' | ']');
    !text.is_empty() && text.chars().all(fits)
}

/// The one of `known` that was meant, capitals aside.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = name.to_lowercase();
    let distance = |field: &str| {
        let allowed = field.len() / 4;
        (lower.len() <= field.len() + allowed)
            .then(|| strsim::damerau_levenshtein(&field.to_lowercase(), &lower))
            .filter(|distance| *distance <= allowed)
    };
    let near = known
        .iter()
        .filter_map(|field| Some((distance(field)?, *field)));
    near.min().map(|(_, nearest)| nearest)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
