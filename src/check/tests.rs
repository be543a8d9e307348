//! Each finding where it must be made and where it must not.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::rules::{parse, parse_files};

const OBJECTS: &str =
    "resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}";
const QUERY: &str = "metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'";

/// One rule for objects, of these lines.
fn rule(lines: &[&str]) -> String {
    format!("rules:\n- {}\n", lines.join("\n  "))
}

/// One external rule for every namespace.
fn external(lines: &[&str]) -> String {
    let resources = "resources: {overrides: {namespace: {resource: namespace}}}";
    format!("externalRules:\n- {resources}\n  {}\n", lines.join("\n  "))
}

/// The findings about the only file.
fn lint_one(rules: &Arc<Rules>, text: &str, known: Vec<Finding>) -> Vec<Finding> {
    let file = File { name: None, text };
    lint(rules, &[file], &[known]).concat()
}

fn all(text: &str) -> Vec<Finding> {
    let (rules, known) = parse(text).unwrap_or_else(|findings| panic!("{text}: {findings:?}"));
    lint_one(&Arc::new(rules), text, known)
}

/// What is found, without how queries are widened.
fn found(text: &str) -> Vec<Finding> {
    let mut findings = all(text);
    findings.retain(|it| it.code != Code::Widening);
    findings
}

/// Exactly one finding, of this kind, that says so.
fn only(text: &str, severity: Severity, code: Code, message: &str) {
    let findings = found(text);
    let [finding] = findings.as_slice() else {
        panic!("{text}\n{findings:#?}");
    };
    assert_eq!((finding.severity, finding.code), (severity, code), "{text}");
    assert!(finding.message.contains(message), "{}", finding.message);
}

fn nothing(text: &str) {
    assert_eq!(found(text), [], "{text}");
}

#[test]
fn a_rule_that_leaves_its_own_series_out_makes_nothing() {
    let of = |name| rule(&["seriesQuery: 'hits{namespace!=\"\"}'", OBJECTS, QUERY, name]);
    let (warning, code) = (Severity::Warning, Code::NameUnmatched);
    only(
        &of("name: {matches: ^(.*)_total$}"),
        warning,
        code,
        "`hits` is all that this finds",
    );
    only(
        &of("seriesFilters: [{isNot: ^hits$}]"),
        warning,
        code,
        "leave it out",
    );
    nothing(&of("name: {matches: ^(.*)ts$}"));
    nothing(&of("seriesFilters: [{isNot: ^hits_}]"));
    let any = "seriesQuery: '{__name__=~\"^hits.*\"}'";
    nothing(&rule(&[
        any,
        OBJECTS,
        QUERY,
        "name: {matches: ^(.*)_total$}",
    ]));
}

#[test]
fn two_labels_for_one_kind_are_told_with_the_one_that_wins() {
    let of = |overrides: &str| {
        let resources = format!("resources: {{overrides: {{{overrides}}}}}");
        rule(&["seriesQuery: 'hits{namespace!=\"\"}'", &resources, QUERY])
    };
    let twice = "kubernetes_namespace: {resource: namespaces}, pod: {resource: pod}, \
                 namespace: {resource: namespace}";
    only(
        &of(twice),
        Severity::Warning,
        Code::OverrideTwice,
        "`namespace` names namespaces, and so does `kubernetes_namespace` (line 3), which comes \
         first: queries ask for `kubernetes_namespace` alone",
    );
    let findings = found(&of(twice));
    assert_eq!(findings[0].field, "rules[0].resources.overrides.namespace");
    // And queries do so.
    let (rules, _) = parse(&of(twice)).unwrap();
    let asked = probe(&rules.custom[0], None).unwrap();
    assert!(asked.contains("{kubernetes_namespace="), "{asked}");
    nothing(&of(
        "namespace: {resource: namespace}, pod: {resource: pod}",
    ));
}

