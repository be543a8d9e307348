//! `tidegauge check` as a user runs it.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

mod upstream;

const GOOD: &str = r#"rules:
- seriesQuery: 'hits_total{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: ^(.*)_total$, as: "${1}_per_second"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
"#;

/// Runs it among these files.
fn check(files: &[(&str, &str)], arguments: &[&str], input: Option<&str>) -> (i32, String, String) {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command
        .current_dir(folder.path())
        .arg("check")
        .args(arguments);
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("the binary that cargo built must start");
    {
        use std::io::Write as _;
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(input.unwrap_or_default().as_bytes())
            .unwrap();
    }
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn good_rules_are_well_and_a_broken_one_is_told_where_it_is_broken() {
    let (code, told, _) = check(&[("rules.yaml", GOOD)], &["rules.yaml"], None);
    assert_eq!(
        (code, told.as_str()),
        (0, "1 file, 1 rule: nothing wrong (2 notes)\n")
    );
    let broken = GOOD.replace("(.*)", "(.*");
    let (code, told, _) = check(&[("rules.yaml", &broken)], &["rules.yaml"], None);
    assert_eq!(code, 1);
    assert!(
        told.starts_with("error[regex]: not a regular expression"),
        "{told}"
    );
    assert!(
        told.contains("--> rules.yaml:4:") && told.ends_with(": 1 error\n"),
        "{told}"
    );
}

#[test]
fn warnings_fail_only_where_that_is_wanted() {
    let doubtful = GOOD.replace("by (<<.GroupBy>>)", "by (job)");
    let files = [("rules.yaml", doubtful.as_str())];
    let (code, told, _) = check(&files, &["rules.yaml"], None);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("warning[object-label-dropped]"), "{told}");
    let (code, strict, _) = check(&files, &["--strict", "rules.yaml"], None);
    assert_eq!((code, strict), (1, told));
}

#[test]
fn mistaken_flags_and_missing_files_are_no_findings() {
    for arguments in [
        &["--quick", "a"][..],
        &[],
        &["nowhere.yaml"],
        &["-o", "xml", "a"],
        &["empty"],
    ] {
        let (code, told, error) = check(&[("empty/a.txt", "")], arguments, None);
        assert_eq!((code, told.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(!error.is_empty());
    }
    let (code, help, _) = check(&[], &["--help"], None);
    assert!(
        code == 0 && help.contains("--strict") && help.contains("Exit codes"),
        "{help}"
    );
    let (code, list, _) = check(&[], &["--list"], None);
    assert!(code == 0 && list.contains("matcher-ignored  "), "{list}");
}

#[test]
fn a_folder_is_looked_through_for_rules() {
    let manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    let alerts = "groups:\n- name: a\n  rules: []\n";
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: rules\ndata:\n  config.yaml: |\n{}",
        GOOD.replace("(.*)", "(.*")
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    );
    let files = [
        ("d/b/rules.yaml", GOOD),
        ("d/service.yaml", manifest),
        ("d/alerts.yaml", alerts),
        ("d/map.yaml", &map),
        ("d/..data/rules.yaml", "rules: 1\n"),
        ("d/notes.txt", "rules: 1\n"),
    ];
    let (code, told, _) = check(&files, &["d"], None);
    assert_eq!(code, 1);
    // Four lines of the manifest, one with the key, and the fourth of the rules.
    assert!(told.contains("--> d/map.yaml:10:"), "{told}");
    assert!(
        told.ends_with("2 files, 2 rules: 1 error (2 notes)\n"),
        "{told}"
    );
}

/// The lines of a text, further to the right.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// As a server with `--config=DIR` reads them: backends are there for all, and names must not
/// collide.
#[test]
fn files_of_a_folder_are_read_as_one_and_files_each_by_itself() {
    let backend = "backends: {archive: {url: 'http://archive:9090'}}\n";
    let asking = format!("{GOOD}  backend: archive\n");
    let other = GOOD.replace("hits_total{", "visits_total{");
    let other = other
        .replace("^(.*)_total$", "visits")
        .replace("${1}_per", "hits_per");
    let files = [
        ("d/a.yaml", asking.as_str()),
        ("d/b.yaml", backend),
        ("d/c.yaml", &other),
        ("d/e/a.yaml", GOOD),
        ("d/e/b.yaml", GOOD),
        ("d/notes.yaml", "rules: {line-length: disable}\n"),
    ];
    let collision = "c.yaml:rules[0] (line 2) and a.yaml:rules[0] (line 2) both make \
                     `namespaces/hits_per_second` and 1 more";
    let (code, told, _) = check(&files, &["d"], None);
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains(collision) && told.contains("--> d/c.yaml:2:"),
        "{told}"
    );
    assert!(told.contains("5 files, 4 rules: 1 warning"), "{told}");
    let hint = "Name a file to check it by itself.";
    assert!(told.contains(hint), "{told}");
    assert!(!told.contains("unknown-backend"), "{told}");
    let (code, told, _) = check(&files, &["d/a.yaml", "d/b.yaml", "d/c.yaml"], None);
    assert_eq!(code, 1);
    assert!(
        told.contains("error[unknown-backend]") && !told.contains(hint),
        "{told}"
    );
    assert!(!told.contains("name-collision"), "{told}");
    let named = ["--together", "d/a.yaml", "d/b.yaml", "d/c.yaml"];
    let (code, told, _) = check(&files, &named, None);
    assert!(code == 0 && told.contains(collision), "{told}");
    // A server reads all files of a folder, and no folder in it.
    let (code, told, _) = check(&files, &["--together", "d"], None);
    assert!(code == 1 && told.contains("--> d/notes.yaml:1:"), "{told}");
    assert!(told.contains("4 files"), "{told}");
    let twice = ["--together", "d/a.yaml", "d/a.yaml"];
    let (code, _, error) = check(&files, &twice, None);
    assert!(
        code == 2 && error.contains("d/a.yaml is given twice"),
        "{error}"
    );
}

