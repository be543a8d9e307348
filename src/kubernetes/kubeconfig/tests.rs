//! Files as kubectl writes them, and broken ones.

use super::*;

const TOKEN: &str = "s3cr3t-token";

fn parse(text: &str) -> Result<Connection, Error> {
    Connection::parse(text, Path::new("/etc/kube/config"))
}

/// A kubeconfig of one cluster and one user with these fields.
fn with(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: here\n\
         contexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: monitoring}}\n\
         clusters:\n- name: c\n  cluster: {{server: \"https://kube:6443\"{cluster}}}\n\
         users:\n- name: u\n  user: {{{user}}}\n"
    )
}

#[test]
fn inline_data_wins_over_files_and_relative_paths_start_at_the_files_folder() {
    let connection = parse(&with(
        ", certificate-authority: ca.pem, certificate-authority-data: QUJD",
        "client-certificate: /abs/c.pem, client-key: keys/k.pem, tokenFile: t, token: x",
    ))
    .unwrap();
    let Roots::Pem(roots) = &connection.roots else {
        panic!("{:?}", connection.roots)
    };
    assert_eq!(roots.read().unwrap(), b"ABC");
    let (certificate, key) = connection.certificate.unwrap();
    assert_eq!(certificate.path(), Some(Path::new("/abs/c.pem")));
    assert_eq!(key.path(), Some(Path::new("/etc/kube/keys/k.pem")));
    // client-go: "the last successfully read value [of the file] takes precedence".
    let Credentials::Token(token) = &connection.credentials else {
        panic!()
    };
    assert_eq!(token.path(), Some(Path::new("/etc/kube/t")));
}

#[test]
fn an_exec_plugin_is_taken_with_null_lists_and_a_path_from_the_folder() {
    let connection = parse(&with(
        "",
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./bin/login, args: null, \
         env: [{name: A, value: b}], interactiveMode: IfAvailable, installHint: get it}",
    ))
    .unwrap();
    let Credentials::Exec(exec) = connection.credentials else {
        panic!()
    };
    assert_eq!(exec.command, Path::new("/etc/kube/./bin/login"));
    assert!(exec.args.is_empty());
    assert_eq!(exec.env, [("A".to_owned(), "b".to_owned())]);
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let refusals = [
        (
            with(", proxy-url: \"http://p:1\"", ""),
            "proxy-url of cluster \"c\"",
        ),
        (
            with("", "auth-provider: {name: gcp}"),
            "auth-provider of user \"u\"",
        ),
        (with("", "client-certificate: a"), "must be given together"),
        (with("", "token: a, username: b"), "but not both"),
        (
            with(
                ", insecure-skip-tls-verify: true, certificate-authority: a",
                "",
            ),
            "insecure-skip",
        ),
        (
            with(
                "",
                "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: a}",
            ),
            "v1al",
        ),
        (
            "current-context: x\n".to_owned(),
            "context \"x\" is not defined in /etc/kube/config",
        ),
        ("users: []\n".to_owned(), "no current-context"),
        (
            with("", "").replace("cluster: c,", "cluster: d,"),
            "cluster \"d\" is not defined",
        ),
        (
            with("", "").replace("user: u,", "user: v,"),
            "user \"v\" is not defined",
        ),
    ];
    for (text, part) in refusals {
        let error = parse(&text)
            .map(|c| format!("{c:?}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error} lacks {part}");
    }
}

#[test]
fn no_secret_is_shown_by_debug_or_by_a_parse_error() {
    for user in [
        format!("token: {TOKEN}"),
        format!("username: u, password: {TOKEN}"),
        format!("client-key-data: {TOKEN}, client-certificate-data: {TOKEN}"),
        format!("token: [{TOKEN}]"),
        format!("exec: {{apiVersion: {TOKEN}x"),
    ] {
        let shown = match parse(&with("", &user)) {
            Ok(connection) => format!("{connection:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}

#[test]
fn a_service_account_needs_host_and_port_and_brackets_an_ipv6_address() {
    let account = Path::new("/sa");
    let connection = Connection::in_cluster(Some("fd00::1"), Some("443"), account).unwrap();
    assert_eq!(connection.server, "https://[fd00::1]:443");
    let Credentials::Token(token) = connection.credentials else {
        panic!()
    };
    assert_eq!(token.path(), Some(Path::new("/sa/token")));
    for (host, port) in [(None, Some("1")), (Some("h"), None), (Some(""), Some("1"))] {
        let error = Connection::in_cluster(host, port, account)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("unable to load in-cluster configuration"),
            "{error}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(?s).{0,200}") {
        let _ = parse(&text);
    }
}
