use alloc::collections::{BTreeMap, TryReserveError};

use super::entry::{Entry, PerDirection};
use super::paths::{Path, Paths};
use crate::EtherType;
use crate::flow::{Direction, FlowSeed};
use crate::geneve::{Builder, HeaderBuf, TunnelOption};
use crate::gwlb::{Envelope, Outer, Profile, ProfileOption};

/// The latest envelopes of all flows, as far as they do not fit into the entries.
///
/// Of an envelope in the profile's own layout an entry has what is the flow's own, and the number of a
/// [path](Path) for the rest. Others are kept as they came.
pub(super) struct Envelopes {
    /// The two headers, of IPv4 and of IPv6, with all values zero.
    blank: [[u8; USUAL_LEN]; 2],
    paths: Paths,
    others: BTreeMap<(u32, Direction), Other>,
    bytes: usize,
    limit: usize,
}

const USUAL_LEN: usize = 40;

struct Other {
    outer: Outer,
    header: HeaderBuf,
}

/// What an entry has of the latest envelope in one direction.
#[derive(Clone, Copy)]
pub(super) struct Latest {
    path: u32,
    /// The whole of the option, with direction bits where the provider has some.
    cookie: u32,
    source_port: u16,
    tos: u8,
    ttl: u8,
}

/// In the place of a path's number: no envelope is known.
const UNKNOWN: u32 = u32::MAX;
/// In the place of a path's number: it is one of the others.
const APART: u32 = UNKNOWN - 1;

impl Latest {
    pub(super) const NONE: Self = Self { path: UNKNOWN, cookie: 0, source_port: 0, tos: 0, ttl: 0 };
}

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
    Usual([u8; USUAL_LEN]),
    Other(&'a HeaderBuf),
}

impl LastEnvelope<'_> {
    /// The GENEVE header with its options, byte for byte as received.
    pub fn header(&self) -> &[u8] {
        match &self.header {
            Header::Usual(bytes) => bytes,
            Header::Other(bytes) => bytes,
        }
    }
}

impl Envelopes {
    pub(super) fn new(
        profile: &Profile,
        limit: usize,
        endpoints: usize,
        seed: FlowSeed,
    ) -> Result<Self, TryReserveError> {
        Ok(Self {
            blank: [EtherType::IPV4, EtherType::IPV6].map(|inside| blank(profile, inside)),
            paths: Paths::new(paths(endpoints), seed)?,
            others: BTreeMap::new(),
            bytes: 0,
            limit,
        })
    }

    /// The memory that is taken from the start.
    pub(super) const fn bytes(endpoints: usize) -> usize {
        Paths::bytes(paths(endpoints))
    }

    /// Remembers the envelope of a flow's first packet, or says that there is no room for its header.
    #[inline]
    pub(super) fn remember_first(
        &mut self,
        slot: u32,
        direction: Direction,
        outer: &Outer,
        envelope: &Envelope<'_>,
    ) -> (Latest, bool) {
        let &Outer { source_port, tos, ttl, .. } = outer;
        let mut latest = Latest { source_port, tos, ttl, ..Latest::NONE };
        if let Some((path, cookie)) = Path::of(outer, envelope) {
            if let Some(path) = self.paths.enter_recent(&path) {
                return (Latest { path, cookie, ..latest }, true);
            }
        }
        let kept = self.remember_another(slot, &mut latest, direction, outer, envelope);
        (latest, kept)
    }

    /// Remembers a packet's envelope, or says that there is no room for its header.
    #[inline]
    pub(super) fn remember(
        &mut self,
        slot: u32,
        all: &mut PerDirection<Latest>,
        direction: Direction,
        outer: &Outer,
        envelope: &Envelope<'_>,
    ) -> bool {
        let latest = all.get_mut(direction);
        latest.source_port = outer.source_port;
        latest.tos = outer.tos;
        latest.ttl = outer.ttl;
        if let (Some(known), Some((path, cookie))) =
            (self.paths.get(latest.path), Path::of(outer, envelope))
        {
            if *known == path {
                latest.cookie = cookie;
                return true;
            }
        }
        self.remember_another(slot, latest, direction, outer, envelope)
    }

    /// The same where the packet came another way than the one before.
    #[inline(never)]
    fn remember_another(
        &mut self,
        slot: u32,
        latest: &mut Latest,
        direction: Direction,
        outer: &Outer,
        envelope: &Envelope<'_>,
    ) -> bool {
        if let Some((path, cookie)) = Path::of(outer, envelope) {
            let number = self.paths.enter_known(&path).or_else(|| {
                if self.is_usual(envelope) { self.paths.enter_new(&path) } else { None }
            });
            if let Some(number) = number {
                self.forget_one(slot, *latest, direction);
                (latest.path, latest.cookie) = (number, cookie);
                return true;
            }
        }
        latest.cookie = envelope.cookie().0;
        self.remember_apart(slot, latest, direction, outer, envelope)
    }

