#!/usr/bin/env bash
# Runs every fuzz target for a time: with libFuzzer where cargo-fuzz and a nightly compiler are
# installed, else without it, on any compiler.
# Usage: tests/fuzz/run.sh SECONDS
set -euo pipefail
cd "$(dirname "$0")"
seconds=$1
cargo=${CARGO:-cargo}

if "$cargo" fuzz --version >/dev/null 2>&1 && "$cargo" +nightly --version >/dev/null 2>&1; then
  echo "with $("$cargo" fuzz --version)"
  found=()
  for target in rules selector route prometheus quantity promql; do
    mkdir -p "corpus/$target"
    # What was found before comes first; new inputs go there, never to the seeds.
    "$cargo" +nightly fuzz run --fuzz-dir . --features libfuzzer "$target" \
      "corpus/$target" "corpus-seeds/$target" -- -max_total_time="$seconds" -timeout=10 -print_final_stats=1 ||
      found+=("$target")
  done
  [ "${#found[@]}" -eq 0 ] || { echo "FOUND in: ${found[*]}"; exit 1; }
else
  echo "without libFuzzer (cargo install cargo-fuzz, rustup toolchain install nightly)"
  "$cargo" run --release --quiet --bin soak -- "$seconds" corpus-seeds
fi
