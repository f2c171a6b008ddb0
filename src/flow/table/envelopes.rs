use alloc::collections::BTreeMap;

use super::entry::{Entry, Marks};
use crate::EtherType;
use crate::flow::Direction;
use crate::geneve::{Builder, HeaderBuf, TunnelOption};
use crate::gwlb::{Envelope, Outer, Profile, ProfileOption};

/// The latest envelopes of all flows, as far as they do not fit into the entries.
///
/// A header of the profile's own 40 bytes is kept as its three values and put together again. Others are kept as
/// they came.
pub(super) struct Envelopes {
    /// The usual header with all values zero.
    blank: Words,
    others: BTreeMap<(u32, Direction), HeaderBuf>,
    bytes: usize,
    limit: usize,
}

/// A header of 40 bytes, as its parts are: in fours.
type Words = [[u8; 4]; 10];

const USUAL_LEN: usize = size_of::<Words>();

/// The envelope in which a flow's packets of one direction came last: what an answer in that direction's name has to
/// be wrapped in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEnvelope<'a> {
    /// The outer header as received. Its checksum is that of another datagram and is left out (zero).
    pub outer: Outer,
    header: Header<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Header<'a> {
    Usual(Words),
    Other(&'a HeaderBuf),
}

impl LastEnvelope<'_> {
    /// The GENEVE header with its options, byte for byte as received.
    pub fn header(&self) -> &[u8] {
        match &self.header {
            Header::Usual(words) => words.as_flattened(),
            Header::Other(bytes) => bytes,
        }
    }
}

impl Envelopes {
    pub(super) fn new(profile: &Profile, limit: usize) -> Self {
        let [endpoint, attachment, cookie] = [
            (ProfileOption::Endpoint, &[0; 8][..]),
            (ProfileOption::Attachment, &[0; 8]),
            (ProfileOption::Cookie, &[0; 4]),
        ]
        .map(|(option, data)| {
            TunnelOption::new(profile.class(), profile.option_type(option), data).ok()
        });
        let options = [endpoint, attachment, cookie].into_iter().flatten();
        let mut blank = Words::default();
        // Should it fail, no header is usual: all of them are kept whole.
        if Builder::new(EtherType::IPV4)
            .options(options)
            .build_into(blank.as_flattened_mut())
            .is_err()
        {
            blank = Words::default();
        }
        Self { blank, others: BTreeMap::new(), bytes: 0, limit }
    }

    /// Remembers a packet's envelope, or says that there is no room for its header.
    #[inline]
    pub(super) fn remember<S>(
        &mut self,
        slot: u32,
        entry: &mut Entry<S>,
        direction: Direction,
        outer: &Outer,
        envelope: &Envelope<'_>,
    ) -> bool {
        *entry.outer_source.get_mut(direction) = outer.source;
        *entry.outer_destination.get_mut(direction) = outer.destination;
        *entry.outer_source_port.get_mut(direction) = outer.source_port;
        *entry.outer_destination_port.get_mut(direction) = outer.destination_port;
        *entry.outer_tos.get_mut(direction) = outer.tos;
        *entry.outer_ttl.get_mut(direction) = outer.ttl;
        let cookie = envelope.header().last_chunk().map_or(0, |cookie| u32::from_be_bytes(*cookie));
        let ipv6 = envelope.geneve().protocol_type() == EtherType::IPV6;
        let (endpoint, attachment) = (envelope.endpoint().0, envelope.attachment().0);
        if envelope.header() == self.usual(ipv6, endpoint, attachment, cookie).as_flattened() {
            *entry.endpoint.get_mut(direction) = endpoint;
            *entry.attachment.get_mut(direction) = attachment;
            *entry.cookie.get_mut(direction) = cookie;
            if entry.marks.has(Marks::OTHER_ENVELOPE.of(direction)) {
                self.forget_one(slot, entry, direction);
            }
            entry.marks.set(Marks::USUAL_ENVELOPE.of(direction));
            entry.marks.clear(Marks::IPV6_ENVELOPE.of(direction));
            if ipv6 {
                entry.marks.set(Marks::IPV6_ENVELOPE.of(direction));
            }
            true
        } else {
            *entry.cookie.get_mut(direction) = envelope.cookie().0;
            self.remember_other(slot, entry, direction, envelope)
        }
    }

