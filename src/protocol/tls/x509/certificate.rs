use core::fmt;

use sha1::{Digest, Sha1};

use super::super::cursor::Cursor;
use super::super::{ParseError, Part};
use super::der::{self, element, expect, optional};
use super::{CertificateTime, Name};

/// A certificate (X.509, RFC 5280 §4.1): who it names, who signed it, from when until when it holds.
///
/// Nothing is verified: not its signature, not its time, not whether it names the server that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    der: &'a [u8],
    serial: &'a [u8],
    issuer: Name<'a>,
    not_before: CertificateTime,
    not_after: CertificateTime,
    subject: Name<'a>,
    alternative_names: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// [`ParseError`], where an element that is read here is none, or another than it should be. Offsets count from the
    /// first byte of `der`.
    pub fn parse(der: &'a [u8]) -> Result<Self, ParseError> {
        let mut outer = Cursor::new(Part::Certificate, der);
        let contents = expect(&mut outer, der::SEQUENCE, "Certificate")?;
        let mut signed = outer.within(contents);
        let contents = expect(&mut signed, der::SEQUENCE, "tbsCertificate")?;
        let mut fields = signed.within(contents);
        optional(&mut fields, der::explicit(0), "version")?;
        let serial = expect(&mut fields, der::INTEGER, "serialNumber")?;
        expect(&mut fields, der::SEQUENCE, "signature")?;
        let issuer = Name::read(&mut fields, "issuer")?;
        let validity = expect(&mut fields, der::SEQUENCE, "validity")?;
        let mut validity = fields.within(validity);
        let not_before = CertificateTime::read(&mut validity, "notBefore")?;
        let not_after = CertificateTime::read(&mut validity, "notAfter")?;
        let subject = Name::read(&mut fields, "subject")?;
        expect(&mut fields, der::SEQUENCE, "subjectPublicKeyInfo")?;
        let mut alternative_names: &[u8] = &[];
        while !fields.is_empty() {
            let (tag, contents) = element(&mut fields, "extensions")?;
            if tag == der::explicit(3) {
                alternative_names = find_alternative_names(fields.within(contents))?;
            }
        }
        Ok(Self { der, serial, issuer, not_before, not_after, subject, alternative_names })
    }

    /// All of it.
    pub const fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The number that its issuer gave it.
    pub const fn serial(&self) -> Serial<'a> {
        Serial(self.serial)
    }

    /// Who signed it, by its own word.
    pub const fn issuer(&self) -> Name<'a> {
        self.issuer
    }

    /// Whom it names.
    pub const fn subject(&self) -> Name<'a> {
        self.subject
    }

    /// From when it holds.
    pub const fn not_before(&self) -> CertificateTime {
        self.not_before
    }

    /// Until when it holds.
    pub const fn not_after(&self) -> CertificateTime {
        self.not_after
    }

    /// The DNS names that it is for (subject alternative name, RFC 5280 §4.2.1.6).
    pub const fn dns_names(&self) -> DnsNames<'a> {
        DnsNames { rest: self.alternative_names }
    }

    /// The SHA-1 hash of all of it, by which logs name it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha1::digest(self.der).into())
    }
}

/// The contents of the extension's value, checked to be whole elements; empty where there is no such extension.
fn find_alternative_names(mut cursor: Cursor<'_>) -> Result<&[u8], ParseError> {
    /// 2.5.29.17
    const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

    let list = expect(&mut cursor, der::SEQUENCE, "extensions")?;
    let mut list = cursor.within(list);
    while !list.is_empty() {
        let extension = expect(&mut list, der::SEQUENCE, "extension")?;
        let mut extension = list.within(extension);
        let id = expect(&mut extension, der::OBJECT_IDENTIFIER, "extnID")?;
        optional(&mut extension, der::BOOLEAN, "critical")?;
        let value = expect(&mut extension, der::OCTET_STRING, "extnValue")?;
        if id == SUBJECT_ALTERNATIVE_NAME {
            let mut value = extension.within(value);
            let names = expect(&mut value, der::SEQUENCE, "subjectAltName")?;
            let mut inside = value.within(names);
            while !inside.is_empty() {
                element(&mut inside, "subjectAltName")?;
            }
            return Ok(names);
        }
    }
    Ok(&[])
}

/// The DNS names of a certificate in their order: as they stand there, which need not be ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsNames<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for DnsNames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        /// `dNSName [2] IA5String`
        const DNS_NAME: u8 = 0x82;

        let mut cursor = Cursor::new(Part::Certificate, self.rest);
        loop {
            let (tag, contents) = element(&mut cursor, "subjectAltName").ok()?;
            self.rest = cursor.rest();
            if tag == DNS_NAME {
                return Some(contents);
            }
        }
    }
}

impl core::iter::FusedIterator for DnsNames<'_> {}

/// A certificate's serial number, in text such as `0A:1B:2C`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial<'a>(pub &'a [u8]);

impl fmt::Display for Serial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for byte in self.0 {
            write!(f, "{separator}{byte:02X}")?;
            separator = ":";
        }
        Ok(())
    }
}

/// The SHA-1 hash of a certificate, in text such as `0a:1b:2c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 20]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for byte in self.0 {
            write!(f, "{separator}{byte:02x}")?;
            separator = ":";
        }
        Ok(())
    }
}
