#!/bin/sh
# Alibaba Cloud: scaling groups (Auto Scaling, ESS) of ECS instances or of elastic container instances,
# in the region $ALIBABA_REGION, found by their names: shop and shop-worker. Each needs an expected
# number of instances (DesiredCapacity), bounds of its own that leave room for those of hpa.yaml, and no
# scaling rules. The RAM role of the machine may ess:DescribeScalingGroups and ess:ModifyScalingGroup:
# `aliyun configure set --mode EcsRamRole --ram-role-name NAME --region REGION`.
export ALIBABA_REGION="${ALIBABA_REGION:-cn-hangzhou}"
exec tidegauge autoscale -f /etc/tidegauge/hpa.yaml --server=http://127.0.0.1:6443 \
  --current='aliyun ess DescribeScalingGroups --RegionId "$ALIBABA_REGION" --ScalingGroupName.1 {target} |
    jq -er ".ScalingGroups.ScalingGroup[0].DesiredCapacity"' \
  --exec='group=$(aliyun ess DescribeScalingGroups --RegionId "$ALIBABA_REGION" --ScalingGroupName.1 {target} |
      jq -er ".ScalingGroups.ScalingGroup[0].ScalingGroupId") && [ -n "$group" ] &&
    aliyun ess ModifyScalingGroup --RegionId "$ALIBABA_REGION" --ScalingGroupId "$group" \
      --DesiredCapacity {replicas}' \
  --memory="${STATE_DIRECTORY:-/var/lib/tidegauge}/memory.json" "$@"
