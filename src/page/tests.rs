//! The page as text: what stands where, what never becomes markup, and whom it keeps out.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use regex::Regex;

use super::data::{
    Asks, Backend, Data, FailingAsks, File, Memory, Metric, Metrics, Rule, RuleState, Rules, View,
};
use super::health::{Facts, State, judge};
use super::*;
use crate::journal::{
    About, Ask, Asker, Failing, Failure, Faults, Minute, Range, Summary, Trouble,
};
use crate::kubernetes::Watched;

/// The rules for documents, which the tests of the whole server use too.
#[allow(unreachable_pub, missing_docs)]
#[path = "../../tests/support/html.rs"]
mod html_rules;

use html_rules::{Token, faults, text_of, tokens};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn asker(user: &str, agent: &str) -> Asker<String> {
    Asker {
        user: user.to_owned(),
        agent: agent.to_owned(),
    }
}

fn failing(message: &str) -> Failing {
    Failing {
        failure: Failure {
            code: 503,
            message: message.into(),
        },
        since: at(-720),
        count: 48,
    }
}

fn ask(selector: &str, failure: Option<&str>) -> Asks {
    let about = About {
        group: "custom.metrics.k8s.io",
        resource: "pods".to_owned(),
        metric: "depth".to_owned(),
        namespace: "shop".to_owned(),
        selector: selector.to_owned(),
        ..About::default()
    };
    let summary = Summary {
        count: 3,
        values: Range::of([0.5, 12.25]),
        oldest: Some(at(-7)),
        memory: None,
    };
    let asker = asker(
        "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        "kcm/1",
    );
    Asks {
        ask: Arc::new(Ask { about, asker }),
        last: at(-4),
        per_minute: 4.0,
        served: Some((at(-4), summary)),
        failing: failure.map(failing),
    }
}

fn rule(state: RuleState) -> Rule {
    Rule {
        id: "rules[0]".to_owned(),
        line: 2,
        selector: "depth{pod!=\"\"}".to_owned(),
        backend: "archive".to_owned(),
        state,
        count: 2,
        names: vec!["depth".to_owned()],
        remarks: vec!["rules[1] makes it too".to_owned()],
    }
}

fn backend() -> Backend {
    let minute = |failed, refused| Minute {
        requests: 4,
        failed,
        refused,
        took: Duration::from_millis(48),
        longest: Duration::from_millis(31),
    };
    let mut minutes = vec![Minute::default(); 26];
    minutes.extend([minute(0, 0), minute(2, 0), minute(0, 1), minute(1, 1)]);
    Backend {
        name: "default".to_owned(),
        minutes,
        open: 1,
        waiting: 0,
        faults: Faults {
            failed: Some((at(-90), "timed out".to_owned())),
            refused: Some((at(-30), "bad_data: no such function".to_owned())),
            silent_since: None,
        },
    }
}

