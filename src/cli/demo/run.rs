//! One run of the demo: what starts when, what is looked at, and what it comes to.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::autoscaler::{self, AUTOSCALER, Aim, Heard};
use super::chart::Frame;
use super::ending::{self, Away, Facts};
use super::http::{Http, until};
use super::load::{self, Shop};
use super::opening;
use super::outage::Outage;
use super::processes::Group;
use super::record::Moment;
use super::replicas::{Replicas, Seen};
use super::rotation::Rotation;
use super::screen::{self, Captions, Screen};
use super::servers::{self, ADAPTER, Adapter, Queries, SHORT_WINDOW, Servers};
use super::story::{Plan, Stage, Story, View};
use super::svg::{self, Picture};
use super::tally::Tally;
use crate::config::demo::Demo;

/// Between two moments of the record.
const MOMENT: Duration = Duration::from_millis(500);

/// How long a server may take to end.
const END_TIME: Duration = Duration::from_secs(30);

/// Runs all. `verdict` is set once the claims were checked.
pub(super) async fn run(
    options: &Demo,
    group: &Group,
    screen: &mut Screen,
    verdict: &mut Option<bool>,
) -> anyhow::Result<()> {
    must_be_writable(&options.svg)?;
    let aim = Aim::read()?;
    let http = Http::new()?;
    screen.say(
        "Starting Prometheus, Redis, two replicas of the example service, the adapter.\n\
         Ctrl-C ends all of it.\n",
    )?;
    let redis_port = servers::free_port()?;
    let redis = servers::redis(group, redis_port)?;
    let redis_url = format!("redis://127.0.0.1:{redis_port}");
    let rotation = Rotation::default();
    let program = servers::beside("example-service")?;
    let (replicas, seen) =
        Replicas::new(program, &redis_url, http.clone(), group, rotation.clone())?;
    let (prometheus, prometheus_url) = servers::prometheus(group, &http).await?;
    let adapter = Adapter::start(group, &prometheus_url).await?;
    screen.say(&format!(
        "Prometheus scrapes every second, so the rules' windows are {SHORT_WINDOW} here, not 1m.\n\
         The rest of manifests/example is as it stands. {prometheus_url}\n\
         There is no PostgreSQL (no DATABASE_URL), so orders would stay in the process\n\
         that takes them; nobody orders here."
    ))?;
    let shop = Shop {
        http: http.clone(),
        rotation,
        tally: Tally::default(),
    };
    let servers = Servers::new(vec![redis, prometheus]);
    let over = Cell::new(false);
    let stage = watch::Sender::new(Stage::Calm);
    let outage = Outage {
        wanted: options.redis_restart,
        redis_port,
        away: Cell::new(false),
        done: Cell::new(!options.redis_restart),
        said: Cell::new(Away::default()),
    };
    let mut teller = Teller {
        options,
        group,
        screen,
        http: &http,
        aim,
        servers: &servers,
        seen: seen.clone(),
        stage: &stage,
        outage: &outage,
        shop,
    };
    let tell = async {
        let told = teller.tell(adapter, &prometheus_url, verdict).await;
        over.set(true);
        told
    };
    tokio::try_join!(
        supervise(replicas, group, &servers, &over),
        outage.run(group, &servers, seen, stage.subscribe()),
        tell,
    )?;
    Ok(())
}

/// An error if the picture could not be written at the end. What is there stays as it is.
fn must_be_writable(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|it| *it != Path::new(""));
    if let Some(folder) = folder.filter(|it| !it.is_dir()) {
        bail!("--svg: there is no folder {}", folder.display());
    }
    let mut open = OpenOptions::new();
    let opened = match open.write(true).create_new(true).open(path) {
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            open.create_new(false).open(path).map(drop)
        }
        Err(error) => Err(error),
    };
    opened.with_context(|| format!("--svg: {} cannot be written", path.display()))
}

