//! Certificates for clients that ask for a name.

use std::time::SystemTime;

use super::super::certificate::{Names, SelfSigned};
use super::super::sni::{Certificate, Certificates, Named};
use super::super::*;
use super::support::{Client, Running, settings};

fn pair(names: &[&str]) -> SelfSigned {
    let names = Names {
        dns: names.iter().map(|&name| name.to_owned()).collect(),
        ..Names::default()
    };
    let nowhere = std::path::Path::new("/dev/null/nowhere");
    SelfSigned::open(nowhere, &names, SystemTime::now())
        .unwrap()
        .0
}

fn named(pair: &SelfSigned, names: &[&str]) -> Named {
    Named {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        certificate: Certificate::new(pair.key()),
    }
}

/// Which of the pairs is shown to a client that asks for this name: by their chains' last.
async fn shown(server: &Running, name: &str, pairs: &[&SelfSigned]) -> Option<usize> {
    for (place, pair) in pairs.iter().enumerate() {
        let mut client = Client::new(&pair.key().cert, &["h2"]);
        client.config.enable_sni = true;
        if let Err(error) = client.connect_as(name, server).await {
            let text = error.to_string();
            // Signed by this one, but not for this name: it is shown all the same.
            if !text.contains("not valid for name") {
                continue;
            }
        }
        return Some(place);
    }
    None
}

fn serve(certificates: Certificates) -> Running {
    let config = tls::server_config(certificates, &settings()).unwrap();
    Running::start(Security::Tls(Arc::new(config)), Limits::default())
}

#[tokio::test]
async fn exact_names_come_before_wildcards_and_given_ones_before_those_in_the_certificate() {
    let first = pair(&["first.example.com"]);
    let read = pair(&["read.example.com", "*.wild.example.com", "both.example.com"]);
    let given = pair(&["x.example.com"]);
    let later = pair(&["read.example.com"]);
    let server = serve(Certificates {
        first: Certificate::new(first.key()),
        named: vec![
            named(&read, &[]),
            named(
                &given,
                &["given.example.com", "both.example.com", "*.example.com"],
            ),
            named(&later, &[]),
        ],
    });
    let pairs = [&first, &read, &given, &later];
    for (name, wanted) in [
        ("first.example.org", 0),
        ("read.example.com", 1),
        ("a.wild.example.com", 1),
        ("READ.example.com", 1),
        // `*` is one label.
        ("a.b.wild.example.com", 0),
        ("given.example.com", 2),
        ("both.example.com", 2),
        ("other.example.com", 2),
        // A given certificate is not asked for the names in it.
        ("x.example.com", 2),
        ("example.com", 0),
    ] {
        assert_eq!(shown(&server, name, &pairs).await, Some(wanted), "{name}");
    }
}

#[tokio::test]
async fn a_client_that_names_nothing_gets_the_first() {
    let (first, other) = (pair(&[]), pair(&[]));
    let server = serve(Certificates {
        first: Certificate::new(first.key()),
        named: vec![named(&other, &["a.example.com"])],
    });
    assert_eq!(
        shown(&server, "127.0.0.1", &[&first, &other]).await,
        Some(0)
    );
}

#[tokio::test]
async fn the_names_of_a_replaced_certificate_are_read_again() {
    let (first, old, new) = (
        pair(&[]),
        pair(&["old.example.com"]),
        pair(&["new.example.com"]),
    );
    let certificate = Certificate::new(old.key());
    let server = serve(Certificates {
        first: Certificate::new(first.key()),
        named: vec![Named {
            names: Vec::new(),
            certificate: Arc::clone(&certificate),
        }],
    });
    let pairs = [&first, &old, &new];
    assert_eq!(shown(&server, "old.example.com", &pairs).await, Some(1));
    certificate.replace(new.key());
    assert_eq!(shown(&server, "old.example.com", &pairs).await, Some(0));
    assert_eq!(shown(&server, "new.example.com", &pairs).await, Some(2));
}
