//! Files that are good and bad by turns, over the real relist: what is in force is always what was
//! good last.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::kinds::Kinds;
use crate::kubernetes::Kubernetes;
use crate::kubernetes::standalone::Objects;
use crate::registry::{Listings, Registry, Snapshot};
use crate::relist::{self, Relist, Wake};
use crate::rules::Code;
use crate::samples;

/// What somebody writes into the directory.
#[derive(Clone, Copy, Debug)]
enum Edit {
    /// A file with one rule of this number.
    Good(u8),
    /// The same with a backend of this number beside it.
    WithBackend(u8),
    /// No YAML.
    Broken,
    /// A field that there is not.
    Unknown,
    /// Not even text.
    Bytes,
    /// A backend whose token is nowhere.
    NoToken,
    /// A file of which nothing has been written yet.
    Empty,
    /// No file.
    Gone,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0..6_u8).prop_map(Edit::Good),
        2 => (0..3_u8).prop_map(Edit::WithBackend),
        1 => Just(Edit::Broken),
        1 => Just(Edit::Unknown),
        1 => Just(Edit::Bytes),
        1 => Just(Edit::NoToken),
        1 => Just(Edit::Empty),
        1 => Just(Edit::Gone),
    ]
}

impl Edit {
    fn apply(self, file: &Path) {
        let rule = |number, rest: &str| {
            format!("externalRules:\n- {{name: {{as: m{number}}}, query: '1'{rest}}}\n")
        };
        let backend = "backends: {other: {url: 'http://127.0.0.1:1', ";
        let text = match self {
            Edit::Good(number) => rule(number, "").into_bytes(),
            Edit::WithBackend(number) => {
                let backend = format!("{backend}tenant: t{number}}}}}\n");
                (backend + &rule(number, ", backend: other")).into_bytes()
            }
            Edit::Broken => b"externalRules: [".to_vec(),
            Edit::Unknown => b"externalRules: [{nonsense: 1}]\n".to_vec(),
            Edit::Bytes => b"externalRules: \xff\n".to_vec(),
            Edit::NoToken => {
                let backend = format!("{backend}auth: {{tokenFile: /nonexistent/token}}}}}}\n");
                (backend + &rule(9, ", backend: other")).into_bytes()
            }
            Edit::Empty => b"# rules:\n".to_vec(),
            Edit::Gone => return std::fs::remove_file(file).unwrap_or_default(),
        };
        std::fs::write(file, text).unwrap();
    }

    /// The one metric that it makes, where it is good, and its backends.
    fn makes(self) -> Option<(String, usize)> {
        match self {
            Edit::Good(number) => Some((format!("m{number}"), 1)),
            Edit::WithBackend(number) => Some((format!("m{number}"), 2)),
            _ => None,
        }
    }
}

/// A server's rules without the server.
struct Scene {
    files: Files,
    changes: Changes,
    registry: Arc<Registry>,
    samples: Samples,
    metrics: Arc<Metrics>,
}

impl Scene {
    fn open(rules: &Path) -> Scene {
        let flags = ["--standalone=x", "--prometheus-url=http://127.0.0.1:1"].map(str::to_owned);
        let rules = format!("--config={}", rules.display());
        let arguments = [vec!["tidegauge".to_owned(), rules], flags.into()].concat();
        let config = Arc::new(Config::parse(&arguments, |_| None).unwrap());
        let metrics = Metrics::new();
        let files = Files::open(&config, &metrics, None).unwrap();
        let Configuration { rules, backends } = files.configuration.clone();
        let kinds = Arc::new(Kinds::builtin());
        let snapshot = Snapshot::build(rules, kinds, &Listings::default()).over(backends);
        let registry = Arc::new(Registry::new(snapshot));
        let objects =
            Objects::parse(b"{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}")
                .unwrap();
        let kubernetes = Kubernetes::Standalone(Arc::new(ArcSwap::from_pointee(objects)));
        let settings = relist::Settings {
            interval: config.relist.interval,
            max_age: config.relist.max_age,
            deadline: config.relist.timeout,
        };
        let (relist, changes) = Relist::new(
            files.configuration.clone(),
            Arc::new(kubernetes),
            Arc::clone(&registry),
            Arc::clone(&metrics),
            Arc::new(Wake::default()),
            settings,
        );
        tokio::spawn(relist.run());
        let limits = samples::Limits {
            entries: 10,
            bytes: 1 << 20,
        };
        Scene {
            files,
            changes,
            registry,
            samples: Samples::new(limits, samples::fetch(), metrics.cache.clone()),
            metrics,
        }
    }

    async fn look(&mut self) {
        self.files.look(false, &self.changes, &self.samples).await;
    }

    /// The one metric that is served, and how many backends there are.
    fn in_force(&self) -> (String, usize) {
        let snapshot = self.registry.snapshot();
        let metrics: Vec<&str> = snapshot.external_metrics().collect();
        (metrics.concat(), snapshot.backends().len())
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok()).unwrap()
    }
}

