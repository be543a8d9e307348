//! A real Chromium, told what to do over a pair of pipes (`--remote-debugging-pipe`): one JSON
//! message of the DevTools protocol after another, each ended by a zero byte.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// It starts slowly on a machine that does much else.
const ANSWERS: Duration = Duration::from_secs(60);

/// The shell has the two pipes where Chromium looks for them. Root has no sandbox; what is shown is
/// our own.
const START: &str = r#"exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
  --no-first-run --disable-background-networking --disable-component-update --disable-sync \
  --disable-extensions --user-data-dir="$1" --remote-debugging-pipe 3<&0 4>&1 </dev/null >/dev/null"#;

/// A browser with one page. Dropped, it is killed.
pub struct Browser {
    _process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: String,
    last: u64,
    events: Vec<(String, Value)>,
    _profile: TempDir,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// Where there is no Chromium: `tests/support/install.sh chromium`.
    pub async fn start() -> Browser {
        let profile = TempDir::new().expect("a temporary directory must be possible");
        let mut process = Command::new("sh")
            .args(["-c", START, "sh"])
            .arg(profile.path())
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a shell must start");
        let to = process.stdin.take().expect("a piped input must be there");
        let from = process.stdout.take().expect("a piped output must be there");
        let mut browser = Browser {
            _process: process,
            to,
            from: BufReader::new(from),
            session: String::new(),
            last: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let page = json!({"url": "about:blank"});
        let target = browser.call("Target.createTarget", page).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        for domain in ["Page", "Network", "Log", "Runtime", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Calls a method of the protocol, and gives its result.
    ///
    /// # Panics
    /// Where that is an error, or takes too long.
    pub async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to
            .write_all(&bytes)
            .await
            .expect("Chromium must listen");
        let answer = timeout(ANSWERS, async {
            loop {
                let message = self.next().await;
                if message["id"] == id {
                    break message;
                }
                self.note(message);
            }
        });
        let mut answer = answer
            .await
            .unwrap_or_else(|_| panic!("{method}: no answer"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn open(&mut self, url: &str) {
        self.events.clear();
        let went = self.call("Page.navigate", json!({"url": url})).await;
        assert!(went["errorText"].is_null(), "{url}: {went}");
        self.wait_for("Page.loadEventFired").await;
    }

    /// Waits until an event has come.
    pub async fn wait_for(&mut self, event: &str) {
        let came = timeout(ANSWERS, async {
            while !self.events.iter().any(|(name, _)| name == event) {
                let message = self.next().await;
                self.note(message);
            }
        });
        came.await.unwrap_or_else(|_| panic!("{event} never came"));
    }

    /// The value of an expression in the page.
    pub async fn value(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", ask).await;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].take()
    }

    /// Makes the window so wide, and light or dark.
    pub async fn look(&mut self, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        let media = json!({"features": [feature]});
        self.call("Emulation.setEmulatedMedia", media).await;
    }

    /// Presses a key: `Tab`, `Enter`.
    pub async fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key,
                                   "windowsVirtualKeyCode": code});
            if key == "Enter" && kind == "keyDown" {
                event["text"] = json!("\r");
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// What a screen reader is told: role and name of everything that is not left out.
    pub async fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let text = |node: &Value, what: &str| {
            let text = node[what]["value"].as_str().unwrap_or_default();
            text.trim().to_owned()
        };
        nodes
            .iter()
            .filter(|node| node["ignored"] != true)
            .map(|node| (text(node, "role"), text(node, "name")))
            .collect()
    }

    /// What has happened since the page was opened, of one kind.
    pub fn events(&self, event: &str) -> Vec<&Value> {
        let of = self.events.iter().filter(|(name, _)| name == event);
        of.map(|(_, parameters)| parameters).collect()
    }

    fn note(&mut self, mut message: Value) {
        if let Some(method) = message["method"].as_str().map(str::to_owned) {
            self.events.push((method, message["params"].take()));
        }
    }

    async fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        let read = self.from.read_until(0, &mut bytes).await;
        let read = read.expect("Chromium must speak");
        assert!(read > 0, "Chromium has ended; is it installed?");
        bytes.pop();
        serde_json::from_slice(&bytes).expect("the DevTools protocol must be JSON")
    }
}
