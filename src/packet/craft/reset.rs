use core::net::IpAddr;

use super::CraftError;
use super::header::{IpHeader, header_len, pseudo_header, write};
use crate::packet::{Addresses, IpPacket, IpProtocol, Ports, TcpFlags, TcpSegment, Transport};

/// A TCP segment that resets a connection: no options, no data, a window of zero.
///
/// Who answers for another end must say what that end would have said. Inside its window alone, a number that is
/// not exactly the next one expected draws a challenge (RFC 5961 §3) instead of ending the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reset {
    /// Source is the end that the segment claims to come from.
    pub addresses: Addresses,
    /// As the addresses.
    pub ports: Ports,
    /// The next one that the receiver expects. It means nothing to one that has sent a SYN and heard nothing.
    pub sequence_number: u32,
    /// Sets the ACK flag too. A receiver that has sent a SYN and heard nothing wants it (RFC 9293 §3.10.7.3).
    pub acknowledgment_number: Option<u32>,
}

impl Reset {
    /// What a closed port answers to a segment (RFC 9293 §3.10.7.1): RST with the segment's acknowledgment number as
    /// its sequence number; where the segment has none, as a SYN, RST and ACK of all that it holds.
    ///
    /// `None` for everything but TCP, for a RST, for a fragment after the first, for a header that does not parse,
    /// and where an address belongs to no single host (RFC 9293 §3.9.2.3). Of a fragmented segment without ACK only
    /// what is in the first fragment is acknowledged.
    pub fn to_sender(packet: &IpPacket<'_>) -> Option<Self> {
        let segment = refusable(packet)?;
        let (addresses, ports) = (packet.addresses().reversed(), segment.ports().reversed());
        let (sequence_number, acknowledgment_number) = if segment.flags().contains(TcpFlags::ACK) {
            (segment.acknowledgment_number(), None)
        } else {
            (0, Some(segment.sequence_number().wrapping_add(sequence_len(&segment))))
        };
        Some(Self { addresses, ports, sequence_number, acknowledgment_number })
    }

    /// Ends the connection at the receiver of a segment that is not forwarded, in the name of its sender.
    ///
    /// `next` is the sequence number of the next byte in order: behind the last that was forwarded this way
    /// without a gap. The receiver of a SYN-ACK believes only a RST that acknowledges its SYN (RFC 9293
    /// §3.10.7.3), so that one carries the segment's acknowledgment number too.
    ///
    /// `None` as in [`to_sender`](Self::to_sender), and for a SYN without ACK, whose receiver knows of nothing.
    pub fn to_receiver(packet: &IpPacket<'_>, next: u32) -> Option<Self> {
        let segment = refusable(packet)?;
        let is_syn = segment.flags().contains(TcpFlags::SYN);
        let has_ack = segment.flags().contains(TcpFlags::ACK);
        if is_syn && !has_ack {
            return None;
        }
        Some(Self {
            addresses: packet.addresses(),
            ports: segment.ports(),
            sequence_number: next,
            acknowledgment_number: is_syn.then(|| segment.acknowledgment_number()),
        })
    }

    /// The length of the packet in bytes: 40 over IPv4, 60 over IPv6.
    #[expect(clippy::len_without_is_empty, reason = "no packet is empty")]
    pub const fn len(&self) -> usize {
        header_len(self.addresses).saturating_add(TcpSegment::MIN_HEADER_LEN)
    }

    /// Writes the whole IP packet into the front of `buffer` and returns its [length](Self::len). TTL or hop limit
    /// is 64, over IPv4 DF is set.
    ///
    /// # Errors
    ///
    /// [`NoRoom`](CraftError::NoRoom).
    pub fn write_to(&self, buffer: &mut [u8]) -> Result<usize, CraftError> {
        const LENGTH: u16 = 20;

        let segment = self.segment(0);
        let mut sum = pseudo_header(self.addresses, IpProtocol::TCP, LENGTH);
        sum.add(&segment);
        let header = IpHeader::new(self.addresses, IpProtocol::TCP, LENGTH);
        write(buffer, &[header.bytes(), &self.segment(sum.finish())])
    }

    fn segment(&self, checksum: u16) -> [u8; TcpSegment::MIN_HEADER_LEN] {
        const FIVE_WORDS: u8 = 0x50;
        const RST: u8 = 0x04;
        const ACK: u8 = 0x10;

        let [s0, s1] = self.ports.source.to_be_bytes();
        let [d0, d1] = self.ports.destination.to_be_bytes();
        let [n0, n1, n2, n3] = self.sequence_number.to_be_bytes();
        let [a0, a1, a2, a3] = self.acknowledgment_number.unwrap_or(0).to_be_bytes();
        let flags = if self.acknowledgment_number.is_some() { RST | ACK } else { RST };
        let [c0, c1] = checksum.to_be_bytes();
        [
            s0, s1, d0, d1, n0, n1, n2, n3, a0, a1, a2, a3, //
            FIVE_WORDS, flags, 0, 0, c0, c1, 0, 0,
        ]
    }
}

/// The segment, if a RST may follow it.
fn refusable<'a>(packet: &IpPacket<'a>) -> Option<TcpSegment<'a>> {
    let Ok(Transport::Tcp(segment)) = packet.transport() else { return None };
    let answerable = !segment.flags().contains(TcpFlags::RST)
        && is_one_host(packet.source())
        && is_one_host(packet.destination());
    answerable.then_some(segment)
}

/// SEG.LEN: how many sequence numbers a segment takes, SYN and FIN one each (RFC 9293 §3.4).
fn sequence_len(segment: &TcpSegment<'_>) -> u32 {
    let data = u32::try_from(segment.payload().len()).unwrap_or(u32::MAX);
    let flags = segment.flags();
    [TcpFlags::SYN, TcpFlags::FIN]
        .into_iter()
        .fold(data, |length, flag| length.wrapping_add(u32::from(flags.contains(flag))))
}

fn is_one_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || is_broadcast)
}
