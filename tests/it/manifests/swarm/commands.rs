//! The commands of the examples: each script is run as it stands, with the real `tidegauge autoscale`
//! and with stubs for the tools of its place, which write down what they were asked.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::super::command::run;
use super::{Server, folder};

/// Puts an executable into a directory.
pub(super) fn tool(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A place where the shop runs.
struct Place(TempDir);

impl Place {
    /// With a `tool` that answers by these lines of shell, which see what it was asked.
    fn new(name: &str, answers: &str) -> Place {
        let place = Place(TempDir::new().unwrap());
        let path = place.0.path();
        let calls = path.join("calls");
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >> {}\ncase \"$*\" in\n{answers}\nesac\n",
            calls.display()
        );
        tool(path, name, &text);
        let link = path.join("tidegauge");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidegauge"), link).unwrap();
        std::fs::create_dir(path.join("state")).unwrap();
        place
    }

    /// Runs a script for one round. How it went and what it said, and what the tool was asked.
    fn round(&self, script: &str, flags: &[&str]) -> (Output, Vec<String>) {
        let path = self.0.path();
        let text = std::fs::read_to_string(folder().join(script)).unwrap();
        let here = text.replace("/etc/tidegauge/", &format!("{}/", folder().display()));
        std::fs::write(path.join("script"), here).unwrap();
        let line = format!(
            "PATH={0}:$PATH STATE_DIRECTORY={0}/state exec sh script --once {1}",
            path.display(),
            flags.join(" ")
        );
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &line]).current_dir(path).output();
        let calls = std::fs::read_to_string(path.join("calls")).unwrap_or_default();
        let mut calls: Vec<String> = calls.lines().map(str::to_owned).collect();
        calls.sort();
        (output.unwrap(), calls)
    }
}

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// A place that is away changes nothing.
#[tokio::test]
async fn a_tool_that_fails_or_answers_something_else_sets_nothing() {
    let server = Server::start().await;
    let url = format!("--server={}", server.adapter.url);
    for answers in ["*) echo None ;;", "*) exit 1 ;;", "*) ;;"] {
        let place = Place::new("aws", answers);
        let (output, calls) = place.round("ecs.sh", &[&url]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let sets = calls.iter().filter(|call| call.contains("update-service"));
        assert_eq!(sets.count(), 0, "{}", said(&output));
    }
}

#[test]
fn the_script_for_a_cluster_gets_its_credentials_and_leaves_the_rest_to_the_cluster() {
    let place = Place::new("aliyun", "*) echo '{\"config\": \"apiVersion: v1\"}' ;;");
    let path = place.0.path();
    let asked = "#!/bin/sh\nfor it in \"$@\"; do echo \"$it\"; done\n";
    std::fs::remove_file(path.join("tidegauge")).unwrap();
    tool(path, "tidegauge", asked);
    let line = format!(
        "PATH={0}:$PATH STATE_DIRECTORY={0}/state ALIBABA_CLUSTER=c01 {1} -f hpa.yaml",
        path.display(),
        folder().join("alibaba-ask.sh").display()
    );
    let printed = run(path, "sh", &["-c", &line]);
    let state = path.join("state");
    let expected = format!(
        "autoscale\n--kubeconfig={0}/kubeconfig\n--memory={0}/memory.json\n-f\nhpa.yaml\n",
        state.display()
    );
    assert_eq!(printed, expected);
    let calls = std::fs::read_to_string(path.join("calls")).unwrap();
    assert_eq!(calls, "aliyun cs GET /k8s/c01/user_config\n");
    let kubeconfig = state.join("kubeconfig");
    assert_eq!(
        std::fs::read_to_string(&kubeconfig).unwrap(),
        "apiVersion: v1\n"
    );
    let mode = std::fs::metadata(&kubeconfig).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it lets its holder into the cluster");
}
