use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::Timestamp;
use crate::engine::Datagram;
use crate::gwlb::{EndpointId, Envelope, Outer, OuterError, Profile};

/// GENEVE packets that are judged together, in buffers that are used again and again.
#[derive(Debug, Default)]
pub(super) struct Burst {
    packets: Vec<Packet>,
    /// One for each packet, and some to spare.
    buffers: Vec<Vec<u8>>,
}

/// What is known of a packet before it is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) number: u64,
    pub(super) time: Timestamp,
    /// `Err` for one that no socket would have received.
    pub(super) outer: Result<Outer, OuterError>,
    pub(super) endpoint: Option<EndpointId>,
    /// Bytes of the inner packet.
    pub(super) inner_len: usize,
    /// Bytes of the payload.
    len: usize,
}

/// The datagrams of a burst: those of its packets that have an outer header.
pub(super) type Datagrams<'a> = SmallVec<[Datagram<'a>; Burst::MOST]>;

impl Burst {
    /// What a transport hands over at a time.
    pub(super) const MOST: usize = 64;

    /// Room that a rewriter finds behind a payload.
    const ROOM: usize = 256;

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn clear(&mut self) {
        self.packets.clear();
    }

    /// Takes a packet in, from its outer IP header on.
    pub(super) fn push(&mut self, number: u64, time: Timestamp, ip: &[u8], profile: &Profile) {
        let place = self.packets.len();
        if self.buffers.len() <= place {
            self.buffers.resize_with(place.saturating_add(1), Vec::new);
        }
        let mut packet = Packet {
            number,
            time,
            outer: Err(OuterError::NotIpv4),
            endpoint: None,
            inner_len: 0,
            len: 0,
        };
        match Outer::parse(ip) {
            Err(error) => packet.outer = Err(error),
            Ok((outer, payload)) => {
                packet.outer = Ok(outer);
                packet.len = payload.len();
                if let Ok(envelope) = Envelope::parse(payload, profile) {
                    packet.endpoint = Some(envelope.endpoint());
                    packet.inner_len = envelope.inner().len();
                }
                if let Some(buffer) = self.buffers.get_mut(place) {
                    buffer.clear();
                    buffer.extend_from_slice(payload);
                    buffer.resize(payload.len().saturating_add(Self::ROOM), 0);
                }
            }
        }
        self.packets.push(packet);
    }

    /// All packets; `datagrams`, which is empty, gets those that have an outer header. It is filled where it lies: the room for all
    /// is too much to be moved for each burst.
    pub(super) fn split<'a>(&'a mut self, datagrams: &mut Datagrams<'a>) -> &'a [Packet] {
        let found = self.packets.iter().zip(&mut self.buffers).filter_map(|(packet, buffer)| {
            Some(Datagram::with_room(packet.time, packet.outer.ok()?, buffer, packet.len))
        });
        datagrams.extend(found);
        &self.packets
    }
}
