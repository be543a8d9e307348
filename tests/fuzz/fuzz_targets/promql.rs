//! `tidegauge_fuzz::promql` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegauge_fuzz::promql(data));
