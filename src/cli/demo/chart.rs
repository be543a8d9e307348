//! The charts as rows of text. Pure: a record in, rows of exactly so many columns out.

use super::record::{Moment, Record, axis, clock, ticks};

/// Columns left of the bars.
const LABELS: usize = 17;

/// Rows of the charts that have some.
const HEIGHT: usize = 4;

/// Levels of one cell, from empty to full.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a chart is about; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Load,
    PerReplica,
    Replicas,
    Latency,
    Plain,
}

/// One row: `label` and `cells` have as many columns as were asked for, together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) cells: String,
    pub(super) ink: Ink,
}

/// What the charts are drawn for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Columns of a row.
    pub(super) width: usize,
    /// Seconds from the left to the right end.
    pub(super) span: f64,
    /// Requests a second of a replica that the autoscaler wants.
    pub(super) target: f64,
    /// Replicas that there may be.
    pub(super) replicas: (u32, u32),
}

/// All charts, one below the other, over one axis of time: 17 rows.
pub(super) fn rows(record: &Record, frame: &Frame) -> Vec<Row> {
    let now = record.now();
    let (least, most) = frame.replicas;
    let load = Bars {
        value: |moment| moment.load,
        top: axis(record.most(|moment| moment.load).max(10.0)),
        line: None,
        ink: Ink::Load,
        labels: ["load", "requests/s", &format!("now {:.0}", now.load)],
    };
    let per_replica = Bars {
        value: |moment| moment.per_replica,
        top: axis(
            record
                .most(|moment| moment.per_replica)
                .max(frame.target * 1.5),
        ),
        line: Some(frame.target),
        ink: Ink::PerReplica,
        labels: [
            "per replica",
            &format!("target {:.0} ┄", frame.target),
            &format!("now {:.1}", now.per_replica),
        ],
    };
    let replicas = Bars {
        value: |moment| moment.replicas,
        top: f64::from(most),
        line: None,
        ink: Ink::Replicas,
        labels: [
            "replicas",
            &format!("{least} to {most}"),
            &format!("now {:.0}", now.replicas),
        ],
    };
    let mut rows = load.rows(record, frame);
    rows.extend(per_replica.rows(record, frame));
    rows.extend(replicas.rows(record, frame));
    rows.extend(latency(record, frame));
    rows.push(marks(record, frame));
    rows.push(time_axis(frame));
    rows
}

/// A chart of bars.
struct Bars<'a> {
    value: fn(&Moment) -> f64,
    /// The value of a full bar.
    top: f64,
    /// A value to compare with, as a dotted line behind the bars.
    line: Option<f64>,
    ink: Ink,
    labels: [&'a str; 3],
}

impl Bars<'_> {
    fn rows(&self, record: &Record, frame: &Frame) -> Vec<Row> {
        let columns = columns(record, frame, self.value);
        let row = |from_top: usize| {
            let below = HEIGHT - 1 - from_top;
            let cells = columns.iter().map(|value| self.cell(*value, below));
            let name = match from_top {
                0 => self.labels[0],
                1 => self.labels[1],
                3 => self.labels[2],
                _ => "",
            };
            let number = match from_top {
                0 => format!("{:.0}┤", self.top),
                3 => "0┤".to_owned(),
                _ => "│".to_owned(),
            };
            Row {
                label: label(name, &number),
                cells: cells.collect(),
                ink: self.ink,
            }
        };
        (0..HEIGHT).map(row).collect()
    }

    /// The cell above `below` other rows.
    fn cell(&self, value: Option<f64>, below: usize) -> char {
        let filled = value.map_or(' ', |value| bar(value / self.top, below));
        let line = self
            .line
            .is_some_and(|line| row_of(line / self.top) == below);
        if filled == ' ' && line { '┄' } else { filled }
    }
}

/// Two rows of bars on one scale: the median, and what one in a hundred exceeds.
fn latency(record: &Record, frame: &Frame) -> Vec<Row> {
    let top = axis(record.most(|moment| moment.p99));
    let row = |name: &str, value: fn(&Moment) -> f64| {
        let cells = columns(record, frame, value);
        let cells = cells
            .into_iter()
            .map(|value| value.map_or(' ', |value| single(value / top)));
        let now = value(&record.now());
        Row {
            label: label(&format!("{name} now {now:.0} ms"), "│"),
            cells: cells.collect(),
            ink: Ink::Latency,
        }
    };
    vec![
        row("p50", |moment| moment.p50),
        row("p99", |moment| moment.p99),
    ]
}

