//! What is granted: enough for every call that the binary makes, and nothing beyond.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegauge::kinds::{GroupResource, Kinds};
use tidegauge::rules::{self, Association, Rules};

use super::render::{COMPONENTS, OWN_AUTHORITY, Tree, everything};
use super::{list, of_kind, text, the, the_rules};

const ROLES: [&str; 2] = ["ClusterRole", "Role"];

fn rules_of(objects: &[Value]) -> Rules {
    let text = text(&the_rules(objects)["data"]["config.yaml"]);
    let (rules, findings) = rules::parse(text).unwrap_or_else(|findings| {
        panic!(
            "{}",
            rules::render_findings(&findings, text, "config.yaml", false)
        )
    });
    let told = rules::render_findings(&findings, text, "config.yaml", false);
    assert_eq!(
        told, "",
        "the rules that everybody begins with give no warning"
    );
    rules
}

/// `group/plural` of what the rules name, by the names that the API server has.
fn kinds_of(rules: &Rules) -> BTreeSet<String> {
    let kinds = Kinds::builtin();
    let lists = rules.custom.iter().chain(&rules.external);
    let associations = lists.map(|rule| &rule.association);
    let resource = rules.resource.iter();
    let resource = resource.flat_map(|it| [&it.cpu.association, &it.memory.association]);
    let of_one = |association: &Association| {
        assert!(association.template.is_none(), "a template names no kinds");
        let names = association.overrides.iter().map(|it| GroupResource {
            group: it.group.clone(),
            resource: it.resource.clone(),
        });
        let plural = |it| {
            kinds
                .resource_for(&it)
                .unwrap()
                .group_resource()
                .to_string()
        };
        names.map(plural).collect::<Vec<_>>()
    };
    associations.chain(resource).flat_map(of_one).collect()
}

#[test]
fn the_default_rules_load_without_a_warning_and_serve_all_three_apis() {
    let rules = rules_of(&Tree::new().overlay("fresh"));
    assert!(rules.custom.len() >= 3 && !rules.external.is_empty() && rules.resource.is_some());
}

#[test]
fn the_role_reads_the_kinds_of_the_rules_and_no_others() {
    let objects = Tree::new().overlay("fresh");
    let roles = of_kind(&objects, "ClusterRole").into_iter();
    let mut ours = roles.filter(|it| it["metadata"]["name"] == "tidegauge");
    let mut granted = BTreeSet::new();
    for rule in list(&ours.next().unwrap()["rules"]) {
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                let (group, resource) = (text(group).to_owned(), text(resource).to_owned());
                granted.insert(GroupResource { group, resource }.to_string());
            }
        }
    }
    assert_eq!(granted, kinds_of(&rules_of(&objects)));
}

#[test]
fn no_role_has_a_wildcard_or_changes_more_than_named_api_services() {
    for (name, objects) in everything() {
        for role in ROLES.iter().flat_map(|kind| of_kind(&objects, kind)) {
            for rule in list(&role["rules"]) {
                let words = ["apiGroups", "resources", "verbs"].map(|it| list(&rule[it]));
                let all = words.iter().flat_map(|it| it.iter()).map(text);
                assert!(!all.into_iter().any(|it| it == "*"), "{name}: {rule}");
                let named = rule["resourceNames"].is_array();
                let of_ours = rule["resources"] == json!(["apiservices"]) && named;
                let reads = |verb: &Value| ["get", "list", "watch"].contains(&text(verb));
                let changes = |verb: &Value| of_ours && verb == "patch";
                let verbs = list(&rule["verbs"]);
                assert!(
                    verbs.iter().all(|it| reads(it) || changes(it)),
                    "{name}: {rule}"
                );
            }
        }
    }
}

/// One that is missing would never be trusted, one too many could be anybody's.
#[test]
fn the_api_services_that_may_be_changed_are_those_that_can_be_registered() {
    let objects = Tree::new().base_and(&COMPONENTS);
    let names = |it: Vec<&Value>| -> BTreeSet<String> {
        it.iter()
            .map(|it| text(&it["metadata"]["name"]).to_owned())
            .collect()
    };
    let registered = names(of_kind(&objects, "APIService"));
    let objects = Tree::new().base_and(&[OWN_AUTHORITY]);
    let mut roles = of_kind(&objects, "ClusterRole").into_iter();
    let role = roles
        .find(|it| it["metadata"]["name"] == "tidegauge-api-services")
        .unwrap();
    let named = list(&role["rules"][0]["resourceNames"]).iter();
    let named: BTreeSet<String> = named.map(|it| text(it).to_owned()).collect();
    assert_eq!(named, registered);
}

#[test]
fn every_binding_is_to_an_account_that_is_there() {
    for (name, objects) in everything() {
        let id = |it: &Value| format!("{}/{}", it["namespace"], it["name"]);
        let accounts = of_kind(&objects, "ServiceAccount").into_iter();
        let accounts: Vec<String> = accounts.map(|it| id(&it["metadata"])).collect();
        for kind in ["ClusterRoleBinding", "RoleBinding"] {
            for binding in of_kind(&objects, kind) {
                for subject in list(&binding["subjects"]) {
                    // Of kube-prometheus.
                    let of_others = subject["name"] == "prometheus-k8s";
                    assert!(
                        of_others || accounts.contains(&id(subject)),
                        "{name}: {subject}"
                    );
                }
            }
        }
        let deployment = the(&objects, "Deployment");
        let account = &deployment["spec"]["template"]["spec"]["serviceAccountName"];
        let bound = accounts.is_empty() || accounts[0].ends_with(&account.to_string());
        assert!(bound, "{name}: {account}");
    }
}

/// The role is in kube-system, and a binding reaches only its own namespace.
#[test]
fn the_reader_of_the_authentication_config_map_is_bound_in_kube_system() {
    let objects = Tree::new().overlay("fresh");
    let bindings = of_kind(&objects, "RoleBinding").into_iter();
    let mut reader =
        bindings.filter(|it| it["roleRef"]["name"] == "extension-apiserver-authentication-reader");
    assert_eq!(
        reader.next().unwrap()["metadata"]["namespace"],
        "kube-system"
    );
}
