//! HTML as text that can only be written in two ways: markup that stands in this source, and text
//! from anywhere, which is escaped.

use std::fmt::{self, Write};

use jiff::Timestamp;

use super::words;

/// A document or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of ours.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Text, from whomever: it never becomes markup, also not inside quotes.
    pub(super) fn text(&mut self, text: impl fmt::Display) -> &mut Html {
        // Writing to a String does not fail.
        let _written = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// ` name="value"`; the value is text.
    pub(super) fn attribute(&mut self, name: &'static str, value: impl fmt::Display) -> &mut Html {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// A cell of a table; where there is no room for columns, `label` stands before it.
    pub(super) fn cell(
        &mut self,
        label: &'static str,
        class: &'static str,
        inside: impl FnOnce(&mut Html),
    ) -> &mut Html {
        self.raw("<td");
        if !class.is_empty() {
            self.attribute("class", class);
        }
        self.attribute("data-label", label).raw(">");
        inside(self);
        self.raw("</td>")
    }

    /// The head of a table: its caption, and a heading for each column; those of numbers end in
    /// `#`.
    pub(super) fn table(&mut self, caption: &str, columns: &[&'static str]) -> &mut Html {
        self.raw("<table><caption>")
            .text(caption)
            .raw("</caption><thead><tr>");
        for column in columns {
            match column.strip_suffix('#') {
                Some(column) => self.raw("<th scope=\"col\" class=\"n\">").raw(column),
                None => self.raw("<th scope=\"col\">").raw(column),
            };
            self.raw("</th>");
        }
        self.raw("</tr></thead><tbody>")
    }

    /// A moment, by how long ago it was; exactly for machines.
    pub(super) fn time(&mut self, then: Timestamp, now: Timestamp) -> &mut Html {
        self.raw("<time").attribute("datetime", then);
        self.attribute("title", words::moment(then)).raw(">");
        self.text(words::ago(then, now)).raw("</time>")
    }

    /// How many bytes were written.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Text on its way into HTML.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                // They make a line look like another one.
                c if c.is_control() || is_layout(c) => self.0.push('\u{FFFD}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Characters that turn the order of others around (Unicode TR 9), and that end a line or a
/// paragraph.
fn is_layout(c: char) -> bool {
    matches!(
        c,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    )
}
