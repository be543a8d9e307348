//! One replica of the service: started as a container would be, asked as Kubernetes would.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use crate::poll;
use crate::process::Process;

const START: Duration = Duration::from_secs(30);
pub const SOON: Duration = Duration::from_secs(30);

/// A running replica. Dropping it kills it.
pub struct Service {
    /// `http://127.0.0.1:PORT` of the shop; empty for a worker.
    pub shop: String,
    /// As that, of probes and metrics.
    pub admin: String,
    process: Process,
    _directory: TempDir,
}

/// What was answered, read whole.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    /// # Errors
    /// When there is no answer, or only a part.
    pub async fn of(request: reqwest::RequestBuilder) -> Result<Answer, String> {
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        Ok(Answer {
            code: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.map_err(|error| format!("{error:?}"))?,
        })
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// A command with `settings` and nothing else in its environment.
pub fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-service"));
    command
        .env_clear()
        .env("LISTEN_ADDRESS", "127.0.0.1:0")
        .env("ADMIN_ADDRESS", "127.0.0.1:0")
        .envs(settings.iter().copied());
    command
}

pub fn client() -> reqwest::Client {
    static PROVIDER: std::sync::Once = std::sync::Once::new();
    PROVIDER.call_once(|| {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.install_default().unwrap();
    });
    let client = reqwest::Client::builder().no_proxy();
    client.timeout(Duration::from_secs(20)).build().unwrap()
}

impl Service {
    /// Starts one with `settings`, and waits until it says where it is.
    pub async fn start(settings: &[(&str, &str)]) -> Service {
        let directory = TempDir::new().unwrap();
        let log = directory.path().join("stderr");
        let process = Process::start(command(settings), &log).unwrap();
        let mut service = Service {
            shop: String::new(),
            admin: String::new(),
            process,
            _directory: directory,
        };
        let worker = settings.contains(&("ROLE", "worker"));
        poll::until("the service says where it is", START, async || {
            let log = service.log();
            let after = |words: &str| {
                let (_, rest) = log.split_once(words)?;
                Some(rest.split(['\n', '"']).next()?.to_owned())
            };
            if let Some(status) = service.process.ended() {
                panic!("the service ended, {status}: {log}");
            }
            service.admin = after("admin on ").ok_or(log.clone())?;
            if !worker {
                service.shop = after("listening on ").ok_or(log.clone())?;
            }
            Ok(())
        })
        .await;
        service
    }

    pub fn log(&self) -> String {
        self.process.stderr()
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// What the admin port says at `path`.
    ///
    /// # Errors
    /// When it says nothing.
    pub async fn admin(&self, path: &str) -> Result<Answer, String> {
        Answer::of(client().get(format!("{}{path}", self.admin))).await
    }

    /// Waits until `/readyz` answers `code` and a text that begins with `word`; gives the text.
    pub async fn until_ready_says(&self, code: u16, word: &str) -> String {
        poll::until(&format!("/readyz says {word:?}"), SOON, async || {
            let answer = self.admin("/readyz").await?;
            match answer.code == code && answer.text.starts_with(word) {
                true => Ok(answer.text),
                false => Err(format!("{} {}", answer.code, answer.text)),
            }
        })
        .await
    }

    /// The sum of all samples of `/metrics` whose line begins with `series`; `None`: there is none.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.admin("/metrics").await.unwrap().text;
        let samples = text.lines().filter(|line| line.starts_with(series));
        let values: Vec<f64> = samples
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }
}
