//! Method names: what a token is and what the registered methods promise (RFC 9110 section 9).

/// Whether `bytes` is a token (RFC 9110 section 5.6.2): the form of method names and of field names.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether sending the request twice has the effect of sending it once (RFC 9110 section 9.2.2).
///
/// Method names are case-sensitive (section 9.1), so `get` is an unknown method, and those promise nothing.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

/// Whether the method gives meaning to content, so that an empty body is announced by `Content-Length: 0`
/// (RFC 9110 section 8.6: a user agent should say so for such methods and should not for the others).
pub fn expects_body(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

/// Whether `byte` may stand in a token: `tchar` of RFC 9110 section 5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// The bytes of a token: each byte of each name is looked up here.
const TOKEN: [bool; 256] = {
    let (mut table, mut at) = ([false; 256], 0);
    while at < 256 {
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`'
            )
            || matches!(byte, b'|' | b'~');
        at += 1;
    }
    table
};

/// Whether `byte` may stand in a field value: HTAB, SP, VCHAR and obs-text of RFC 9110 section 5.5.
///
/// CR, LF and NUL must not appear; the other control characters and DEL have no honest use and are refused too.
pub(super) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// `bytes` without the optional whitespace (OWS, RFC 9110 section 5.6.3) around it.
pub(super) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated list, each without its whitespace; empty members are kept for the caller to
/// judge.
pub(super) fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_ows)
}

/// A decimal number as the wire writes it: 1*DIGIT and nothing else, no sign, no space (RFC 9110 section 8.6).
pub(super) fn parse_decimal(digits: &[u8]) -> Result<u64, DecimalError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::NotDecimal);
    }
    digits
        .iter()
        .try_fold(0u64, |value, &digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or(DecimalError::Overflow)
}

/// Why [`parse_decimal`] refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecimalError {
    /// Empty, or something other than the ten digits.
    NotDecimal,
    /// More than a `u64` holds.
    Overflow,
}
