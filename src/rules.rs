//! The rules file: what to serve, from which series, by which query.
//!
//! The file is prometheus-adapter's: what loads there loads here and means the same, what is
//! refused there is refused here, with every mistake at once, its place and what to write instead.
//! What Go loads although it can only ever fail loads with a warning. Text in, value out: no file
//! is read here and no cluster is asked, so whether a resource that a rule names exists is not
//! known here.

mod association;
mod backend;
mod code;
mod compile;
mod enforced;
mod file;
mod identity;
mod located;
mod naming;
mod query;
mod reader;
mod report;
mod resource;
mod rule;
mod terms;
mod widen;
mod yaml;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use association::{Association, LabelError, LabelTemplate, Override};
pub use backend::{AuthSpec, BackendSpec, DEFAULT_BACKEND, TlsSpec};
pub use code::Code;
pub use identity::Identity;
pub use located::{Located, Style};
pub use naming::{LeftOut, Naming};
pub use query::Query;
pub use report::{Finding, Severity, render_findings, render_with_codes};
pub use resource::{ResourceRule, ResourceRules};
pub use terms::{NonFinite, OnEmpty, Terms};
pub use widen::Widen;

use crate::prometheus::Partial;
use file::{RawFile, RawRule};
use report::Report;

/// One of the files that rules stand in.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// How labels and messages tell it from the others; `None` where there is only the one.
    pub name: Option<&'a str>,
    /// What it holds.
    pub text: &'a str,
}

/// Findings about each file, in the order of the files.
pub type Findings = Vec<Vec<Finding>>;

/// Rules files, ready for use.
#[derive(Debug, Default)]
pub struct Rules {
    /// `rules`, in the order of the files.
    pub custom: Vec<Arc<Rule>>,
    /// `externalRules`, in the order of the files.
    pub external: Vec<Arc<Rule>>,
    /// `resourceRules`; `None` where no file has any, and the resource metrics API is not served.
    pub resource: Option<ResourceRules>,
    /// `backends`, in the order of the files.
    pub backends: Vec<BackendSpec>,
    /// Of each file the bytes that may be secrets, and that no code frame shows.
    pub hidden: Vec<Vec<Range<usize>>>,
}

/// What can be read of rules files, and what is wrong with them.
#[derive(Debug)]
pub struct Readable {
    /// Those without a mistake. Where `is_whole` is false they are good for nothing but to tell
    /// more about them: the numbers of their backends may be those of others.
    pub rules: Rules,
    /// About each file, in the order of the file.
    pub findings: Findings,
    /// Whether there is no mistake.
    pub is_whole: bool,
    /// How many rules each file has, those with mistakes as well.
    pub counts: Vec<usize>,
}

/// One entry of `rules` or `externalRules`.
#[derive(Debug)]
pub struct Rule {
    /// Where it stands.
    pub id: RuleId,
    /// What it says.
    pub identity: Identity,
    /// What of it decides which series are found, and by which labels: of rules that have this in
    /// common Prometheus is asked the same.
    pub survey: Identity,
    /// Line of the file where it begins, from 1.
    pub line: usize,
    /// The selector of its series, sent to Prometheus as it stands.
    pub series_query: Located,
    /// Which of those series it takes and what they are called.
    pub naming: Naming,
    /// Which objects they belong to.
    pub association: Association,
    /// What to ask Prometheus for a value.
    pub query: Query,
    /// What its one metric is called, where it has a `query` instead of a `seriesQuery`: then no
    /// series decides what it makes.
    pub metric: Option<String>,
    /// Whom to ask: 0 is the backend of the flags, 1 the first of [`Rules::backends`], and so on.
    pub backend: usize,
    /// What becomes of answers that the backend calls incomplete.
    pub partial: Partial,
    /// How its queries are asked.
    pub terms: Terms,
}

/// Where a rule stands: its name in logs, metrics and messages. When the files are read again it
/// may stand elsewhere; [`Identity`] does not change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId {
    /// The file, where there may be several.
    pub file: Option<Arc<str>>,
    /// The list it is in.
    pub list: List,
    /// Its place there, from 0.
    pub index: usize,
}

/// The lists of rules in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum List {
    /// `rules`
    Custom,
    /// `externalRules`
    External,
}

/// The rule behind a query, as messages, logs and counters name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `rules[2]`, `resourceRules.cpu`; of several files `shop.yaml:rules[2]`
    pub rule: String,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// Reads the only rules file. With the rules come the warnings.
///
/// # Errors
/// Every error of the file, and its warnings, in the order of the file.
pub fn parse(text: &str) -> Result<(Rules, Vec<Finding>), Vec<Finding>> {
    let only = |findings: Findings| findings.into_iter().flatten().collect();
    parse_files(&[File { name: None, text }])
        .map(|(rules, findings)| (rules, only(findings)))
        .map_err(only)
}