#[test]
fn a_metric_without_a_name_is_told_once() {
    let of = |name| {
        rule(&[
            "seriesQuery: 'hits_total{namespace!=\"\"}'",
            OBJECTS,
            QUERY,
            name,
        ])
    };
    let findings = found(&of("name: {matches: '^hits(x?)', as: '${1}'}"));
    let codes: Vec<Code> = findings.iter().map(|it| it.code).collect();
    assert!(codes.contains(&Code::NameEmpty), "{findings:?}");
    // Reading the file has told why.
    let findings = found(&of("name: {matches: '^(.*)_total$', as: '$1_per_second'}"));
    assert!(
        findings.iter().all(|it| it.code != Code::NameEmpty),
        "{findings:?}"
    );
}

#[test]
fn a_matcher_that_only_finds_names_is_told_where_it_stands() {
    let series = "seriesQuery: 'hits{code=\"200\",zone=~\"a|b\",namespace!=\"\",host!=\"\"}'";
    let of = |matchers| {
        let query = format!(
            "metricsQuery: 'sum(<<.Series>>{{<<.LabelMatchers>>{matchers}}}) by (<<.GroupBy>>)'"
        );
        rule(&[series, OBJECTS, &query])
    };
    let findings = found(&of(""));
    let told: Vec<_> = findings
        .iter()
        .map(|it| (it.code, it.line, it.column))
        .collect();
    let code = Code::MatcherIgnored;
    assert_eq!(told, [(code, 2, 22), (code, 2, 33)], "{findings:#?}");
    assert!(findings[0].message.contains("`code=\"200\"`"));
    only(&of(",code=\"200\""), Severity::Warning, code, "zone");
    // Whoever names the label has thought of it.
    nothing(&of(",code=~\"2..\",zone!=\"\""));
    // A query of another series is another matter.
    nothing(&rule(&[
        series,
        OBJECTS,
        "metricsQuery: 'sum(hits:rate{<<.LabelMatchers>>}) by (<<.GroupBy>>)'",
    ]));
}

#[test]
fn labels_that_name_objects_need_not_be_repeated() {
    let template = "resources: {template: 'kube_<<.Resource>>'}";
    nothing(&rule(&[
        "seriesQuery: 'hits{kube_pod=~\"web.*\"}'",
        template,
        QUERY,
    ]));
    nothing(&rule(&[
        "seriesQuery: 'hits{namespace=\"shop\"}'",
        OBJECTS,
        QUERY,
    ]));
}

#[test]
fn an_aggregation_that_loses_the_object_finds_nothing() {
    let of = |query: &str| {
        let query = format!("metricsQuery: '{query}'");
        rule(&["seriesQuery: hits", OBJECTS, &query])
    };
    let (warning, code) = (Severity::Warning, Code::ObjectLabelDropped);
    let findings = found(&of("sum(<<.Series>>{<<.LabelMatchers>>})"));
    assert!(findings.iter().all(|it| it.code == code), "{findings:#?}");
    assert!(
        findings
            .iter()
            .any(|it| it.severity == warning && it.message.contains("`pod`"))
    );
    let findings = found(&of("sum(<<.Series>>{<<.LabelMatchers>>}) by (job)"));
    assert!(
        findings.iter().any(|it| it.severity == warning),
        "{findings:#?}"
    );
    // Metrics of namespaces are listed, though nobody may want them.
    only(
        &of("sum(<<.Series>>{<<.LabelMatchers>>}) by (pod)"),
        Severity::Note,
        code,
        "asks for namespaces find nothing",
    );
    nothing(&of(
        "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
    ));
    nothing(&of("<<.Series>>{<<.LabelMatchers>>}"));
    nothing(&of("topk(1, <<.Series>>{<<.LabelMatchers>>})"));
    // External metrics are of no objects.
    nothing(&external(&[
        "seriesQuery: lag",
        "metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})'",
    ]));
}

