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
    /// All of them.
    pub const ALL: [GroupVersion; 4] = [
        GroupVersion::CustomV1Beta1,
        GroupVersion::CustomV1Beta2,
        GroupVersion::ExternalV1Beta1,
        GroupVersion::ResourceV1Beta1,
    ];

    /// The group.
    pub fn group(self) -> ApiGroup {
        match self {
            GroupVersion::CustomV1Beta1 | GroupVersion::CustomV1Beta2 => ApiGroup::Custom,
            GroupVersion::ExternalV1Beta1 => ApiGroup::External,
            GroupVersion::ResourceV1Beta1 => ApiGroup::Resource,
        }
    }

    /// `v1beta1`
    pub fn version(self) -> &'static str {
        match self {
            GroupVersion::CustomV1Beta2 => "v1beta2",
            _ => "v1beta1",
        }
    }

    pub(super) fn find(group: ApiGroup, version: &str) -> Option<GroupVersion> {
        let mut all = GroupVersion::ALL.into_iter();
        all.find(|it| it.group() == group && it.version() == version)
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group(), self.version())
    }
}
