//! Certificates, tokens and headers: which are used, and that they are followed.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::server::{Authority, Server, json, server_config, typed};
use super::*;
use crate::kubernetes::kubeconfig;

#[tokio::test]
async fn a_certificate_is_verified_and_each_fault_told() {
    let (ours, other) = (Authority::new("a"), Authority::new("b"));
    let unknown = Some("its certificate is signed by an unknown authority (--prometheus-ca-file)");
    let impostor = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, ours.pem()).unwrap();
    for (pair, reason) in [
        (ours.issue("127.0.0.1", 2099), None),
        (
            ours.issue("127.0.0.1", 2001),
            Some("its certificate has expired"),
        ),
        (
            ours.issue("elsewhere", 2099),
            Some("its certificate is for another host name"),
        ),
        (other.issue("127.0.0.1", 2099), unknown),
        (impostor.issue("127.0.0.1", 2099), unknown),
    ] {
        let server = Server::tls(server_config(&pair, None), |_| json("200 OK", ONE)).await;
        let settings = Settings {
            ca_file: Some(ca.clone()),
            ..settings(&server.url)
        };
        let client = Client::new(&settings).unwrap();
        match reason {
            None => drop(ask(&client).await.unwrap()),
            Some(reason) => {
                let text = format!(
                    "no TLS connection to Prometheus at {}: {reason}",
                    server.url
                );
                assert_eq!(error_of(&client).await, ("tls", text));
            }
        }
    }
}

#[tokio::test]
async fn a_changed_ca_and_client_certificate_are_followed_without_a_restart() {
    let (old, new) = (Authority::new("a"), Authority::new("a"));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |authority: &Authority| {
        let pair = authority.issue("client", 2099);
        fs::write(path("ca"), authority.pem()).unwrap();
        fs::write(path("crt"), pair.certificate).unwrap();
        fs::write(path("key"), pair.key).unwrap();
    };
    write(&old);
    let config = server_config(&new.issue("127.0.0.1", 2099), Some(&new));
    let server = Server::tls(config, |_| json("200 OK", ONE)).await;
    let files = Settings {
        ca_file: Some(path("ca")),
        client_cert_file: Some(path("crt")),
        client_key_file: Some(path("key")),
        ..settings(&server.url)
    };
    let client = Client::new(&files).unwrap();
    assert_eq!(error_of(&client).await.0, "tls");
    write(&new);
    ask(&client).await.unwrap();
    // A half-written key keeps the last good pair.
    fs::write(path("key"), "-----BEGIN").unwrap();
    ask(&client).await.unwrap();

    let bare = Settings {
        ca_file: Some(path("ca")),
        ..settings(&server.url)
    };
    let (class, text) = error_of(&Client::new(&bare).unwrap()).await;
    assert_eq!(class, "tls");
    assert!(text.ends_with("wants a client certificate (--prometheus-client-tls-cert-file)"));
}

#[tokio::test]
async fn a_token_file_is_trimmed_followed_and_read_again_at_once_after_a_401() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "old\n").unwrap();
    let server = Server::plain(|request| match request.header("authorization") {
        Some("Bearer new") => json("200 OK", ONE),
        _ => typed("401 Unauthorized", "text/plain", "no"),
    })
    .await;
    let file = Settings {
        token_file: Some(path.clone()),
        ..settings(&server.url)
    };
    let client = Client::new(&file).unwrap();
    assert_eq!(error_of(&client).await.0, "auth");
    fs::write(&path, " new \n").unwrap();
    ask(&client).await.unwrap();
    fs::remove_file(&path).unwrap();
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn a_header_wins_over_the_urls_user_and_that_over_a_token_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "t").unwrap();
    let server = Server::plain(|_| json("200 OK", ONE)).await;
    let user = server.url.replace("http://", "http://u:p@");
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut all = Settings {
        token_file: Some(path),
        headers: vec![
            header("Authorization", "Custom x"),
            header("x-a", "1"),
            header("X-A", "2"),
            header("Host", "elsewhere"),
        ],
        ..settings(&user)
    };
    ask(&Client::new(&all).unwrap()).await.unwrap();
    all.headers.clear();
    ask(&Client::new(&all).unwrap()).await.unwrap();
    all.url.clone_from(&server.url);
    ask(&Client::new(&all).unwrap()).await.unwrap();
    let seen = server.seen();
    let sent: Vec<_> = seen
        .iter()
        .map(|request| request.header("authorization"))
        .collect();
    assert_eq!(
        sent,
        [Some("Custom x"), Some("Basic dTpw"), Some("Bearer t")]
    );
    let repeated: Vec<_> = seen[0]
        .headers
        .iter()
        .filter(|(name, _)| name == "x-a")
        .collect();
    assert_eq!(repeated.len(), 2);
    assert!(server.url.ends_with(seen[0].header("host").unwrap()));
}