/// As a pod sees it that mounts it: all keys are one set.
#[test]
fn keys_of_a_config_map_are_read_as_one() {
    let map = |name: &str, data: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{data}")
    };
    let rules = indented(GOOD);
    let both = map("a", &format!("  a.yaml: |\n{rules}  b.yaml: |\n{rules}"));
    let other = map("b", &format!("  a.yaml: |\n{rules}"));
    let files = [("maps.yaml", format!("{both}---\n{other}"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let (code, told, _) = check(&files, &["maps.yaml"], None);
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("b.yaml:rules[0] (line 14) and a.yaml:rules[0] (line 8)"),
        "{told}"
    );
    assert_eq!(told.matches("warning[").count(), 1, "{told}");
    let (_, told, _) = check(&files, &["--together", "maps.yaml"], None);
    assert!(
        told.contains("b/a.yaml:rules[0] (line 26) and b.yaml:rules[0] (line 14)"),
        "{told}"
    );
}

/// kube-prometheus writes keys in quotes, and kubectl a text with a blank at the end of a line.
#[test]
fn config_maps_in_quotes_are_checked_as_well() {
    let rules = GOOD.replace("rules:", "\"rules\":");
    let map = format!(
        "apiVersion: v1\ndata:\n  config.yaml: |-\n{}kind: ConfigMap\n",
        indented(&rules)
    );
    let (code, told, _) = check(&[("map.yaml", &map)], &["map.yaml"], None);
    assert_eq!(
        (code, told.starts_with("1 file, 1 rule: nothing wrong")),
        (0, true),
        "{told}"
    );
    let secret = "backends: {a: {url: 'http://u:PASSWORD@h'}}\n";
    let broken = format!("{secret}{} \n", GOOD.replace("(.*)", "(.*"));
    let map = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"config.yaml": broken},
    });
    let map = format!("{map:#}");
    let (code, told, _) = check(&[], &["-"], Some(&map));
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("error[regex]: line 5 of config.yaml: not a regular"),
        "{told}"
    );
    assert!(
        told.contains("--> <stdin>:4:5") && !told.contains("PASSWORD"),
        "{told}"
    );
}

