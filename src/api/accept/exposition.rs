//! In which format somebody wants our own metrics.

use super::clause;
use crate::telemetry::Format;

/// Prometheus' text format, unless OpenMetrics is liked better. Who takes anything gets the former.
pub(in crate::api) fn exposition(accept: &str) -> Format {
    let clauses = clause::sorted(accept);
    let best = clauses.iter().find_map(|clause| {
        let is = |versions: &[&str]| {
            let version = clause.parameter("version");
            version.is_none_or(|version| versions.contains(&version))
        };
        if clause.takes("text/plain") && is(&["0.0.4"]) {
            return Some(Format::Text);
        }
        let takes = clause.takes("application/openmetrics-text") && is(&["1.0.0"]);
        takes.then_some(Format::OpenMetrics)
    });
    best.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Prometheus 2.53 and 3.5 send, without and with protocol buffers (`scrape/scrape.go`,
    /// `acceptHeader`).
    #[test]
    fn each_prometheus_gets_a_format_that_it_reads() {
        for accept in [
            "application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text",
        ] {
            assert_eq!(exposition(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5",
            "application/openmetrics-text;version=0.0.1",
            "application/json",
        ] {
            assert_eq!(exposition(accept), Format::Text, "{accept}");
        }
    }
}
