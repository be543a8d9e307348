//! An explanation for people.

use crate::api::explain::{Explanation, State, Step};

/// How far the text of a step stands from the left.
const INDENT: &str = "    ";

/// The explanation as text, with colours for a terminal.
pub(super) fn shown(title: Option<&str>, it: &Explanation, color: bool) -> String {
    let paint = Paint(color);
    let mut text = String::new();
    if let Some(title) = title {
        text += &format!("{}\n", paint.bold(title));
    }
    if !it.path.is_empty() {
        text += &format!("GET {}\n", printable(&it.path));
    }
    let (mark, code) = (paint.mark(verdict(it)), it.code);
    let message = printable(&it.message);
    text += &format!("{mark} {} {message}\n", paint.bold(&code.to_string()));
    if let Some(cause) = it.cause {
        let (slug, meaning) = (paint.bold(cause.slug()), cause.meaning());
        text += &format!("  {slug}: {meaning}\n");
    }
    text.push('\n');
    for step in &it.steps {
        text += &of_step(step, &paint);
    }
    if !it.advice.is_empty() {
        text += &format!("\n{}\n", paint.bold("What to do"));
        for advice in &it.advice {
            text += &format!("  - {}\n", printable(advice));
        }
    }
    text
}

fn verdict(it: &Explanation) -> State {
    match it.served {
        true => State::Well,
        false => State::Wrong,
    }
}

fn of_step(step: &Step, paint: &Paint) -> String {
    let (mark, title) = (paint.mark(step.state), paint.bold(&step.title));
    let told = match step.state {
        State::Skipped => paint.dim(&step.text),
        State::Well | State::Note | State::Wrong => printable(&step.text),
    };
    let mut text = format!("{mark} {title}: {told}\n");
    for line in &step.lines {
        text += &format!("{INDENT}{}\n", printable(line));
    }
    for line in step.promql.iter().flat_map(|promql| promql.lines()) {
        text += &format!("{INDENT}{}\n", paint.code(line));
    }
    text
}

/// Puts colours into a text, or none.
struct Paint(bool);

impl Paint {
    fn mark(&self, state: State) -> String {
        match state {
            State::Well => self.with("32", "✓"),
            State::Note => self.with("33", "!"),
            State::Wrong => self.with("31", "✗"),
            State::Skipped => self.with("2", "·"),
        }
    }

    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn code(&self, text: &str) -> String {
        self.with("36", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\x1b[{code}m{}\x1b[0m", printable(text)),
            false => printable(text),
        }
    }
}

/// A text on one line, without characters that do something. What comes from Prometheus, a cluster
/// or a server must not write to the terminal by itself, nor turn the order of letters round.
fn printable(text: &str) -> String {
    let text = text.chars().map(|c| match c {
        '\t' | '\n' | '\r' => ' ',
        c => c,
    });
    text.filter(|c| !c.is_control() && !is_bidirectional(*c))
        .collect()
}

/// Whether it changes the direction of the text behind it (Unicode Standard Annex #9).
fn is_bidirectional(c: char) -> bool {
    let is_mark = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}');
    is_mark || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Cause;

    fn explanation() -> Explanation {
        Explanation {
            path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/hits".to_owned(),
            served: false,
            code: 404,
            message: "the server could not find the metric hits for pods: no rule makes it".into(),
            cause: Some(Cause::NoRule),
            usage: None,
            steps: vec![
                Step {
                    title: "Request".to_owned(),
                    state: State::Well,
                    text: "the custom metric hits of pods in shop".to_owned(),
                    lines: Vec::new(),
                    promql: None,
                },
                Step {
                    title: "rules".to_owned(),
                    state: State::Wrong,
                    text: "none of 2 rules has anything to do with hits".to_owned(),
                    lines: vec!["a line".to_owned()],
                    promql: Some("sum(a)\nby (b)".to_owned()),
                },
            ],
            advice: vec!["did you mean hit?".to_owned()],
        }
    }

    #[test]
    fn the_chain_is_told_from_top_to_bottom_with_what_to_do_at_the_end() {
        let expected = "\
hpa
GET /apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/hits
✗ 404 the server could not find the metric hits for pods: no rule makes it
  no-rule: No rule has anything to do with a metric of this name.

✓ Request: the custom metric hits of pods in shop
✗ rules: none of 2 rules has anything to do with hits
    a line
    sum(a)
    by (b)

What to do
  - did you mean hit?
";
        assert_eq!(shown(Some("hpa"), &explanation(), false), expected);
    }

    #[test]
    fn colours_are_for_terminals_and_nothing_else_reaches_them() {
        let mut it = explanation();
        let colored = shown(None, &it, true);
        assert!(colored.contains("\x1b[31m✗\x1b[0m"), "{colored}");
        // Whatever has it, wherever it stands.
        let evil = "a\x1b[2J\u{9b}2J\u{202e}b\nc\r\x07";
        let colors = shown(None, &it, true).matches('\x1b').count();
        it.path += evil;
        it.message += evil;
        it.advice[0] += evil;
        for step in &mut it.steps {
            step.title += evil;
            step.text += evil;
            step.lines.push(evil.to_owned());
            step.promql = Some(evil.to_owned());
        }
        it.steps[0].state = State::Skipped;
        for color in [false, true] {
            let text = shown(Some(evil), &it, color);
            assert!(!text.contains("\x1b[2J"), "{text:?}");
            let strange = |c: char| matches!(c, '\u{9b}' | '\u{202e}' | '\r' | '\x07');
            assert!(!text.contains(strange), "{text:?}");
            assert!(text.contains("a[2J2Jb c"), "{text:?}");
            assert_eq!(text.contains('\x1b'), color);
            assert!(!color || text.matches('\x1b').count() >= colors);
        }
    }

    #[test]
    fn what_has_no_path_has_no_line_for_it() {
        let mut it = explanation();
        it.path.clear();
        assert!(shown(None, &it, false).starts_with("✗ 404 the server"));
    }
}
