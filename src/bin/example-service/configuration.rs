//! A configuration centre: values that operators change while everything runs.
//!
//! What differs between installations is a setting (`settings.rs`) and changes with a restart. What
//! is changed in the middle of a sale is here. A wrong value is refused and the last good one
//! stays: a typing error must not reach all replicas within a second. All stays as it is while etcd
//! is away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use crate::dependency::{Dependency, Unavailable};
use crate::metrics::{KeyLabel, Metrics};
use crate::settings;

/// More than this, one request of `/burn` may never ask for.
pub(crate) const MOST_BURN: Duration = Duration::from_secs(2);
const LONGEST_BANNER: usize = 200;

const READ_WITHIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// A watch that nothing comes from may be a connection that is gone. So all is read again after
/// this, whatever was or was not said.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// After a change: a script that sets many keys is read once or twice, and not once for each.
const SETTLES: Duration = Duration::from_millis(200);

/// What the gateway may send at one time.
const MOST_BYTES: usize = 1 << 20;

/// What can be changed while everything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// A line for customers, in `GET /`.
    pub banner: String,
    /// The most that `/burn` does.
    pub burn_limit: Duration,
}

impl Default for Configuration {
    fn default() -> Configuration {
        Configuration {
            banner: String::new(),
            burn_limit: MOST_BURN,
        }
    }
}

/// The configuration as it is now: one writer, and readers that never wait.
pub(crate) type Live = Arc<ArcSwap<Configuration>>;

/// The known keys, below the prefix. They are label values.
const BANNER: &str = "banner";
const BURN_LIMIT: &str = "burn-limit";

/// Follows the keys below a prefix in etcd, by the JSON gateway that its clients' port has.
pub(crate) struct Etcd {
    client: reqwest::Client,
    url: reqwest::Url,
    prefix: String,
    live: Live,
    dependency: Dependency,
    metrics: Arc<Metrics>,
}

/// The values that were not taken over when all was last read, by key.
type Refused = HashMap<String, Vec<u8>>;

/// etcd's v3 API in JSON: 64-bit numbers are strings, keys and values base64.
#[derive(Deserialize)]
struct Range {
    header: Header,
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct Header {
    revision: String,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("etcd answers {0}")]
    Status(reqwest::StatusCode),
    #[error("etcd's answer cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("etcd's answer has {0:?} where a revision should be")]
    Revision(String),
    #[error("etcd sends more than {MOST_BYTES} bytes at a time")]
    TooLarge,
}

