//! `tidegauge_fuzz::rules` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegauge_fuzz::rules(data));
