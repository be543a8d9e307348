//! What is wrong with a rules file, and how it is shown.
//!
//! A [`Finding`] names a place, the field, what is wrong and what to write instead.
//! [`render_findings`] prints findings as code frames. Nothing here knows what a rule is.

use std::ops::Range;

use super::Code;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// More findings than this are not written out: such a file is not a rules file.
const MAX_FINDINGS: usize = 100;

/// Longest piece of the file's own text repeated in a message, in characters.
const MAX_QUOTED: usize = 60;

/// Code frames are cut at this width, so that a line of a megabyte does not fill a log.
const FRAME_WIDTH: usize = 140;

/// May begin a file; it stands for nothing.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Whether the file can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file loads, but this part of it cannot do what it seems to.
    Warning,
    /// Good to know; nothing is wrong.
    Note,
}

/// One thing wrong with a rules file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// What kind of finding it is.
    pub code: Code,
    /// Line of the file, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The field, as `rules[2].metricsQuery`; empty for the file as a whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be said.
    pub help: Option<String>,
    /// The bytes of the file it is about.
    pub span: Range<usize>,
    /// Bytes of its lines that may be secrets: a frame shows asterisks in their place.
    pub hidden: Vec<Range<usize>>,
}

impl Finding {
    /// A finding about the bytes `span` of `text`; a span outside of it is moved inside.
    pub fn new(
        severity: Severity,
        code: Code,
        text: &str,
        span: Range<usize>,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Finding {
        let start = boundary(text, span.start);
        let end = boundary(text, span.end).max(start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let on_line = before.get(line_start..).unwrap_or_default();
        Finding {
            severity,
            code,
            line: before.matches('\n').count() + 1,
            column: on_line.trim_start_matches(BYTE_ORDER_MARK).chars().count() + 1,
            field: field.into(),
            message: one_line(&message.into()),
            help: None,
            span: start..end,
            hidden: Vec::new(),
        }
    }

    /// The same finding with what to write instead.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Finding {
        Finding {
            help: Some(help.into()),
            ..self
        }
    }
}

/// `findings` about `text` as code frames, in the order given; `file_name` is shown as it stands.
/// The frame shows the lines concerned, so `text` must be what the findings were made from.
pub fn render_findings(findings: &[Finding], text: &str, file_name: &str, color: bool) -> String {
    render(findings, text, file_name, color, false)
}

/// The same, with the [`Code`] of each.
pub fn render_with_codes(findings: &[Finding], text: &str, file_name: &str, color: bool) -> String {
    render(findings, text, file_name, color, true)
}

fn render(
    findings: &[Finding],
    text: &str,
    file_name: &str,
    color: bool,
    with_codes: bool,
) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.term_width(FRAME_WIDTH);
    let frames: Vec<String> = findings
        .iter()
        .map(|finding| frame(&renderer, finding, text, file_name, with_codes))
        .collect();
    frames.join("\n\n")
}

/// The last place at or before `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn frame(
    renderer: &Renderer,
    finding: &Finding,
    text: &str,
    file_name: &str,
    with_code: bool,
) -> String {
    let start = boundary(text, finding.span.start);
    let before = text.get(..start).unwrap_or_default();
    let mark = if text.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len_utf8()
    } else {
        0
    };
    let first = before.rfind('\n').map_or(mark, |at| at + 1).min(start);
    let rest = text.get(start..).unwrap_or_default();
    let last = rest.find('\n').map_or(text.len(), |at| start + at);
    let source = text
        .get(first..last)
        .unwrap_or_default()
        .trim_end_matches('\r');
    let source = &masked(source, first, &finding.hidden);
    // A frame shows one line: the rest of a long value adds nothing to where it begins.
    let begin = (start - first).min(source.len());
    let end = finding
        .span
        .end
        .saturating_sub(first)
        .clamp(begin, source.len());
    let mut annotation = AnnotationKind::Primary.span(begin..end);
    if !finding.field.is_empty() {
        annotation = annotation.label(finding.field.as_str());
    }
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let snippet = Snippet::source(source)
        .line_start(finding.line)
        .path(file_name)
        .annotation(annotation);
    let mut title = level.primary_title(finding.message.as_str());
    if with_code {
        title = title.id(finding.code.slug());
    }
    let mut group: Group<'_> = title.element(snippet);
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// `source`, which begins at the byte `first` of its file, with asterisks in the place of the bytes
/// `hidden` of that file: as many, so that what is pointed at stays where it is.
fn masked(source: &str, first: usize, hidden: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(source.len());
    for (at, c) in source.char_indices() {
        if hidden.iter().any(|hidden| hidden.contains(&(first + at))) {
            shown.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Collects the findings of one file.
#[derive(Debug)]
pub(super) struct Report<'t> {
    text: &'t str,
    /// Where each line but the first begins.
    lines: Vec<usize>,
    findings: Vec<Finding>,
    left_out: usize,
    errors: usize,
    /// What no frame shows.
    hidden: Vec<Range<usize>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Report<'t> {
        let lines = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Report {
            text,
            lines,
            findings: Vec::new(),
            left_out: 0,
            errors: 0,
            hidden: Vec::new(),
        }
    }

    /// No frame of this file shows these bytes.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// What no frame shows.
    pub(super) fn hidden(&self) -> &[Range<usize>] {
        &self.hidden
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// The line of the file where `span` begins, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.lines.partition_point(|start| *start <= span.start) + 1
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        span: Range<usize>,
        field: &str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        let message = message.into();
        self.add(Severity::Error, code, span, field, message, help.into());
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        span: Range<usize>,
        field: &str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        let message = message.into();
        self.add(Severity::Warning, code, span, field, message, help.into());
    }

    fn add(
        &mut self,
        severity: Severity,
        code: Code,
        span: Range<usize>,
        field: &str,
        message: String,
        help: Option<String>,
    ) {
        self.errors += usize::from(severity == Severity::Error);
        // Errors are few beside warnings in a file that is nearly right: keep one of each at least.
        let has_error = self
            .findings
            .iter()
            .any(|it| it.severity == Severity::Error);
        if self.findings.len() >= MAX_FINDINGS && (has_error || severity == Severity::Warning) {
            self.left_out += 1;
            return;
        }
        let finding = Finding::new(severity, code, self.text, span, field, message);
        self.findings.push(Finding { help, ..finding });
    }

    /// How many findings there are by now, to see whether reading something has added any.
    pub(super) fn count(&self) -> usize {
        self.findings.len() + self.left_out
    }

    /// How many of them are errors, to see whether compiling something has added any.
    pub(super) fn count_errors(&self) -> usize {
        self.errors
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The findings in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| finding.span.start);
        for finding in &mut self.findings {
            let line = finding.line;
            let begin = line
                .checked_sub(2)
                .and_then(|at| self.lines.get(at))
                .copied();
            let end = self.lines.get(line - 1).copied();
            let (begin, end) = (begin.unwrap_or(0), end.unwrap_or(self.text.len()));
            let shown = |span: &&Range<usize>| span.start < end && span.end > begin;
            finding.hidden = self.hidden.iter().filter(shown).cloned().collect();
        }
        if let (Some(last), left_out @ 1..) = (self.findings.last_mut(), self.left_out) {
            last.message
                .push_str(&format!(" (and {left_out} more findings, not shown)"));
        }
        self.findings
    }
}

/// A piece of the file for a message: in backticks, not too long.
pub(super) fn quoted(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(MAX_QUOTED).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Messages repeat pieces of the file, which may hold line ends and terminal escapes.
fn one_line(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() {
            shown.extend(c.escape_debug())
        } else {
            shown.push(c)
        }
    }
    shown
}
