//! The paths that are described, and what each takes and gives. All are read with GET.

use super::schemas::{
    CUSTOM_V1BETA1, CUSTOM_V1BETA2, EXTERNAL, GROUP, GROUP_LIST, RESOURCE_LIST, UsageNames, VERSION,
};
use crate::api::route::{ApiGroup, GroupVersion};

/// One path.
#[derive(Debug)]
pub(super) struct Operation {
    /// The OpenAPI 3 document it belongs to: `apis`, `apis/GROUP`, `apis/GROUP/VERSION` or
    /// `version`.
    pub(super) document: String,
    pub(super) path: String,
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) about: String,
    /// The name of the definition that it answers.
    pub(super) gives: &'static str,
    /// Query parameters, as far as they are not part of the path.
    pub(super) query: Vec<&'static Parameter>,
    /// `list` or `get`, and of what, where it is a resource in Kubernetes' sense.
    pub(super) action: Option<(&'static str, GroupVersion, &'static str)>,
}

/// A parameter of a path or of a query string.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `string`, `integer` or `boolean`
    pub(super) holds: &'static str,
    pub(super) about: &'static str,
}

const fn parameter(name: &'static str, holds: &'static str, about: &'static str) -> Parameter {
    Parameter { name, holds, about }
}

const IGNORED: &str = "Accepted and ignored: lists are whole and current.";

/// What stands between braces in a path.
pub(super) const PATH: &[Parameter] = &[
    parameter(
        "name",
        "string",
        "Name of the object; for custom metrics `*` is all of them.",
    ),
    parameter("namespace", "string", "The namespace."),
    parameter(
        "resource",
        "string",
        "Custom metrics: kind of the objects. External: the metric.",
    ),
    parameter("subresource", "string", "The metric."),
];

const PRETTY: Parameter = parameter("pretty", "string", "`true`: with line breaks, for people.");
const METRIC_SELECTOR: Parameter = parameter(
    "metricLabelSelector",
    "string",
    "Selects the metric's series by their labels.",
);
const LIST: &[Parameter] = &[
    parameter("allowWatchBookmarks", "boolean", IGNORED),
    parameter("continue", "string", IGNORED),
    parameter(
        "fieldSelector",
        "string",
        "Selects by `metadata.name` and `metadata.namespace`.",
    ),
    parameter(
        "labelSelector",
        "string",
        "Selects objects by their labels; external metrics' series.",
    ),
    parameter("limit", "integer", IGNORED),
    PRETTY,
    parameter("resourceVersion", "string", IGNORED),
    parameter("resourceVersionMatch", "string", IGNORED),
    parameter("sendInitialEvents", "boolean", IGNORED),
    parameter("timeoutSeconds", "integer", IGNORED),
    parameter("watch", "boolean", "Refused: metrics cannot be watched."),
];

/// Every path of these groups, and of the server itself.
pub(super) fn operations(groups: &[ApiGroup]) -> Vec<Operation> {
    let mut all = vec![
        plain(
            "apis",
            "/apis/",
            "getAPIVersions",
            "apis",
            "list the API groups",
            GROUP_LIST,
        ),
        plain(
            "version",
            "/version/",
            "getCodeVersion",
            "version",
            "get the version",
            VERSION,
        ),
    ];
    for group in groups {
        let (tag, name) = names(*group);
        let document = format!("apis/{group}");
        let (path, id) = (format!("/{document}/"), format!("get{name}APIGroup"));
        all.push(plain(
            &document,
            &path,
            &id,
            tag,
            "list the versions of a group",
            GROUP,
        ));
        let versions = GroupVersion::ALL
            .into_iter()
            .filter(|version| version.group() == *group);
        for version in versions {
            all.extend(of_version(version));
        }
    }
    all
}

/// How go-restful writes a group in tags and in operation ids.
fn names(group: ApiGroup) -> (&'static str, &'static str) {
    match group {
        ApiGroup::Custom => ("customMetrics", "CustomMetrics"),
        ApiGroup::External => ("externalMetrics", "ExternalMetrics"),
        ApiGroup::Resource => ("metrics", "Metrics"),
    }
}

fn plain(
    document: &str,
    path: &str,
    id: &str,
    tag: &str,
    about: &str,
    gives: &'static str,
) -> Operation {
    Operation {
        document: document.to_owned(),
        path: path.to_owned(),
        id: id.to_owned(),
        tag: tag.to_owned(),
        about: about.to_owned(),
        gives,
        query: Vec::new(),
        action: None,
    }
}

