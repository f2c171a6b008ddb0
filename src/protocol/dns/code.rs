//! Code points, with the names that IANA gives them.

use core::fmt;

use domain::base::iana;

/// What a record is about, or a question asks for (RFC 1035 §3.2.2, §3.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A name server.
    pub const NS: Self = Self(2);
    /// The true name.
    pub const CNAME: Self = Self(5);
    /// The start of a zone.
    pub const SOA: Self = Self(6);
    /// A name that an address points to.
    pub const PTR: Self = Self(12);
    /// A mail exchange.
    pub const MX: Self = Self(15);
    /// Text.
    pub const TXT: Self = Self(16);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// A service's host and port (RFC 2782).
    pub const SRV: Self = Self(33);
    /// What is said by EDNS (RFC 6891).
    pub const OPT: Self = Self(41);
    /// A service's endpoint (RFC 9460).
    pub const SVCB: Self = Self(64);
    /// A web server's endpoint (RFC 9460).
    pub const HTTPS: Self = Self(65);
    /// Any type, in questions.
    pub const ANY: Self = Self(255);
}

impl fmt::Display for RecordType {
    /// `AAAA`, or `TYPE65280` (RFC 3597 §5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        iana::Rtype::from_int(self.0).fmt(f)
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordType({self})")
    }
}

/// A record's or question's class (RFC 1035 §3.2.4, §3.2.5): but for curiosities the Internet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
}

impl fmt::Display for Class {
    /// `IN`, or `CLASS65280` (RFC 3597 §5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        iana::Class::from_int(self.0).fmt(f)
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Class({self})")
    }
}

/// What kind of query a message is (RFC 1035 §4.1.1), 4 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// An ordinary query.
    pub const QUERY: Self = Self(0);
    /// A zone has changed (RFC 1996).
    pub const NOTIFY: Self = Self(4);
    /// A zone is to be changed (RFC 2136).
    pub const UPDATE: Self = Self(5);
}

impl fmt::Display for Opcode {
    /// `QUERY`, or `OPCODE7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match iana::Opcode::from_int(self.0).to_mnemonic_str() {
            Some(name) => f.pad(name),
            None => write!(f, "OPCODE{}", self.0),
        }
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opcode({self})")
    }
}

/// How an answer went (RFC 1035 §4.1.1): 4 bits of the header, and 8 above them where there is EDNS (RFC 6891 §6.1.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(pub u16);

impl ResponseCode {
    /// No error.
    pub const NO_ERROR: Self = Self(0);
    /// The query could not be read.
    pub const FORMAT_ERROR: Self = Self(1);
    /// The server failed.
    pub const SERVER_FAILURE: Self = Self(2);
    /// There is no such name.
    pub const NAME_ERROR: Self = Self(3);
    /// The server will not.
    pub const REFUSED: Self = Self(5);
}

impl fmt::Display for ResponseCode {
    /// `NXDOMAIN`, or `RCODE3841`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = iana::OptRcode::checked_from_int(self.0);
        match known.and_then(|code| core::str::from_utf8(code.to_mnemonic()?).ok()) {
            Some(name) => f.pad(name),
            None => write!(f, "RCODE{}", self.0),
        }
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseCode({self})")
    }
}
