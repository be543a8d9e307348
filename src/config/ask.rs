//! How a person asks for a metric: `pods/http_requests_per_second -n shop -l app=web`.
//!
//! What is asked is a path of the API, for that is what autoscalers ask; here it is written the way
//! one would write it to kubectl.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// How asks are written, for help texts.
pub const SYNTAX: &str = "\
pods/METRIC                 of all pods, or of those that -l selects, in the namespace of -n
pods/NAME/METRIC            of one; so for any kind: services, deployments.apps, nodes, namespaces
external/METRIC             an external metric; -l selects series
/apis/…                     a path of the API, with its query, as kubectl get --raw takes it
Options: -n NAMESPACE (default), -l SELECTOR, --metric-selector SELECTOR of series.";

/// What stands for itself in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'*');

/// Kinds that are not in a namespace, and of which metrics stand at the root.
const AT_ROOT: [&str; 4] = ["nodes", "node", "persistentvolumes", "persistentvolume"];

/// An ask as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// `pods/METRIC` and its like, or a path of the API.
    pub what: String,
    /// `-n`
    pub namespace: Option<String>,
    /// `-l`
    pub selector: Option<String>,
    /// `--metric-selector`
    pub metric_selector: Option<String>,
}

impl Ask {
    /// Reads words as a shell would split them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(text: &str) -> Result<Ask, String> {
        let mut ask = Ask::default();
        let mut words = split(text)?.into_iter();
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) if option.starts_with("--") => {
                    (option, Some(value.to_owned()))
                }
                _ => (word.as_str(), None),
            };
            let into = match option {
                "-n" | "--namespace" => &mut ask.namespace,
                "-l" | "--selector" => &mut ask.selector,
                "--metric-selector" => &mut ask.metric_selector,
                _ if word.starts_with('-') => {
                    return Err(format!(
                        "no option {word}: write -n, -l or --metric-selector"
                    ));
                }
                _ if ask.what.is_empty() => {
                    ask.what = word;
                    continue;
                }
                _ => return Err(format!("{word:?} is too much: give one path")),
            };
            let value = value.or_else(|| words.next());
            *into = Some(value.ok_or_else(|| format!("{option} needs a value"))?);
        }
        match ask.what.is_empty() {
            true => Err("nothing is asked for".to_owned()),
            false => Ok(ask),
        }
    }

    /// The path and query of the API that it means.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn path(&self) -> Result<String, String> {
        let is_plain = [&self.namespace, &self.selector, &self.metric_selector];
        if !self.what.starts_with('/') {
            return self.short().map(|(path, _)| path);
        }
        match is_plain.into_iter().all(Option::is_none) {
            true => Ok(self.what.clone()),
            false => Err(
                "a path of the API says namespace and selectors itself: leave -n, -l and \
                          --metric-selector away"
                    .to_owned(),
            ),
        }
    }

    /// The path of the API for `pods/METRIC` and its like, and its kind of object.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn short(&self) -> Result<(String, String), String> {
        let text = &self.what;
        let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let namespace = escape(self.namespace.as_deref().unwrap_or("default"));
        let segments: Vec<&str> = text.split('/').collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            return Err(format!(
                "{text:?}: has an empty part; write it like pods/METRIC"
            ));
        }
        let query = |pairs: &[(&str, &Option<String>)]| {
            let given = pairs.iter().filter_map(|(key, value)| {
                let value = value.as_deref().filter(|it| !it.is_empty())?;
                Some(format!("{key}={}", escape(value)))
            });
            let given: Vec<String> = given.collect();
            match given.is_empty() {
                true => String::new(),
                false => format!("?{}", given.join("&")),
            }
        };
        if let ["external", metric] = segments.as_slice() {
            if self.metric_selector.is_some() {
                return Err(
                    "--metric-selector: -l selects the series of an external metric".to_owned(),
                );
            }
            let query = query(&[("labelSelector", &self.selector)]);
            let metric = escape(metric);
            let base = "/apis/external.metrics.k8s.io/v1beta1/namespaces";
            return Ok((format!("{base}/{namespace}/{metric}{query}"), String::new()));
        }
        let (resource, name, metric) = match segments.as_slice() {
            [resource, metric] => (*resource, "*", *metric),
            [resource, name, metric] => (*resource, *name, *metric),
            _ => {
                return Err(format!(
                    "{text:?} is no path: write KIND/METRIC, KIND/NAME/METRIC, external/METRIC or \
                     /apis/…"
                ));
            }
        };
        let query = query(&[
            ("labelSelector", &self.selector),
            ("metricLabelSelector", &self.metric_selector),
        ]);
        let base = "/apis/custom.metrics.k8s.io/v1beta2";
        let (object, of) = (escape(name), escape(metric));
        let path = match resource {
            "namespaces" | "namespace" => match name {
                "*" => format!("{base}/namespaces/{namespace}/metrics/{of}"),
                _ => format!("{base}/namespaces/{object}/metrics/{of}"),
            },
            resource if AT_ROOT.contains(&resource) => format!("{base}/{resource}/{object}/{of}"),
            resource => {
                let resource = escape(resource);
                format!("{base}/namespaces/{namespace}/{resource}/{object}/{of}")
            }
        };
        Ok((format!("{path}{query}"), resource.to_owned()))
    }
}

/// Words between blanks; quotes keep blanks in a word.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(open) => Err(format!("the quote {open} is not closed")),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Result<String, String> {
        Ask::read(text)?.path()
    }

    #[test]
    fn asks_are_paths_of_the_api() {
        let custom = "/apis/custom.metrics.k8s.io/v1beta2";
        let external = "/apis/external.metrics.k8s.io/v1beta1";
        for (text, expected) in [
            (
                "pods/rps -n shop -l app=web",
                format!("{custom}/namespaces/shop/pods/*/rps?labelSelector=app%3Dweb"),
            ),
            (
                "pods/web-1/rps --namespace=shop --metric-selector code=200",
                format!("{custom}/namespaces/shop/pods/web-1/rps?metricLabelSelector=code%3D200"),
            ),
            (
                "external/lag -n shop -l 'topic in (a, b)'",
                format!("{external}/namespaces/shop/lag?labelSelector=topic%20in%20%28a%2C%20b%29"),
            ),
            ("nodes/load", format!("{custom}/nodes/*/load")),
            ("/apis/x?y=z", "/apis/x?y=z".to_owned()),
        ] {
            assert_eq!(path(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_ask_is_told() {
        for (text, cause) in [
            ("", "nothing is asked for"),
            ("-n shop", "nothing is asked for"),
            ("pods/rps -n", "-n needs a value"),
            ("pods/rps -l 'app=web", "is not closed"),
            ("pods/rps -x", "no option -x"),
            ("pods/rps more", "is too much"),
            ("pods/a/b/c", "is no path"),
            ("pods//c", "empty part"),
            ("/apis/x -n shop", "leave -n"),
            ("external/a --metric-selector c=d", "-l selects"),
        ] {
            let told = path(text).unwrap_err();
            assert!(told.contains(cause), "{text}: {told}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_one_path(text in "\\PC{0,40}") {
            if let Ok(path) = path(&text) {
                prop_assert!(path.starts_with('/'));
            }
        }

        #[test]
        fn names_cannot_leave_their_place_in_the_path(name in "[^/ '\"]{1,12}") {
            prop_assume!(!name.chars().any(char::is_whitespace) && !name.starts_with('-'));
            let path = path(&format!("pods/{name}/rps -n shop")).unwrap();
            prop_assert_eq!(path.matches('/').count(), 8, "{}", path);
            prop_assert!(!path.contains('?'));
        }
    }
}
