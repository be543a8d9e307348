//! The types of `k8s.io/apimachinery/pkg/apis/meta/v1` that we answer with.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    APIResource, APIResourceList, GroupVersionForDiscovery, LabelSelector,
    LabelSelectorRequirement, ServerAddressByClientCIDR, Status, StatusCause, StatusDetails,
};

use super::{Fields, ListMeta, Message};
use crate::api::wire::Answer;

/// A text that Go has as "" where there is none.
fn given(text: Option<&String>) -> &str {
    text.map(String::as_str).unwrap_or_default()
}

fn each(texts: Option<&Vec<String>>) -> impl Iterator<Item = &str> {
    texts.into_iter().flatten().map(String::as_str)
}

/// The entries of a map.
pub(in crate::api::wire) fn entries(
    map: &BTreeMap<String, String>,
) -> impl Iterator<Item = (&str, &str)> {
    map.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

impl Message for LabelSelector {
    fn write(&self, to: &mut Fields) {
        to.map(1, self.match_labels.iter().flat_map(entries));
        to.messages(2, self.match_expressions.iter().flatten());
    }
}

impl Message for LabelSelectorRequirement {
    fn write(&self, to: &mut Fields) {
        to.string(1, &self.key);
        to.string(2, &self.operator);
        to.strings(3, each(self.values.as_ref()));
    }
}

impl Message for Status {
    fn write(&self, to: &mut Fields) {
        to.message(1, &ListMeta);
        to.string(2, given(self.status.as_ref()));
        to.string(3, given(self.message.as_ref()));
        to.string(4, given(self.reason.as_ref()));
        to.messages(5, &self.details);
        to.integer(6, self.code.unwrap_or_default().into());
    }
}

impl Answer for Status {
    fn type_meta(&self) -> (&str, &str) {
        ("v1", "Status")
    }
}

impl Message for StatusDetails {
    fn write(&self, to: &mut Fields) {
        to.string(1, given(self.name.as_ref()));
        to.string(2, given(self.group.as_ref()));
        to.string(3, given(self.kind.as_ref()));
        to.messages(4, self.causes.iter().flatten());
        to.integer(5, self.retry_after_seconds.unwrap_or_default().into());
        to.string(6, given(self.uid.as_ref()));
    }
}

impl Message for StatusCause {
    fn write(&self, to: &mut Fields) {
        to.string(1, given(self.reason.as_ref()));
        to.string(2, given(self.message.as_ref()));
        to.string(3, given(self.field.as_ref()));
    }
}

impl Message for APIResourceList {
    fn write(&self, to: &mut Fields) {
        to.string(1, &self.group_version);
        to.messages(2, &self.resources);
    }
}

impl Answer for APIResourceList {
    fn type_meta(&self) -> (&str, &str) {
        ("v1", "APIResourceList")
    }
}

impl Message for APIResource {
    fn write(&self, to: &mut Fields) {
        to.string(1, &self.name);
        to.integer(2, self.namespaced.into());
        to.string(3, &self.kind);
        to.nested(4, |verbs| {
            verbs.strings(1, self.verbs.iter().map(String::as_str));
        });
        to.strings(5, each(self.short_names.as_ref()));
        to.string(6, &self.singular_name);
        to.strings(7, each(self.categories.as_ref()));
        to.string(8, given(self.group.as_ref()));
        to.string(9, given(self.version.as_ref()));
        to.string(10, given(self.storage_version_hash.as_ref()));
    }
}

impl Message for GroupVersionForDiscovery {
    fn write(&self, to: &mut Fields) {
        to.string(1, &self.group_version);
        to.string(2, &self.version);
    }
}

impl Message for ServerAddressByClientCIDR {
    fn write(&self, to: &mut Fields) {
        to.string(1, &self.client_cidr);
        to.string(2, &self.server_address);
    }
}