/// As CI would have it of this repository.
#[test]
fn our_own_manifests_are_well() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["check", "--strict", "manifests"]);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
}

/// Where most rules of prometheus-adapter are kept.
#[test]
fn values_of_the_helm_chart_are_checked_where_they_stand() {
    let values = format!(
        "prometheus:\n  url: http://a\nrules:\n  default: false\n  custom:\n{}",
        indented(GOOD.strip_prefix("rules:\n").unwrap())
    );
    let broken = values.replace("(.*)", "(.*");
    let files = [
        ("d/values.yaml", broken.as_str()),
        ("d/other.yaml", "rules: {default: true}\n"),
        ("d/good.yaml", &values),
    ];
    let (code, told, _) = check(&files, &["d/good.yaml"], None);
    assert_eq!(
        (code, told.starts_with("1 file, 1 rule: nothing wrong")),
        (0, true),
        "{told}"
    );
    let (code, told, _) = check(&files, &["d"], None);
    assert!(
        code == 1 && told.contains("--> d/values.yaml:8:23"),
        "{told}"
    );
    assert!(told.contains("matches: ^(.*_total$"), "{told}");
    assert!(told.contains("2 files, 2 rules: 1 error"), "{told}");
}

#[test]
fn standard_input_is_read_and_reports_are_for_programs_too() {
    let doubtful = GOOD.replace("by (<<.GroupBy>>)", "");
    let (code, told, _) = check(&[], &["-", "-o", "json"], Some(&doubtful));
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (code, report["files"][0]["file"].as_str()),
        (0, Some("<stdin>"))
    );
    assert!(report["summary"]["warnings"].as_u64().unwrap() > 0);
    let (code, told, _) = check(&[("a.yaml", &doubtful)], &["-o", "sarif", "a.yaml"], None);
    let log: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, log["version"].as_str()), (0, Some("2.1.0")));
    assert_eq!(
        log["runs"][0]["results"][0]["ruleId"],
        "object-label-dropped"
    );
    let (_, told, _) = check(&[("a.yaml", &doubtful)], &["-o", "github", "a.yaml"], None);
    assert!(told.starts_with("::warning file=a.yaml,line=5,"), "{told}");
}

#[test]
fn a_file_of_nothing_is_told_unless_it_says_so() {
    for text in ["", "\n", "# rules:\n# - seriesQuery: hits\n", "---\n"] {
        let (code, told, _) = check(&[("rules.yaml", text)], &["--strict", "rules.yaml"], None);
        assert_eq!(code, 1, "{text:?}: {told}");
        assert!(
            told.contains("warning[no-rules]: there is nothing"),
            "{told}"
        );
    }
    let (code, told, _) = check(&[("a.yaml", "rules: []\n")], &["--strict", "a.yaml"], None);
    assert_eq!(
        (code, told.as_str()),
        (0, "1 file, 0 rules: nothing wrong\n")
    );
}

#[test]
fn warnings_about_rules_that_can_be_read_are_shown_beside_the_mistakes_of_others() {
    let doubtful = GOOD.replace("<<.GroupBy>>", "zone");
    let broken =
        "- seriesQuery: hits\n  metricQuery: x\n- {seriesQuery: depth, name: {matches: (}}\n";
    let rules = format!("{doubtful}{broken}");
    let (code, told, _) = check(&[("rules.yaml", &rules)], &["rules.yaml"], None);
    assert_eq!(code, 1);
    assert!(told.contains("error[unknown-field]"), "{told}");
    assert!(told.contains("error[regex]"), "{told}");
    assert!(told.contains("warning[object-label-dropped]"), "{told}");
    assert!(told.contains("1 file, 3 rules: 2 errors, "), "{told}");
    // What a rule lacks that cannot be read may be no mistake of its own.
    assert!(!told.contains("rules[1].metricsQuery"), "{told}");
}
