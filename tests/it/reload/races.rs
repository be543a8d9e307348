//! Rules files that are written while they are looked at, and rules that change while they are asked.

use super::*;

/// Rules whose first one stays.
fn pair(second: &str) -> String {
    rules(&[sum_of("level", "level", 1), sum_of("depth", second, 1)])
}

#[tokio::test]
async fn a_file_that_is_cut_off_between_two_rules_is_put_right_when_the_rest_has_come() {
    let world = World::start().await;
    let whole = pair("depth");
    let adapter = world.adapter(&whole, &[]).await;
    let before = hash(&adapter).await;
    let first = whole.rfind("- seriesQuery").unwrap();
    // In place, and then nothing for a while: nobody can tell it from a file that is done.
    std::fs::write(adapter.path("rules.yaml"), &whole[..first]).unwrap();
    let between = until_reloaded(&adapter, &before).await;
    assert_eq!(status(&adapter, "depth").await, StatusCode::NOT_FOUND);
    assert_eq!(value(&adapter, "level").await.unwrap(), "8");
    std::fs::write(adapter.path("rules.yaml"), &whole).unwrap();
    assert_eq!(until_reloaded(&adapter, &between).await, before);
    assert_eq!(value(&adapter, "depth").await.unwrap(), "3");
}

#[tokio::test]
async fn a_file_that_has_been_emptied_changes_nothing_and_says_so() {
    let world = World::start().await;
    let good = pair("depth");
    let adapter = world.adapter(&good, &[]).await;
    let before = hash(&adapter).await;
    std::fs::write(adapter.path("rules.yaml"), "").unwrap();
    until_successful(&adapter, false).await;
    assert_eq!(value(&adapter, "depth").await.unwrap(), "3");
    assert_eq!(hash(&adapter).await, before);
    let log = adapter.stderr();
    assert!(log.contains("rules.yaml is empty"), "{log}");
    // Whoever wants none says so.
    reload(&adapter, "rules: []\n").await;
    until_successful(&adapter, true).await;
    assert_eq!(status(&adapter, "depth").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_second_sighup_right_after_the_first_puts_nothing_into_force_twice() {
    let world = World::start().await;
    let adapter = world.adapter(&pair("one"), &[]).await;
    let before = hash(&adapter).await;
    adapter.replace("rules.yaml", &pair("two"));
    for _ in 0..5 {
        adapter.signal("HUP");
    }
    until_reloaded(&adapter, &before).await;
    // Whatever else came of them has been told when the next one is.
    let told = |log: &str| log.matches("the rules files are as they were").count();
    let earlier = told(&adapter.stderr());
    adapter.signal("HUP");
    let later = async || match adapter.stderr() {
        log if told(&log) > earlier => Ok(log),
        log => Err(log),
    };
    let log = poll::until("it says that nothing has changed", PATIENCE, later).await;
    assert_eq!(log.matches("rules reloaded").count(), 1, "{log}");
    assert_eq!(value(&adapter, "two").await.unwrap(), "3");
    assert_eq!(own_metric(&adapter, SUCCESSFUL).await, Some(1.0));
}

#[tokio::test]
async fn rules_are_put_into_force_while_a_relist_hangs_and_what_was_asked_of_the_old_ones_ends_as_it_began()
 {
    let world = World::start().await;
    let flags = &["--prometheus-timeout=4s", "--stale-grace=0s"];
    let adapter = world.adapter(&pair("depth"), flags).await;
    assert_eq!(value(&adapter, "level").await.unwrap(), "8");
    world.tap.behave(Behaviour::Hang);
    // An ask of a rule that goes while Prometheus is asked, and a relist.
    let asked = tokio::join!(value(&adapter, "depth"), async {
        let open = "tidegauge_upstream_open{backend=\"default\"} ";
        let begun = async || match own_metric(&adapter, open).await {
            Some(open) if open > 0.5 => Ok(()),
            other => Err(format!("{other:?}")),
        };
        poll::until("Prometheus is asked", PATIENCE, begun).await;
        let regex = rule(
            "{__name__=~\"dep.*\",namespace!=\"\"}",
            "",
            "<<.Series>>",
            "",
        );
        reload(&adapter, &rules(&[sum_of("level", "level", 1), regex])).await;
        assert_eq!(value(&adapter, "level").await.unwrap(), "8");
        let (code, message) = value(&adapter, "other").await.unwrap_err();
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE, "{message}");
        reload(&adapter, &rules(&[sum_of("level", "level", 1)])).await;
        assert_eq!(status(&adapter, "depth").await, StatusCode::NOT_FOUND);
    });
    let (code, message) = asked.0.unwrap_err();
    assert_eq!(code, StatusCode::GATEWAY_TIMEOUT, "{message}");
    assert!(message.contains("did not answer"), "{message}");
    // Nor is anything shown of the rule that is gone.
    let text = adapter.get("/metrics").await.body;
    assert!(!text.contains("rule=\"rules[1]\""), "{text}");
}

#[tokio::test]
async fn a_rule_whose_query_alone_is_mended_is_answered_at_once() {
    let world = World::start().await;
    let of = |query: &str| {
        let series = "{__name__=~\"lev.*\",namespace!=\"\",pod!=\"\"}";
        rules(&[rule(series, "", query, "")])
    };
    let query = "<<.Series>>{<<.LabelMatchers>>}";
    let adapter = world.adapter(&of(query), &[]).await;
    let listed = async || value(&adapter, "level").await.map_err(|it| it.1);
    assert_eq!(poll::until("it is listed", PATIENCE, listed).await, "8");
    // Whatever asks for names waits for ever.
    world.tap.behave_for("!=", Behaviour::Hang);
    reload(&adapter, &of(&format!("{query} * 10"))).await;
    assert_eq!(value(&adapter, "level").await.unwrap(), "80");
    let up = "tidegauge_rule_up{rule=\"rules[0]\"} ";
    assert_eq!(own_metric(&adapter, up).await, Some(1.0));
}

/// Another rule and another backend each time, and now and then a file that is refused.
async fn swapped(adapter: &Adapter, world: &World, turn: u32) {
    let backend = format!("url: '{}', tenant: t{turn}", world.tap.url);
    let next = asked_of(&backend).replace("'depth'", &format!("'depth_{turn}'"));
    if turn.is_multiple_of(5) {
        adapter.replace("rules.yaml", &next.replace("metricsQuery", "metricQuery"));
        adapter.signal("HUP");
        until_successful(adapter, false).await;
    }
    reload(adapter, &next).await;
    let metric = format!("depth_{turn}");
    assert_eq!(value(adapter, &metric).await.unwrap(), "3", "{turn}");
}

/// The names and labels of our own metrics, once the rules in force have been listed.
async fn series(adapter: &Adapter) -> Vec<String> {
    const LISTED: &str = "tidegauge_relist_last_success_timestamp_seconds{backend=\"other\"}";
    let listed = async || {
        let text = adapter.get("/metrics").await.body;
        match text.contains(LISTED) {
            true => Ok(text),
            false => Err(text),
        }
    };
    let text = poll::until("the rules are listed", PATIENCE, listed).await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names = lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
    // Which hash it is changes; that there is one does not.
    names.filter(|it| !it.contains("config_hash")).collect()
}

#[tokio::test]
async fn reloads_leave_no_metrics_behind() {
    let world = World::start().await;
    let adapter = world.adapter(&pair("depth"), &[]).await;
    for turn in 0..6 {
        swapped(&adapter, &world, turn).await;
    }
    let before = series(&adapter).await;
    for turn in 6..12 {
        swapped(&adapter, &world, turn).await;
    }
    assert_eq!(series(&adapter).await, before);
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn hundreds_of_reloads_take_no_memory() {
    let world = World::start().await;
    let flags = &["--request-timeout=2s", "--prometheus-timeout=2s"];
    let adapter = world.adapter(&pair("depth"), flags).await;
    let resident = async || {
        let bytes = own_metric(&adapter, "process_resident_memory_bytes ").await;
        let open = own_metric(&adapter, "process_open_fds ").await;
        (bytes.unwrap() / f64::from(1 << 20), open.unwrap())
    };
    let mut taken = Vec::new();
    for turn in 0..160 {
        swapped(&adapter, &world, turn).await;
        if turn % 20 == 19 {
            taken.push(resident().await);
            println!("{taken:.1?}");
        }
    }
    println!("MiB and open files after each 20 reloads: {taken:.1?}");
    // What is held of the last half minute is there by then.
    let (early, late) = (taken[3], taken[7]);
    assert!(
        late.0 < early.0 + 6.0 && late.1 < early.1 + 20.0,
        "{taken:.1?}"
    );
}
