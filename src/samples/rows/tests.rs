//! Rows are found by their own labels and by no others.

use proptest::prelude::*;

use super::*;

fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
    let labels = labels.iter();
    let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Sample {
        labels: labels.collect(),
        timestamp: Timestamp::UNIX_EPOCH,
        value,
    }
}

fn head() -> Head {
    Head {
        kind: Kind::Vector,
        histograms: 0,
        partial: false,
        at: Timestamp::UNIX_EPOCH,
        took: Duration::ZERO,
    }
}

fn keys(names: &[&str]) -> Labels {
    Labels::Keys(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn rows_of_one_key_keep_the_servers_order() {
    let mut rows = Builder::new(keys(&["pod"]), 10);
    for (pod, value) in [("b", 1.0), ("a", 2.0), ("b", 3.0), ("a", 4.0)] {
        rows.add(sample(&[("x", "y"), ("pod", pod)], value))
            .unwrap();
    }
    let rows = rows.finish(head());
    let values = |pod| rows.of(&[pod]).map(|it| it.value).collect::<Vec<_>>();
    assert_eq!(values("b"), [1.0, 3.0]);
    assert_eq!(values("a"), [2.0, 4.0]);
    assert!(values("c").is_empty());
    assert!(values("").is_empty());
}

#[test]
fn a_label_that_is_not_there_is_empty() {
    let mut rows = Builder::new(keys(&["namespace", "pod"]), 10);
    rows.add(sample(&[("pod", "a")], 1.0)).unwrap();
    let rows = rows.finish(head());
    assert_eq!(rows.of(&["", "a"]).count(), 1);
    assert_eq!(rows.of(&["a", ""]).count(), 0);
}

#[test]
fn rows_are_found_by_their_first_labels() {
    let mut rows = Builder::new(keys(&["namespace", "pod", "container"]), 10);
    for (namespace, pod, container, value) in [
        ("a", "p", "x", 1.0),
        ("a", "p", "", 2.0),
        ("a", "p", "x", 3.0),
        ("a", "q", "x", 4.0),
        ("ap", "", "x", 5.0),
    ] {
        let labels = [
            ("namespace", namespace),
            ("pod", pod),
            ("container", container),
        ];
        rows.add(sample(&labels, value)).unwrap();
    }
    let rows = rows.finish(head());
    let under = |values: &[&str]| {
        let rows = rows.under(values).map(|(mut it, point)| {
            let container = it.next().unwrap().to_owned();
            assert_eq!(it.next(), None);
            (container, point.value)
        });
        rows.collect::<Vec<_>>()
    };
    let row = |name: &str, value| (name.to_owned(), value);
    assert_eq!(
        under(&["a", "p"]),
        [row("", 2.0), row("x", 1.0), row("x", 3.0)]
    );
    assert_eq!(under(&["a", "q"]), [row("x", 4.0)]);
    assert_eq!(under(&["ap", "p"]), []);
    assert!(rows.has(&["ap"]) && rows.has(&["a", "q"]) && !rows.has(&[""]));
    assert_eq!(rows.of(&["a"]).count(), 0);
}

#[test]
fn one_row_more_than_the_limit_is_refused() {
    for labels in [Labels::All, keys(&["pod"])] {
        let mut rows = Builder::new(labels, 2);
        rows.add(sample(&[], 1.0)).unwrap();
        rows.add(sample(&[], 1.0)).unwrap();
        let refusal = rows.add(sample(&[], 1.0)).unwrap_err();
        assert!(refusal.0.contains("more than 2 series"), "{refusal:?}");
    }
}

#[test]
fn a_row_takes_little() {
    let mut rows = Builder::new(keys(&["namespace", "pod"]), 100_000);
    for number in 0..50_000 {
        let (pod, namespace) = (
            format!("web-6d4cf56db6-{number:05}"),
            format!("shop-{}", number % 500),
        );
        rows.add(sample(&[("namespace", &namespace), ("pod", &pod)], 1.0))
            .unwrap();
    }
    let rows = rows.finish(head());
    assert!(
        rows.bytes() / rows.len() <= 80,
        "{} bytes a row",
        rows.bytes() / rows.len()
    );
}

proptest! {
    #[test]
    fn a_row_is_found_by_its_own_labels_and_by_no_others(
        data in prop::collection::vec(("[ab\u{0}-]{0,3}", "[ab\u{0}-]{0,3}"), 0..40),
        asked in ("[ab\u{0}-]{0,3}", "[ab\u{0}-]{0,3}"),
    ) {
        let mut rows = Builder::new(keys(&["n", "p"]), 100);
        for (number, (n, p)) in data.iter().enumerate() {
            let value = f64::from(u32::try_from(number).unwrap());
            rows.add(sample(&[("n", n), ("p", p)], value)).unwrap();
        }
        let rows = rows.finish(head());
        for wanted in data.iter().chain([&asked]) {
            let expected: Vec<f64> = (0_u32..)
                .zip(&data)
                .filter(|(_, row)| *row == wanted)
                .map(|(number, _)| f64::from(number))
                .collect();
            let found: Vec<f64> =
                rows.of(&[&wanted.0, &wanted.1]).map(|point| point.value).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn one_search_finds_what_as_many_do(
        data in prop::collection::vec(("[ab]{0,2}", "[ab]{0,2}"), 0..20),
        asked in prop::collection::vec(("[ab]{0,2}", prop::option::of("[ab]{0,2}")), 0..20),
    ) {
        let mut rows = Builder::new(keys(&["n", "p"]), 100);
        for (number, (n, p)) in data.iter().enumerate() {
            let value = f64::from(u32::try_from(number).unwrap());
            rows.add(sample(&[("n", n), ("p", p)], value)).unwrap();
        }
        let rows = rows.finish(head());
        let mut search = rows.search();
        for (n, p) in &asked {
            let values: Vec<&str> = [Some(n), p.as_ref()].into_iter().flatten().map(String::as_str).collect();
            let found = |(rest, point): (Values<'_>, Point)| {
                (rest.map(str::to_owned).collect::<Vec<_>>(), point.value)
            };
            let by_one: Vec<_> = search.under(&values).map(found).collect();
            let anew: Vec<_> = rows.under(&values).map(found).collect();
            prop_assert_eq!(by_one, anew);
        }
    }
}
