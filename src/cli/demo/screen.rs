//! The terminal: charts that are drawn in place, or plain lines where there is no terminal.
//!
//! A frame is one write: the cursor goes up to where the last frame began, and each line is cleared
//! before it is written. So nothing flickers, and when the demo ends the
//! last frame stays where it is, in the terminal's history.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use super::chart::{self, Frame, Ink, Row};
use super::record::{Decision, Moment, Record, clock};

/// The smallest terminal that the charts are drawn for.
const COLUMNS: usize = 80;
const LINES: usize = 24;

/// The widest that they are drawn.
const COLUMNS_MOST: usize = 120;

/// The last decisions that are shown.
const DECISIONS: usize = 4;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What stands above and below the charts.
pub(super) struct Captions<'a> {
    pub(super) stage: &'a str,
    /// What the autoscaler says that it does now.
    pub(super) autoscaler: &'a str,
    pub(super) footer: &'a str,
}

pub(super) struct Screen {
    /// Whether there is a terminal that is drawn on.
    live: bool,
    /// How many lines the last frame has, if it was the last that was written.
    drawn: usize,
    /// The size that it was drawn for.
    size: (usize, usize),
    /// When the last plain line was written.
    last_line: Option<Instant>,
    /// How many decisions were told in plain lines, and which stage.
    told: usize,
    stage: String,
}

impl Screen {
    pub(super) fn new(plain: bool) -> Screen {
        let terminal = std::io::stdout().is_terminal() && !plain;
        Screen {
            live: terminal && size().is_some_and(fits),
            drawn: 0,
            size: (0, 0),
            last_line: None,
            told: 0,
            stage: String::new(),
        }
    }

    /// Writes a line, below whatever is there.
    ///
    /// # Errors
    /// When nobody reads, as behind `| head`.
    pub(super) fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.drawn = 0;
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()
    }

    /// Shows how it is now.
    ///
    /// # Errors
    /// As of [`Screen::say`].
    pub(super) fn show(
        &mut self,
        record: &Record,
        frame: &Frame,
        captions: &Captions,
    ) -> std::io::Result<()> {
        if !self.live {
            return self.tell(record, captions);
        }
        // A terminal that has become too small shows the last frame until it is large again.
        let Some(size) = size().filter(|size| fits(*size)) else {
            // It may have wrapped what stands there.
            self.size = (0, 0);
            return Ok(());
        };
        let mut text = String::from("\x1b[?2026h");
        if self.drawn > 0 && size != self.size {
            // What was drawn may be wrapped now, so nobody knows where it began.
            text += "\x1b[2J\x1b[H";
        } else if self.drawn > 0 {
            text += &format!("\x1b[{}A\r", self.drawn);
        }
        let width = size.0.min(COLUMNS_MOST);
        let lines = lines(record, &Frame { width, ..*frame }, captions);
        text += &lines.iter().map(painted).collect::<String>();
        text += "\x1b[?2026l";
        (self.drawn, self.size) = (lines.len(), size);
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// The charts of the whole run as they are, for those who have seen lines only.
    ///
    /// # Errors
    /// As of [`Screen::say`].
    pub(super) fn show_whole(
        &mut self,
        record: &Record,
        frame: &Frame,
        captions: &Captions,
    ) -> std::io::Result<()> {
        if self.live {
            return self.show(record, frame, captions);
        }
        let width = COLUMNS;
        for row in lines(record, &Frame { width, ..*frame }, captions) {
            self.say(format!("{}{}", row.label, row.cells).trim_end())?;
        }
        Ok(())
    }

    fn tell(&mut self, record: &Record, captions: &Captions) -> std::io::Result<()> {
        for decision in record.decisions.iter().skip(self.told) {
            self.say(&in_words(decision))?;
        }
        self.told = record.decisions.len();
        if self.stage != captions.stage {
            self.stage = captions.stage.to_owned();
            self.say(&format!(" {}  {}", clock(record.now().at), captions.stage))?;
        }
        let due = |last: Instant| last.elapsed() >= LINE_EVERY;
        if self.last_line.is_none_or(due) {
            self.last_line = Some(Instant::now());
            self.say(&in_numbers(record.now()))?;
        }
        Ok(())
    }
}

