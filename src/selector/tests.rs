//! Grammar, texts and meaning.

use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    Selector::parse(text).expect_err(text).to_string()
}

#[test]
fn every_form_is_read_and_written_back_sorted() {
    for (text, canonical) in [
        ("", ""),
        ("  ", ""),
        ("x", "x"),
        ("!x", "!x"),
        ("! x", "!x"),
        ("x=a", "x=a"),
        ("x==a", "x==a"),
        ("x = a , y!=b", "x=a,y!=b"),
        ("x=", "x="),
        ("x=,y=z", "x=,y=z"),
        ("z in (b,a,b),a notin(c)", "a notin (c),z in (a,b)"),
        ("x in ()", "x in ()"),
        ("x in (,)", "x in ()"),
        ("x in (a,)", "x in (,a)"),
        ("x in (,a)", "x in (,a)"),
        ("x in (a,,b)", "x in (,a,b)"),
        ("x>5,x<7", "x>5,x<7"),
        ("in", "in"),
        ("in in (in,notin)", "in in (in,notin)"),
        ("notin=in", "notin=in"),
        ("a.io/b-c_d=e.f", "a.io/b-c_d=e.f"),
        ("b,a=2,a=1", "a=2,a=1,b"),
    ] {
        assert_eq!(
            Selector::parse(text).unwrap().to_string(),
            canonical,
            "{text:?}"
        );
    }
}

/// The first five are recorded from the Go adapter; the others are read from the source.
#[test]
fn mistakes_are_told_in_apimachinerys_words() {
    assert_eq!(
        error("app===web"),
        "unable to parse requirement: found '=', expected: identifier"
    );
    assert_eq!(
        error("(("),
        "found '(', expected: !, identifier, or 'end of string'"
    );
    assert_eq!(
        error("app='bad value'"),
        "unable to parse requirement: values[0][app]: Invalid value: \"'bad\": a valid label must be \
         an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and \
         end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
         for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    );
    assert_eq!(
        error("bad\"label=1"),
        "unable to parse requirement: <nil>: Invalid value: \"bad\\\"label\": name part must consist \
         of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
         character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    );
    assert_eq!(
        error("a>b"),
        "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, \
         the value must be an integer"
    );
    for (text, told) in [
        (
            "a b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            "a in b",
            "unable to parse requirement: found 'b' expected: '('",
        ),
        (
            "a in (b",
            "unable to parse requirement: found '', expected: ',' or ')'",
        ),
        (
            "a in (=)",
            "unable to parse requirement: found '=', expected: ',', ')' or identifier",
        ),
        (
            "a in (b,=)",
            "unable to parse requirement: found '=', expected: ',', or identifier",
        ),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        (
            "!",
            "unable to parse requirement: found '', expected: identifier",
        ),
    ] {
        assert_eq!(error(text), told);
    }
    assert!(error("a/b/c=d").contains("a qualified name must consist of"));
    assert!(error("/b=d").contains("prefix part must be non-empty"));
    assert!(error("A.b/c=d").contains("prefix part a lowercase RFC 1123 subdomain"));
    assert!(error(&"x".repeat(64)).contains("name part must be no more than 63 characters"));
    assert!(error("a in ('b','c')").starts_with("unable to parse requirement: [values[0][a]: "));
}

#[test]
fn absence_satisfies_the_denying_operators_only() {
    let labels = BTreeMap::from([("n".to_owned(), "5".to_owned())]);
    for (text, holds) in [
        ("", true),
        ("n=5", true),
        ("n!=5", false),
        ("n>4,n<6", true),
        ("n>5", false),
        ("m=", false),
        ("m!=5", true),
        ("m notin (5)", true),
        ("m in (5)", false),
        ("!m", true),
        ("m>1", false),
        ("n,!n", false),
    ] {
        assert_eq!(
            Selector::parse(text).unwrap().matches(&labels),
            holds,
            "{text:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*|[ -~]*|[a-c=!(),<> ]*") {
        let _ = Selector::parse(&text);
    }

    #[test]
    fn the_canonical_text_means_the_same(text in "(!?[ab](( in | notin )\\((,?[0-9]){0,3}\\)|(=|==|!=|>|<)[0-9])?,){0,4}c") {
        if let Ok(selector) = Selector::parse(&text) {
            prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }
    }
}
