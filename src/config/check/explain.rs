//! The checks across the flags of `tidegauge explain`.

use std::path::{Path, PathBuf};

use crate::config::ask::Ask;
use crate::config::explain::{Explain, Named, Output, Server, Thought, What, Whom};
use crate::config::flags::explain as flags;

/// Every complaint at once, one line each.
pub(in crate::config) fn check(
    args: flags::Explain,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Explain, Vec<String>> {
    let mut complaints = Vec::new();
    let asked = what(&args.what, &mut complaints);
    let output = match args.telling.output.as_str() {
        "text" => Output::Text,
        "json" => Output::Json,
        "yaml" => Output::Yaml,
        other => {
            complaints.push(format!("--output {other:?}: must be text, json or yaml"));
            Output::Text
        }
    };
    let no_color = env("NO_COLOR").is_some_and(|it| !it.is_empty());
    let plain = no_color || env("TERM").as_deref() == Some("dumb");
    let verbosity = super::log(&args.server.logging).verbosity;
    let whom = whom(args, asked.as_ref(), env, &mut complaints);
    match (asked, whom) {
        (Some((what, _)), Some(whom)) if complaints.is_empty() => Ok(Explain {
            what,
            whom,
            output,
            plain,
            verbosity,
        }),
        _ => Err(complaints),
    }
}

/// What is asked for, and of which kind of object.
fn what(flags: &flags::What, complaints: &mut Vec<String>) -> Option<(What, String)> {
    let is_manifest = |path: &&String| *path == "-" || is_file(path);
    let (named, paths): (Vec<&String>, Vec<&String>) = flags.path.iter().partition(is_manifest);
    let given = flags.filename.iter().cloned();
    let files: Vec<PathBuf> = given.chain(named.iter().map(PathBuf::from)).collect();
    match (paths.first(), paths.len() + files.len()) {
        (None, 0) => {
            let text = "nothing to explain: give a path such as pods/METRIC, or -f hpa.yaml; \
                        tidegauge explain --help shows what there is";
            complaints.push(text.to_owned());
            return None;
        }
        (Some(path), 2..) => {
            let text = format!("{path}: give one path, or files of manifests alone");
            complaints.push(text);
            return None;
        }
        _ => {}
    }
    let Some(path) = paths.first() else {
        if flags.metric_selector.is_some() {
            let text = "--metric-selector: a manifest says it itself (metric.selector)";
            complaints.push(text.to_owned());
        }
        let named = Named {
            files,
            namespace: flags.namespace.clone(),
            selector: flags.selector.clone(),
        };
        return Some((What::Manifests(named), "pods".to_owned()));
    };
    if path.starts_with('/') {
        if flags.selector.is_some() || flags.metric_selector.is_some() || flags.namespace.is_some()
        {
            let text = "a path of the API says namespace and selectors itself: leave -n, -l and \
                        --metric-selector away";
            complaints.push(text.to_owned());
        }
        return Some((What::Path((*path).clone()), resource_of(path)));
    }
    let ask = Ask {
        what: (*path).clone(),
        namespace: flags.namespace.clone(),
        selector: flags.selector.clone(),
        metric_selector: flags.metric_selector.clone(),
    };
    match ask.short() {
        Ok((path, resource)) => Some((What::Path(path), resource)),
        Err(text) => {
            complaints.push(text);
            None
        }
    }
}

/// The kind of object that a path of the API names.
fn resource_of(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        [
            "apis",
            "custom.metrics.k8s.io",
            _,
            "namespaces",
            _,
            "metrics",
            _,
        ] => "namespaces",
        [
            "apis",
            "custom.metrics.k8s.io",
            _,
            "namespaces",
            _,
            resource,
            _,
            _,
        ]
        | ["apis", "custom.metrics.k8s.io", _, resource, _, _] => resource,
        ["apis", "metrics.k8s.io", _, "namespaces", _, resource, ..]
        | ["apis", "metrics.k8s.io", _, resource, ..] => resource,
        _ => "",
    }
    .to_owned()
}

