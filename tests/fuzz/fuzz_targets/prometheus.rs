//! `tidegauge_fuzz::prometheus` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegauge_fuzz::prometheus(data));