    #[cold]
    fn remember_other<S>(
        &mut self,
        slot: u32,
        entry: &mut Entry<S>,
        direction: Direction,
        envelope: &Envelope<'_>,
    ) -> bool {
        entry.marks.clear(Marks::USUAL_ENVELOPE.of(direction));
        if let Some(kept) = self.others.get(&(slot, direction)) {
            if **kept == *envelope.header() {
                return true;
            }
        }
        self.forget_one(slot, entry, direction);
        let header = HeaderBuf::from(&envelope.geneve());
        let bytes = self.bytes.saturating_add(cost(&header));
        if bytes > self.limit {
            return false;
        }
        self.bytes = bytes;
        self.others.insert((slot, direction), header);
        entry.marks.set(Marks::OTHER_ENVELOPE.of(direction));
        true
    }

    /// What was remembered, if anything.
    pub(super) fn recall<S>(
        &self,
        slot: u32,
        entry: &Entry<S>,
        direction: Direction,
    ) -> Option<LastEnvelope<'_>> {
        let header = if entry.marks.has(Marks::USUAL_ENVELOPE.of(direction)) {
            Header::Usual(self.usual(
                entry.marks.has(Marks::IPV6_ENVELOPE.of(direction)),
                entry.endpoint.get(direction),
                entry.attachment.get(direction),
                entry.cookie.get(direction),
            ))
        } else {
            Header::Other(self.others.get(&(slot, direction))?)
        };
        let outer = Outer {
            source: entry.outer_source.get(direction),
            destination: entry.outer_destination.get(direction),
            source_port: entry.outer_source_port.get(direction),
            destination_port: entry.outer_destination_port.get(direction),
            tos: entry.outer_tos.get(direction),
            ttl: entry.outer_ttl.get(direction),
            udp_checksum: 0,
        };
        Some(LastEnvelope { outer, header })
    }

    /// Forgets what is kept apart of a flow.
    #[inline]
    pub(super) fn forget<S>(&mut self, slot: u32, entry: &mut Entry<S>) {
        for direction in [Direction::Forward, Direction::Reverse] {
            if entry.marks.has(Marks::OTHER_ENVELOPE.of(direction)) {
                self.forget_one(slot, entry, direction);
            }
        }
    }

    /// Whether a packet carries another cookie than its direction, or else the other one, did last.
    pub(super) fn is_new_cookie<S>(
        &self,
        entry: &Entry<S>,
        direction: Direction,
        envelope: &Envelope<'_>,
    ) -> bool {
        let known = [direction, direction.reversed()]
            .into_iter()
            .find(|direction| entry.packets.get(*direction) != 0);
        known.is_some_and(|known| {
            let cookie = entry.cookie.get(known);
            cookie != envelope.cookie().0
                && Some(cookie)
                    != envelope.header().last_chunk().map(|raw| u32::from_be_bytes(*raw))
        })
    }

    #[cold]
    fn forget_one<S>(&mut self, slot: u32, entry: &mut Entry<S>, direction: Direction) {
        if let Some(header) = self.others.remove(&(slot, direction)) {
            self.bytes = self.bytes.saturating_sub(cost(&header));
        }
        entry.marks.clear(Marks::OTHER_ENVELOPE.of(direction));
    }

    #[inline]
    fn usual(&self, ipv6: bool, endpoint: u64, attachment: u64, cookie: u32) -> Words {
        let [fixed, vni, endpoint_option, _, _, attachment_option, _, _, cookie_option, _] =
            self.blank;
        let [version, flags, _, _] = fixed;
        let [p0, p1] = if ipv6 { EtherType::IPV6 } else { EtherType::IPV4 }.0.to_be_bytes();
        let [e0, e1, e2, e3, e4, e5, e6, e7] = endpoint.to_be_bytes();
        let [a0, a1, a2, a3, a4, a5, a6, a7] = attachment.to_be_bytes();
        [
            [version, flags, p0, p1],
            vni,
            endpoint_option,
            [e0, e1, e2, e3],
            [e4, e5, e6, e7],
            attachment_option,
            [a0, a1, a2, a3],
            [a4, a5, a6, a7],
            cookie_option,
            cookie.to_be_bytes(),
        ]
    }
}

/// A header's memory with its share of the map's.
fn cost(header: &HeaderBuf) -> usize {
    let on_heap = if header.len() > USUAL_LEN { header.len() } else { 0 };
    size_of::<HeaderBuf>().saturating_mul(2).saturating_add(on_heap)
}
