//! Which pods there are, and what each of them says of itself.
//!
//! Every value is known beforehand. A gauge says which pod it is of, and which second it is from: a
//! value of another pod is seen, and so is an old one with a new timestamp. A counter rises at a
//! speed of its own, far from that of its neighbours.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The gauge, in Prometheus and in the API.
pub const GAUGE: &str = "queue_depth";
/// The counter in Prometheus.
const COUNTER: &str = "http_requests_total";
/// What the API makes of it.
pub const RATE: &str = "http_requests_per_second";

/// A gauge is so many times the pod's number, and the seconds since the start.
const SECONDS: u64 = 100_000;

/// How many there are of everything, and how often they are scraped.
#[derive(Clone, Copy)]
pub struct Size {
    /// Namespaces.
    pub namespaces: usize,
    /// Apps of each namespace, each with an autoscaler.
    pub apps: usize,
    /// Pods of each app.
    pub pods: usize,
    /// Series of each pod that no autoscaler asks for.
    pub others: usize,
    /// Between two scrapes of what they ask for.
    pub scrape: Duration,
    /// Between two scrapes of everything else.
    pub rest: Duration,
    /// The range of the rate.
    pub range: Duration,
}

/// A pod, by the places of its namespace, its app and itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pod {
    pub namespace: usize,
    pub app: usize,
    pub pod: usize,
}

impl Size {
    /// 1,000 autoscalers, 5,000 pods, 200,000 series.
    pub const FULL: Size = Size {
        namespaces: 50,
        apps: 20,
        pods: 5,
        others: 38,
        scrape: Duration::from_secs(2),
        rest: Duration::from_secs(15),
        range: Duration::from_secs(60),
    };
    /// 10,000 autoscalers, 50,000 pods, 200,000 series.
    pub const CROWD: Size = Size {
        namespaces: 500,
        apps: 20,
        pods: 5,
        others: 2,
        scrape: Duration::from_secs(5),
        rest: Duration::from_secs(15),
        range: Duration::from_secs(60),
    };
    /// 50 autoscalers, 250 pods.
    pub const SMALL: Size = Size {
        namespaces: 5,
        apps: 10,
        pods: 5,
        others: 8,
        scrape: Duration::from_secs(1),
        rest: Duration::from_secs(2),
        range: Duration::from_secs(15),
    };
    /// 200 autoscalers, 1,000 pods.
    pub const SMALL_CROWD: Size = Size {
        namespaces: 20,
        apps: 10,
        pods: 5,
        others: 2,
        scrape: Duration::from_secs(1),
        rest: Duration::from_secs(2),
        range: Duration::from_secs(5),
    };

    /// Autoscalers, which all ask for something else.
    pub fn autoscalers(&self) -> usize {
        self.namespaces * self.apps
    }

    /// All pods.
    pub fn all_pods(&self) -> usize {
        self.autoscalers() * self.pods
    }

    /// All series.
    pub fn series(&self) -> usize {
        self.all_pods() * (2 + self.others)
    }

    /// The pods of these namespaces, in order.
    pub fn pods_of(&self, namespaces: std::ops::Range<usize>) -> impl Iterator<Item = Pod> + use<> {
        let Size { apps, pods, .. } = *self;
        namespaces.flat_map(move |namespace| {
            (0..apps).flat_map(move |app| {
                (0..pods).map(move |pod| Pod {
                    namespace,
                    app,
                    pod,
                })
            })
        })
    }

    /// From 1, so that no value is zero.
    pub fn number(&self, pod: Pod) -> u64 {
        let before = (pod.namespace * self.apps + pod.app) * self.pods + pod.pod;
        before as u64 + 1
    }

    /// By how much the pod's counter rises in a second.
    pub fn rate(&self, pod: Pod) -> f64 {
        // Neighbours differ by more than a rate can be off, nearly all of them.
        (1 + self.number(pod) * 7_919 % 9_973) as f64
    }

    /// How long after the exporter's start the pod had this gauge; `None`: it never has.
    pub fn second(&self, pod: Pod, gauge: u64) -> Option<Duration> {
        (gauge / SECONDS == self.number(pod)).then(|| Duration::from_secs(gauge % SECONDS))
    }

