//! Whom the client trusts, and what it says when it does not.

use rcgen::{date_time_ymd, BasicConstraints, IsCa, KeyPair};

use super::bench::{config, impostor, params, Authority, Pair};
use crate::tls::{TlsConfig, TlsError, TlsSettings, Trust};

fn refusal(pair: &mut Pair) -> TlsError {
    let error = pair.run().expect_err("a refusal");
    // The first error is final, and the peer is told why.
    assert_eq!(pair.client.step(), Err(error.clone()));
    assert!(pair.client.wants_write() && !pair.client.wants_pull() && !pair.client.wants_step());
    error
}

#[test]
fn expired() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    assert_eq!(refusal(&mut pair), TlsError::CertificateExpired);
}

#[test]
fn not_yet_valid() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |params| {
        params.not_before = date_time_ymd(4000, 1, 1);
        params.not_after = date_time_ymd(4001, 1, 1);
    });
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    assert_eq!(refusal(&mut pair), TlsError::CertificateNotYetValid);
}

#[test]
fn wrong_host() {
    let authority = Authority::new();
    let server = authority.server(&["other.test"], |_| {});
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    let TlsError::WrongHost { expected, presented } = refusal(&mut pair) else { panic!("another error") };
    assert_eq!(expected, "example.test");
    assert_eq!(presented, ["other.test"]);
}

#[test]
fn unknown_authority() {
    let server = Authority::named("a stranger").server(&["example.test"], |_| {});
    let mut pair = Pair::new(&Authority::new().settings(), "example.test", &server);
    assert_eq!(refusal(&mut pair), TlsError::UnknownIssuer);
}

/// Goal: self-signed is told apart, whether or not the certificate claims to be an authority.
#[test]
fn self_signed() {
    for ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = params(&["example.test"]);
        params.is_ca = ca;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let server = config(certificate.der().clone(), &key, rustls::ALL_VERSIONS);
        let mut pair = Pair::new(&Authority::new().settings(), "example.test", &server);
        assert_eq!(refusal(&mut pair), TlsError::SelfSigned);
    }
}

/// Goal: a self-signed certificate that is itself given as trusted works, also if it claims to be an authority, as
/// openssl's `req -x509` makes them; its name and its time are checked all the same. Method: each such certificate
/// with each fault, for both versions of TLS.
#[test]
fn a_trusted_self_signed_certificate() {
    let cases = [
        ("example.test", 2001, None),
        ("other.test", 2001, Some("the server's certificate is not for other.test but for example.test")),
        ("example.test", 4000, Some("the server's certificate is not valid yet (is this machine's clock right?)")),
        ("example.test", 1990, Some("the server's certificate has expired")),
    ];
    let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
    for ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained), IsCa::Ca(BasicConstraints::Constrained(0))] {
        for ((host, year, wrong), version) in cases.iter().flat_map(|case| versions.map(|version| (case, version))) {
            let mut params = params(&["example.test"]);
            params.is_ca = ca;
            params.not_before = date_time_ymd(*year, 1, 1);
            params.not_after = date_time_ymd(if *year == 2001 { 4000 } else { year + 1 }, 1, 1);
            let key = KeyPair::generate().expect("a key");
            let certificate = params.self_signed(&key).expect("a certificate");
            let server = config(certificate.der().clone(), &key, &[version]);
            let mut pair = Pair::new(&trusting(&certificate.pem()), host, &server);
            let outcome = pair.run().err().map(|error| error.to_string());
            assert_eq!(outcome.as_deref(), *wrong, "{ca:?} {host} {year}");
        }
    }
}

