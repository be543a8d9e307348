//! What the server shows in a handshake: the certificate that was given, or one of our own, and
//! those for clients that ask for a name. All are followed while they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use rustls::ServerConfig;
use tokio::task::JoinSet;

use super::FOLLOW_EVERY;
use crate::config::{ServingFlags, SniFlag};
use crate::reload;
use crate::serve::certificate::{self, Names, Origin, SelfSigned};
use crate::serve::sni::{Certificate, Certificates, Named};
use crate::serve::tls;

/// TLS as the flags say; `namespace` is that of our service, if it is known.
pub(super) fn tls_config(
    flags: &ServingFlags,
    namespace: Option<&str>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let named = flags.sni.iter().map(|flag| named(flag, tasks));
    let named: Vec<Named> = named.collect::<anyhow::Result<_>>()?;
    let given = flags.certificate.clone();
    let first = match given.or_else(|| certificate::foreign(&flags.cert_dir)) {
        Some((certificate, key)) => from_files(certificate, key, tasks)?,
        None => self_signed(flags, namespace, tasks)?,
    };
    let settings = tls::Settings {
        min_version: flags.min_version,
        cipher_suites: flags.cipher_suites.clone(),
        curves: flags.curves.clone(),
        http2: flags.http2,
    };
    let certificates = Certificates { first, named };
    Ok(Arc::new(tls::server_config(certificates, &settings)?))
}

fn named(flag: &SniFlag, tasks: &mut JoinSet<()>) -> anyhow::Result<Named> {
    let certificate = from_files(flag.certificate.clone(), flag.key.clone(), tasks);
    let certificate = certificate.with_context(|| {
        let file = flag.certificate.display();
        format!("--tls-sni-cert-key: {file} cannot be served")
    })?;
    Ok(Named {
        names: flag.names.clone(),
        certificate,
    })
}

fn from_files(
    certificate: PathBuf,
    key: PathBuf,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Arc<Certificate>> {
    let paths = vec![certificate, key];
    let seen = reload::read(&paths)?;
    let served = Certificate::new(certificate::parse_files(&seen)?);
    let replaced = Arc::clone(&served);
    tasks.spawn(async move {
        let publish = |next| replaced.replace(next);
        let parse = certificate::parse_files;
        reload::follow("certificate", paths, FOLLOW_EVERY, seen, parse, publish).await;
    });
    Ok(served)
}

fn self_signed(
    flags: &ServingFlags,
    namespace: Option<&str>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Arc<Certificate>> {
    let names = Names {
        address: Some(flags.bind_address).filter(|address| !address.is_unspecified()),
        ..Names::of_service(&flags.service, namespace)
    };
    let (own, origin) = SelfSigned::open(&flags.cert_dir, &names, SystemTime::now())?;
    note(&flags.cert_dir, &origin);
    let served = Certificate::new(own.key());
    let replaced = Arc::clone(&served);
    let announce = async |_authorities| {};
    tasks.spawn(own.renew(SystemTime::now, announce, move |next| {
        replaced.replace(next)
    }));
    Ok(served)
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