/// Where the autoscaler decided: up or down.
fn marks(record: &Record, frame: &Frame) -> Row {
    let mut cells = vec![' '; frame.width.saturating_sub(LABELS)];
    let columns = cells.len();
    for decision in &record.decisions {
        let at = column_of(decision.at, columns, frame.span);
        if let Some(cell) = at.and_then(|at| cells.get_mut(at)) {
            *cell = if decision.to > decision.from {
                '▲'
            } else {
                '▼'
            };
        }
    }
    Row {
        label: label("decisions", "│"),
        cells: cells.into_iter().collect(),
        ink: Ink::Replicas,
    }
}

fn time_axis(frame: &Frame) -> Row {
    let columns = frame.width.saturating_sub(LABELS);
    let apart = ticks(frame.span);
    let mut cells = vec![' '; columns];
    let times = (0_u32..).map(|count| f64::from(count) * apart);
    for at in times.take_while(|at| *at < frame.span) {
        let Some(column) = column_of(at, columns, frame.span) else {
            continue;
        };
        // One that would be cut is left out.
        let tick: Vec<char> = format!("└{}", clock(at)).chars().collect();
        if let Some(room) = cells.get_mut(column..column + tick.len()) {
            room.copy_from_slice(&tick);
        }
    }
    Row {
        label: " ".repeat(LABELS),
        cells: cells.into_iter().collect(),
        ink: Ink::Plain,
    }
}

/// In which column a time is.
fn column_of(at: f64, columns: usize, span: f64) -> Option<usize> {
    (0..columns).find(|column| at < end_of(*column, columns, span))
}

/// `name` at the left, `number` at the right.
fn label(name: &str, number: &str) -> String {
    let room = LABELS.saturating_sub(1 + number.chars().count());
    let name: String = name.chars().take(room).collect();
    format!(" {name:<room$}{number}")
}

/// When the time of a column ends, in seconds.
fn end_of(column: usize, columns: usize, span: f64) -> f64 {
    span * number(column + 1) / number(columns)
}

/// The value of each column: the largest of its moments, or the one before where there is none;
/// nothing before the first and after the last moment.
fn columns(record: &Record, frame: &Frame, value: fn(&Moment) -> f64) -> Vec<Option<f64>> {
    let count = frame.width.saturating_sub(LABELS);
    let mut moments = record.moments.iter().peekable();
    let mut last = None;
    let column = |column| {
        let end = end_of(column, count, frame.span);
        let mut most: Option<f64> = None;
        while let Some(moment) = moments.next_if(|moment| moment.at <= end) {
            last = Some(value(moment));
            most = Some(most.map_or(value(moment), |most| most.max(value(moment))));
        }
        let over = moments.peek().is_none();
        most.or(last.filter(|_| !over))
    };
    (0..count).map(column).collect()
}

/// The cell of a bar of `HEIGHT` rows that is full to `share` of 1, above `below` other cells.
fn bar(share: f64, below: usize) -> char {
    let eighths = eighths(share, HEIGHT);
    LEVELS[eighths.saturating_sub(8 * below).min(8)]
}

/// A bar of one row. What is there can be seen.
fn single(share: f64) -> char {
    LEVELS[eighths(share, 1).clamp(1, 8)]
}

/// In which row, counted from below, a value stands.
fn row_of(share: f64) -> usize {
    (eighths(share, HEIGHT).saturating_sub(1) / 8).min(HEIGHT - 1)
}

/// How many eighths of rows a bar fills; whatever is more than nothing fills one.
fn eighths(share: f64, rows: usize) -> usize {
    let filled = share * number(8 * rows);
    let whole = (1..=8 * rows).take_while(|count| filled >= number(*count) - 0.5);
    whole.count().max(usize::from(share > 0.0))
}

/// Columns and rows are few.
fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests;
