//! `tidegauge test` as a user runs it, over the real Prometheus.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const RULES: &str = r#"rules:
- seriesQuery: 'hits_total{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: ^(.*)_total$, as: "${1}_per_second"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
externalRules:
- seriesQuery: 'lag{namespace!=""}'
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (topic)'
- query: time()
  name: {as: now}
"#;

const TESTS: &str = r#"rule_files: [rules.yaml]
tests:
- name: rates of pods
  interval: 15s
  input_series:
  - series: 'hits_total{namespace="shop",pod="web-1"}'
    values: 0+150x20
  - series: 'hits_total{namespace="shop",pod="web-2"}'
    values: 0+30x10 stale
  - series: 'hits_total{namespace="bank",pod="web-1"}'
    values: 0+15x20
  objects:
  - {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web}}}
  - {apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop, labels: {app: web}}}
  - {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: bank, labels: {app: web}}}
  metric_test:
  - ask: pods/hits_per_second -n shop -l app=web
    eval_time: 2m
    exp_values: {web-1: 10, web-2: 2}
  # The second has ended, and half a minute later nothing of it is in the window.
  - ask: pods/hits_per_second -n shop -l app=web
    eval_time: 5m
    exp_values: {web-1: "10"}
  - ask: pods/web-1/hits_per_second -n bank
    eval_time: 5m
    exp_value: 1
  - ask: pods/hits_per_second -n shop -l app=none
    eval_time: 5m
    exp_values: {}
  - ask: pods/unknown -n shop
    eval_time: 5m
    exp_error: unknown
    exp_code: 404
- name: hours and gaps
  interval: 10m
  input_series:
  - series: 'lag{namespace="shop",topic="a"}'
    values: 1 2 _x3 7x10
  - series: 'lag{namespace="shop",topic="b"}'
    values: 5x20
  metric_test:
  - ask: external/lag -n shop
    eval_time: 1h40m
    exp_samples:
    - {labels: '{topic="a"}', value: 7}
    - {labels: '{topic="b"}', value: 5}
  - ask: external/lag -n shop -l topic=a
    eval_time: 30m
    exp_samples: []
  - ask: external/now
    eval_time: 2h
    exp_value: 7200
"#;

fn test(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command.current_dir(folder).arg("test").args(arguments);
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .expect("the binary that cargo built must start");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn folder(tests: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    std::fs::write(folder.path().join("a.test.yaml"), tests).unwrap();
    folder
}

#[test]
fn what_is_as_expected_passes() {
    let (code, told, error) = test(folder(TESTS).path(), &["a.test.yaml"]);
    let expected = "\
ok    a.test.yaml:3: rates of pods
ok    a.test.yaml:34: hours and gaps
2 tests with 8 asks: all as expected
";
    assert_eq!((code, told.as_str()), (0, expected), "{error}");
}

#[test]
fn what_is_not_fails_and_says_what_came() {
    let wrong = TESTS
        .replace("{web-1: 10, web-2: 2}", "{web-1: 11, web-3: 2}")
        .replace("exp_code: 404", "exp_code: 500");
    let wrong = folder(&wrong);
    let (code, told, error) = test(wrong.path(), &["a.test.yaml", "--run=rates"]);
    assert_eq!(code, 1, "{told}{error}");
    for line in [
        "FAIL  a.test.yaml:3: rates of pods\n",
        "      a.test.yaml:17: pods/hits_per_second -n shop -l app=web at 2m\n",
        "        - web-1: 11\n        + web-1: 10\n        - web-3: 2\n        + web-2: 2\n",
        "        - error 500 that says \"unknown\"\n        + error 404: ",
        "1 test with 5 asks: 1 failed\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let (code, told, _) = test(wrong.path(), &["a.test.yaml", "-o", "json"]);
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &report["summary"]["failed"]), (1, &1.into()));
    let (_, told, _) = test(wrong.path(), &["a.test.yaml", "-o", "junit"]);
    assert!(
        told.contains("<testsuite name=\"a.test.yaml\" tests=\"2\" failures=\"1\""),
        "{told}"
    );
}

#[test]
fn what_cannot_be_run_is_told_apart_from_what_fails() {
    let good = folder(TESTS);
    let (code, told, error) = test(
        good.path(),
        &["a.test.yaml", "--prometheus=/nowhere/prometheus"],
    );
    assert_eq!((code, told.as_str()), (2, ""));
    assert!(error.contains("apt-get install prometheus"), "{error}");
    let bad = folder(&TESTS.replace("0+150x20", "0+150"));
    let (code, _, error) = test(bad.path(), &["a.test.yaml"]);
    assert_eq!(code, 2);
    assert!(
        error.contains("a.test.yaml:7:") && error.contains("tests[0].input_series[0].values"),
        "{error}"
    );
    // Rules of several files are read as one, as a server reads them.
    let (rules, external) = RULES.split_once("externalRules:").unwrap();
    std::fs::create_dir(good.path().join("parts")).unwrap();
    for (name, text) in [
        ("parts/a.yaml", rules.to_owned()),
        ("parts/b.yaml", format!("externalRules:{external}")),
    ] {
        std::fs::write(good.path().join(name), text).unwrap();
    }
    let of = |files: &str| {
        let tests = TESTS.replace("[rules.yaml]", files);
        std::fs::write(good.path().join("b.test.yaml"), tests).unwrap();
        test(good.path(), &["b.test.yaml"])
    };
    for files in ["[parts/a.yaml, parts/b.yaml]", "[parts]"] {
        let (code, told, error) = of(files);
        assert_eq!(code, 0, "{files}: {told}{error}");
    }
    let (code, _, error) = of("[parts, parts/a.yaml]");
    assert!(code == 2 && error.contains("given twice"), "{error}");
    let (code, _, error) = of("[parts, nowhere.yaml]");
    assert!(code == 2 && error.contains("nowhere.yaml"), "{error}");
    std::fs::write(good.path().join("rules.yaml"), "rules: 1\n").unwrap();
    let (code, _, error) = test(good.path(), &["a.test.yaml"]);
    assert!(code == 2 && error.contains("rules.yaml:1:"), "{error}");
    let (code, _, error) = test(good.path(), &["a.test.yaml", "--run=none"]);
    assert_eq!(code, 2, "{error}");
    assert_eq!(test(good.path(), &["missing.yaml"]).0, 2);
    assert_eq!(test(good.path(), &[]).0, 2);
}

/// The tests beside our own rules, and the example that the help shows.
#[test]
fn the_tests_beside_our_rules_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        "manifests/example/adapter-rules.test.yaml",
        "manifests/base/config.test.yaml",
    ];
    let (code, told, error) = test(root, &files);
    assert_eq!(code, 0, "{told}{error}");
    let (code, help, _) = test(root, &["--help"]);
    assert_eq!(code, 0);
    let begin = help.find("  rule_files:").unwrap();
    let end = help.find("What is expected, one of").unwrap();
    let example: String = help[begin..end]
        .lines()
        .map(|line| format!("{}\n", line.get(2..).unwrap_or_default()))
        .collect();
    let folder = TempDir::new().unwrap();
    let rules = RULES.replace("hits", "http_requests");
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    std::fs::write(folder.path().join("rules.test.yaml"), example).unwrap();
    let (code, told, error) = test(folder.path(), &["rules.test.yaml"]);
    assert_eq!(code, 0, "{told}{error}");
}
