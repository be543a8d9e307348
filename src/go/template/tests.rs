//! 107 recorded templates, bounds and properties.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// What Go 1.26 made of a template: its output, or its error at either stage.
#[derive(Deserialize)]
struct Recorded {
    ok: Option<String>,
    perr: Option<String>,
    xerr: Option<String>,
}

fn cases() -> Vec<(String, Recorded)> {
    let texts = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/go/gotemplate.cases.json"
    ));
    let go = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/go/gotemplate.go126.json"
    ));
    let texts: Vec<String> = serde_json::from_str(texts).unwrap();
    let recorded: Vec<Recorded> = serde_json::from_str(go).unwrap();
    assert_eq!((texts.len(), recorded.len()), (107, 107));
    texts.into_iter().zip(recorded).collect()
}

fn data() -> Data {
    Data {
        series: "http_requests_total".to_owned(),
        label_matchers: r#"namespace="default",pod=~"a|b""#.to_owned(),
        label_values_by_name: BTreeMap::from([
            ("namespace".to_owned(), "default".to_owned()),
            ("pod".to_owned(), "a|b".to_owned()),
        ]),
        group_by: "pod,container".to_owned(),
        group_by_slice: ["pod", "container", "namespace"]
            .map(str::to_owned)
            .to_vec(),
    }
}

pub(super) fn parse(text: &str) -> Template {
    Template::parse("metrics-query", text).expect(text)
}

pub(super) fn parse_error(text: &str) -> String {
    let error = Template::parse("metrics-query", text)
        .expect_err(text)
        .to_string();
    error
        .strip_prefix("template: metrics-query:")
        .expect("a template's error")
        .to_owned()
}

pub(super) fn rendered(text: &str) -> String {
    parse(text).render(&data()).expect(text)
}

fn render_error(text: &str) -> String {
    parse(text).render(&data()).expect_err(text).to_string()
}

