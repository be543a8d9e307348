//! Written and read back; and nothing makes it panic.

use proptest::prelude::*;

use super::super::*;
use super::{get, refusal};

fn encode(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The path a client would write for a route.
fn path_of(route: &Route) -> String {
    let base = |version: GroupVersion| format!("/apis/{version}");
    match route {
        Route::Custom(ask) => {
            let name = match &ask.objects {
                Objects::Named(name) => encode(name),
                Objects::Selected => "*".to_owned(),
            };
            let namespace = ask.namespace.as_deref().map(encode);
            let namespace = namespace.map_or(String::new(), |it| format!("/namespaces/{it}"));
            let (resource, metric) = (encode(&ask.resource), encode(&ask.metric));
            format!(
                "{}{namespace}/{resource}/{name}/{metric}",
                base(ask.version)
            )
        }
        Route::External(ask) => {
            let base = base(GroupVersion::ExternalV1Beta1);
            format!(
                "{base}/namespaces/{}/{}",
                encode(&ask.namespace),
                encode(&ask.metric)
            )
        }
        Route::Resource(ask) => {
            let base = base(ask.version);
            match &ask.objects {
                UsageOf::Nodes(_) => format!("{base}/nodes"),
                UsageOf::Node { name } => format!("{base}/nodes/{}", encode(name)),
                UsageOf::Pods {
                    namespace: None, ..
                } => format!("{base}/pods"),
                UsageOf::Pods {
                    namespace: Some(namespace),
                    ..
                } => {
                    format!("{base}/namespaces/{}/pods", encode(namespace))
                }
                UsageOf::Pod { namespace, name } => {
                    format!(
                        "{base}/namespaces/{}/pods/{}",
                        encode(namespace),
                        encode(name)
                    )
                }
            }
        }
        other => panic!("{other:?}"),
    }
}

fn named(name: &str) -> ListQuery {
    ListQuery {
        name: Some(name.to_owned()),
        ..ListQuery::default()
    }
}

/// Segments without the words that mean something else in a path.
fn segment() -> impl Strategy<Value = String> {
    "\\PC{1,12}".prop_filter("a word of its own", |it| {
        ![
            "*",
            "metrics",
            "namespaces",
            "status",
            "finalize",
            "watch",
            "proxy",
        ]
        .contains(&it.as_str())
    })
}

fn asks() -> impl Strategy<Value = Route> {
    let version = prop_oneof![
        Just(GroupVersion::CustomV1Beta1),
        Just(GroupVersion::CustomV1Beta2)
    ];
    let objects = prop_oneof![segment().prop_map(Objects::Named), Just(Objects::Selected)];
    let custom = (
        version,
        prop::option::of(segment()),
        segment(),
        objects,
        segment(),
    );
    prop_oneof![
        custom.prop_map(|(version, namespace, resource, objects, metric)| {
            let list = named(match &objects {
                Objects::Named(name) => name,
                Objects::Selected => "*",
            });
            let metric_label_selector = String::new();
            Route::Custom(CustomAsk {
                version,
                namespace,
                resource,
                objects,
                metric,
                list,
                metric_label_selector,
            })
        }),
        (segment(), segment()).prop_map(|(namespace, metric)| {
            Route::External(ExternalAsk {
                namespace,
                metric,
                list: ListQuery::default(),
            })
        }),
        resource_asks(),
    ]
}

fn resource_asks() -> impl Strategy<Value = Route> {
    let version = prop_oneof![
        Just(GroupVersion::ResourceV1),
        Just(GroupVersion::ResourceV1Beta1)
    ];
    let list = ListQuery::default;
    let objects = prop_oneof![
        Just(UsageOf::Nodes(list())),
        segment().prop_map(|name| UsageOf::Node { name }),
        prop::option::of(segment()).prop_map(move |namespace| UsageOf::Pods {
            namespace,
            list: list(),
        }),
        (segment(), segment()).prop_map(|(namespace, name)| UsageOf::Pod { namespace, name }),
    ];
    (version, objects)
        .prop_map(|(version, objects)| Route::Resource(ResourceAsk { version, objects }))
}

proptest! {
    #[test]
    fn a_route_written_and_read_is_the_same_route(route in asks()) {
        prop_assert_eq!(get(&path_of(&route)).route, route);
    }

    #[test]
    fn no_text_makes_it_panic(method in "\\PC*", path in "\\PC*", query in "\\PC*") {
        let parsed = Parsed::new(&method, &path, Some(&query));
        refusal(&parsed);
    }

    #[test]
    fn no_path_of_ours_makes_it_panic(
        parts in prop::collection::vec(
            prop_oneof![
                Just("apis"), Just("custom.metrics.k8s.io"), Just("v1beta1"), Just("namespaces"),
                Just("metrics"), Just("status"), Just("watch"), Just("proxy"), Just("*"), Just(""),
                Just("%2A"), Just("%"), Just("é"), Just("external.metrics.k8s.io"), Just("pods"),
                Just("metrics.k8s.io"), Just("healthz"), Just("openapi"), Just("v3"),
            ],
            0..9,
        ),
        query in "((fieldSelector|watch|limit|timeout|pretty)=[-a-z0-9=,!%.\\\\]{0,9}&){0,3}",
    ) {
        let parsed = Parsed::new("GET", &format!("/{}", parts.join("/")), Some(&query));
        refusal(&parsed);
    }
}
