use core::net::Ipv4Addr;

use super::reply::IPV4_HEADER_LEN;
use super::{OUTER_HEADER_LEN, OuterError, ReplyError, ReplyPolicy};
use crate::packet::{Checksum, ChecksumStatus, IpPacket, IpProtocol, Transport};

/// The outer IPv4 and UDP headers of a datagram, as far as an answer depends on them.
///
/// A socket hands these over piece by piece, a capture file holds them as bytes
/// ([`parse`](Self::parse)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outer {
    /// Source address: the load balancer's, in a received datagram.
    pub source: Ipv4Addr,
    /// Destination address: the appliance's, in a received datagram.
    pub destination: Ipv4Addr,
    /// Source port: the same for all packets of a flow, and all 16 bits count (RFC 8926 §3.3).
    pub source_port: u16,
    /// Destination port, 6081 unless configured otherwise.
    pub destination_port: u16,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    /// UDP checksum, 0 where the sender computed none.
    pub udp_checksum: u16,
}

impl Outer {
    /// The header of a datagram from one address and port to another, with type of service 0, time to
    /// live 255 and no checksum.
    pub const fn new(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Self {
        Self {
            source: source.0,
            destination: destination.0,
            source_port: source.1,
            destination_port: destination.1,
            tos: 0,
            ttl: 255,
            udp_checksum: 0,
        }
    }

    /// Reads the header at the start of an IPv4 packet and returns the UDP payload beside it.
    ///
    /// # Errors
    ///
    /// Anything but a whole UDP datagram over IPv4, with a right header checksum and a UDP checksum that is right or
    /// zero; see [`OuterError`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), OuterError> {
        match Self::parse_usual(bytes) {
            Some(found) => Ok(found),
            None => Self::parse_any(bytes),
        }
    }

    /// The same of a header without options and fragments, and with everything in order; `None` says nothing of others.
    #[inline]
    fn parse_usual(bytes: &[u8]) -> Option<(Self, &[u8])> {
        const HEADER: usize = IPV4_HEADER_LEN as usize;
        const DONT_FRAGMENT: u8 = 0x40;

        let head: &[u8; OUTER_HEADER_LEN] = bytes.first_chunk()?;
        #[rustfmt::skip]
        let [
            0x45, tos, l0, l1, _, _, flags, 0, ttl, 17, _, _, s0, s1, s2, s3, d0, d1, d2, d3,
            sp0, sp1, dp0, dp1, u0, u1, c0, c1,
        ] = *head else { return None };
        let datagram_len = usize::from(u16::from_be_bytes([u0, u1]));
        let end = datagram_len.saturating_add(HEADER);
        let is_usual = flags & !DONT_FRAGMENT == 0
            && usize::from(u16::from_be_bytes([l0, l1])) == end
            && Checksum::is_right_of_header(bytes.first_chunk()?);
        let datagram = bytes.get(HEADER..end).filter(|_| is_usual)?;
        let payload = datagram.get(OUTER_HEADER_LEN.saturating_sub(HEADER)..)?;
        let udp_checksum = u16::from_be_bytes([c0, c1]);
        if udp_checksum != 0 {
            let mut sum = Checksum::new();
            sum.add(&[s0, s1, s2, s3, d0, d1, d2, d3, 0, 17, u0, u1]);
            sum.add(datagram);
            if sum.finish() != 0 {
                return None;
            }
        }
        let outer = Self {
            source: Ipv4Addr::new(s0, s1, s2, s3),
            destination: Ipv4Addr::new(d0, d1, d2, d3),
            source_port: u16::from_be_bytes([sp0, sp1]),
            destination_port: u16::from_be_bytes([dp0, dp1]),
            tos,
            ttl,
            udp_checksum,
        };
        Some((outer, payload))
    }

    #[cold]
    fn parse_any(bytes: &[u8]) -> Result<(Self, &[u8]), OuterError> {
        let packet = IpPacket::parse(bytes)?;
        let IpPacket::V4(ipv4) = packet else { return Err(OuterError::NotIpv4) };
        let header = ipv4.header();
        if !ipv4.verify_checksum() {
            let mut sum = Checksum::new();
            let (before, after) = header.split_at_checked(10).unwrap_or((header, &[]));
            sum.add(before);
            sum.add(after.get(2..).unwrap_or_default());
            let (expected, found) = (sum.finish(), ipv4.header_checksum());
            return Err(OuterError::HeaderChecksum { expected, found });
        }
        if packet.is_fragment() {
            return Err(OuterError::Fragment);
        }
        if ipv4.protocol() != IpProtocol::UDP {
            return Err(OuterError::NotUdp { found: ipv4.protocol() });
        }
        let Transport::Udp(udp) = packet.transport()? else {
            return Err(OuterError::NotUdp { found: ipv4.protocol() });
        };
        if packet.verify_transport_checksum() == ChecksumStatus::Invalid {
            let offset = header.len().saturating_add(6);
            return Err(OuterError::Checksum { offset, found: udp.checksum() });
        }
        let outer = Self {
            source: ipv4.source(),
            destination: ipv4.destination(),
            source_port: udp.source_port(),
            destination_port: udp.destination_port(),
            tos: ipv4.tos(),
            ttl: ipv4.ttl(),
            udp_checksum: udp.checksum(),
        };
        Ok((outer, udp.payload()))
    }

