use super::{Record, RecordType};

/// What is said by EDNS (RFC 6891 §6.1): an additional record that is none, in which the fields of a record mean
/// something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'a> {
    /// The largest UDP payload that the sender takes, in bytes.
    pub udp_size: u16,
    /// The version, in order 0.
    pub version: u8,
    /// Whether DNSSEC records are wanted (DO).
    pub is_dnssec_ok: bool,
    /// The upper 8 bits of the response code.
    pub(super) extended_code: u8,
    options: &'a [u8],
}

impl<'a> Edns<'a> {
    pub(super) fn of(record: &Record<'a>) -> Option<Self> {
        let [extended_code, version, flags, _] = record.ttl.to_be_bytes();
        (record.record_type == RecordType::OPT).then(|| Self {
            udp_size: record.class.0,
            version,
            is_dnssec_ok: flags & 0x80 != 0,
            extended_code,
            options: record.bytes(),
        })
    }

    /// The options. One that is cut off, and all after it, are left out.
    pub const fn options(&self) -> EdnsOptions<'a> {
        EdnsOptions { rest: self.options }
    }
}

/// Codes and data of options (RFC 6891 §6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdnsOptions<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for EdnsOptions<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (&[a, b, high, low], rest) = self.rest.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        self.rest = rest;
        Some((u16::from_be_bytes([a, b]), data))
    }
}
