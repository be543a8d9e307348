//! The kubeconfig file: its shape, and client-go's rules for joining context, cluster and user.

use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use serde::Deserialize;

use super::{Connection, Credentials, Error, Roots, Secret, Source, filled};
use crate::kubernetes::exec::Exec;

pub(super) fn parse(text: &str, path: &Path) -> Result<Connection, Error> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map_or_else(
            || "not valid YAML".to_owned(),
            |at| format!("see line {}, column {}", at.line(), at.column()),
        );
        Error::Parse(path.to_owned(), place)
    })?;
    let reader = Reader {
        path,
        folder: path.parent().unwrap_or(Path::new("")),
    };
    reader.connection(file)
}

struct Reader<'a> {
    path: &'a Path,
    folder: &'a Path,
}

impl Reader<'_> {
    fn connection(&self, file: File) -> Result<Connection, Error> {
        let name = file
            .current_context
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Error::NoContext(self.path.to_owned()))?;
        let context = file
            .contexts
            .into_iter()
            .flatten()
            .find(|context| context.name == name)
            .ok_or_else(|| self.missing("context", &name))?
            .context;
        let cluster = file
            .clusters
            .into_iter()
            .flatten()
            .find(|cluster| cluster.name == context.cluster)
            .ok_or_else(|| self.missing("cluster", &context.cluster))?;
        let user = match filled(context.user.as_deref()) {
            None => NamedUser {
                name: String::new(),
                user: None,
            },
            Some(name) => file
                .users
                .into_iter()
                .flatten()
                .find(|user| user.name == name)
                .ok_or_else(|| self.missing("user", name))?,
        };
        self.join(cluster, user)
    }

    fn join(&self, cluster: NamedCluster, user: NamedUser) -> Result<Connection, Error> {
        let NamedCluster {
            name: cluster_name,
            cluster,
        } = cluster;
        let NamedUser {
            name: user_name,
            user,
        } = user;
        let user = user.unwrap_or_default();
        if filled(cluster.proxy_url.as_deref()).is_some() {
            let what = format!("proxy-url of cluster {cluster_name:?}");
            return Err(self.unsupported(what, "set HTTPS_PROXY in the environment instead"));
        }
        let authority = self.source(
            format!("certificate-authority of cluster {cluster_name:?}"),
            cluster.certificate_authority_data.as_ref(),
            cluster.certificate_authority.as_deref(),
        );
        let roots = match (cluster.insecure_skip_tls_verify, authority) {
            (true, Some(_)) => {
                let what = format!("insecure-skip-tls-verify of cluster {cluster_name:?}");
                return Err(self.unsupported(what, "remove it, or the certificate-authority"));
            }
            (true, None) => Roots::Anybody,
            (false, Some(authority)) => Roots::Pem(authority),
            (false, None) => Roots::System,
        };
        let certificate = self.certificate(&user_name, &user)?;
        let credentials = self.credentials(&user_name, user, &cluster)?;
        Ok(Connection {
            server: cluster.server,
            roots,
            server_name: cluster.tls_server_name.filter(|name| !name.is_empty()),
            certificate,
            credentials,
            headers: Vec::new(),
        })
    }

    fn certificate(&self, name: &str, user: &User) -> Result<Option<(Source, Source)>, Error> {
        let certificate = self.source(
            format!("client-certificate of user {name:?}"),
            user.client_certificate_data.as_ref(),
            user.client_certificate.as_deref(),
        );
        let key = self.source(
            format!("client-key of user {name:?}"),
            user.client_key_data.as_ref(),
            user.client_key.as_deref(),
        );
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            _ => Err(self.unsupported(
                format!("user {name:?}"),
                "client-certificate and client-key must be given together",
            )),
        }
    }

    /// client-go's order: a token file wins over a token, either over a plugin; a token and a
    /// user name exclude each other.
    fn credentials(&self, name: &str, user: User, cluster: &Cluster) -> Result<Credentials, Error> {
        if user.auth_provider.is_some() {
            let what = format!("auth-provider of user {name:?}");
            return Err(
                self.unsupported(what, "Kubernetes removed it in 1.26: use exec or a token")
            );
        }
        let file = user.token_file.filter(|path| !path.as_os_str().is_empty());
        let token = match (file, user.token.filter(|token| !token.0.is_empty())) {
            (Some(path), _) => {
                let path = self.folder.join(path);
                Some(Source::file(format!("tokenFile of user {name:?}"), path))
            }
            (None, Some(token)) => Some(Source::data(
                format!("token of user {name:?}"),
                token.0.into_bytes(),
            )),
            (None, None) => None,
        };
        let username = user.username.filter(|name| !name.is_empty());
        match (token, username) {
            (Some(_), Some(_)) => Err(self.unsupported(
                format!("user {name:?}"),
                "username/password or bearer token may be set, but not both",
            )),
            (Some(token), None) => Ok(Credentials::Token(token)),
            (None, Some(username)) => Ok(Credentials::Basic {
                username,
                password: Source::data(
                    format!("password of user {name:?}"),
                    user.password
                        .map_or_else(Vec::new, |password| password.0.into_bytes()),
                ),
            }),
            (None, None) => match user.exec {
                None => Ok(Credentials::None),
                Some(exec) => Ok(Credentials::Exec(Box::new(self.exec(name, exec, cluster)?))),
            },
        }
    }

    fn exec(&self, name: &str, plugin: Plugin, cluster: &Cluster) -> Result<Exec, Error> {
        const VERSIONS: [&str; 2] = [
            "client.authentication.k8s.io/v1",
            "client.authentication.k8s.io/v1beta1",
        ];
        if !VERSIONS.contains(&plugin.api_version.as_str()) {
            let what = format!("exec apiVersion {:?} of user {name:?}", plugin.api_version);
            return Err(self.unsupported(
                what,
                "use client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1",
            ));
        }
        if plugin.interactive_mode.as_deref() == Some("Always") {
            let what = format!("exec interactiveMode Always of user {name:?}");
            return Err(self.unsupported(what, "nobody is there to answer it: use Never"));
        }
        // A bare name is looked up in PATH; anything with a separator is a path from the folder.
        let command = if plugin.command.contains('/') {
            self.folder.join(&plugin.command)
        } else {
            PathBuf::from(&plugin.command)
        };
        let described = plugin.provide_cluster_info.then(|| {
            serde_json::json!({
                "server": cluster.server,
                "tls-server-name": cluster.tls_server_name.as_deref().unwrap_or_default(),
                "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
                "certificate-authority-data": cluster.certificate_authority_data,
            })
        });
        Ok(Exec {
            command,
            args: plugin.args.unwrap_or_default(),
            env: plugin
                .env
                .into_iter()
                .flatten()
                .map(|pair| (pair.name, pair.value))
                .collect(),
            api_version: plugin.api_version,
            cluster: described,
        })
    }

    fn source(
        &self,
        name: String,
        data: Option<&ByteString>,
        path: Option<&Path>,
    ) -> Option<Source> {
        match (data, path) {
            (Some(data), _) if !data.0.is_empty() => Some(Source::data(name, data.0.clone())),
            (_, Some(path)) if !path.as_os_str().is_empty() => {
                Some(Source::file(name, self.folder.join(path)))
            }
            _ => None,
        }
    }

    fn missing(&self, kind: &'static str, name: &str) -> Error {
        Error::Missing {
            kind,
            name: name.to_owned(),
            path: self.path.to_owned(),
        }
    }

    fn unsupported(&self, what: String, advice: &'static str) -> Error {
        Error::Unsupported {
            what,
            advice,
            path: self.path.to_owned(),
        }
    }
}

/// `Config` of `k8s.io/client-go/tools/clientcmd/api/v1`: the fields we use or must refuse.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    current_context: Option<String>,
    clusters: Option<Vec<NamedCluster>>,
    contexts: Option<Vec<NamedContext>>,
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<ByteString>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<ByteString>,
    client_key: Option<PathBuf>,
    client_key_data: Option<ByteString>,
    token: Option<Secret>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<Secret>,
    auth_provider: Option<serde::de::IgnoredAny>,
    exec: Option<Plugin>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plugin {
    api_version: String,
    command: String,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    #[serde(default)]
    provide_cluster_info: bool,
    interactive_mode: Option<String>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}
