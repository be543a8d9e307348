//! Texts that are read as one, and what is wrong with each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use super::sources::{Source, Text};
use super::upstream::Found;
use crate::check::{self, Summary};
use crate::rules::{self, File, Finding, Findings, Readable, RuleId, Rules};

/// Texts that are read as one.
pub(super) struct Set {
    /// `None` where they cannot be loaded.
    pub(super) rules: Option<Arc<Rules>>,
    files: Vec<Checked>,
}

/// One text of rules, and all that is found.
pub(super) struct Checked {
    /// The file's name, as it was given.
    pub(super) name: String,
    /// The whole file, also where the rules are a part of it.
    pub(super) text: String,
    /// Whether its rules could be loaded, with those that are read with them.
    pub(super) loads: bool,
    /// How many rules it has.
    pub(super) count: usize,
    pub(super) findings: Vec<Finding>,
    pub(super) summaries: Vec<Summary>,
    /// What Prometheus says of each rule; empty where nobody asked.
    pub(super) found: Vec<Found>,
    /// What tells it from the others of the set.
    label: Option<String>,
    /// What the rules were read from.
    rules: String,
    places: Places,
}

/// Where in a file the places are of the rules that were read from it.
enum Places {
    /// At the same bytes.
    Same,
    /// On the same lines.
    Lines,
    /// All at this one, and what they are in has this name.
    At(Range<usize>, String),
}

impl Set {
    /// Judges `sources`, which are read as one.
    ///
    /// # Errors
    /// One of them is there twice.
    pub(super) fn new(sources: Vec<Source>) -> anyhow::Result<Set> {
        let labels = labels(&sources)?;
        let unreadable = sources
            .iter()
            .any(|it| matches!(it.rules, Text::Unreadable(_)));
        let files = sources.into_iter().zip(labels);
        let mut set = Set {
            rules: None,
            files: files.map(|(it, label)| Checked::new(it, label)).collect(),
        };
        if !unreadable {
            set.judge();
        }
        Ok(set)
    }

    fn judge(&mut self) {
        let files: Vec<File<'_>> = self.files.iter().map(Checked::file).collect();
        let Readable {
            rules,
            findings,
            is_whole,
            counts,
        } = rules::parse_readable(&files);
        let rules = Arc::new(rules);
        // Also where there are mistakes: of the rules that have none.
        let lints = check::lint(&rules, &files, &findings);
        self.tell(findings);
        self.tell(lints);
        for (file, count) in self.files.iter_mut().zip(counts) {
            (file.loads, file.count) = (is_whole, count);
        }
        if is_whole {
            for summary in check::summaries(&rules) {
                self.of(&summary.rule).summaries.push(summary);
            }
            self.rules = Some(rules);
        }
    }

    /// The text that a rule stands in.
    pub(super) fn of(&mut self, rule: &RuleId) -> &mut Checked {
        let mut files = self.files.iter_mut();
        let found = files.find(|it| it.label.as_deref() == rule.file.as_deref());
        found.expect("rules must be of the files that they were read from")
    }

    /// Bytes of the text of a rule that no code frame shows.
    pub(super) fn hidden(&self, rule: &RuleId) -> Vec<Range<usize>> {
        let mut files = self.files.iter();
        let at = files.position(|it| it.label.as_deref() == rule.file.as_deref());
        let hidden = self.rules.as_ref().map(|it| &it.hidden);
        let of_file = hidden.zip(at).and_then(|(hidden, at)| hidden.get(at));
        of_file.cloned().unwrap_or_default()
    }

