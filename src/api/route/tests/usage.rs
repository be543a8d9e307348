//! `metrics.k8s.io`: both versions have the same paths, and neither can be watched.

use super::super::*;
use super::{asked, code, get, refusal};

const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

#[test]
fn both_versions_have_the_same_paths() {
    for (version, group_version) in VERSIONS
        .into_iter()
        .zip([GroupVersion::ResourceV1, GroupVersion::ResourceV1Beta1])
    {
        let base = format!("/apis/metrics.k8s.io/{version}");
        let documents = Discovery::Resources(group_version);
        assert_eq!(get(&base).route, Route::Discovery(documents));
        for (path, objects) in [
            ("nodes", UsageOf::Nodes(ListQuery::default())),
            (
                "nodes/n",
                UsageOf::Node {
                    name: "n".to_owned(),
                },
            ),
            (
                "pods",
                UsageOf::Pods {
                    namespace: None,
                    list: ListQuery::default(),
                },
            ),
            (
                "namespaces/shop/pods",
                UsageOf::Pods {
                    namespace: Some("shop".to_owned()),
                    list: ListQuery::default(),
                },
            ),
            (
                "namespaces/shop/pods/p",
                UsageOf::Pod {
                    namespace: "shop".to_owned(),
                    name: "p".to_owned(),
                },
            ),
        ] {
            let ask = ResourceAsk {
                version: group_version,
                objects,
            };
            assert_eq!(get(&format!("{base}/{path}")).route, Route::Resource(ask));
        }
    }
    let other = get("/apis/metrics.k8s.io/v1beta2/nodes");
    assert_eq!(refusal(&other), Some(Refusal::NotFound));
    let other = get("/apis/custom.metrics.k8s.io/v1/nodes/n/m");
    assert_eq!(refusal(&other), Some(Refusal::NotFound));
}

#[test]
fn access_is_reviewed_for_the_version_asked() {
    for version in VERSIONS {
        let pods = format!("/apis/metrics.k8s.io/{version}/namespaces/shop/pods");
        let (list, pod) = (asked("GET", &pods), asked("GET", &format!("{pods}/web-a")));
        assert_eq!(
            list,
            ("list".to_owned(), "metrics.k8s.io shop pods  ".to_owned())
        );
        assert_eq!(
            pod,
            (
                "get".to_owned(),
                "metrics.k8s.io shop pods  web-a".to_owned()
            )
        );
        assert_eq!(get(&pods).attributes.resource.unwrap().version, version);
    }
}

#[test]
fn neither_version_can_be_watched() {
    for version in VERSIONS {
        for (path, resource) in [
            ("nodes", "nodes"),
            ("pods", "pods"),
            ("namespaces/shop/pods", "pods"),
        ] {
            let base = format!("/apis/metrics.k8s.io/{version}");
            let refused = refusal(&get(&format!("{base}/{path}?watch=true"))).unwrap();
            let text = format!(
                "watch is not supported on resources of kind \"{resource}.metrics.k8s.io\""
            );
            assert_eq!((code(&refused), refused.to_string()), (405, text));
            // What cannot be watched has no path for it either (`installer.go` in k8s.io/apiserver).
            let old = get(&format!("{base}/watch/{path}"));
            assert_eq!(old.attributes.verb, "watch");
            assert_eq!(refusal(&old), Some(Refusal::NotFound));
        }
    }
}

#[test]
fn options_that_mean_nothing_here_are_accepted() {
    let ignored = "limit=1&continue=abc&resourceVersion=7&resourceVersionMatch=Exact\
                   &timeoutSeconds=3&sendInitialEvents=true&allowWatchBookmarks=true";
    for version in VERSIONS {
        let parsed = get(&format!("/apis/metrics.k8s.io/{version}/pods?{ignored}"));
        assert_eq!(refusal(&parsed), None);
    }
}