/// Series need not have all labels that a template may lead to: those that the rule asks of them
/// are sure.
#[test]
fn a_label_that_only_a_template_could_mean_may_be_lost() {
    let of = |series: &str, by: &str| {
        let series = format!("seriesQuery: '{series}'");
        let query = format!("metricsQuery: 'sum(<<.Series>>{{<<.LabelMatchers>>}}) {by}'");
        found(&rule(&[
            &series,
            "resources: {template: <<.Resource>>}",
            &query,
        ]))
    };
    let warned = |findings: &[Finding]| {
        assert!(!findings.is_empty());
        let mut codes = findings.iter().map(|it| it.code);
        assert!(codes.all(|code| code == Code::ObjectLabelDropped));
        let warned = findings
            .iter()
            .filter(|it| it.severity == Severity::Warning);
        warned.count()
    };
    let series = "hits{namespace!=\"\",pod!=\"\"}";
    assert_eq!(warned(&of(series, "by (namespace, pod)")), 0);
    assert_eq!(warned(&of(series, "by (namespace)")), 1);
    assert_eq!(warned(&of("hits", "by (namespace, pod)")), 0);
    assert!(warned(&of("hits", "")) > 0);
}

#[test]
fn a_plain_query_must_name_whose_its_rows_are() {
    let of = |query: &str| {
        let query = format!("query: '{query}'");
        rule(&[&query, "name: {as: rps}", OBJECTS])
    };
    nothing(&of("sum by (namespace, pod) (rate(hits_total[1m]))"));
    let findings = found(&of("sum by (pod) (rate(hits_total[1m]))"));
    assert!(
        findings.iter().any(|it| it.code == Code::ObjectLabelDropped
            && it.severity == Severity::Warning
            && it.message.contains("`namespace`")),
        "{findings:#?}"
    );
    assert_eq!(findings[0].field, "rules[0].query");
}

#[test]
fn a_query_without_matchers_is_the_same_whatever_is_asked() {
    let of = |query| rule(&["seriesQuery: hits", OBJECTS, query]);
    let text = of("metricsQuery: 'sum(<<.Series>>) by (<<.GroupBy>>)'");
    only(
        &text,
        Severity::Warning,
        Code::AskIgnored,
        "in another namespace",
    );
    nothing(&of(
        "metricsQuery: 'sum(hits{pod=~\"<<.LabelValuesByName.pod>>\"}) by (<<.GroupBy>>)'",
    ));
    // Objects at the root have no namespace.
    let node = "resources: {overrides: {node: {resource: node}}}";
    let query = "metricsQuery: 'sum(<<.Series>>) by (<<.GroupBy>>)'";
    let text = rule(&["seriesQuery: load", node, query]);
    only(&text, Severity::Note, Code::AskIgnored, "has no effect");
    let lag = external(&["seriesQuery: lag", "metricsQuery: 'sum(lag)'"]);
    only(&lag, Severity::Note, Code::AskIgnored, "in each namespace");
    let everywhere = "resources: {namespaced: false}";
    let text =
        format!("externalRules:\n- seriesQuery: lag\n  {everywhere}\n  metricsQuery: sum(lag)\n");
    nothing(&text);
}

#[test]
fn two_names_are_compared_as_one_by_an_equals_sign() {
    let of = |operator: &str| {
        let query = format!(
            "metricsQuery: 'sum(hits{{pod{operator}\"<<.LabelValuesByName.pod>>\",\
             namespace=\"<<.LabelValuesByName.namespace>>\"}}) by (<<.GroupBy>>)'"
        );
        rule(&[
            "seriesQuery: hits",
            "resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}",
            &query,
        ])
    };
    let findings = found(&of("="));
    let code = Code::NamesAsOne;
    assert!(
        findings
            .iter()
            .any(|it| it.code == code && it.message.contains("two pods")),
        "{findings:#?}"
    );
    let findings = found(&of("=~"));
    assert!(findings.iter().all(|it| it.code != code), "{findings:#?}");
}

#[test]
fn an_ask_that_always_fails_is_told_with_its_cause() {
    let query =
        "metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<index .GroupBySlice 3>>)'";
    let text = rule(&["seriesQuery: hits", OBJECTS, query]);
    let findings = found(&text);
    assert!(
        findings.iter().any(|it| it.code == Code::AskFails),
        "{findings:#?}"
    );
    let query =
        "metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<index .GroupBySlice 0>>)'";
    nothing(&rule(&["seriesQuery: hits", OBJECTS, query]));
}

