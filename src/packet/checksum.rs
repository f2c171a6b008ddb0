//! The Internet checksum (RFC 1071) and what it says about a packet.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{IpPacket, IpProtocol, Transport};

/// Adds up the Internet checksum over any number of parts, of odd length too.
///
/// ```
/// use gwlb_geneve::packet::Checksum;
///
/// let mut sum = Checksum::new();
/// sum.add(&[0x00, 0x01, 0xf2]);
/// sum.add(&[0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
/// assert_eq!(sum.finish(), !0xddf2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum {
    /// 16-bit words in the machine's own byte order (RFC 1071 §2 B), with room for carries.
    sum: u64,
    odd: bool,
}

impl Checksum {
    /// Of nothing yet.
    pub const fn new() -> Self {
        Self { sum: 0, odd: false }
    }

    /// The checksum of one part: zero over bytes that include a right checksum.
    pub fn of(bytes: &[u8]) -> u16 {
        let mut sum = Self::new();
        sum.add(bytes);
        sum.finish()
    }

    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        let sum = fold(sum_of(bytes));
        // After an odd number of bytes, high and low have changed places.
        let sum = if self.odd { sum.swap_bytes() } else { sum };
        self.sum = self.sum.wrapping_add(u64::from(sum));
        self.odd ^= bytes.len() & 1 == 1;
    }

    /// The next two bytes, a field in network byte order.
    pub fn add_u16(&mut self, value: u16) {
        self.add(&value.to_be_bytes());
    }

    /// The pseudo header of TCP and UDP over IPv4 (RFC 9293 §3.1): `length` is that of the transport header and
    /// its data.
    pub fn add_pseudo_header_v4(
        &mut self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: IpProtocol,
        length: u16,
    ) {
        self.add(&source.octets());
        self.add(&destination.octets());
        self.add(&[0, protocol.0]);
        self.add_u16(length);
    }

    /// The pseudo header of TCP, UDP and ICMP over IPv6 (RFC 8200 §8.1): `length` is that of the upper-layer
    /// header and its data, `destination` the final one.
    pub fn add_pseudo_header_v6(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        protocol: IpProtocol,
        length: u32,
    ) {
        self.add(&source.octets());
        self.add(&destination.octets());
        self.add(&length.to_be_bytes());
        self.add(&[0, 0, 0, protocol.0]);
    }

    /// Whether an IPv4 header without options has a right checksum.
    #[inline]
    pub(crate) fn is_right_of_header(header: &[u8; 20]) -> bool {
        is_all_ones(sum_of_words(header))
    }

    /// Whether a TCP segment or UDP datagram without an odd start has a right checksum, given the addresses of the
    /// pseudo header as they stand in the IP header. In one sum, folded once.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) fn is_right_with(addresses: &[u8], protocol: IpProtocol, upper: &[u8]) -> bool {
        // As one number, which has no more carries than 32 bits hold.
        let length = u32::try_from(upper.len()).unwrap_or(u32::MAX);
        let pseudo = length.wrapping_add(protocol.0.into()).to_be_bytes();
        let sum = sum_of_words(addresses).wrapping_add(u64::from(u32::from_ne_bytes(pseudo)));
        is_all_ones(sum.wrapping_add(sum_of(upper)))
    }

    /// The checksum: the complement of the sum. As a big-endian field it makes the sum over everything come out
    /// right.
    pub fn finish(&self) -> u16 {
        !u16::from_be_bytes(fold(self.sum).to_ne_bytes())
    }
}

/// The sum of words of 32 bits in native order: of a few, whose number the compiler knows, in a few instructions.
#[inline(always)]
fn sum_of_words(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(4).filter_map(|word| word.first_chunk());
    words.fold(0, |sum, word| sum.wrapping_add(u64::from(u32::from_ne_bytes(*word))))
}

/// The sum of 16-bit words in native order, the last byte padded with zero; of 61 bits at most.
///
/// Words of 64 bits go into a sum of 128, an addition and one with carry each: a short segment takes half the
/// instructions of a loop in vector registers, a long one no more.
#[inline(always)]
fn sum_of(bytes: &[u8]) -> u64 {
    let mut sum = 0_u128;
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<32>() {
        sum = add_words(sum, block);
        rest = after;
    }
    if let Some((block, after)) = rest.split_first_chunk::<16>() {
        sum = add_words(sum, block);
        rest = after;
    }
    if let Some((block, after)) = rest.split_first_chunk::<8>() {
        sum = add_words(sum, block);
        rest = after;
    }
    if let Some((&four, after)) = rest.split_first_chunk() {
        sum = add(sum, u32::from_ne_bytes(four).into());
        rest = after;
    }
    if let Some((&two, after)) = rest.split_first_chunk() {
        sum = add(sum, u16::from_ne_bytes(two).into());
        rest = after;
    }
    if let [last] = *rest {
        sum = add(sum, u16::from_ne_bytes([last, 0]).into());
    }
    let [high, low] =
        [sum >> 64, sum & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default());
    // The high half counts carries: a slice has fewer than 2^60 words.
    high.wrapping_add(low >> 32).wrapping_add(low & 0xffff_ffff)
}