/// A page with something of everything.
fn lively() -> Data {
    let metric = |name: &str, kind: Option<&str>, asks: Vec<Asks>| Metric {
        name: name.to_owned(),
        kind: kind.map(str::to_owned),
        path: "/apis/x".to_owned(),
        asks,
    };
    let many = (0..50)
        .map(|number| ask(&format!("app=a{number}"), None))
        .collect();
    let trouble = Trouble {
        failure: Failure {
            code: 404,
            message: "the server could not find the metric depht for pods".into(),
        },
        first: at(-100),
        last: at(-5),
        count: 1200,
        asker: asker("alice", "kubectl/v1.36.0 (linux/amd64)"),
        path: "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depht".to_owned(),
    };
    let watch = |in_step, catching_up| Watched {
        objects: "pods".to_owned(),
        held: 12_000,
        in_step,
        catching_up,
    };
    let files = vec![File {
        path: "/etc/adapter/config.yaml".to_owned(),
        hash: Some("3f2a".to_owned()),
        loaded: Some(at(-7200)),
        error: Some("error: line 3\n  rules:\n  ^ what".to_owned()),
    }];
    let minutes = |count: u64| Some(Duration::from_secs(60 * count));
    let rules = Rules {
        total: 205,
        troubled: 5,
        empty: 4,
        worst: vec![
            ("rules[7]".to_owned(), minutes(12)),
            ("rules[9]".to_owned(), None),
        ],
        pages: 3,
        shown: vec![
            rule(RuleState::Failing("HTTP 400".to_owned(), minutes(12))),
            rule(RuleState::Off("line 3: no kind".to_owned())),
            rule(RuleState::Well),
            rule(RuleState::Quiet),
            rule(RuleState::Waiting),
            rule(RuleState::Empty),
        ],
    };
    let failing = FailingAsks {
        total: 70,
        shown: vec![(ask("app=away", None).ask, failing("no answer"))],
    };
    let backends = vec![backend()];
    let watches = vec![watch(true, false), watch(false, true), watch(false, false)];
    let health = judge(&Facts {
        now: at(0),
        awaits: &[],
        relist_age: Some(Duration::from_secs(900)),
        relist_limit: Duration::from_secs(90),
        files: &files,
        rules: &rules,
        backends: &backends,
        watches: &watches,
        metrics: 250,
        failing: &failing,
    });
    Data {
        now: at(0),
        began: at(-86_400),
        version: "1.2.3",
        view: View {
            filter: "dep".to_owned(),
            page: 2,
            rules_page: 1,
            refresh: Some(10),
        },
        health,
        failing,
        files,
        rules,
        metrics: Metrics {
            total: 250,
            found: 201,
            crowded: true,
            asked: 2,
            pages: 3,
            shown: vec![
                metric("depth", Some("pods"), many),
                metric("depth", Some("services"), vec![ask("", Some("away"))]),
                metric("lag", None, Vec::new()),
            ],
        },
        backends,
        memory: Memory {
            entries: 40,
            results: vec![("fresh", 900), ("fetched", 99), ("failed", 1)],
        },
        watches,
        errors: vec![trouble],
    }
}

/// One that has just begun.
fn empty() -> Data {
    Data {
        health: judge(&Facts {
            now: at(0),
            awaits: &["metrics are being listed for the first time"],
            relist_age: None,
            relist_limit: Duration::from_secs(90),
            files: &[],
            rules: &Rules::default(),
            backends: &[],
            watches: &[],
            metrics: 0,
            failing: &FailingAsks::default(),
        }),
        view: View::default(),
        failing: FailingAsks::default(),
        rules: Rules::default(),
        metrics: Metrics::default(),
        watches: Vec::new(),
        errors: Vec::new(),
        ..lively()
    }
}

