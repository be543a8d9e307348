//! Objects are watched while somebody asks for them: what an ask then costs, and what happens when
//! the watch does not go well.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{DEPTH, RULES, World, ask, status};
use crate::support::adapter::{Adapter, EACH_ASK};
use crate::support::apiserver::{Call, Conduct, End, Watches};
use crate::support::pki::Pair;
use crate::support::poll;
use crate::support::tap::Behaviour;

/// Longer than it takes to try again after a failure.
const SOON: Duration = Duration::from_secs(20);

/// Where the pods of all namespaces are, which only a watch lists.
const ALL: &str = "/api/v1/pods";

/// One ask: the names that Prometheus was asked about, or what the caller was told.
async fn names(world: &World, adapter: &Adapter, admin: &Pair) -> Result<String, String> {
    world.tap.take();
    let answer = ask(adapter, Some(admin), DEPTH).await;
    if answer.status != StatusCode::OK {
        return Err(status(&answer).1);
    }
    let queries = world.tap.take_queries();
    let Some(query) = queries.first() else {
        return Ok(String::new());
    };
    let names = query
        .split("pod=")
        .nth(1)
        .and_then(|it| it.split('"').nth(1));
    Ok(names
        .unwrap_or_else(|| panic!("no names in {query}"))
        .to_owned())
}

fn lists(calls: &[Call]) -> Vec<&Call> {
    let of_pods = calls.iter().filter(|call| call.path.ends_with("/pods"));
    of_pods.filter(|call| !call.is_watch()).collect()
}

/// Asks until an ask is answered without a list, and forgets all calls until then.
async fn watched(world: &World, adapter: &Adapter, admin: &Pair) {
    poll::until("an ask needs no list", SOON, async || {
        world.api.take();
        names(world, adapter, admin).await?;
        match lists(&world.api.take()).len() {
            0 => Ok(()),
            lists => Err(format!("{lists} lists for one ask")),
        }
    })
    .await;
}

/// Asks until it is about these names.
async fn until_names(world: &World, adapter: &Adapter, admin: &Pair, expected: &str) {
    poll::until("the names change", SOON, async || {
        let names = names(world, adapter, admin).await?;
        if names == expected {
            Ok(())
        } else {
            Err(names)
        }
    })
    .await;
}

async fn until_watches(world: &World, expected: usize) {
    poll::until("watches begin and end", SOON, async || {
        match world.api.open_watches() {
            open if open == expected => Ok(()),
            open => Err(format!("{open} are open")),
        }
    })
    .await;
}

#[tokio::test]
async fn once_the_pods_are_watched_no_ask_is_a_call() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    assert_eq!(
        names(&world, &adapter, &admin).await.unwrap(),
        "web-a|web-b|web-c"
    );
    let first = world.api.take();
    let paths: Vec<&str> = lists(&first)
        .iter()
        .map(|call| call.path.as_str())
        .collect();
    assert_eq!(paths, [ALL], "the first ask waits for the watch's own list");

    watched(&world, &adapter, &admin).await;
    for _ in 0..50 {
        assert_eq!(
            names(&world, &adapter, &admin).await.unwrap(),
            "web-a|web-b|web-c"
        );
    }
    let mut calls = world.api.take();
    // Whom the cluster trusts is read again whatever is asked.
    calls.retain(|call| call.path != super::TRUST);
    assert!(calls.is_empty(), "{calls:?}");
    assert_eq!(world.api.open_watches(), 1);
}