#[test]
fn text_that_is_promql_for_some_asks_only_is_told() {
    let query = "metricsQuery: '<<if eq .GroupBy \"pod\">>sum(hits{<<.LabelMatchers>>}) by (<<.GroupBy>>)<<else>>sum(<<end>>'";
    let text = rule(&["seriesQuery: hits", OBJECTS, query]);
    only(&text, Severity::Warning, Code::Promql, "namespaces");
    // What is none for any is told by reading the file.
    let text = rule(&[
        "seriesQuery: hits",
        OBJECTS,
        "metricsQuery: 'sum({<<.LabelMatchers>>'",
    ]);
    let (_, known) = parse(&text).unwrap();
    assert!(known.iter().any(|it| it.code == Code::Promql));
    assert!(found(&text).iter().all(|it| it.code != Code::Promql));
}

#[test]
fn a_quantile_of_buckets_without_bounds_finds_nothing() {
    let of = |by: &str| {
        let query = format!(
            "metricsQuery: 'histogram_quantile(0.9, \
             sum(rate(<<.Series>>{{<<.LabelMatchers>>}}[2m])) by ({by}))'"
        );
        rule(&["seriesQuery: latency_bucket", OBJECTS, &query])
    };
    only(
        &of("<<.GroupBy>>"),
        Severity::Warning,
        Code::BucketsDropped,
        "histogram_quantile finds nothing",
    );
    nothing(&of("<<.GroupBy>>, le"));
}

#[test]
fn a_counter_that_is_served_as_it_is_is_a_note() {
    let of = |query: &str| {
        let query = format!("metricsQuery: '{query}'");
        rule(&["seriesQuery: hits_total", OBJECTS, &query])
    };
    let (note, code) = (Severity::Note, Code::CounterWithoutRate);
    only(
        &of("sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"),
        note,
        code,
        "hits_total",
    );
    nothing(&of(
        "sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)",
    ));
    nothing(&of(
        "count(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
    ));
}

#[test]
fn kinds_beyond_kubernetes_are_notes_and_mistyped_ones_warnings() {
    let of = |kind: &str| {
        let resources =
            format!("resources: {{overrides: {{namespace: {{resource: namespace}}, x: {kind}}}}}");
        rule(&["seriesQuery: hits", &resources, QUERY])
    };
    let code = Code::UnknownKind;
    only(
        &of("{group: acme.io, resource: gauge}"),
        Severity::Note,
        code,
        "`gauge.acme.io`",
    );
    only(&of("{resource: pood}"), Severity::Warning, code, "`pood`");
    only(
        &of("{group: apps, resource: deploymet}"),
        Severity::Warning,
        code,
        "by itself",
    );
    nothing(&of("{group: apps, resource: deployment}"));
    nothing(&of("{resource: PODS}"));
}

