//! The free paths, the texts, and what a broad question may stand for.

use proptest::prelude::*;

use super::*;

fn path(path: &str) -> Attributes {
    Attributes {
        verb: "get".to_owned(),
        path: path.to_owned(),
        resource: None,
    }
}

#[test]
fn only_the_named_paths_are_free_and_no_resource_ever() {
    let paths = ["/healthz", "/readyz", "/openapi/*"].map(str::to_owned);
    let always = AlwaysAllowed::new(&paths);
    for free in ["/healthz", "/readyz", "/openapi/", "/openapi/v2"] {
        assert!(always.holds(&path(free)), "{free}");
    }
    for other in [
        "/",
        "/readyz/ping",
        "/healthz/",
        "/livez",
        "/%68ealthz",
        "/openapi",
        "",
    ] {
        assert!(!always.holds(&path(other)), "{other}");
    }
    let resource = Some(ResourceAttributes::default());
    assert!(!always.holds(&Attributes {
        resource,
        ..path("/healthz")
    }));
}

#[test]
fn a_refusal_reads_as_gos() {
    let resource = ResourceAttributes {
        group: "custom.metrics.k8s.io".to_owned(),
        namespace: "shop".to_owned(),
        resource: "pods".to_owned(),
        subresource: "depth".to_owned(),
        name: "*".to_owned(),
        ..ResourceAttributes::default()
    };
    let of = |resource| Attributes {
        resource: Some(resource),
        ..path("/x")
    };
    assert_eq!(
        forbidden("bob", &of(resource.clone()), "no role"),
        "pods.custom.metrics.k8s.io \"*\" is forbidden: User \"bob\" cannot get resource \
         \"pods/depth\" in API group \"custom.metrics.k8s.io\" in the namespace \"shop\": no \
         role"
    );
    let node = ResourceAttributes {
        namespace: String::new(),
        name: String::new(),
        subresource: String::new(),
        ..resource
    };
    assert_eq!(
        forbidden("<b>", &of(node), ""),
        "pods.custom.metrics.k8s.io is forbidden: User \"&lt;b&gt;\" cannot get resource \
         \"pods\" in API group \"custom.metrics.k8s.io\" at the cluster scope"
    );
    let text = forbidden("bob", &path("/metrics"), "");
    assert_eq!(text, "forbidden: User \"bob\" cannot get path \"/metrics\"");
}

