//! Certificates from PEM, with errors that say which block is wrong.
//!
//! Text around the blocks is allowed (RFC 7468 section 2: bundles carry names and comments there). What can only be a
//! damaged block is an error: a stray boundary, a base64 line outside a block, bytes that are not text.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::CertificateDer;
use rustls::RootCertStore;

use super::TlsError;

/// Adds every certificate of `text`, and gives them back; at least one must be there.
pub(super) fn add_to(roots: &mut RootCertStore, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::str::from_utf8(text).map_err(|_| invalid("it is not text; PEM is needed, not DER".to_owned()))?;
    let mut given = Vec::new();
    let mut block = 0_usize;
    let mut start = None;
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let line_start = offset;
        offset += line.len();
        let line = line.trim();
        if let Some(from) = start {
            if line == END {
                given.push(add(roots, &text[from..offset], block)?);
                start = None;
            } else if line.starts_with(DASHES) {
                return Err(invalid(format!("certificate {block} has no end before line {}", number + 1)));
            }
        } else if line == BEGIN {
            block += 1;
            start = Some(line_start);
        } else if line.starts_with(DASHES) {
            return Err(invalid(format!("line {} after certificate {block} is {line:.48}", number + 1)));
        } else if line.len() == BASE64_LINE && line.bytes().all(is_base64) || line.contains('\0') {
            return Err(invalid(format!("line {} after certificate {block} is outside a certificate", number + 1)));
        }
    }
    if start.is_some() {
        return Err(invalid(format!("certificate {block} has no end")));
    }
    if block == 0 {
        return Err(invalid("there is no certificate in it".to_owned()));
    }
    Ok(given)
}

fn add(roots: &mut RootCertStore, one: &str, block: usize) -> Result<CertificateDer<'static>, TlsError> {
    let der = CertificateDer::from_pem_slice(one.as_bytes())
        .map_err(|_| invalid(format!("certificate {block} is not valid base64")))?;
    // The only other fault is of the encoding, and there is no more to say of it.
    roots.add(der.clone()).map_err(|_| invalid(format!("certificate {block} is not an X.509 certificate")))?;
    Ok(der)
}

fn invalid(text: String) -> TlsError {
    TlsError::PemInvalid(text)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

const DASHES: &str = "-----";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The length of a full line of base64 in PEM (RFC 7468 section 2).
const BASE64_LINE: usize = 64;