    #[cold]
    fn remember_apart(
        &mut self,
        slot: u32,
        latest: &mut Latest,
        direction: Direction,
        outer: &Outer,
        envelope: &Envelope<'_>,
    ) -> bool {
        if let Some(kept) = self.others.get_mut(&(slot, direction)) {
            if *kept.header == *envelope.header() {
                kept.outer = *outer;
                return true;
            }
        }
        self.forget_one(slot, *latest, direction);
        latest.path = UNKNOWN;
        let other = Other { outer: *outer, header: HeaderBuf::from(&envelope.geneve()) };
        let bytes = self.bytes.saturating_add(other.cost());
        if bytes > self.limit {
            return false;
        }
        self.bytes = bytes;
        self.others.insert((slot, direction), other);
        latest.path = APART;
        true
    }

    /// Whether a header is of the profile's own layout, whatever its values.
    fn is_usual(&self, envelope: &Envelope<'_>) -> bool {
        let Ok(mut header) = <[u8; USUAL_LEN]>::try_from(envelope.header()) else { return false };
        for values in VALUES {
            header.get_mut(values).unwrap_or_default().fill(0);
        }
        self.blank.contains(&header)
    }

    /// What was remembered, if anything.
    pub(super) fn recall<S>(
        &self,
        slot: u32,
        entry: &Entry<S>,
        direction: Direction,
    ) -> Option<LastEnvelope<'_>> {
        let Latest { path, cookie, source_port, tos, ttl } = entry.latest.get(direction);
        let (outer, header) = match path {
            UNKNOWN => return None,
            APART => {
                let other = self.others.get(&(slot, direction))?;
                (other.outer, Header::Other(&other.header))
            }
            path => {
                let path = self.paths.get(path)?;
                (path.outer(), Header::Usual(path.header(cookie)))
            }
        };
        let outer = Outer { source_port, tos, ttl, udp_checksum: 0, ..outer };
        Some(LastEnvelope { outer, header })
    }

    /// Forgets what is kept of a flow that is not in its entry.
    #[inline]
    pub(super) fn forget(&mut self, slot: u32, all: PerDirection<Latest>) {
        for (latest, direction) in
            [(all.forward, Direction::Forward), (all.reverse, Direction::Reverse)]
        {
            self.forget_one(slot, latest, direction);
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
            .find(|direction| entry.traffic.get(*direction).packets != 0);
        known.is_some_and(|known| {
            let cookie = entry.latest.get(known).cookie;
            cookie != envelope.cookie().0
                && Some(cookie)
                    != envelope.header().last_chunk().map(|raw| u32::from_be_bytes(*raw))
        })
    }

    #[inline]
    fn forget_one(&mut self, slot: u32, latest: Latest, direction: Direction) {
        match latest.path {
            UNKNOWN => {}
            APART => self.forget_apart(slot, direction),
            path => self.paths.leave(path),
        }
    }

    #[cold]
    fn forget_apart(&mut self, slot: u32, direction: Direction) {
        if let Some(other) = self.others.remove(&(slot, direction)) {
            self.bytes = self.bytes.saturating_sub(other.cost());
        }
    }
}

/// A few for each endpoint that is used, as tables are seldom made for just as many as there are.
const fn paths(endpoints: usize) -> usize {
    endpoints.saturating_add(64)
}

/// Where the values of the three options stand in the usual header.
const VALUES: [core::ops::Range<usize>; 3] = [12..20, 24..32, 36..40];

/// The header of the profile's own layout with values of zero.
fn blank(profile: &Profile, inside: EtherType) -> [u8; USUAL_LEN] {
    const ZERO: &[u8] = &[0; 8];
    let options = ProfileOption::ALL.map(|option| {
        let data = ZERO.get(..option.data_len()).unwrap_or_default();
        TunnelOption::new(profile.class(), profile.option_type(option), data).ok()
    });
    let mut header = [0; USUAL_LEN];
    // Should it fail, no header is usual: all of them are kept whole.
    match Builder::new(inside).options(options.into_iter().flatten()).build_into(&mut header) {
        Ok(USUAL_LEN) => header,
        _ => [0; USUAL_LEN],
    }
}

impl Other {
    /// Its memory with its share of the map's.
    fn cost(&self) -> usize {
        let on_heap = if self.header.len() > USUAL_LEN { self.header.len() } else { 0 };
        size_of::<Self>().saturating_mul(2).saturating_add(on_heap)
    }
}
