//! What is told without rendering.

use super::super::tests::parse;

#[test]
fn lint_follows_values_through_blocks_variables_and_templates() {
    for (text, places) in [
        ("<<range .GroupBySlice>><<.Series>><<end>>", vec!["1:25"]),
        ("<<range .GroupBySlice>><<$.Seris>><<end>>", vec!["1:26"]),
        (
            "<<with .GroupBy>>a\n<<.Foo>>\n <<.Bar>><<else>><<.Series>><<end>>",
            vec!["2:2", "3:3"],
        ),
        ("<<$x := .Series>><<$x.Foo>>", vec!["1:21"]),
        ("<<$x := .>><<$x.Foo>><<$x.Series>>", vec!["1:15"]),
        ("<<$x := .>><<$x = .Series>><<$x.Foo>>", vec![]),
        (
            "<<define \"m\">><<.Foo>><<end>><<template \"m\" .>>",
            vec!["1:16"],
        ),
        (
            "<<define \"m\">><<.Foo>><<end>><<template \"m\" .LabelValuesByName>>",
            vec![],
        ),
        ("<<define \"m\">><<.Foo>><<end>>", vec![]),
        (
            "<<define \"m\">><<template \"m\" .GroupBy>><<.Foo>><<end>><<template \"m\" .>>",
            vec!["1:29", "1:41", "1:41"],
        ),
        (
            "<<if .Nope>><<end>><<(len .GroupBy).Foo>>",
            vec!["1:5", "1:35"],
        ),
        ("<<.LabelValuesByName.a.b>>", vec![]),
        ("<<template \"nope\">>", vec!["1:11"]),
        (
            "<<range $i, $v := .LabelValuesByName>><<$i.Foo>><<$v.Foo>><<end>>",
            vec!["1:42", "1:52"],
        ),
    ] {
        let lints = parse(text).lint().to_vec();
        let found: Vec<String> = lints
            .iter()
            .map(|l| format!("{}:{}", l.position.line, l.position.column - 1))
            .collect();
        assert_eq!(found, places, "{text}");
        for lint in lints {
            let place = format!(":{}:{}: ", lint.position.line, lint.position.column - 1);
            assert!(lint.text.contains(&place), "{}", lint.text);
        }
    }
}

#[test]
fn a_template_says_which_fields_it_may_read() {
    let all = [
        "Series",
        "LabelMatchers",
        "LabelValuesByName",
        "GroupBy",
        "GroupBySlice",
    ];
    for (text, fields) in [
        (
            "<<.Series>>{<<.LabelMatchers>>}",
            vec!["Series", "LabelMatchers"],
        ),
        (
            "<<index .LabelValuesByName \"a\">>",
            vec!["LabelValuesByName"],
        ),
        (
            "<<$x := .>><<range .GroupBySlice>><<$x.Series>><<end>>",
            vec!["Series", "GroupBySlice"],
        ),
        ("<<define \"m\">><<.GroupBy>><<end>>a", vec![]),
        (
            "<<define \"m\">><<.GroupBy>><<end>><<template \"m\" .>>",
            vec!["GroupBy"],
        ),
        ("<</* .Series */>>.GroupBy", vec![]),
        ("<<.>>", all.to_vec()),
        ("<<printf \"%v\" $>>", all.to_vec()),
        ("<<$x := \"\">><<$x = .>><<$x>>", all.to_vec()),
        ("<<with .>><<.Series>><<end>>", vec!["Series"]),
    ] {
        let template = parse(text);
        let read: Vec<&str> = all
            .into_iter()
            .filter(|field| template.reads(field))
            .collect();
        assert_eq!(read, fields, "{text}");
    }
}
