//! The API path of an ask, as a client writes it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::route::ApiGroup;
use crate::journal::About;

/// What stands for itself in a segment of a path or in a value of a query (RFC 3986, 2.3), and `*`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'*');

/// A segment of a path, or a value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The path and query that ask for it.
pub(super) fn of(about: &About<String>) -> String {
    let mut path = match ApiGroup::ALL
        .into_iter()
        .find(|group| group.name() == about.group)
    {
        Some(ApiGroup::Custom) => custom(about),
        Some(ApiGroup::External) => external(about),
        Some(ApiGroup::Resource) | None => usage(about),
    };
    let selectors = [
        ("labelSelector", &about.selector),
        ("metricLabelSelector", &about.metric_selector),
    ];
    let mut mark = '?';
    for (name, selector) in selectors {
        if !selector.is_empty() {
            path.push(mark);
            path.push_str(&format!("{name}={}", encoded(selector)));
            mark = '&';
        }
    }
    path
}

fn custom(about: &About<String>) -> String {
    let base = "/apis/custom.metrics.k8s.io/v1beta2";
    let (resource, metric) = (encoded(&about.resource), encoded(&about.metric));
    let name = match about.name.as_str() {
        "" => "*".to_owned(),
        name => encoded(name),
    };
    match about.namespace.as_str() {
        "" if resource == "namespaces" => format!("{base}/namespaces/{name}/metrics/{metric}"),
        "" => format!("{base}/{resource}/{name}/{metric}"),
        namespace => {
            let namespace = encoded(namespace);
            format!("{base}/namespaces/{namespace}/{resource}/{name}/{metric}")
        }
    }
}

fn external(about: &About<String>) -> String {
    let (namespace, metric) = (encoded(&about.namespace), encoded(&about.metric));
    format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}")
}

fn usage(about: &About<String>) -> String {
    let mut path = "/apis/metrics.k8s.io/v1beta1".to_owned();
    if !about.namespace.is_empty() {
        path.push_str(&format!("/namespaces/{}", encoded(&about.namespace)));
    }
    path.push_str(&format!("/{}", encoded(&about.resource)));
    if !about.name.is_empty() {
        path.push_str(&format!("/{}", encoded(&about.name)));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::route::{Objects, Parsed, Route};

    fn about(group: ApiGroup, [resource, namespace, name, selector]: [&str; 4]) -> About<String> {
        About {
            group: group.name(),
            resource: resource.to_owned(),
            metric: "a/b c?%".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            selector: selector.to_owned(),
            metric_selector: String::new(),
        }
    }

    fn parsed(about: &About<String>) -> Route {
        let path = of(about);
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path.as_str(), None),
        };
        Parsed::new("GET", path, query).route
    }

    #[test]
    fn the_path_of_an_ask_asks_for_the_same() {
        for parts in [
            ["pods", "shop", "", "app in (a,b),x!=y&z"],
            ["deployments.apps", "shop", "web", ""],
            ["nodes", "", "n-1", ""],
            ["namespaces", "", "shop", ""],
        ] {
            let about = about(ApiGroup::Custom, parts);
            let Route::Custom(ask) = parsed(&about) else {
                panic!("{parts:?}");
            };
            let objects = match about.name.as_str() {
                "" => Objects::Selected,
                name => Objects::Named(name.to_owned()),
            };
            assert_eq!(ask.resource, about.resource);
            assert_eq!(ask.namespace.unwrap_or_default(), about.namespace);
            assert_eq!((ask.objects, ask.metric), (objects, about.metric));
            assert_eq!(ask.list.label_selector, about.selector);
        }
        let about = about(ApiGroup::External, ["", "shop", "", "queue=a"]);
        let Route::External(ask) = parsed(&about) else {
            panic!("external");
        };
        assert_eq!((ask.namespace, ask.metric), (about.namespace, about.metric));
        assert_eq!(ask.list.label_selector, "queue=a");
    }
}