#[test]
fn names_that_collide_are_told_with_both_lines() {
    let two = |first: &str, second: &str, list: &str| {
        let one = |lines: &str| format!("- {lines}\n  {OBJECTS}\n  {QUERY}\n");
        format!("{list}:\n{}{}", one(first), one(second))
    };
    let (warning, code) = (Severity::Warning, Code::NameCollision);
    let hits = "seriesQuery: 'hits{namespace!=\"\"}'";
    let named = "seriesQuery: requests\n  name: {as: hits}";
    only(
        &two(hits, named, "rules"),
        warning,
        code,
        "rules[1] (line 5) and rules[0] (line 2)",
    );
    only(
        &two(hits, hits, "rules"),
        warning,
        code,
        "`namespaces/hits` and 1 more",
    );
    only(
        &two(hits, hits, "externalRules"),
        warning,
        code,
        "externalRules[1]",
    );
    let help = |text: &str| found(text)[0].help.clone().unwrap();
    assert!(help(&two(hits, named, "rules")).contains("all is well"));
    let fixed = format!(
        "rules:\n- {hits}\n  {OBJECTS}\n  {QUERY}\n- query: sum by (namespace, pod) (a)\n  \
         {OBJECTS}\n  name: {{as: hits}}\n"
    );
    assert!(!help(&fixed).contains("all is well"), "{fixed}");
    let any = "seriesQuery: '{__name__=~\"^hits.*\"}'";
    only(
        &two(any, any, "rules"),
        warning,
        code,
        "both make the same metrics",
    );
    let filtered = format!("{any}\n  seriesFilters: [{{isNot: _total$}}]");
    nothing(&two(any, &filtered, "rules"));
    nothing(&two(hits, "seriesQuery: requests", "rules"));
    // The same name of other kinds is another metric.
    let other = "resources: {overrides: {node: {resource: node}}}";
    let text = two(hits, hits, "rules");
    let at = text.rfind(OBJECTS).unwrap();
    let text = format!("{}{other}{}", &text[..at], &text[at + OBJECTS.len()..]);
    let (_, known) = parse(&text).unwrap();
    assert!(found(&text).iter().all(|it| it.code != code), "{known:?}");
}

#[test]
fn resource_rules_are_tried_as_well() {
    let of = |container: &str, node: &str| {
        let rule = format!(
            "{{containerLabel: container, containerQuery: '{container}', nodeQuery: '{node}', \
             resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}, \
             node: {{resource: node}}}}}}}}"
        );
        format!("resourceRules:\n  cpu: {rule}\n  memory: {rule}\n  window: 1m\n")
    };
    let good = "sum(x{<<.LabelMatchers>>}) by (<<.GroupBy>>)";
    nothing(&of(good, good));
    let code = Code::ObjectLabelDropped;
    let findings = found(&of("sum(x{<<.LabelMatchers>>}) by (pod)", good));
    let fields: Vec<_> = findings
        .iter()
        .map(|it| (it.code, it.field.as_str()))
        .collect();
    let (cpu, memory) = (
        "resourceRules.cpu.containerQuery",
        "resourceRules.memory.containerQuery",
    );
    assert_eq!(fields, [(code, cpu), (code, memory)], "{findings:#?}");
    let findings = found(&of(good, "sum(x{<<.LabelMatchers>>})"));
    assert!(
        findings
            .iter()
            .all(|it| it.field.ends_with("nodeQuery") && it.code == code)
    );
    assert_eq!(findings.len(), 2);
}

#[test]
fn what_is_widened_and_what_forbids_it_are_notes() {
    let widening = |text: &str| {
        let findings = all(text);
        let notes = findings.into_iter().filter(|it| it.code == Code::Widening);
        notes
            .map(|it| (it.severity, it.message))
            .collect::<Vec<_>>()
    };
    let of = |query: &str, more: &str| {
        let query = format!("metricsQuery: '{query}'");
        rule(&["seriesQuery: hits", OBJECTS, &query, more])
    };
    let good = "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)";
    let notes = widening(&of(good, ""));
    assert!(
        notes
            .iter()
            .any(|(severity, text)| *severity == Severity::Note
                && text.contains("pods: one query may stand for objects of all namespaces")),
        "{notes:?}"
    );
    let notes = widening(&of(&good.replace("sum(", "sum(0 * up + "), ""));
    assert!(
        notes
            .iter()
            .any(|(_, text)| text.contains("asked for each ask")
                && text.contains("a selector without .LabelMatchers: up")),
        "{notes:?}"
    );
    let notes = widening(&of(good, "widen: 'off'"));
    assert!(
        notes.iter().any(|(_, text)| text.contains("by `widen`")),
        "{notes:?}"
    );
    let notes = widening(&external(&[
        "seriesQuery: lag",
        "metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})'",
    ]));
    assert_eq!(notes.len(), 1);
}

