#!/usr/bin/env bash
# Makes the pictures of the status page that README shows, .github/status-page.png and -dark.png: of the
# demo, so many minutes after its end. They are made only of a page that says that all is well: on a
# machine that does too much else Prometheus answers late, and the page says so.
# Usage: cargo build --release --features example --bins && tests/support/screenshot.sh [MINUTES]
#
# Beside the demo's own autoscaler somebody looks at metrics by hand, and misspells one.
set -euo pipefail
cd "$(dirname "$0")/../.."

MINUTES=${1:-3}
BUILT=${BUILT:-target/release}
WIDTH=1280
HEIGHT=${HEIGHT:-1500}

tests/support/install.sh prometheus redis-server chromium
work=$(mktemp -d)
# A group of its own, so that Ctrl-C here does not reach it before it is told.
NO_COLOR=1 setsid "$BUILT/tidegauge" demo --fast --keep --svg "$work/demo.svg" >"$work/demo.log" 2>&1 &
demo=$!
trap 'kill -INT "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; rm -rf "$work"' EXIT

# The line below what the demo calls it.
below() { sed -n "/^# $1/{n;s/^ *//;p;q}" "$work/demo.log"; }
until page=$(below "its status page") && [ -n "$page" ]; do
  kill -0 "$demo" || { cat "$work/demo.log" >&2; exit 1; }
  sleep 1
done
api=$(sed -n 's/.*--server=\(http[^ ]*\).*/\1/p' "$work/demo.log" | head -1)

shop=apis/custom.metrics.k8s.io/v1beta2/namespaces/shop
ask() { curl --silent --output /dev/null --user-agent "$1" "$api/$2" || true; }
kubectl="kubectl/v1.36.0 (linux/amd64)"
ask "$kubectl" "$shop/pods/*/http_request_per_second"
end=$((SECONDS + MINUTES * 60))
while [ "$SECONDS" -lt "$end" ]; do
  ask "$kubectl" apis/metrics.k8s.io/v1beta1/namespaces/shop/pods
  ask "$kubectl" "$shop/services/shop/http_request_duration_seconds_p99"
  sleep 10
done
title=$(curl --silent "$page" | sed -n 's/.*<title>\([^<]*\)<.*/\1/p')
case $title in
  Well*) ;;
  *) echo "the page says \"$title\": no picture is made; is this machine busy?" >&2; exit 1 ;;
esac

mkdir -p .github
picture() { # FILE SCHEME, where 0 is dark and 1 is light
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
    --window-size="$WIDTH,$HEIGHT" --blink-settings=preferredColorScheme="$2" \
    --screenshot="$1" "$page" 2>/dev/null
}
picture "$PWD/.github/status-page.png" 1
picture "$PWD/.github/status-page-dark.png" 0
echo "made .github/status-page.png and .github/status-page-dark.png of $page"