/// Keeps the replicas as many as the autoscaler says, until it is over; then ends them.
async fn supervise(
    mut replicas: Replicas,
    group: &Group,
    servers: &Servers,
    over: &Cell<bool>,
) -> anyhow::Result<()> {
    while !over.get() {
        servers.must_run()?;
        replicas.round(group).await?;
        Replicas::pause().await;
    }
    replicas.stop().await
}

/// What tells the story, and what it needs for it.
struct Teller<'a> {
    options: &'a Demo,
    group: &'a Group,
    screen: &'a mut Screen,
    http: &'a Http,
    aim: Aim,
    servers: &'a Servers,
    seen: watch::Receiver<Seen>,
    stage: &'a watch::Sender<Stage>,
    outage: &'a Outage,
    shop: Shop,
}

impl Teller<'_> {
    async fn tell(
        &mut self,
        adapter: Adapter,
        prometheus_url: &str,
        verdict: &mut Option<bool>,
    ) -> anyhow::Result<()> {
        let plan = if self.options.fast {
            Plan::FAST
        } else {
            Plan::WHOLE
        };
        until("two replicas are ready", async || {
            Ok((self.seen.borrow().ready >= 2).then_some(()))
        })
        .await?;
        let rate = watch::Sender::new(plan.calm_rate);
        let load = tokio::spawn(load::run(self.shop.clone(), rate.subscribe()));
        opening::show(self.screen, self.http, &adapter, plan.calm_rate).await?;
        // Those of the opening are not the autoscaler's.
        let queries = Queries::from_now(self.http, &adapter.url).await?;
        let (autoscaler, rounds) = autoscaler::start(self.group, &adapter.url)?;
        self.servers.put(autoscaler);
        let (url, page) = (adapter.url.clone(), adapter.page());
        self.servers.put(adapter.process);
        let mut heard = Heard::new(rounds);
        let frame = Frame {
            width: 0,
            span: plan.planned.as_secs_f64(),
            target: self.aim.target,
            replicas: self.aim.replicas,
        };
        self.play(plan, &frame, &rate, &mut heard).await?;
        if self.options.keep {
            *verdict = Some(self.conclude(&heard, &frame, &queries).await?);
            self.keep((&url, page), prometheus_url, &mut heard).await
        } else {
            // Each shopper takes a last look into its cart.
            drop(rate);
            load.await.context("the load")?;
            *verdict = Some(self.conclude(&heard, &frame, &queries).await?);
            self.servers.take(AUTOSCALER)?.stop(END_TIME).await?;
            self.servers.take(ADAPTER)?.stop(END_TIME).await?;
            Ok(())
        }
    }

    /// From the calm to the calm.
    async fn play(
        &mut self,
        plan: Plan,
        frame: &Frame,
        rate: &watch::Sender<f64>,
        heard: &mut Heard,
    ) -> anyhow::Result<()> {
        let mut story = Story::new(plan);
        let mut tick = tokio::time::interval(MOMENT);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while story.stage() != Stage::Over {
            tick.tick().await;
            heard.listen();
            let moment = self.moment(heard.began);
            heard.record.moments.push(moment);
            let seen = *self.seen.borrow();
            let view = View {
                now: moment.at,
                ready: seen.ready,
                running: seen.running,
                last_decision: heard.record.decisions.last().map_or(0.0, |it| it.at),
                per_replica: moment.per_replica,
                target: self.aim.target,
                p99: moment.p99,
                busy: !self.outage.done.get(),
            };
            story.go_on(&view).map_err(anyhow::Error::msg)?;
            self.stage.send_replace(story.stage());
            rate.send_replace(story.rate(moment.at));
            self.show(story.stage(), frame, heard)?;
        }
        Ok(())
    }

    fn moment(&self, began: Instant) -> Moment {
        let recent = self.shop.tally.recent();
        let ready = u32::try_from(self.seen.borrow().ready).unwrap_or(u32::MAX);
        Moment {
            at: began.elapsed().as_secs_f64(),
            load: recent.rate,
            per_replica: recent.rate / f64::from(ready.max(1)),
            replicas: f64::from(ready),
            p50: recent.p50,
            p99: recent.p99,
        }
    }

    fn show(&mut self, stage: Stage, frame: &Frame, heard: &Heard) -> anyhow::Result<()> {
        let away = self.outage.away.get();
        let stage = if away { "Redis is away" } else { stage.words() };
        let counts = self.shop.tally.counts();
        let footer = format!("{}        Ctrl-C ends it", ending::in_numbers(&counts));
        let captions = Captions {
            stage,
            autoscaler: &heard.now,
            footer: &footer,
        };
        let span = frame.span.max(heard.record.now().at);
        self.screen
            .show(&heard.record, &Frame { span, ..*frame }, &captions)?;
        Ok(())
    }

    /// Says what was claimed and seen, and draws the picture. Whether all claims hold.
    async fn conclude(
        &mut self,
        heard: &Heard,
        frame: &Frame,
        queries: &Queries,
    ) -> anyhow::Result<bool> {
        let record = &heard.record;
        let number = |it: f64| (0..).find(|whole| f64::from(*whole) >= it).unwrap_or(0);
        let facts = Facts {
            most: number(record.most(|moment| moment.replicas)),
            last: number(record.now().replicas),
            least: self.aim.replicas.0,
            counts: self.shop.tally.counts(),
            asks: heard.count * self.aim.metrics,
            rounds: heard.count,
            queries: queries.count(self.http).await?,
            outage: self.outage.wanted.then_some(self.outage.said.get()),
            took: record.now().at,
        };
        let footer = ending::in_numbers(&facts.counts);
        let captions = Captions {
            stage: Stage::Over.words(),
            autoscaler: &heard.now,
            footer: &footer,
        };
        let span = record.now().at.max(1.0);
        self.screen
            .show_whole(record, &Frame { span, ..*frame }, &captions)?;
        self.screen.say("")?;
        let claims = ending::claims(&facts);
        for claim in &claims {
            let mark = if claim.holds { "✓" } else { "✗" };
            self.screen.say(&format!(" {mark} {}", claim.words))?;
        }
        for remark in ending::remarks(&facts) {
            self.screen.say(&format!("   {remark}"))?;
        }
        let picture = Picture {
            summary: &ending::in_short(&facts),
            target: self.aim.target,
            replicas: self.aim.replicas.1,
        };
        let path = &self.options.svg;
        let written = std::fs::write(path, svg::draw(record, &picture));
        written.with_context(|| format!("writing {}", path.display()))?;
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        self.screen
            .say(&format!("   The picture of it: {}", path.display()))?;
        Ok(claims.iter().all(|claim| claim.holds))
    }

    /// Leaves all running, tells what to ask it, and what the autoscaler decides.
    async fn keep(
        &mut self,
        (adapter, page): (&str, Option<String>),
        prometheus: &str,
        heard: &mut Heard,
    ) -> anyhow::Result<()> {
        self.screen.say("\nAll of it goes on, until Ctrl-C:\n")?;
        for ask in opening::to_copy(adapter) {
            self.screen.say(&ask)?;
        }
        if let Some(page) = page {
            self.screen.say(&format!("# its status page\n  {page}"))?;
        }
        self.screen.say(&format!("# Prometheus\n  {prometheus}"))?;
        if let Some(replica) = self.shop.rotation.next() {
            self.screen.say(&format!(
                "# more load, from eight at a time, which the autoscaler follows\n  \
                 yes '{replica}/burn?cpu=2ms' | xargs -n 1 -P 8 curl -s -o /dev/null\n"
            ))?;
        }
        let mut told = heard.record.decisions.len();
        loop {
            sleep(MOMENT).await;
            heard.listen();
            for decision in heard.record.decisions.iter().skip(told) {
                self.screen.say(&screen::in_words(decision))?;
            }
            told = heard.record.decisions.len();
        }
    }
}
