use alloc::vec::Vec;

use super::settings::Settings;
use super::{Checksums, Datagram, Malformation};
use crate::flow::FlowKey;
use crate::gwlb::{EndpointId, Envelope};
use crate::inspect::{Exception, ParsedPacket, Reason};
use crate::packet::{ChecksumStatus, IpPacket, Transport, Tunnel};

/// A datagram, as far as it could be understood.
#[derive(Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "it lies on the stack, and for a moment only")]
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
    /// An IPv4 packet of the usual shape; `None` says nothing about others.
    #[inline(always)]
    pub(super) fn usual_ipv4(
        envelope: Envelope<'a>,
        settings: &Settings,
    ) -> Option<ParsedPacket<'a>> {
        let packet = ParsedPacket::straight_ipv4(envelope, &settings.groups)?;
        let is_right = settings.checksums == Checksums::Ignore || has_right_header(&packet.ip);
        is_right.then_some(packet)
    }

    /// The same of IPv6.
    #[inline(always)]
    pub(super) fn usual_ipv6(
        envelope: Envelope<'a>,
        settings: &Settings,
    ) -> Option<ParsedPacket<'a>> {
        ParsedPacket::straight_ipv6(envelope, &settings.groups)
    }

    /// The key of the flow of such a packet in the usual envelope, and of some that are not in order.
    #[inline]
    pub(super) fn usual_key(datagram: &Datagram<'_>, settings: &Settings) -> Option<FlowKey> {
        let envelope = Envelope::parse_usual(datagram.payload(), &settings.profile)?;
        let endpoint = settings.groups.resolve(envelope.endpoint());
        FlowKey::straight(endpoint, envelope.inner()).map(|(key, _)| key)
    }

    /// Any datagram.
    #[cold]
    #[inline(never)]
    pub(super) fn of_any(datagram: &'a Datagram<'_>, settings: &Settings) -> Self {
        let malformed = |exception, reason, endpoint| {
            Self::Malformed(Malformed { exception, reason: Reason::new(reason), endpoint })
        };
        let envelope = match Envelope::parse(datagram.payload(), &settings.profile) {
            Ok(envelope) => envelope,
            Err(error) => return malformed(Exception::MalformedEnvelope, error.reason(), None),
        };
        let endpoint = Some(envelope.endpoint());
        let packet = match ParsedPacket::of(envelope, &settings.groups) {
            Ok(packet) => packet,
            Err(error) => return malformed(Exception::MalformedPacket, error.reason(), endpoint),
        };
        match damage(&packet).filter(|_| settings.checksums == Checksums::Verify) {
            Some(reason) => malformed(Exception::BadChecksum, reason, endpoint),
            None => Self::Understood(packet),
        }
    }
}

/// What is wrong with a datagram, and where: what keeps it from being understood, and else its checksum.
#[cold]
pub(super) fn malformation(datagram: &Datagram<'_>, settings: &Settings) -> Option<Malformation> {
    let envelope = match Envelope::parse(datagram.payload(), &settings.profile) {
        Ok(envelope) => envelope,
        Err(error) => return Some(Malformation::Envelope(error)),
    };
    let begins = datagram.payload().len().saturating_sub(envelope.inner().len());
    let packet = match ParsedPacket::of(envelope, &settings.groups) {
        Ok(packet) => packet,
        Err(error) => return Some(Malformation::Packet { begins, error }),
    };
    let tunnels = || packet.tunneled().into_iter().flat_map(|tunneled| tunneled.tunnels());
    // Each of them with the place where it begins.
    let mut offset = 0_usize;
    let headers = tunnels().map(|tunnel| {
        let at = offset;
        let headers = tunnel.carrier().header_len().saturating_add(tunnel.header().len());
        offset = offset.saturating_add(headers);
        (*tunnel.carrier(), at)
    });
    let mut headers: Vec<_> = headers.collect();
    headers.push((packet.ip, offset));
    for (ip, at) in &headers {
        match ip {
            IpPacket::V4(ip) if !ip.verify_checksum() => {
                let (offset, found) = (at.saturating_add(10), ip.header_checksum());
                return Some(Malformation::HeaderChecksum { begins, offset, found });
            }
            _ => {}
        }
    }
    let is_invalid = |tunnel: &Tunnel<'_>| tunnel.verify_checksum() == ChecksumStatus::Invalid;
    if let Some((_, (carrier, at))) = tunnels().zip(&headers).find(|(it, _)| is_invalid(it)) {
        let offset = at.saturating_add(carrier.header_len());
        return Some(Malformation::TunnelChecksum { begins, offset });
    }
    let (checksum_at, found) = match packet.transport {
        _ if !packet.is_damaged() => return None,
        Transport::Tcp(segment) => (16, segment.checksum()),
        Transport::Udp(datagram) => (6, datagram.checksum()),
        Transport::Icmp(message) | Transport::Icmpv6(message) => (2, message.checksum()),
        _ => return None,
    };
    let transport_at = offset.saturating_add(packet.ip.header_len());
    let offset = transport_at.saturating_add(checksum_at);
    Some(Malformation::TransportChecksum { begins, protocol: packet.ip.protocol(), offset, found })
}

#[inline]
fn has_right_header(ip: &IpPacket<'_>) -> bool {
    match ip {
        IpPacket::V4(ip) => ip.verify_checksum(),
        IpPacket::V6(_) => true,
    }
}

/// What is wrong with the checksums of IP headers and tunnels, whose receivers would discard the packet.
fn damage(packet: &ParsedPacket<'_>) -> Option<&'static str> {
    let tunnels = || packet.tunneled().into_iter().flat_map(|tunneled| tunneled.tunnels());
    let is_invalid = |tunnel: Tunnel<'_>| tunnel.verify_checksum() == ChecksumStatus::Invalid;
    if !has_right_header(&packet.ip) || !tunnels().all(|tunnel| has_right_header(tunnel.carrier()))
    {
        return Some("ipv4-header-checksum");
    }
    tunnels().any(is_invalid).then_some("tunnel-checksum")
}