#[tokio::test]
async fn a_kubeconfigs_trust_and_token_are_used_and_its_server_is_not() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let pair = authority.issue("elsewhere", 2099);
    let server = Server::tls(server_config(&pair, None), |_| json("200 OK", ONE)).await;
    for (name, trust, reached) in [
        (
            "named",
            "certificate-authority: ca.pem, tls-server-name: elsewhere",
            true,
        ),
        (
            "other",
            "certificate-authority: ca.pem, tls-server-name: nowhere",
            false,
        ),
        ("unnamed", "certificate-authority: ca.pem", false),
        ("careless", "insecure-skip-tls-verify: true", true),
        ("system", "certificate-authority: \"\"", false),
    ] {
        let config = folder.path().join(name);
        let text = format!(
            "current-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
             clusters: [{{name: a, cluster: {{server: \"https://unused\", {trust}}}}}]\n\
             users: [{{name: a, user: {{token: t}}}}]\n"
        );
        fs::write(&config, text).unwrap();
        let settings = Settings {
            auth: Auth::Kubeconfig(config),
            ..settings(&server.url)
        };
        let client = Client::new(&settings).unwrap();
        if reached {
            ask(&client).await.unwrap();
        } else {
            assert_eq!(error_of(&client).await.0, "tls", "{name}");
        }
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|request| request.header("authorization") == Some("Bearer t"))
    );
}

#[tokio::test]
async fn a_kubeconfigs_plugin_is_asked_once_and_again_after_a_401() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let config = folder.path().join("config");
    let script = format!(
        "echo \"$KUBERNETES_EXEC_INFO\" >> {0}; n=$(wc -l < {0}); echo '{{\"apiVersion\": \
         \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \"status\": \
         {{\"token\": \"'t$n'\", \"expirationTimestamp\": \"2999-01-01T00:00:00Z\"}}}}'",
        runs.display()
    );
    let mut file = fs::File::create(&config).unwrap();
    let exec = serde_json::json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
    });
    write!(
        file,
        "current-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
         clusters: [{{name: a, cluster: {{server: \"https://unused\"}}}}]\n\
         users: [{{name: a, user: {{exec: {exec}}}}}]\n"
    )
    .unwrap();
    let refused = Arc::new(AtomicBool::new(false));
    let state = refused.clone();
    let server = Server::plain(move |request| {
        let old = request.header("authorization") == Some("Bearer t1");
        if old && state.load(Ordering::SeqCst) {
            typed("401 Unauthorized", "text/plain", "no")
        } else {
            json("200 OK", ONE)
        }
    })
    .await;
    let plugin = Settings {
        auth: Auth::Kubeconfig(config),
        ..settings(&server.url)
    };
    let client = Client::new(&plugin).unwrap();
    for _ in 0..3 {
        ask(&client).await.unwrap();
    }
    refused.store(true, Ordering::SeqCst);
    ask(&client).await.unwrap();
    let sent: Vec<_> = server
        .seen()
        .iter()
        .map(|request| {
            request
                .header("authorization")
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    assert_eq!(
        sent,
        [
            "Bearer t1",
            "Bearer t1",
            "Bearer t1",
            "Bearer t1",
            "Bearer t2"
        ]
    );
    assert!(
        fs::read_to_string(runs)
            .unwrap()
            .contains(r#""interactive":false"#)
    );
}

#[test]
fn settings_that_cannot_work_are_refused_with_the_flags_name() {
    let refused = |settings: &Settings| {
        let error = Client::new(settings).map(|_| ()).unwrap_err();
        (
            error.to_string(),
            std::error::Error::source(&error).map(ToString::to_string),
        )
    };
    let (text, _) = refused(&settings(&format!("http://u:{SECRET}@[::1")));
    assert_eq!(text, "invalid Prometheus URL: invalid IPv6 address");
    let (text, _) = refused(&settings("prometheus:9090"));
    assert_eq!(
        text,
        "invalid Prometheus URL: it must begin with http:// or https://"
    );
    let text = "PUT".parse::<Verb>().unwrap_err().to_string();
    assert_eq!(
        text,
        r#"unsupported Prometheus HTTP verb "PUT"; supported verbs: "GET" and "POST""#
    );

    let url = "https://prometheus";
    let header = vec![("a b".to_owned(), SECRET.to_owned())];
    let (text, _) = refused(&Settings {
        headers: header,
        ..settings(url)
    });
    assert!(
        text.starts_with("invalid --prometheus-header \"a b\""),
        "{text}"
    );
    let (text, _) = refused(&Settings {
        client_key_file: Some("k".into()),
        ..settings(url)
    });
    assert!(text.ends_with("must be given together"), "{text}");
    let (text, cause) = refused(&Settings {
        ca_file: Some("/no/ca".into()),
        ..settings(url)
    });
    assert_eq!(text, "failed to read prometheus-ca-file: /no/ca");
    assert!(cause.unwrap().starts_with("No such file"));
    let (text, _) = refused(&Settings {
        ca_file: Some("/dev/null".into()),
        ..settings(url)
    });
    assert_eq!(text, "no certs found in prometheus-ca-file: /dev/null");
    let (text, _) = refused(&Settings {
        token_file: Some("/dev/null".into()),
        ..settings(url)
    });
    assert_eq!(
        text,
        "prometheus-token-file: /dev/null does not hold a token"
    );
    let auth = Auth::InCluster {
        host: None,
        port: None,
        account: kubeconfig::SERVICE_ACCOUNT.into(),
    };
    let (text, cause) = refused(&Settings {
        auth,
        ..settings(url)
    });
    assert_eq!(
        text,
        "unable to construct in-cluster auth configuration for connecting to Prometheus"
    );
    assert!(
        cause
            .unwrap()
            .starts_with("unable to load in-cluster configuration")
    );
    let auth = Auth::Kubeconfig("/no/config".into());
    let (text, _) = refused(&Settings {
        auth,
        ..settings(url)
    });
    assert_eq!(
        text,
        "unable to construct auth configuration from \"/no/config\" for connecting to Prometheus"
    );
}

#[test]
fn settings_show_no_secret() {
    let mut settings = settings(&format!("https://u:{SECRET}@prometheus/?key={SECRET}"));
    settings
        .headers
        .push(("X-Key".to_owned(), SECRET.to_owned()));
    assert!(!format!("{settings:?}").contains(SECRET));
    assert_eq!(
        Client::new(&settings).unwrap().server(),
        "https://prometheus"
    );
}

#[test]
fn no_proxy_stands_before_this_very_host() {
    for (url, local) in [
        ("http://localhost:9090", true),
        ("http://127.0.0.2", true),
        ("http://[::1]:1", true),
        ("http://prometheus.monitoring.svc", false),
        ("http://10.0.0.1", false),
    ] {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), local, "{url}");
    }
}
