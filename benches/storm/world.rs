//! Everything but the server that is measured: pods, what they say, the real Prometheus that knows
//! it, the API server, and who trusts whom.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use super::population::{Pod, Size};
use super::procfs::Process;
use super::support::apiserver::ApiServer;
use super::support::exporter::Exporter;
use super::support::pki::{Authority, Pair};
use super::support::poll;
use super::support::prometheus::Prometheus;
use super::support::tap::Tap;

/// How long scraping everything may take.
const SCRAPED: Duration = Duration::from_secs(180);
/// Scrapes of what nobody asks for, spread over their time.
const TARGETS: usize = 20;

/// The servers and what is known of them.
pub struct World {
    pub size: Size,
    pub api: ApiServer,
    pub prometheus: Prometheus,
    /// Stands before Prometheus.
    pub tap: Tap,
    /// When the exporter began to count seconds.
    pub began: SystemTime,
    /// Signs the certificates of what is measured.
    pub authority: Authority,
    /// The front proxy's certificate.
    pub proxy: Pair,
    /// What Prometheus takes of one core while nobody asks.
    pub idle: f64,
    /// All that is scraped.
    _exporters: Vec<Exporter>,
}

impl World {
    /// Starts everything, and waits until all is known. `calm` is how long Prometheus is then
    /// watched while nobody asks.
    pub async fn start(size: Size, calm: Duration) -> World {
        let proxies = Authority::new("front-proxy-ca");
        let api = ApiServer::start(&Authority::new("kubernetes"), &proxies).await;
        for pod in size.pods_of(0..size.namespaces) {
            put(&api, pod);
        }
        api.compact();
        let began = SystemTime::now();
        let asked_for = Exporter::start(move |elapsed| size.asked_for(began, elapsed)).await;
        let mut rest = Vec::new();
        let share = size.namespaces.div_ceil(TARGETS);
        for first in (0..size.namespaces).step_by(share) {
            let text = size.rest(first..size.namespaces.min(first + share));
            rest.push(Exporter::start(move |_elapsed| text.clone()).await);
        }
        let addresses: Vec<SocketAddr> = rest.iter().map(|one| one.address).collect();
        let configuration = configuration(size, asked_for.address, &addresses);
        let prometheus = Prometheus::configured(&configuration).await;
        rest.push(asked_for);
        let mut world = World {
            size,
            api,
            tap: Tap::start(&prometheus.url).await,
            prometheus,
            began,
            authority: Authority::new("storm"),
            proxy: proxies.client("front-proxy-client", &[]),
            idle: 0.0,
            _exporters: rest,
        };
        let scraping = Instant::now();
        world.scraped().await;
        world.rated().await;
        eprintln!("{} series in {:.1?}", size.series(), scraping.elapsed());
        let (process, started) = (world.process(), Instant::now());
        let before = process.cpu_ever();
        tokio::time::sleep(calm).await;
        let used = process.cpu_ever() - before;
        world.idle = used.as_secs_f64() / started.elapsed().as_secs_f64();
        world
    }

    /// Prometheus' process, which is another one after it was killed.
    pub fn process(&self) -> Process {
        Process::child("prometheus")
    }

    /// Which Prometheus it is.
    pub async fn version(&self) -> String {
        let url = format!("{}/api/v1/status/buildinfo", self.prometheus.url);
        let answer = super::support::http_client().get(url).send().await.unwrap();
        let document: serde_json::Value =
            serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let version = document["data"]["version"].as_str();
        version.unwrap_or("of an unknown version").to_owned()
    }

    /// Waits until all series are there.
    async fn scraped(&self) {
        let wanted = self.size.series();
        poll::until("all series are scraped", SCRAPED, async || {
            let found = self.number("sum(scrape_samples_scraped)").await?;
            if (found - wanted as f64).abs() < 0.5 {
                return Ok(());
            }
            Err(format!("{found} of {wanted}"))
        })
        .await;
    }

    /// Waits until they are there for so long that rates are right.
    async fn rated(&self) {
        let last = self.last_pod();
        let (query, rate) = (self.size.rate_query(last), self.size.rate(last));
        poll::until("rates are right", SCRAPED, async || {
            let found = self.number(&query).await?;
            if (found / rate - 1.0).abs() < self.size.rate_error() / 2.0 {
                return Ok(());
            }
            Err(format!("{found} instead of {rate}"))
        })
        .await;
    }

    /// One pod.
    pub fn last_pod(&self) -> Pod {
        Pod {
            namespace: self.size.namespaces - 1,
            app: self.size.apps - 1,
            pod: self.size.pods - 1,
        }
    }

    /// The one number that an expression gives.
    ///
    /// # Errors
    /// It gives none, or Prometheus is away.
    pub async fn number(&self, promql: &str) -> Result<f64, String> {
        let rows = self.prometheus.query(promql).await?;
        let row = rows.first().ok_or("nothing")?;
        let text = row["value"][1].as_str().unwrap_or_default();
        text.parse().map_err(|_| format!("no number: {row}"))
    }
}

/// One pod as a Deployment makes it.
fn put(api: &ApiServer, pod: Pod) {
    let (namespace, app, template) = (pod.namespace(), pod.app(), pod.template());
    let labels = [
        ("app", app.as_str()),
        ("app.kubernetes.io/managed-by", "Helm"),
        ("app.kubernetes.io/part-of", "shop"),
        ("pod-template-hash", template.as_str()),
        ("team", namespace.as_str()),
    ];
    api.put_pod(&namespace, &pod.name(), &labels);
}

fn configuration(size: Size, asked_for: SocketAddr, rest: &[SocketAddr]) -> String {
    let rest: Vec<String> = rest.iter().map(|target| format!("\"{target}\"")).collect();
    let (often, seldom) = (size.scrape.as_secs(), size.rest.as_secs());
    format!(
        "global: {{evaluation_interval: 15s}}\n\
         scrape_configs:\n\
         - job_name: asked-for\n  \
           honor_labels: true\n  \
           scrape_interval: {often}s\n  \
           scrape_timeout: {often}s\n  \
           static_configs: [{{targets: [\"{asked_for}\"]}}]\n\
         - job_name: rest\n  \
           honor_labels: true\n  \
           scrape_interval: {seldom}s\n  \
           scrape_timeout: {seldom}s\n  \
           static_configs: [{{targets: [{}]}}]\n",
        rest.join(", ")
    )
}
