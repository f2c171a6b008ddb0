//! Inner packets, built from nothing.

use std::net::IpAddr;

use gwlb_geneve::packet::{Checksum, IpProtocol, TcpFlags};

/// The two ends of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) client: IpAddr,
    pub(crate) server: IpAddr,
    pub(crate) client_port: u16,
    pub(crate) server_port: u16,
}

impl Ends {
    /// The same, seen from the other end.
    pub(crate) fn reversed(self) -> Self {
        let Self { client, server, client_port, server_port } = self;
        Self { client: server, server: client, client_port: server_port, server_port: client_port }
    }

    pub(crate) fn ip_header_len(&self) -> usize {
        if self.client.is_ipv4() { 20 } else { 40 }
    }
}

/// Where a UDP packet carries the eight bytes of its [stamp].
pub(crate) fn stamp_offset(ends: &Ends) -> usize {
    ends.ip_header_len() + UDP_HEADER_LEN
}

/// Bytes that tell packets of a flow apart, and whose checksum is the same whatever the number: it is followed by
/// its complement, and the two add up to ones.
pub(crate) fn stamp(number: u32) -> [u8; 8] {
    let [a, b, c, d] = number.to_be_bytes();
    [a, b, c, d, !a, !b, !c, !d]
}

const UDP_HEADER_LEN: usize = 8;

/// A UDP packet of `len` bytes in all, with a stamp.
pub(crate) fn udp(ends: &Ends, len: usize) -> Vec<u8> {
    let data_len = len.saturating_sub(stamp_offset(ends)).max(8);
    let mut datagram = Vec::with_capacity(UDP_HEADER_LEN + data_len);
    datagram.extend(ends.client_port.to_be_bytes());
    datagram.extend(ends.server_port.to_be_bytes());
    datagram.extend(((UDP_HEADER_LEN + data_len) as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(stamp(0));
    datagram.extend((8..data_len).map(|at| at as u8));
    ip(ends, IpProtocol::UDP, datagram, 6)
}

/// A TCP segment.
pub(crate) fn tcp(
    ends: &Ends,
    sequence: u32,
    acknowledgment: u32,
    flags: TcpFlags,
    data: &[u8],
) -> Vec<u8> {
    // A largest segment that fits through the load balancer, as clamped on the way.
    let options: &[u8] = if flags.contains(TcpFlags::SYN) { &[2, 4, 0x05, 0xb4] } else { &[] };
    let mut segment = Vec::with_capacity(20 + options.len() + data.len());
    segment.extend(ends.client_port.to_be_bytes());
    segment.extend(ends.server_port.to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledgment.to_be_bytes());
    segment.extend([((20 + options.len()) as u8) << 2, flags.0 as u8]);
    segment.extend([0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(data);
    ip(ends, IpProtocol::TCP, segment, 16)
}

/// An IP packet around a segment whose checksum belongs at `checksum_at`.
fn ip(ends: &Ends, protocol: IpProtocol, mut segment: Vec<u8>, checksum_at: usize) -> Vec<u8> {
    let mut sum = Checksum::new();
    let len = segment.len() as u16;
    let mut packet = Vec::with_capacity(40 + segment.len());
    match (ends.client, ends.server) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            sum.add_pseudo_header_v4(source, destination, protocol, len);
            packet.extend([0x45, 0]);
            packet.extend((20 + len).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, protocol.0, 0, 0]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
            let header_sum = Checksum::of(&packet);
            packet[10..12].copy_from_slice(&header_sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            sum.add_pseudo_header_v6(source, destination, protocol, u32::from(len));
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(len.to_be_bytes());
            packet.extend([protocol.0, 64]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
        }
        _ => unreachable!("both ends of a flow have addresses of the same version"),
    }
    sum.add(&segment);
    let checksum = match sum.finish() {
        // In UDP a zero would say that there is none (RFC 768).
        0 if protocol == IpProtocol::UDP => 0xffff,
        checksum => checksum,
    };
    segment[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(segment);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use gwlb_geneve::packet::{ChecksumStatus, IpPacket};

    fn ends() -> [Ends; 2] {
        let v4 = Ends {
            client: "10.1.0.1".parse().unwrap(),
            server: "10.2.0.1".parse().unwrap(),
            client_port: 40_000,
            server_port: 5_000,
        };
        let v6 =
            Ends { client: "fd00::1".parse().unwrap(), server: "fd00::2".parse().unwrap(), ..v4 };
        [v4, v6]
    }

    #[test]
    fn packets_are_whole_and_their_checksums_right_whatever_the_stamp() {
        for ends in ends() {
            for len in [64, 65, 1500, 8500] {
                let mut packet = udp(&ends, len);
                assert_eq!(packet.len(), len);
                let at = stamp_offset(&ends);
                for number in [0, 1, 0xffff, 0x1234_5678, u32::MAX] {
                    packet[at..at + 8].copy_from_slice(&stamp(number));
                    let parsed = IpPacket::parse(&packet).unwrap();
                    assert_eq!(parsed.verify_transport_checksum(), ChecksumStatus::Valid);
                    assert_eq!(parsed.total_len(), len);
                }
            }
            let packet = tcp(&ends.reversed(), 7, 8, TcpFlags::SYN, b"data");
            let parsed = IpPacket::parse(&packet).unwrap();
            assert_eq!(parsed.verify_transport_checksum(), ChecksumStatus::Valid);
            assert_eq!(parsed.source(), ends.server);
        }
    }
}
