//! Certificate authorities made for one test, and what they sign.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};

/// Longer than any test.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// An authority of its own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A fresh one with this common name.
    pub fn new(name: &str) -> Authority {
        Authority::until(name, LIFETIME)
    }

    /// One that ends so long from now.
    pub fn until(name: &str, end: Duration) -> Authority {
        let mut params = named(name, &[]);
        params.not_after = (SystemTime::now() + end).into();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key must be possible");
        Authority(CertifiedIssuer::self_signed(params, key).expect("fresh parameters must be fine"))
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client: common name and organizations are user and groups.
    pub fn client(&self, name: &str, organizations: &[&str]) -> Pair {
        self.odd_client(name, organizations, |_| {})
    }

    /// A client whose certificate `change` makes an odd one.
    pub fn odd_client(
        &self,
        name: &str,
        organizations: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut params = named(name, organizations);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.sign(&params)
    }

    /// A server on loopback.
    pub fn server(&self, name: &str) -> Pair {
        let mut params = named(name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        self.sign(&params)
    }

    /// A server that is known by this DNS name, such as `SVC.NS.svc`, besides loopback.
    pub fn service(&self, name: &str) -> Pair {
        self.service_until(name, LIFETIME)
    }

    /// The same, until so long from now.
    pub fn service_until(&self, name: &str, end: Duration) -> Pair {
        let mut params = named(name, &[]);
        params.not_after = (SystemTime::now() + end).into();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let dns = name
            .try_into()
            .expect("a service's name must be a DNS name");
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        params.subject_alt_names = vec![SanType::DnsName(dns), SanType::IpAddress(loopback)];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key must be possible");
        let certificate = params
            .signed_by(&key, &self.0)
            .expect("fresh parameters must be fine");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn named(name: &str, organizations: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    for organization in organizations {
        params
            .distinguished_name
            .push(DnType::OrganizationName, *organization);
    }
    params.not_before = (SystemTime::now() - LIFETIME).into();
    params.not_after = (SystemTime::now() + LIFETIME).into();
    params
}
