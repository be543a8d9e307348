//! What all commands have in common: help, mistakes and how they end.

use std::process::{Command, Output};

fn tidegauge(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tidegauge(arguments).output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("the binary that cargo built must start");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

const COMMANDS: [&[&str]; 6] = [
    &[],
    &["check"],
    &["test"],
    &["explain"],
    &["autoscale"],
    &["demo"],
];

#[test]
fn help_is_output_and_a_mistake_is_none_whatever_the_command() {
    for command in COMMANDS {
        let (code, out, err) = run(&[command, &["--help"]].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{command:?}");
        assert!(out.contains("Usage: tidegauge"), "{command:?}: {out}");
        let (code, out, err) = run(&[command, &["--no-such-flag"]].concat());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{command:?}");
        assert!(
            err.starts_with("unknown flag: --no-such-flag") && err.contains("--help"),
            "{command:?}: {err}"
        );
    }
}

/// As `tidegauge --help | head -1` may end it.
#[test]
fn help_that_nobody_reads_is_no_panic() {
    for command in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = tidegauge(&[command, &["--help"]].concat());
        let Output { status, stderr, .. } = child.stdout(writer).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(
            (status.code(), stderr.as_str()),
            (Some(141), ""),
            "{command:?}"
        );
    }
}

#[test]
fn a_mistyped_command_is_told_from_a_server_without_rules() {
    let (code, out, err) = run(&["explian", "pods/hits", "-n", "shop"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let expected = "unknown command: explian\nDid you mean explain?\n";
    assert!(err.starts_with(expected), "{err}");
    assert!(!err.contains("shorthand"), "{err}");
}
