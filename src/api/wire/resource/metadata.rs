//! Nothing but the metadata of pods and nodes (`metav1.PartialObjectMetadata`), as metadata-only
//! clients ask for it.

use serde::Serialize;

use super::ItemMetadata;
use crate::api::accept::MetaVersion;
use crate::api::wire::protobuf::{Fields, ListMeta, Message};
use crate::api::wire::{Answer, Metadata};

/// The metadata of one object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Partial<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: ItemMetadata<'a>,
}

/// The metadata of the objects of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialList<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata,
    items: Vec<Partial<'a>>,
    #[serde(skip)]
    version: MetaVersion,
}

impl<'a> Partial<'a> {
    /// These metadata.
    pub(super) fn new(version: MetaVersion, metadata: ItemMetadata<'a>) -> Partial<'a> {
        Partial {
            kind: "PartialObjectMetadata",
            api_version: version.api_version(),
            metadata,
        }
    }
}

impl Message for Partial<'_> {
    fn write(&self, to: &mut Fields) {
        to.message(1, &self.metadata);
    }
}

impl Answer for Partial<'_> {
    fn type_meta(&self) -> (&str, &str) {
        (self.api_version, self.kind)
    }
}

impl<'a> PartialList<'a> {
    /// These metadata, in this order.
    pub(super) fn new(
        version: MetaVersion,
        items: impl IntoIterator<Item = ItemMetadata<'a>>,
    ) -> PartialList<'a> {
        PartialList {
            kind: "PartialObjectMetadataList",
            api_version: version.api_version(),
            metadata: Metadata {},
            items: items
                .into_iter()
                .map(|metadata| Partial::new(version, metadata))
                .collect(),
            version,
        }
    }
}

impl Message for PartialList<'_> {
    fn write(&self, to: &mut Fields) {
        match self.version {
            MetaVersion::V1 => {
                to.message(1, &ListMeta);
                to.messages(2, &self.items);
            }
            MetaVersion::V1Beta1 => {
                to.messages(1, &self.items);
                to.message(2, &ListMeta);
            }
        }
    }
}

impl Answer for PartialList<'_> {
    fn type_meta(&self) -> (&str, &str) {
        (self.api_version, self.kind)
    }
}