fn is_file(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|it| it.to_str());
    matches!(extension, Some("yaml" | "yml" | "json")) && !path.starts_with("/apis/")
}

fn whom(
    args: flags::Explain,
    asked: Option<&(What, String)>,
    env: impl Fn(&str) -> Option<String>,
    complaints: &mut Vec<String>,
) -> Option<Whom> {
    let flags::Explain {
        what, whom, server, ..
    } = args;
    if let Some(url) = &whom.server {
        if !server.rules.config.is_empty() || !whom.name.is_empty() {
            let text = "--server: it has rules and objects of its own; leave --config and --name \
                        away";
            complaints.push(text.to_owned());
        }
        return Some(Whom::Server(of_url(url.clone(), whom, complaints)));
    }
    for (flag, given) in [
        ("--token-file", whom.token_file.is_some()),
        (
            "--certificate-authority",
            whom.certificate_authority.is_some(),
        ),
        ("--tls-server-name", whom.tls_server_name.is_some()),
    ] {
        if given {
            complaints.push(format!("{flag}: is for --server, which is not given"));
        }
    }
    let has_names = !whom.name.is_empty();
    let given = [
        has_names,
        !server.standalone.standalone.is_empty(),
        !server.kubernetes.lister_kubeconfig.is_empty(),
    ];
    let given = given.iter().filter(|it| **it).count();
    if given > 1 {
        let text = "--name, --standalone, --lister-kubeconfig: give one, which says where the \
                    objects are";
        complaints.push(text.to_owned());
    }
    let resource = asked
        .map(|(_, resource)| resource.clone())
        .unwrap_or_default();
    let is_outside = env("KUBERNETES_SERVICE_HOST").is_none_or(|it| it.is_empty());
    let has_none = given == 0 && is_outside;
    if has_none && needs_objects(asked) {
        let text = format!(
            "whose are the {resource}? give --name=NAME,NAME for some that are thought of, \
             --standalone=OBJECTS.yaml, or --lister-kubeconfig=FILE for those of a cluster"
        );
        complaints.push(text);
    }
    let thought = (has_names || has_none).then(|| Thought {
        namespace: namespace(asked, &what),
        resource,
        names: whom.name,
        selector: what.selector.unwrap_or_default(),
    });
    match super::check(server, Vec::new(), env) {
        Ok(config) => Some(Whom::Here {
            config: Box::new(config),
            thought,
        }),
        Err(more) => {
            complaints.extend(more);
            None
        }
    }
}

fn of_url(url: String, whom: flags::Whom, complaints: &mut Vec<String>) -> Server {
    let is_url = |it: &reqwest::Url| matches!(it.scheme(), "http" | "https") && it.has_host();
    if !reqwest::Url::parse(&url).is_ok_and(|it| is_url(&it)) {
        complaints.push(format!(
            "--server {url:?} is no URL: write it like https://127.0.0.1:6443"
        ));
    }
    Server {
        url,
        token_file: whom.token_file,
        certificate_authority: whom.certificate_authority,
        tls_server_name: whom.tls_server_name,
    }
}

/// Whether somebody has to say which objects there are: for all but one that is named by its path,
/// and for external metrics.
fn needs_objects(asked: Option<&(What, String)>) -> bool {
    match asked {
        Some((What::Path(path), _)) => path.contains("/*/") || path.contains("/%2A/"),
        Some((What::Manifests(_), _)) | None => false,
    }
}

/// The namespace of objects that are thought of.
fn namespace(asked: Option<&(What, String)>, what: &flags::What) -> String {
    let of_path = match asked {
        Some((What::Path(path), _)) => path.split_once("/namespaces/"),
        _ => None,
    };
    let of_path = of_path.and_then(|(_, rest)| rest.split('/').next());
    let given = what.namespace.as_deref().or(of_path);
    given.unwrap_or("default").to_owned()
}
