//! The rows of one answer, small, and found by the values of some of their labels.
//!
//! A wide answer has a row for each pod of the cluster and is asked for one pod at a time, so its
//! rows are sorted by the labels that tell objects apart, and nothing else of them is kept: some
//! 60 bytes a row.

use std::collections::BTreeSet;
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
    with_label: Vec<usize>,
    strange: Vec<String>,
    bytes: usize,
}

/// Values of kept labels, in their order.
#[derive(Clone, Debug)]
pub struct Values<'a>(&'a [u8]);

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(value).ok()
    }
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
        let (_, rows) = self.search().beginning_with(values);
        let key_bytes = key_bytes(values);
        let of_them = rows
            .iter()
            .filter(move |row| row.to - row.from == key_bytes);
        of_them.map(|row| row.point)
    }

    /// The rows whose first kept labels have these values, as [`Search::under`].
    pub fn under<'a>(
        &'a self,
        values: &[&str],
    ) -> impl Iterator<Item = (Values<'a>, Point)> + use<'a> {
        self.search().under(values)
    }

    /// How many rows have a value of the kept label at this place.
    pub fn with_label(&self, at: usize) -> usize {
        self.with_label.get(at).copied().unwrap_or_default()
    }

    /// Labels of those rows that lack one of the kept ones: some of them, sorted.
    pub fn strange(&self) -> &[String] {
        &self.strange
    }

    /// The same rows of a query that keeps all labels, kept by the values of these.
    #[must_use]
    pub fn by(&self, labels: Vec<String>) -> Rows {
        let mut rows = Builder::new(Labels::Keys(labels), usize::MAX);
        for sample in self.whole() {
            rows.keep(sample.clone());
        }
        rows.finish(self.head)
    }

    /// Whether there is a row whose first kept labels have these values.
    pub fn has(&self, values: &[&str]) -> bool {
        !self.search().beginning_with(values).1.is_empty()
    }

    /// For who looks for the rows of several objects.
    pub fn search(&self) -> Search<'_> {
        Search {
            rows: self,
            wanted: Vec::with_capacity(64),
            next: 0,
        }
    }
}

/// Finds the rows of one object after another, faster where they stand beside each other: as those
/// of the pods of one workload do, asked for in the order of their names.
#[derive(Debug)]
pub struct Search<'a> {
    rows: &'a Rows,
    /// The key that is looked for.
    wanted: Vec<u8>,
    /// What follows the rows that were found last.
    next: usize,
}

impl<'a> Search<'a> {
    /// The rows whose first kept labels have these values, each with the values of the others.
    /// Those that agree in them stand together, in the server's order.
    pub fn under(
        &mut self,
        values: &[&str],
    ) -> impl Iterator<Item = (Values<'a>, Point)> + use<'a> {
        let (text, rows) = self.beginning_with(values);
        let key_bytes = key_bytes(values);
        rows.iter().map(move |row| {
            let rest = text.get(row.from + key_bytes..row.to);
            (Values(rest.unwrap_or_default()), row.point)
        })
    }

    fn beginning_with(&mut self, values: &[&str]) -> (&'a [u8], &'a [Keyed]) {
        let Content::Keyed { text, rows } = &self.rows.content else {
            return (&[], &[]);
        };
        self.wanted.clear();
        for value in values {
            write_key(&mut self.wanted, value);
        }
        let wanted = self.wanted.as_slice();
        let key = |row: &Keyed| &text[row.from..row.to];
        let begins = |at: usize| rows.get(at).is_some_and(|row| key(row).starts_with(wanted));
        // Keys in the order of their bytes: those that begin alike stand together.
        let is_next = begins(self.next) && !self.next.checked_sub(1).is_some_and(begins);
        let first = match is_next {
            true => self.next,
            false => rows.partition_point(|row| key(row) < wanted),
        };
        // A few of them: each step of another search would go far away in memory.
        let end = (first..rows.len()).find(|&at| !begins(at));
        self.next = end.unwrap_or(rows.len());
        (text, &rows[first..self.next])
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
    with_label: Vec<usize>,
    strange: BTreeSet<String>,
}

/// Labels of rows that lack one: so many of them are told.
const STRANGE_MAX: usize = 12;

impl Builder {
    /// Keeps these labels of at most so many rows.
    pub fn new(labels: Labels, rows_max: usize) -> Builder {
        let kept = match &labels {
            Labels::All => 0,
            Labels::Keys(keys) => keys.len(),
        };
        Builder {
            with_label: vec![0; kept],
            labels,
            rows_max,
            whole: Vec::new(),
            text: Vec::new(),
            keyed: Vec::new(),
            strange: BTreeSet::new(),
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
        self.keep(sample);
        Ok(())
    }

    fn keep(&mut self, sample: Sample) {
        let Labels::Keys(keys) = &self.labels else {
            self.whole.push(sample);
            return;
        };
        let from = self.text.len();
        let mut is_whole = true;
        for (key, count) in keys.iter().zip(&mut self.with_label) {
            let value = sample.labels.iter().find(|(name, _)| name == key);
            let value = value.map_or("", |(_, value)| value.as_str());
            is_whole &= !value.is_empty();
            *count += usize::from(!value.is_empty());
            write_key(&mut self.text, value);
        }
        let point = Point::from(&sample);
        let to = self.text.len();
        self.keyed.push(Keyed { from, to, point });
        if !is_whole && self.strange.len() < STRANGE_MAX {
            let room = STRANGE_MAX - self.strange.len();
            let names = sample.labels.into_iter().map(|(name, _)| name);
            self.strange.extend(names.take(room));
        }
    }

    /// The rows, ready to be found.
    pub fn finish(self, head: Head) -> Rows {
        let Builder {
            labels,
            mut whole,
            mut text,
            keyed: mut rows,
            with_label,
            strange,
            ..
        } = self;
        let strange: Vec<String> = strange.into_iter().collect();
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
        let told: usize = strange
            .iter()
            .map(|name| size_of::<String>() + name.len())
            .sum();
        Rows {
            head,
            content,
            with_label,
            strange,
            bytes: bytes + told + size_of::<Rows>(),
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

fn key_bytes(values: &[&str]) -> usize {
    values.iter().map(|value| LENGTH_BYTES + value.len()).sum()
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
mod tests;
