//! An immutable block of field lines: the text once, and where each name and value lies in it.
//!
//! The C interface hands exactly this out, so a whole head crosses the border in one call.

use super::error::ProtocolError;
use super::method::{is_token_byte, is_value_byte};
use httparse::Status;

/// A range inside the bytes of a [`HeadBlock`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// How many bytes.
    pub len: u32,
}

/// One field line (RFC 9112 section 5): where its name and its value lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Field {
    /// The name as received, upper and lower case kept.
    pub name: Span,
    /// The value without the whitespace around it.
    pub value: Span,
}

/// The fields of a head or a trailer section, in the order received. Immutable once built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadBlock {
    bytes: Box<[u8]>,
    fields: Box<[Field]>,
}

impl HeadBlock {
    /// The text the spans point into: the section as received, line ends included, but each line folding replaced by
    /// as many spaces (RFC 9112 section 5.2).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each field lies.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The bytes of `span`; empty for a span of another block that does not fit this one.
    pub fn slice(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        start.checked_add(span.len as usize).and_then(|end| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// The value of the first field called `name`, upper and lower case alike (RFC 9110 section 5.1).
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The values of all fields called `name`, in order (RFC 9110 section 5.2).
    pub fn get_all<'b, 'n>(&'b self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        // The length alone tells nearly all apart.
        let called = move |field: &&Field| {
            field.name.len as usize == name.len() && self.slice(field.name).eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().filter(called).map(|field| self.slice(field.value))
    }

    /// All fields as name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Copies `section` and finds its fields, which begin at `from` and end with a blank line; `count` is how many
    /// lines they are. Fields that `keep` refuses are left out.
    ///
    /// The caller has found the blank line and has seen that every LF follows a CR.
    pub(super) fn parse(
        section: &[u8],
        from: usize,
        count: usize,
        keep: impl Fn(&[u8]) -> bool,
    ) -> Result<HeadBlock, ProtocolError> {
        let mut bytes = Vec::new();
        reserve(&mut bytes, section.len())?;
        bytes.extend_from_slice(section);
        let mut fields = find_fields(&bytes, from, count, &keep);
        // Folded lines are rare: they are looked for where the parser stumbled over one.
        if matches!(fields, Err(ProtocolError::ObsFold { .. })) {
            unfold(&mut bytes, from)?;
            fields = find_fields(&bytes, from, count, &keep);
        }
        Ok(HeadBlock { fields: fields?, bytes: bytes.into_boxed_slice() })
    }
}

/// Where the fields of `section` lie; see [`HeadBlock::parse`].
fn find_fields(
    section: &[u8],
    from: usize,
    count: usize,
    keep: impl Fn(&[u8]) -> bool,
) -> Result<Box<[Field]>, ProtocolError> {
    let mut few = [httparse::EMPTY_HEADER; FIELDS_ON_STACK];
    let mut many = Vec::new();
    let slots = match few.get_mut(..count) {
        Some(slots) => slots,
        None => {
            reserve(&mut many, count)?;
            many.resize(count, httparse::EMPTY_HEADER);
            &mut many[..]
        }
    };
    let parsed = match httparse::parse_headers(&section[from..], slots) {
        Ok(Status::Complete((used, parsed))) if from + used == section.len() => parsed,
        // A blank line ends the section, so "partial" would be a contradiction; the walk below finds its place.
        _ => return Err(first_fault(section, from)),
    };
    let mut fields = Vec::new();
    reserve(&mut fields, parsed.len())?;
    fields.extend(
        parsed
            .iter()
            .filter(|field| keep(field.name.as_bytes()))
            .map(|field| Field { name: span_in(section, field.name.as_bytes()), value: span_in(section, field.value) }),
    );
    Ok(fields.into_boxed_slice())
}

/// Replaces each line folding by as many spaces, so that no offset changes: a user agent must read a folded value as
/// one line (RFC 9112 section 5.2).
///
/// Some foldings stay an error, since a reader that knows nothing of them comes to another end of the message:
/// - before the first field, where there is nothing to continue (section 2.2);
/// - in a field that says where the body ends;
/// - a line of whitespace alone, which to some is the blank line that ends the section.
#[cold]
fn unfold(section: &mut [u8], from: usize) -> Result<(), ProtocolError> {
    let mut may_continue = false;
    let mut start = from;
    while let Some(length) = memchr::memchr(b'\n', &section[start..]) {
        // Every LF follows a CR, which belongs to the line end.
        let line = section[start..start + length].strip_suffix(b"\r").unwrap_or_default();
        let padding = line.iter().take_while(|&&byte| is_space(byte)).count();
        if padding == 0 {
            let name = line.iter().position(|&byte| !is_token_byte(byte)).map_or(line, |end| &line[..end]);
            may_continue = !FRAMING_FIELDS.iter().any(|field| field.as_bytes().eq_ignore_ascii_case(name));
        } else if !may_continue || padding == line.len() {
            return Err(ProtocolError::ObsFold { at: start });
        } else {
            // The whitespace on either side is part of the fold (`OWS CRLF RWS`).
            let line_end = start - 2;
            let before = section[..line_end].iter().rev().take_while(|&&byte| is_space(byte)).count();
            section[line_end - before..start + padding].fill(b' ');
        }
        start += length + 1;
    }
    Ok(())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Makes room for `count` elements or says that there is no memory. A head comes from a peer; it must not abort us.
pub(super) fn reserve<T>(list: &mut Vec<T>, count: usize) -> Result<(), ProtocolError> {
    let bytes = count.saturating_mul(size_of::<T>());
    list.try_reserve_exact(count).map_err(|_| ProtocolError::NoMemory { bytes })
}

/// Where `part`, a piece of `whole`, lies in it. Sections are at most `u32::MAX` bytes long: [`super::Limits`].
fn span_in(whole: &[u8], part: &[u8]) -> Span {
    if part.is_empty() {
        return Span::default();
    }
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    debug_assert!(start + part.len() <= whole.len());
    Span { start: start as u32, len: part.len() as u32 }
}

/// Finds what is wrong with a section that the parser refused, and where. Runs once per failed response.
#[cold]
fn first_fault(section: &[u8], from: usize) -> ProtocolError {
    let mut start = from;
    while let Some(length) = memchr::memchr(b'\n', &section[start..]) {
        // Every LF follows a CR, which belongs to the line end.
        let line = section[start..start + length].strip_suffix(b"\r").unwrap_or_default();
        if let Err(error) = check_line(line, start) {
            return error;
        }
        start += length + 1;
    }
    ProtocolError::HeaderName { at: start }
}

/// Whether `line`, which begins at offset `start`, is a field line (RFC 9112 section 5).
fn check_line(line: &[u8], start: usize) -> Result<(), ProtocolError> {
    if line.is_empty() {
        return Ok(());
    }
    if is_space(line[0]) {
        return Err(ProtocolError::ObsFold { at: start });
    }
    let colon = line.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(line.len());
    match line.get(colon) {
        Some(b':') if colon > 0 => {}
        Some(b' ' | b'\t') if line[colon..].trim_ascii_start().first() == Some(&b':') => {
            return Err(ProtocolError::SpaceBeforeColon { at: start + colon });
        }
        Some(b'\r') => return Err(ProtocolError::BareCr { at: start + colon }),
        _ => return Err(ProtocolError::HeaderName { at: start + colon }),
    }
    match line[colon..].iter().position(|&byte| !is_value_byte(byte)) {
        Some(offset) if line[colon + offset] == b'\r' => Err(ProtocolError::BareCr { at: start + colon + offset }),
        Some(offset) => Err(ProtocolError::HeaderValue { at: start + colon + offset }),
        None => Ok(()),
    }
}

/// Heads of up to this many fields, nearly all, are parsed without an allocation for the parser's own table (1 KiB).
const FIELDS_ON_STACK: usize = 32;

/// The fields that say where a message ends (RFC 9112 section 6).
const FRAMING_FIELDS: [&str; 2] = ["content-length", "transfer-encoding"];
