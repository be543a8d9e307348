//! The flag of the status page.

use super::{good, wrong};

#[test]
fn the_status_page_is_off_unless_it_has_an_address() {
    assert_eq!(good(&[]).status_address, None);
    let at = |value: &str| {
        let config = good(&[&format!("--status-address={value}")]);
        config.status_address.map(|it| it.to_string())
    };
    assert_eq!(at("127.0.0.1:8080").as_deref(), Some("127.0.0.1:8080"));
    assert_eq!(at("localhost:0").as_deref(), Some("127.0.0.1:0"));
    assert_eq!(at("[::1]:9").as_deref(), Some("[::1]:9"));
    assert_eq!(at(":8080").as_deref(), Some("[::]:8080"));
}

#[test]
fn an_address_that_cannot_be_is_named_with_an_example() {
    for value in [
        "8080",
        "127.0.0.1",
        "shop:80",
        "localhost:99999",
        "",
        "http://127.0.0.1:80",
    ] {
        let text = wrong(&[&format!("--status-address={value}")]);
        assert!(
            text.contains("--status-address") && text.contains("127.0.0.1:8080"),
            "{value}: {text}"
        );
    }
}

#[test]
fn the_page_and_the_api_have_ports_of_their_own() {
    let text = wrong(&["--secure-port=6443", "--status-address=127.0.0.1:6443"]);
    assert!(
        text.contains("--status-address") && text.contains("--secure-port"),
        "{text}"
    );
    good(&["--secure-port=6443", "--status-address=127.0.0.1:6444"]);
    good(&["--secure-port=0", "--status-address=127.0.0.1:0"]);
    good(&[
        "--bind-address=127.0.0.2",
        "--secure-port=6443",
        "--status-address=127.0.0.1:6443",
    ]);
}
