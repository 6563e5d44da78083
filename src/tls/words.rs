//! Names of Rust types in words: rustls has about two hundred faults, and shows nothing of most but their name.

use std::fmt::Debug;

use rustls::AlertDescription;

/// The name of an enum's variant in words: `SelectedUnofferedKxGroup` is "selected unoffered key exchange group". What
/// the variant holds is left out: it is bytes and Rust types.
pub(super) fn spelled(variant: &impl Debug) -> String {
    spelled_text(&format!("{variant:?}"))
}

/// The same of what was printed already.
pub(super) fn spelled_text(shown: &str) -> String {
    let name = shown.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let words: Vec<String> = parts(name).into_iter().map(word).collect();
    words.join(" ")
}

/// As RFC 8446 section 6 calls it: `HandshakeFailure` is "handshake_failure". One without a name is "unknown".
pub(super) fn alert_name(alert: AlertDescription) -> String {
    let shown = format!("{alert:?}");
    match shown.split_once('(') {
        Some(_) => "unknown".to_owned(),
        None => parts(&shown).join("_").to_ascii_lowercase(),
    }
}

/// The words of a name in capitals; a row of capitals is one, but for its last if that begins a word.
fn parts(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let begins = |at: &usize| {
        let follows_capital = bytes[*at - 1].is_ascii_uppercase();
        bytes[*at].is_ascii_uppercase() && (!follows_capital || bytes.get(*at + 1).is_some_and(u8::is_ascii_lowercase))
    };
    let mut cuts: Vec<usize> = (1..bytes.len()).filter(begins).collect();
    cuts.push(bytes.len());
    let mut from = 0;
    cuts.into_iter().map(|to| &name[std::mem::replace(&mut from, to)..to]).collect()
}

fn word(part: &str) -> String {
    let known = ABBREVIATIONS.iter().find(|(name, _)| *name == part);
    known.map_or_else(|| part.to_ascii_lowercase(), |(_, word)| (*word).to_owned())
}

const ABBREVIATIONS: &[(&str, &str)] = &[
    ("Tls", "TLS"),
    ("Tls12", "TLS 1.2"),
    ("Tls13", "TLS 1.3"),
    ("13", "1.3"),
    ("Kx", "key exchange"),
    ("Psk", "pre-shared key"),
    ("Ech", "encrypted client hello"),
    ("Ems", "extended master secret"),
    ("Ec", "elliptic curve"),
    ("Sct", "certificate timestamp"),
    ("Ccs", "change of cipher spec"),
    ("Ca", "authority"),
    ("Crl", "revocation list"),
    ("Cert", "certificate"),
    ("Der", "DER encoding"),
    ("Dh", "Diffie-Hellman"),
    ("Eku", "key purpose"),
    ("Sig", "signature"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a variant becomes words, and what it holds does not get into them. Method: names of each shape.
    #[test]
    fn variants_are_spelled_out() {
        for (shown, words) in [
            ("SelectedUnofferedKxGroup", "selected unoffered key exchange group"),
            ("Tls12NotOfferedOrEnabled", "TLS 1.2 not offered or enabled"),
            ("MissingData(\"ServerHello\")", "missing data"),
            ("Context { id: [1, 2] }", "context"),
            ("ReceivedInQUICConnection", "received in quic connection"),
            ("", ""),
        ] {
            assert_eq!(spelled_text(shown), words);
        }
        for (alert, name) in
            [(40, "handshake_failure"), (48, "unknown_ca"), (115, "unknown_psk_identity"), (200, "unknown")]
        {
            assert_eq!(alert_name(AlertDescription::from(alert)), name);
        }
    }
}
