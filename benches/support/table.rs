//! Figures as people read them: the middle of all rounds, and between what they lay.

use std::fmt::Write as _;
use std::time::Duration;

/// A table of Markdown; the first line is its head.
pub fn table(lines: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            write!(text, "| {cell:width$} ").unwrap();
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                write!(text, "|{}", "-".repeat(width + 2)).unwrap();
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Prints a report and keeps it as `benches/results/latest-NAME.md`.
pub fn keep(name: &str, report: &str) {
    println!("{report}");
    let path = format!(
        "{}/benches/results/latest-{name}.md",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
    std::fs::write(&path, report).unwrap();
    println!("kept in {path}");
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = u64>) -> u64 {
    let values = sorted(values);
    values[values.len() / 2]
}

/// `median (least–most)`, or the one value that all rounds had.
pub fn spread(values: impl IntoIterator<Item = u64>, show: fn(u64) -> String) -> String {
    let values = sorted(values);
    let (least, most) = (values[0], values[values.len() - 1]);
    let (least, middle, most) = (show(least), show(values[values.len() / 2]), show(most));
    if least == most {
        return middle;
    }
    format!("{middle} ({least}–{most})")
}

fn sorted(values: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<u64> = values.into_iter().collect();
    values.sort_unstable();
    values
}

/// Of a time that is shorter than centuries.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("no round takes centuries")
}

/// Decimal units, as everybody writes them of a wire; an exact count where it is small.
pub fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{} B", thousands(count)),
        10_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// Nanoseconds as milliseconds.
pub fn milliseconds(nanoseconds: u64) -> String {
    let value = nanoseconds as f64 / 1e6;
    let places = match value {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.places$} ms")
}

/// With a comma after each three digits.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
