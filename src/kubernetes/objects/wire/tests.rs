//! What a real API server said is understood, and nonsense is refused.

use proptest::prelude::*;

use super::*;

#[test]
fn a_recorded_page_gives_names_labels_and_where_to_go_on() {
    let recorded = include_str!("../../../../tests/data/recorded/apiserver.jsonl");
    let lists = recorded
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| {
            line["path"] == "/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb&limit=500"
        });
    let answers: Vec<_> = lists
        .map(|line| line["resp"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(answers.len(), 1);
    let page = Page::read(answers[0].as_bytes()).unwrap();
    assert_eq!(
        (&*page.metadata.version, &*page.metadata.next),
        ("6574", "")
    );
    let first = &page.items[0].metadata;
    assert_eq!((&*first.namespace, &*first.name), ("shop", "web-a"));
    assert_eq!(&*first.version, "524");
    let labels = [("app", "web"), ("tier", "front")];
    assert_eq!(first.labels.0, labels.map(|(k, v)| (k.into(), v.into())));
    assert!(matches!(first.name, Cow::Borrowed(_)), "nothing is copied");
}

#[test]
fn a_page_may_have_nothing_and_labels_may_be_null() {
    for text in [
        r#"{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":null}"#,
        r#"{"items":[],"metadata":{},"kind":"PodMetricsList"}"#,
    ] {
        assert!(Page::read(text.as_bytes()).unwrap().items.is_empty());
    }
    let item: Item<'_> =
        serde_json::from_str(r#"{"metadata":{"name":"a","labels":null}}"#).unwrap();
    assert!(item.metadata.labels.0.is_empty());
}

#[test]
fn what_is_no_list_is_never_an_empty_one() {
    for (text, said) in [
        ("{}", "missing field"),
        (r#"{"items":[]}"#, "`kind`"),
        (
            r#"{"kind":"PodList","metadata":{"resourceVersion":"1"}}"#,
            "`items`",
        ),
        (
            r#"{"kind":"Status","status":"Failure","code":503}"#,
            "`items`",
        ),
        (r#"{"kind":"Status","items":null}"#, "\"Status\" is no list"),
        (
            r#"{"kind":"PodList","items":[{"metadata":{}}]}"#,
            "without a name",
        ),
        ("<html>", "expected value"),
    ] {
        let error = Page::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn the_recorded_errors_of_a_watch_are_understood() {
    let too_old = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (599)","reason":"Expired","code":410}}"#;
    let recorded = include_str!("../../../../tests/data/recorded/apiserver.jsonl");
    let recorded = recorded
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lines: Vec<String> = recorded
        .filter(|line| {
            line["path"]
                .as_str()
                .unwrap_or_default()
                .contains("watch=true")
        })
        .map(|line| line["resp"].as_str().unwrap().trim_end().to_owned())
        .collect();
    assert!(lines.contains(&too_old.to_owned()), "{lines:?}");
    for line in lines {
        let Event::Error { code, message } = Event::read(line.as_bytes()).unwrap() else {
            panic!("{line}");
        };
        assert!(code == 410 || code == 500, "{code}");
        assert!(!message.is_empty());
    }
}

#[test]
fn each_type_of_event_is_told_apart() {
    let line = |kind: &str, metadata: &str| {
        format!(r#"{{"type":"{kind}","object":{{"metadata":{metadata}}}}}"#)
    };
    let pod = r#"{"name":"a","namespace":"b","resourceVersion":"7"}"#;
    for kind in ["ADDED", "MODIFIED"] {
        let text = line(kind, pod);
        let event = Event::read(text.as_bytes()).unwrap();
        assert!(matches!(event, Event::Put(it) if it.name == "a" && it.version == "7"));
    }
    let text = line("DELETED", pod);
    assert!(matches!(Event::read(text.as_bytes()).unwrap(), Event::Deleted(it) if it.name == "a"));
    let text = line(
        "BOOKMARK",
        r#"{"resourceVersion":"9","creationTimestamp":null}"#,
    );
    let event = Event::read(text.as_bytes()).unwrap();
    assert!(matches!(event, Event::Bookmark { version } if version == "9"));

    let unreadable = |text: &str| Event::read(text.as_bytes()).unwrap_err().to_string();
    assert!(unreadable(&line("RENAMED", pod)).contains("RENAMED"));
    assert!(unreadable(&line("ADDED", r#"{"namespace":"b"}"#)).contains("without a name"));
    assert!(unreadable("{").contains("cannot be understood"));
}

#[test]
fn a_line_without_an_end_is_refused_at_its_limit() {
    let mut lines = Lines::default();
    let mut outcome = Ok(());
    for _ in 0..=LINE_BYTES >> 20 {
        outcome = lines.feed::<Unreadable>(&vec![b'x'; 1 << 20], |_| panic!("no line has ended"));
    }
    assert!(matches!(outcome, Err(Unreadable::TooLong)));
}

proptest! {
    #[test]
    fn lines_are_the_same_however_the_stream_is_cut(
        lines in proptest::collection::vec("[a-z{}\" ]{0,9}", 0..9),
        cuts in proptest::collection::vec(0_usize..99, 0..9),
        half in "[a-z]{0,5}",
    ) {
        let stream = lines.iter().map(|line| format!("{line}\n")).collect::<String>() + &half;
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut found = Vec::new();
        let mut splitter = Lines::default();
        for (from, until) in cuts.iter().zip(&cuts[1..]) {
            let piece = &stream.as_bytes()[*from..*until];
            let fed = splitter.feed::<Unreadable>(piece, |line| {
                found.push(String::from_utf8(line.to_vec()).unwrap());
                Ok(())
            });
            prop_assert!(fed.is_ok());
        }
        prop_assert_eq!(found, lines);
    }

    #[test]
    fn no_line_makes_it_panic(line in "\\PC{0,40}") {
        let _event = Event::read(line.as_bytes());
    }
}
