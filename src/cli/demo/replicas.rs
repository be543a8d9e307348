//! The replicas of the example service: as many processes as the autoscaler's command says.
//!
//! What a cluster does for a Deployment, a Service and a PodMonitor, in small: starts and ends
//! replicas, asks each whether it is ready, and tells Prometheus and the adapter who there is.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::http::Http;
use super::processes::{Group, Process, write};
use super::rotation::Rotation;

/// How often is looked at what should be and what is.
const ROUND: Duration = Duration::from_millis(200);

/// How long a replica may take to say whether it is ready; then it is not.
const PROBE_TIME: Duration = Duration::from_secs(4);

/// From SIGTERM to the end of a replica (`SHUTDOWN_GRACE`): a third of it serving on, for whoever
/// was sent to it before it left the rotation, however busy the machine is.
const GRACE: Duration = Duration::from_secs(15);

/// How long a replica may take to start, and to end after its grace, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// No more than these, whatever a command writes.
const MOST: u32 = 8;

/// The file that the autoscaler's commands read and write: how many replicas there should be.
const REPLICAS_FILE: &str = "replicas";
/// Of Prometheus' file discovery.
pub(super) const TARGETS_FILE: &str = "targets.json";
/// What `kubectl get` would say.
pub(super) const OBJECTS_FILE: &str = "objects.json";

/// What is seen from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Processes: those that start or end, too.
    pub(super) running: usize,
    /// Those that get requests.
    pub(super) ready: usize,
    /// Those of them that can serve, though not all.
    pub(super) degraded: usize,
}

/// The replicas, and where they are told of.
pub(super) struct Replicas {
    program: PathBuf,
    redis_url: String,
    http: Http,
    folder: PathBuf,
    rotation: Rotation,
    replicas: Vec<Replica>,
    /// How many were ever started: the last one's number.
    started: u32,
    seen: watch::Sender<Seen>,
}

struct Replica {
    name: String,
    process: Process,
    addresses: Arc<Addresses>,
    health: Health,
    /// Since when it starts, or since when it ends.
    since: Instant,
    ends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    NotReady,
    Degraded,
    Ok,
}

/// Where it serves, as it logs once it does.
#[derive(Default)]
struct Addresses {
    shop: OnceLock<String>,
    admin: OnceLock<String>,
}

impl Addresses {
    fn hear(&self, line: &str) {
        let url = |after: &str| {
            let (_, url) = line.split_once(after)?;
            let end = url.find(|c: char| c == '"' || c.is_whitespace());
            Some(url[..end.unwrap_or(url.len())].to_owned())
        };
        // Each is said once; a second time changes nothing.
        if let Some(url) = url("listening on ") {
            let _ = self.shop.set(url);
        }
        if let Some(url) = url("admin on ") {
            let _ = self.admin.set(url);
        }
    }
}

impl Replicas {
    /// None yet. `program` is the example service.
    pub(super) fn new(
        program: PathBuf,
        redis_url: &str,
        http: Http,
        group: &Group,
        rotation: Rotation,
    ) -> anyhow::Result<(Replicas, watch::Receiver<Seen>)> {
        let (seen, watched) = watch::channel(Seen::default());
        let replicas = Replicas {
            program,
            redis_url: redis_url.to_owned(),
            http,
            folder: group.folder().to_owned(),
            rotation,
            replicas: Vec::new(),
            started: 0,
            seen,
        };
        group.write(REPLICAS_FILE, "2\n")?;
        replicas.tell()?;
        Ok((replicas, watched))
    }

    /// One look at what should be and what is. To be called again and again.
    pub(super) async fn round(&mut self, group: &Group) -> anyhow::Result<()> {
        let changed = self.scale(group)?;
        let ended = self.reap()?;
        let probed = self.probe().await?;
        if changed || ended || probed {
            self.tell()?;
        }
        let degraded = |replica: &&Replica| replica.health == Health::Degraded;
        self.seen.send_replace(Seen {
            running: self.replicas.len(),
            ready: self.rotation.len(),
            degraded: self.replicas.iter().filter(degraded).count(),
        });
        Ok(())
    }

    /// Between two rounds.
    pub(super) async fn pause() {
        tokio::time::sleep(ROUND).await;
    }

    /// Starts or ends some, as the file says. The youngest go first, as in a ReplicaSet.
    fn scale(&mut self, group: &Group) -> anyhow::Result<bool> {
        let text = std::fs::read_to_string(self.folder.join(REPLICAS_FILE))?;
        let wanted = text.trim().parse::<u32>();
        let wanted = wanted.with_context(|| format!("{text:?} is no number of replicas"))?;
        if wanted > MOST {
            bail!("{wanted} replicas are more than the {MOST} that this demo runs");
        }
        let wanted = usize::try_from(wanted)?;
        let stay = self.replicas.iter().filter(|it| !it.ends).count();
        for _ in stay..wanted {
            self.start(group)?;
        }
        let surplus = stay.saturating_sub(wanted);
        let youngest = self.replicas.iter_mut().rev().filter(|it| !it.ends);
        for replica in youngest.take(surplus) {
            // Nobody is sent there any more before it knows of its end.
            self.rotation.set(&replica.name, "", false);
            replica.process.ask_to_end()?;
            replica.ends = true;
            replica.health = Health::NotReady;
            replica.since = Instant::now();
        }
        Ok(stay != wanted)
    }

