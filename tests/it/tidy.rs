//! Rules about the sources that no compiler checks: layers, purity, sizes, and a first line that says why.
//!
//! Each test names every place that breaks its rule. The reading is by tokens, not by a parser: comments
//! and literals are blanked first, so that what is left can be searched and its braces counted.

mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use source::{code_only, without_tests};

/// Modules that compute and nothing else. `a::b` is one file of a module that may do more.
const PURE: [&str; 11] = [
    "check",
    "plan",
    "registry",
    "rules",
    "promql",
    "kinds",
    "autoscale",
    "quantity",
    "selector",
    "go",
    "api::route",
];

/// What a pure module has no use for: waiting, sockets, files, clocks.
const IMPURE: &str = r"\basync\b|\btokio\b|\breqwest\b|\bstd::fs\b|\b(SystemTime|Instant)::now\b";

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 100;

/// A source file of the package.
struct File {
    /// Below `src`, such as `api/route.rs`.
    path: String,
    text: String,
}

impl File {
    /// The module it is, such as `api::route`; `foo/tests.rs` belongs to `foo`.
    fn module(&self) -> String {
        let path = self.path.trim_end_matches(".rs");
        path.strip_suffix("/tests")
            .unwrap_or(path)
            .replace('/', "::")
    }

    /// The top-level module it is a part of.
    fn room(&self) -> String {
        self.module()
            .split("::")
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// `foo/tests.rs` and what stands in `foo/tests/`.
    fn is_tests(&self) -> bool {
        Path::new(&self.path)
            .components()
            .any(|part| part.as_os_str() == "tests.rs" || part.as_os_str() == "tests")
    }

    /// `line` (from 0) as an editor takes it.
    fn at(&self, line: usize) -> String {
        format!("src/{}:{}", self.path, line + 1)
    }
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut left = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            left.extend(entries.collect::<Vec<PathBuf>>());
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.push(File { path, text });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        files.iter().any(|file| file.path == "lib.rs"),
        "no sources at {}",
        root.display()
    );
    files
}

/// The modules in the order of their declaration in `lib.rs`: a module uses only modules below it.
fn layers(files: &[File]) -> Vec<String> {
    let lib = files
        .iter()
        .find(|file| file.path == "lib.rs")
        .expect("a library must have lib.rs");
    let declaration = Regex::new(r"(?m)^(?:pub )?mod (\w+);").unwrap();
    let code = without_tests(&code_only(&lib.text));
    declaration
        .captures_iter(&code)
        .map(|found| found[1].to_owned())
        .collect()
}

/// The top-level modules of this package that the code names, each with its line (from 0).
fn rooms_used(code: &str) -> Vec<(usize, String)> {
    let paths = Regex::new(r"\bcrate::(?:(\w+)|\{)").unwrap();
    let mut used = Vec::new();
    for found in paths.captures_iter(code) {
        let whole = found.get(0).expect("a match must have a whole");
        let line = code[..whole.start()].matches('\n').count();
        match found.get(1) {
            Some(name) => used.push((line, name.as_str().to_owned())),
            None => used.extend(heads(&code[whole.end()..]).map(|head| (line, head))),
        }
    }
    used
}

