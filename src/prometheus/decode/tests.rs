//! Every shape of answer, whole, cut and damaged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

fn whole(text: &str) -> Body {
    Body::Whole(bytes::Bytes::copy_from_slice(text.as_bytes()))
}

/// Hands out a few bytes at a time, so that every token is cut somewhere.
struct Dribble(Vec<u8>, usize, usize);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.0[self.1..];
        let length = rest.len().min(buffer.len()).min(self.2);
        buffer[..length].copy_from_slice(&rest[..length]);
        self.1 += length;
        Ok(length)
    }
}

fn collect(body: Body) -> Result<(Vec<Sample>, Summary), Error> {
    let mut samples = Vec::new();
    let summary = query(body, &mut |sample| {
        samples.push(sample);
        Ok(())
    })?;
    Ok((samples, summary))
}

fn failure(text: &str) -> String {
    collect(whole(text))
        .map(|answer| format!("{answer:?}"))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_vector_is_decoded_in_any_field_order_and_unknown_fields_are_passed_over() {
    let rows = r#"[{"metric":{"__name__":"up","job":"a"},"value":[1435781451.781,"1.5"],"x":[{}]},
                   {"value":[1435781452,"-Inf"],"metric":{}}]"#;
    let orders = [
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{rows}}}}}"#),
        format!(r#"{{"data":{{"stats":{{"a":1}},"result":{rows},"resultType":"vector"}},"y":1}}"#),
    ];
    for text in orders {
        let (samples, summary) = collect(whole(&text)).unwrap();
        assert_eq!(summary.kind, Kind::Vector);
        assert_eq!(samples[0].labels[1], ("job".to_owned(), "a".to_owned()));
        assert_eq!(samples[0].timestamp.as_millisecond(), 1_435_781_451_781);
        assert_eq!(samples[0].value.to_bits(), 1.5_f64.to_bits());
        assert_eq!(samples[1].value.to_bits(), f64::NEG_INFINITY.to_bits());
        assert!(samples[1].labels.is_empty());
    }
}

#[test]
fn a_scalar_is_one_sample_without_labels_in_either_field_order() {
    for text in [
        r#"{"status":"success","data":{"resultType":"scalar","result":[1690000000.123,"1e5"]}}"#,
        r#"{"status":"success","data":{"result":[1690000000.123,"1e5"],"resultType":"scalar"}}"#,
    ] {
        let (samples, summary) = collect(whole(text)).unwrap();
        assert_eq!(
            (summary.kind, summary.samples, samples.len()),
            (Kind::Scalar, 1, 1)
        );
        assert_eq!(samples[0].value.to_bits(), 1e5_f64.to_bits());
        assert_eq!(samples[0].timestamp.as_millisecond(), 1_690_000_000_123);
    }
}

#[test]
fn a_native_histogram_is_counted_and_never_a_value() {
    let text = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"a":"b"},"histogram":[1,{"count":"3","sum":"4","buckets":[[0,"1","2","3"]]}]},
        {"metric":{"a":"c"},"value":[1,"7"]}]}}"#;
    let (samples, summary) = collect(whole(text)).unwrap();
    assert_eq!(
        (samples.len(), summary.samples, summary.histograms),
        (1, 1, 1)
    );
}

#[test]
fn results_no_metric_can_be_made_of_are_errors_with_their_type() {
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let late = r#"{"data":{"result":[{"metric":{},"values":[[1,"2"]]}],"resultType":"matrix"}}"#;
    let string = r#"{"status":"success","data":{"resultType":"string","result":[1,"7"]}}"#;
    let string_late = r#"{"data":{"result":[1,"7"],"resultType":"string"}}"#;
    for (text, kind) in [
        (matrix, "matrix"),
        (late, "matrix"),
        (string, "string"),
        (string_late, "string"),
    ] {
        assert!(failure(text).starts_with(&format!("unexpected value type \"{kind}\"")));
    }
}