fn of_version(version: GroupVersion) -> Vec<Operation> {
    let (tag, name) = names(version.group());
    let described = Described {
        document: format!("apis/{version}"),
        tag: format!("{tag}_{}", version.version()),
        name: format!("{name}V{}", version.version().trim_start_matches('v')),
    };
    let mut all = match version {
        GroupVersion::CustomV1Beta1 => described.custom(CUSTOM_V1BETA1),
        GroupVersion::CustomV1Beta2 => described.custom(CUSTOM_V1BETA2),
        GroupVersion::ExternalV1Beta1 => vec![described.external()],
        GroupVersion::ResourceV1 => described.usages(version, &UsageNames::V1),
        GroupVersion::ResourceV1Beta1 => described.usages(version, &UsageNames::V1BETA1),
    };
    let id = format!("get{}APIResources", described.name);
    all.push(described.below("", id, "list what can be asked for", RESOURCE_LIST));
    all
}

/// A group version, as its paths, tags and ids name it.
struct Described {
    document: String,
    tag: String,
    name: String,
}

impl Described {
    fn below(&self, path: &str, id: String, about: &str, gives: &'static str) -> Operation {
        let path = format!("/{}/{path}", self.document);
        plain(&self.document, &path, &id, &self.tag, about, gives)
    }

    fn custom(&self, gives: &'static str) -> Vec<Operation> {
        let paths = [
            (
                "read*MetricValueForNamespace",
                "namespaces/{namespace}/metrics/{name}",
            ),
            (
                "list*NamespacedMetricValue",
                "namespaces/{namespace}/{resource}/{name}/{subresource}",
            ),
            ("list*MetricValue", "{resource}/{name}/{subresource}"),
        ];
        let operation = |(id, path): (&str, &str)| {
            let about = "get a metric of an object or of several";
            let query = LIST.iter().chain([&METRIC_SELECTOR]).collect();
            Operation {
                query,
                ..self.below(path, id.replace('*', &self.name), about, gives)
            }
        };
        paths.into_iter().map(operation).collect()
    }

    fn external(&self) -> Operation {
        let (path, about) = (
            "namespaces/{namespace}/{resource}",
            "get an external metric",
        );
        let id = format!("list{}ExternalMetricValue", self.name);
        Operation {
            query: LIST.iter().collect(),
            ..self.below(path, id, about, EXTERNAL)
        }
    }

    fn usages(&self, version: GroupVersion, names: &UsageNames) -> Vec<Operation> {
        let usage = |usage| self.usage(version, usage, names);
        USAGE.iter().map(usage).collect()
    }

    fn usage(&self, version: GroupVersion, usage: &Usage, names: &UsageNames) -> Operation {
        let Usage {
            action,
            id,
            kind,
            gives,
            path,
        } = usage;
        let query = match *action {
            "get" => vec![&PRETTY],
            _ => LIST.iter().collect(),
        };
        let about = format!("{action} {kind}");
        let action = Some((*action, version, *kind));
        let described = self.below(path, id.replace('*', &self.name), &about, gives(names));
        Operation {
            query,
            action,
            ..described
        }
    }
}

/// A path of `metrics.k8s.io`; in `id`, `*` stands for the group version.
struct Usage {
    action: &'static str,
    id: &'static str,
    kind: &'static str,
    gives: fn(&UsageNames) -> &'static str,
    path: &'static str,
}

const fn usage(
    action: &'static str,
    id: &'static str,
    kind: &'static str,
    gives: fn(&UsageNames) -> &'static str,
    path: &'static str,
) -> Usage {
    Usage {
        action,
        id,
        kind,
        gives,
        path,
    }
}

const USAGE: &[Usage] = &[
    usage(
        "list",
        "list*NodeMetrics",
        "NodeMetrics",
        |it| it.node_list,
        "nodes",
    ),
    usage(
        "get",
        "read*NodeMetrics",
        "NodeMetrics",
        |it| it.node,
        "nodes/{name}",
    ),
    usage(
        "list",
        "list*PodMetricsForAllNamespaces",
        "PodMetrics",
        |it| it.pod_list,
        "pods",
    ),
    usage(
        "list",
        "list*NamespacedPodMetrics",
        "PodMetrics",
        |it| it.pod_list,
        "namespaces/{namespace}/pods",
    ),
    usage(
        "get",
        "read*NamespacedPodMetrics",
        "PodMetrics",
        |it| it.pod,
        "namespaces/{namespace}/pods/{name}",
    ),
];