/// The first segments in the braces of a `use`, given what follows the opening one.
fn heads(inside: &str) -> impl Iterator<Item = String> {
    let mut depth = 1_usize;
    let mut top = String::new();
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            c if depth == 1 => top.push(c),
            _ => {}
        }
    }
    let heads: Vec<String> = top
        .split(',')
        .map(|path| {
            path.trim()
                .split([':', ' '])
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .filter(|head| !head.is_empty())
        .collect();
    heads.into_iter()
}

#[test]
fn a_module_uses_only_modules_below_it() {
    let files = files();
    let layers = layers(&files);
    let level = |room: &str| layers.iter().position(|layer| layer == room);
    let mut broken = Vec::new();
    for file in &files {
        let room = file.room();
        // A binary stands above the library and uses what it likes.
        if matches!(room.as_str(), "lib" | "main" | "bin") {
            continue;
        }
        let Some(own) = level(&room) else {
            broken.push(format!("{}: lib.rs declares no module {room}", file.at(0)));
            continue;
        };
        for (line, used) in rooms_used(&code_only(&file.text)) {
            match level(&used) {
                Some(other) if other >= own => {}
                Some(_) => broken.push(format!("{}: {room} uses {used} above it", file.at(line))),
                None => broken.push(format!("{}: `crate::{used}` is no module", file.at(line))),
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn pure_modules_do_not_wait_read_or_look_at_a_clock() {
    let impure = Regex::new(IMPURE).unwrap();
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| !file.is_tests()) {
        let module = file.module();
        let is_pure = PURE.iter().any(|pure| {
            module == *pure
                || module
                    .strip_prefix(pure)
                    .is_some_and(|rest| rest.starts_with("::"))
        });
        if is_pure {
            for (number, line) in without_tests(&code_only(&file.text)).lines().enumerate() {
                if let Some(found) = impure.find(line) {
                    broken.push(format!("{}: `{}`", file.at(number), found.as_str()));
                }
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn files_and_functions_are_short_enough_to_read() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| !file.is_tests()) {
        let code = code_only(&file.text);
        let lines = file.text.lines().count() - source::lines_of_tests(&code);
        if lines > FILE_LINES {
            broken.push(format!(
                "{}: {lines} lines (at most {FILE_LINES})",
                file.at(0)
            ));
        }
        for (line, name, length) in source::functions(&without_tests(&code)) {
            if length > FUNCTION_LINES {
                let place = file.at(line);
                broken.push(format!(
                    "{place}: {name} has {length} (at most {FUNCTION_LINES})"
                ));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn lines_fit_and_nothing_is_left_for_later() {
    let later = Regex::new(r"\b(TODO|FIXME|XXX)\b").unwrap();
    let mut broken = Vec::new();
    for file in &files() {
        for (number, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            // What a test quotes is as long as it is.
            if columns > COLUMNS && !file.is_tests() {
                broken.push(format!(
                    "{}: {columns} columns (at most {COLUMNS})",
                    file.at(number)
                ));
            }
            if let Some(found) = later.find(line) {
                broken.push(format!("{}: {}", file.at(number), found.as_str()));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn each_file_begins_by_saying_why_it_exists() {
    let files = files();
    let silent = files.iter().filter(|file| match file.text.lines().next() {
        Some(first) => first
            .strip_prefix("//! ")
            .is_none_or(|why| why.trim().is_empty()),
        None => true,
    });
    assert_none(&silent.map(|file| file.at(0)).collect::<Vec<_>>());
}

#[test]
fn each_module_is_declared_once_with_its_purpose() {
    let files = files();
    let layers = layers(&files);
    assert_eq!(
        layers.iter().collect::<BTreeSet<_>>().len(),
        layers.len(),
        "{layers:?}"
    );
    let lib = &files
        .iter()
        .find(|file| file.path == "lib.rs")
        .unwrap()
        .text;
    let lines: Vec<&str> = lib.lines().collect();
    let mut broken = Vec::new();
    for name in &layers {
        let declares = |line: &&str| line.ends_with(&format!("mod {name};"));
        let at = lines
            .iter()
            .position(declares)
            .expect("a layer must come from a line");
        if at == 0 || !lines[at - 1].starts_with("/// ") {
            broken.push(format!(
                "src/lib.rs:{}: no line of documentation on {name}",
                at + 1
            ));
        }
    }
    assert_none(&broken);
}

/// Fails with every broken place, one a line.
fn assert_none(broken: &[String]) {
    assert!(
        broken.is_empty(),
        "{} places:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

#[test]
fn modules_are_found_in_paths_and_in_braces() {
    let code = "use crate::plan::Ask;\nuse crate::{\n  go::{regex, template},\n  quantity, rules as r,\n};\nlet x = crate::kinds::f();";
    let used: Vec<_> = rooms_used(code).into_iter().map(|(_, room)| room).collect();
    assert_eq!(used, ["plan", "go", "quantity", "rules", "kinds"]);
}

/// A request that looked twice could see two worlds.
#[test]
fn a_request_reads_the_registry_once() {
    let mut reads: Vec<String> = Vec::new();
    for file in files().iter().filter(|file| !file.is_tests()) {
        for (line, text) in file.text.lines().enumerate() {
            if file.path.starts_with("api") && text.contains("registry.snapshot()") {
                reads.push(file.at(line));
            }
        }
    }
    assert_eq!(reads.len(), 1, "{reads:?}");
}
