//! What the autoscaler, the alerts and the dashboard know of this process, by the official client.
//!
//! Every label has few values, all known before: a template instead of a path, a known method or
//! `other`. A label that a client can choose is a way to fill the memory of Prometheus.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// In seconds. The objective, p99 below 500 ms, is a bound of its own: between bounds a quantile is
/// a guess.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// A reading of the number of orders that is older than this is not shown any more.
const WAITING_KNOWN_FOR: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub method: &'static str,
    pub route: String,
    pub code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabels {
    pub method: &'static str,
    pub route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DependencyLabels {
    pub dependency: &'static str,
    pub operation: &'static str,
}

/// One key of the configuration centre, or `other`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KeyLabel {
    pub key: &'static str,
}

/// All metrics, as one value that is passed to whoever counts: no global registry, so that a test
/// can have its own.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub requests: Family<RequestLabels, Counter>,
    pub request_duration: Family<RouteLabels, Histogram>,
    pub in_flight: Gauge,
    pub dependency_duration: Family<DependencyLabels, Histogram>,
    pub dependency_errors: Family<DependencyLabels, Counter>,
    pub orders_shipped: Counter,
    pub orders_waiting: Arc<OrdersWaiting>,
    pub configuration_changes: Family<KeyLabel, Counter>,
    pub configuration_rejected: Family<KeyLabel, Counter>,
    pub configuration_revision: Gauge<f64, AtomicU64>,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    pub(crate) fn new() -> Arc<Metrics> {
        let mut metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            dependency_duration: Family::new_with_constructor(histogram),
            dependency_errors: Family::default(),
            orders_shipped: Counter::default(),
            orders_waiting: Arc::default(),
            configuration_changes: Family::default(),
            configuration_rejected: Family::default(),
            configuration_revision: Gauge::default(),
        };
        metrics.register_requests();
        metrics.register_rest();
        Arc::new(metrics)
    }

    // The library appends `_total` to the names of counters, and `_info` to that of an info.
    fn register_requests(&mut self) {
        let r = &mut self.registry;
        r.register(
            "http_requests",
            "Requests answered, by method, route template and status; 499: the client hung up",
            self.requests.clone(),
        );
        r.register(
            "http_request_duration_seconds",
            "How long answers took, in seconds",
            self.request_duration.clone(),
        );
        r.register(
            "http_requests_in_flight",
            "Requests that are being answered",
            self.in_flight.clone(),
        );
        r.register(
            "dependency_request_duration_seconds",
            "How long requests to dependencies took, in seconds, with those that failed",
            self.dependency_duration.clone(),
        );
        r.register(
            "dependency_errors",
            "Requests to dependencies that failed",
            self.dependency_errors.clone(),
        );
    }

    fn register_rest(&mut self) {
        let r = &mut self.registry;
        r.register(
            "shop_orders_shipped",
            "Orders that this process has shipped",
            self.orders_shipped.clone(),
        );
        r.register_collector(Box::new(Arc::clone(&self.orders_waiting)));
        r.register(
            "shop_configuration_changes",
            "Changes taken over from the configuration centre, by key",
            self.configuration_changes.clone(),
        );
        r.register(
            "shop_configuration_rejected",
            "Values of the configuration centre that were not taken over, by key",
            self.configuration_rejected.clone(),
        );
        r.register(
            "shop_configuration_revision",
            "The revision of the configuration centre that is in use; 0: none",
            self.configuration_revision.clone(),
        );
        let build = Info::new([
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", crate::REVISION),
        ]);
        r.register("shop_build", "What is running", build);
        r.register_collector(Box::new(Process));
    }

    /// In the OpenMetrics text format.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// How many orders wait, as it was last read.
///
/// An autoscaler reads this. When the database is away nobody knows the number, and then there is
/// none: an autoscaler stays where it is without a metric, and goes to its minimum with a wrong 0.
#[derive(Debug, Default)]
pub(crate) struct OrdersWaiting(Mutex<Option<(Instant, u64)>>);

