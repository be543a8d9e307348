//! Flags of the API: which groups are served, and what discovery says of them.

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "API")]
pub(in crate::config) struct Api {
    /// API groups to serve, separated by commas. In a cluster each group has one server: leave out
    /// external.metrics.k8s.io beside KEDA, metrics.k8s.io beside metrics-server. A group that is
    /// left out is not listed, its paths do not exist, and its rules are not used. metrics.k8s.io
    /// also needs resourceRules in the rules file [default: all].
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    pub(in crate::config) api_groups: Option<Vec<String>>,
    /// Metrics of one API group that discovery documents list. Every client of the cluster
    /// downloads them, and no autoscaler needs them: metrics beyond the limit can be asked for all
    /// the same. tidegauge_discovery_metrics_omitted says how many there are.
    #[arg(long, value_name = "COUNT", default_value_t = 2000)]
    pub(in crate::config) discovery_max_metrics: usize,
}
