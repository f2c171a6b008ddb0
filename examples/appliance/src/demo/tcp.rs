//! A small TCP, enough for two ends of which one may want to deceive: segments as the script says, and a receiver that is as easily
//! taken in as receivers are.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use gwlb_geneve::packet::{Checksum, IpProtocol, TcpFlags, TcpSegment};

use super::world::End;

pub(super) const ACK: TcpFlags = TcpFlags::ACK;
pub(super) const SYN: TcpFlags = TcpFlags::SYN;

/// The most that a segment of either end carries.
pub(super) const SEGMENT: usize = 1_400;

/// An IPv4 packet with a TCP segment, checksums right.
pub(super) fn segment(
    (from, to): (SocketAddrV4, SocketAddrV4),
    (sequence, acknowledgment): (u32, u32),
    flags: TcpFlags,
    data: &[u8],
) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20 + data.len());
    segment.extend(from.port().to_be_bytes());
    segment.extend(to.port().to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledgment.to_be_bytes());
    segment.extend([5 << 4, flags.0 as u8]);
    segment.extend([0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend(data);
    let mut sum = Checksum::new();
    sum.add_pseudo_header_v4(*from.ip(), *to.ip(), IpProtocol::TCP, segment.len() as u16);
    sum.add(&segment);
    segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
    datagram((*from.ip(), *to.ip()), 0, 0x4000, &segment)
}

/// The same segment in fragments of `size` bytes, a multiple of eight.
pub(super) fn fragments(packet: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let address = |at: usize| {
        let octets: [u8; 4] = packet[at..at + 4].try_into().expect("four bytes");
        Ipv4Addr::from(octets)
    };
    let ends = (address(12), address(16));
    let pieces: Vec<&[u8]> = packet[20..].chunks(size).collect();
    let last = pieces.len() - 1;
    let fragment = |(number, piece): (usize, &&[u8])| {
        let more = if number == last { 0 } else { 0x2000 };
        datagram(ends, id, more | (number * size / 8) as u16, piece)
    };
    pieces.iter().enumerate().map(fragment).collect()
}

fn datagram((from, to): (Ipv4Addr, Ipv4Addr), id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(20 + payload.len());
    packet.extend([0x45, 0]);
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, IpProtocol::TCP.0, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = Checksum::of(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A SYN to a store from an address and with numbers that nobody has.
pub(super) fn made_up_syn(to: SocketAddrV4, mut random: impl FnMut() -> u32) -> Vec<u8> {
    let from = Ipv4Addr::from(0xac10_0000 | random() >> 12);
    let ends = (SocketAddrV4::new(from, random() as u16 | 1024), to);
    segment(ends, (random(), 0), SYN, &[])
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Socket {
    /// Own address and the other's.
    ends: (SocketAddrV4, SocketAddrV4),
    /// The first number after the SYN, of either side.
    first: (u32, u32),
    /// Bytes sent.
    sent: usize,
    /// What came in order.
    pub(super) received: Vec<u8>,
    /// What waits for bytes before it. What came last counts: who wants to be deceived could not do better.
    waiting: BTreeMap<usize, u8>,
    is_open: bool,
    is_reset: bool,
}

impl Socket {
    /// The end that begins, and its SYN.
    pub(super) fn connect(ends: (SocketAddrV4, SocketAddrV4), number: u32) -> (Self, Vec<u8>) {
        let syn = segment(ends, (number, 0), SYN, &[]);
        (Self::new(ends, (number.wrapping_add(1), 0)), syn)
    }

    /// The end that answers a SYN with this number, and its answer.
    pub(super) fn accept(
        ends: (SocketAddrV4, SocketAddrV4),
        number: u32,
        theirs: u32,
    ) -> (Self, Vec<u8>) {
        let next = theirs.wrapping_add(1);
        let answer = segment(ends, (number, next), TcpFlags(SYN.0 | ACK.0), &[]);
        let mut socket = Self::new(ends, (number.wrapping_add(1), next));
        socket.is_open = true;
        (socket, answer)
    }

    fn new(ends: (SocketAddrV4, SocketAddrV4), first: (u32, u32)) -> Self {
        let (received, waiting) = (Vec::new(), BTreeMap::new());
        Self { ends, first, sent: 0, received, waiting, is_open: false, is_reset: false }
    }

    /// How it stands.
    pub(super) const fn end(&self) -> End {
        match (self.is_reset, self.is_open) {
            (true, _) => End::Reset,
            (_, true) => End::Open,
            _ => End::Missing,
        }
    }

    /// The next bytes of this end, cut as the other wants them.
    pub(super) fn say(&mut self, data: &[u8], size: usize) -> Vec<Vec<u8>> {
        let pieces = data.chunks(size);
        pieces
            .map(|piece| {
                let packet = self.say_at(self.sent, piece);
                self.sent += piece.len();
                packet
            })
            .collect()
    }

    /// Bytes at some place in what this end says, counted from its beginning.
    pub(super) fn say_at(&self, at: usize, data: &[u8]) -> Vec<u8> {
        let number = self.first.0.wrapping_add(at as u32);
        segment(self.ends, (number, self.next_expected()), ACK, data)
    }

    /// Bytes said so far.
    pub(super) const fn sent(&self) -> usize {
        self.sent
    }

    fn next_expected(&self) -> u32 {
        self.first.1.wrapping_add(self.received.len() as u32)
    }

    /// Takes a segment in. What is to be sent for it.
    pub(super) fn receive(&mut self, segment: &TcpSegment<'_>) -> Option<Vec<u8>> {
        let flags = segment.flags();
        let number = segment.sequence_number();
        if flags.contains(TcpFlags::RST) {
            // As RFC 5961 has it: at exactly the next byte; before the answer to a SYN, one that acknowledges it.
            let is_right = match self.is_open {
                true => number == self.next_expected(),
                false => segment.acknowledgment_number() == self.first.0,
            };
            self.is_reset |= is_right;
            return None;
        }
        if self.is_reset {
            return None;
        }
        if flags.contains(SYN) && !self.is_open {
            self.first.1 = number.wrapping_add(1);
            self.is_open = true;
            return Some(self.say_at(0, &[]));
        }
        let payload = segment.payload();
        if payload.is_empty() {
            return None;
        }
        // Where it stands, from what was received so far on; what is older is not looked at again.
        let ahead = number.wrapping_sub(self.next_expected()) as i32;
        for (place, byte) in (i64::from(ahead)..).zip(payload) {
            if let Ok(place) = usize::try_from(place) {
                self.waiting.insert(self.received.len() + place, *byte);
            }
        }
        while let Some(byte) = self.waiting.remove(&self.received.len()) {
            self.received.push(byte);
        }
        Some(self.say_at(self.sent, &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gwlb_geneve::packet::{IpPacket, Transport};

    fn deliver(packet: &[u8], to: &mut Socket) -> Option<Vec<u8>> {
        let ip = IpPacket::parse(packet).unwrap();
        let Transport::Tcp(segment) = ip.transport().unwrap() else { panic!("no TCP") };
        to.receive(&segment)
    }

    fn pair() -> (Socket, Socket) {
        let ends = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let (mut client, syn) = Socket::connect(ends, u32::MAX - 2);
        let ip = IpPacket::parse(&syn).unwrap();
        let Transport::Tcp(first) = ip.transport().unwrap() else { panic!("no TCP") };
        let (mut server, answer) =
            Socket::accept((ends.1, ends.0), u32::MAX - 1, first.sequence_number());
        let last = deliver(&answer, &mut client).unwrap();
        assert_eq!(deliver(&last, &mut server), None);
        assert_eq!((client.end(), server.end()), (End::Open, End::Open));
        (client, server)
    }

    #[test]
    fn bytes_come_in_order_and_the_last_of_what_waits_counts() {
        let (mut client, mut server) = pair();
        for packet in client.say(b"hello world", 3) {
            deliver(&packet, &mut server).unwrap();
        }
        assert_eq!(server.received, b"hello world");
        for (at, data) in [(14, "ood"), (14, "ad!"), (11, " by")] {
            deliver(&client.say_at(at, data.as_bytes()), &mut server).unwrap();
        }
        assert_eq!(server.received, b"hello world byad!");
        // What has been received is not changed any more.
        deliver(&client.say_at(0, b"HELLO"), &mut server).unwrap();
        assert_eq!(server.received, b"hello world byad!");
    }

    #[test]
    fn a_reset_counts_at_exactly_the_next_byte() {
        let (mut client, mut server) = pair();
        client.say(b"lost", 4);
        for (at, is_believed) in [(1, false), (0, true)] {
            let number = client.first.0.wrapping_add(at);
            let reset = segment(client.ends, (number, 0), TcpFlags::RST, &[]);
            assert_eq!(deliver(&reset, &mut server), None);
            assert_eq!(server.end() == End::Reset, is_believed);
        }
    }

    #[test]
    fn fragments_are_the_packet_in_pieces() {
        let (mut client, _) = pair();
        let packet = client.say(&[7; 100], SEGMENT).remove(0);
        let pieces = fragments(&packet, 9, 40);
        let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece[20..].to_vec()).collect();
        assert_eq!((pieces.len(), &whole[..]), (3, &packet[20..]));
        for (number, piece) in pieces.iter().enumerate() {
            let IpPacket::V4(ip) = IpPacket::parse(piece).unwrap() else { panic!("no IPv4") };
            assert!(ip.verify_checksum());
            assert_eq!(piece[6] & 0x20 != 0, number < 2);
        }
    }
}
