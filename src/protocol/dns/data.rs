use core::net::{Ipv4Addr, Ipv6Addr};

use super::reader::{Reader, Short};
use super::{Class, Name, ParseError, RecordType};

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordData<'a> {
    /// An IPv4 address (RFC 1035 §3.4.1).
    A(Ipv4Addr),
    /// An IPv6 address (RFC 3596 §2.2).
    Aaaa(Ipv6Addr),
    /// The true name (RFC 1035 §3.3.1).
    Cname(Name<'a>),
    /// A name server (RFC 1035 §3.3.11).
    Ns(Name<'a>),
    /// A name that an address points to (RFC 1035 §3.3.12).
    Ptr(Name<'a>),
    /// A mail exchange (RFC 1035 §3.3.9).
    Mx {
        /// The lowest is tried first.
        preference: u16,
        /// The host.
        exchange: Name<'a>,
    },
    /// Text (RFC 1035 §3.3.14).
    Txt(Strings<'a>),
    /// The start of a zone (RFC 1035 §3.3.13).
    Soa {
        /// The primary name server.
        primary: Name<'a>,
        /// The mailbox of who is responsible, as a name.
        mailbox: Name<'a>,
        /// The zone's version.
        serial: u32,
        /// Seconds until secondaries look again.
        refresh: u32,
        /// Seconds until they try again.
        retry: u32,
        /// Seconds until they give up.
        expire: u32,
        /// Seconds for which it may be kept that there is no such name (RFC 2308 §4).
        minimum: u32,
    },
    /// A service's host and port (RFC 2782).
    Srv {
        /// The lowest is tried first.
        priority: u16,
        /// The share among those of the same priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: Name<'a>,
    },
    /// A service's endpoint (SVCB, RFC 9460).
    Svcb(Svcb<'a>),
    /// A web server's endpoint (HTTPS, RFC 9460).
    Https(Svcb<'a>),
    /// Anything else; also what is of another class than the Internet.
    Other(&'a [u8]),
    /// What is not as its type wants it.
    Malformed(&'a [u8]),
}

impl<'a> RecordData<'a> {
    pub(super) fn read(
        record_type: RecordType,
        class: Class,
        mut reader: Reader<'a>,
        bytes: &'a [u8],
    ) -> Self {
        if class != Class::IN {
            return Self::Other(bytes);
        }
        match Self::known(record_type, &mut reader) {
            Ok(Some(data)) if reader.is_at_end() => data,
            Ok(None) => Self::Other(bytes),
            _ => Self::Malformed(bytes),
        }
    }

    fn known(record_type: RecordType, reader: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        Ok(Some(match record_type {
            RecordType::A => Self::A(Ipv4Addr::from(reader.array::<4>()?)),
            RecordType::AAAA => Self::Aaaa(Ipv6Addr::from(reader.array::<16>()?)),
            RecordType::CNAME => Self::Cname(reader.name()?),
            RecordType::NS => Self::Ns(reader.name()?),
            RecordType::PTR => Self::Ptr(reader.name()?),
            RecordType::MX => Self::Mx { preference: reader.u16()?, exchange: reader.name()? },
            RecordType::TXT => Self::Txt(Strings::read(reader)?),
            RecordType::SOA => Self::Soa {
                primary: reader.name()?,
                mailbox: reader.name()?,
                serial: reader.u32()?,
                refresh: reader.u32()?,
                retry: reader.u32()?,
                expire: reader.u32()?,
                minimum: reader.u32()?,
            },
            RecordType::SRV => Self::Srv {
                priority: reader.u16()?,
                weight: reader.u16()?,
                port: reader.u16()?,
                target: reader.name()?,
            },
            RecordType::SVCB => Self::Svcb(Svcb::read(reader)?),
            RecordType::HTTPS => Self::Https(Svcb::read(reader)?),
            _ => return Ok(None),
        }))
    }
}

/// Data that is not as its type wants it.
struct Malformed;

impl From<Short> for Malformed {
    fn from(_: Short) -> Self {
        Self
    }
}

impl From<ParseError> for Malformed {
    fn from(_: ParseError) -> Self {
        Self
    }
}

/// The strings of a TXT record, of at most 255 bytes each; whatever they mean, it is what stands there one after
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strings<'a> {
    rest: &'a [u8],
}

impl<'a> Strings<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut ahead = *reader;
        while !ahead.is_at_end() {
            let len = ahead.u8()?;
            ahead.take(usize::from(len))?;
        }
        Ok(Self { rest: reader.rest() })
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some(text)
    }
}

/// A service's endpoint (RFC 9460 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Svcb<'a> {
    /// The lowest is tried first; 0 means that the target is another name for the service.
    pub priority: u16,
    /// The host, or the root for the record's owner.
    pub target: Name<'a>,
    /// What is known of it.
    pub params: SvcParams<'a>,
}

impl<'a> Svcb<'a> {
    const ALPN: u16 = 1;
    const ECH: u16 = 5;

    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let priority = reader.u16()?;
        let target = reader.name()?;
        let mut ahead = *reader;
        while !ahead.is_at_end() {
            ahead.u16()?;
            let len = ahead.u16()?;
            ahead.take(usize::from(len))?;
        }
        Ok(Self { priority, target, params: SvcParams { rest: reader.rest() } })
    }

    /// The application protocols it speaks (RFC 9460 §7.1.1).
    pub fn alpn(&self) -> Strings<'a> {
        Strings { rest: self.param(Self::ALPN).unwrap_or_default() }
    }

    /// The keys with which a client may encrypt its hello (ECH): who takes them away makes it show the server's name.
    pub fn ech(&self) -> Option<&'a [u8]> {
        self.param(Self::ECH)
    }

    fn param(&self, key: u16) -> Option<&'a [u8]> {
        let mut params = self.params;
        params.find(|(found, _)| *found == key).map(|(_, value)| value)
    }
}

/// Keys and values of a service's endpoint, in the order of the keys (RFC 9460 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SvcParams<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for SvcParams<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (&[a, b, high, low], rest) = self.rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        self.rest = rest;
        Some((u16::from_be_bytes([a, b]), value))
    }
}
