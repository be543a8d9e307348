//! `tests/support/install.sh`, with stubs for all that would change this machine: what it installs is
//! neither started nor there at the next boot.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A machine on which `id` names somebody who may do all by sudo. Its only policy is in a file `policy`;
/// `apt-get` writes down what that answers, and has `shop.service` enabled.
const STUBS: [(&str, &str); 4] = [
    ("id", "echo 1000"),
    (
        "sudo",
        r#"shift
for it; do
  shift
  if [ "$it" = /usr/sbin/policy-rc.d ]; then it="$ROOT/policy"; fi
  set -- "$@" "$it"
done
exec "$@""#,
    ),
    (
        "apt-get",
        r#"status=0; "$ROOT/policy" || status=$?
echo "$1 with $status" >> "$ROOT/calls"
echo "shop.service enabled enabled" >> "$ROOT/units"
[ ! -e "$ROOT/broken" ]"#,
    ),
    (
        "systemctl",
        r#"case "$*" in
*list-unit-files*) cat "$ROOT/units" ;;
*) echo "systemctl $*" >> "$ROOT/calls" ;;
esac"#,
    ),
];

fn executable(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn machine() -> TempDir {
    let root = TempDir::new().unwrap();
    for (name, text) in STUBS {
        executable(&root.path().join(name), text);
    }
    let units = "cron.service enabled enabled\n";
    std::fs::write(root.path().join("units"), units).unwrap();
    root
}

/// Installs a command that no machine has. How that went, and what was called.
fn install(root: &TempDir) -> (Output, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/install.sh");
    let mut command = Command::new(script);
    let path = format!("{}:/usr/bin:/bin", root.path().display());
    command.env("PATH", path).env("ROOT", root.path());
    let output = command.arg("no-such-command").output().unwrap();
    let calls = std::fs::read_to_string(root.path().join("calls"));
    (output, calls.unwrap_or_default())
}

#[test]
fn what_is_installed_is_neither_started_nor_enabled() {
    let root = machine();
    let (output, calls) = install(&root);
    assert!(output.status.success(), "{output:?}");
    let expected = "install with 101\nsystemctl --root=/ disable --quiet shop.service\n";
    assert_eq!(calls, expected, "{output:?}");
    assert!(!root.path().join("policy").exists(), "the machine's again");
}

#[test]
fn a_policy_of_the_machine_is_asked_and_stays() {
    let root = machine();
    let policy = root.path().join("policy");
    executable(&policy, "exit 104");
    let (output, calls) = install(&root);
    assert!(output.status.success(), "{output:?}");
    assert!(calls.starts_with("install with 104\n"), "{calls}");
    let text = std::fs::read_to_string(policy).unwrap();
    assert_eq!(text, "#!/bin/sh\nexit 104\n");
}

#[test]
fn an_installation_that_fails_leaves_no_policy_behind() {
    let root = machine();
    std::fs::write(root.path().join("broken"), "").unwrap();
    let (output, calls) = install(&root);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(calls, "install with 101\nupdate with 101\n", "{output:?}");
    assert!(!root.path().join("policy").exists());
}
