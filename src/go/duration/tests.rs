//! Go's own tables, and round trips.

use proptest::prelude::*;

use super::*;

fn go_error(text: &str) -> String {
    parse_go(text).expect_err(text).to_string()
}

fn prometheus_error(text: &str) -> String {
    parse_prometheus(text).expect_err(text).to_string()
}

#[test]
fn go_durations_are_read_as_go_reads_them() {
    // Rows of parseDurationTests in Go's time/time_test.go.
    let minute = 60_000_000_000i64;
    for (text, nanoseconds) in [
        ("0", 0),
        ("5s", 5_000_000_000),
        ("+5s", 5_000_000_000),
        ("-5s", -5_000_000_000),
        ("-0", 0),
        ("5.0s", 5_000_000_000),
        ("5.6s", 5_600_000_000),
        ("5.s", 5_000_000_000),
        (".5s", 500_000_000),
        ("1.0040s", 1_004_000_000),
        ("100.00100s", 100_001_000_000),
        ("10ns", 10),
        ("11us", 11_000),
        ("12µs", 12_000),
        ("12μs", 12_000),
        ("13ms", 13_000_000),
        ("16h", 960 * minute),
        ("3h30m", 210 * minute),
        ("10.5s4m", 4 * minute + 10_500_000_000),
        ("-2m3.4s", -(2 * minute + 3_400_000_000)),
        ("39h9m14.425s", 2349 * minute + 14_425_000_000),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 20 * minute),
        ("9007199254740993ns", 9_007_199_254_740_993),
        ("9223372036854775807ns", i64::MAX),
        ("9223372036854775.807us", i64::MAX),
        ("9223372036s854ms775us807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
        ("-9223372036854775.808us", i64::MIN),
        ("-2562047h47m16.854775808s", i64::MIN),
        ("0.100000000000000000000h", 6 * minute),
        ("0.830103483285477580700h", 49 * minute + 48_372_539_827),
    ] {
        let parsed = parse_go(text).map(|d| d.as_nanos());
        assert_eq!(parsed, Ok(i128::from(nanoseconds)), "{text}");
    }
}

#[test]
fn what_is_no_go_duration_is_refused_in_gos_words() {
    for text in [
        "",
        "3.4.5",
        "-",
        "s",
        ".",
        "-.",
        ".s",
        "+.s",
        "abc",
        " 1s",
        "9223372036854775810ns",
        "9223372036854775808ns",
        "-9223372036854775809ns",
        "9223372036854776us",
        "3000000h",
        "9223372036854ms775us808ns",
    ] {
        let expected = match text {
            "3.4.5" => "time: missing unit in duration \"3.4.5\"".to_owned(),
            _ => format!("time: invalid duration \"{text}\""),
        };
        assert_eq!(go_error(text), expected);
    }
    assert_eq!(go_error("10"), "time: missing unit in duration \"10\"");
    assert_eq!(
        go_error("5x"),
        "time: unknown unit \"x\" in duration \"5x\""
    );
    assert_eq!(
        go_error("1d"),
        "time: unknown unit \"d\" in duration \"1d\""
    );
    assert_eq!(
        go_error("1 s"),
        "time: unknown unit \" s\" in duration \"1 s\""
    );
    assert_eq!(
        go_error("1\u{fc}\"\n"),
        r#"time: unknown unit "\xc3\xbc\"\x0a" in duration "1\xc3\xbc\"\x0a""#
    );
}

#[test]
fn go_durations_are_written_as_go_writes_them() {
    // Rows of durationTests in Go's time/time_test.go.
    for (nanoseconds, text) in [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (245_000_000_000, "4m5s"),
        (245_001_000_000, "4m5.001s"),
        (18_367_001_000_000, "5h6m7.001s"),
        (480_000_000_001, "8m0.000000001s"),
        (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"),
        (9_223_372_036_854_775_807, "2562047h47m16.854775807s"),
    ] {
        assert_eq!(format_go(Duration::from_nanos(nanoseconds)), text);
    }
}

#[test]
fn prometheus_durations_are_read_and_written_as_prometheus_does() {
    // Rows of TestParseDuration in prometheus/common model/time_test.go.
    for (text, seconds, back) in [
        ("0", 0, "0s"),
        ("0w", 0, "0s"),
        ("0s", 0, "0s"),
        ("324s", 324, "5m24s"),
        ("3m", 180, "3m"),
        ("5m", 300, "5m"),
        ("90m", 5_400, "1h30m"),
        ("4d", 345_600, "4d"),
        ("4d1h", 349_200, "4d1h"),
        ("14d", 1_209_600, "2w"),
        ("3w", 1_814_400, "3w"),
        ("3w2d1h", 1_990_800, "23d1h"),
        ("10y", 315_360_000, "10y"),
        ("90d", 7_776_000, "90d"),
    ] {
        let parsed = parse_prometheus(text).expect(text);
        assert_eq!(parsed, Duration::from_secs(seconds), "{text}");
        assert_eq!(format_prometheus(parsed), back);
    }
    assert_eq!(
        parse_prometheus("4s324ms"),
        Ok(Duration::from_millis(4_324))
    );
    assert_eq!(format_prometheus(Duration::from_millis(4_324)), "4s324ms");
}

#[test]
fn what_is_no_prometheus_duration_is_refused_in_its_words() {
    assert_eq!(prometheus_error(""), "empty duration string");
    assert_eq!(
        prometheus_error("5x"),
        "unknown unit \"x\" in duration \"5x\""
    );
    assert_eq!(
        prometheus_error("1.5d"),
        "unknown unit \".\" in duration \"1.5d\""
    );
    for text in [
        "1",
        "1y1m1d",
        "-1w",
        "d",
        "1m1m",
        "1s5m",
        "99999999999999999999s",
        " 1m",
    ] {
        assert_eq!(
            prometheus_error(text),
            format!("not a valid duration string: \"{text}\"")
        );
    }
    for text in [
        "294y",
        "200y10400w",
        "107675d",
        "2584200h",
        "18446744073709551615y",
    ] {
        assert_eq!(prometheus_error(text), "duration out of range", "{text}");
    }
    assert!(parse_prometheus("292y").is_ok());
}

proptest! {
    #[test]
    fn gos_own_notation_reads_back_as_the_same_duration(nanoseconds in 0..=i64::MAX) {
        let text = format_go(Duration::from_nanos(nanoseconds.unsigned_abs()));
        prop_assert_eq!(parse_go(&text), Ok(SignedDuration::from_nanos(nanoseconds)));
        let negative = parse_go(&format!("-{text}"));
        prop_assert_eq!(negative, Ok(SignedDuration::from_nanos(-nanoseconds)));
    }

    #[test]
    fn prometheus_notation_reads_back_as_the_same_duration(ms in 0..=9_223_372_036_854u64) {
        let duration = Duration::from_millis(ms);
        prop_assert_eq!(parse_prometheus(&format_prometheus(duration)), Ok(duration));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "[-+0-9.a-zµ\"]{0,24}|\\PC{0,12}") {
        let _ = parse_go(&text);
        let _ = parse_prometheus(&text);
    }
}
