#!/bin/sh
# AWS ECS: services of the cluster $ECS_CLUSTER. The task's role may ecs:DescribeServices and
# ecs:UpdateService on them (ecs-policy.json). Application Auto Scaling must not scale them as well.
export ECS_CLUSTER="${ECS_CLUSTER:-shop}"
exec tidegauge autoscale -f /etc/tidegauge/hpa.yaml --server=http://127.0.0.1:6443 \
  --current='aws ecs describe-services --cluster "$ECS_CLUSTER" --services {target} \
    --query "services[0].desiredCount" --output text' \
  --exec='aws ecs update-service --cluster "$ECS_CLUSTER" --service {target} \
    --desired-count {replicas} --query service.desiredCount --output text' \
  --memory="${STATE_DIRECTORY:-/var/lib/tidegauge}/memory.json" "$@"
