#!/bin/sh
# Docker Swarm: services of the stack `shop`, whose names there are shop_shop and shop_shop-worker.
# Runs on a manager, with its socket at /var/run/docker.sock.
exec tidegauge autoscale -f /etc/tidegauge/hpa.yaml --server=http://127.0.0.1:6443 \
  --current='docker service inspect --format "{{.Spec.Mode.Replicated.Replicas}}" {namespace}_{target}' \
  --exec='docker service scale --detach {namespace}_{target}={replicas}' \
  --memory="${STATE_DIRECTORY:-/var/lib/tidegauge}/memory.json" "$@"
