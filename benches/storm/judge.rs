//! Is this answer right? Speed must not be bought with wrong numbers.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::Value;

use super::ask::Ask;
use super::population::{GAUGE, Pod, Size};
use super::round::Answer;
use super::support::protobuf;
use super::world::World;

/// Clocks that show whole seconds, scrapes that come late, and a machine that is busy.
const SLACK: Duration = Duration::from_secs(3);
/// How old an answer may be and count as now: the time to live of samples, and what is rounded.
const FRESH: Duration = Duration::from_secs(7);
/// For how much longer an answer may be given while Prometheus is away (`--stale-grace`).
pub const GRACE: Duration = Duration::from_secs(60);
/// The oldest answer there may be.
const OLDEST: Duration = FRESH.saturating_add(GRACE);

/// What an answer is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// All pods, their values, and as of now.
    Right,
    /// All pods and their values a while ago, with the time they are from.
    Stale,
    /// 503 or 504 that says why.
    Refused,
    /// Another error.
    Failed,
    /// No pod.
    Empty,
    /// 404.
    NotFound,
    /// A pod has 0.
    Zero,
    /// Other pods or other values, or a time that they are not from.
    Wrong,
}

/// How many of each there were, and what was said.
#[derive(Default)]
pub struct Tally {
    counts: BTreeMap<Verdict, usize>,
    /// The first of each that is not right.
    words: BTreeMap<Verdict, String>,
    /// The age of the oldest values, for which nobody is to blame.
    pub oldest: Duration,
}

/// Who says so.
pub struct Judge {
    size: Size,
    began: SystemTime,
    /// How much older a value may be than the time that Prometheus gives for it.
    lag: Duration,
    /// Rates may be too low: Prometheus has seen only part of their range.
    gaps: bool,
    read: HashMap<(u64, Bytes), Result<Vec<Item>, String>>,
}

/// One pod of an answer.
struct Item {
    namespace: String,
    name: String,
    value: f64,
    at: SystemTime,
}

impl Verdict {
    pub const ALL: [Verdict; 8] = [
        Verdict::Right,
        Verdict::Stale,
        Verdict::Refused,
        Verdict::Failed,
        Verdict::Empty,
        Verdict::NotFound,
        Verdict::Zero,
        Verdict::Wrong,
    ];

    /// As the head of a column.
    pub fn title(self) -> &'static str {
        match self {
            Verdict::Right => "right",
            Verdict::Stale => "stale",
            Verdict::Refused => "503, 504",
            Verdict::Failed => "other error",
            Verdict::Empty => "empty",
            Verdict::NotFound => "404",
            Verdict::Zero => "zero",
            Verdict::Wrong => "wrong",
        }
    }

    /// Whether an autoscaler could do harm with it.
    pub fn harms(self) -> bool {
        matches!(
            self,
            Verdict::Empty | Verdict::NotFound | Verdict::Zero | Verdict::Wrong
        )
    }
}

impl Tally {
    /// How many were so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.counts.get(&verdict).copied().unwrap_or_default()
    }

    /// How many there were.
    pub fn all(&self) -> usize {
        self.counts.values().sum()
    }

    /// How many were harmful.
    pub fn harmful(&self) -> usize {
        let counts = self.counts.iter().filter(|(verdict, _)| verdict.harms());
        counts.map(|(_, count)| count).sum()
    }

    /// What was said first of each kind that is neither right nor stale.
    pub fn words(&self) -> impl Iterator<Item = (Verdict, &str)> {
        let words = self.words.iter();
        words.map(|(verdict, words)| (*verdict, words.as_str()))
    }

    /// One more.
    pub fn add(&mut self, verdict: Verdict, age: Duration, words: String) {
        *self.counts.entry(verdict).or_default() += 1;
        self.oldest = self.oldest.max(age);
        if !words.is_empty() {
            self.words.entry(verdict).or_insert(words);
        }
    }

    /// All of another one.
    pub fn absorb(&mut self, other: Tally) {
        for (verdict, count) in other.counts {
            *self.counts.entry(verdict).or_default() += count;
        }
        for (verdict, words) in other.words {
            self.words.entry(verdict).or_insert(words);
        }
        self.oldest = self.oldest.max(other.oldest);
    }
}

impl Judge {
    /// One for a world where Prometheus is there, or was away for so long.
    pub fn of(world: &World, away: Option<Duration>) -> Judge {
        Judge {
            size: world.size,
            began: world.began,
            lag: world.size.scrape + SLACK + away.unwrap_or_default(),
            gaps: away.is_some(),
            read: HashMap::new(),
        }
    }

    /// All answers of a round.
    pub fn tally(&mut self, asks: &[Ask], answers: &[Answer]) -> Tally {
        let mut tally = Tally::default();
        for answer in answers {
            let (verdict, age, words) = self.judge(&asks[answer.ask], answer);
            tally.add(verdict, age, words);
        }
        // What the next round answers is not likely to be the same bytes.
        self.read.clear();
        tally
    }

