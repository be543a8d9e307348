//! Tidegauge: custom, external and resource metrics for Kubernetes autoscalers, over Prometheus.
//!
//! Modules stand in reading order, which is the order of the layers: a module uses only modules
//! below it (`tests/it/tidy.rs` keeps it so). The path of a request is told in `api`, the design in
//! ARCHITECTURE.md.

/// Subcommands.
pub mod cli;
/// The composition root of the server.
pub mod app;
/// Flags and the environment.
pub mod config;
/// Connections: TLS, HTTP, limits, drain. Takes any handler.
pub mod serve;
/// What a person sees of it.
pub mod page;
/// One request in, one answer out.
pub mod api;
/// Who asks, and whether they may.
pub mod auth;
/// Keeps the registry true.
pub mod relist;
/// How many objects one query is about.
pub mod widening;
/// What is wrong with rules that load.
pub mod check;
/// Asks to PromQL, rows to values.
pub mod plan;
/// What can be asked for.
pub mod registry;
/// The rules file, compiled.
pub mod rules;
/// What Prometheus answered lately.
pub mod samples;
/// The HTTP client of one Prometheus.
pub mod prometheus;
/// Names of objects, and how to reach a cluster.
pub mod kubernetes;
/// How long background tasks wait.
pub mod pace;
/// One way to follow files.
pub mod reload;
/// Logs and our own metrics.
pub mod telemetry;
/// What was asked lately.
pub mod journal;
/// PromQL text and syntax.
pub mod promql;
/// Which kinds of object a cluster has.
pub mod kinds;
/// The HorizontalPodAutoscaler's algorithm.
pub mod autoscale;
/// Exact quantities.
pub mod quantity;
/// Label selectors.
pub mod selector;
/// Go's dialects.
pub mod go;
