//! What is sent: inner packets in their order, each with the flow that it belongs to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gwlb_geneve::packet::PacketMut;

use crate::envelope::inner_sum;
use crate::inner::stamp;

/// Packets that are sent over and over.
#[derive(Debug, Default)]
pub(crate) struct Part {
    bytes: Vec<u8>,
    packets: Vec<Packet>,
    /// One for each flow.
    pub(crate) flows: Vec<FlowSeed>,
    /// Whether each round brings new flows: all addresses are others then.
    moves: bool,
    /// How many addresses there are.
    addresses: u32,
    next: usize,
    round: u32,
}

/// A packet's place among the bytes and what is known about it.
#[derive(Clone, Copy, Debug)]
struct Packet {
    at: usize,
    len: u16,
    /// [`inner_sum`].
    sum: u16,
    flow: u32,
    /// Where its stamp is, 0 where it has none.
    stamp_at: u16,
    /// Its source and destination by number.
    ends: [u32; 2],
}

/// What a flow begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowSeed {
    pub(crate) endpoint: u64,
    pub(crate) source_port: u16,
}

/// The packet whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'a> {
    /// Its bytes, with the stamp.
    pub(crate) inner: &'a [u8],
    pub(crate) sum: u16,
    /// Its flow's number in the part.
    pub(crate) flow: u32,
    /// How often the part has been played.
    pub(crate) round: u32,
    /// Whether the round has changed what the flow is.
    pub(crate) moved: bool,
}

impl Part {
    /// One whose every round brings new flows.
    pub(crate) fn moving() -> Self {
        Self { moves: true, ..Self::default() }
    }

    pub(crate) fn push(&mut self, inner: &[u8], flow: u32, stamp_at: usize, ends: [u32; 2]) {
        let (at, len) = (self.bytes.len(), inner.len() as u16);
        let sum = inner_sum(inner);
        self.packets.push(Packet { at, len, sum, flow, stamp_at: stamp_at as u16, ends });
        self.bytes.extend(inner);
        self.addresses = ends.into_iter().fold(self.addresses, |most, end| most.max(end + 1));
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// The longest inner packet.
    pub(crate) fn longest(&self) -> usize {
        self.packets.iter().map(|packet| usize::from(packet.len)).max().unwrap_or(0)
    }

    /// The next packet, stamped with `number`; `scratch` holds one that was moved. `None` where there is none at all.
    #[inline]
    pub(crate) fn turn<'a>(
        &'a mut self,
        number: u32,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Turn<'a>> {
        let packet = *self.packets.get(self.next)?;
        let round = self.round;
        self.next += 1;
        if self.next == self.packets.len() {
            self.next = 0;
            self.round = self.round.wrapping_add(1);
        }
        let range = packet.at..packet.at + usize::from(packet.len);
        let (flow, moved) = (packet.flow, self.moves && round > 0);
        if moved {
            scratch.clear();
            scratch.extend_from_slice(&self.bytes[range]);
            let numbers =
                packet.ends.map(|end| end.wrapping_add(round.wrapping_mul(self.addresses)));
            move_addresses(scratch, numbers);
            let sum = inner_sum(scratch);
            return Some(Turn { inner: scratch, sum, flow, round, moved });
        }
        let inner = &mut self.bytes[range];
        if packet.stamp_at != 0 {
            let at = usize::from(packet.stamp_at);
            inner[at..at + 8].copy_from_slice(&stamp(number));
        }
        Some(Turn { inner, sum: packet.sum, flow, round, moved })
    }
}

/// Gives a packet other addresses, with right checksums. One that cannot be edited stays as it is.
fn move_addresses(packet: &mut [u8], [source, destination]: [u32; 2]) {
    let Ok(mut packet) = PacketMut::parse(packet) else { return };
    let is_ipv4 = packet.bytes().first().is_some_and(|first| first >> 4 == 4);
    let address = |number: u32| -> IpAddr {
        if is_ipv4 {
            // Shared address space (RFC 6598), which is nobody's own.
            let first = u32::from(Ipv4Addr::new(100, 64, 0, 0));
            Ipv4Addr::from(first + 1 + number % ((1 << 22) - 2)).into()
        } else {
            let first = u128::from(Ipv6Addr::new(0xfd64, 0, 0, 0, 0, 0, 0, 1));
            Ipv6Addr::from(first + u128::from(number)).into()
        }
    };
    if packet.set_source(address(source)).is_ok() {
        let _ = packet.set_destination(address(destination));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inner::{Ends, stamp_offset, tcp, udp};
    use gwlb_geneve::packet::{ChecksumStatus, IpPacket, TcpFlags};

    #[test]
    fn every_round_of_a_moving_part_has_other_addresses_the_same_for_both_directions() {
        for (client, server) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let ends = Ends {
                client: client.parse().unwrap(),
                server: server.parse().unwrap(),
                client_port: 1,
                server_port: 2,
            };
            let mut part = Part::moving();
            part.push(&tcp(&ends, 0, 0, TcpFlags::SYN, b""), 0, 0, [0, 1]);
            part.push(&tcp(&ends.reversed(), 0, 1, TcpFlags::ACK, b"x"), 0, 0, [1, 0]);
            let mut seen = Vec::new();
            let mut scratch = Vec::new();
            for round in 0..3 {
                let mut ends = Vec::new();
                for _ in 0..2 {
                    let turn = part.turn(0, &mut scratch).unwrap();
                    assert_eq!((turn.round, turn.moved), (round, round > 0));
                    assert_eq!(turn.sum, inner_sum(turn.inner));
                    let packet = IpPacket::parse(turn.inner).unwrap();
                    assert_eq!(packet.verify_transport_checksum(), ChecksumStatus::Valid);
                    ends.push((packet.source(), packet.destination()));
                }
                assert_eq!(ends[0], (ends[1].1, ends[1].0));
                assert!(!seen.contains(&ends), "{ends:?}");
                seen.push(ends);
            }
        }
    }

    #[test]
    fn a_stamp_changes_no_sum() {
        let ends = Ends {
            client: "10.0.0.1".parse().unwrap(),
            server: "10.0.0.2".parse().unwrap(),
            client_port: 1,
            server_port: 2,
        };
        let mut part = Part::default();
        part.push(&udp(&ends, 77), 0, stamp_offset(&ends), [0, 1]);
        let mut scratch = Vec::new();
        let first = part.turn(1, &mut scratch).unwrap().inner.to_vec();
        let second = part.turn(70_000, &mut scratch).unwrap();
        assert_ne!(second.inner, first);
        assert_eq!((second.sum, second.sum), (inner_sum(second.inner), inner_sum(&first)));
    }
}