#[tokio::test]
async fn the_watch_is_of_metadata_of_all_namespaces_and_has_an_end() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    world.api.page(3);
    ask(&adapter, Some(&admin), DEPTH).await;
    until_watches(&world, 1).await;
    let calls = world.api.seen();
    let all: Vec<&Call> = calls
        .iter()
        .filter(|call| call.path == "/api/v1/pods")
        .collect();
    assert_eq!(
        all.len(),
        3,
        "two pages of the list, and the watch: {all:?}"
    );
    for list in &all[..2] {
        assert!(
            list.accept.contains("as=PartialObjectMetadataList"),
            "{}",
            list.accept
        );
        assert_eq!(list.parameter("resourceVersion"), None, "as new as can be");
    }
    assert!(all[0].parameter("continue").is_none() && all[1].parameter("continue").is_some());
    let watch = all[2];
    assert!(
        watch.accept.contains("as=PartialObjectMetadata;"),
        "{}",
        watch.accept
    );
    assert_eq!(
        watch.parameter("resourceVersion"),
        Some("6574"),
        "where the list ended"
    );
    assert_eq!(watch.parameter("allowWatchBookmarks"), Some("true"));
    assert_eq!(
        watch.parameter("sendInitialEvents"),
        None,
        "recorded servers refuse it"
    );
    let seconds: u64 = watch.parameter("timeoutSeconds").unwrap().parse().unwrap();
    assert!((45..=75).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn once_a_bookmark_came_a_watch_is_to_last_for_minutes() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    // Each watch hears one before this test looks the next time.
    world.api.bookmark_every(Duration::from_millis(1));
    watched(&world, &adapter, &world.admin()).await;
    poll::until("a watch is to last long", SOON, async || {
        if world.api.open_watches() == 1 {
            world.api.end_watches(End::Proper);
        }
        let calls = world.api.seen();
        let times = calls
            .iter()
            .filter_map(|call| call.parameter("timeoutSeconds"));
        let times: Vec<u64> = times.map(|it| it.parse().unwrap()).collect();
        match times.iter().any(|seconds| (300..=600).contains(seconds)) {
            true => Ok(()),
            false => Err(format!("{times:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn equal_asks_at_one_time_are_one_list() {
    let world = World::new().await;
    let adapter = world.ready(&[super::LISTED]).await;
    world.api.delay(Duration::from_secs(1));
    let admin = world.admin();
    let answers = (0..8).map(|_| ask(&adapter, Some(&admin), DEPTH));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let calls = world.api.take();
    assert_eq!(lists(&calls).len(), 1, "{calls:?}");
}

#[tokio::test]
async fn asks_for_the_pods_of_all_namespaces_wait_for_the_list_that_the_watch_begins_with() {
    let world = World::new().await;
    let rules = RULES.to_owned() + RESOURCE_RULES;
    let mut adapter = Adapter::over(&world.api, &rules, &world.tap.url, EACH_ASK)
        .await
        .unwrap();
    adapter.ready().await.unwrap();
    world.api.take();
    world.api.page(2);
    world.api.delay(Duration::from_millis(500));
    let admin = world.admin();
    let path = "/apis/metrics.k8s.io/v1beta1/pods";
    let answers = (0..8).map(|_| ask(&adapter, Some(&admin), path));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let calls = world.api.take();
    assert_eq!(lists(&calls).len(), 2, "two pages: {calls:?}");
}

/// Asks for the pods behind eight selectors at once, and counts the lists that it takes.
async fn lists_of_first_asks(world: &World) -> usize {
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    world.api.take();
    let paths = (0..8).map(|number| format!("{DEPTH}%2Cnumber%21%3D{number}"));
    let paths: Vec<String> = paths.collect();
    let answers = paths.iter().map(|path| ask(&adapter, Some(&admin), path));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert!(answer.body.contains("web-"), "{}", answer.body);
    }
    lists(&world.api.take()).len()
}

#[tokio::test]
async fn the_first_asks_of_a_process_share_the_list_that_the_watch_begins_with() {
    let world = World::new().await;
    world.api.delay(Duration::from_millis(300));
    assert_eq!(lists_of_first_asks(&world).await, 1);
}

#[tokio::test]
async fn where_that_list_does_not_come_each_of_them_has_its_own() {
    let world = World::new().await;
    world.api.conduct(ALL, Conduct::Hang);
    assert_eq!(lists_of_first_asks(&world).await, 9);
}

#[tokio::test]
async fn a_kind_that_is_served_no_longer_is_watched_no_longer() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    world.api.conduct("/api/v1/pods", Conduct::Refuse(404));
    names(&world, &adapter, &admin).await.unwrap();
    poll::until("it gives up", SOON, async || {
        let said = adapter.stderr();
        match said.contains("does not serve them") {
            true => Ok(()),
            false => Err(said),
        }
    })
    .await;
    world.api.conduct("/api/v1/pods", Conduct::Well);
    watched(&world, &adapter, &admin).await;
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_an_error_and_never_no_pods() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    world.api.conduct("/api/v1/", Conduct::Nonsense);
    for _ in 0..2 {
        let text = names(&world, &adapter, &admin).await.unwrap_err();
        let unlisted = "Internal error occurred: unable to list matching resources: ";
        assert!(text.starts_with(unlisted), "{text}");
    }
}

#[tokio::test]
async fn a_watch_that_is_half_open_is_believed_for_a_while_and_then_all_is_listed_again() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    watched(&world, &adapter, &admin).await;
    world.api.treat_watches(Watches::Silent);
    world.api.delete_pod("shop", "web-b");
    let found = names(&world, &adapter, &admin).await.unwrap();
    assert_eq!(
        found, "web-a|web-b|web-c",
        "nobody has said that it is gone"
    );
    let gone = Duration::from_secs(150);
    poll::until("it is taken for dead", gone, async || {
        match names(&world, &adapter, &admin).await? {
            found if found == "web-a|web-c" => Ok(()),
            found => Err(found),
        }
    })
    .await;
    let said = adapter.stderr();
    assert!(said.contains("the watch was silent for 90s"), "{said}");
}

#[tokio::test]
async fn a_pod_that_goes_comes_or_changes_its_labels_is_so_at_once_without_a_list() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    watched(&world, &adapter, &admin).await;
    world.api.delete_pod("shop", "web-b");
    until_names(&world, &adapter, &admin, "web-a|web-c").await;
    world.api.put_pod("shop", "web-b2", &[("app", "web")]);
    until_names(&world, &adapter, &admin, "web-a|web-b2|web-c").await;
    world.api.put_pod("shop", "web-c", &[("app", "other")]);
    until_names(&world, &adapter, &admin, "web-a|web-b2").await;
    world
        .api
        .put_pod("shop", "web-c", &[("app", "web"), ("tier", "front")]);
    until_names(&world, &adapter, &admin, "web-a|web-b2|web-c").await;
    for pod in ["web-a", "web-b2", "web-c"] {
        world.api.delete_pod("shop", pod);
    }
    until_names(&world, &adapter, &admin, "").await;
    assert_eq!(lists(&world.api.take()).len(), 0);
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_where_it_was_and_nothing_is_missed() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    watched(&world, &adapter, &admin).await;
    for end in [End::Proper, End::MidLine] {
        world.api.put_pod("shop", "web-d", &[("app", "web")]);
        until_names(&world, &adapter, &admin, "web-a|web-b|web-c|web-d").await;
        // What happens while no watch is there is what could be missed.
        world.api.treat_watches(Watches::Refused(500));
        world.api.end_watches(end);
        until_watches(&world, 0).await;
        world.api.delete_pod("shop", "web-d");
        world.api.treat_watches(Watches::Served);
        until_names(&world, &adapter, &admin, "web-a|web-b|web-c").await;
    }
    let calls = world.api.take();
    assert_eq!(lists(&calls).len(), 0, "{calls:?}");
}

#[tokio::test]
async fn where_the_version_is_too_old_one_list_takes_the_place_of_all() {
    for gone in [Watches::Served, Watches::GoneAtOnce] {
        let world = World::new().await;
        let adapter = world.ready(&[]).await;
        let admin = world.admin();
        watched(&world, &adapter, &admin).await;
        world.api.treat_watches(Watches::Refused(500));
        world.api.end_watches(End::Proper);
        until_watches(&world, 0).await;
        world.api.delete_pod("shop", "web-b");
        world.api.put_pod("shop", "web-d", &[("app", "web")]);
        world.api.compact();
        world.api.treat_watches(gone);
        until_names(&world, &adapter, &admin, "web-a|web-c|web-d").await;
        watched(&world, &adapter, &admin).await;

        // The same in the middle of a watch.
        world.api.end_watches(End::Expired);
        poll::until("all pods are listed again", SOON, async || {
            let calls = world.api.seen();
            let again = lists(&calls).iter().any(|call| call.path == "/api/v1/pods");
            if again {
                Ok(())
            } else {
                Err(format!("{calls:?}"))
            }
        })
        .await;
        world.api.delete_pod("shop", "web-d");
        until_names(&world, &adapter, &admin, "web-a|web-c").await;
        let calls = world.api.take();
        assert_eq!(lists(&calls).len(), 1, "{calls:?}");
    }
}

#[tokio::test]
async fn where_watching_is_refused_each_ask_is_a_list_until_it_is_not() {
    for status in [403, 405] {
        let world = World::new().await;
        let adapter = world.ready(&[]).await;
        let admin = world.admin();
        world.api.treat_watches(Watches::Refused(status));
        names(&world, &adapter, &admin).await.unwrap();
        poll::until("it was refused twice", SOON, async || {
            let calls = world.api.seen();
            match calls.iter().filter(|call| call.is_watch()).count() {
                0 | 1 => Err(format!("{calls:?}")),
                _ => Ok(()),
            }
        })
        .await;
        world.api.take();
        for _ in 0..3 {
            let found = names(&world, &adapter, &admin).await.unwrap();
            assert_eq!(found, "web-a|web-b|web-c");
        }
        let calls = world.api.take();
        let (all, own): (Vec<&Call>, Vec<&Call>) = lists(&calls)
            .into_iter()
            .partition(|call| call.path == "/api/v1/pods");
        assert_eq!(
            (all.len(), own.len()),
            (0, 3),
            "no list that nobody asked for"
        );
        let said = adapter.stderr();
        assert_eq!(
            said.matches("objects cannot be watched").count(),
            1,
            "{said}"
        );
        assert!(said.contains(&format!("answered {status}")), "{said}");

        world.api.treat_watches(Watches::Served);
        watched(&world, &adapter, &admin).await;
        world.api.delete_pod("shop", "web-b");
        until_names(&world, &adapter, &admin, "web-a|web-c").await;
        poll::until("it says so", SOON, async || {
            let said = adapter.stderr();
            match said.matches("objects are watched").count() {
                1 => Ok(()),
                _ => Err(said),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn kinds_that_nobody_asks_for_are_watched_no_longer() {
    let world = World::new().await;
    let adapter = world.ready(&["--object-watch-idle=4s"]).await;
    let admin = world.admin();
    watched(&world, &adapter, &admin).await;
    until_watches(&world, 0).await;
    world.api.delete_pod("shop", "web-b");
    let found = names(&world, &adapter, &admin).await.unwrap();
    assert_eq!(found, "web-a|web-c", "nothing old is left");
    watched(&world, &adapter, &admin).await;
}

#[tokio::test]
async fn with_an_idle_time_of_zero_nothing_is_watched() {
    let world = World::new().await;
    let adapter = world.ready(&["--object-watch-idle=0s"]).await;
    let admin = world.admin();
    for _ in 0..3 {
        names(&world, &adapter, &admin).await.unwrap();
    }
    let calls = world.api.take();
    assert_eq!(lists(&calls).len(), 3);
    assert!(!calls.iter().any(Call::is_watch), "{calls:?}");
}

#[tokio::test]
async fn an_api_server_that_is_away_is_an_error_after_a_while_and_never_an_empty_list() {
    let mut world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    watched(&world, &adapter, &admin).await;
    world.api.stop();
    let found = names(&world, &adapter, &admin).await.unwrap();
    assert_eq!(found, "web-a|web-b|web-c", "it was so a moment ago");
    poll::until(
        "what is held is too old",
        Duration::from_secs(60),
        async || match names(&world, &adapter, &admin).await {
            Ok(found) => {
                assert_eq!(found, "web-a|web-b|web-c");
                Err(found)
            }
            Err(text) => {
                let unlisted = "Internal error occurred: unable to list matching resources: ";
                assert!(text.starts_with(unlisted), "{text}");
                Ok(())
            }
        },
    )
    .await;
    world.api.delete_pod("shop", "web-c");
    world.api.resume().await;
    let found = poll::until("it is back", SOON, async || {
        names(&world, &adapter, &admin).await
    });
    assert_eq!(found.await, "web-a|web-b");
    // No pod of before is believed on the way back, either; and it takes no bookmark, but one list.
    let mut of_all = 0;
    poll::until("it is watched again", Duration::from_secs(40), async || {
        let before = world.api.take();
        let found = names(&world, &adapter, &admin).await?;
        assert_eq!(found, "web-a|web-b");
        let after = world.api.take();
        let is_of_all = |call: &&&Call| call.path == ALL;
        of_all += lists(&before).iter().filter(is_of_all).count();
        let again = lists(&after).iter().filter(is_of_all).count();
        of_all += again;
        match lists(&after).len() - again {
            0 => Ok(()),
            lists => Err(format!("{lists} lists for one ask")),
        }
    })
    .await;
    assert_eq!(of_all, 1);
}

#[tokio::test]
async fn a_rotated_token_is_used_by_the_next_watch() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    watched(&world, &adapter, &admin).await;
    world.api.rotate("the-next-token");
    adapter.rewrite("token", "the-next-token");
    world.api.end_watches(End::Proper);
    world.api.delete_pod("shop", "web-b");
    until_names(&world, &adapter, &admin, "web-a|web-c").await;
    assert_eq!(lists(&world.api.take()).len(), 0);
}

#[tokio::test]
async fn of_pods_that_ended_there_are_no_resource_metrics_and_no_list() {
    let world = World::new().await;
    let labels = json!({"namespace": "shop", "pod": "web-a", "container": "c"});
    let row = json!({"metric": labels, "value": [1_700_000_000, "1"]});
    let body = json!({"status": "success", "data": {"resultType": "vector", "result": [row]}});
    world.tap.behave(Behaviour::Answer {
        status: 200,
        content_type: "application/json",
        body: body.to_string(),
    });
    let rules = RULES.to_owned() + RESOURCE_RULES;
    let mut adapter = Adapter::over(&world.api, &rules, &world.tap.url, EACH_ASK)
        .await
        .unwrap();
    adapter.ready().await.unwrap();
    let admin = world.admin();
    let pods = async || {
        let path = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=app%3Dweb";
        let answer = ask(&adapter, Some(&admin), path).await;
        let list: Value = serde_json::from_str(&answer.body).map_err(|it| it.to_string())?;
        let items = list["items"].as_array().ok_or(answer.body)?;
        let name = |item: &Value| {
            item["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        Ok::<_, String>(items.iter().map(name).collect::<Vec<_>>())
    };
    poll::until("pods are watched", SOON, async || {
        world.api.take();
        assert_eq!(pods().await?, ["web-a"]);
        match lists(&world.api.take()).len() {
            0 => Ok(()),
            lists => Err(format!("{lists} lists for one ask")),
        }
    })
    .await;
    world.api.put_ended_pod("shop", "web-a", &[("app", "web")]);
    poll::until("the pod that ended is gone", SOON, async || {
        let found = pods().await?;
        if found.is_empty() {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
    assert_eq!(lists(&world.api.take()).len(), 0);
    until_watches(&world, 1).await;
}

const RESOURCE_RULES: &str = r#"
resourceRules:
  cpu:
    containerQuery: sum by (<<.GroupBy>>) (cpu{<<.LabelMatchers>>})
    nodeQuery: sum by (<<.GroupBy>>) (cpu{<<.LabelMatchers>>})
    resources:
      overrides: {node: {resource: node}, namespace: {resource: namespace}, pod: {resource: pod}}
    containerLabel: container
  memory:
    containerQuery: sum by (<<.GroupBy>>) (memory{<<.LabelMatchers>>})
    nodeQuery: sum by (<<.GroupBy>>) (memory{<<.LabelMatchers>>})
    resources:
      overrides: {node: {resource: node}, namespace: {resource: namespace}, pod: {resource: pod}}
    containerLabel: container
"#;
