//! The flags of authentication.

use super::good;

#[test]
fn flags_about_front_proxies_without_their_bundle_are_noticed() {
    let flags = [
        "--requestheader-username-headers=x-remote-user",
        "--requestheader-uid-headers=x-remote-uid",
        "--requestheader-group-headers=x-remote-group",
        "--requestheader-extra-headers-prefix=x-remote-extra-",
        "--requestheader-allowed-names=front-proxy-client",
    ];
    for flag in flags {
        let config = good(&[flag]);
        let name = flag.split_once('=').unwrap().0;
        assert_eq!(config.authentication.useless_proxy_flags, [name]);
    }
    let mut all = Vec::from(flags);
    assert_eq!(good(&all).authentication.useless_proxy_flags.len(), 5);
    all.push("--requestheader-client-ca-file=ca.crt");
    for args in [&all[..], &[]] {
        let config = good(args);
        assert!(config.authentication.useless_proxy_flags.is_empty());
    }
}
