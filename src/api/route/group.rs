//! API groups and their versions.

use std::fmt;

/// The API groups we can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApiGroup {
    /// `custom.metrics.k8s.io`
    Custom,
    /// `external.metrics.k8s.io`
    External,
    /// `metrics.k8s.io`
    Resource,
}

/// A group and version we can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupVersion {
    /// `custom.metrics.k8s.io/v1beta1`
    CustomV1Beta1,
    /// `custom.metrics.k8s.io/v1beta2`
    CustomV1Beta2,
    /// `external.metrics.k8s.io/v1beta1`
    ExternalV1Beta1,
    /// `metrics.k8s.io/v1`
    ResourceV1,
    /// `metrics.k8s.io/v1beta1`
    ResourceV1Beta1,
}

impl ApiGroup {
    /// All of them, in the order of `/apis`.
    pub const ALL: [ApiGroup; 3] = [ApiGroup::Custom, ApiGroup::External, ApiGroup::Resource];

    /// `custom.metrics.k8s.io`
    pub fn name(self) -> &'static str {
        match self {
            ApiGroup::Custom => "custom.metrics.k8s.io",
            ApiGroup::External => "external.metrics.k8s.io",
            ApiGroup::Resource => "metrics.k8s.io",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<ApiGroup> {
        ApiGroup::ALL.into_iter().find(|group| group.name() == name)
    }
}

impl fmt::Display for ApiGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl GroupVersion {
    /// All of them, of each group the preferred one last.
    ///
    /// Of `metrics.k8s.io` that is v1beta1, as it was before there was a v1: `kubectl top`, the HPA
    /// controller and the typed clients ask for their version by name, whatever is preferred, and
    /// whoever does take the preferred one may be too old for v1.
    pub const ALL: [GroupVersion; 5] = [
        GroupVersion::CustomV1Beta1,
        GroupVersion::CustomV1Beta2,
        GroupVersion::ExternalV1Beta1,
        GroupVersion::ResourceV1,
        GroupVersion::ResourceV1Beta1,
    ];

    /// The group.
    pub fn group(self) -> ApiGroup {
        match self {
            GroupVersion::CustomV1Beta1 | GroupVersion::CustomV1Beta2 => ApiGroup::Custom,
            GroupVersion::ExternalV1Beta1 => ApiGroup::External,
            GroupVersion::ResourceV1 | GroupVersion::ResourceV1Beta1 => ApiGroup::Resource,
        }
    }

    /// `metrics.k8s.io/v1beta1`
    pub fn name(self) -> &'static str {
        match self {
            GroupVersion::CustomV1Beta1 => "custom.metrics.k8s.io/v1beta1",
            GroupVersion::CustomV1Beta2 => "custom.metrics.k8s.io/v1beta2",
            GroupVersion::ExternalV1Beta1 => "external.metrics.k8s.io/v1beta1",
            GroupVersion::ResourceV1 => "metrics.k8s.io/v1",
            GroupVersion::ResourceV1Beta1 => "metrics.k8s.io/v1beta1",
        }
    }

    /// `v1beta1`
    pub fn version(self) -> &'static str {
        self.name().rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn find(group: ApiGroup, version: &str) -> Option<GroupVersion> {
        let mut all = GroupVersion::ALL.into_iter();
        all.find(|it| it.group() == group && it.version() == version)
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
