//! The process as Prometheus' client libraries show it, by their names
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>), and which
//! build it is.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Reads `/proc` at each scrape. Where there is none, there are no such metrics.
#[derive(Debug)]
struct Process;

pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process));
}

/// `tidegauge_build_info`.
pub(super) fn register_build(own: &mut Registry) {
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", option_env!("TIDEGAUGE_COMMIT").unwrap_or("")),
        ("rustc", option_env!("TIDEGAUGE_RUSTC").unwrap_or("")),
    ];
    let help = "Which build this is; revision and compiler where the build was told";
    own.register("build", help, Info::new(labels));
}

/// What is known of this process.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    cpu_seconds: Option<f64>,
    start_time_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
}

impl Seen {
    fn now() -> Seen {
        let ticks = rustix::param::clock_ticks_per_second();
        let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
        let mut seen = Seen::default();
        if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
            let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
            seen.read_stat(&stat, &boot, ticks, page);
        }
        if let Ok(limits) = fs::read_to_string("/proc/self/limits") {
            seen.max_fds = max_fds(&limits);
        }
        // Less the one that reads the directory.
        let open = fs::read_dir("/proc/self/fd").map(|all| all.count().saturating_sub(1));
        seen.open_fds = open.ok().and_then(|open| u64::try_from(open).ok());
        seen
    }

    /// `proc_pid_stat(5)`: the name in brackets may hold anything, also brackets.
    fn read_stat(&mut self, stat: &str, boot: &str, ticks: u64, page: u64) {
        let Some((_, rest)) = stat.rsplit_once(')') else {
            return;
        };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The first one behind the name is the third of all.
        let field = |number: usize| -> Option<u64> { fields.get(number - 3)?.parse().ok() };
        let seconds = |count: u64| count as f64 / ticks.max(1) as f64;
        if let (Some(user), Some(system)) = (field(14), field(15)) {
            self.cpu_seconds = Some(seconds(user + system));
        }
        self.virtual_bytes = field(23);
        self.resident_bytes = field(24).map(|pages| pages * page);
        let booted = boot.lines().find_map(|line| line.strip_prefix("btime "));
        let booted = booted.and_then(|text| text.trim().parse::<u64>().ok());
        if let (Some(started), Some(booted)) = (field(22), booted) {
            self.start_time_seconds = Some(booted as f64 + seconds(started));
        }
    }
}

/// The soft limit of `Max open files`; none where there is none.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let seen = Seen::now();
        if let Some(seconds) = seen.cpu_seconds {
            let help = "Total user and system CPU time spent in seconds.";
            let counter = ConstCounter::new(seconds);
            let name = "process_cpu_seconds";
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            counter.encode(encoder)?;
        }
        if let Some(seconds) = seen.start_time_seconds {
            let help = "Start time of the process since unix epoch in seconds.";
            let name = "process_start_time_seconds";
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(seconds).encode(encoder)?;
        }
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                seen.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
                seen.virtual_bytes,
            ),
            (
                "process_open_fds",
                "Number of open file descriptors.",
                seen.open_fds,
            ),
            (
                "process_max_fds",
                "Maximum number of open file descriptors.",
                seen.max_fds,
            ),
        ] {
            if let Some(value) = value {
                let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(encoder)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_as_it_is_written() {
        let stat = "4242 (tide) gauge) S 1 4242 4242 0 -1 4194560 5000 0 3 0 250 50 0 0 20 0 9 0 \
                    12345 104857600 2560 18446744073709551615 1 1 0";
        let mut seen = Seen::default();
        seen.read_stat(stat, "cpu 1 2 3\nbtime 1700000000\n", 100, 4096);
        let wanted = Seen {
            cpu_seconds: Some(3.0),
            start_time_seconds: Some(1_700_000_123.45),
            resident_bytes: Some(2560 * 4096),
            virtual_bytes: Some(104_857_600),
            open_fds: None,
            max_fds: None,
        };
        assert_eq!(seen, wanted);
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(max_fds(limits), Some(1024));
        let unlimited = "Max open files            unlimited            unlimited     files\n";
        assert_eq!(max_fds(unlimited), None);
    }

    #[test]
    fn this_process_is_seen() {
        let seen = Seen::now();
        assert!(seen.resident_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(seen.open_fds.is_some_and(|open| open >= 3));
        assert!(seen.start_time_seconds.is_some_and(|at| at > 1.7e9));
        assert!(
            seen.max_fds
                .zip(seen.open_fds)
                .is_some_and(|(max, open)| max > open)
        );
    }
}