impl Etcd {
    /// # Errors
    /// When no client can be made.
    pub(crate) fn new(
        url: reqwest::Url,
        prefix: String,
        tls: rustls::ClientConfig,
        live: Live,
        metrics: &Arc<Metrics>,
    ) -> reqwest::Result<Etcd> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .build()?;
        Ok(Etcd {
            client,
            url,
            prefix,
            live,
            dependency: Dependency::new("etcd", READ_WITHIN, metrics),
            metrics: Arc::clone(metrics),
        })
    }

    /// Follows for ever.
    pub(crate) async fn follow(&self) {
        let mut away = false;
        let mut refused = Refused::new();
        loop {
            match self.read(&mut refused).await {
                Ok(revision) => {
                    if std::mem::take(&mut away) {
                        tracing::info!("the configuration centre is back");
                    }
                    // Whatever ends the watch: all is read again, and what is read counts.
                    let changed = self.changed_after(revision);
                    match tokio::time::timeout(READ_AGAIN, changed).await {
                        Ok(Ok(())) => tokio::time::sleep(SETTLES).await,
                        Ok(Err(error)) => {
                            tracing::debug!(%error, "the watch of the configuration ended");
                            tokio::time::sleep(PAUSE).await;
                        }
                        Err(_) => {}
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(%error, "the configuration stays as it is");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Asks for nothing but an answer, within `dependency`'s time.
    pub(crate) async fn ping(&self, dependency: &Dependency) -> Result<(), Unavailable> {
        let answer = async {
            let mut url = self.url.clone();
            url.set_path("/health");
            let answer = self.client.get(url).send().await?;
            match answer.status() {
                status if status.is_success() => Ok(()),
                status => Err(Trouble::Status(status)),
            }
        };
        dependency.call("ping", answer).await
    }

    async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<reqwest::Response, Trouble> {
        let mut url = self.url.clone();
        url.set_path(path);
        let answer = self.client.post(url).body(body.to_string()).send().await?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => Err(Trouble::Status(status)),
        }
    }

    /// All keys that begin with the prefix: up to the first that does not.
    fn keys(&self) -> serde_json::Value {
        let mut end = self.prefix.clone().into_bytes();
        if let Some(last) = end.last_mut() {
            // The prefix ends with a slash, so there is a next one.
            *last = last.saturating_add(1);
        }
        json!({"key": STANDARD.encode(&self.prefix), "range_end": STANDARD.encode(end)})
    }

    /// Reads all, takes over what is good, and gives the revision that it was read at.
    async fn read(&self, refused: &mut Refused) -> Result<i64, Unavailable> {
        let answer = async {
            let mut answer = self.post("/v3/kv/range", &self.keys()).await?;
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                take(&mut bytes, &chunk)?;
            }
            let range: Range = serde_json::from_slice(&bytes)?;
            let revision = range.header.revision.parse::<i64>();
            let revision = revision.map_err(|_| Trouble::Revision(range.header.revision))?;
            Ok::<_, Trouble>((revision, range.kvs))
        };
        let (revision, pairs) = self.dependency.call("read", answer).await?;
        self.apply(revision, &pairs, refused);
        Ok(revision)
    }

    /// Comes back when something changes after `revision`. What it was is not looked at: whoever
    /// reads the whole state can miss no change of it.
    async fn changed_after(&self, revision: i64) -> Result<(), Trouble> {
        let mut request = self.keys();
        request["start_revision"] = json!(revision.saturating_add(1).to_string());
        let body = json!({"create_request": request});
        let mut answer = self.post("/v3/watch", &body).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            take(&mut bytes, &chunk)?;
            while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = bytes.drain(..=end).collect();
                let message: serde_json::Value = serde_json::from_slice(&line)?;
                let result = &message["result"];
                // The first message says that the watch was created. It may also be canceled, as
                // when the revision was compacted.
                if result["events"].is_array() || result["canceled"] == true {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn apply(&self, revision: i64, pairs: &[KeyValue], refused: &mut Refused) {
        let refused_before = std::mem::take(refused);
        let before = self.live.load();
        let mut now = Configuration::default();
        for pair in pairs {
            let (Ok(key), Ok(value)) = (STANDARD.decode(&pair.key), STANDARD.decode(&pair.value))
            else {
                continue;
            };
            let key = String::from_utf8_lossy(&key);
            let key = key.strip_prefix(&self.prefix).unwrap_or(&key);
            if let Err((label, why)) = set(&mut now, &before, key, &value) {
                // All is read again and again: what is wrong is told when it became so.
                if refused_before.get(key) != Some(&value) {
                    tracing::warn!(key, why, "a value of the configuration is not taken over");
                    let rejected = &self.metrics.configuration_rejected;
                    rejected.get_or_create(&KeyLabel { key: label }).inc();
                }
                refused.insert(key.to_owned(), value);
            }
        }
        let changes = [
            (BANNER, before.banner != now.banner),
            (BURN_LIMIT, before.burn_limit != now.burn_limit),
        ];
        for (key, _) in changes.into_iter().filter(|(_, changed)| *changed) {
            tracing::info!(key, revision, "the configuration has changed");
            let changes = &self.metrics.configuration_changes;
            changes.get_or_create(&KeyLabel { key }).inc();
        }
        // An f64 is exact up to 2^53.
        #[expect(clippy::cast_precision_loss, reason = "no etcd has so many revisions")]
        self.metrics.configuration_revision.set(revision as f64);
        self.live.store(Arc::new(now));
    }
}

fn take(bytes: &mut Vec<u8>, chunk: &[u8]) -> Result<(), Trouble> {
    bytes.extend_from_slice(chunk);
    match bytes.len() > MOST_BYTES {
        true => Err(Trouble::TooLarge),
        false => Ok(()),
    }
}

/// Sets one key in `now`. A wrong value leaves what was there `before`, and gives the label of the
/// key and why.
fn set(
    now: &mut Configuration,
    before: &Configuration,
    key: &str,
    value: &[u8],
) -> Result<(), (&'static str, String)> {
    let text = std::str::from_utf8(value).map(str::trim);
    match key {
        BANNER => match text {
            Ok(text) if text.chars().count() <= LONGEST_BANNER => text.clone_into(&mut now.banner),
            _ => {
                now.banner.clone_from(&before.banner);
                let why = format!("no text of at most {LONGEST_BANNER} characters");
                return Err((BANNER, why));
            }
        },
        BURN_LIMIT => match settings::duration(text.unwrap_or_default()) {
            Ok(limit) if limit <= MOST_BURN => now.burn_limit = limit,
            _ => {
                now.burn_limit = before.burn_limit;
                return Err((BURN_LIMIT, format!("no duration up to {MOST_BURN:?}")));
            }
        },
        _ => return Err(("other", "no such key".to_owned())),
    }
    Ok(())
}
