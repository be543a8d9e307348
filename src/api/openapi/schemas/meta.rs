//! What the answers of all groups are made of.

use super::Type::{Boolean, Integer, List, One, Text, TextMap, Texts};
use super::{
    API_VERSION, GROUP, GROUP_LIST, KIND, OBJECT, QUANTITY, RESOURCE_LIST, SELECTOR, Schema, Shape,
    TIME, VERSION, may, must, object, part,
};

pub(super) const SCHEMAS: &[Schema] = &[
    part(
        OBJECT,
        "The object that a metric describes.",
        Shape::Object(&[
            may("apiVersion", Text, "Group and version of the object."),
            may("fieldPath", Text, "A part of the object; never set here."),
            may("kind", Text, "Kind of the object."),
            may("name", Text, "Name of the object."),
            may("namespace", Text, "Namespace of the object."),
            may("resourceVersion", Text, "Never set here."),
            may("uid", Text, "Never set here."),
        ]),
    ),
    part(
        QUANTITY,
        "A decimal number with a suffix, as 1500m, 12k or 20Mi.",
        Shape::Quantity,
    ),
    object(
        GROUP,
        ("", "v1", "APIGroup"),
        "An API group and its versions.",
        &[
            API_VERSION,
            KIND,
            must("name", Text, "Name of the group."),
            may(
                "preferredVersion",
                One(meta!("GroupVersionForDiscovery")),
                "Use this version.",
            ),
            may(
                "serverAddressByClientCIDRs",
                List(meta!("ServerAddressByClientCIDR")),
                "Addresses to reach this server at.",
            ),
            must(
                "versions",
                List(meta!("GroupVersionForDiscovery")),
                "The versions served.",
            ),
        ],
    ),
    object(
        GROUP_LIST,
        ("", "v1", "APIGroupList"),
        "The API groups that are served.",
        &[
            API_VERSION,
            must("groups", List(GROUP), "The groups."),
            KIND,
        ],
    ),
    part(
        meta!("APIResource"),
        "What can be asked for in a group version.",
        Shape::Object(&[
            may("categories", Texts, "Names for several resources at once."),
            may("group", Text, "Group of the kind, if another one."),
            must("kind", Text, "Kind of the answer."),
            must(
                "name",
                Text,
                "As it stands in the path: `pods/queue_depth`, `nodes`.",
            ),
            must("namespaced", Boolean, "Whether the path names a namespace."),
            may("shortNames", Texts, "Shorter names."),
            must("singularName", Text, "The name of one."),
            may(
                "storageVersionHash",
                Text,
                "Never set here: nothing is stored.",
            ),
            must("verbs", Texts, "What can be done: `get`, `list`."),
            may("version", Text, "Version of the kind, if another one."),
        ]),
    ),
    object(
        RESOURCE_LIST,
        ("", "v1", "APIResourceList"),
        "Everything that can be asked for in a group version.",
        &[
            API_VERSION,
            must("groupVersion", Text, "The group version."),
            KIND,
            must("resources", List(meta!("APIResource")), "The resources."),
        ],
    ),
    part(
        meta!("Duration"),
        "A time span in Go's form, as 1m0s.",
        Shape::Text(None),
    ),
    part(meta!("FieldsV1"), "Never set here.", Shape::Any),
    part(
        meta!("GroupVersionForDiscovery"),
        "A version of a group.",
        Shape::Object(&[
            must("groupVersion", Text, "As `GROUP/VERSION`."),
            must("version", Text, "As `VERSION`."),
        ]),
    ),
    part(
        SELECTOR,
        "A label selector: all of its requirements hold.",
        Shape::Object(&[
            may(
                "matchExpressions",
                List(meta!("LabelSelectorRequirement")),
                "Requirements.",
            ),
            may(
                "matchLabels",
                TextMap,
                "Labels and the value that each must have.",
            ),
        ]),
    ),
    part(
        meta!("LabelSelectorRequirement"),
        "A requirement on one label.",
        Shape::Object(&[
            must("key", Text, "The label."),
            must("operator", Text, "In, NotIn, Exists or DoesNotExist."),
            may("values", Texts, "For In and NotIn."),
        ]),
    ),
    part(
        meta!("ListMeta"),
        "Metadata of a list.",
        Shape::Object(&[
            may("continue", Text, "Never set here: lists are whole."),
            may(
                "remainingItemCount",
                Integer,
                "Never set here: lists are whole.",
            ),
            may("resourceVersion", Text, "Never set here."),
            may("selfLink", Text, "Never set here."),
        ]),
    ),
    part(
        meta!("ManagedFieldsEntry"),
        "Never set here.",
        Shape::Object(&[
            may("apiVersion", Text, "Group and version of the fields."),
            may("fieldsType", Text, "Form of the fields."),
            may("fieldsV1", One(meta!("FieldsV1")), "The fields."),
            may("manager", Text, "Who manages them."),
            may("operation", Text, "How they came to be managed."),
            may("subresource", Text, "Through which subresource."),
            may("time", One(TIME), "Since when."),
        ]),
    ),
    part(
        meta!("ObjectMeta"),
        "Metadata of a pod or node, as far as it is copied: name, namespace and labels.",
        Shape::Object(&[
            may("annotations", TextMap, "Never set here."),
            may("creationTimestamp", One(TIME), "When this answer was made."),
            may("deletionGracePeriodSeconds", Integer, "Never set here."),
            may("deletionTimestamp", One(TIME), "Never set here."),
            may("finalizers", Texts, "Never set here."),
            may("generateName", Text, "Never set here."),
            may("generation", Integer, "Never set here."),
            may("labels", TextMap, "Labels of the pod or node."),
            may(
                "managedFields",
                List(meta!("ManagedFieldsEntry")),
                "Never set here.",
            ),
            may("name", Text, "Name of the pod or node."),
            may("namespace", Text, "Namespace of the pod."),
            may(
                "ownerReferences",
                List(meta!("OwnerReference")),
                "Never set here.",
            ),
            may("resourceVersion", Text, "Never set here."),
            may("selfLink", Text, "Never set here."),
            may("uid", Text, "Never set here."),
        ]),
    ),
    part(
        meta!("OwnerReference"),
        "Never set here.",
        Shape::Object(&[
            must("apiVersion", Text, "Group and version of the owner."),
            may("blockOwnerDeletion", Boolean, "Whether the owner waits."),
            may("controller", Boolean, "Whether the owner controls."),
            must("kind", Text, "Kind of the owner."),
            must("name", Text, "Name of the owner."),
            must("uid", Text, "Identity of the owner."),
        ]),
    ),
    part(
        meta!("ServerAddressByClientCIDR"),
        "Where clients of a network reach this server.",
        Shape::Object(&[
            must("clientCIDR", Text, "The network of the clients."),
            must("serverAddress", Text, "The address for them."),
        ]),
    ),
    part(
        TIME,
        "A time in UTC, to the second (RFC 3339).",
        Shape::Text(Some("date-time")),
    ),
    part(
        VERSION,
        "Which build this is.",
        Shape::Object(&[
            must("buildDate", Text, "When it was built."),
            must("compiler", Text, "By which compiler."),
            must("gitCommit", Text, "From which commit."),
            must("gitTreeState", Text, "Whether anything was not committed."),
            must("gitVersion", Text, "The version."),
            must("goVersion", Text, "Kept for clients that expect it."),
            must("major", Text, "Major version."),
            must("minor", Text, "Minor version."),
            must("platform", Text, "Operating system and architecture."),
        ]),
    ),
];
