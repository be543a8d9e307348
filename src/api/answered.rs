//! Which sort of request was answered, for our own metrics: by its route, never by what the client
//! wrote into it.

use super::route::{ApiGroup, CustomAsk, Discovery, ExternalAsk, Objects, ResourceAsk, Route};
use super::route::{GroupVersion, UsageOf};
use crate::telemetry::Sort;

impl Route {
    /// The sort of request that this is.
    pub(super) fn sort(&self) -> Sort {
        match self {
            Route::Custom(ask) => of_custom(ask),
            Route::External(ExternalAsk { .. }) => {
                let version = GroupVersion::ExternalV1Beta1;
                ask(version, "list", "*", "cluster")
            }
            Route::Resource(ask) => of_resource(ask),
            Route::Discovery(Discovery::Groups) => Sort::of_no_group("discovery"),
            Route::Discovery(Discovery::Group(group)) => of_group(*group, "discovery"),
            Route::Discovery(Discovery::Resources(version)) => {
                of_group(version.group(), "discovery")
            }
            Route::Refused {
                group: Some(group), ..
            } => of_group(*group, "refused"),
            Route::OpenApiV2 | Route::OpenApiV3 { .. } => Sort::of_no_group("openapi"),
            Route::Health(_) => Sort::of_no_group("health"),
            Route::Metrics => Sort::of_no_group("metrics"),
            Route::Version => Sort::of_no_group("version"),
            Route::Explain(_) => Sort::of_no_group("explain"),
            Route::Index => Sort::of_no_group("index"),
            Route::Unknown | Route::Refused { group: None, .. } => Sort::of_no_group("other"),
        }
    }
}

fn of_custom(asked: &CustomAsk) -> Sort {
    let kind = match asked.objects {
        Objects::Named(_) => "named",
        Objects::Selected => "selected",
    };
    let scope = match asked.namespace {
        Some(_) => "resource",
        None => "cluster",
    };
    ask(asked.version, kind, "*", scope)
}

fn of_resource(asked: &ResourceAsk) -> Sort {
    let (kind, resource, scope) = match &asked.objects {
        UsageOf::Nodes(_) => ("list", "nodes", "cluster"),
        UsageOf::Node { .. } => ("named", "nodes", "resource"),
        UsageOf::Pods {
            namespace: None, ..
        } => ("list", "pods", "cluster"),
        UsageOf::Pods { .. } => ("list", "pods", "namespace"),
        UsageOf::Pod { .. } => ("named", "pods", "resource"),
    };
    ask(asked.version, kind, resource, scope)
}

fn ask(
    version: GroupVersion,
    kind: &'static str,
    resource: &'static str,
    scope: &'static str,
) -> Sort {
    Sort {
        group: version.group().name(),
        kind,
        version: version.version(),
        resource,
        scope,
    }
}

fn of_group(group: ApiGroup, kind: &'static str) -> Sort {
    Sort {
        group: group.name(),
        ..Sort::of_no_group(kind)
    }
}

#[cfg(test)]
mod tests {
    use crate::api::route::Parsed;
    use crate::telemetry::Answers;

    #[test]
    fn every_sort_of_request_is_told_apart() {
        let answers = Answers::default();
        let mut seen = Vec::new();
        for (path, wanted) in [
            ("/", "index"),
            ("/nowhere", "other"),
            ("/%zz", "other"),
            ("/healthz", "health"),
            ("/readyz/ping", "health"),
            ("/metrics", "metrics"),
            ("/version", "version"),
            ("/openapi/v2", "openapi"),
            ("/openapi/v3/apis/metrics.k8s.io/v1", "openapi"),
            ("/apis", "discovery"),
            ("/apis/metrics.k8s.io", "discovery"),
            ("/apis/custom.metrics.k8s.io/v1beta2", "discovery"),
            (
                "/apis/custom.metrics.k8s.io/v1beta2/a/b/c/d/e/f/g",
                "refused",
            ),
            (
                "/apis/custom.metrics.k8s.io/v1beta1/namespaces/a/pods/*/m",
                "selected",
            ),
            (
                "/apis/custom.metrics.k8s.io/v1beta2/namespaces/a/pods/p/m",
                "named",
            ),
            (
                "/apis/custom.metrics.k8s.io/v1beta2/namespaces/a/metrics/m",
                "named",
            ),
            ("/apis/custom.metrics.k8s.io/v1beta1/nodes/n/m", "named"),
            ("/apis/custom.metrics.k8s.io/v1beta2/nodes/*/m", "selected"),
            (
                "/apis/external.metrics.k8s.io/v1beta1/namespaces/a/m",
                "list",
            ),
            ("/apis/metrics.k8s.io/v1/nodes", "list"),
            ("/apis/metrics.k8s.io/v1beta1/nodes/n", "named"),
            ("/apis/metrics.k8s.io/v1beta1/pods", "list"),
            ("/apis/metrics.k8s.io/v1/namespaces/a/pods", "list"),
            ("/apis/metrics.k8s.io/v1beta1/namespaces/a/pods/p", "named"),
        ] {
            let sort = Parsed::new("GET", path, None).route.sort();
            assert_eq!(sort.kind, wanted, "{path}: {sort:?}");
            assert!(answers.knows(sort), "{path}: {sort:?}");
            seen.push(sort);
        }
        seen.sort();
        seen.dedup();
        assert!(seen.len() > 18, "{seen:?}");
    }
}
