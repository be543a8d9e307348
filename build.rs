//! Which compiler this is built with, for `tidegauge_build_info`.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    // As `rustc 1.89.0 (29483883e 2025-08-04)`. A build does not fail for want of it.
    let told = Command::new(rustc).arg("--version").output();
    let told = told
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let version = told.as_deref().and_then(|text| text.split(' ').nth(1));
    println!(
        "cargo:rustc-env=TIDEGAUGE_RUSTC={}",
        version.unwrap_or_default()
    );
}
