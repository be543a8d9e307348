//! The Dockerfile, as far as it can be checked without a container engine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::render::{Tree, manifests};
use super::the;

/// An instruction and what follows it, lines joined, comments gone.
struct Instruction {
    name: String,
    rest: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn instructions() -> Vec<Instruction> {
    let text = read("Dockerfile");
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let instructions = joined.lines().filter(|line| !line.trim().is_empty());
    let split = |line: &str| {
        let (name, rest) = line.trim().split_once(' ').unwrap();
        let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        Instruction {
            name: name.to_owned(),
            rest,
        }
    };
    instructions.map(split).collect()
}

/// What follows each instruction of this name.
fn of(name: &str) -> Vec<String> {
    let all = instructions().into_iter().filter(|it| it.name == name);
    all.map(|it| it.rest).collect()
}

/// Sources of COPY that come from this repository.
fn copied() -> BTreeSet<PathBuf> {
    let mut copied = BTreeSet::new();
    for rest in of("COPY").iter().filter(|rest| !rest.starts_with("--from")) {
        let mut words: Vec<&str> = rest.split(' ').collect();
        words.pop();
        copied.extend(words.into_iter().map(PathBuf::from));
    }
    copied
}

#[test]
fn everything_copied_is_there_and_let_through() {
    let ignore = read(".dockerignore");
    let let_through: BTreeSet<PathBuf> = ignore
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .map(PathBuf::from)
        .collect();
    assert_eq!(copied(), let_through);
    for path in copied() {
        assert!(root().join(&path).exists(), "{}", path.display());
    }
    // The last word of each line decides, and this one hides the rest.
    assert!(ignore.lines().any(|line| line == "*"));
}

/// A source outside of what is copied would fail the build, and only there.
#[test]
fn sources_include_only_files_that_are_copied() {
    let include = Regex::new(r#"include_(?:str|bytes)!\(\s*"([^"]+)""#).unwrap();
    let mut left = vec![root().join("src")];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // Tests are not built into the image.
        let code = text.split("#[cfg(test)]").next().unwrap();
        if path
            .components()
            .any(|it| it.as_os_str() == "tests" || it.as_os_str() == "tests.rs")
        {
            continue;
        }
        for found in include.captures_iter(code) {
            let file = path
                .parent()
                .unwrap()
                .join(&found[1])
                .canonicalize()
                .unwrap();
            let file = file
                .strip_prefix(root().canonicalize().unwrap())
                .unwrap()
                .to_owned();
            assert!(
                copied().iter().any(|it| file.starts_with(it)),
                "{}",
                file.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "the demo's files are included");
}

/// `runAsNonRoot` without `runAsUser`, as kube-prometheus has it, needs a number that is not 0.
#[test]
fn the_user_is_a_number_and_that_of_the_deployment() {
    let user = of("USER").pop().unwrap();
    let (user, group) = user.split_once(':').unwrap();
    let objects = Tree::new().overlay("fresh");
    let security = &the(&objects, "Deployment")["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(security["runAsUser"], user.parse::<u64>().unwrap());
    assert_eq!(security["runAsGroup"], group.parse::<u64>().unwrap());
    assert_ne!(security["runAsUser"], 0);
}

/// Arguments are given by manifests; the image must add none, and must take those of the Helm chart,
/// which begin with `/adapter`.
#[test]
fn the_entry_point_is_the_binary_alone() {
    // The last stage is what is built without a target.
    let entry_points = ["[\"/example-service\"]", "[\"/tidegauge\"]"];
    assert_eq!(of("ENTRYPOINT"), entry_points);
    assert_eq!(of("CMD"), [""; 0]);
    let run = of("RUN").join("\n");
    assert!(run.contains("ln -s /tidegauge /image/adapter"), "{run}");
    assert!(
        run.contains("cargo build --release --locked --bin tidegauge"),
        "{run}"
    );
}

#[test]
fn the_compiler_is_new_enough_and_all_stages_are_of_one_debian() {
    let from = of("FROM");
    let [sources, builds @ .., example, server] = from.as_slice() else {
        panic!("{from:?}");
    };
    let version = Regex::new(r"rust:1\.(\d+)-bookworm AS sources").unwrap();
    let minor: u32 = version.captures(sources).unwrap()[1].parse().unwrap();
    let manifest = read("Cargo.toml");
    let needed = Regex::new(r#"rust-version = "1\.(\d+)""#).unwrap();
    let needed: u32 = needed.captures(&manifest).unwrap()[1].parse().unwrap();
    assert!(minor >= needed, "{sources} for 1.{needed}");
    assert!(
        builds.iter().all(|it| it.starts_with("sources AS ")),
        "{builds:?}"
    );
    let base = "gcr.io/distroless/cc-debian12:nonroot AS";
    assert_eq!(*example, format!("{base} example-service"));
    assert_eq!(*server, format!("{base} tidegauge"));
}

/// The images of the example's manifests, by the names that they have there.
#[test]
fn the_makefile_names_the_image_of_the_example() {
    let example = std::fs::read_to_string(manifests().join("example/kustomization.yaml")).unwrap();
    let tag = format!("newTag: {}", env!("CARGO_PKG_VERSION"));
    assert!(example.contains(&tag), "{example}");
    let makefile = read("Makefile");
    assert!(
        makefile.contains("SHOP_IMAGE ?= example-service:$(VERSION)"),
        "{makefile}"
    );
}

/// Passwords of whoever builds an image beside their own example.
#[test]
fn passwords_of_the_example_stay_out_of_builds() {
    let ignore = read(".dockerignore");
    let (mut lines, own) = (ignore.lines(), "manifests/example/passwords.env");
    assert_eq!(lines.next_back(), Some(own));
    assert!(
        read(".gitignore")
            .lines()
            .any(|line| line == format!("/{own}"))
    );
}

/// `make image` builds what the manifests name.
#[test]
fn the_makefile_names_the_image_of_the_manifests() {
    let makefile = read("Makefile");
    let base = std::fs::read_to_string(manifests().join("base/kustomization.yaml")).unwrap();
    let tag = format!("newTag: {}", env!("CARGO_PKG_VERSION"));
    assert!(base.contains(&tag), "{base}");
    assert!(
        makefile.contains("IMAGE ?= tidegauge:$(VERSION)"),
        "{makefile}"
    );
    for platform in ["linux/amd64", "linux/arm64"] {
        assert!(makefile.contains(platform), "{platform}");
    }
    assert!(Path::new(&root().join("Dockerfile")).exists());
}
