//! What the server shows in a handshake: the certificate that was given, or one of our own, and
//! those for clients that ask for a name. All are followed while they change; the authority of our
//! own is kept in our APIServices where that is wanted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{FOLLOW_EVERY, cluster};
use crate::api::route::GroupVersion;
use crate::config::{Config, SniFlag};
use crate::kubernetes::Kubernetes;
use crate::kubernetes::apiservices::{ApiServices, Trusted};
use crate::reload;
use crate::serve::Security;
use crate::serve::certificate::{self, Names, Origin, SelfSigned};
use crate::serve::sni::{Certificate, Certificates, Named};
use crate::serve::tls;
use crate::telemetry::Metrics;

/// What metrics call the certificate that is shown to whoever asks for no name.
const SERVING: &str = "serving";

/// TLS as the flags say, and whether whoever must trust our certificate does.
pub(super) fn security(
    config: &Config,
    world: &Arc<Kubernetes>,
    metrics: &Arc<Metrics>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<(Security, Trusted)> {
    let flags = &config.serving;
    let named = flags.sni.iter().map(|flag| named(flag, metrics, tasks));
    let named: Vec<Named> = named.collect::<anyhow::Result<_>>()?;
    let given = flags.certificate.clone();
    let (first, trusted) = match given.or_else(|| certificate::foreign(&flags.cert_dir)) {
        Some((certificate, key)) => {
            if flags.manage_apiservice {
                tracing::warn!("--manage-apiservice does nothing: the certificate is not our own");
            }
            let served = from_files(SERVING, (certificate, key), metrics, tasks)?;
            (served, Trusted::default())
        }
        None => self_signed(config, world, metrics, tasks)?,
    };
    let settings = tls::Settings {
        min_version: flags.min_version,
        cipher_suites: flags.cipher_suites.clone(),
        curves: flags.curves.clone(),
        http2: flags.http2,
    };
    let certificates = Certificates { first, named };
    let tls = tls::server_config(certificates, &settings)?;
    Ok((Security::Tls(Arc::new(tls)), trusted))
}

fn named(flag: &SniFlag, metrics: &Arc<Metrics>, tasks: &mut JoinSet<()>) -> anyhow::Result<Named> {
    let file = flag.certificate.display().to_string();
    let pair = (flag.certificate.clone(), flag.key.clone());
    let certificate = from_files(&file, pair, metrics, tasks);
    let certificate =
        certificate.with_context(|| format!("--tls-sni-cert-key: {file} cannot be served"))?;
    Ok(Named {
        names: flag.names.clone(),
        certificate,
    })
}

/// What certificate file and key file hold, which metrics call `name`.
fn from_files(
    name: &str,
    (certificate, key): (PathBuf, PathBuf),
    metrics: &Arc<Metrics>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Arc<Certificate>> {
    let paths = vec![certificate, key];
    let seen = reload::read(&paths)?;
    let first = certificate::parse_files(&seen)?;
    show_end(metrics, name, &first);
    let served = Certificate::new(first);
    let replaced = Arc::clone(&served);
    let (metrics, name) = (Arc::clone(metrics), name.to_owned());
    tasks.spawn(async move {
        let publish = |next: CertifiedKey| {
            show_end(&metrics, &name, &next);
            replaced.replace(next);
        };
        let parse = certificate::parse_files;
        reload::follow("certificate", paths, FOLLOW_EVERY, seen, parse, publish).await;
    });
    Ok(served)
}

fn self_signed(
    config: &Config,
    world: &Arc<Kubernetes>,
    metrics: &Arc<Metrics>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<(Arc<Certificate>, Trusted)> {
    let flags = &config.serving;
    let namespace = cluster::service_namespace(config);
    let names = Names {
        address: Some(flags.bind_address).filter(|address| !address.is_unspecified()),
        ..Names::of_service(&flags.service, namespace.as_deref())
    };
    let (own, origin) = SelfSigned::open(&flags.cert_dir, &names, SystemTime::now())?;
    note(&flags.cert_dir, &origin);
    show_end(metrics, SERVING, &own.key());
    let served = Certificate::new(own.key());
    let replaced = Arc::clone(&served);
    let mut managed = match flags.manage_apiservice {
        true => {
            let ours = ours(config, namespace, Arc::clone(metrics))?;
            Some(manage(ours, own.authority(), Arc::clone(world), tasks))
        }
        false => None,
    };
    let trusted = managed.as_ref().map_or_else(Trusted::default, |managed| {
        Trusted::when(managed.known.clone())
    });
    let announce = async move |authorities| {
        if let Some(managed) = &mut managed {
            managed.announce(authorities).await;
        }
    };
    let metrics = Arc::clone(metrics);
    tasks.spawn(own.renew(SystemTime::now, announce, move |next| {
        show_end(&metrics, SERVING, &next);
        replaced.replace(next);
    }));
    Ok((served, trusted))
}

/// Shows when a certificate ends that is served from now on.
fn show_end(metrics: &Metrics, name: &str, served: &CertifiedKey) {
    let end = served.cert.first().map(certificate::not_after);
    let end = end.and_then(Result::ok);
    let end = end.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
    metrics
        .certificates
        .ends(name, end.map(|end| end.as_secs()));
}

/// The APIServices that hold our authority.
struct Managed {
    wanted: watch::Sender<Vec<String>>,
    known: watch::Receiver<Vec<String>>,
}

impl Managed {
    /// Completes when all have these.
    async fn announce(&mut self, authorities: Vec<String>) {
        self.wanted.send_replace(authorities.clone());
        // The follower lives as long as the process: the wait ends when it is so.
        let _known = self.known.wait_for(|known| *known == authorities).await;
    }
}

/// The APIServices of the groups that are switched on.
fn ours(
    config: &Config,
    namespace: Option<String>,
    metrics: Arc<Metrics>,
) -> anyhow::Result<ApiServices> {
    let namespace = namespace.context(
        "--manage-apiservice: give --service-namespace or POD_NAMESPACE; here is no service \
         account to read it from",
    )?;
    let client = cluster::client(&config.kubernetes, None)?;
    let name = |it: GroupVersion| format!("{}.{}", it.version(), it.group());
    let served = |it: &GroupVersion| config.api.groups.contains(&it.group());
    let names = GroupVersion::ALL
        .into_iter()
        .filter(served)
        .map(name)
        .collect();
    let service = &config.serving.service;
    Ok(ApiServices::new(
        client, &namespace, service, names, metrics,
    ))
}

/// Begins to keep `authority` in them.
fn manage(
    ours: ApiServices,
    authority: String,
    world: Arc<Kubernetes>,
    tasks: &mut JoinSet<()>,
) -> Managed {
    let (wanted, told) = watch::channel(vec![authority]);
    let (publish, known) = watch::channel(Vec::new());
    let merge = |bundle: &str, ours: &[String]| certificate::merge(bundle, ours, SystemTime::now());
    tasks.spawn(async move { ours.follow(told, merge, publish, world.known()).await });
    Managed { wanted, known }
}

fn note(directory: &Path, origin: &Origin) {
    let directory = directory.display();
    match origin {
        Origin::Reused => tracing::info!(%directory, "serving with the self-signed certificate"),
        Origin::Written { replaced: None } => {
            tracing::info!(%directory, "made a self-signed certificate");
        }
        Origin::Written {
            replaced: Some(why),
        } => {
            tracing::info!(%directory, why, "replaced the self-signed certificate");
        }
        Origin::InMemory(error) => {
            tracing::warn!(%directory, %error, "the self-signed certificate lives in memory only");
        }
    }
}
