//! A real Prometheus that holds many series: scraped once, and left in peace.
//!
//! The exporters go away when everything is there. Scraping 200,000 series goes on for ever in a
//! cluster, but here it would drown what is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::procfs::Process;
use super::support::exporter::Exporter;
use super::support::poll;
use super::support::prometheus::{Prometheus, TargetLabels};

/// How long scraping everything may take.
const SCRAPED: Duration = Duration::from_secs(180);
/// How long the work behind the last scrape may take.
const SETTLED: Duration = Duration::from_secs(60);
/// A Prometheus that uses less of one core than this is at rest: it still tries its targets.
const REST: f64 = 0.05;

/// One scrape has ten thousand series, about what a large node's exporters have together.
const NAMESPACES_PER_TARGET: usize = 10;

/// What cAdvisor says of each pod. The chart's first three rules are about these.
const CONTAINER: [&str; 15] = [
    "container_cpu_usage_seconds_total",
    "container_cpu_user_seconds_total",
    "container_cpu_system_seconds_total",
    "container_cpu_cfs_periods_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "container_memory_rss",
    "container_memory_cache",
    "container_memory_failures_total",
    "container_fs_reads_total",
    "container_fs_writes_total",
    "container_fs_usage_bytes",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
];

/// What services say of themselves.
const SERVICE: [&str; 25] = [
    "http_requests_total",
    "http_requests_in_flight",
    "http_request_errors_total",
    "http_request_queue_seconds_total",
    "http_response_bytes_total",
    "grpc_server_started_total",
    "grpc_server_handled_total",
    "grpc_server_busy_seconds_total",
    "queue_depth",
    "queue_oldest_message_age",
    "queue_published_total",
    "queue_consumed_total",
    "db_connections_open",
    "db_connections_waiting",
    "db_query_seconds_total",
    "cache_hits_total",
    "cache_misses_total",
    "cache_entries",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time",
    "worker_threads",
    "worker_jobs_total",
    "worker_busy_seconds_total",
];

/// How many series of what shape.
#[derive(Clone, Copy)]
pub struct Size {
    /// Different values of the label `namespace`.
    pub namespaces: usize,
    /// Different values of `pod` in each namespace.
    pub pods: usize,
    /// Series of each pod, each of another name.
    pub metrics: usize,
}

impl Size {
    /// 200,000 series.
    pub const FULL: Size = Size {
        namespaces: 200,
        pods: 25,
        metrics: CONTAINER.len() + SERVICE.len(),
    };
    /// 2,000 series.
    pub const SMALL: Size = Size {
        namespaces: 10,
        pods: 5,
        metrics: CONTAINER.len() + SERVICE.len(),
    };

    /// All of them.
    pub fn series(&self) -> usize {
        self.namespaces * self.pods * self.metrics
    }
}

/// The Prometheus and what is known of it.
pub struct World {
    /// How much it holds.
    pub size: Size,
    /// The server, for as long as the world is wanted.
    pub prometheus: Prometheus,
    /// Its process.
    pub process: Process,
}

impl World {
    /// Starts everything, and waits until all series are there and Prometheus is at rest.
    pub async fn start(size: Size) -> World {
        let mut exporters = Vec::new();
        for first in (0..size.namespaces).step_by(NAMESPACES_PER_TARGET) {
            let last = size.namespaces.min(first + NAMESPACES_PER_TARGET);
            let text = exposition(first..last, size.pods);
            exporters.push(Exporter::start(move |_elapsed| text.clone()).await);
        }
        let addresses: Vec<SocketAddr> = exporters.iter().map(|one| one.address).collect();
        let prometheus = Prometheus::start(&addresses, TargetLabels::Dropped).await;
        let world = World {
            size,
            prometheus,
            process: Process::child("prometheus"),
        };
        world.scraped().await;
        drop(exporters);
        world.at_rest().await;
        world
    }

    /// Which Prometheus it is.
    pub async fn version(&self) -> String {
        let url = format!("{}/api/v1/status/buildinfo", self.prometheus.url);
        let answer = super::support::http_client().get(url).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let version = document["data"]["version"].as_str();
        version.unwrap_or("of an unknown version").to_owned()
    }

    async fn scraped(&self) {
        let (started, wanted) = (Instant::now(), self.size.series());
        let mut said = 0;
        poll::until("all series are scraped", SCRAPED, async || {
            let found = self.count(r#"count({namespace!=""})"#).await?;
            let after = started.elapsed();
            if after.as_secs() != said {
                said = after.as_secs();
                eprintln!("{said:3} s: {found} of {wanted} series scraped");
            }
            if found == wanted {
                return Ok(());
            }
            Err(format!("{found} of {wanted}"))
        })
        .await;
        eprintln!("{wanted} series in {:.1?}", started.elapsed());
    }

    /// Waits until every scrape has failed and nothing is left to do.
    async fn at_rest(&self) {
        poll::until("no target is left", SETTLED, async || {
            match self.count("count(up == 1) or vector(0)").await? {
                0 => Ok(()),
                left => Err(format!("{left} are")),
            }
        })
        .await;
        poll::until("prometheus is at rest", SETTLED, async || {
            let (before, started) = (self.process.cpu(), Instant::now());
            tokio::time::sleep(Duration::from_secs(1)).await;
            let share =
                (self.process.cpu() - before).as_secs_f64() / started.elapsed().as_secs_f64();
            if share < REST {
                return Ok(());
            }
            Err(format!("it uses {:.0} % of a core", share * 100.0))
        })
        .await;
    }

    /// The one number that an expression gives; 0 where it gives nothing.
    async fn count(&self, promql: &str) -> Result<usize, String> {
        let rows = self.prometheus.query(promql).await?;
        let Some(row) = rows.first() else {
            return Ok(0);
        };
        let text = row["value"][1].as_str().unwrap_or_default();
        text.parse().map_err(|_| format!("no count: {row}"))
    }
}

/// Two labels each, namespace and pod, which the rules need. Real series have more, and weigh more.
fn exposition(namespaces: std::ops::Range<usize>, pods: usize) -> String {
    let mut text = String::new();
    for metric in CONTAINER.iter().chain(&SERVICE) {
        for namespace in namespaces.clone() {
            for pod in 0..pods {
                text.push_str(&format!(
                    "{metric}{{namespace=\"team-{namespace:03}\",\
                     pod=\"web-{namespace:03}-{pod:02}\"}} {pod}\n"
                ));
            }
        }
    }
    text
}
