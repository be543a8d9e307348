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
    text += &format!("GET {}\n", it.path);
    let (mark, code) = (paint.mark(verdict(it)), it.code);
    text += &format!("{mark} {} {}\n", paint.bold(&code.to_string()), it.message);
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
            text += &format!("  - {advice}\n");
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
    let mut text = format!("{mark} {title}: {}\n", step.text);
    if step.state == State::Skipped {
        text = paint.dim(text.trim_end()) + "\n";
    }
    for line in &step.lines {
        text += &format!("{INDENT}{line}\n");
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
            // What comes from Prometheus or a cluster must not write to the terminal by itself.
            true => format!("\x1b[{code}m{}\x1b[0m", printable(text)),
            false => printable(text),
        }
    }
}

/// A text without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
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
        it.steps[0].title = "Req\x1b[2Juest".to_owned();
        let colored = shown(None, &it, true);
        assert!(colored.contains("\x1b[31m✗\x1b[0m"), "{colored}");
        assert!(!colored.contains("\x1b[2J"), "{colored}");
        assert!(!shown(None, &it, false).contains('\x1b'));
    }
}