    /// One answer: what it is, how old its values are, and what is to be said of it.
    pub fn judge(&mut self, ask: &Ask, answer: &Answer) -> (Verdict, Duration, String) {
        let none = Duration::ZERO;
        let (status, body) = match &answer.got {
            Ok((status, body)) => (*status, body),
            Err(error) => return (Verdict::Failed, none, error.clone()),
        };
        if status != StatusCode::OK {
            let message = message(body);
            let verdict = match status.as_u16() {
                404 => Verdict::NotFound,
                503 | 504 if message.contains("rometheus") => Verdict::Refused,
                _ => Verdict::Failed,
            };
            return (verdict, none, format!("{status}: {message}"));
        }
        let key = (answer.ask as u64, body.clone());
        let items = self.read.entry(key).or_insert_with(|| items(body));
        let items = match items {
            Ok(items) => items,
            Err(reason) => return (Verdict::Wrong, none, reason.clone()),
        };
        let expected = Expected {
            size: self.size,
            began: self.began,
            lag: self.lag,
            gaps: self.gaps,
            ask,
        };
        expected.judge(items, answer.came)
    }
}

struct Expected<'a> {
    size: Size,
    began: SystemTime,
    lag: Duration,
    gaps: bool,
    ask: &'a Ask,
}

impl Expected<'_> {
    fn judge(&self, items: &[Item], came: SystemTime) -> (Verdict, Duration, String) {
        let none = Duration::ZERO;
        let mut age = none;
        let Some(first) = items.first() else {
            return (Verdict::Empty, none, "no items".to_owned());
        };
        if let Some(zero) = items.iter().find(|item| item.value == 0.0) {
            return (Verdict::Zero, none, format!("{} has 0", zero.name));
        }
        if items.len() != self.ask.pods.len() {
            let words = format!("{} pods, of which {}", items.len(), first.name);
            return (Verdict::Wrong, none, words);
        }
        for pod in &self.ask.pods {
            let (namespace, name) = (pod.namespace(), pod.name());
            let mut found = items.iter().filter(|item| item.name == name);
            let (Some(item), None) = (found.next(), found.next()) else {
                return (Verdict::Wrong, none, format!("not once {name}"));
            };
            if item.namespace != namespace {
                let words = format!("{name} of {}, not {namespace}", item.namespace);
                return (Verdict::Wrong, none, words);
            }
            if let Err(reason) = self.value(*pod, item) {
                return (Verdict::Wrong, none, format!("{namespace}/{name} {reason}"));
            }
            if item.at > came + SLACK {
                return (Verdict::Wrong, none, format!("{name} is from the future"));
            }
            age = age.max(came.duration_since(item.at).unwrap_or_default());
        }
        let verdict = match age {
            age if age <= FRESH => Verdict::Right,
            age if age <= OLDEST => Verdict::Stale,
            _ => return (Verdict::Wrong, age, format!("{age:.0?} old")),
        };
        (verdict, age, String::new())
    }

    /// Whether a pod's value is its own, and from the time it says.
    fn value(&self, pod: Pod, item: &Item) -> Result<(), String> {
        let value = item.value;
        if self.ask.metric != GAUGE {
            let (rate, error) = (self.size.rate(pod), self.size.rate_error());
            let (least, most) = (if self.gaps { 0.0 } else { 1.0 - error }, 1.0 + error);
            return match value / rate {
                share if share > least && share < most => Ok(()),
                _ => Err(format!("has a rate of {value} instead of {rate}")),
            };
        }
        // The values are whole and far below where a float is not.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let second = self.size.second(pod, value as u64);
        let from = self.began + second.ok_or_else(|| format!("never had {value}"))?;
        match item.at.duration_since(from) {
            Ok(lag) if lag > self.lag => Err(format!("is {lag:.0?} older than it says")),
            Err(ahead) if ahead.duration() > SLACK => Err("is newer than it says".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The text of a `Status`, or what there is instead.
fn message(body: &[u8]) -> String {
    let status = document(body).unwrap_or_default();
    match status["message"].as_str() {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    }
}

fn document(body: &[u8]) -> Result<Value, String> {
    match body.starts_with(b"k8s\0") {
        true => protobuf::decode(body),
        false => serde_json::from_slice(body).map_err(|error| error.to_string()),
    }
}

fn items(body: &[u8]) -> Result<Vec<Item>, String> {
    let list = document(body)?;
    let items = list["items"].as_array().into_iter().flatten();
    let items = items.map(|item| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let at: jiff::Timestamp = text(&item["timestamp"])
            .parse()
            .map_err(|error| format!("{item}: {error}"))?;
        Ok(Item {
            namespace: text(&item["describedObject"]["namespace"]),
            name: text(&item["describedObject"]["name"]),
            value: quantity(&text(&item["value"])).ok_or_else(|| format!("no value: {item}"))?,
            at: at.into(),
        })
    });
    items.collect()
}

/// A quantity as a number (apimachinery `resource.Quantity`). An absent one is zero.
fn quantity(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        _ => return None,
    };
    match digits {
        "" => Some(0.0),
        digits => digits.parse::<f64>().ok().map(|number| number * factor),
    }
}
