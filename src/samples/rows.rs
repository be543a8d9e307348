//! The rows of one answer, small, and found by the values of some of their labels.
//!
//! A wide answer has a row for each pod of the cluster and is asked for one pod at a time, so its
//! rows are sorted by the labels that tell objects apart, and nothing else of them is kept: some
//! 60 bytes a row.

use std::time::Duration;

use jiff::Timestamp;

use crate::prometheus::{Kind, Refusal, Sample};

/// Which labels of the rows are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Labels {
    /// All of them.
    All,
    /// The values of these, in this order; rows are found by them.
    Keys(Vec<String>),
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Any float, NaN and infinities included.
    pub value: f64,
    /// When Prometheus says it was so.
    pub timestamp: Timestamp,
}

impl From<&Sample> for Point {
    fn from(sample: &Sample) -> Point {
        Point {
            value: sample.value,
            timestamp: sample.timestamp,
        }
    }
}

/// What is said of an answer besides its rows.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Vector or scalar.
    pub kind: Kind,
    /// How many rows were native histograms, which have no single value and were passed over.
    pub histograms: u64,
    /// Whether the backend says that its answer may lack something.
    pub partial: bool,
    /// The time the query was evaluated for.
    pub at: Timestamp,
    /// How long the fetch took.
    pub took: Duration,
}

/// What one query gave.
#[derive(Debug)]
pub struct Rows {
    head: Head,
    content: Content,
    bytes: usize,
}

#[derive(Debug)]
enum Content {
    Whole(Vec<Sample>),
    Keyed { text: Vec<u8>, rows: Vec<Keyed> },
}

/// A row of a keyed answer; its key is a piece of the common text.
#[derive(Clone, Copy, Debug)]
struct Keyed {
    from: usize,
    to: usize,
    point: Point,
}

impl Rows {
    /// What is said of the answer besides its rows.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Whole(samples) => samples.len(),
            Content::Keyed { rows, .. } => rows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they take of memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows of a query that keeps all labels, in the server's order.
    pub fn whole(&self) -> &[Sample] {
        match &self.content {
            Content::Whole(samples) => samples,
            Content::Keyed { .. } => &[],
        }
    }

    /// The rows whose kept labels have these values, in the server's order.
    pub fn of<'a>(&'a self, values: &[&str]) -> impl Iterator<Item = Point> + use<'a> {
        let (_, rows) = self.beginning_with(values);
        let key_bytes: usize = values.iter().map(|value| LENGTH_BYTES + value.len()).sum();
        let of_them = rows
            .iter()
            .filter(move |row| row.to - row.from == key_bytes);
        of_them.map(|row| row.point)
    }

    /// The rows whose kept labels but the last have these values, each with the value of the last.
    /// Those that agree in it stand together, in the server's order.
    pub fn under<'a>(
        &'a self,
        values: &[&str],
    ) -> impl Iterator<Item = (&'a str, Point)> + use<'a> {
        let (text, rows) = self.beginning_with(values);
        let key_bytes: usize = values.iter().map(|value| LENGTH_BYTES + value.len()).sum();
        let last = move |row: &Keyed| text.get(row.from + key_bytes + LENGTH_BYTES..row.to);
        rows.iter().filter_map(move |row| {
            let value = std::str::from_utf8(last(row)?).ok()?;
            Some((value, row.point))
        })
    }

    /// Whether there is a row whose first kept labels have these values.
    pub fn has(&self, values: &[&str]) -> bool {
        !self.beginning_with(values).1.is_empty()
    }

    fn beginning_with(&self, values: &[&str]) -> (&[u8], &[Keyed]) {
        let Content::Keyed { text, rows } = &self.content else {
            return (&[], &[]);
        };
        let mut wanted = Vec::with_capacity(64);
        for value in values {
            write_key(&mut wanted, value);
        }
        // Keys in the order of their bytes: those that begin alike stand together.
        let first = rows.partition_point(|row| text[row.from..row.to] < *wanted);
        let rows = &rows[first..];
        let end = rows.partition_point(|row| text[row.from..row.to].starts_with(&wanted));
        (text, &rows[..end])
    }
}

/// Gathers the rows of one answer, up to a limit.
#[derive(Clone, Debug)]
pub struct Builder {
    labels: Labels,
    rows_max: usize,
    whole: Vec<Sample>,
    text: Vec<u8>,
    keyed: Vec<Keyed>,
}

impl Builder {
    /// Keeps these labels of at most so many rows.
    pub fn new(labels: Labels, rows_max: usize) -> Builder {
        Builder {
            labels,
            rows_max,
            whole: Vec::new(),
            text: Vec::new(),
            keyed: Vec::new(),
        }
    }

    /// Takes one row.
    ///
    /// # Errors
    /// One row too many.
    pub fn add(&mut self, sample: Sample) -> Result<(), Refusal> {
        if self.whole.len() + self.keyed.len() >= self.rows_max {
            let text = format!(
                "the query gives more than {} series: aggregate them",
                self.rows_max
            );
            return Err(Refusal(text));
        }
        let Labels::Keys(keys) = &self.labels else {
            self.whole.push(sample);
            return Ok(());
        };
        let from = self.text.len();
        for key in keys {
            let value = sample.labels.iter().find(|(name, _)| name == key);
            write_key(&mut self.text, value.map_or("", |(_, value)| value));
        }
        let point = Point::from(&sample);
        let to = self.text.len();
        self.keyed.push(Keyed { from, to, point });
        Ok(())
    }

    /// The rows, ready to be found.
    pub fn finish(self, head: Head) -> Rows {
        let Builder {
            labels,
            mut whole,
            mut text,
            keyed: mut rows,
            ..
        } = self;
        let (content, bytes) = match labels {
            Labels::All => {
                whole.shrink_to_fit();
                let bytes = whole.iter().map(weight).sum();
                (Content::Whole(whole), bytes)
            }
            Labels::Keys(_) => {
                // Stable: of several rows with one key the last one in the server's order counts.
                rows.sort_by(|a, b| text[a.from..a.to].cmp(&text[b.from..b.to]));
                rows.shrink_to_fit();
                text.shrink_to_fit();
                let bytes = text.capacity() + rows.capacity() * size_of::<Keyed>();
                (Content::Keyed { text, rows }, bytes)
            }
        };
        Rows {
            head,
            content,
            bytes: bytes + size_of::<Rows>(),
        }
    }
}

/// What stands before each value of a key.
const LENGTH_BYTES: usize = 4;

/// Length first, so that no two lists of values are written alike.
fn write_key(key: &mut Vec<u8>, value: &str) {
    key.extend_from_slice(&value.len().to_le_bytes()[..LENGTH_BYTES]);
    key.extend_from_slice(value.as_bytes());
}

fn weight(sample: &Sample) -> usize {
    let pair = size_of::<(String, String)>();
    let labels = sample.labels.iter();
    let labels: usize = labels
        .map(|(name, value)| pair + name.capacity() + value.capacity())
        .sum();
    size_of::<Sample>() + labels
}

#[cfg(test)]
mod tests {
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
            let rows = rows
                .under(values)
                .map(|(it, point)| (it.to_owned(), point.value));
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
    }
}
