//! How metrics are written for those who scrape them.
//!
//! Prometheus from 2.5 on asks for OpenMetrics; other collectors know only the text format, whose
//! comments name a counter as its sample is named. In both the samples are the same.

/// A format that is asked for by its media type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format (`text/plain; version=0.0.4`).
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// As `Content-Type` names it.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// OpenMetrics as the text format: a name in a comment is that of the samples, types that there are
/// not become those that come nearest, and there is neither unit nor end.
pub(super) fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let comment = |line: &str| -> Option<(String, String, String)> {
            let mut words = line.strip_prefix("# ")?.splitn(3, ' ');
            let (what, name, rest) = (words.next()?, words.next()?, words.next()?);
            Some((what.to_owned(), name.to_owned(), rest.to_owned()))
        };
        let Some((what, name, rest)) = comment(line) else {
            if !line.starts_with('#') {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        };
        // The type stands in the line below the help.
        let kind = match what.as_str() {
            "HELP" => lines.peek().and_then(|next| comment(next)).map(|it| it.2),
            "TYPE" => Some(rest.clone()),
            _ => continue,
        };
        let (suffix, kind) = match kind.as_deref() {
            Some("counter") => ("_total", "counter"),
            Some("info") => ("_info", "gauge"),
            Some("unknown") | None => ("", "untyped"),
            Some(kind) => ("", kind),
        };
        let rest = match what.as_str() {
            "TYPE" => kind,
            _ => &rest,
        };
        text.push_str(&format!("# {what} {name}{suffix} {rest}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn comments_of_the_text_format_name_the_samples() {
        let open_metrics = "# HELP a_b Of which: x, \"y\".\n# TYPE a_b counter\n\
                            a_b_total{x=\"# HELP \"} 1\n\
                            # HELP c C.\n# TYPE c gauge\n# UNIT c seconds\nc 2\n\
                            # HELP d D.\n# TYPE d info\nd_info{v=\"1\"} 1\n# EOF\n";
        let text = "# HELP a_b_total Of which: x, \"y\".\n# TYPE a_b_total counter\n\
                    a_b_total{x=\"# HELP \"} 1\n# HELP c C.\n# TYPE c gauge\nc 2\n\
                    # HELP d_info D.\n# TYPE d_info gauge\nd_info{v=\"1\"} 1\n";
        assert_eq!(to_text(open_metrics), text);
    }

    #[test]
    fn both_formats_hold_the_same_samples() {
        let metrics = Metrics::new();
        metrics.count_answer("fresh");
        let samples = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            // What the process takes is another number a moment later.
            let lines = lines.filter(|line| !line.starts_with("process_"));
            lines.map(str::to_owned).collect()
        };
        let open_metrics = metrics.exposition(Format::OpenMetrics);
        let text = metrics.exposition(Format::Text);
        assert_eq!(samples(&open_metrics), samples(&text));
        assert!(open_metrics.ends_with("# EOF\n"));
        assert!(text.contains("# TYPE tidegauge_query_results_total counter\n"));
        assert!(!text.contains("# EOF"));
    }
}