#[test]
fn what_is_not_known_is_not_asked_about() {
    let user = User {
        name: "bob".to_owned(),
        ..User::default()
    };
    let asked = serde_json::to_value(spec(&user, &path("/metrics"))).unwrap();
    let expected = serde_json::json!({
        "user": "bob", "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    });
    assert_eq!(asked, expected);
}

/// A rule of a role and where it is bound: in one namespace, or everywhere.
#[derive(Clone, Debug)]
struct Granted {
    groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    namespace: Option<String>,
}

impl Granted {
    /// `RuleAllows` of k8s.io/kubernetes (`plugin/pkg/auth/authorizer/rbac/rbac.go` and
    /// `pkg/apis/rbac/v1/evaluation_helpers.go`).
    fn allows(&self, verb: &str, asked: &ResourceAttributes) -> bool {
        let has = |all: &[String], one: &str| all.iter().any(|it| it == "*" || it == one);
        let whole = match asked.subresource.as_str() {
            "" => asked.resource.clone(),
            subresource => format!("{}/{subresource}", asked.resource),
        };
        let matches = |rule: &String| {
            rule == "*"
                || *rule == whole
                || (!asked.subresource.is_empty() && *rule == format!("*/{}", asked.subresource))
        };
        let bound = |it: &String| !asked.namespace.is_empty() && *it == asked.namespace;
        self.namespace.as_ref().is_none_or(bound)
            && has(&self.verbs, verb)
            && has(&self.groups, &asked.group)
            && self.resources.iter().any(matches)
            && (self.names.is_empty() || self.names.contains(&asked.name))
    }
}

fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let word = proptest::sample::select(words).prop_map(str::to_owned);
    proptest::collection::vec(word, 0..3)
}

fn granted() -> impl Strategy<Value = Granted> {
    let resources = &[
        "*",
        "*/*",
        "pods",
        "*/depth",
        "pods/*",
        "pods/depth",
        "",
        "lag",
    ];
    let parts = (
        some_of(&["*", "", "custom.metrics.k8s.io", "external.metrics.k8s.io"]),
        some_of(&["*", "get", "list", ""]),
        some_of(resources),
        some_of(&["", "*", "web-a"]),
        proptest::option::of(proptest::sample::select(&["", "shop"][..]).prop_map(str::to_owned)),
    );
    parts.prop_map(|(groups, verbs, resources, names, namespace)| Granted {
        groups,
        verbs,
        resources,
        names,
        namespace,
    })
}

fn asked() -> impl Strategy<Value = Attributes> {
    let one =
        |words: &'static [&'static str]| proptest::sample::select(words).prop_map(str::to_owned);
    let parts = (
        one(&["get", "list"]),
        one(&["custom.metrics.k8s.io", "external.metrics.k8s.io"]),
        one(&["", "shop", "bank"]),
        one(&["pods", "lag", "*"]),
        one(&["", "depth", "*"]),
        one(&["", "web-a", "*"]),
    );
    parts.prop_map(
        |(verb, group, namespace, resource, subresource, name)| Attributes {
            verb,
            resource: Some(ResourceAttributes {
                group,
                version: "v1beta1".to_owned(),
                namespace,
                resource,
                subresource,
                name,
            }),
            ..path("/apis/x")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// The promise of `--authorization-broad-checks`, by the rules of RBAC.
    #[test]
    fn a_broad_yes_of_roles_is_a_yes_to_every_single_question(
        rules in proptest::collection::vec(granted(), 1..4),
        asked in asked(),
    ) {
        let allowed = |it: &Attributes| {
            let resource = it.resource.as_ref().unwrap();
            rules.iter().any(|rule| rule.allows(&it.verb, resource))
        };
        let broad = broad(&asked).unwrap();
        prop_assert!(!allowed(&broad) || allowed(&asked), "{rules:?}");
    }
}

#[test]
fn a_broad_question_is_about_reading_a_whole_group_and_nothing_else() {
    let pod = Attributes {
        resource: Some(ResourceAttributes {
            group: "custom.metrics.k8s.io".to_owned(),
            version: "v1beta2".to_owned(),
            namespace: "shop".to_owned(),
            resource: "pods".to_owned(),
            subresource: "depth".to_owned(),
            name: "web-a".to_owned(),
        }),
        ..path("/x")
    };
    let user = User::default();
    let asked = serde_json::to_value(spec(&user, &broad(&pod).unwrap())).unwrap();
    let expected = serde_json::json!({"resourceAttributes": {
        "verb": "get", "group": "custom.metrics.k8s.io", "version": "*", "resource": "*",
        "name": "tidegauge:any"}});
    assert_eq!(asked, expected);
    // Who may read may not write, and who may act as users is another matter.
    for verb in ["create", "delete", "impersonate", "watch", ""] {
        let verb = verb.to_owned();
        assert_eq!(
            broad(&Attributes {
                verb,
                ..pod.clone()
            }),
            None
        );
    }
    assert_eq!(broad(&path("/metrics")), None);
}

#[test]
fn the_bytes_of_a_question_are_those_that_its_caller_chooses() {
    let resource = ResourceAttributes {
        resource: "pods".to_owned(),
        name: "x".repeat(9_000),
        ..ResourceAttributes::default()
    };
    let asked = Attributes {
        resource: Some(resource),
        ..path("/not/counted/where/a/resource/is/named")
    };
    assert_eq!(asked.bytes(), 9_007);
    assert_eq!(path("/metrics").bytes(), 11);
}