#[test]
fn every_recorded_template_renders_or_fails_as_in_go() {
    for (text, go) in cases() {
        let parsed = Template::parse("metrics-query", &text);
        match (&parsed, &go.perr) {
            (Ok(_), None) => {}
            (parsed, expected) => {
                let error = parsed.as_ref().err().map(ToString::to_string);
                assert_eq!(&error, expected, "{text}");
                continue;
            }
        }
        match parsed.unwrap().render(&data()) {
            Ok(output) => assert_eq!(Some(output), go.ok, "{text}"),
            Err(Error::Render { text: error }) => {
                assert!(go.xerr.is_some(), "{text} fails here only: {error}");
            }
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn unknown_fields_are_reported_as_by_go_and_known_without_rendering() {
    let mut count = 0;
    for (text, go) in cases() {
        let Some(expected) = go.xerr.filter(|e| e.contains("can't evaluate field")) else {
            continue;
        };
        // The recording was made with another name for the struct.
        let expected = expected.replace("main.A", "naming.queryTemplateArgs");
        let template = parse(&text);
        let first = template.lint().first().map(|lint| lint.text.clone());
        assert_eq!(first.as_ref(), Some(&expected), "{text}");
        if text.starts_with("<<") {
            assert_eq!(template.render(&data()).unwrap_err().to_string(), expected);
        }
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn a_template_that_renders_has_no_lint() {
    for (text, go) in cases() {
        if go.ok.is_some() {
            assert_eq!(parse(&text).lint(), &[], "{text}");
        }
    }
}

#[test]
fn execution_follows_go_beyond_the_recorded_cases() {
    for (text, output) in [
        (
            "<<define \"m\">>[<<.Series>>]<<end>><<template \"m\">>",
            "[<no value>]",
        ),
        (
            "<<define \"m\">><<$.Series>><<end>><<with .GroupBy>><<template \"m\" $>><<end>>",
            "http_requests_total",
        ),
        ("<<.LabelValuesByName.a.b>>", "<no value>"),
        (
            "<<with $m := .LabelValuesByName>><<$m.pod>><<$.Series>><<end>>",
            "a|bhttp_requests_total",
        ),
        ("<<(index .LabelValuesByName \"pod\")>>", "a|b"),
        ("<<index .Series>>", "http_requests_total"),
        ("<<if .>>Y<<end>>", "Y"),
        (
            "<<0b11>> <<0o17>> <<017>> <<1_000>> <<0x_ff>> <<'\\n'>> <<'\\''>>",
            "3 15 15 1000 255 10 39",
        ),
        (
            "<<\"\\x41\\101\\u00e9\\U0001F600\\xc3\\xa9\\\"\">>",
            "AAé😀é\"",
        ),
        (
            "<<range $i, $_ := .GroupBySlice>><<$i>><<else>>none<<end>>",
            "012",
        ),
        (
            "<<if false>>a<<else if false>>b<<else if true>>c<<else>>d<<end>>e",
            "ce",
        ),
    ] {
        assert_eq!(rendered(text), output, "{text}");
    }
    for (text, cause) in [
        ("<<range .>><<end>>", "range can't iterate over"),
        ("<<len .>>", "len"),
        ("<<index . \"Series\">>", "error calling index"),
        (
            "<<index .LabelValuesByName 1>>",
            "value has type int; should be string",
        ),
        ("<<call . \"Series\">>", "error calling call"),
        ("<<.Series \"x\">>", "can't give argument to non-function"),
        ("<<template \"nope\">>", "template \"nope\" not defined"),
        (
            "<<$x := .>><<$x = .Series>><<$x.Foo>>",
            "can't evaluate field Foo in type string",
        ),
    ] {
        let error = render_error(text);
        assert!(error.starts_with("template: metrics-query:"), "{error}");
        assert!(error.contains(cause), "{error}");
    }
}

#[test]
fn rendering_ends_whatever_the_template_says() {
    let doubling: String = (1..60)
        .map(|i| {
            format!(
                "<<define \"t{i}\">><<template \"t{0}\">><<template \"t{0}\">><<end>>",
                i - 1
            )
        })
        .collect();
    for (text, cause) in [
        (
            "<<define \"m\">><<template \"m\" .>><<end>><<template \"m\" .>>",
            "maximum template depth",
        ),
        (
            "<<range 1000000000000>><<end>>",
            "more than 100000 loop passes",
        ),
        (
            "<<range 1000>><<range 1000>><<end>><<end>>",
            "more than 100000 loop passes",
        ),
        (
            "<<$s := \"ab\">><<range 64>><<$s = print $s $s>><<end>>",
            "a text of more than",
        ),
        (
            "<<range 90000>><<printf \"%060000d\" 1>><<end>>",
            "bytes of output",
        ),
        (
            &format!("<<define \"t0\">><<end>>{doubling}<<template \"t59\">>"),
            "more than 100000",
        ),
    ] {
        let error = render_error(text);
        assert!(error.contains(cause), "{error}");
    }
}

#[test]
fn deep_nesting_is_rendered_or_refused_within_the_stack_of_a_thread() {
    for (open, inner, close) in [
        ("<<if .Series>>", "a", "<<end>>"),
        ("<<if .Nope>><<else>>", "a", "<<end>>"),
        ("<<range 1>>", "a", "<<end>>"),
        ("", "<<template \"metrics-query\" .>>", ""),
    ] {
        let nested = |n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
        let _ = parse(&nested(50)).render(&data());
        if !open.is_empty() {
            assert_eq!(parse_error(&nested(51)), "1: nested more than 50 deep");
            assert_eq!(parse_error(&nested(100_000)), "1: nested more than 50 deep");
        }
    }
    let parens = |n: usize| format!("<<{}.Series{}>>", "(".repeat(n), ")".repeat(n));
    assert_eq!(rendered(&parens(50)), "http_requests_total");
    assert_eq!(parse_error(&parens(51)), "1: nested more than 50 deep");
    let chain = |n: usize| format!("<<if 0>>{}<<end>>", "<<else if 0>>".repeat(n));
    assert_eq!(rendered(&chain(48)), "");
    assert_eq!(parse_error(&chain(10_000)), "1: nested more than 50 deep");
    // Calls within calls, each with parentheses of its own to evaluate.
    let inside = format!(
        "{}<<template \"m\" {}.{}>>{}",
        "<<if 1>>".repeat(40),
        "(".repeat(9),
        ")".repeat(9),
        "<<end>>".repeat(40)
    );
    let recursive = format!("<<define \"m\">>{inside}<<end>><<template \"m\" .>>");
    assert!(render_error(&recursive).contains("maximum template depth"));
}

#[test]
fn plain_templates_are_joined_and_others_executed() {
    let is_plain = |text: &str| matches!(parse(text).0.body, Body::Segments(_));
    assert!(is_plain(
        "sum(<<.Series>>{<<- .LabelMatchers ->> }) by (<<.GroupBy>>)<</* c */>>"
    ));
    for text in [
        "<<.GroupBySlice>>",
        "<<.Foo>>",
        "<<.Series | print>>",
        "<<$x := .Series>>",
    ] {
        assert!(!is_plain(text), "{text}");
    }
}

#[test]
fn label_templates_have_group_and_resource() {
    let template = LabelTemplate::parse("kube_<<.Group>>_<<.Resource>>").unwrap();
    assert_eq!(
        template.render("apps", "deployment").unwrap(),
        "kube_apps_deployment"
    );
    assert!(template.reads("Group") && template.lint().is_empty());
    let conditional = "<<if .Group>><<.Group>>_<<end>><<.Resource>>";
    let template = LabelTemplate::parse(conditional).unwrap();
    assert_eq!(template.render("", "pod").unwrap(), "pod");
    let text = "template: resource-label:1:7: executing \"resource-label\" at <.Foo>: \
                can't evaluate field Foo in type schema.GroupResource";
    let template = LabelTemplate::parse("kube_<<.Foo>>").unwrap();
    assert_eq!(template.render("", "pod").unwrap_err().to_string(), text);
    assert_eq!(template.lint()[0].text, text);
    let error = LabelTemplate::parse("<<.Resource").unwrap_err();
    assert_eq!(
        error.to_string(),
        "template: resource-label:1: unclosed action"
    );
}

/// Templates in which most pieces are valid.
fn template() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<<.Series>>",
        "<<.LabelMatchers>>",
        "<<.GroupBy>>",
        "<<end>>",
        "<<else>>",
        "<<if .Series>>",
        "<<if not .GroupBy>>",
        "<<else if .>>",
        "<<range .GroupBySlice>>",
        "<<with .GroupBy>>",
        "<<range $k, $v := .LabelValuesByName>>",
        "<<$v>>",
        "<<break>>",
        "<<define \"m\">>",
        "<<template \"m\" .>>",
        "<<block \"b\" $>>",
        "<<- /* c */>>",
        "<<.>>",
        "<<.Foo>>",
        "<<(.X).Y>>",
        "<<$x := .>>",
        "<<$x = 1>>",
        "<<$x.Series>>",
        "<<print . 1 'a' | len>>",
        " a ",
        "<<",
        ">>",
        "\n",
        "<<index .LabelValuesByName \"pod\" ->>",
        "<<1.5e3>>",
        "<<\"\\u00e9\">>",
        "<<slice .Series 1>>",
    ]);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat()),
        1 => "(<<)?[-a-z.$|(): \"'`0-9_/*=,]{0,12}(>>)?",
        1 => "\\PC{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn reading_and_rendering_never_panic_and_errors_point_into_the_text(text in template()) {
        match Template::parse("metrics-query", &text) {
            Ok(template) => {
                let _ = template.render(&data());
                let inside = |lint: &Lint| text.is_char_boundary(lint.position.offset);
                prop_assert!(template.lint().iter().all(inside));
            }
            Err(error) => prop_assert!(text.is_char_boundary(error.offset().unwrap())),
        }
    }

    #[test]
    fn segments_and_the_executor_render_alike(
        pieces in prop::collection::vec("<<(- )?[.](Series|GroupBy|LabelMatchers)( -)?>>|[ a{}\n]{0,4}", 0..8),
    ) {
        let text = pieces.concat();
        let executed = format!("<<$unused := 1>>{text}");
        prop_assume!(!text.starts_with("<<- "));
        prop_assert!(matches!(parse(&text).0.body, Body::Segments(_)));
        prop_assert_eq!(rendered(&text), rendered(&executed));
    }

    #[test]
    fn a_field_that_is_not_reported_as_read_does_not_change_the_output(
        text in template(),
        other in "[a-c]{0,3}",
    ) {
        if let Ok(template) = Template::parse("metrics-query", &text) {
            let mut changed = data();
            if !template.reads("Series") {
                changed.series = other.clone();
            }
            if !template.reads("GroupBy") {
                changed.group_by = other.clone();
            }
            if !template.reads("LabelValuesByName") {
                changed.label_values_by_name.insert("pod".to_owned(), other);
            }
            prop_assert_eq!(template.render(&changed), template.render(&data()));
        }
    }

    #[test]
    fn text_without_delimiters_renders_as_itself(text in "[^<]{0,30}") {
        prop_assert_eq!(rendered(&text), text);
    }
}
