//! The load balancer's envelope: Ethernet, IPv4, UDP and GENEVE around an inner packet, as AWS sends it.
//!
//! Type of service 0, identification 0, DF clear, time to live 255, a right UDP checksum; three GENEVE options in
//! their order (`gwlb_geneve::gwlb`, wire facts §1).

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Result;
use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{Builder, TunnelOption};
use gwlb_geneve::gwlb::{Profile, ProfileOption};
use gwlb_geneve::packet::{Checksum, IpProtocol};

/// Ethernet header.
pub(crate) const ETHERNET_LEN: usize = 14;
/// Where in a frame the UDP header begins.
pub(crate) const UDP_AT: usize = ETHERNET_LEN + 20;
/// Where in a frame the GENEVE header begins.
pub(crate) const GENEVE_AT: usize = UDP_AT + 8;
/// GENEVE header and the three options.
pub(crate) const GENEVE_LEN: usize = 40;
/// Where in a frame the inner packet begins.
pub(crate) const INNER_AT: usize = GENEVE_AT + GENEVE_LEN;
/// Where in the GENEVE header the cookie is.
pub(crate) const COOKIE_AT: usize = 36;
/// The longest inner packet by the vendor's documentation.
pub(crate) const MAX_INNER_LEN: usize = 8_500;

/// What the load balancer writes on a flow's envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) gateway: Ipv4Addr,
    pub(crate) source_port: u16,
    pub(crate) endpoint: u64,
    pub(crate) cookie: u32,
}

/// Writes frames for one appliance.
#[derive(Clone, Debug)]
pub(crate) struct Wrapper {
    template: [u8; INNER_AT],
}

impl Wrapper {
    /// For the appliance at this address, reached by frames with this Ethernet header.
    pub(crate) fn new(ethernet: [u8; ETHERNET_LEN], appliance: SocketAddrV4) -> Result<Self> {
        let class = Profile::AWS.class();
        let option = |option: ProfileOption| {
            TunnelOption::new(class, Profile::AWS.option_type(option), &[0; 8][..option.data_len()])
        };
        let [endpoint, attachment, cookie] = ProfileOption::ALL.map(option);
        let options = [endpoint?, attachment?, cookie?];

        let mut template = [0; INNER_AT];
        template[..ETHERNET_LEN].copy_from_slice(&ethernet);
        let ipv4 = [0x45, 0, 0, 0, 0, 0, 0, 0, 255, IpProtocol::UDP.0];
        template[ETHERNET_LEN..ETHERNET_LEN + ipv4.len()].copy_from_slice(&ipv4);
        template[UDP_AT - 4..UDP_AT].copy_from_slice(&appliance.ip().octets());
        template[UDP_AT + 2..UDP_AT + 4].copy_from_slice(&appliance.port().to_be_bytes());
        Builder::new(EtherType::IPV4).options(options).build_into(&mut template[GENEVE_AT..])?;
        Ok(Self { template })
    }

    /// Writes a frame and returns its length. `sum` is the [`inner_sum`] of the inner packet.
    #[inline]
    pub(crate) fn wrap(&self, frame: &mut [u8], label: &Label, inner: &[u8], sum: u16) -> usize {
        let len = INNER_AT + inner.len();
        frame[..INNER_AT].copy_from_slice(&self.template);
        frame[INNER_AT..len].copy_from_slice(inner);
        frame[UDP_AT - 8..UDP_AT - 4].copy_from_slice(&label.gateway.octets());
        frame[UDP_AT..UDP_AT + 2].copy_from_slice(&label.source_port.to_be_bytes());
        if inner.first().is_some_and(|first| first >> 4 == 6) {
            frame[GENEVE_AT + 2..GENEVE_AT + 4].copy_from_slice(&EtherType::IPV6.0.to_be_bytes());
        }
        frame[GENEVE_AT + 12..GENEVE_AT + 20].copy_from_slice(&label.endpoint.to_be_bytes());
        let cookie = GENEVE_AT + COOKIE_AT;
        frame[cookie..cookie + 4].copy_from_slice(&label.cookie.to_be_bytes());
        lengths(&mut frame[..len]);
        let mut udp = pseudo_header(&frame[..len]);
        udp.add(&frame[UDP_AT..INNER_AT]);
        udp.add_u16(sum);
        write_udp_checksum(frame, &udp);
        len
    }
}

