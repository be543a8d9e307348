#!/bin/sh
# Runs the metrics server and the command that is given, for the two belong together: the server asks
# nobody who they are and therefore serves this machine (or container) alone. When one of them ends, so
# does the other, and whatever started this starts both anew.
#
# usage: PROMETHEUS_URL=http://prometheus:9090 with-server.sh COMMAND...
set -u

tidegauge --config=/etc/tidegauge/rules.yaml --standalone=/etc/tidegauge/objects.yaml \
  --prometheus-url="${PROMETHEUS_URL:?where Prometheus is}" --secure-port=6443 &
server=$!
"$@" &
command=$!
trap 'kill "$server" "$command" 2>/dev/null' TERM INT
while kill -0 "$server" 2>/dev/null && kill -0 "$command" 2>/dev/null; do
  sleep 1 &
  wait $!
done
kill "$server" "$command" 2>/dev/null
wait
