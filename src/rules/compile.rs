//! Several files made into one set of rules.

use std::sync::Arc;

use super::backend::{self, BackendSpec, Names};
use super::file::{RawBackend, RawFile, RawRule};
use super::report::Report;
use super::{Code, List, ResourceRules, Rule, RuleId, Rules};

/// Every part is compiled before any is given up, to find all errors. `names`, `files` and
/// `reports` are of the same files. Second: whether all parts are there.
pub(super) fn all(
    names: &[Option<Arc<str>>],
    files: &[RawFile],
    reports: &mut [Report<'_>],
) -> (Rules, bool) {
    let raw: Vec<&RawBackend> = files.iter().flat_map(|file| &file.backends).collect();
    let known = Names(&raw);
    let (mut backends, mut custom, mut external) = (Vec::new(), Vec::new(), Vec::new());
    for ((name, file), report) in names.iter().zip(files).zip(reports.iter_mut()) {
        let name = name.as_ref();
        let spec = |raw| BackendSpec::compile(raw, name, report);
        backends.extend(file.backends.iter().map(spec));
        custom.extend(list((List::Custom, name), &file.rules, &known, report));
        external.extend(list((List::External, name), &file.external, &known, report));
    }
    let resource = resource(names, files, &known, reports);
    check_once(names, files, reports);
    let mut is_whole = resource.is_some();
    let rules = Rules {
        custom: good(custom, &mut is_whole),
        external: good(external, &mut is_whole),
        resource: resource.flatten(),
        backends: good(backends, &mut is_whole),
        hidden: reports.iter().map(|it| it.hidden().to_vec()).collect(),
    };
    if is_whole {
        let mut numbers = 1..;
        for (file, report) in files.iter().zip(reports) {
            let numbered = file.backends.iter().zip(&mut numbers);
            backend::check_use(numbered, &rules.asked(), report);
        }
    }
    (rules, is_whole)
}

/// Those that could be compiled, and whether all could.
fn good<T>(all: Vec<Option<T>>, is_whole: &mut bool) -> Vec<T> {
    *is_whole &= all.iter().all(Option::is_some);
    all.into_iter().flatten().collect()
}

fn list(
    (list, file): (List, Option<&Arc<str>>),
    raw: &[RawRule],
    names: &Names<'_>,
    report: &mut Report<'_>,
) -> Vec<Option<Arc<Rule>>> {
    let id = |index| RuleId {
        file: file.cloned(),
        list,
        index,
    };
    let rules = raw.iter().enumerate();
    let compile = |(index, raw): (usize, &RawRule)| {
        let rule = Rule::compile(id(index), raw, names, report);
        // What a rule lacks of which a part could not be read is no mistake of its own.
        let is_readable = !(raw.malformed && report.has_errors());
        rule.filter(|_| is_readable).map(Arc::new)
    };
    rules.map(compile).collect()
}

/// The `resourceRules` of the file that has them; `None` where they are wrong.
fn resource(
    names: &[Option<Arc<str>>],
    files: &[RawFile],
    known: &Names<'_>,
    reports: &mut [Report<'_>],
) -> Option<Option<ResourceRules>> {
    let mut all = Some(None);
    let mut first: Option<&str> = None;
    for ((name, file), report) in names.iter().zip(files).zip(reports) {
        let Some(raw) = &file.resource else { continue };
        if let Some(first) = first {
            let message = format!("`resourceRules` stand in {first} as well");
            let help = "there is one rule for CPU and one for memory: keep one of them";
            let span = raw.span.clone();
            report.error(
                Code::GivenTwice,
                span,
                "resourceRules",
                message,
                help.to_owned(),
            );
            all = None;
            continue;
        }
        first = Some(name.as_deref().unwrap_or_default());
        all = ResourceRules::compile(raw, known, name.as_ref(), report).map(Some);
    }
    all
}

/// A backend has one name and stands in one file.
fn check_once(names: &[Option<Arc<str>>], files: &[RawFile], reports: &mut [Report<'_>]) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for ((name, file), report) in names.iter().zip(files).zip(reports) {
        let before = seen.len();
        for raw in &file.backends {
            let backend = raw.name.text.as_str();
            let mut earlier = seen.iter().take(before);
            if let Some((_, first)) = earlier.find(|(other, _)| *other == backend) {
                let message = format!("this backend is given in {first} as well");
                let help = "keep one of them: the rules of all files may name it";
                let path = backend::path(&raw.name);
                let span = raw.name.span.clone();
                report.error(Code::GivenTwice, span, &path, message, help.to_owned());
            }
            seen.push((backend, name.as_deref().unwrap_or_default()));
        }
    }
}
