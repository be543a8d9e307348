//! The whole run as a picture: four charts over one axis of time, and the decisions. Pure.
//!
//! It stands alone: no script, no font, no link. Its colours follow the reader's preference for
//! light or dark, and a screen reader is told what is to be seen.

use std::fmt::Write as _;

use super::record::{Moment, Record, axis, clock, ticks};

const WIDTH: f64 = 960.0;
/// Where the plots begin and end, from the left.
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Above the first panel.
const HEADER: f64 = 72.0;
/// A plot, and what is between two.
const PLOT: f64 = 104.0;
const GAP: f64 = 48.0;
/// A line of text in the list of decisions.
const LINE: f64 = 22.0;

/// No variables: viewers other than browsers do not know them.
const STYLE: &str = "\
svg { color-scheme: light dark }
text { fill: #1f2328; font: 13px system-ui, sans-serif }
.paper { fill: #fff } .quiet { fill: #59636e }
.end { text-anchor: end } .middle { text-anchor: middle }
.head { font-size: 20px; font-weight: 600 } .name { font-weight: 600 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.grid { stroke: #d1d9e0 } .target { stroke: #1f2328; stroke-dasharray: 2 4 }
.decision { stroke: #818b98; stroke-dasharray: 5 4 }
.load { stroke: #0969da } .each { stroke: #0f766e } .replicas { stroke: #1a7f37 }
.p50 { stroke: #8250df } .p99 { stroke: #bc4c00 }
tspan.p50 { fill: #8250df; stroke: none } tspan.p99 { fill: #bc4c00; stroke: none }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .paper { fill: #0d1117 } .quiet { fill: #9198a1 }
  .grid { stroke: #3d444d } .target { stroke: #f0f6fc } .decision { stroke: #656c76 }
  .load { stroke: #58a6ff } .each { stroke: #2dd4bf } .replicas { stroke: #3fb950 }
  .p50 { stroke: #bc8cff } .p99 { stroke: #f0883e }
  tspan.p50 { fill: #bc8cff } tspan.p99 { fill: #f0883e }
}
";

/// What the picture says beside the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture<'a> {
    /// What came of the run, in a sentence or two.
    pub(super) summary: &'a str,
    /// Requests a second of a replica that the autoscaler wants.
    pub(super) target: f64,
    /// Replicas that there may be at most.
    pub(super) replicas: u32,
}

/// The picture as an SVG document.
pub(super) fn draw(record: &Record, picture: &Picture) -> String {
    let span = record.now().at.max(1.0);
    let panels = panels(record, picture);
    let plots_end = HEADER + 4.0 * (PLOT + GAP) - GAP;
    let lines = u32::try_from(record.decisions.len()).map_or(0.0, f64::from);
    let height = plots_end + 72.0 + LINE * (lines + 1.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"head\" x=\"{LEFT}\" y=\"32\">{}</text>\n\
         <text class=\"quiet\" x=\"{LEFT}\" y=\"54\">{}</text>\n",
        escape(TITLE),
        escape(&in_words(record, picture)),
        escape(TITLE),
        escape(picture.summary),
    );
    for (panel, number) in panels.iter().zip(0_u32..) {
        let top = HEADER + f64::from(number) * (PLOT + GAP) + 20.0;
        svg += &panel.draw(record, span, top);
    }
    svg += &time_axis(span, plots_end + 20.0);
    svg += &decisions(record, span, plots_end);
    svg += "</svg>\n";
    svg
}

const TITLE: &str = "A load that swells and ebbs, and the replicas that follow it";

/// What the picture shows, for those who do not see it.
fn in_words(record: &Record, picture: &Picture) -> String {
    let mut words = format!(
        "Four charts over {} minutes. Requests per second rise to {:.0} and fall to {:.0}. \
         Requests per second of each replica rise to {:.0}, and return towards the target of \
         {:.0}. Replicas rise to {:.0} and end at {:.0}. The 99th percentile of latency is at most \
         {:.0} milliseconds.",
        clock(record.now().at),
        record.most(|moment| moment.load),
        record.now().load,
        record.most(|moment| moment.per_replica),
        picture.target,
        record.most(|moment| moment.replicas),
        record.now().replicas,
        record.most(|moment| moment.p99),
    );
    for decision in &record.decisions {
        let (at, from, to) = (clock(decision.at), decision.from, decision.to);
        let _ = write!(words, " At {at}, from {from} to {to}: {}.", decision.reason);
    }
    words
}

/// One chart.
struct Panel {
    name: &'static str,
    unit: &'static str,
    top: f64,
    lines: Vec<Line>,
    target: Option<f64>,
}

struct Line {
    name: &'static str,
    /// A class of the style.
    class: &'static str,
    value: fn(&Moment) -> f64,
    /// A value that holds until the next, rather than one that was on its way there.
    steps: bool,
}

fn panels(record: &Record, picture: &Picture) -> [Panel; 4] {
    let line = |name, class, value, steps| Line {
        name,
        class,
        value,
        steps,
    };
    [
        Panel {
            name: "Load",
            unit: "requests per second",
            top: axis(record.most(|moment| moment.load).max(10.0)),
            lines: vec![line("", "load", |moment| moment.load, false)],
            target: None,
        },
        Panel {
            name: "Load of each replica",
            unit: "requests per second; dotted: the target",
            top: axis(
                record
                    .most(|moment| moment.per_replica)
                    .max(picture.target * 1.5),
            ),
            lines: vec![line("", "each", |moment| moment.per_replica, false)],
            target: Some(picture.target),
        },
        Panel {
            name: "Replicas",
            unit: "that serve",
            top: f64::from(picture.replicas),
            lines: vec![line("", "replicas", |moment| moment.replicas, true)],
            target: None,
        },
        Panel {
            name: "Latency",
            unit: "milliseconds",
            top: axis(record.most(|moment| moment.p99)),
            lines: vec![
                line("p50", "p50", |moment| moment.p50, false),
                line("p99", "p99", |moment| moment.p99, false),
            ],
            target: None,
        },
    ]
}

impl Panel {
    fn draw(&self, record: &Record, span: f64, top: f64) -> String {
        let bottom = top + PLOT;
        let mut svg = format!(
            "<text x=\"{LEFT}\" y=\"{}\"><tspan class=\"name\">{}</tspan> \
             <tspan class=\"quiet\">{}</tspan>",
            top - 10.0,
            self.name,
            self.unit
        );
        for line in self.lines.iter().filter(|line| !line.name.is_empty()) {
            let (name, class) = (line.name, line.class);
            let _ = write!(svg, " <tspan class=\"{class}\">\u{2501} {name}</tspan>");
        }
        svg += "</text>\n";
        for share in [0.0, 0.5, 1.0] {
            let y = bottom - share * PLOT;
            let number = format!("{:.1}", share * self.top);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y}H{RIGHT}\"/>\
                 <text class=\"quiet end\" x=\"{}\" y=\"{}\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                number.trim_end_matches(".0")
            );
        }
        if let Some(target) = self.target {
            let y = bottom - target / self.top * PLOT;
            let _ = writeln!(svg, "<path class=\"target\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>");
        }
        for line in &self.lines {
            let path = line.path(record, |moment, value| {
                (
                    x(moment.at, span),
                    bottom - (value / self.top).min(1.0) * PLOT,
                )
            });
            let _ = writeln!(svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
        }
        svg
    }
}

impl Line {
    fn path(&self, record: &Record, place: impl Fn(&Moment, f64) -> (f64, f64)) -> String {
        let mut path = String::new();
        for moment in &record.moments {
            let (x, y) = place(moment, (self.value)(moment));
            let _ = match (path.is_empty(), self.steps) {
                (true, _) => write!(path, "M{x:.1} {y:.1}"),
                (false, true) => write!(path, "H{x:.1}V{y:.1}"),
                (false, false) => write!(path, "L{x:.1} {y:.1}"),
            };
        }
        path
    }
}

fn x(at: f64, span: f64) -> f64 {
    LEFT + at / span * (RIGHT - LEFT)
}

fn time_axis(span: f64, y: f64) -> String {
    let apart = ticks(span);
    let mut svg = String::new();
    let times = (0_u32..).map(|count| f64::from(count) * apart);
    for at in times.take_while(|at| *at <= span) {
        let x = x(at, span);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {y}v5\"/>\
             <text class=\"quiet middle\" x=\"{x:.1}\" y=\"{}\">{}</text>",
            y + 20.0,
            clock(at)
        );
    }
    svg
}

/// A line through all charts for each, and what the autoscaler said.
fn decisions(record: &Record, span: f64, plots_end: f64) -> String {
    let mut svg = String::new();
    let list = plots_end + 72.0;
    let bottom = plots_end + 20.0;
    let _ = writeln!(
        svg,
        "<text class=\"name\" x=\"{LEFT}\" y=\"{list}\">Decisions</text>"
    );
    for (decision, number) in record.decisions.iter().zip(1_u32..) {
        let x = x(decision.at, span);
        let (at, from, to) = (clock(decision.at), decision.from, decision.to);
        let _ = writeln!(
            svg,
            "<path class=\"decision\" d=\"M{x:.1} {HEADER}V{bottom}\"/>\
             <text class=\"quiet\" x=\"{:.1}\" y=\"{HEADER}\">{number}</text>\n\
             <text x=\"{LEFT}\" y=\"{}\"><tspan class=\"quiet\">{number}.</tspan> {at} \
             <tspan class=\"name\">{from} → {to}</tspan> {}</text>",
            x + 3.0,
            list + LINE * f64::from(number),
            escape(&decision.reason)
        );
    }
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::record::Decision;
    use super::*;

    fn run() -> Record {
        let moment = |second: u32| Moment {
            at: f64::from(second),
            load: 20.0 + f64::from(second),
            per_replica: 10.0,
            replicas: if second < 30 { 2.0 } else { 5.0 },
            p50: 2.0,
            p99: 9.0,
        };
        Record {
            moments: (0..90).map(moment).collect(),
            decisions: vec![Decision {
                at: 30.0,
                from: 2,
                to: 5,
                reason: "a < b & <script>".into(),
            }],
        }
    }

    const PICTURE: Picture = Picture {
        summary: "Scaled out to 5 <and back>.",
        target: 20.0,
        replicas: 8,
    };

    #[test]
    fn a_screen_reader_is_told_what_is_to_be_seen() {
        let svg = draw(&run(), &PICTURE);
        assert!(svg.contains("role=\"img\" aria-labelledby=\"title desc\""));
        assert!(svg.contains("<title id=\"title\">A load that swells"));
        assert!(svg.contains("Replicas rise to 5 and end at 5."), "{svg}");
        assert!(svg.contains("At 0:30, from 2 to 5: a &lt; b &amp; &lt;script&gt;."));
    }

    #[test]
    fn text_of_others_cannot_break_the_picture() {
        let svg = draw(&run(), &PICTURE);
        assert!(!svg.contains("<script>") && !svg.contains("<and"), "{svg}");
        let opened = svg.matches("<text").count();
        assert_eq!(opened, svg.matches("</text>").count());
    }

    #[test]
    fn both_light_and_dark_are_there() {
        assert!(draw(&run(), &PICTURE).contains("@media (prefers-color-scheme: dark)"));
    }

    #[test]
    fn every_point_of_a_line_is_within_its_plot() {
        let svg = draw(&run(), &PICTURE);
        let lines: Vec<&str> = svg
            .lines()
            .filter(|it| it.contains("class=\"line "))
            .collect();
        assert_eq!(lines.len(), 5);
        for line in lines {
            let path = line
                .split("d=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap();
            let numbers = path.split(|c: char| !c.is_ascii_digit() && c != '.');
            for number in numbers.filter(|it| !it.is_empty()) {
                let number: f64 = number.parse().unwrap();
                assert!((LEFT..=RIGHT).contains(&number), "{line}");
            }
        }
    }

    #[test]
    fn a_run_of_nothing_has_a_picture_too() {
        let svg = draw(&Record::default(), &PICTURE);
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
    }
}
