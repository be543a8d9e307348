//! The example service against the real Redis, PostgreSQL and etcd, each also killed under load.
//!
//! A target of its own: it needs the feature `example`, as the service does. `service` starts one,
//! `customer` is who shops there, `servers` are what it depends on; every process has a free port and
//! data of its own, and ends with its test.

// `clippy.toml` allows these in test functions; here the helpers beside them are tests as well.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/poll.rs"]
mod poll;
// Not all of it is asked for here.
#[allow(dead_code)]
#[path = "../support/process.rs"]
mod process;

mod customer;
mod servers;
mod service;

mod alone;
mod configuration;
mod demo;
mod orders;
mod sessions;
mod stopping;