impl OrdersWaiting {
    pub(crate) fn set(&self, waiting: u64) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), waiting));
    }

    fn get(&self) -> Option<u64> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|(read, _)| read.elapsed() < WAITING_KNOWN_FOR)
            .map(|(_, waiting)| waiting)
    }
}

impl Collector for OrdersWaiting {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Some(waiting) = self.get() else {
            return Ok(());
        };
        let gauge = ConstGauge::new(waiting);
        let help = "Orders not shipped yet, of the whole shop, counted up to 10000 in a database; \
                    absent while nobody knows";
        let metric =
            encoder.encode_descriptor("shop_orders_waiting", help, None, gauge.metric_type())?;
        gauge.encode(metric)
    }
}

/// What the system knows of this process.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let cpu = Duration::try_from(cpu).unwrap_or_default();
        let cpu = ConstCounter::new(cpu.as_secs_f64());
        let help = "CPU time of this process, in seconds";
        let metric =
            encoder.encode_descriptor("process_cpu_seconds", help, None, cpu.metric_type())?;
        cpu.encode(metric)?;
        if let Some(bytes) = resident_bytes() {
            let memory = ConstGauge::new(bytes);
            let help = "Memory of this process that is in RAM, in bytes";
            let name = "process_resident_memory_bytes";
            let metric = encoder.encode_descriptor(name, help, None, memory.metric_type())?;
            memory.encode(metric)?;
        }
        if let Some(seconds) = start_seconds() {
            let start = ConstGauge::new(seconds);
            let help = "When this process started, in seconds since the epoch";
            let name = "process_start_time_seconds";
            let metric = encoder.encode_descriptor(name, help, None, start.metric_type())?;
            start.encode(metric)?;
        }
        Ok(())
    }
}

/// proc(5): the second number of `statm` is the resident set in pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

/// proc(5): field 22 of `stat` counts clock ticks from the boot, whose time `/proc/stat` has.
fn start_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    let after_boot = start_after_boot(&stat, per_second)?;
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let boot: f64 = boot.parse().ok()?;
    Some(boot + after_boot.as_secs_f64())
}

fn start_after_boot(stat: &str, per_second: u64) -> Option<Duration> {
    // Field 2 is the program's name in brackets, which may hold spaces.
    let after_name = stat.rsplit_once(") ")?.1;
    let ticks: u64 = after_name.split(' ').nth(22 - 3)?.parse().ok()?;
    let rest = ticks.checked_rem(per_second)?.checked_mul(1_000_000_000)?;
    let rest = Duration::from_nanos(rest.checked_div(per_second)?);
    Duration::from_secs(ticks.checked_div(per_second)?).checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_number_of_orders_is_absent_and_not_zero() {
        let metrics = Metrics::new();
        assert!(!metrics.text().unwrap().contains("shop_orders_waiting"));
        metrics.orders_waiting.set(0);
        let text = metrics.text().unwrap();
        assert!(text.contains("\nshop_orders_waiting 0\n"), "{text}");
        let last = Instant::now().checked_sub(WAITING_KNOWN_FOR).unwrap();
        *metrics.orders_waiting.0.lock().unwrap() = Some((last, 7));
        assert!(!metrics.text().unwrap().contains("shop_orders_waiting"));
    }

    #[test]
    fn a_machine_may_run_for_years() {
        let stat = format!("1 (a b) c) S {}8589934650 0", "0 ".repeat(18));
        let start = start_after_boot(&stat, 100).unwrap();
        assert_eq!(start, Duration::from_millis(85_899_346_500));
    }

    #[test]
    fn the_system_is_read_as_it_says() {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let age = now - start_seconds().unwrap();
        assert!((-2.0..3600.0).contains(&age), "started {age} seconds ago");
        assert!(resident_bytes().unwrap() > 500_000);
    }
}