const SUCCESSFUL: &str = "tidegauge_config_last_reload_successful ";
const SUCCEEDED_AT: &str = "tidegauge_config_last_reload_success_timestamp_seconds ";

async fn ends_in_the_last_good_one(edits: Vec<Edit>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yaml");
    Edit::Good(7).apply(&file);
    let mut scene = Scene::open(&file);
    let mut good = Edit::Good(7).makes().unwrap();
    for edit in edits {
        let before = (scene.metric(SUCCEEDED_AT), scene.files.state.load_full());
        edit.apply(&file);
        scene.look().await;
        let state = scene.files.state.load_full();
        match edit.makes() {
            Some(makes) => {
                good = makes;
                assert_eq!(state.last_error, None, "{edit:?}");
                assert_eq!(
                    state.hash,
                    config::read(std::slice::from_ref(&file))
                        .map(|it| ConfigState::new(&it, state.loaded_at).hash)
                        .unwrap()
                );
            }
            None => {
                let error = state.last_error.clone().unwrap_or_default();
                assert!(
                    !error.is_empty() && !error.contains('\n'),
                    "{edit:?}: {error}"
                );
                assert_eq!(
                    (&state.hash, state.loaded_at),
                    (&before.1.hash, before.1.loaded_at)
                );
                assert_eq!(scene.metric(SUCCEEDED_AT).to_bits(), before.0.to_bits());
            }
        }
        assert_eq!(
            scene.metric(SUCCESSFUL) > 0.5,
            edit.makes().is_some(),
            "{edit:?}"
        );
        assert_eq!(scene.in_force(), good, "{edit:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_gone_is_closed_once_nobody_can_be_asking_it() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yaml");
    Edit::WithBackend(0).apply(&file);
    let mut scene = Scene::open(&file);
    let former = Arc::clone(&scene.files.configuration.backends);
    Edit::WithBackend(1).apply(&file);
    scene.look().await;
    // The one of the flags stays.
    let closed = |backends: &Backends| backends.iter().map(|it| it.is_closed()).collect::<Vec<_>>();
    assert_eq!(closed(&former), [false, false]);
    Edit::WithBackend(0).apply(&file);
    scene.look().await;
    tokio::time::sleep(scene.files.config.serving.request_timeout * 3).await;
    scene.look().await;
    assert_eq!(closed(&former), [false, true]);
    // One of the same plan is in force again, and is another one.
    let now = &scene.files.configuration.backends;
    assert!(now[1] == former[1] && !now[1].is_closed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_sequence_of_files_ends_in_the_last_good_one(
        edits in proptest::collection::vec(edit(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(ends_in_the_last_good_one(edits));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_mistake_is_and_where_is_told_on_one_line_and_the_number_of_the_others() {
    let file = |path: &str, text: &str| ConfigFile {
        path: path.to_owned(),
        name: Some(path.to_owned()),
        bytes: text.as_bytes().to_vec(),
    };
    let good = file("a.yaml", "rules: []\n");
    let bad = file(
        "b.yaml",
        "rules:\n- {seriesQuery: x, metricsQuery: y, nonsense: 1}\n- nope\n",
    );
    let error = compile(&[good, bad], false).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("b.yaml:2:"), "{said}");
    assert!(
        said.contains("nonsense") && said.ends_with("(and 1 more)"),
        "{said}"
    );
    let frames = error.frames;
    assert!(
        frames.contains("b.yaml:3:") && !frames.contains("a.yaml"),
        "{frames}"
    );
}

#[test]
fn files_share_their_backends_and_each_names_its_rules() {
    let file = |path: &str, text: &str| ConfigFile {
        path: format!("/etc/{path}"),
        name: Some(path.to_owned()),
        bytes: text.as_bytes().to_vec(),
    };
    let rule = "{seriesQuery: x, metricsQuery: y, backend: b}";
    let backends = "backends: {b: {url: 'http://b'}}\n";
    let files = [
        file("0.yaml", &format!("rules: [{rule}]\n")),
        file(
            "1.yaml",
            &format!("{backends}rules: [{rule}]\nexternalRules: [{rule}]\n"),
        ),
    ];
    let (rules, warnings) = compile(&files, false).unwrap();
    let ids: Vec<String> = rules.series_rules().map(|it| it.id.to_string()).collect();
    assert_eq!(
        ids,
        [
            "0.yaml:rules[0]",
            "1.yaml:rules[0]",
            "1.yaml:externalRules[0]"
        ]
    );
    assert!(rules.series_rules().all(|it| it.backend == 1));
    let mut warnings = warnings.iter().flatten();
    assert!(warnings.all(|it| it.code != Code::UnusedBackend));

    let resource = "resourceRules: {cpu: {containerLabel: c}}\n";
    let both = [backends, resource].concat();
    let files = [file("0.yaml", &both), file("1.yaml", &both)];
    let frames = compile(&files, false).unwrap_err().frames;
    for said in [
        "this backend is given in 0.yaml as well",
        "`resourceRules` stand in 0.yaml as well",
    ] {
        assert!(frames.contains(said), "{frames}");
    }
}