/// What a packet adds to the outer checksum.
pub(crate) fn inner_sum(inner: &[u8]) -> u16 {
    !Checksum::of(inner)
}

/// Makes outer lengths and checksums right again after a frame was edited.
pub(crate) fn seal(frame: &mut [u8]) {
    lengths(frame);
    frame[UDP_AT + 6..UDP_AT + 8].fill(0);
    let mut udp = pseudo_header(frame);
    udp.add(&frame[UDP_AT..]);
    write_udp_checksum(frame, &udp);
}

/// The UDP payload of a frame.
#[inline]
pub(crate) fn payload(frame: &[u8]) -> &[u8] {
    frame.get(GENEVE_AT..).unwrap_or_default()
}

/// The cookie of a UDP payload, at its usual place.
#[inline]
pub(crate) fn cookie(payload: &[u8]) -> Option<u32> {
    let bytes = payload.get(COOKIE_AT..GENEVE_LEN)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn lengths(frame: &mut [u8]) {
    let total_len = (frame.len() - ETHERNET_LEN) as u16;
    frame[16..18].copy_from_slice(&total_len.to_be_bytes());
    frame[24..26].fill(0);
    let sum = Checksum::of(&frame[ETHERNET_LEN..UDP_AT]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[UDP_AT + 4..UDP_AT + 6].copy_from_slice(&(total_len - 20).to_be_bytes());
}

/// The sum over the addresses, the protocol and the UDP length.
fn pseudo_header(frame: &[u8]) -> Checksum {
    let mut sum = Checksum::new();
    sum.add(&frame[UDP_AT - 8..UDP_AT]);
    sum.add_u16(u16::from(IpProtocol::UDP.0));
    sum.add(&frame[UDP_AT + 4..UDP_AT + 6]);
    sum
}

fn write_udp_checksum(frame: &mut [u8], sum: &Checksum) {
    // Zero would say that there is none (RFC 768).
    let checksum = match sum.finish() {
        0 => 0xffff,
        checksum => checksum,
    };
    frame[UDP_AT + 6..UDP_AT + 8].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inner::{Ends, stamp, stamp_offset, udp};
    use gwlb_geneve::gwlb::{Envelope, Outer};

    #[test]
    fn a_frame_is_what_aws_sends() {
        let wrapper = Wrapper::new([7; ETHERNET_LEN], "192.0.2.2:6081".parse().unwrap()).unwrap();
        let label = Label {
            gateway: Ipv4Addr::new(192, 0, 2, 1),
            source_port: 0xfedc,
            endpoint: 0x31e1_29cd_c0cd_8633,
            cookie: 0x3dc9_56ac,
        };
        for (client, server) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let ends = Ends {
                client: client.parse().unwrap(),
                server: server.parse().unwrap(),
                client_port: 1,
                server_port: 2,
            };
            let mut inner = udp(&ends, 99);
            let sum = inner_sum(&inner);
            let at = stamp_offset(&ends);
            inner[at..at + 8].copy_from_slice(&stamp(0xdead_beef));
            let mut frame = [0xee; 300];
            let len = wrapper.wrap(&mut frame, &label, &inner, sum);
            let (ethernet, ip) = frame[..len].split_at(ETHERNET_LEN);
            assert_eq!(ethernet, [7; ETHERNET_LEN]);
            let (outer, payload) = Outer::parse(ip).unwrap();
            assert_ne!(outer.udp_checksum, 0);
            assert_eq!((outer.ttl, outer.tos, &ip[4..8]), (255, 0, &[0; 4][..]));
            assert_eq!((outer.source, outer.source_port), (label.gateway, 0xfedc));
            assert_eq!(outer.destination_port, 6081);
            let envelope = Envelope::parse(payload, &Profile::AWS).unwrap();
            assert_eq!(envelope.inner(), inner);
            assert_eq!(envelope.endpoint().0, label.endpoint);
            assert_eq!((envelope.attachment().0, envelope.cookie().0), (0, label.cookie));
            assert_eq!(super::cookie(payload), Some(label.cookie));
            // Sealing a frame that is right changes nothing.
            let mut sealed = frame;
            seal(&mut sealed[..len]);
            assert_eq!(sealed, frame);
        }
    }
}
