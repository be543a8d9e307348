//! The page in a real Chromium: it fits, it is light and dark, nothing is loaded from elsewhere or
//! complained about, and keyboard and screen reader reach everything.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SHOP, World, read_until};
use crate::support::chromium::Browser;

/// A page with values, errors and long names.
async fn lively() -> (World, Browser) {
    let world = World::new().await;
    let long = "a".repeat(120);
    for path in [
        format!("{SHOP}/pods/*/depth?labelSelector=app%3Dweb"),
        format!("{SHOP}/pods/*/{long}"),
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/Lag".to_owned(),
    ] {
        world
            .ask(&path, "kube-controller-manager/v1.36.0 (linux/amd64)")
            .await;
    }
    read_until(
        &world.page,
        &["depth pods 1.5 – 20", "Lag external 300", &long],
    )
    .await;
    (world, Browser::start().await)
}

/// What the browser has to say against the page.
fn complaints(browser: &Browser, page: &str) -> Vec<String> {
    let logged = browser.events("Log.entryAdded");
    let thrown = browser.events("Runtime.exceptionThrown");
    let mut complaints: Vec<String> = logged
        .into_iter()
        .chain(thrown)
        .map(Value::to_string)
        .collect();
    for request in browser.events("Network.requestWillBeSent") {
        let url = request["request"]["url"].as_str().unwrap_or_default();
        if !url.starts_with(page) && !url.starts_with("data:") {
            complaints.push(format!("asks for {url}"));
        }
    }
    complaints
}

#[tokio::test]
async fn it_fits_every_width_in_light_and_dark_and_loads_nothing_from_elsewhere() {
    let (world, mut browser) = lively().await;
    let mut grounds = Vec::new();
    let explain = "/explain?path=%2Fapis%2Fcustom.metrics.k8s.io%2Fv1beta2%2Fnamespaces%2Fshop%2F\
                   pods%2F*%2Fdepth";
    for path in ["/", "/?q=nothing-like-it", "/nowhere", "/explain", explain] {
        for (width, scheme) in [
            (320, "light"),
            (360, "dark"),
            // 1280 at a zoom of 200 %.
            (640, "light"),
            (900, "light"),
            (1600, "dark"),
        ] {
            browser.look(width, scheme).await;
            browser.open(&format!("{}{path}", world.page)).await;
            let wide = "document.documentElement.scrollWidth";
            let scrolls = browser.value(wide).await;
            assert!(
                scrolls.as_u64() <= Some(u64::from(width)),
                "{path} at {width}: {scrolls}"
            );
            let mut said = complaints(&browser, &world.page);
            // That there is nothing is what was asked.
            said.retain(|it| !(path == "/nowhere" && it.contains("404")));
            assert_eq!(said, Vec::<String>::new(), "{path} at {width}");
            let ground = "getComputedStyle(document.body).backgroundColor";
            grounds.push((scheme, browser.value(ground).await.to_string()));
        }
    }
    let of = |wanted: &str| {
        let its = grounds.iter().filter(|(scheme, _)| *scheme == wanted);
        its.map(|(_, ground)| ground.clone()).collect::<Vec<_>>()
    };
    let (light, dark) = (of("light"), of("dark"));
    assert!(light.iter().all(|it| *it == light[0]) && dark.iter().all(|it| *it == dark[0]));
    assert_ne!(light[0], dark[0]);
}

#[tokio::test]
async fn a_keyboard_skips_to_the_content_and_sees_where_it_is() {
    let (world, mut browser) = lively().await;
    browser.look(1280, "light").await;
    browser.open(&world.page).await;
    browser.press("Tab", 9).await;
    let focused = "document.activeElement.textContent";
    assert_eq!(browser.value(focused).await, json!("Skip to the content"));
    let visible = "document.activeElement.getBoundingClientRect().top >= 0";
    assert_eq!(browser.value(visible).await, json!(true));
    browser.press("Enter", 13).await;
    assert_eq!(
        browser.value("document.activeElement.id").await,
        json!("main")
    );
    // The next stops are in the content, each with an outline.
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    let inside = "document.getElementById('main').contains(document.activeElement)";
    for _ in 0..6 {
        browser.press("Tab", 9).await;
        assert_eq!(browser.value(inside).await, json!(true));
        assert_eq!(browser.value(outline).await, json!("solid"));
    }
    // A filter can be typed and sent.
    browser.value("document.getElementById('q').focus()").await;
    let typed = json!({"text": "lag"});
    browser.call("Input.insertText", typed).await;
    browser.press("Enter", 13).await;
    let there = async |browser: &mut Browser| browser.value("location.search").await;
    for _ in 0..500 {
        if there(&mut browser).await == json!("?q=lag") {
            break;
        }
    }
    assert_eq!(there(&mut browser).await, json!("?q=lag"));
}

