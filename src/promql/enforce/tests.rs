//! Where the matchers go, and what is refused. What the result means to Prometheus is asked of it
//! in `tests/it/enforced.rs`.

use proptest::prelude::*;

use super::*;

fn enforcer(matchers: &[(&str, &str)]) -> Enforcer {
    let owned = |(label, value): &(&str, &str)| (label.to_string(), value.to_string());
    Enforcer::new(matchers.iter().map(owned).collect())
}

fn of_a(query: &str) -> Result<String, NotEnforced> {
    enforcer(&[("team", "a")]).apply(query)
}

#[test]
fn each_selector_gets_the_matchers_and_the_rest_stays_as_it_is() {
    for (query, expected) in [
        ("up", r#"up{team="a"}"#),
        ("up{}", r#"up{team="a"}"#),
        ("up { }", r#"up { team="a"}"#),
        (r#"{job="x"}"#, r#"{job="x",team="a"}"#),
        (r#"up{job="x",}"#, r#"up{job="x",team="a"}"#),
        (r#"up{job="x" , }"#, r#"up{job="x" , team="a"}"#),
        (r#"{"my.metric"}"#, r#"{"my.metric",team="a"}"#),
        (r#"up{"a.b"!~"x}\"{"}"#, r#"up{"a.b"!~"x}\"{",team="a"}"#),
        (r#"up{job='}'}"#, r#"up{job='}',team="a"}"#),
        ("up[5m]", r#"up{team="a"}[5m]"#),
        (
            "rate(a:b[5m] offset -1h)",
            r#"rate(a:b{team="a"}[5m] offset -1h)"#,
        ),
        (
            "sum by (x) (x) / on (x) group_left (y) y @ start()",
            r#"sum by (x) (x{team="a"}) / on (x) group_left (y) y{team="a"} @ start()"#,
        ),
        (
            "sum(x) without (x)\n or # sum(x) {\n\tavg(max_over_time(rate(y[1m])[1h:5m] @ end()))",
            "sum(x{team=\"a\"}) without (x)\n or  \n\t\
             avg(max_over_time(rate(y{team=\"a\"}[1m])[1h:5m] @ end()))",
        ),
        (r#"{or="1"}"#, r#"{or="1",team="a"}"#),
        ("sum", r#"sum{team="a"}"#),
        ("sum(sum)", r#"sum(sum{team="a"})"#),
        ("rate(rate[5m])", r#"rate(rate{team="a"}[5m])"#),
        ("by + on (by) by", r#"by{team="a"} + on (by) by{team="a"}"#),
        (
            "topk(scalar(k), x)",
            r#"topk(scalar(k{team="a"}), x{team="a"})"#,
        ),
        ("-x ^ 2", r#"-x{team="a"} ^ 2"#),
        ("x == bool 1e-5", r#"x{team="a"} == bool 1e-5"#),
        (
            r#"label_replace(x, "b", "$1", "c", "(.*)")"#,
            r#"label_replace(x{team="a"}, "b", "$1", "c", "(.*)")"#,
        ),
        (r"x{a=~`b\d'`}", r#"x{a=~"b\\d'",team="a"}"#),
        (
            r#"x{a=`\`} or y{b=`}`}"#,
            r#"x{a="\\",team="a"} or y{b="}",team="a"}"#,
        ),
        ("vector(1) + time()", "vector(1) + time()"),
        (r#""text""#, r#""text""#),
    ] {
        assert_eq!(of_a(query).as_deref(), Ok(expected), "{query}");
    }
}

#[test]
fn several_matchers_and_any_value_can_be_enforced() {
    let enforcer = enforcer(&[("team", "a\"b\\c\n}"), ("cluster", "é")]);
    assert_eq!(
        enforcer.apply(r#"x{cluster="é"}"#).unwrap(),
        r#"x{cluster="é",team="a\"b\\c\n}",cluster="é"}"#
    );
    assert_eq!(
        enforcer.apply("x").unwrap(),
        r#"x{team="a\"b\\c\n}",cluster="é"}"#
    );
}

#[test]
fn an_equal_matcher_stays_alone_and_one_that_lets_the_value_through_stays_beside() {
    for (query, expected) in [
        (r#"x{team="a"}"#, r#"x{team="a"}"#),
        (r#"x{team="a",team!="b"}"#, r#"x{team="a",team!="b"}"#),
        (r#"x{team=~"a|b"}"#, r#"x{team=~"a|b",team="a"}"#),
        (r#"x{team!="b"}"#, r#"x{team!="b",team="a"}"#),
        (r#"x{team!~"b.*"}"#, r#"x{team!~"b.*",team="a"}"#),
    ] {
        assert_eq!(of_a(query).as_deref(), Ok(expected));
    }
}

#[test]
fn a_contradiction_is_refused_and_not_made_empty() {
    for matcher in [
        r#"team="b""#,
        r#"team="""#,
        r#"team!="a""#,
        r#"team=~"b|c""#,
        r#"team!~"a|c""#,
    ] {
        for query in [
            format!("x{{{matcher}}}"),
            format!("x or sum(rate(y{{z=\"1\",{matcher}}}[5m]))"),
        ] {
            let refused = of_a(&query);
            let Err(NotEnforced::Contradiction { asked, enforced }) = refused else {
                panic!("{query}: {refused:?}");
            };
            assert_eq!(
                (asked.as_str(), enforced.as_str()),
                (matcher, r#"team="a""#)
            );
        }
    }
}

#[test]
fn a_string_that_prometheus_reads_as_something_else_is_no_matcher_of_its_own() {
    // To Go the bytes of `é`, to this parser two characters.
    let enforcer = enforcer(&[("team", "\u{c3}\u{a9}")]);
    for escaped in [r"\xc3\xa9", r"\303\251"] {
        match enforcer.apply(&format!("x{{team=\"{escaped}\"}}")) {
            Ok(held) => assert!(held.ends_with(",team=\"\u{c3}\u{a9}\"}"), "{held}"),
            Err(error) => assert!(matches!(error, NotEnforced::Contradiction { .. })),
        }
    }
}

#[test]
fn alternatives_in_braces_are_refused() {
    for query in [
        r#"{a="1" or b="2"}"#,
        r#"x + y{team="a" or team="a",c="2"}"#,
        r#"rate(x{a="1" or team="b"}[5m])"#,
    ] {
        assert_eq!(
            of_a(query).unwrap_err().to_string(),
            "cannot put {team=\"a\"} into matchers that are joined by `or`: write one selector \
             for each, as `x{a=\"1\"} or x{b=\"2\"}`"
        );
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for query in [
        "",
        "x{",
        "x{a=\"b}",
        "x + ",
        "{}",
        "x y",
        "WITH (y = x) y",
        "foo.bar",
        "foo\\-bar",
        "x{a=~\"(?<\"}",
        "unheard_of(x)",
        "x{a=`b}",
        "info(x)",
        "x + info(x, {a=\"b\"})",
        "and and and",
    ] {
        assert!(of_a(query).is_err(), "{query}: {:?}", of_a(query));
    }
}

#[test]
fn without_matchers_a_query_stays_as_it_is() {
    let query = "anything {{{ at all";
    assert_eq!(Enforcer::default().apply(query).as_deref(), Ok(query));
}

/// Each selector of the query says so.
fn held(expr: &Expr) -> bool {
    let has = |matchers: &[Matcher]| {
        let mut own = matchers.iter().filter(|it| it.name == "team");
        own.any(|it| it.op == MatchOp::Equal && it.value == "a")
    };
    let selected = |selector: &VectorSelector| {
        let Matchers {
            matchers,
            or_matchers,
        } = &selector.matchers;
        match or_matchers.is_empty() {
            true => has(matchers),
            false => or_matchers.iter().all(|it| has(it)),
        }
    };
    match expr {
        Expr::VectorSelector(selector) => selected(selector),
        Expr::MatrixSelector(matrix) => selected(&matrix.vs),
        Expr::Paren(paren) => held(&paren.expr),
        Expr::Unary(unary) => held(&unary.expr),
        Expr::Subquery(subquery) => held(&subquery.expr),
        Expr::Binary(binary) => held(&binary.lhs) && held(&binary.rhs),
        Expr::Aggregate(it) => held(&it.expr) && it.param.as_deref().is_none_or(held),
        Expr::Call(call) => call.args.args.iter().all(|it| held(it)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => true,
        Expr::Extension(_) => false,
    }
}

/// Pieces of queries, well and badly put together.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "x",
        "y",
        "by",
        "or",
        "and",
        "sum",
        "rate",
        "on",
        "offset",
        "start",
        "end",
        "bool",
        "team",
        "{",
        "}",
        "(",
        ")",
        "[5m]",
        "[1h:1m]",
        "5m",
        "1",
        "1e-5",
        ",",
        "=",
        "!=",
        "=~",
        "!~",
        "+",
        "-",
        "==",
        "@",
        "\"a\"",
        "\"b\"",
        "'",
        "\"",
        "`",
        "\\",
        "#",
        "\n",
        "\r",
        " ",
        ":",
        ".",
        "team=\"a\"",
        "team=\"b\"",
        "a=\"1\"",
        "x{",
        "sum(",
        "rate(",
        " by (x)",
        " or ",
        "é",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn whatever_is_sent_is_held(query in pieces()) {
        if let Ok(enforced) = of_a(&query) {
            let tree = syntax(&enforced).unwrap();
            prop_assert!(held(&tree), "{enforced}");
            // What is held stays as it is.
            prop_assert_eq!(of_a(&enforced), Ok(enforced));
        }
    }

    #[test]
    fn any_text_is_read_without_panic(query in "\\PC*") {
        let _ = of_a(&query);
    }
}
