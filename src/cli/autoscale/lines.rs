//! Lines to whoever reads them, who may be stuck, or gone: neither is a reason to stop scaling.

use std::io::Write;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Lines that wait for their reader; one more is left out.
const WAITING_MAX: usize = 1024;

/// Writes lines in a thread of its own.
#[derive(Debug)]
pub(super) struct Lines {
    sender: SyncSender<String>,
    writer: JoinHandle<()>,
    /// Whether the last line was left out.
    is_full: bool,
}

impl Lines {
    /// Those that go `to` this.
    pub(super) fn new(mut to: impl Write + Send + 'static) -> std::io::Result<Lines> {
        let (sender, lines) = sync_channel::<String>(WAITING_MAX);
        let writer = Builder::new().name("lines".to_owned()).spawn(move || {
            for line in lines {
                // A reader that has gone (`| head`) misses nothing.
                let _ = writeln!(to, "{line}").and_then(|()| to.flush());
            }
        })?;
        Ok(Lines {
            sender,
            writer,
            is_full: false,
        })
    }

    /// Writes a line, or leaves it out where too many wait; whether it is written.
    pub(super) fn print(&mut self, line: String) -> bool {
        let is_full = matches!(self.sender.try_send(line), Err(TrySendError::Full(_)));
        match (self.is_full, is_full) {
            (false, true) => {
                tracing::warn!("nobody reads standard output: lines are left out");
            }
            (true, false) => tracing::info!("standard output is read again"),
            _ => {}
        }
        self.is_full = is_full;
        !is_full
    }

    /// Waits until all are written.
    pub(super) fn finish(self) {
        drop(self.sender);
        // One that has panicked writes no more.
        let _ = self.writer.join();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn lines_come_in_their_order_and_all_are_written_at_the_end() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut lines = Lines::new(writer).unwrap();
        assert!(lines.print("one".to_owned()) && lines.print("two".to_owned()));
        lines.finish();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn a_reader_that_is_stuck_holds_nobody_up_and_misses_what_is_too_much() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut lines = Lines::new(writer).unwrap();
        // More than any pipe holds.
        let long = "x".repeat(1 << 10);
        let taken = (0..2 * WAITING_MAX).filter(|_| lines.print(long.clone()));
        let taken = taken.count();
        // The pipe holds some more.
        assert!((WAITING_MAX..2 * WAITING_MAX).contains(&taken), "{taken}");
        let read = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        lines.finish();
        let text = read.join().unwrap().unwrap();
        assert_eq!(text.lines().count(), taken);
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut lines = Lines::new(writer).unwrap();
        assert!(lines.print("one".to_owned()) && lines.print("two".to_owned()));
        lines.finish();
    }
}