#[test]
fn the_page_tells_each_thing_where_it_is_looked_for() {
    let text = text_of(&render::page(&lively()));
    for part in [
        "Impaired",
        "All rules were last listed 15 min ago; it should be no longer ago than 1 min",
        "More is asked for than is remembered: of 4096 asks",
        "The new /etc/adapter/config.yaml is not in force: error: line 3",
        "4 of 205 rules make no metric",
        "5 of 205 rules fail or are off: rules[7] for 12 min, rules[9] and 3 more",
        "The backend default did not answer 3 of 12 requests in the last 3 minutes: timed out",
        "The backend default refused 2 of 12 requests in the last 3 minutes: bad_data: no such \
         function",
        "70 asks fail, the longest for 12 min: HPA controller for depth of pods, app=away in shop",
        "The watch of pods is out of step",
        "70 asks whose last answers were all errors; the 1 that have had them longest",
        "HPA controller depth of pods app=away in shop 12 min 48 503 no answer",
        "201 metrics of 250 with \u{201C}dep\u{201D}",
        "depth pods 0.5 – 12.25 150 values 7 s 200/min",
        "HPA controller for app=a0 in shop 4/min, 4 s ago",
        "47 more",
        "and 7 others; find them by namespace or selector",
        "503: away",
        "lag external not asked for",
        "Page 2 of 3",
        "first those that fail or are off (5), then in the order of the file",
        "rules[0] line 2 depth{pod!=\"\"} of the backend archive 2 metrics depth …",
        "Failing for 12 min HTTP 400",
        "Makes nothing Its series are there",
        "Page 1 of 3",
        "default No answer, 1 min ago : timed out Refused, 30 s ago : bad_data: no such function \
         12 ms 31 ms 16 3 2 1 0",
        "fresh in memory, and young enough 900 90 %",
        "failed an error: there were none 1 <1 %",
        "5 s ago 1200 404 the server could not find the metric depht for pods kubectl/v1.36.0 as alice",
        "Loaded anew every 10 s. Stop that",
        "Running for 1 d",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}

#[test]
fn links_keep_what_the_reader_has_chosen() {
    let html = render::page(&lively());
    for link in [
        "href=\"/?q=dep&amp;refresh=10#metrics\"",
        "href=\"/?q=dep&amp;page=3&amp;refresh=10#metrics\"",
        "href=\"/?q=dep&amp;page=2\"",
        "href=\"/?q=dep&amp;page=2&amp;rules=2&amp;refresh=10#rules\"",
        "href=\"/?refresh=10#metrics\"",
        "href=\"/explain?path=%2Fapis%2Fcustom.metrics.k8s.io%2Fv1beta2%2Fnamespaces%2Fshop",
    ] {
        assert!(html.contains(link), "{link}\n{html}");
    }
    assert!(html.contains("<meta http-equiv=\"refresh\" content=\"10\">"));
    let plain = render::page(&empty());
    assert!(!plain.contains("http-equiv") && !plain.contains("<script"));
}

#[test]
fn a_page_without_anything_says_so() {
    let html = render::page(&empty());
    let text = text_of(&html);
    for part in [
        "Not well It does not serve yet",
        "Not ready: metrics are being listed for the first time",
        "No rule makes a metric now",
        "The file has no rule",
        "No objects are watched",
        "Recent errors None.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn every_reader_can_use_the_page() {
    for html in [
        render::page(&lively()),
        render::page(&empty()),
        nothing_here(),
    ] {
        assert_eq!(faults(&html), Vec::<String>::new());
    }
}

/// The colours of a style sheet that begins with `:root { --name: #rrggbb; … }`, in light and in
/// dark.
fn colours(css: &str) -> [BTreeMap<String, [u8; 3]>; 2] {
    let block = Regex::new(r"(?s):root \{(.*?)\}").unwrap();
    let colour = Regex::new(r"--([a-z-]+): #([0-9a-f]{6});").unwrap();
    let blocks: Vec<_> = block
        .captures_iter(css)
        .map(|it| it[1].to_owned())
        .collect();
    let read = |block: &str| {
        let read = |it: regex::Captures<'_>| {
            let number = u32::from_str_radix(&it[2], 16).unwrap();
            let [_, red, green, blue] = number.to_be_bytes();
            (it[1].to_owned(), [red, green, blue])
        };
        colour
            .captures_iter(block)
            .map(read)
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(blocks.len(), 2, "light and dark");
    [read(&blocks[0]), read(&blocks[1])]
}

/// WCAG 2.2, contrast ratio.
fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let linear = |byte: u8| {
        let part = f64::from(byte) / 255.0;
        match part <= 0.040_45 {
            true => part / 12.92,
            false => ((part + 0.055) / 1.055).powf(2.4),
        }
    };
    let luminance = |[red, green, blue]: [u8; 3]| {
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn every_text_can_be_read_in_light_and_in_dark() {
    let css = include_str!("style.css");
    for colours in colours(css) {
        let of = |name: &str| colours[name];
        for (ink, paper, least) in [
            ("ink", "paper", 4.5),
            ("ink", "ground", 4.5),
            ("soft", "paper", 4.5),
            ("soft", "ground", 4.5),
            ("link", "paper", 4.5),
            ("link", "ground", 4.5),
            ("bad", "paper", 4.5),
            ("bad", "ground", 4.5),
            ("good", "good-tint", 4.5),
            ("warn", "warn-tint", 4.5),
            ("bad", "bad-tint", 4.5),
            // Pictures and borders of what can be used (WCAG 1.4.11).
            ("bar", "paper", 3.0),
            ("bad", "paper", 3.0),
            ("soft", "paper", 3.0),
        ] {
            let ratio = contrast(of(ink), of(paper));
            assert!(ratio >= least, "{ink} on {paper}: {ratio:.2}");
        }
    }
    assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
}

/// All of ASCII with its control characters, those of Latin-1, and what turns a line around.
const HOSTILE: &str = "[\u{0}-\u{9F}<>\"'&\u{61C}\u{2028}\u{202E}ü]{0,40}";

/// A text as it is shown: what would change the text around it is replaced.
fn shown(text: &str) -> String {
    let hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    let hidden = |c: char| hidden(c) || matches!(c, '\u{61C}' | '\u{2028}' | '\u{202E}');
    let text = text.replace(hidden, "\u{FFFD}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

proptest! {
    // Each case renders and reads whole pages.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in names, labels, agents and messages, the document has the same tags, and
    /// shows the text.
    #[test]
    fn no_text_from_outside_becomes_markup(text in HOSTILE) {
        let hostile = |text: &str| {
            let mut data = lively();
            let owned = || text.to_owned();
            data.view.filter = owned();
            data.files[0].path = owned();
            data.files[0].error = Some(owned());
            data.files[0].hash = Some(owned());
            data.rules.worst[0].0 = owned();
            data.rules.shown[3] = Rule {
                id: owned(),
                selector: owned(),
                backend: owned(),
                names: vec![owned()],
                remarks: vec![owned()],
                state: RuleState::Failing(owned(), None),
                ..rule(RuleState::Well)
            };
            data.metrics.shown[1].name = format!("x{text}");
            data.metrics.shown[1].kind = Some(owned());
            data.metrics.shown[1].path = owned();
            let hostile = |ask: &Arc<Ask<String>>| {
                let mut ask = Ask::clone(ask);
                ask.about.metric = owned();
                ask.about.selector = format!("x{text}");
                ask.about.namespace = owned();
                ask.asker = asker(text, text);
                Arc::new(ask)
            };
            let asks = &mut data.metrics.shown[1].asks[0];
            asks.ask = hostile(&asks.ask);
            asks.failing = Some(failing(text));
            data.failing.shown = vec![(asks.ask.clone(), failing(text))];
            data.backends[0].name = format!("x{text}");
            data.backends[0].faults.failed = Some((at(0), owned()));
            data.backends[0].faults.refused = Some((at(0), owned()));
            data.watches[0].objects = format!("x{text}");
            data.errors[0].failure.message = text.into();
            data.errors[0].path = format!("/metrics.k8s.io/{text}");
            data.errors[0].asker = asker(text, text);
            data.health.reasons[0].text = owned();
            render::page(&data)
        };
        let shape = |html: &str| -> Vec<String> {
            let tags = tokens(html).into_iter().filter_map(|token| match token {
                Token::Open(name, attributes) => {
                    Some(format!("<{name} {:?}", attributes.keys().collect::<Vec<_>>()))
                }
                Token::Close(name) => Some(format!("</{name}")),
                Token::Text(_) => None,
            });
            tags.collect()
        };
        let html = hostile(&text);
        // A backend's name is told where it is not empty, and a filter can be taken away.
        let plain = hostile(if text.trim().is_empty() { &text } else { "plain" });
        prop_assert_eq!(shape(&html), shape(&plain));
        prop_assert_eq!(faults(&html), Vec::<String>::new());
        prop_assert!(text_of(&html).contains(&shown(&text)));
        prop_assert!(!html.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
    }
}

#[test]
fn a_browser_is_told_to_load_nothing_and_to_keep_nothing() {
    let response = Answer::html(StatusCode::OK, String::new()).into_response();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-security-policy").starts_with("default-src 'none';"));
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
}

fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = hyper::Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn only_names_of_this_machine_are_local() {
    for host in [
        "localhost",
        "localhost:8080",
        "127.0.0.1:1",
        "127.0.0.1",
        "[::1]:80",
        "[::1]",
        // Whoever listens at it is to be reached by it.
        "127.0.0.2:8080",
        "[::ffff:127.0.0.1]",
    ] {
        assert!(is_local(&request("/", &[("host", host)])), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "localhost@evil.example",
        "[::2]",
        "128.0.0.1",
        "127.0.0.1.",
        "0.0.0.0",
    ] {
        assert!(!is_local(&request("/", &[("host", host)])), "{host}");
    }
    assert!(!is_local(&request("/", &[])));
    assert!(!is_local(&request(
        "/",
        &[("host", "localhost"), ("host", "evil.example")]
    )));
    assert!(!is_local(&request(
        "http://evil.example/",
        &[("host", "localhost")]
    )));
}

#[test]
fn a_page_of_somebody_else_may_link_here_and_load_nothing() {
    let from = |site: &str, mode: &str, destination: &str| {
        let headers = [
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", destination),
        ];
        is_from_elsewhere(&request("/explain?path=x", &headers).headers)
    };
    for site in ["cross-site", "same-site"] {
        assert!(from(site, "no-cors", "image") && from(site, "cors", "empty"));
        assert!(from(site, "navigate", "iframe") && from(site, "navigate", "embed"));
        assert!(!from(site, "navigate", "document"), "a link");
    }
    assert!(!from("same-origin", "cors", "empty") && !from("none", "navigate", "document"));
    assert!(!is_from_elsewhere(&HeaderMap::new()), "a program");
}

#[test]
fn what_the_reader_wants_is_read_from_the_query() {
    let view = View::of("q=a%26b+c&page=3&rules=2&refresh=10");
    assert_eq!(
        (
            view.filter.as_str(),
            view.page,
            view.rules_page,
            view.refresh
        ),
        ("a&b c", 3, 2, Some(10))
    );
    let view = View::of("q=&page=-1&refresh=0&refresh=1&x");
    assert_eq!(
        (view.filter.as_str(), view.page, view.refresh),
        ("", 1, None)
    );
    assert_eq!(
        View::of(&format!("q={}", "x".repeat(999))).filter.len(),
        FILTER
    );
}

#[test]
fn a_backend_that_never_answers_is_bad_and_one_that_has_recovered_is_no_reason() {
    let verdict = |minutes: Vec<Minute>| {
        let mut backend = Backend {
            minutes,
            ..backend()
        };
        backend.faults.silent_since = Some(at(-300));
        let backends = [backend];
        judge(&Facts {
            now: at(0),
            awaits: &[],
            relist_age: Some(Duration::from_secs(5)),
            relist_limit: Duration::from_secs(90),
            files: &[],
            rules: &Rules::default(),
            backends: &backends,
            watches: &[],
            metrics: 7,
            failing: &FailingAsks::default(),
        })
    };
    let minute = |requests, failed| Minute {
        requests,
        failed,
        ..Minute::default()
    };
    let well = verdict(vec![minute(9, 9), minute(9, 0), minute(9, 0), minute(9, 0)]);
    assert_eq!((well.state, well.reasons.len()), (State::Well, 0));
    assert_eq!(verdict(vec![Minute::default(); 30]).state, State::Well);
    let bad = verdict(vec![minute(9, 0), minute(9, 9), minute(0, 0), minute(1, 1)]);
    assert_eq!(bad.state, State::Bad);
    assert!(
        bad.reasons[0]
            .text
            .contains("default has not answered for 5 min: timed out")
    );
    let impaired = verdict(vec![minute(9, 9), minute(9, 0)]);
    assert_eq!(impaired.state, State::Impaired);
    let nothing = judge(&Facts {
        now: at(0),
        awaits: &[],
        relist_age: Some(Duration::from_secs(5)),
        relist_limit: Duration::from_secs(90),
        files: &[],
        rules: &Rules::default(),
        backends: &[],
        watches: &[],
        metrics: 0,
        failing: &FailingAsks::default(),
    });
    assert_eq!(nothing.state, State::Impaired, "nothing can be asked for");
    // Whoever says that a query is wrong has answered.
    let refused = |requests, failed, refused| {
        verdict(vec![Minute {
            refused,
            ..minute(requests, failed)
        }])
    };
    let wrong = refused(4, 0, 4);
    assert_eq!((wrong.state, wrong.reasons.len()), (State::Impaired, 1));
    let text = &wrong.reasons[0].text;
    assert!(text.contains("refused 4 of 4 requests"), "{text}");
    assert!(text.contains("bad_data"), "{text}");
    assert_eq!(refused(4, 2, 2).reasons.len(), 2);
}

#[test]
fn what_was_not_kept_whole_is_not_explained_for_it_would_be_something_else() {
    let links = |selector: &str| {
        let mut data = empty();
        let mut asks = ask(selector, None);
        Arc::get_mut(&mut asks.ask).unwrap().about.metric = "unheard".to_owned();
        data.failing.shown = vec![(asks.ask, failing("no"))];
        render::page(&data).matches("/explain?path=").count()
    };
    assert_eq!(links("app=web"), 1);
    // As the journal cuts it.
    assert_eq!(links(&"x".repeat(1024)), 0);
    assert_eq!(links(&format!("{}ü", "x".repeat(1021))), 0);
    // Whole, and longer than what is explained: each of these is three bytes in a path.
    assert_eq!(links(&"ü".repeat(500)), 1);
    let mut both = ask(&"=".repeat(1000), None);
    Arc::get_mut(&mut both.ask).unwrap().about.metric_selector = "=".repeat(1000);
    let mut data = empty();
    data.failing.shown = vec![(both.ask, failing("no"))];
    assert!(!render::page(&data).contains("/explain?path="));

    let mut data = lively();
    data.errors[0].path = format!("/apis/custom.metrics.k8s.io/{}", "x".repeat(1000));
    let html = render::page(&data);
    assert!(!html.contains("xxxx\">"), "{html}");
}

#[test]
fn a_page_is_bounded_however_many_ask_for_however_much() {
    let mut data = lively();
    let long = ask(&"=".repeat(300), Some(&"x".repeat(1024)));
    let metric = Metric {
        asks: vec![long; 4000],
        ..data.metrics.shown[0].clone()
    };
    data.metrics.shown = (0..100)
        .map(|number| Metric {
            kind: Some(format!("kind{number}")),
            ..metric.clone()
        })
        .collect();
    let html = render::page(&data);
    assert_eq!(faults(&html), Vec::<String>::new());
    assert!(html.len() < 4 << 20, "{} bytes", html.len());
    assert!(html.contains("and 3997 others"), "{}", html.len());
}

fn explanation(text: &str) -> crate::api::Explanation {
    use crate::api::explain::{State, Step};
    let step = |state| Step {
        title: format!("x{text}"),
        state,
        text: text.to_owned(),
        lines: vec![text.to_owned()],
        promql: Some(text.to_owned()),
    };
    crate::api::Explanation {
        path: text.to_owned(),
        served: false,
        code: 404,
        message: format!("x{text}"),
        cause: Some(crate::api::Cause::NoRule),
        usage: None,
        steps: [State::Well, State::Note, State::Wrong, State::Skipped]
            .map(step)
            .into(),
        advice: vec![text.to_owned()],
    }
}

#[test]
fn an_explanation_tells_verdict_advice_and_each_step() {
    let html = explain::page("/apis/x", Some(&explanation("did you mean <depth>?")));
    assert_eq!(faults(&html), Vec::<String>::new());
    let text = text_of(&html);
    for part in [
        "Not served xdid you mean <depth>?",
        "Answer 404 Cause no-rule",
        "What to do did you mean <depth>?",
        "xdid you mean <depth>? Wrong did you mean <depth>?",
        "Skipped",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let served = crate::api::Explanation {
        served: true,
        code: 200,
        message: "2 values".to_owned(),
        cause: None,
        steps: Vec::new(),
        advice: Vec::new(),
        ..explanation("")
    };
    let html = explain::page("/apis/x", Some(&served));
    assert_eq!(faults(&html), Vec::<String>::new());
    assert!(
        text_of(&html).contains("Served 2 values Answer 200 API path"),
        "{html}"
    );
    assert_eq!(faults(&explain::page("", None)), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_of_an_explanation_becomes_markup(text in HOSTILE) {
        let html = explain::page(&text, Some(&explanation(&text)));
        prop_assert_eq!(faults(&html), Vec::<String>::new());
        let tags = |html: &str| tokens(html).iter().filter(|it| matches!(it, Token::Open(..))).count();
        let plain = match text.is_empty() {
            true => String::new(),
            false => "plain".to_owned(),
        };
        let plain = explain::page(&plain, Some(&explanation(&plain)));
        prop_assert_eq!(tags(&html), tags(&plain));
    }
}