    /// Finds anew which rules collide, of what Prometheus holds.
    pub(super) fn collisions(&mut self, find: impl FnOnce(&[File<'_>]) -> Findings) {
        let files: Vec<File<'_>> = self.files.iter().map(Checked::file).collect();
        let found = find(&files);
        for file in &mut self.files {
            let is_other = |it: &Finding| it.code != rules::Code::NameCollision;
            file.findings.retain(is_other);
        }
        self.tell(found);
    }

    /// Adds findings about each text.
    fn tell(&mut self, findings: Findings) {
        for (file, findings) in self.files.iter_mut().zip(findings) {
            for finding in findings {
                file.tell(finding);
            }
        }
    }

    /// Its texts, the findings of each in the order of the text.
    pub(super) fn into_files(mut self) -> Vec<Checked> {
        for file in &mut self.files {
            file.findings.sort_by_key(|it| (it.span.start, it.severity));
        }
        self.files
    }
}

impl Checked {
    fn new(source: Source, label: Option<String>) -> Checked {
        let (rules, places, findings) = match source.rules {
            Text::InPlace(rules) => (rules, Places::Same, Vec::new()),
            Text::InLines(rules) => (rules, Places::Lines, Vec::new()),
            Text::Moved { text, at } => {
                let key = source.config_map.map(|(_, key)| key).unwrap_or_default();
                (text, Places::At(at, key), Vec::new())
            }
            Text::Unreadable(findings) => (String::new(), Places::Same, findings),
        };
        Checked {
            name: source.name,
            text: source.text,
            loads: false,
            count: 0,
            findings,
            summaries: Vec::new(),
            found: Vec::new(),
            label,
            rules,
            places,
        }
    }

    fn file(&self) -> File<'_> {
        File {
            name: self.label.as_deref(),
            text: &self.rules,
        }
    }

    /// What reports call it where they sum it up.
    pub(super) fn title(&self) -> String {
        match self.label.as_deref().filter(|it| !self.name.ends_with(*it)) {
            Some(label) => format!("{} ({label})", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether others are read with it.
    pub(super) fn is_one_of_several(&self) -> bool {
        self.label.is_some()
    }

    /// What the rules were read from: spans of rules are places in it.
    pub(super) fn rules(&self) -> &str {
        &self.rules
    }

    /// Adds a finding about [`Checked::rules`].
    pub(super) fn tell(&mut self, finding: Finding) {
        let finding = match &self.places {
            Places::Same => finding,
            Places::Lines => self.on_its_line(finding),
            Places::At(at, key) => self.at_one_place(finding, at, key),
        };
        self.findings.push(finding);
    }

    fn on_its_line(&self, finding: Finding) -> Finding {
        let moved = |at: usize| {
            let before = self.rules.get(..at).unwrap_or_default();
            let lines = before.matches('\n').count();
            let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1);
            let start = self.text.split_inclusive('\n').take(lines);
            start.map(str::len).sum::<usize>() + column
        };
        let of = |span: &Range<usize>| moved(span.start)..moved(span.end);
        let Finding {
            severity,
            code,
            span,
            field,
            message,
            help,
            hidden,
            ..
        } = finding;
        let finding = Finding::new(severity, code, &self.text, of(&span), field, message);
        Finding {
            help,
            hidden: hidden.iter().map(of).collect(),
            ..finding
        }
    }

    fn at_one_place(&self, finding: Finding, at: &Range<usize>, key: &str) -> Finding {
        let Finding {
            severity,
            code,
            line,
            field,
            message,
            help,
            ..
        } = finding;
        let shown = self.text.get(at.clone()).unwrap_or_default();
        let indent = shown.len() - shown.trim_start().len();
        let value = at.start + shown.find(':').map_or(shown.len(), |colon| colon + 1);
        let message = format!("line {line} of {key}: {message}");
        let span = at.start + indent..value;
        let finding = Finding::new(severity, code, &self.text, span, field, message);
        Finding {
            help,
            // All rules and all backends may be on this one line.
            hidden: std::iter::once(value..at.end).collect(),
            ..finding
        }
    }
}

/// What tells each text from the others: the shortest of its names that no other has, and nothing
/// where it is alone.
fn labels(sources: &[Source]) -> anyhow::Result<Vec<Option<String>>> {
    if sources.len() == 1 {
        return Ok(vec![None]);
    }
    let names: Vec<[String; 3]> = sources.iter().map(names).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names.iter().flat_map(distinct) {
        *counts.entry(name).or_default() += 1;
    }
    let label = |names: &[String; 3]| {
        let mut alone = names.iter().filter(|it| counts[it.as_str()] == 1);
        match alone.next() {
            Some(name) => Ok(Some(name.clone())),
            None => bail!("{} is given twice", names[2]),
        }
    };
    names.iter().map(label).collect()
}

/// From the shortest to the longest: of a file its name and its path, of a ConfigMap its key, and
/// where it is.
fn names(source: &Source) -> [String; 3] {
    let path = &source.name;
    match &source.config_map {
        Some((map, key)) => {
            let (of_map, in_file) = (format!("{map}/{key}"), format!("{path}#{map}/{key}"));
            [key.clone(), of_map, in_file]
        }
        None => {
            let name = Path::new(path).file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            [name, path.clone(), path.clone()]
        }
    }
}

fn distinct(names: &[String; 3]) -> Vec<&str> {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.dedup();
    names
}
