//! Who asks, and for what, in a few words.

use crate::journal::{About, Asker};

/// The service account of the HPA controller.
const HPA: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";

/// What that user is where controllers have no accounts of their own.
const CONTROLLERS: &str = "system:kube-controller-manager";

/// What `metrics.k8s.io` tells of each object.
pub(super) const USAGE: &str = "CPU and memory";

const ANONYMOUS: &str = "system:anonymous";

/// `HPA controller`, `kubectl/v1.36.0 as alice`, `curl/8.5.0`.
///
/// The HPA controller is known by its user, whom the cluster has proven; client-go puts its
/// account into the user agent, too (`rest.AddUserAgent`), which counts where the user is that of
/// all controllers. Where nobody is authenticated the agent is all there is.
pub(super) fn name(asker: &Asker<String>) -> String {
    let says_so = asker.agent.ends_with(HPA);
    match asker.user.as_str() {
        HPA => "HPA controller".to_owned(),
        CONTROLLERS if says_so => "HPA controller".to_owned(),
        "" | ANONYMOUS if says_so => "HPA controller (not authenticated)".to_owned(),
        "" | ANONYMOUS => program(&asker.agent),
        user => format!("{} as {user}", program(&asker.agent)),
    }
}

/// The first product of a user agent (RFC 9110, 10.1.5).
fn program(agent: &str) -> String {
    match agent.split_whitespace().next() {
        Some(product) => product.to_owned(),
        None => "somebody".to_owned(),
    }
}

/// `depth of pods`, `lag`, `CPU and memory of pods`
pub(super) fn metric(about: &About<String>) -> String {
    let metric = match about.metric.as_str() {
        "" => USAGE,
        metric => metric,
    };
    match about.resource.as_str() {
        "" => metric.to_owned(),
        resource => format!("{metric} of {resource}"),
    }
}

/// `app=web in shop`, `web in shop, verb=GET`; empty where nothing narrows it.
pub(super) fn what(about: &About<String>) -> String {
    let mut what = match (about.name.as_str(), about.selector.as_str()) {
        ("", selector) => selector.to_owned(),
        (name, _) => name.to_owned(),
    };
    if !about.namespace.is_empty() {
        let all = if what.is_empty() { "all" } else { "" };
        what = format!("{what}{all} in {}", about.namespace);
    }
    if !about.metric_selector.is_empty() {
        what = format!("{what}, series {}", about.metric_selector);
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(user: &str, agent: &str) -> String {
        name(&Asker {
            user: user.to_owned(),
            agent: agent.to_owned(),
        })
    }

    #[test]
    fn the_hpa_controller_is_known_by_its_user_and_never_by_its_word_alone() {
        let agent = format!("kube-controller-manager/v1.36.0 (linux/amd64) kubernetes/1/{HPA}");
        assert_eq!(asker(HPA, &agent), "HPA controller");
        assert_eq!(asker(CONTROLLERS, &agent), "HPA controller");
        assert_eq!(asker("", &agent), "HPA controller (not authenticated)");
        let liar = asker("mallory", &agent);
        assert_eq!(liar, "kube-controller-manager/v1.36.0 as mallory");
        assert_eq!(
            asker("alice", "kubectl/v1.36.0 (linux)"),
            "kubectl/v1.36.0 as alice"
        );
        assert_eq!(asker(ANONYMOUS, "curl/8.5.0"), "curl/8.5.0");
        assert_eq!(asker("", ""), "somebody");
    }

    #[test]
    fn what_is_asked_for_is_told_by_what_narrows_it() {
        let about = |name: &str, selector: &str, namespace: &str, series: &str| {
            what(&About {
                group: "custom.metrics.k8s.io",
                name: name.to_owned(),
                selector: selector.to_owned(),
                namespace: namespace.to_owned(),
                metric_selector: series.to_owned(),
                ..About::default()
            })
        };
        assert_eq!(about("", "app=web", "shop", ""), "app=web in shop");
        assert_eq!(
            about("web", "", "shop", "verb=GET"),
            "web in shop, series verb=GET"
        );
        assert_eq!(about("", "", "shop", ""), "all in shop");
        assert_eq!(about("", "", "", ""), "");
    }

    #[test]
    fn a_metric_is_told_with_its_kind_where_it_has_one() {
        let about = |resource: &str, name: &str| {
            metric(&About {
                resource: resource.to_owned(),
                metric: name.to_owned(),
                ..About::default()
            })
        };
        assert_eq!(about("pods", "depth"), "depth of pods");
        assert_eq!(about("", "lag"), "lag");
        assert_eq!(about("nodes", ""), "CPU and memory of nodes");
    }
}