    fn start(&mut self, group: &Group) -> anyhow::Result<()> {
        self.started += 1;
        let name = format!("shop-{}", self.started);
        let mut command = Command::new(&self.program);
        command
            .env("LISTEN_ADDRESS", "127.0.0.1:0")
            .env("ADMIN_ADDRESS", "127.0.0.1:0")
            .env("REDIS_URL", &self.redis_url)
            .env("SHUTDOWN_GRACE", format!("{}s", GRACE.as_secs()));
        let addresses = Arc::new(Addresses::default());
        let heard = Arc::clone(&addresses);
        let hear = move |line: &str| heard.hear(line);
        self.replicas.push(Replica {
            process: group.start(&name, command, hear)?,
            name,
            addresses,
            health: Health::NotReady,
            since: Instant::now(),
            ends: false,
        });
        Ok(())
    }

    /// Lets go of those that have ended. One that ends by itself, badly or never is an error.
    fn reap(&mut self) -> anyhow::Result<bool> {
        let before = self.replicas.len();
        for replica in &mut self.replicas {
            let waits = replica.ends || replica.addresses.admin.get().is_none();
            if waits && replica.since.elapsed() > PATIENCE {
                let what = if replica.ends { "end" } else { "start" };
                bail!("{} did not {what} within {PATIENCE:?}", replica.name);
            }
            match replica.process.ended()? {
                Some(status) if replica.ends && status.success() => {}
                Some(_) => replica.process.must_run()?,
                None => {}
            }
        }
        let mut left = Vec::new();
        for mut replica in self.replicas.drain(..) {
            if replica.process.ended()?.is_none() {
                left.push(replica);
            }
        }
        self.replicas = left;
        Ok(self.replicas.len() != before)
    }

    /// Asks each whether it is ready, all at once, as the kubelet's readiness probe does. Those
    /// that end are not asked: they are ready for nobody, whatever they say.
    async fn probe(&mut self) -> anyhow::Result<bool> {
        let http = &self.http;
        let probes = self.replicas.iter().map(async |replica| {
            let admin = replica.addresses.admin.get().filter(|_| !replica.ends)?;
            let probed = timeout(PROBE_TIME, http.get(&format!("{admin}/readyz"))).await;
            match probed {
                Ok(Ok(text)) if text.starts_with("degraded") => Some(Health::Degraded),
                Ok(Ok(_)) => Some(Health::Ok),
                _ => Some(Health::NotReady),
            }
        });
        let healths = futures_util::future::join_all(probes).await;
        let mut changed = false;
        for (replica, health) in self.replicas.iter_mut().zip(healths) {
            let (Some(health), Some(shop)) = (health, replica.addresses.shop.get()) else {
                continue;
            };
            replica.health = health;
            let ready = health != Health::NotReady;
            changed |= self.rotation.set(&replica.name, shop, ready);
        }
        Ok(changed)
    }

    /// Tells Prometheus whom to scrape, and the adapter which pods there are.
    fn tell(&self) -> anyhow::Result<()> {
        let targets = self.replicas.iter().filter_map(|replica| {
            let admin = replica.addresses.admin.get()?;
            let labels = json!({
                "namespace": "shop", "pod": replica.name, "service": "shop", "container": "shop",
            });
            let target = admin.trim_start_matches("http://");
            Some(json!({"targets": [target], "labels": labels}))
        });
        let targets = serde_json::Value::Array(targets.collect());
        write(&self.folder, TARGETS_FILE, &targets.to_string())?;
        // A pod that ends is none to an autoscaler; one that is not ready yet counts from its
        // start.
        let stay = self.replicas.iter().filter(|replica| !replica.ends);
        let mut items = vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "shop", "namespace": "shop"},
            }),
        ];
        items.extend(stay.map(|replica| {
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": replica.name,
                    "namespace": "shop",
                    "labels": {
                        "app.kubernetes.io/name": "shop",
                        "app.kubernetes.io/component": "web",
                    },
                },
            })
        }));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        write(&self.folder, OBJECTS_FILE, &list.to_string())?;
        Ok(())
    }

    /// The command that reads how many replicas there should be, for `sh -c`.
    pub(super) fn command_current(folder: &std::path::Path) -> String {
        format!("cat {}", quoted(&folder.join(REPLICAS_FILE)))
    }

    /// The command that sets it.
    pub(super) fn command_exec(folder: &std::path::Path) -> String {
        let (new, file) = (folder.join("replicas.new"), folder.join(REPLICAS_FILE));
        let (new, file) = (quoted(&new), quoted(&file));
        format!("echo {{replicas}} > {new} && mv {new} {file}")
    }

    /// Asks all to end, and waits for it.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        for replica in &self.replicas {
            replica.process.ask_to_end()?;
        }
        for replica in self.replicas {
            let status = replica.process.stop(PATIENCE).await?;
            if !status.success() {
                bail!("{} did not end well: {status}", replica.name);
            }
        }
        Ok(())
    }
}

/// As one word of `sh`.
fn quoted(path: &std::path::Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
