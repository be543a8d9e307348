//! Chains whose signatures were checked, so that they need not be for each request.
//!
//! An API server sends all of its requests over one connection, with one certificate. Signatures
//! do not change; what does is time and the authorities. Each bundle of authorities remembers for
//! itself, and nothing is remembered beyond the time of any certificate that was shown.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_cert::der::Decode;

use crate::auth::identity::Subject;

/// Chains that are remembered: a cluster has a few API servers.
const PROOFS_MAX: usize = 64;

/// Longer chains are checked each time.
const CHAIN_BYTES_MAX: usize = 16 * 1024;

/// Chains that were found to lead to an authority.
#[derive(Default)]
pub(super) struct Proofs(Mutex<VecDeque<Proof>>);

struct Proof {
    chain: Vec<CertificateDer<'static>>,
    /// When all of the chain is valid, in seconds since 1970.
    valid: RangeInclusive<u64>,
    /// The authority, by its place in the bundle.
    root: usize,
    subject: Arc<Subject>,
}

impl Proofs {
    /// Whose certificate this is, and the authority that it leads to, where that was found before
    /// and all certificates are valid now.
    pub(super) fn find(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<(Arc<Subject>, usize)> {
        let proofs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let proof = proofs.iter().find(|proof| proof.chain == chain)?;
        let valid = proof.valid.contains(&now.as_secs());
        valid.then(|| (Arc::clone(&proof.subject), proof.root))
    }

    /// Remembers that the chain leads to this authority.
    pub(super) fn add(&self, chain: &[CertificateDer<'_>], root: usize, subject: &Arc<Subject>) {
        let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
        let Some(valid) = validity(chain).filter(|_| bytes <= CHAIN_BYTES_MAX) else {
            return;
        };
        let proof = Proof {
            chain: chain.iter().map(|it| it.clone().into_owned()).collect(),
            valid,
            root,
            subject: Arc::clone(subject),
        };
        let mut proofs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Two requests may have found it at the same time, or another authority of the same chain.
        proofs.retain(|known| known.chain != proof.chain);
        proofs.truncate(PROOFS_MAX - 1);
        proofs.push_front(proof);
    }
}

/// When all of these certificates are valid; `None`: one cannot be read.
fn validity(chain: &[CertificateDer<'_>]) -> Option<RangeInclusive<u64>> {
    let mut all = 0..=u64::MAX;
    for certificate in chain {
        let (from, until) = times(certificate)?;
        all = from.max(*all.start())..=until.min(*all.end());
    }
    Some(all)
}

/// From and until when a certificate is valid, in seconds since 1970; `None`: it cannot be read.
pub(super) fn times(certificate: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let validity = parsed.tbs_certificate().validity();
    Some((
        validity.not_before.to_unix_duration().as_secs(),
        validity.not_after.to_unix_duration().as_secs(),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate() -> CertificateDer<'static> {
        let params = CertificateParams::default();
        let certificate = params.self_signed(&KeyPair::generate().unwrap());
        certificate.unwrap().der().clone()
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_length() {
        let proofs = Proofs::default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000));
        let subject = Arc::new(Subject::default());
        let chains: Vec<_> = (0..PROOFS_MAX + 3).map(|_| [certificate()]).collect();
        for chain in &chains {
            proofs.add(chain, 0, &subject);
            proofs.add(chain, 1, &subject);
        }
        let known = chains.iter().filter_map(|it| proofs.find(it, now));
        let roots: Vec<usize> = known.map(|(_, root)| root).collect();
        assert_eq!(roots, [1; PROOFS_MAX], "the last of each counts");
        let last = chains.last().unwrap();
        assert!(proofs.find(last, now).is_some());

        let one = certificate();
        let long = vec![one.clone(); CHAIN_BYTES_MAX / one.len() + 1];
        proofs.add(&long, 0, &subject);
        assert!(proofs.find(&long, now).is_none());
    }
}
