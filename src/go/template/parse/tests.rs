//! Texts of parse errors.

use super::super::tests::{parse_error, rendered};
use super::super::{Error, Position, Template};

#[test]
fn syntax_errors_are_gos_and_say_where() {
    // The rows of errorTests and parseTests in Go's text/template/parse/parse_test.go that have
    // an equal here, then some of our own.
    for (text, error) in [
        ("a\n<<.Series", "2: unclosed action"),
        ("<<\n.Series\n", "3: unclosed action started at line 1"),
        (
            "<<if .X>>a<<else>>b<<else>>c<<end>>",
            "1: expected end; found {{else}}",
        ),
        ("<<range .X>>a<<end>>\n<<end>>", "2: unexpected {{end}}"),
        ("<<range .X>>a", "1: unexpected EOF"),
        (
            "<<.X | 3>>",
            "1: non executable command in pipeline stage 2",
        ),
        (
            "<<range $x, $y, $z := .>><<end>>",
            "1: too many declarations in range",
        ),
        (
            "<<range $k, .>><<end>>",
            "1: range can only initialize variables",
        ),
        (
            "<<with $x, $y := .X>><<end>>",
            "1: too many declarations in with",
        ),
        ("<<with $x>><<end>>", "1: undefined variable \"$x\""),
        (
            "<<if .X>><<$v := 1>><<end>><<$v>>",
            "1: undefined variable \"$v\"",
        ),
        ("<<template .X>>", "1: unexpected \".X\" in template clause"),
        ("<<template \"v\" 3 4 |>>", ""),
        ("<<(.X>>", "1: unclosed left paren"),
        ("<<.X)>>", "1: unexpected right paren"),
        ("<<( ) >>", "1: missing value for parenthesized pipeline"),
        ("<<true.any>>", "1: unexpected . after term \"true\""),
        ("<<\"a\nb\">>", "1: unterminated quoted string"),
        ("<<`a>>", "1: unterminated raw quoted string"),
        ("<<'a>>", "1: unterminated character constant"),
        ("<<\"\\q\">>", "1: invalid syntax"),
        ("<</* a>>", "1: unclosed comment"),
        ("<</* a */ b>>", "1: comment ends before closing delimiter"),
        ("<<1_>>", "1: illegal number syntax: \"1_\""),
        (
            "<<99999999999999999999>>",
            "1: integer overflow: \"99999999999999999999\"",
        ),
        ("<<continue>>", "1: {{continue}} outside {{range}}"),
        (
            "<<range .X>><<else>><<break>><<end>>",
            "1: {{break}} outside {{range}}",
        ),
        (
            "<<range .X>><<block \"b\" .>><<break>><<end>><<end>>",
            "1: {{break}} outside {{range}}",
        ),
        (
            "<<if .X>><<define \"m\">><<end>><<end>>",
            "1: unexpected <define> in command",
        ),
        (
            "<<define \"m\">>a<<end>><<define \"m\">>b<<end>>",
            "1: multiple definition of template \"m\"",
        ),
        (
            "<<define \"m\">>a<<else>>b<<end>>",
            "1: unexpected {{else}} in define clause",
        ),
        ("<<.X\u{a0}>>", "1: bad character U+00A0 '\u{a0}'"),
        ("<<#>>", "1: unexpected \"#\" in command"),
        (
            "<<.X \u{1}>>",
            "1: unrecognized character in action: U+0001",
        ),
        (
            "<<a_very_long_name .X>>",
            "1: function \"a_very_long_name\" not defined",
        ),
        ("<<end 1>>", "1: unexpected \"1\" in end"),
    ] {
        match error {
            "" => assert!(Template::parse("metrics-query", text).is_ok(), "{text}"),
            error => assert_eq!(parse_error(text), error, "{text}"),
        }
    }
    let error = Template::parse("metrics-query", "ok\n  <<foo>>").unwrap_err();
    assert_eq!(error.offset(), Some(7));
    let Error::Parse { position, .. } = error else {
        panic!("a parse error")
    };
    assert_eq!(
        position,
        Position {
            offset: 7,
            line: 2,
            column: 5
        }
    );
}

#[test]
fn white_space_and_comments_go_where_go_puts_them() {
    for (text, output) in [
        ("a <<- /* c */>> b", "a b"),
        ("a <</* c */ ->> b", "a b"),
        ("a <<- /* c */ ->> b", "ab"),
        ("a\u{a0} <<- 1>>", "a\u{a0}1"),
        ("<<1 ->> \u{c}b", "1\u{c}b"),
        ("<<- 3>>", "3"),
        ("<<3 ->>", "3"),
        ("<<3\t->>\n\nx", "3x"),
        ("a<<if .Series>> <<- \"b\" ->> <<end>>c", "abc"),
        ("<<(.Series)>>", "http_requests_total"),
        ("<<\">>\">>", ">>"),
        ("", ""),
    ] {
        assert_eq!(rendered(text), output, "{text}");
    }
}
