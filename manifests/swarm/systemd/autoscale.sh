#!/bin/sh
# One machine with systemd: as many of shop@1, shop@2 … as there should be, and likewise shop-worker@.
# Those with the highest numbers go first. Where systemctl fails nothing is known, which is not `none`: so its
# answer is taken before anything is counted.
exec tidegauge autoscale -f /etc/tidegauge/hpa.yaml --server=http://127.0.0.1:6443 \
  --current='units=$(systemctl list-units --plain --no-legend --state=active,activating \
      "{target}@*.service") || exit
    printf "%s\n" "$units" | grep -c . || :' \
  --exec='units=$(systemctl list-units --plain --no-legend --state=active,activating,failed \
      "{target}@*.service") || exit
    printf "%s\n" "$units" |
      sed -n "s/^\({target}@\([0-9]*\)\.service\).*/\2 \1/p" |
      while read -r number unit; do [ "$number" -le {replicas} ] || echo "$unit"; done |
      xargs -r systemctl stop &&
    seq -f "{target}@%g.service" {replicas} | xargs -r systemctl start' \
  --memory="${STATE_DIRECTORY:-/var/lib/tidegauge}/memory.json" "$@"
