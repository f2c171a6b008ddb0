use alloc::vec::Vec;
use core::fmt::{Display, Write};

use super::super::Buffer;
use super::{Buffers, Kinds};
use crate::protocol::dns::Message;
use crate::protocol::tls::{Certificates, ClientHello, ServerHello, Version};

/// The buffers in what a TLS client offers.
pub(in super::super) fn client_hello(hello: &ClientHello<'_>, wanted: Kinds, to: &mut Buffers) {
    if wanted.contains(Buffer::TlsSni) {
        if let Some(name) = hello.server_name() {
            to.add(Buffer::TlsSni, |to| to.extend_from_slice(name.name));
        }
    }
    if wanted.contains(Buffer::TlsVersion) {
        version(hello.version(), to);
    }
    if wanted.contains(Buffer::Ja3Hash) {
        text(Buffer::Ja3Hash, &hello.ja3(), to);
    }
    if wanted.contains(Buffer::Ja3String) {
        text(Buffer::Ja3String, &hello.ja3_text(), to);
    }
    if wanted.contains(Buffer::Ja4Hash) {
        text(Buffer::Ja4Hash, &hello.ja4(), to);
    }
}

/// The buffers in what a TLS server chose.
pub(in super::super) fn server_hello(hello: &ServerHello<'_>, wanted: Kinds, to: &mut Buffers) {
    if wanted.contains(Buffer::TlsVersion) {
        version(hello.version(), to);
    }
    if wanted.contains(Buffer::Ja3sHash) {
        text(Buffer::Ja3sHash, &hello.ja3s(), to);
    }
    if wanted.contains(Buffer::Ja3sString) {
        text(Buffer::Ja3sString, &hello.ja3s_text(), to);
    }
}

/// The buffers in a chain of certificates: of the sender's own one, and all of them.
pub(in super::super) fn certificates(chain: &Certificates<'_>, wanted: Kinds, to: &mut Buffers) {
    if let Some(Ok(leaf)) = chain.leaf() {
        if wanted.contains(Buffer::TlsCertificateSubject) {
            text(Buffer::TlsCertificateSubject, &leaf.subject(), to);
        }
        if wanted.contains(Buffer::TlsCertificateIssuer) {
            text(Buffer::TlsCertificateIssuer, &leaf.issuer(), to);
        }
        if wanted.contains(Buffer::TlsCertificateSerial) {
            text(Buffer::TlsCertificateSerial, &leaf.serial(), to);
        }
        if wanted.contains(Buffer::TlsCertificateFingerprint) {
            text(Buffer::TlsCertificateFingerprint, &leaf.fingerprint(), to);
        }
    }
    if wanted.contains(Buffer::TlsCertificates) {
        for der in chain.chain() {
            to.add(Buffer::TlsCertificates, |to| to.extend_from_slice(der));
        }
    }
}

/// The names that a DNS query asks for, as they stand in it.
pub(in super::super) fn query(message: &Message<'_>, wanted: Kinds, to: &mut Buffers) {
    if !wanted.contains(Buffer::DnsQuery) {
        return;
    }
    for question in message.questions() {
        to.add(Buffer::DnsQuery, |to| {
            for (position, label) in question.name.labels().enumerate() {
                if position > 0 {
                    to.push(b'.');
                }
                to.extend_from_slice(label);
            }
        });
    }
}

fn version(version: Version, to: &mut Buffers) {
    let name = match version {
        Version::SSL_3_0 => "SSLv3",
        Version::TLS_1_0 => "1.0",
        Version::TLS_1_1 => "1.1",
        Version::TLS_1_2 => "1.2",
        Version::TLS_1_3 => "1.3",
        _ => return,
    };
    to.add(Buffer::TlsVersion, |to| to.extend_from_slice(name.as_bytes()));
}

fn text(buffer: Buffer, what: &dyn Display, to: &mut Buffers) {
    to.add(buffer, |to| {
        let _ = write!(Writer(to), "{what}");
    });
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
