//! Who asks for what.

use super::{MESSAGE, TEXT, cut, is_whole};

/// Who asks, as `&str` or `String`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker<T> {
    /// The user, as authentication found him; empty where it found none.
    pub user: T,
    /// `User-Agent`, which anybody can write.
    pub agent: T,
}

/// What is asked for, as the client spelled it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct About<T> {
    /// `custom.metrics.k8s.io`, `external.metrics.k8s.io` or `metrics.k8s.io`.
    pub group: &'static str,
    /// `pods`, `deployments.apps`; empty for an external metric.
    pub resource: T,
    /// The metric; empty for CPU and memory.
    pub metric: T,
    /// Empty where the path names none.
    pub namespace: T,
    /// The one object; empty for those that a selector selects.
    pub name: T,
    /// The label selector; of an external metric, that of its series.
    pub selector: T,
    /// The metric label selector.
    pub metric_selector: T,
}

/// What is counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask<T> {
    /// What.
    pub about: About<T>,
    /// By whom.
    pub asker: Asker<T>,
}

impl About<String> {
    /// Whether all of it was kept: a part of a selector selects something else.
    pub fn is_whole(&self) -> bool {
        let names = [&self.resource, &self.metric, &self.namespace, &self.name];
        let selectors = [&self.selector, &self.metric_selector];
        names.into_iter().all(|it| is_whole(it, TEXT))
            && selectors.into_iter().all(|it| is_whole(it, MESSAGE))
    }
}

impl<'a> Ask<&'a str> {
    /// The same with texts of limited length.
    pub(super) fn cut(&self) -> Ask<&'a str> {
        let about = &self.about;
        Ask {
            about: About {
                group: about.group,
                resource: cut(about.resource, TEXT),
                metric: cut(about.metric, TEXT),
                namespace: cut(about.namespace, TEXT),
                name: cut(about.name, TEXT),
                selector: cut(about.selector, MESSAGE),
                metric_selector: cut(about.metric_selector, MESSAGE),
            },
            asker: self.asker.cut(),
        }
    }

    /// Whether it is that one.
    pub(super) fn is(&self, known: &Ask<String>) -> bool {
        let (about, other) = (&self.about, &known.about);
        about.group == other.group
            && about.resource == other.resource
            && about.metric == other.metric
            && about.namespace == other.namespace
            && about.name == other.name
            && about.selector == other.selector
            && about.metric_selector == other.metric_selector
            && self.asker.user == known.asker.user
            && self.asker.agent == known.asker.agent
    }

    pub(super) fn owned(&self) -> Ask<String> {
        let about = &self.about;
        Ask {
            about: About {
                group: about.group,
                resource: about.resource.to_owned(),
                metric: about.metric.to_owned(),
                namespace: about.namespace.to_owned(),
                name: about.name.to_owned(),
                selector: about.selector.to_owned(),
                metric_selector: about.metric_selector.to_owned(),
            },
            asker: self.asker.owned(),
        }
    }
}

impl<'a> Asker<&'a str> {
    pub(super) fn cut(&self) -> Asker<&'a str> {
        Asker {
            user: cut(self.user, TEXT),
            agent: cut(self.agent, TEXT),
        }
    }

    pub(super) fn owned(&self) -> Asker<String> {
        Asker {
            user: self.user.to_owned(),
            agent: self.agent.to_owned(),
        }
    }
}