#[test]
fn a_stated_error_wins_whatever_else_the_answer_holds() {
    for text in [
        r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
        r#"{"data":null,"error":"parse error","errorType":"bad_data","status":"error"}"#,
        r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]},
            "status":"error","errorType":"bad_data","error":"parse error"}"#,
        r#"{"status":"error","errorType":"bad_data","error":"parse error",
            "data":{"resultType":"","result":null}}"#,
    ] {
        assert_eq!(failure(text), "bad_data: parse error");
    }
    assert!(refusal(br#"{"status":"error"}"#).is_some());
    assert!(refusal(b"Bad Gateway").is_none());
    assert!(refusal(br#"{"status":"success","data":[]}"#).is_none());
}

#[test]
fn a_long_text_of_the_server_is_cut_to_one_line() {
    let text = format!(
        r#"{{"status":"error","errorType":"a","error":"b\n{}"}}"#,
        "x".repeat(999)
    );
    let shown = failure(&text);
    assert!(
        shown.starts_with("a: b xxx") && shown.ends_with('…') && shown.len() < 420,
        "{shown}"
    );
}

#[test]
fn an_answer_without_a_result_is_an_error_and_not_an_empty_vector() {
    for text in [
        "{}",
        r#"{"status":"success"}"#,
        r#"{"status":"success","data":null}"#,
        r#"{"status":"success","data":{}}"#,
        r#"{"status":"success","data":{"resultType":"vector"}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":null}}"#,
        r#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[1,"2"]}}"#,
        r#"{"status":"success","data":{"result":[]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}"#,
        r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,2]}]}}"#,
        r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"many"]}]}}"#,
        r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1e99,"1"]}]}}"#,
        r#"{"data":{"resultType":"scalar","result":[1,"2",3]}}"#,
        r#"{"kind":"Status","status":"Failure","message":"no"}"#,
        r#"["up"]"#,
    ] {
        let shown = failure(text);
        assert!(
            shown.starts_with("Prometheus answered JSON that is not"),
            "{text}: {shown}"
        );
    }
    assert!(collect(whole(r#"{"data":{"resultType":"vector","result":[]}}"#)).is_ok());
}

#[test]
fn text_that_is_no_json_and_json_cut_short_are_told_apart() {
    let good = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},
        "value":[1,"2"]}]}}"#;
    assert!(collect(whole(good)).is_ok());
    for end in 0..good.len() {
        assert_eq!(
            failure(&good[..end]),
            "the answer of Prometheus ended too early",
            "{end}"
        );
    }
    for text in ["upstream timed out", "{]", &format!("{good} x")] {
        assert!(
            failure(text).starts_with("Prometheus answered text that is not JSON"),
            "{text}"
        );
    }
}

#[test]
fn warnings_and_infos_are_counted_and_a_few_kept() {
    let many: Vec<String> = (0..20).map(|i| format!("\"w{i}\"")).collect();
    let text = format!(
        r#"{{"warnings":[{}],"infos":["i"],"isPartial":true,"status":"success",
            "data":{{"resultType":"vector","result":[]}}}}"#,
        many.join(",")
    );
    let (_, summary) = collect(whole(&text)).unwrap();
    assert_eq!(summary.notes.warnings.count, 20);
    assert_eq!(summary.notes.warnings.first.len(), TEXTS_KEPT);
    assert_eq!(summary.notes.infos.first, ["i"]);
    assert!(summary.notes.partial);
}