#[test]
fn rules_are_summed_up() {
    let text = format!(
        "rules:\n- seriesQuery: 'hits_total'\n  {OBJECTS}\n  {QUERY}\n  name: {{matches: ^(.*)_total$, as: '${{1}}_per_second'}}\n\
         - query: sum(up) by (namespace, pod)\n  {OBJECTS}\n  name: {{as: up}}\n\
         externalRules:\n- seriesQuery: '{{__name__=~\"lag.*\"}}'\n  metricsQuery: 'sum(<<.Series>>{{<<.LabelMatchers>>}})'\n  resources: {{namespaced: false}}\n"
    );
    let (rules, _) = parse(&text).unwrap();
    let summaries = summaries(&rules);
    let one = |it: &Summary| {
        (
            it.rule.to_string(),
            it.line,
            it.makes.clone(),
            it.asked_for.clone(),
        )
    };
    let told: Vec<_> = summaries.iter().map(one).collect();
    let row = |rule: &str, line, makes: &str, of: &str| {
        (rule.to_owned(), line, makes.to_owned(), of.to_owned())
    };
    assert_eq!(
        told,
        [
            row("rules[0]", 2, "hits_per_second", "all namespaces"),
            row("rules[1]", 6, "up", "all asks"),
            row("externalRules[0]", 10, "$0", "each ask"),
        ]
    );
    assert_eq!(summaries[0].kinds, ["namespaces", "pods"]);
}

#[test]
fn secrets_beside_a_rule_are_in_no_frame() {
    let text = "{backends: {a: {url: 'http://u:PASSWORD@h'}}, rules: [{seriesQuery: hits, backend: a, \
                resources: {overrides: {namespace: {resource: namespace}}}, metricsQuery: 'sum(hits)'}]}\n";
    let findings = found(text);
    assert!(!findings.is_empty());
    let frames = crate::rules::render_findings(&findings, text, "a.yaml", false);
    assert!(
        frames.contains("metricsQuery") && !frames.contains("PASSWORD"),
        "{frames}"
    );
}

#[test]
fn a_server_hears_of_warnings_alone() {
    let hits = format!("- seriesQuery: hits_total\n  {OBJECTS}\n  {QUERY}\n");
    let text = format!("rules:\n{hits}{hits}");
    let warned = |text: &str| {
        let (rules, known) = parse(text).unwrap();
        warnings(&rules, &[File { name: None, text }], &[known]).concat()
    };
    assert_eq!(warned(&text), []);
    let mistyped = text.replace("resource: pod}", "resource: pood}");
    assert_eq!(warned(&mistyped), []);
    let lost = text.replace("by (<<.GroupBy>>)", "by (job)");
    let found = warned(&lost);
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|it| it.code == Code::ObjectLabelDropped && it.severity == Severity::Warning),
        "{found:#?}"
    );
}

/// Rules of several files are one set: each finding is with the file that it is about.
#[test]
fn findings_about_several_files_are_each_with_its_file() {
    let hits = format!("rules:\n- seriesQuery: hits\n  {OBJECTS}\n  {QUERY}\n");
    let secret = "backends: {a: {url: 'http://u:PASSWORD@h'}}\n";
    let lost = hits.replace("by (<<.GroupBy>>)", "by (job)") + "  backend: a\n";
    let texts = [
        format!("# {}\n{secret}", "-".repeat(40)),
        hits.clone(),
        lost,
    ];
    let names = ["backends.yaml", "a.yaml", "b.yaml"];
    let files: Vec<File<'_>> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| File {
            name: Some(name),
            text,
        })
        .collect();
    let (rules, known) = parse_files(&files).unwrap();
    let found = lint(&Arc::new(rules), &files, &known);
    let codes = |findings: &[Finding]| {
        let told = findings
            .iter()
            .filter(|it| it.severity == Severity::Warning);
        told.map(|it| (it.code, it.field.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&found[0]), []);
    assert_eq!(codes(&found[1]), []);
    let (code, name) = (Code::NameCollision, "rules[0].name".to_owned());
    assert!(codes(&found[2]).contains(&(code, name)), "{found:#?}");
    let (code, query) = (Code::ObjectLabelDropped, "rules[0].metricsQuery".to_owned());
    assert!(codes(&found[2]).contains(&(code, query)), "{found:#?}");
    let collision = found[2].iter().find(|it| it.code == Code::NameCollision);
    let message = &collision.unwrap().message;
    assert!(
        message.contains("b.yaml:rules[0] (line 2) and a.yaml:rules[0] (line 2)"),
        "{message}"
    );
    // The secret is in the first file, and the others have nothing to hide.
    let frame = crate::rules::render_findings(&found[2], &texts[2], "b.yaml", false);
    assert!(!frame.contains('*'), "{frame}");
}

