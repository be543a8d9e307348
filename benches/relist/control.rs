//! The control: downloads `/api/v1/series` as the Go adapter does, in a process of its own.
//!
//! It is this program, started again with other arguments, and does the least that the Go adapter's
//! client does (`pkg/client/api.go`, `cmd/adapter`): all selectors at the same time, each answer
//! read whole, then decoded into one map of labels per series, and all of them held.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::procfs::Process;

/// How to start it.
pub struct Control {
    arguments: Vec<String>,
}

/// What it says at its end.
#[derive(Serialize, Deserialize)]
pub struct Outcome {
    /// How many series it holds.
    pub series: usize,
    /// The time it used, without its start.
    pub cpu: Duration,
    /// The most memory it held, in bytes.
    pub peak_memory: u64,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<HashMap<String, String>>,
}

impl Control {
    /// One that asks the server at `url`.
    pub fn new(url: &str, selectors: &[String]) -> Control {
        let mut arguments = vec!["control".to_owned(), url.to_owned()];
        arguments.extend_from_slice(selectors);
        Control { arguments }
    }

    /// Starts it and waits for its end.
    pub async fn download(&self) -> Outcome {
        let output = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(&self.arguments)
            .stderr(Stdio::inherit())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "the control: {}", output.status);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// The process itself. Arguments: the server, and each selector.
pub async fn run(arguments: &[String]) {
    let (url, selectors) = arguments.split_first().expect("the URL must be given");
    let client = super::support::http_client();
    let hour_ago = jiff::Timestamp::now().as_second() - 3600;
    let process = Process::own();
    let before = process.cpu();
    let downloads = selectors.iter().map(async |selector| {
        let mut url = reqwest::Url::parse(&format!("{url}/api/v1/series")).unwrap();
        url.query_pairs_mut()
            .append_pair("match[]", selector)
            .append_pair("start", &hour_ago.to_string());
        let answer = client.get(url).send().await.unwrap();
        let body = answer.error_for_status().unwrap().bytes().await.unwrap();
        serde_json::from_slice::<Answer>(&body).unwrap()
    });
    let answers: Vec<Answer> = join_all(downloads).await;
    let outcome = Outcome {
        series: answers.iter().map(|answer| answer.data.len()).sum(),
        cpu: process.cpu() - before,
        peak_memory: process.peak_memory(),
    };
    println!("{}", serde_json::to_string(&outcome).unwrap());
}
