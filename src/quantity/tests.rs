//! Recorded strings of Go, and properties.

use proptest::prelude::*;

use super::*;

fn sample(value: f64) -> String {
    Quantity::from_sample(value)
        .expect("a finite sample must be a quantity")
        .to_string()
}

/// The canonical text of so many thousandths.
fn thousandths(count: &str) -> String {
    let quantity: Quantity = format!("{count}m").parse().unwrap();
    quantity.to_string()
}

#[test]
fn every_recorded_string_is_gos() {
    for line in include_str!("../../tests/data/go/quantity.txt").lines() {
        let (text, canonical) = if let Some(milli) = line.strip_prefix("milli ") {
            let (count, canonical) = milli.split_once(' ').unwrap();
            (thousandths(count), canonical)
        } else {
            let (text, canonical) = line.split_once(" -> ").unwrap();
            (text.parse::<Quantity>().unwrap().to_string(), canonical)
        };
        assert_eq!(text, canonical, "{line}");
    }
}

/// The rows of the Go adapter's conversion that are exact in thousandths.
#[test]
fn samples_that_are_whole_thousandths_are_told_as_go_tells_them() {
    for (value, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (1000.0, "1k"),
        (1500.0, "1500"),
        (1_048_576.0, "1048576"),
        (1_000_000.0, "1M"),
        (1000.5, "1000500m"),
        (1.5e15, "1500T"),
        (16.1, "16100m"),
        (0.29, "290m"),
        (4.35, "4350m"),
        (33.3, "33300m"),
        (-1.5, "-1500m"),
        (1_234_567_890_123.0, "1234567890123"),
        (12.345, "12345m"),
    ] {
        assert_eq!(sample(value), text);
    }
}

#[test]
fn samples_go_gets_wrong_are_told_as_they_are() {
    for (value, text) in [
        (1e16, "10P"),
        (1e18, "1E"),
        (1e21, "1000E"),
        (0.0004, "400u"),
        (0.0015, "1500u"),
        (1e-9, "1n"),
        (1e-30, "1n"),
        (-1e-30, "-1n"),
        (64.1, "64100m"),
        (0.5625, "563m"),
        (0.0625, "62500u"),
        (1.0004, "1"),
        (9_007_199_254_740_993.0, "9007199254740992"),
    ] {
        assert_eq!(sample(value), text);
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Quantity::from_sample(value), None);
    }
}

#[test]
fn what_is_no_quantity_is_refused() {
    for text in [
        "", "m", ".", "1.2.3", "1x", "1mi", "1 k", "--1", "1e", "e3", "1e99999", "１",
    ] {
        assert!(text.parse::<Quantity>().is_err(), "{text:?}");
    }
}

/// The value of a decimal quantity's text, as near as a double can tell it.
fn value(text: &str) -> f64 {
    let end = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (_, exponent) = DECIMAL.iter().find(|(it, _)| *it == suffix).unwrap();
    format!("{number}e{exponent}").parse().unwrap()
}

#[test]
fn what_is_read_can_be_written_and_read_again() {
    assert_eq!(
        "92e998".parse::<Quantity>().unwrap().to_string(),
        "9200e996"
    );
    assert_eq!("92000e999".parse::<Quantity>(), Err(ParseError::TooLarge));
}

#[test]
fn an_exponent_beyond_all_reason_is_refused() {
    for text in ["1e-2147483648", "1e2147483647", "1E1000", "1e99999999999"] {
        assert_eq!(text.parse::<Quantity>(), Err(ParseError::Format), "{text}");
    }
}

proptest! {
    #[test]
    fn a_sample_changes_by_no_more_than_a_thousandth(sample_value in prop::num::f64::NORMAL) {
        let told = value(&sample(sample_value));
        let off = (told - sample_value).abs();
        prop_assert!(off <= sample_value.abs() * 0.001_000_1 || sample_value.abs() < 1e-6, "{told}");
        prop_assert!(told != 0.0 && told.is_sign_negative() == sample_value.is_sign_negative());
    }

    #[test]
    fn usual_samples_are_within_half_a_thousandth(sample_value in 1.0..1e12_f64) {
        let told = value(&sample(sample_value));
        prop_assert!((told - sample_value).abs() <= 0.000_500_1 + sample_value * 1e-15);
    }

    #[test]
    fn a_canonical_text_reads_back_as_itself(
        text in "[+-]?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,12})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[0-9]|e-[0-9])?"
    ) {
        let parsed = text.parse::<Quantity>();
        prop_assume!(parsed != Err(ParseError::TooLarge));
        let canonical = parsed.unwrap().to_string();
        prop_assert_eq!(canonical.parse::<Quantity>().unwrap().to_string(), canonical);
    }

    #[test]
    fn thousandths_are_exact(count in any::<i32>()) {
        let text = thousandths(&count.to_string());
        prop_assert!((value(&text) * 1000.0 - f64::from(count)).abs() < 1e-3);
        prop_assert_eq!(sample(f64::from(count) / 1000.0), text);
    }

    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = text.parse::<Quantity>();
    }
}

/// The memory column of the Go adapter's conversion.
#[test]
fn memory_is_told_in_binary_units_where_it_is_whole() {
    for (value, text) in [
        (0.2919, "292m"),
        (0.0, "0"),
        (1000.0, "1k"),
        (1023.0, "1023"),
        (1024.0, "1Ki"),
        (1025.0, "1025"),
        (1500.0, "1500"),
        (1_000_000.0, "1000000"),
        (1_048_576.0, "1Mi"),
        (1_073_741_824.0, "1Gi"),
        (1_048_576.5, "1048576500m"),
        (12_345_678.0, "12345678"),
        (1_180_591_620_717_411_303_424.0, "1024Ei"),
    ] {
        let quantity = Quantity::from_sample(value).expect("a finite sample must be a quantity");
        assert_eq!(quantity.in_binary().to_string(), text);
    }
}

/// `resource.Quantity.Add` keeps the form of the first that is not zero.
#[test]
fn sums_are_exact_and_in_the_form_of_the_first() {
    for (left, right, sum) in [
        ("250m", "1m", "251m"),
        ("100Mi", "1048577", "105906177"),
        ("0", "2Gi", "2Gi"),
        ("2Gi", "0", "2Gi"),
        ("999", "1", "1k"),
        ("1n", "1E", "1000000000000000000000000001n"),
        ("1500m", "500m", "2"),
    ] {
        let parse = |text: &str| text.parse::<Quantity>().unwrap();
        let added = parse(left).plus(&parse(right)).unwrap();
        assert_eq!(added.to_string(), sum, "{left} + {right}");
    }
    let minus: Quantity = "-1".parse().unwrap();
    assert_eq!(minus.plus(&Quantity::default()), None);
}
