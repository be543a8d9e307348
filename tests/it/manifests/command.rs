//! Commands of others, run to their good end.

use std::path::Path;
use std::process::Command;

/// What a command printed.
pub(super) fn run(directory: &Path, command: &str, arguments: &[&str]) -> String {
    let mut run = Command::new(command);
    let output = run.current_dir(directory).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start `{command}`: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command} {arguments:?}: {}\n{printed}\n{told}",
        output.status
    );
    printed.into_owned()
}