/// Goal: to be trusted as an authority is not to be trusted as a server: only the very certificate that was given is.
/// Method: a second certificate of the same name and key, and an authority's certificate signed by a trusted one.
#[test]
fn only_the_given_certificate_itself_may_be_an_authority() {
    let key = KeyPair::generate().expect("a key");
    let certificate = |serial: u64| {
        let mut params = params(&["example.test"]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serial_number = Some(serial.into());
        params.self_signed(&key).expect("a certificate")
    };
    let server = config(certificate(2).der().clone(), &key, rustls::ALL_VERSIONS);
    let mut pair = Pair::new(&trusting(&certificate(1).pem()), "example.test", &server);
    let text = "the server's certificate is not acceptable: it belongs to an authority, not to a server";
    assert_eq!(refusal(&mut pair).to_string(), text);

    let authority = Authority::new();
    let server = authority.server(&["example.test"], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    assert_eq!(refusal(&mut pair).to_string(), text);
}

/// Goal: the peer must hold the key of the certificate that we trust. Method: a server that presents the given
/// certificate and signs with another key.
#[test]
fn a_trusted_certificate_needs_its_key() {
    for ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = params(&["example.test"]);
        params.is_ca = ca;
        let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        let server = impostor(certificate.der().clone(), &KeyPair::generate().expect("a key"));
        let mut pair = Pair::new(&trusting(&certificate.pem()), "example.test", &server);
        let text = "the server's certificate is not acceptable: a signature made with it is wrong";
        assert_eq!(refusal(&mut pair).to_string(), text);
    }
}

fn trusting(pem: &str) -> TlsSettings {
    let trust = TlsConfig { trust: Trust::PemOnly, extra_ca_pem: Some(pem.as_bytes()), verify_off: false };
    TlsSettings::new(trust).expect("settings")
}

/// Goal: with verification off a wrong certificate is accepted, and the session works.
#[test]
fn verification_off() {
    let server = Authority::new().server(&["other.test"], |_| {});
    let off = TlsConfig { trust: Trust::PemOnly, verify_off: true, ..TlsConfig::default() };
    let mut pair = Pair::new(&TlsSettings::new(off).expect("settings"), "example.test", &server);
    pair.run().expect("a handshake");
    assert!(!pair.client.is_handshaking());
}

#[test]
fn addresses_and_spellings_of_hosts() {
    let authority = Authority::new();
    let settings = authority.settings();
    let server = authority.server(&["127.0.0.1", "::1", "example.test"], |_| {});
    for host in ["127.0.0.1", "::1", "[::1]", "example.test", "example.test.", "EXAMPLE.test"] {
        let mut pair = Pair::new(&settings, host, &server);
        pair.run().unwrap_or_else(|error| panic!("{host}: {error}"));
        assert!(!pair.client.is_handshaking(), "{host}");
    }
    for host in ["", ".", "a b", "[::1", "[example", "a..b", "[::1%eth0]"] {
        assert_eq!(settings.session(host).err(), Some(TlsError::BadServerName), "{host}");
    }
}

/// Goal: each damaged PEM is told with the place of the damage, and text around blocks is allowed (RFC 7468).
#[test]
fn pem() {
    let pem = Authority::new().certificate.pem();
    let with = |text: &str| {
        let extra_ca_pem = Some(text.as_bytes());
        TlsSettings::new(TlsConfig { trust: Trust::PemOnly, extra_ca_pem, verify_off: false }).map(|_| ())
    };
    let message = |text: &str| match with(text) {
        Err(TlsError::PemInvalid(message)) => message,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(with(&pem), Ok(()));
    assert_eq!(with(&format!("An authority\n============\n{pem}\r\n# another\n{pem}")), Ok(()));
    assert_eq!(message(""), "there is no certificate in it");
    assert_eq!(message("just text\n"), "there is no certificate in it");
    let headless = pem.replacen("-----BEGIN CERTIFICATE-----", "", 1);
    assert!(message(&format!("{pem}{headless}")).contains("after certificate 1 is outside"));
    let endless = pem.replacen("-----END CERTIFICATE-----", "", 1);
    assert_eq!(message(&endless), "certificate 1 has no end");
    assert!(message(&format!("{pem}{endless}{pem}")).contains("certificate 2 has no end before line"));
    assert!(message(&format!("{pem}-----BEGIN PRIVATE KEY-----\n"))
        .contains("after certificate 1 is -----BEGIN PRIVATE KEY"));
    let garbled = pem.replacen("MII", "!!!", 1);
    assert!(message(&format!("{pem}{garbled}")).starts_with("certificate 2 is not"));
    assert!(message("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").contains("certificate 1 is not"));
    let der = TlsConfig { trust: Trust::PemOnly, extra_ca_pem: Some(&[0x30, 0x82, 0xff]), verify_off: false };
    assert!(matches!(TlsSettings::new(der), Err(TlsError::PemInvalid(_))));
    let none = TlsConfig { trust: Trust::PemOnly, ..TlsConfig::default() };
    assert!(matches!(TlsSettings::new(none), Err(TlsError::NoTrust(_))));
    assert!(TlsSettings::new(TlsConfig::default()).is_ok());
}
