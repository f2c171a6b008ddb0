use core::fmt;

use super::cursor::Cursor;
use super::{Certificate, ParseError, Part};

/// A Certificate message of TLS 1.2 and before (RFC 5246 §7.4.2): a chain in clear, the sender's own certificate first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificates<'a> {
    list: &'a [u8],
}

impl<'a> Certificates<'a> {
    /// Reads the body of a handshake message, without its 4 bytes of type and length. The certificates themselves are
    /// not looked into.
    ///
    /// # Errors
    ///
    /// [`ParseError`], where a length reaches past the end or bytes are left over. Offsets count from the first byte of
    /// `body`.
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(Part::Certificates, body);
        let list = cursor.long("certificate_list")?;
        cursor.finish("certificate_list")?;
        let mut inside = cursor.within(list);
        while !inside.is_empty() {
            inside.long("certificate")?;
        }
        Ok(Self { list })
    }

    /// The certificates in their order, each in DER. A client that has none sends an empty list.
    pub const fn chain(&self) -> Chain<'a> {
        Chain { rest: self.list }
    }

    /// The sender's own certificate, the first one. `None` where there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Certificate::parse`].
    pub fn leaf(&self) -> Option<Result<Certificate<'a>, ParseError>> {
        self.chain().next().map(Certificate::parse)
    }
}

impl fmt::Display for Certificates<'_> {
    /// One line for a log: whom the sender's own one names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leaf() {
            Some(Ok(leaf)) => write!(f, "TLS Certificate {}", leaf.subject()),
            Some(Err(error)) => write!(f, "TLS Certificate: {error}"),
            None => f.write_str("TLS Certificate: none"),
        }
    }
}

/// Certificates of a chain, each in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Chain<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut cursor = Cursor::new(Part::Certificates, self.rest);
        let certificate = cursor.long("certificate").ok()?;
        self.rest = cursor.rest();
        Some(certificate)
    }
}

impl core::iter::FusedIterator for Chain<'_> {}