/// Adds words of 64 bits, whose number the compiler knows.
#[inline(always)]
fn add_words<const N: usize>(sum: u128, block: &[u8; N]) -> u128 {
    let words = block.chunks_exact(8).filter_map(|word| word.first_chunk());
    words.fold(sum, |sum, word| add(sum, u64::from_ne_bytes(*word)))
}

#[inline(always)]
const fn add(sum: u128, word: u64) -> u128 {
    sum.wrapping_add(word as u128)
}

/// Whether nothing but ones is left once all carries are added in, of something that is not all zero: 2^16 is 1 modulo
/// 65,535.
#[inline]
const fn is_all_ones(sum: u64) -> bool {
    sum % 0xffff == 0
}

/// Adds the carries in until 16 bits are left.
fn fold(sum: u64) -> u16 {
    let fold32 = |sum: u64| (sum >> 32).wrapping_add(sum & 0xffff_ffff);
    let fold16 = |sum: u64| (sum >> 16).wrapping_add(sum & 0xffff);
    let sum = fold16(fold16(fold32(fold32(sum))));
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// What a transport checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChecksumStatus {
    /// It is right.
    Valid,
    /// It is wrong, or missing where there must be one (UDP over IPv6).
    Invalid,
    /// The sender has not computed one (UDP over IPv4).
    Absent,
    /// It cannot be told from this packet: a fragment, a transport header that does not parse, a packet that is
    /// [source-routed](IpPacket::is_source_routed) (its final destination is elsewhere), or a protocol without an
    /// Internet checksum.
    NotCheckable,
}

impl IpPacket<'_> {
    /// Compares the checksum of TCP, UDP or ICMP with its pseudo header and data.
    ///
    /// Reads the whole payload. The IPv4 header's own checksum is another:
    /// [`Ipv4Packet::verify_checksum`](super::Ipv4Packet::verify_checksum).
    pub fn verify_transport_checksum(&self) -> ChecksumStatus {
        if self.is_fragment() || self.is_source_routed() {
            return ChecksumStatus::NotCheckable;
        }
        let covered = match self.transport() {
            Ok(Transport::Tcp(segment)) => segment.bytes(),
            Ok(Transport::Udp(datagram)) if datagram.checksum() == 0 => {
                return match self {
                    Self::V4(_) => ChecksumStatus::Absent,
                    Self::V6(_) => ChecksumStatus::Invalid,
                };
            }
            Ok(Transport::Udp(datagram)) => datagram.bytes(),
            Ok(Transport::Icmp(message) | Transport::Icmpv6(message)) => message.bytes(),
            _ => return ChecksumStatus::NotCheckable,
        };
        let mut sum = Checksum::new();
        if self.protocol() != IpProtocol::ICMP {
            self.add_pseudo_header(&mut sum, covered.len());
        }
        sum.add(covered);
        if sum.finish() == 0 { ChecksumStatus::Valid } else { ChecksumStatus::Invalid }
    }

    /// Adds the pseudo header for `length` bytes of this packet's upper layer.
    fn add_pseudo_header(&self, sum: &mut Checksum, length: usize) {
        let protocol = self.protocol();
        match self {
            Self::V4(packet) => sum.add_pseudo_header_v4(
                packet.source(),
                packet.destination(),
                protocol,
                u16::try_from(length).unwrap_or(u16::MAX),
            ),
            Self::V6(packet) => sum.add_pseudo_header_v6(
                packet.source(),
                packet.destination(),
                protocol,
                u32::try_from(length).unwrap_or(u32::MAX),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_of_a_full_packet_are_not_lost() {
        assert_eq!(Checksum::of(&[0xff; 65_535]), 0x00ff);
        assert_eq!(Checksum::of(&[]), 0xffff);
    }

    #[test]
    fn an_empty_part_changes_nothing() {
        let mut sum = Checksum::new();
        sum.add(&[1]);
        sum.add(&[]);
        sum.add(&[2, 3]);
        assert_eq!(sum.finish(), !(0x0102 + 0x0300));
    }

    #[test]
    fn the_pseudo_header_of_ipv6_counts_32_bits_of_length() {
        let (source, destination) = (Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
        let mut sum = Checksum::new();
        sum.add_pseudo_header_v6(source, destination, IpProtocol::TCP, 0x0002_0004);
        assert_eq!(sum.finish(), !(1 + 2 + 4 + 6));
    }
}