fn yaml(folder: &str) -> Vec<PathBuf> {
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|it| it == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The files of rules that people are given, and all warnings about them.
#[test]
fn our_own_rules_are_well() {
    let mut checked = 0;
    for path in yaml("manifests") {
        let text = std::fs::read_to_string(&path).unwrap();
        let begins =
            |line: &str| ["rules:", "externalRules:", "resourceRules:"].contains(&line.trim_end());
        if !text.lines().any(begins)
            || text.contains("\napiVersion:")
            || text.starts_with("apiVersion:")
        {
            continue;
        }
        let (rules, known) = parse(&text).unwrap_or_else(|it| panic!("{}: {it:?}", path.display()));
        let findings = lint_one(&Arc::new(rules), &text, known.clone());
        let wrong: Vec<_> = known
            .iter()
            .chain(&findings)
            .filter(|it| it.severity != Severity::Note)
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
        checked += 1;
    }
    assert!(checked >= 4, "{checked}");
}

/// What loads has no error, and what is warned of is written down.
#[test]
fn files_that_load_have_no_errors() {
    let mut told = Vec::new();
    for path in yaml("tests/data/rules/good") {
        let text = std::fs::read_to_string(&path).unwrap();
        let (rules, known) = parse(&text).unwrap();
        for finding in lint_one(&Arc::new(rules), &text, known) {
            assert_ne!(finding.severity, Severity::Error);
            if finding.severity == Severity::Warning {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                told.push(format!("{name}:{}: {}", finding.line, finding.code));
            }
        }
    }
    let expected: &[&str] = &EXPECTED;
    assert_eq!(told, expected, "{told:#?}");
}

/// The warnings about `tests/data/rules/good` beyond those of reading the files.
const EXPECTED: [&str; 10] = [
    "backends:35: name-collision",
    "cannot-succeed:17: name-unmatched",
    "cannot-succeed:21: name-unmatched",
    "cannot-succeed:29: name-collision",
    "widen:2: ask-ignored",
    "widen:3: ask-ignored",
    "widen:4: ask-ignored",
    "widen:5: ask-ignored",
    "yaml-1-1:5: ask-ignored",
    "yaml-1-1:5: object-label-dropped",
];

proptest! {
    #[test]
    fn no_rules_make_it_panic(
        series in "[a-z{}=\"_~.*!,]{0,20}",
        query in "(sum|rate|by|[(]|[)]|<<\\.Series>>|<<\\.LabelMatchers>>|<<\\.GroupBy>>|<<\\.LabelValuesByName\\.pod>>|[{}\\[\\] a-z0-9*+|\"=~]){0,8}",
        name in "[a-z$1{}^()*.]{0,8}",
    ) {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let text = format!(
            "rules:\n- seriesQuery: {}\n  metricsQuery: {}\n  name: {{as: {}}}\n  {OBJECTS}\n",
            quoted(&series), quoted(&query), quoted(&name),
        );
        if let Ok((rules, known)) = parse(&text) {
            let rules = Arc::new(rules);
            for finding in lint_one(&rules, &text, known) {
                prop_assert!(finding.severity != Severity::Error, "{:?}", finding);
                prop_assert!(text.get(finding.span.clone()).is_some());
            }
            summaries(&rules);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}|[-a-z: \n'{}<>.]{0,200}") {
        if let Ok((rules, known)) = parse(&text) {
            lint_one(&Arc::new(rules), &text, known);
        }
    }
}