/// A row, written over whatever stands in its line. That is cleared before: behind a row of all
/// columns the cursor still stands on the last of them, which would go.
fn painted(row: &Row) -> String {
    let (label, cells) = (&row.label, &row.cells);
    match colour(row.ink) {
        Some(colour) => format!("\r\x1b[2K{label}\x1b[{colour}m{cells}\x1b[0m\n"),
        None => format!("\r\x1b[2K{label}{cells}\n"),
    }
}

/// A whole frame: caption, charts, the last decisions, footer. Each row has as many columns as the
/// frame at most.
fn lines(record: &Record, frame: &Frame, captions: &Captions) -> Vec<Row> {
    let plain = |text: &str| Row {
        label: text.chars().take(frame.width).collect(),
        cells: String::new(),
        ink: Ink::Plain,
    };
    let at = clock(record.now().at);
    let mut lines = vec![plain(&format!(" {at}  {}", captions.stage))];
    lines.extend(chart::rows(record, frame));
    let last = record.decisions.len().saturating_sub(DECISIONS);
    let mut decisions = record.decisions.iter().skip(last);
    for _ in 0..DECISIONS {
        let words = decisions.next().map(in_words);
        lines.push(plain(&words.unwrap_or_default()));
    }
    lines.push(plain(&format!(" now:  {}", captions.autoscaler)));
    lines.push(plain(&format!(" {}", captions.footer)));
    lines
}

/// A decision in a line.
pub(super) fn in_words(decision: &Decision) -> String {
    let Decision {
        at,
        from,
        to,
        reason,
    } = decision;
    format!(" {}  {from} → {to}  {reason}", clock(*at))
}

/// A moment in a line.
fn in_numbers(now: Moment) -> String {
    format!(
        " {}  {:>3.0} requests/s, {:>4.1} per replica, {:.0} replicas, p50 {:.0} ms, p99 {:.0} ms",
        clock(now.at),
        now.load,
        now.per_replica,
        now.replicas,
        now.p50,
        now.p99,
    )
}

/// Of the 16 colours, which every terminal's theme has chosen for its background.
fn colour(ink: Ink) -> Option<u8> {
    match ink {
        Ink::Load => Some(34),
        Ink::PerReplica => Some(36),
        Ink::Replicas => Some(32),
        Ink::Latency => Some(35),
        Ink::Plain => None,
    }
}

/// Columns and lines of the terminal.
fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some((size.ws_col.into(), size.ws_row.into()))
}

fn fits((columns, lines): (usize, usize)) -> bool {
    columns >= COLUMNS && lines >= LINES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cleared_before_a_row_and_not_behind_its_last_column() {
        let row = |ink| Row {
            label: "load ".to_owned(),
            cells: "▁▂".to_owned(),
            ink,
        };
        assert_eq!(painted(&row(Ink::Plain)), "\r\x1b[2Kload ▁▂\n");
        let coloured = "\r\x1b[2Kload \x1b[34m▁▂\x1b[0m\n";
        assert_eq!(painted(&row(Ink::Load)), coloured);
    }

    #[test]
    fn a_frame_fits_into_the_smallest_terminal_with_a_line_left_for_the_cursor() {
        let decision = Decision {
            at: 3.0,
            from: 2,
            to: 4,
            reason: "long ".repeat(50),
        };
        let record = Record {
            decisions: vec![decision; 9],
            ..Record::default()
        };
        let frame = Frame {
            width: COLUMNS,
            span: 90.0,
            target: 20.0,
            replicas: (2, 8),
        };
        let captions = Captions {
            stage: &"x".repeat(200),
            autoscaler: &"y".repeat(200),
            footer: &"z".repeat(200),
        };
        let lines = lines(&record, &frame, &captions);
        assert!(lines.len() < LINES, "{}", lines.len());
        for row in lines {
            let columns = row.label.chars().count() + row.cells.chars().count();
            assert!(columns <= COLUMNS, "{row:?}");
        }
    }
}