    /// The two headers, IPv4 and UDP, in front of `payload_len` bytes, as far as they are known: with identification 0, the
    /// don't fragment flag clear, and no options. [`parse`](Self::parse) reads them again.
    ///
    /// # Errors
    ///
    /// [`ReplyError::TooLong`].
    ///
    /// ```
    /// use gwlb_geneve::gwlb::Outer;
    ///
    /// let outer = Outer::new(([10, 0, 0, 1].into(), 50_000), ([10, 0, 0, 2].into(), 6_081));
    /// let datagram = [&outer.to_headers(3)?[..], b"abc"].concat();
    /// assert_eq!(Outer::parse(&datagram)?, (outer, &b"abc"[..]));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn to_headers(&self, payload_len: usize) -> Result<[u8; OUTER_HEADER_LEN], ReplyError> {
        let found = OUTER_HEADER_LEN.saturating_add(payload_len);
        let total_len = u16::try_from(found).map_err(|_| ReplyError::TooLong { found })?;
        let policy =
            ReplyPolicy { identification: 0, dont_fragment: false, ..ReplyPolicy::default() };
        Ok(self.headers(total_len, &policy))
    }

    /// The two headers of a datagram of `total_len` bytes, all of the outer IPv4 packet.
    pub(super) fn headers(&self, total_len: u16, policy: &ReplyPolicy) -> [u8; OUTER_HEADER_LEN] {
        let [l0, l1] = total_len.to_be_bytes();
        let [i0, i1] = policy.identification.to_be_bytes();
        let flags = u8::from(policy.dont_fragment) << 6;
        let [s0, s1, s2, s3] = self.source.octets();
        let [d0, d1, d2, d3] = self.destination.octets();
        let [sp0, sp1] = self.source_port.to_be_bytes();
        let [dp0, dp1] = self.destination_port.to_be_bytes();
        let [u0, u1] = total_len.saturating_sub(IPV4_HEADER_LEN).to_be_bytes();
        let [uc0, uc1] = self.udp_checksum.to_be_bytes();
        #[rustfmt::skip]
        let mut headers = [
            0x45, self.tos, l0, l1, i0, i1, flags, 0,
            self.ttl, IpProtocol::UDP.0, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3,
            sp0, sp1, dp0, dp1, u0, u1, uc0, uc1,
        ];
        if let Some(ipv4) = headers.first_chunk::<{ IPV4_HEADER_LEN as usize }>() {
            [headers[10], headers[11]] = Checksum::of(ipv4).to_be_bytes();
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gwlb::Reply;

    proptest! {
        /// The straight way finds what the general one finds, whatever is wrong or unusual.
        #[test]
        fn both_ways_agree(
            payload: Vec<u8>,
            checksum in prop::sample::select(vec![0, 1, 2]),
            changes in prop::collection::vec((0_usize..60, any::<u8>()), 0..3),
            repairs: bool,
            behind in 0_usize..4,
        ) {
            let outer = Outer::new(([10, 0, 0, 1].into(), 6_081), ([10, 0, 0, 2].into(), 40_000));
            let datagram = Reply::new(&outer, &payload, &[], &ReplyPolicy::default()).unwrap();
            let mut bytes = datagram.parts().concat();
            if checksum > 0 {
                bytes[26..28].copy_from_slice(&[0; 2]);
                let mut sum = Checksum::new();
                sum.add(&bytes[12..20]);
                sum.add(&[0, 17, bytes[24], bytes[25]]);
                sum.add(&bytes[20..]);
                let sum = sum.finish().wrapping_add(checksum - 1);
                bytes[26..28].copy_from_slice(&sum.to_be_bytes());
            }
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            if repairs {
                bytes[10..12].copy_from_slice(&[0; 2]);
                let sum = Checksum::of(&bytes[..20]);
                bytes[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            bytes.extend(std::iter::repeat_n(7, behind));
            if let Some(found) = Outer::parse_usual(&bytes) {
                prop_assert_eq!(Ok(found), Outer::parse_any(&bytes));
            }
        }
    }

    #[test]
    fn the_usual_is_usual() {
        let outer = Outer::new(([10, 0, 0, 1].into(), 6_081), ([10, 0, 0, 2].into(), 40_000));
        let datagram = Reply::new(&outer, b"payload", &[], &ReplyPolicy::default()).unwrap();
        let bytes = datagram.parts().concat();
        assert_eq!(Outer::parse_usual(&bytes).unwrap().1, b"payload");
        assert_eq!(Outer::parse_usual(&bytes).unwrap(), Outer::parse_any(&bytes).unwrap());
    }
}
