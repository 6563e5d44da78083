//! Certificates made on the spot: one authority the client is told to trust, and every kind of wrong leaf.

use std::sync::Arc;

use rcgen::{
    date_time_ymd, BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::ServerConfig;

/// A leaf with its key, in both forms a server may want.
pub struct Leaf {
    pub certificate_pem: String,
    pub key_pem: String,
    pub config: Arc<ServerConfig>,
}

/// An authority that signs leaves.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// When a leaf holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Validity {
    Now,
    Over,
    NotBegun,
}

pub const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Authority {
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("the system gives random bytes");
        let mut params = CertificateParams::new(Vec::new()).expect("no names, none invalid");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).expect("valid parameters").pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    pub fn leaf(&self, names: &[&str], validity: Validity) -> Leaf {
        let key = KeyPair::generate().expect("the system gives random bytes");
        let params = leaf_params(names, validity);
        let certificate = params.signed_by(&key, &self.issuer).expect("valid parameters");
        Leaf::new(certificate, key)
    }
}

impl Leaf {
    pub fn self_signed(names: &[&str]) -> Leaf {
        let key = KeyPair::generate().expect("the system gives random bytes");
        let certificate = leaf_params(names, Validity::Now).self_signed(&key).expect("valid parameters");
        Leaf::new(certificate, key)
    }

    fn new(certificate: rcgen::Certificate, key: KeyPair) -> Leaf {
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, der)
            .expect("the key is the certificate's");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Leaf { certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), config: Arc::new(config) }
    }
}

fn leaf_params(names: &[&str], validity: Validity) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut params = CertificateParams::new(names).expect("names are literals");
    params.distinguished_name.push(DnType::CommonName, "valtron_http test site");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let (first, last) = match validity {
        Validity::Now => (2019, 2124),
        Validity::Over => (2019, 2020),
        Validity::NotBegun => (2123, 2124),
    };
    params.not_before = date_time_ymd(first, 1, 1);
    params.not_after = date_time_ymd(last, 1, 1);
    params
}