/// Reads several files as one: the rules of all, one after the other, and the backends of all for
/// all rules. With the rules come the warnings about each file.
///
/// # Errors
/// Every error of each file, and its warnings, in the order of the file.
pub fn parse_files(files: &[File<'_>]) -> Result<(Rules, Findings), Findings> {
    match parse_readable(files) {
        Readable {
            rules,
            findings,
            is_whole: true,
            ..
        } => Ok((rules, findings)),
        Readable { findings, .. } => Err(findings),
    }
}

/// Reads several files as one, and of files with mistakes what has none.
pub fn parse_readable(files: &[File<'_>]) -> Readable {
    let mut reports: Vec<Report<'_>> = files.iter().map(|file| Report::new(file.text)).collect();
    let raw: Vec<RawFile> = reports.iter_mut().map(file::read).collect();
    let names: Vec<Option<Arc<str>>> = files.iter().map(|file| file.name.map(Arc::from)).collect();
    let (rules, compiled) = compile::all(&names, &raw, &mut reports);
    Readable {
        rules,
        is_whole: compiled && !reports.iter().any(Report::has_errors),
        findings: reports.into_iter().map(Report::finish).collect(),
        counts: raw.iter().map(RawFile::count).collect(),
    }
}

/// The text of a rules file as it was read, or the finding that it is not UTF-8.
///
/// # Errors
/// Where `bytes` are not UTF-8. The finding is about `String::from_utf8_lossy` of them.
pub fn decode(bytes: &[u8]) -> Result<&str, Vec<Finding>> {
    str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes);
        let at = good.len();
        let message = "this file is not UTF-8";
        let finding = Finding::new(
            Severity::Error,
            Code::NotUtf8,
            &text,
            at..at + 1,
            "",
            message,
        );
        vec![finding.with_help("save it as UTF-8")]
    })
}

impl RuleId {
    /// How the file itself calls it: `rules[2]`.
    pub fn in_file(&self) -> String {
        format!("{}[{}]", self.list, self.index)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        f.write_str(&self.in_file())
    }
}

/// As `rules[2] (line 9)`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {})", self.rule, self.line)
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            List::Custom => "rules",
            List::External => "externalRules",
        })
    }
}

impl Rules {
    /// The rules that are made of series, those of `rules` first.
    pub fn series_rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.custom.iter().chain(&self.external)
    }

    /// The backends that some rule asks, by the numbers of [`Rule::backend`].
    pub fn asked(&self) -> Vec<usize> {
        let rules = self.series_rules();
        let resource = self.resource.iter().flat_map(|it| [&it.cpu, &it.memory]);
        let mut asked: Vec<usize> = rules
            .map(|rule| rule.backend)
            .chain(resource.map(|rule| rule.backend))
            .collect();
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// What the backend of this number is called.
    pub fn backend_name(&self, backend: usize) -> &str {
        let spec = backend.checked_sub(1).and_then(|at| self.backends.get(at));
        spec.map_or(DEFAULT_BACKEND, |spec| &spec.name)
    }
}

impl Rule {
    /// Whether it asks the same whatever is asked for: then its rows must say whose they are.
    pub fn is_fixed(&self) -> bool {
        self.metric.is_some() && self.query.is_fixed()
    }

    /// Which rule this is, for messages.
    pub fn origin(&self) -> Origin {
        Origin {
            rule: self.id.to_string(),
            line: self.line,
        }
    }
}

/// Associations that Go loads although no ask can succeed.
fn check_association(
    list: List,
    association: &Association,
    raw: &RawRule,
    path: &str,
    report: &mut Report<'_>,
) {
    const ROOT: &[&str] = &[
        "node",
        "nodes",
        "namespace",
        "namespaces",
        "persistentvolume",
        "persistentvolumes",
    ];
    if association.maps_namespaces() {
        return;
    }
    let span = raw
        .resources
        .span
        .clone()
        .unwrap_or_else(|| raw.span.clone());
    let field = format!("{path}.resources");
    let example = "add `overrides: {namespace: {resource: namespace}}`";
    let (code, message, help) = match list {
        List::External if association.namespaced => (
            Code::NoNamespaceLabel,
            "no label is mapped to the namespace: every ask for these metrics fails",
            format!("{example}, or `namespaced: false` to serve them in every namespace"),
        ),
        List::External => return,
        List::Custom if association.overrides.is_empty() && association.template.is_none() => (
            Code::NoResourceLabel,
            "no label is mapped to a resource: this rule lists nothing",
            "add the labels that name objects, as `overrides: {namespace: {resource: namespace}, \
             pod: {resource: pod}}`"
                .to_owned(),
        ),
        List::Custom if association.overrides.iter().all(|o| o.is_core(ROOT)) => return,
        List::Custom => (
            Code::NoNamespaceLabel,
            "no label is mapped to the namespace: every ask for objects in a namespace fails",
            format!("{example} with the label that holds the namespace"),
        ),
    };
    report.warning(code, span, &field, message, help);
}

#[cfg(test)]
mod tests;
