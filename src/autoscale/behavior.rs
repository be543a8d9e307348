//! `spec.behavior`, with what Kubernetes sets where nothing is written
//! (`pkg/apis/autoscaling/v2/defaults.go`).

use jiff::SignedDuration;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules};

use super::Settings;

/// The rules of one direction.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) window: SignedDuration,
    pub(super) select: Select,
    pub(super) policies: Vec<Policy>,
}

/// Which of the policies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Select {
    /// The one that allows most.
    Max,
    /// The one that allows least.
    Min,
    /// None: no scaling in this direction.
    Disabled,
}

/// How much may change in one period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) period: SignedDuration,
    pub(super) amount: Amount,
}

/// How much.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    /// So many replicas.
    Pods(i32),
    /// So much of the replicas at the start of the period.
    Percent(i32),
}

impl Rules {
    /// `GenerateHPAScaleUpRules`: at once; four replicas or as many as there are, in 15 seconds.
    pub(super) fn up(written: Option<&HPAScalingRules>) -> Rules {
        let default = [Amount::Pods(4), Amount::Percent(100)];
        Rules::new(written, SignedDuration::ZERO, &default)
    }

    /// `GenerateHPAScaleDownRules` and `maybeInitScaleDownStabilizationWindow`: all that are too
    /// many, after the controller's window.
    pub(super) fn down(written: Option<&HPAScalingRules>, settings: &Settings) -> Rules {
        let window = settings.downscale_stabilization;
        Rules::new(written, window, &[Amount::Percent(100)])
    }

    fn new(written: Option<&HPAScalingRules>, window: SignedDuration, default: &[Amount]) -> Rules {
        let seconds = written.and_then(|it| it.stabilization_window_seconds);
        let select = written.and_then(|it| it.select_policy.as_deref());
        let policies = match written.and_then(|it| it.policies.as_ref()) {
            Some(policies) => policies.iter().filter_map(Policy::new).collect(),
            None => default.iter().copied().map(Policy::default_of).collect(),
        };
        Rules {
            window: seconds.map_or(window, |it| SignedDuration::from_secs(it.into())),
            select: match select {
                Some("Disabled") => Select::Disabled,
                Some("Min") => Select::Min,
                _ => Select::Max,
            },
            policies,
        }
    }

    /// `getLongestPolicyPeriod`
    pub(super) fn longest_period(&self) -> SignedDuration {
        let periods = self.policies.iter().map(|policy| policy.period);
        periods.max().unwrap_or(SignedDuration::ZERO)
    }
}

impl Policy {
    /// `None` for a type that does not exist, which `validate` names.
    fn new(written: &HPAScalingPolicy) -> Option<Policy> {
        let amount = match written.type_.as_str() {
            "Pods" => Amount::Pods(written.value),
            "Percent" => Amount::Percent(written.value),
            _ => return None,
        };
        let period = SignedDuration::from_secs(written.period_seconds.into());
        Some(Policy { period, amount })
    }

    fn default_of(amount: Amount) -> Policy {
        let period = SignedDuration::from_secs(15);
        Policy { period, amount }
    }
}
