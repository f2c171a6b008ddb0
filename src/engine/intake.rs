use super::settings::Settings;
use super::{Checksums, Datagram};
use crate::gwlb::{EndpointId, Envelope};
use crate::inspect::{Exception, ParsedPacket, Reason};
use crate::packet::{ChecksumStatus, IpPacket};

/// A datagram, as far as it could be understood.
#[derive(Clone, Copy)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and lies on the stack"
)]
pub(super) enum Intake<'a> {
    Understood(ParsedPacket<'a>),
    Malformed(Malformed),
}

#[derive(Clone, Copy)]
pub(super) struct Malformed {
    pub(super) exception: Exception,
    pub(super) reason: Reason,
    /// Where it came through, if that could be read.
    pub(super) endpoint: Option<EndpointId>,
}

impl<'a> Intake<'a> {
    #[inline]
    pub(super) fn of(datagram: &'a Datagram<'_>, settings: &Settings) -> Self {
        let envelope = match Envelope::parse(datagram.payload(), &settings.profile) {
            Ok(envelope) => envelope,
            Err(error) => {
                return Self::Malformed(Malformed {
                    exception: Exception::MalformedEnvelope,
                    reason: Reason::new(error.reason()),
                    endpoint: None,
                });
            }
        };
        let malformed = |exception, reason| {
            let endpoint = Some(envelope.endpoint());
            Self::Malformed(Malformed { exception, reason: Reason::new(reason), endpoint })
        };
        match ParsedPacket::of(envelope, &settings.groups) {
            Ok(parsed) => match parsed.ip {
                IpPacket::V4(ip)
                    if settings.checksums == Checksums::Verify && !ip.verify_checksum() =>
                {
                    malformed(Exception::BadChecksum, "ipv4-header-checksum")
                }
                _ => Self::Understood(parsed),
            },
            Err(error) => malformed(Exception::MalformedPacket, error.reason()),
        }
    }
}

/// Whether what the packet carries has a wrong checksum.
pub(super) fn is_damaged(packet: &ParsedPacket<'_>) -> bool {
    packet.ip.verify_transport_checksum() == ChecksumStatus::Invalid
}
