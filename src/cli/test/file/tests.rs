//! Files of tests, good and bad.

use super::*;

const GOOD: &str = r#"
rule_files: [rules.yaml]
tests:
- name: requests a second
  interval: 15s
  input_series:
  - series: 'http_requests_total{namespace="shop",pod="web-1"}'
    values: 0+150x20
  objects:
  - {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web}}}
  metric_test:
  - ask: pods/http_requests_per_second -n shop -l app=web
    eval_time: 5m
    exp_values: {web-1: 10}
  - ask: external/lag
    eval_time: 0
    exp_error: lag
    exp_code: 404
- metric_test: [{ask: nodes/load, eval_time: 1m, exp_values: {}}]
"#;

fn wrong(text: &str) -> Vec<(usize, String, String)> {
    let findings = read(text, Path::new("d"))
        .err()
        .expect("it must be refused");
    let one = |it: Finding| (it.line, it.field, it.message);
    findings.into_iter().map(one).collect()
}

#[test]
fn a_file_is_read_with_the_defaults_of_promtool() {
    let file = read(GOOD, Path::new("d")).unwrap_or_else(|findings| panic!("{findings:?}"));
    assert_eq!(file.rule_files, [PathBuf::from("d/rules.yaml")]);
    let [first, second] = file.tests.as_slice() else {
        panic!("two tests");
    };
    assert_eq!((first.name.as_str(), first.line), ("requests a second", 4));
    assert_eq!(first.series[0].interval, Duration::from_secs(15));
    assert_eq!(first.series[0].samples.len(), 21);
    assert_eq!(first.objects.len(), 1);
    let ask = &first.asks[0];
    assert_eq!((ask.line, ask.time.as_str()), (12, "5m"));
    assert_eq!(ask.at, Timestamp::from_second(300).unwrap());
    assert!(
        ask.path
            .ends_with("/namespaces/shop/pods/*/http_requests_per_second?labelSelector=app%3Dweb")
    );
    assert_eq!(second.name, "tests[1]");
    assert!(second.series.is_empty() && second.objects.is_empty());
}

#[test]
fn each_mistake_is_told_with_its_line_and_field() {
    for (from, to, line, field, message) in [
        (
            "interval: 15s",
            "interval: 15",
            5,
            "tests[0].interval",
            "not a valid duration",
        ),
        (
            "interval: 15s",
            "interval: 0s",
            5,
            "tests[0].interval",
            "above zero",
        ),
        (
            "0+150x20",
            "0+150",
            8,
            "tests[0].input_series[0].values",
            "is no value",
        ),
        (
            "\"shop\",pod",
            "\"shop\" pod",
            7,
            "tests[0].input_series[0].series",
            "is no series",
        ),
        (
            "name: web-1, ",
            "",
            10,
            "tests[0].objects[0]",
            "has no metadata.name",
        ),
        (
            "kind: Pod",
            "kind: Gauge",
            10,
            "tests[0].objects",
            "no kind",
        ),
        (
            "pods/http",
            "pods//http",
            12,
            "tests[0].metric_test[0].ask",
            "empty part",
        ),
        (
            "eval_time: 5m",
            "eval_time: 5",
            13,
            "tests[0].metric_test[0].eval_time",
            "not a valid duration",
        ),
        (
            "{web-1: 10}",
            "{web-1: ten}",
            14,
            "tests[0].metric_test[0].exp_values",
            "no quantity",
        ),
        (
            "    exp_values: {web-1: 10}\n",
            "",
            12,
            "tests[0].metric_test[0].ask",
            "nothing is expected",
        ),
        (
            "exp_code: 404",
            "exp_value: 1",
            18,
            "tests[0].metric_test[1].exp_value",
            "only one of",
        ),
        ("[rules.yaml]", "[]", 2, "rule_files", "no file of rules"),
        (
            "[{ask: nodes/load, eval_time: 1m, exp_values: {}}]",
            "[]",
            19,
            "tests[1].metric_test",
            "nothing is asked",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let told = wrong(&GOOD.replacen(from, to, 1));
        let [(at, of, what)] = told.as_slice() else {
            panic!("{to}: {told:?}");
        };
        assert_eq!((*at, of.as_str()), (line, field), "{to}: {what}");
        assert!(what.contains(message), "{to}: {what}");
    }
}

#[test]
fn another_shape_is_told_where_it_begins() {
    for (from, to, line, message) in [
        ("eval_time: 5m", "eval_tme: 5m", 13, "eval_tme"),
        ("  objects:\n  - ", "  objects: ", 9, ""),
        ("rule_files: [rules.yaml]\n", "", 3, "rule_files"),
        ("values: 0+150x20", "values: [1, 2]", 8, ""),
        ("name: requests", "name: [", 4, ""),
    ] {
        let told = wrong(&GOOD.replacen(from, to, 1));
        let [(at, _, what)] = told.as_slice() else {
            panic!("{to}: {told:?}");
        };
        assert!(what.contains(message), "{to}: {what}");
        assert!(at.abs_diff(line) <= 3, "{to}: line {at}: {what}");
    }
}

#[test]
fn all_mistakes_of_one_shape_are_told_at_once() {
    let text = GOOD
        .replace("0+150x20", "a")
        .replace("5m", "a")
        .replace("external/lag", "a");
    assert_eq!(wrong(&text).len(), 3);
}
