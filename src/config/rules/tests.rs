//! The command lines of `tidegauge check` and `tidegauge test`.

use std::path::PathBuf;

use super::*;

fn env(name: &str) -> Option<String> {
    (name == "NO_COLOR").then(|| "1".to_owned())
}

fn check(args: &[&str]) -> Result<Check, String> {
    let args = [&["tidegauge", "check"], args].concat();
    Check::parse(&args, env).map_err(|stop| stop.to_string())
}

fn test(args: &[&str]) -> Result<Test, String> {
    let args = [&["tidegauge", "test"], args].concat();
    Test::parse(&args, |_| None).map_err(|stop| stop.to_string())
}

#[test]
fn nobody_is_asked_unless_the_url_of_prometheus_is_given() {
    let flags = check(&["rules.yaml", "-"]).unwrap();
    assert_eq!(
        flags.files,
        [PathBuf::from("rules.yaml"), PathBuf::from("-")]
    );
    assert!(flags.upstream.is_none() && flags.plain && !flags.strict && !flags.verbose);
    assert_eq!(flags.output, CheckOutput::Text);
    let flags = check(&[
        "--prometheus-url=http://p:9090",
        "--prometheus-header=X-Scope-OrgID=a",
        "a.yaml",
        "--strict",
        "-o",
        "sarif",
    ]);
    let flags = flags.unwrap();
    let upstream = flags.upstream.unwrap();
    assert_eq!(upstream.prometheus.url, "http://p:9090");
    assert_eq!(upstream.prometheus.headers.len(), 1);
    assert!(flags.strict && flags.output == CheckOutput::Sarif && !flags.together);
    assert!(check(&["--together", "a.yaml", "b.yaml"]).unwrap().together);
}

#[test]
fn flags_of_prometheus_without_its_url_are_a_mistake() {
    let told = check(&["a.yaml", "--prometheus-verb=POST"]).unwrap_err();
    assert!(
        told.contains("--prometheus-verb") && told.contains("--prometheus-url"),
        "{told}"
    );
    let told = check(&["a.yaml", "--prometheus-url=prometheus:9090"]).unwrap_err();
    assert!(told.contains("--prometheus-url"), "{told}");
}

#[test]
fn there_must_be_files_unless_only_the_findings_are_listed() {
    assert!(check(&[]).unwrap_err().contains("name the files"));
    assert!(check(&["--list"]).unwrap().list);
    assert!(test(&[]).unwrap_err().contains("name the files"));
    assert!(check(&["-", "-"]).unwrap_err().contains("standard input"));
}

#[test]
fn what_is_unknown_is_named() {
    assert!(
        check(&["a", "--quick"])
            .unwrap_err()
            .contains("unknown flag: --quick")
    );
    assert!(check(&["a", "-o", "xml"]).unwrap_err().contains("xml"));
    assert!(test(&["a", "-o", "tap"]).unwrap_err().contains("tap"));
}

#[test]
fn the_prometheus_that_is_started_can_be_chosen() {
    let flags = test(&["a.yaml"]).unwrap();
    assert_eq!(flags.prometheus, PathBuf::from("prometheus"));
    let flags = test(&["a.yaml", "--prometheus=/opt/prometheus", "--run=rate"]).unwrap();
    assert_eq!(flags.prometheus, PathBuf::from("/opt/prometheus"));
    assert_eq!(flags.run.as_deref(), Some("rate"));
}

#[test]
fn help_tells_the_whole_format() {
    let args = ["tidegauge", "test", "--help"];
    let help = Test::parse(&args, |_| None).unwrap_err();
    assert_eq!(help.code(), 0);
    for word in [
        "rule_files",
        "input_series",
        "eval_time",
        "exp_values",
        "exp_error",
        "objects",
    ] {
        assert!(help.to_string().contains(word), "{word}");
    }
}
