//! The certificates that are shown and believed: when they end.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Time;

/// When certificates end. Clones show in the same.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    ends: Family<CertificateLabel, Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabel {
    certificate: String,
}

impl Certificates {
    pub(super) fn register(&self, own: &mut Registry) {
        own.register(
            "certificate_expiry_timestamp_seconds",
            "When a certificate ends: serving is the one that is shown, a file is that of \
             --tls-sni-cert-key; client-ca-file and requestheader-client-ca-file are the \
             authorities of clients and front proxies, the one of them that ends last",
            self.ends.clone(),
        );
    }

    /// What has this name ends at `at`, in seconds since the epoch; `None`: there is none.
    pub fn ends(&self, certificate: &str, at: Option<u64>) {
        let certificate = certificate.to_owned();
        let label = CertificateLabel { certificate };
        match at {
            Some(at) => {
                self.ends.get_or_create(&label).set(at as f64);
            }
            None => {
                self.ends.remove(&label);
            }
        }
    }
}