#[test]
fn names_and_series_take_null_as_empty_but_not_a_missing_list() {
    let (found, _) = names(whole(r#"{"status":"success","data":["a","b"]}"#)).unwrap();
    assert_eq!(found, ["a", "b"]);
    assert!(names(whole(r#"{"data":null}"#)).unwrap().0.is_empty());
    assert!(names(whole("{}")).is_err());
    let mut seen = Vec::new();
    let text = r#"{"data":[{"__name__":"up","a":"b"},{"__name__":"down"}]}"#;
    series(whole(text), &mut |labels| {
        seen.push(labels);
        Ok(())
    })
    .unwrap();
    assert_eq!(seen.len(), 2);
    assert!(series(whole(r#"{"data":null}"#), &mut |_| Ok(())).is_ok());
    assert!(series(whole(r#"{"status":"success"}"#), &mut |_| Ok(())).is_err());
}

#[test]
fn who_folds_may_refuse_and_its_text_is_the_error() {
    let text = r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}"#;
    let stop = |_| Err(Refusal("too many rows".to_owned()));
    let error = query(whole(text), &mut { stop }).unwrap_err();
    assert_eq!(
        (error.class(), error.to_string().as_str()),
        ("declined", "too many rows")
    );
}

/// Writes the answer while it is read.
struct Generator {
    rows: u64,
    made: Arc<AtomicU64>,
    pending: Vec<u8>,
    ended: bool,
}

impl Read for Generator {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.pending.is_empty() && !self.ended {
            let made = self.made.load(Ordering::Relaxed);
            let text = if made < self.rows {
                let comma = if made == 0 { "" } else { "," };
                format!(r#"{comma}{{"metric":{{"pod":"p{made}"}},"value":[1.5,"{made}"]}}"#)
            } else {
                self.ended = true;
                "]}}".to_owned()
            };
            self.made.store(made + 1, Ordering::Relaxed);
            self.pending = text.into_bytes();
        }
        let length = buffer.len().min(self.pending.len());
        buffer[..length].copy_from_slice(&self.pending[..length]);
        self.pending.drain(..length);
        Ok(length)
    }
}

#[test]
fn a_million_rows_are_never_held() {
    let made = Arc::new(AtomicU64::new(0));
    let head = br#"{"status":"success","data":{"resultType":"vector","result":["#;
    let body = Generator {
        rows: 1_000_000,
        made: made.clone(),
        pending: head.to_vec(),
        ended: false,
    };
    let (mut folded, mut ahead) = (0_u64, 0);
    let outcome = query(Body::Streamed(Box::new(body)), &mut |_| {
        folded += 1;
        ahead = ahead.max(made.load(Ordering::Relaxed) - folded);
        Ok(())
    });
    assert_eq!(outcome.unwrap().samples, 1_000_000);
    assert_eq!(folded, 1_000_000);
    // No more rows exist at a time than fit into the reader's buffer.
    assert!(ahead < 1_000, "{ahead} rows were read ahead");
}

/// As Prometheus prints a float.
fn printed(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    format!("{value}")
}

fn encode(samples: &[Sample], type_first: bool) -> String {
    let rows: Vec<String> = samples
        .iter()
        .map(|sample| {
            let labels: Vec<String> = sample
                .labels
                .iter()
                .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
                .collect();
            let ms = sample.timestamp.as_millisecond();
            let time = format!("{}.{:03}", ms / 1000, ms % 1000);
            let value = printed(sample.value);
            format!(
                r#"{{"metric":{{{}}},"value":[{time},"{value}"]}}"#,
                labels.join(",")
            )
        })
        .collect();
    let rows = format!(r#""result":[{}]"#, rows.join(","));
    let kind = r#""resultType":"vector""#;
    let data = if type_first {
        format!("{kind},{rows}")
    } else {
        format!("{rows},{kind}")
    };
    format!(r#"{{"status":"success","data":{{{data}}}}}"#)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let labels = proptest::collection::vec((any::<String>(), any::<String>()), 0..4);
    // Up to the year 2106.
    let sample = (labels, 0..(i64::from(u32::MAX) * 1000), any::<f64>()).prop_map(
        |(labels, milliseconds, value)| Sample {
            labels,
            timestamp: Timestamp::from_millisecond(milliseconds).unwrap(),
            value: if value.is_nan() { 0.25 } else { value },
        },
    );
    proptest::collection::vec(sample, 0..6)
}

proptest! {
    #[test]
    fn what_was_written_is_read_whole_or_in_pieces(
        rows in samples(), type_first: bool, piece in 1_usize..50,
    ) {
        let text = encode(&rows, type_first);
        let (read, summary) = collect(whole(&text)).unwrap();
        prop_assert_eq!(&read, &rows);
        let streamed = Body::Streamed(Box::new(Dribble(text.into_bytes(), 0, piece)));
        let (again, same) = collect(streamed).unwrap();
        prop_assert_eq!(&again, &rows);
        prop_assert_eq!(same, summary);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let body = || Body::Whole(bytes.clone().into());
        prop_assert!(collect(body()).is_err());
        let _ = names(body());
        let _ = series(body(), &mut |_| Ok(()));
        let _ = refusal(&bytes);
    }

    #[test]
    fn no_damage_to_an_answer_makes_the_decoder_panic(
        rows in samples(), place: prop::sample::Index, byte: u8,
    ) {
        let mut bytes = encode(&rows, true).into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let whole = collect(Body::Whole(bytes.clone().into()));
        let streamed = collect(Body::Streamed(Box::new(Dribble(bytes, 0, 7))));
        prop_assert_eq!(whole.is_ok(), streamed.is_ok());
    }
}