    /// By how much of itself a rate may be off: a scrape is left out on a busy machine, and what is
    /// missing at both ends of the range is guessed.
    pub fn rate_error(&self) -> f64 {
        2.0 * self.scrape.as_secs_f64() / self.range.as_secs_f64() + 0.01
    }

    /// What the autoscalers' pods say so long after the start, with the time that this is.
    pub fn asked_for(&self, began: SystemTime, elapsed: Duration) -> String {
        let mut text = String::with_capacity(self.all_pods() * 240);
        let (seconds, factor) = (elapsed.as_secs(), 1.0 + elapsed.as_secs_f64());
        let now = (began + elapsed).duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_millis();
        writeln!(text, "# TYPE {GAUGE} gauge").unwrap();
        for pod in self.pods_of(0..self.namespaces) {
            let value = self.number(pod) * SECONDS + seconds;
            writeln!(text, "{GAUGE}{{{}}} {value} {now}", labels(pod)).unwrap();
        }
        writeln!(text, "# TYPE {COUNTER} counter").unwrap();
        for pod in self.pods_of(0..self.namespaces) {
            let value = self.rate(pod) * factor;
            writeln!(text, "{COUNTER}{{{}}} {value} {now}", labels(pod)).unwrap();
        }
        text
    }

    /// What nobody asks for, of these namespaces.
    pub fn rest(&self, namespaces: std::ops::Range<usize>) -> String {
        let mut text = String::new();
        for series in 0..self.others {
            for pod in self.pods_of(namespaces.clone()) {
                let number = self.number(pod);
                let labels = labels(pod);
                writeln!(text, "{}{{{labels}}} {number}", other(series)).unwrap();
            }
        }
        text
    }

    /// `others`, and the rules of the two metrics: the last one that knows a name answers for it.
    pub fn rules(&self, others: &str) -> String {
        let resources = "overrides: {namespace: {resource: namespace}, pod: {resource: pod}}";
        let range = self.range.as_secs();
        format!(
            "{others}\
             - seriesQuery: '{GAUGE}{{namespace!=\"\",pod!=\"\"}}'\n  \
               resources: {{{resources}}}\n  \
               metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)\n\
             - seriesQuery: '{COUNTER}{{namespace!=\"\",pod!=\"\"}}'\n  \
               resources: {{{resources}}}\n  \
               name: {{matches: \"^(.*)_total$\", as: \"${{1}}_per_second\"}}\n  \
               metricsQuery: sum(rate(<<.Series>>{{<<.LabelMatchers>>}}[{range}s])) \
               by (<<.GroupBy>>)\n"
        )
    }

    /// What asks Prometheus for the gauge of one pod.
    pub fn gauge_query(&self, pod: Pod) -> String {
        format!("{GAUGE}{{{}}}", labels(pod))
    }

    /// What asks Prometheus for the rate of one pod.
    pub fn rate_query(&self, pod: Pod) -> String {
        format!(
            "rate({COUNTER}{{{}}}[{}s])",
            labels(pod),
            self.range.as_secs()
        )
    }
}

impl Pod {
    /// Its namespace.
    pub fn namespace(self) -> String {
        format!("team-{:03}", self.namespace)
    }

    /// The value of its label `app`, which other namespaces have too.
    pub fn app(self) -> String {
        format!("web-{:02}", self.app)
    }

    /// The hash of its app's template.
    pub fn template(self) -> String {
        format!("{:09x}", (self.app + 1) * 3_463_480_123)
    }

    /// Its name, which pods of other namespaces have too.
    pub fn name(self) -> String {
        let suffix = 60_466_176 + self.pod * 7_654_321;
        format!("{}-{}-{suffix:x}", self.app(), self.template())
    }
}

/// As one line of an exporter has them.
fn labels(pod: Pod) -> String {
    let (namespace, name) = (pod.namespace(), pod.name());
    format!("namespace=\"{namespace}\",pod=\"{name}\",container=\"main\"")
}

/// What a cluster's exporters say of pods: names that the chart's rules know.
fn other(series: usize) -> String {
    match series % 4 {
        0 => format!("container_resource_{series:02}_seconds_total"),
        1 => format!("container_resource_{series:02}_bytes"),
        2 => format!("service_events_{series:02}_total"),
        _ => format!("service_state_{series:02}"),
    }
}
