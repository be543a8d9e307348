#!/bin/sh
# Alibaba Cloud: an ACK Serverless (ASK) cluster, named by $ALIBABA_CLUSTER, from outside of it. It is a
# Kubernetes, so there are no commands: pods, metrics and replicas are its own, read and set by its API,
# with the tidegauge that is installed in it. For clusters whose own HPA controller is not to be used;
# where it is, apply the HPA there and leave this.
#
# usage: ALIBABA_CLUSTER=c0123… alibaba-ask.sh -f manifests/example/hpa.yaml
set -eu
umask 077
state="${STATE_DIRECTORY:-/var/lib/tidegauge}"
aliyun cs GET "/k8s/${ALIBABA_CLUSTER:?the ID of the cluster}/user_config" |
  jq -er .config > "$state/kubeconfig.new"
mv "$state/kubeconfig.new" "$state/kubeconfig"
exec tidegauge autoscale --kubeconfig="$state/kubeconfig" --memory="$state/memory.json" "$@"