#[tokio::test]
async fn a_screen_reader_is_told_parts_tables_and_pictures_by_name_at_every_width() {
    let (world, mut browser) = lively().await;
    for width in [360, 1280] {
        browser.look(width, "light").await;
        browser.open(&world.page).await;
        let tree = browser.accessible().await;
        let has = |role: &str, name: &str| {
            tree.iter()
                .any(|(its, named)| its == role && named.contains(name))
        };
        for (role, name) in [
            ("main", ""),
            ("navigation", "Parts of this page"),
            ("region", "Metrics"),
            ("region", "Recent errors"),
            ("search", ""),
            ("searchbox", "Find"),
            ("button", "Filter"),
            ("table", "those that are asked for first"),
            ("table", "Each rule with what it makes now"),
            ("columnheader", "Value"),
            ("rowheader", "depth"),
            ("image", "default, the last 30 minutes: latency"),
        ] {
            assert!(has(role, name), "{role} {name:?} at {width}: {tree:#?}");
        }
        let nameless = |(role, name): &&(String, String)| {
            let named = [
                "link",
                "button",
                "searchbox",
                "image",
                "table",
                "heading",
                "region",
            ];
            named.contains(&role.as_str()) && name.is_empty()
        };
        assert_eq!(tree.iter().find(nameless), None, "at {width}");
    }
}

/// Reads until an expression in the page is this.
async fn until(browser: &mut Browser, expression: &str, wanted: Value) {
    let mut last = Value::Null;
    for _ in 0..RENEWALS {
        last = browser.value(expression).await;
        if last == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{expression}: {last}, not {wanted}");
}

/// How often is looked whether the page has come anew, in a minute.
const RENEWALS: usize = 600;

#[tokio::test]
async fn a_page_that_comes_anew_takes_nothing_away_from_its_reader() {
    let (mut world, mut browser) = lively().await;
    for number in 0..5 {
        let selector = format!("labelSelector=app%3Dweb,x!%3D{number}");
        world
            .ask(&format!("{SHOP}/pods/*/depth?{selector}"), "KEDA/2")
            .await;
    }
    browser.look(600, "light").await;
    let page = format!("{}/?refresh=5", world.page);
    browser.open(&page).await;
    assert_eq!(complaints(&browser, &world.page), Vec::<String>::new());
    // Unfolded, focused and scrolled to by its reader; and what was there is marked.
    browser
        .value(
            "document.querySelector('details').open = true; \
             document.querySelector('details').closest('tr').querySelector('th a').focus(); \
             window.scrollTo(0, 150); document.querySelector('main > *').dataset.old = 'yes'; 1",
        )
        .await;
    let focused = "document.activeElement.getAttribute('href')";
    let before = browser.value(focused).await;
    assert!(before.as_str().is_some_and(|it| it.contains("depth")));
    let is_old = "document.querySelector('main > *').dataset.old === 'yes'";
    until(&mut browser, is_old, json!(false)).await;
    assert_eq!(browser.value(focused).await, before);
    assert_eq!(browser.value("window.scrollY").await, json!(150));
    let open = "document.querySelectorAll('details[open]').length";
    assert_eq!(browser.value(open).await, json!(1));
    assert_eq!(complaints(&browser, &world.page), Vec::<String>::new());
    // Where it cannot be had the old one stays, and says so.
    world.adapter.signal("KILL");
    world.adapter.ended().await;
    let told =
        "document.getElementById('renewal').textContent.includes('a newer one cannot be had')";
    until(&mut browser, told, json!(true)).await;
    assert_eq!(browser.value(focused).await, before);
}
