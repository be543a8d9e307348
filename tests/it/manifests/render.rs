//! Rendering, in a copy of the manifests that belongs to one test.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// What can be applied as it stands.
pub(super) const OVERLAYS: [&str; 4] = [
    "fresh",
    "cert-manager",
    "beside-keda",
    "replace-prometheus-adapter",
];

/// What can be put onto the base, all of it together.
pub(super) const COMPONENTS: [&str; 9] = [
    "namespace",
    "custom",
    "external",
    "resource",
    "resource-v1",
    "servicemonitor",
    "kube-prometheus",
    "cert-manager",
    "monitoring",
];

/// The other way to a certificate that is trusted, in place of cert-manager's.
pub(super) const OWN_AUTHORITY: &str = "manage-apiservice";

/// The other way to be scraped, in place of servicemonitor.
pub(super) const METRICS_PORT: &str = "metrics-port";

/// A copy of `manifests/`.
pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Tree {
        let tree = Tree(TempDir::new().unwrap());
        copy(&manifests(), tree.0.path());
        tree
    }

    /// The objects of an overlay.
    pub(super) fn overlay(&self, name: &str) -> Vec<Value> {
        render(&self.0.path().join("overlays").join(name))
    }

    /// The objects of the base with these components.
    pub(super) fn base_and(&self, components: &[&str]) -> Vec<Value> {
        let directory = self.0.path().join("overlays/own");
        std::fs::create_dir_all(&directory).unwrap();
        let mut text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\
                        resources: [../../base]\ncomponents:\n"
            .to_owned();
        for component in components {
            text.push_str(&format!("- ../../components/{component}\n"));
        }
        std::fs::write(directory.join("kustomization.yaml"), text).unwrap();
        render(&directory)
    }

    /// The objects of these files, beside a checkout of this repository of the name `checkout`.
    pub(super) fn beside(&self, checkout: &str, files: &[(&str, &str)]) -> Vec<Value> {
        let directory = TempDir::new().unwrap();
        copy(
            self.0.path(),
            &directory.path().join(checkout).join("manifests"),
        );
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        render(directory.path())
    }

    /// Replaces text in every file.
    pub(super) fn replace(&self, from: &str, to: &str) {
        for file in files(self.0.path()) {
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace(from, to)).unwrap();
        }
    }
}

/// Every set of objects that somebody may apply, with a name for messages.
pub(super) fn everything() -> Vec<(String, Vec<Value>)> {
    let tree = Tree::new();
    let mut all: Vec<_> = OVERLAYS
        .iter()
        .map(|name| (format!("overlays/{name}"), tree.overlay(name)))
        .collect();
    all.push(("base".to_owned(), render(&tree.0.path().join("base"))));
    for component in COMPONENTS.iter().chain(&[OWN_AUTHORITY, METRICS_PORT]) {
        all.push((
            format!("components/{component}"),
            tree.base_and(&[component]),
        ));
    }
    all.push(("all components".to_owned(), tree.base_and(&COMPONENTS)));
    all
}

/// The objects of the example, with passwords made as its files say.
pub(super) fn example() -> (String, Vec<Value>) {
    let tree = Tree::new();
    let directory = tree.0.path().join("example");
    make_passwords(&directory);
    ("example".to_owned(), render(&directory))
}

/// The objects of everything on one cluster, as somebody's own kustomization has them.
pub(super) fn example_with_adapter() -> Vec<Value> {
    let own = manifests().join("example/with-adapter.kustomization.yaml");
    example_by(&std::fs::read_to_string(own).unwrap())
}

/// The objects of a kustomization beside a checkout of this repository.
pub(super) fn example_by(kustomization: &str) -> Vec<Value> {
    let directory = TempDir::new().unwrap();
    let checkout = directory.path().join("tidegauge/manifests");
    copy(&manifests(), &checkout);
    make_passwords(&checkout.join("example"));
    std::fs::write(directory.path().join("kustomization.yaml"), kustomization).unwrap();
    render(directory.path())
}

/// Both sets of objects that the example has.
pub(super) fn examples() -> [(String, Vec<Value>); 2] {
    let monitoring = manifests().join("example/monitoring");
    [
        example(),
        ("example/monitoring".to_owned(), render(&monitoring)),
    ]
}

/// Runs the command that `passwords.example.env` gives.
fn make_passwords(directory: &Path) {
    let text = std::fs::read_to_string(directory.join("passwords.example.env")).unwrap();
    let command = text.lines().find_map(|line| line.strip_prefix("#   "));
    let mut shell = Command::new("sh");
    shell.args(["-euc", command.unwrap()]);
    assert!(shell.current_dir(directory).status().unwrap().success());
}

/// The folder in this repository.
pub(super) fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

fn render(directory: &Path) -> Vec<Value> {
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(directory)
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "cannot start `kubectl`: {error}. The manifests are rendered by the real one, 1.27 or \
             newer: `make test` installs it"
        )
    });
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.is_empty(),
        "kubectl kustomize {}: {}\n{told}",
        directory.display(),
        output.status
    );
    serde_saphyr::from_multiple(str::from_utf8(&output.stdout).unwrap()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Every file in a folder and below it.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn every_overlay_and_component_is_rendered_by_these_tests() {
    for (folder, known) in [("overlays", &OVERLAYS[..]), ("components", &COMPONENTS[..])] {
        let entries = std::fs::read_dir(manifests().join(folder)).unwrap();
        let mut there: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut known = known.to_vec();
        if folder == "components" {
            known.extend([OWN_AUTHORITY, METRICS_PORT]);
        }
        there.sort();
        known.sort_unstable();
        assert_eq!(there, known, "manifests/{folder}");
    }
    for (name, objects) in everything() {
        assert!(!objects.is_empty(), "{name}");
    }
}
