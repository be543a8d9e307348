//! The tests that need more than one process, in one binary.
//!
//! `recorded` replays what clients and the Go adapter said to each other; `aggregator` and `kubectl`
//! stand where the API server and a person stand; `harness` shows that the
//! servers these tests stand on do what their names say, and `install` how they come here; `relist` and `sick` are about Prometheus, well
//! and ill, `backends` about several of them, `enforced` about what one is held to; `explain` about why an answer is what
//! it is, `reload` about rules that change, `cache` about what is remembered, `logs` about what the log says, `terms` about rules with terms of their own, `long` about queries that are too long;
//! `readme` runs the commands of README; `resource` is about `metrics.k8s.io`, `separable` about what may be asked of many namespaces
//! at once, `widening` about what is; `autoscale`, `check` and `rules_test` are about subcommands, `command_line` about what they have in common; `discovery` and `openapi` keep documents as clients do; `tidy`
//! reads the sources; `page` is about what a person sees.

// `clippy.toml` allows these in test functions; here the helpers beside them are tests as well.
#![allow(clippy::unwrap_used, clippy::panic)]
// The items are `pub` for two binaries that include the same files.
#![allow(unreachable_pub)]

#[path = "../support/lib.rs"]
mod support;

mod aggregator;
mod autoscale;
mod backends;
mod cache;
mod check;
mod cluster;
mod command_line;
mod discovery;
mod enforced;
mod explain;
mod harness;
mod install;
mod kubectl;
mod logs;
mod long;
mod manifests;
mod openapi;
mod page;
mod readme;
mod recorded;
mod relist;
mod reload;
mod resource;
mod rules_test;
mod scopes;
mod separable;
mod sick;
mod standalone;
mod terms;
mod tidy;
mod widening;
