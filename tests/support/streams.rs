//! TCP streams: segments by hand, an oracle that remembers every byte in a map, and receivers of several kinds that
//! anybody may try to fool.

use std::collections::BTreeMap;

use gwlb_geneve::packet::{TcpFlags, TcpSegment};
use gwlb_geneve::stream::{Accepted, Arrival, Connection, Discard, Pool, StreamLimits};
use gwlb_geneve::{Side, Timestamp};

/// A segment to be written down.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    pub flags: TcpFlags,
    pub sequence_number: u32,
    pub acknowledgment_number: u32,
    pub window: u16,
    pub stamp: Option<u32>,
    pub scale: Option<u8>,
    pub urgent_pointer: u16,
    pub payload: Vec<u8>,
}

impl Segment {
    pub fn bytes(&self) -> Vec<u8> {
        let mut options = Vec::new();
        if let Some(scale) = self.scale {
            options.extend([3, 3, scale, 1]);
        }
        if let Some(stamp) = self.stamp {
            options.extend([1, 1, 8, 10]);
            options.extend(stamp.to_be_bytes());
            options.extend([0; 4]);
        }
        let offset = u16::try_from((20 + options.len()) / 4).unwrap();
        let mut bytes = vec![0, 80, 0, 80];
        bytes.extend(self.sequence_number.to_be_bytes());
        bytes.extend(self.acknowledgment_number.to_be_bytes());
        bytes.extend((offset << 12 | self.flags.0).to_be_bytes());
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.urgent_pointer.to_be_bytes());
        bytes.extend(options);
        bytes.extend(&self.payload);
        bytes
    }
}

/// A connection, and what is known of it by simpler means.
pub struct Watched {
    pub connection: Connection,
    pub pool: Pool,
    pub told: [Vec<u8>; 2],
    pub ended: [bool; 2],
    pub now: Timestamp,
    /// All bytes that were forwarded and are not acknowledged.
    forwarded: [BTreeMap<u64, u8>; 2],
    acked: [u64; 2],
    first: [Option<u32>; 2],
}

impl Watched {
    pub fn new(connection: Connection, limits: StreamLimits) -> Self {
        Self {
            connection,
            pool: Pool::new(limits).unwrap(),
            told: Default::default(),
            ended: [false; 2],
            now: Timestamp::from_nanos(1_700_000_000_000_000_000),
            forwarded: Default::default(),
            acked: [0; 2],
            first: [None; 2],
        }
    }

    /// Does what an engine does that passes everything: gives the payload that is forwarded.
    pub fn pass(&mut self, side: Side, segment: &Segment) -> Result<(Accepted, Vec<u8>), Arrival> {
        let bytes = segment.bytes();
        let view = TcpSegment::parse(&bytes).unwrap();
        let before = self.pool.used();
        let arrival = self.connection.consider(&self.pool, side, &view, self.now);
        assert_eq!(self.pool.used(), before);
        let Arrival::Accept(accepted) = arrival else { return Err(arrival) };
        assert_eq!(accepted.side(), side);
        if accepted.reopens() {
            self.restart();
        }
        let told = self.told[side as usize].len() as u64;
        self.tell(side, &accepted, &segment.payload);
        let forwarded = self.edited(side, &accepted, segment, told);
        assert!(self.connection.commit(&mut self.pool, &accepted, &forwarded));
        assert!(!self.connection.commit(&mut self.pool, &accepted, &forwarded), "only once");
        assert!(self.pool.used() <= self.pool.limits().bytes);
        self.remember(side, segment, &forwarded);
        Ok((accepted, forwarded))
    }

    fn restart(&mut self) {
        self.told = Default::default();
        self.ended = [false; 2];
        self.forwarded = Default::default();
        self.acked = [0; 2];
        self.first = [None; 2];
    }

    /// Chunks are told in order, each byte once.
    fn tell(&mut self, side: Side, accepted: &Accepted, payload: &[u8]) {
        let told = &mut self.told[side as usize];
        let fresh = accepted.fresh();
        assert_eq!(fresh.start, told.len() as u64);
        for chunk in self.connection.chunks(&self.pool, accepted, payload) {
            assert_eq!(chunk.offset, told.len() as u64);
            assert!(!chunk.data.is_empty());
            told.extend(chunk.data);
        }
        assert_eq!(fresh.end, told.len() as u64);
        assert!(fresh.is_empty() || !self.ended[side as usize]);
        if accepted.ends() {
            assert!(!self.ended[side as usize], "a stream ends once");
            self.ended[side as usize] = true;
        }
    }

    /// What is written over a payload is what differs from what was forwarded, and no more.
    fn edited(&mut self, side: Side, accepted: &Accepted, segment: &Segment, told: u64) -> Vec<u8> {
        let mut payload = segment.payload.clone();
        let mut edits = 0;
        for edit in self.connection.edits(&self.pool, accepted, &segment.payload) {
            let place = &mut payload[edit.at..edit.at + edit.bytes.len()];
            assert_ne!(place, edit.bytes);
            place.copy_from_slice(edit.bytes);
            edits += 1;
        }
        assert_eq!(edits > 0, accepted.is_edited());
        let is_reset = segment.flags.contains(TcpFlags::RST);
        if let Some(start) = self.offset(side, segment).filter(|_| !is_reset) {
            let known = &self.forwarded[side as usize];
            for (index, (new, old)) in payload.iter().zip(&segment.payload).enumerate() {
                let offset = start + index as i64;
                let expected = u64::try_from(offset).ok().and_then(|offset| known.get(&offset));
                assert_eq!(new, expected.unwrap_or(old), "at {offset}");
            }
            // What was told is what is forwarded.
            for offset in told..accepted.fresh().end {
                let index = usize::try_from(offset as i64 - start).unwrap();
                let forwarded = payload.get(index).or_else(|| known.get(&offset));
                let heard = self.told[side as usize][usize::try_from(offset).unwrap()];
                assert_eq!(forwarded, Some(&heard));
            }
        }
        payload
    }

    fn offset(&self, side: Side, segment: &Segment) -> Option<i64> {
        let syn = segment.flags.contains(TcpFlags::SYN);
        let first = self.first[side as usize]
            .or(Some(segment.sequence_number.wrapping_add(u32::from(syn))))?;
        let near = self.told[side as usize].len() as u32;
        let start = segment.sequence_number.wrapping_add(u32::from(syn));
        let ahead = start.wrapping_sub(first.wrapping_add(near)) as i32;
        Some(i64::from(ahead) + i64::from(near))
    }

    fn remember(&mut self, side: Side, segment: &Segment, forwarded: &[u8]) {
        for side in Side::ALL {
            let told = self.told[side as usize].len() as u32;
            let ended = u32::from(self.ended[side as usize]);
            let next = self.connection.next_sequence_number(side);
            self.first[side as usize] = next.map(|next| next.wrapping_sub(told + ended));
        }
        let is_reset = segment.flags.contains(TcpFlags::RST);
        let Some(start) = self.offset(side, segment).filter(|_| !is_reset) else { return };
        for (byte, offset) in forwarded.iter().zip(start..) {
            let Ok(offset) = u64::try_from(offset) else { continue };
            if offset >= self.acked[side as usize] {
                self.forwarded[side as usize].entry(offset).or_insert(*byte);
            }
        }
    }

    /// The other end is known to have said that it has what is below an offset.
    pub fn acknowledged(&mut self, side: Side, offset: u64) {
        let acked = &mut self.acked[side as usize];
        *acked = offset.max(*acked);
        self.forwarded[side as usize] = self.forwarded[side as usize].split_off(acked);
    }

    /// All memory comes back.
    pub fn close(mut self) {
        self.connection.close(&mut self.pool);
        assert_eq!(self.pool.used(), 0);
    }
}

/// What a receiver does where the RFCs let it choose, or systems differ.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Of two versions of a byte out of order the last one counts.
    pub last_wins: bool,
    /// Bytes beyond the window are taken if those before them are within.
    pub takes_beyond: bool,
    pub checks_stamps: bool,
    pub checks_acks: bool,
    /// Any RST in the window is believed.
    pub believes_resets: bool,
    /// Data of a SYN is taken.
    pub fast_open: bool,
}

impl Kind {
    pub fn of(bits: u8) -> Self {
        let bit = |index: u8| bits >> index & 1 == 1;
        Self {
            last_wins: bit(0),
            takes_beyond: bit(1),
            checks_stamps: bit(2),
            checks_acks: bit(3),
            believes_resets: bit(4),
            fast_open: bit(5),
        }
    }
}

/// The server's end, which is honest.
pub struct Receiver {
    kind: Kind,
    window: u16,
    first: u32,
    pub isn: u32,
    waiting: BTreeMap<u64, u8>,
    pub delivered: Vec<u8>,
    fin: Option<u64>,
    pub has_ended: bool,
    pub is_open: bool,
    pub is_dead: bool,
    recent: u32,
    pub stamps: bool,
}

impl Receiver {
    pub fn new(kind: Kind, window: u16, isn: u32) -> Self {
        Self {
            kind,
            window,
            first: 0,
            isn,
            waiting: BTreeMap::new(),
            delivered: Vec::new(),
            fin: None,
            has_ended: false,
            is_open: false,
            is_dead: false,
            recent: 0,
            stamps: false,
        }
    }

    fn next(&self) -> u64 {
        self.delivered.len() as u64
    }

    pub fn next_sequence_number(&self) -> u32 {
        let next = self.first.wrapping_add(self.delivered.len() as u32);
        next.wrapping_add(u32::from(self.has_ended))
    }

    /// What it says of its state.
    pub fn ack(&self, stamp: u32) -> Segment {
        Segment {
            flags: TcpFlags::ACK,
            sequence_number: self.isn.wrapping_add(1),
            acknowledgment_number: self.next_sequence_number(),
            window: self.window,
            stamp: self.stamps.then_some(stamp),
            ..Segment::default()
        }
    }

    pub fn syn_ack(&self, stamp: u32) -> Segment {
        let ack = self.ack(stamp);
        Segment { flags: TcpFlags::SYN | TcpFlags::ACK, sequence_number: self.isn, ..ack }
    }

    pub fn take(&mut self, segment: &Segment) {
        if self.is_dead {
            return;
        }
        let flags = segment.flags;
        if flags.contains(TcpFlags::SYN) {
            if !self.is_open && !flags.intersects(TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN) {
                self.is_open = true;
                self.stamps = segment.stamp.is_some();
                self.recent = segment.stamp.unwrap_or(0);
                self.first = segment.sequence_number.wrapping_add(1);
                if self.kind.fast_open {
                    self.store(0, &segment.payload);
                }
            }
            return;
        }
        if !self.is_open {
            return;
        }
        let ahead = segment.sequence_number.wrapping_sub(self.next_sequence_number()) as i32;
        let window = i32::from(self.window);
        if flags.contains(TcpFlags::RST) {
            let most = if self.kind.believes_resets { window } else { 0 };
            self.is_dead = (0..=most).contains(&ahead);
            return;
        }
        if !flags.contains(TcpFlags::ACK) || self.has_ended {
            return;
        }
        let valid_ack = segment.acknowledgment_number == self.isn.wrapping_add(1);
        if self.kind.checks_acks && !valid_ack {
            return;
        }
        if self.stamps && self.kind.checks_stamps {
            let Some(stamp) = segment.stamp else { return };
            if (stamp.wrapping_sub(self.recent) as i32) < 0 {
                return;
            }
            if ahead <= 0 {
                self.recent = stamp;
            }
        }
        if ahead > window || (ahead >= window && window > 0 && ahead > 0) {
            return;
        }
        let start = self.next() as i64 + i64::from(ahead);
        let room = if self.kind.takes_beyond {
            segment.payload.len()
        } else {
            usize::try_from(window - ahead).unwrap().min(segment.payload.len())
        };
        if flags.contains(TcpFlags::FIN) && room == segment.payload.len() {
            let fin = start + room as i64;
            self.fin = self.fin.or(u64::try_from(fin).ok());
        }
        self.store(start, &segment.payload[..room]);
    }

    fn store(&mut self, start: i64, payload: &[u8]) {
        for (byte, offset) in payload.iter().zip(start..) {
            let Some(offset) = u64::try_from(offset).ok().filter(|at| *at >= self.next()) else {
                continue;
            };
            if self.kind.last_wins {
                self.waiting.insert(offset, *byte);
            } else {
                self.waiting.entry(offset).or_insert(*byte);
            }
        }
        while self.fin != Some(self.next()) {
            let Some(byte) = self.waiting.remove(&self.next()) else { break };
            self.delivered.push(byte);
        }
        self.has_ended = self.fin == Some(self.next());
    }
}

/// A client that may send anything, through a connection that is watched, to a receiver that must not be fooled: what
/// it gets is what was told before.
pub fn check(bytes: &[u8]) {
    let Some((&[kind, setup, isn, window], mut script)) = bytes.split_first_chunk() else { return };
    let limits = StreamLimits {
        bytes: if setup & 1 == 0 { 64 << 10 } else { 1 << 20 },
        window: if setup & 2 == 0 { 600 } else { 1 << 16 },
        ..StreamLimits::default()
    };
    let mut watched = Watched::new(Connection::new(), limits);
    let isn = u32::from(isn).wrapping_sub(128);
    let window = u16::from(window) << (setup >> 2 & 7);
    let mut receiver = Receiver::new(Kind::of(kind), window, 5_000);
    let has_stamps = setup & 0x20 != 0;
    let mut stamp = 1_000;
    let mut is_answered = false;
    while let Some((&[what, a, b, c, d], rest)) = script.split_first_chunk() {
        script = rest;
        stamp += u32::from(d >> 4);
        watched.now = watched.now.saturating_add(core::time::Duration::from_millis(u64::from(d)));
        let stamp = has_stamps.then(|| stamp.wrapping_sub(u32::from(what >> 7) * u32::from(c)));
        match what & 0xf {
            0 | 1 => {
                let syn = Segment {
                    flags: TcpFlags::SYN,
                    sequence_number: isn.wrapping_add(u32::from(a & 3) * 300),
                    window: 1000,
                    stamp: stamp.filter(|_| c != 0),
                    payload: content(0, usize::from(b & 31), c),
                    ..Segment::default()
                };
                hand_on(&mut watched, &mut receiver, &syn, d);
            }
            2 | 3 if receiver.is_open && !receiver.is_dead => {
                let (answer, syn) = (receiver.ack(7), receiver.syn_ack(7));
                let says_syn = !is_answered || what & 0x10 != 0;
                let answer = if says_syn { syn } else { answer };
                match watched.pass(Side::Server, &answer) {
                    Ok(_) if says_syn || is_answered => {
                        is_answered |= says_syn;
                        watched.acknowledged(Side::Client, receiver.next());
                    }
                    Ok(_) => {}
                    Err(Arrival::Discard(Discard::Closed)) => {}
                    // Of all the SYNs with numbers of their own two are remembered.
                    Err(Arrival::Discard(Discard::Acknowledgment)) if says_syn => {}
                    Err(refused) => panic!("{refused:?} of an honest {answer:?}"),
                }
            }
            4 => {
                let near = if b & 1 == 0 { 0 } else { i32::from(a as i8) };
                let reset = Segment {
                    flags: TcpFlags::RST | TcpFlags(u16::from(b & 0x10)),
                    sequence_number: receiver.next_sequence_number().wrapping_add_signed(near),
                    acknowledgment_number: 5_001,
                    stamp,
                    payload: content(0, usize::from(c & 1), c),
                    ..Segment::default()
                };
                hand_on(&mut watched, &mut receiver, &reset, d);
            }
            flags => {
                let told = watched.told[0].len() as u32;
                let from = match a & 3 {
                    0 => receiver.next_sequence_number(),
                    1 => isn.wrapping_add(1).wrapping_add(told),
                    2 => receiver.next_sequence_number().wrapping_add(u32::from(window)),
                    _ => isn.wrapping_add(1),
                };
                let near = i32::from((b ^ a) as i8) >> (a >> 2 & 7);
                let sequence_number = from.wrapping_add_signed(near);
                let len = usize::from(c) << (d >> 2 & 3);
                let offset = sequence_number.wrapping_sub(isn.wrapping_add(1));
                let mut segment = Segment {
                    flags: TcpFlags::ACK,
                    sequence_number,
                    acknowledgment_number: 5_001,
                    window: 1000,
                    stamp,
                    payload: content(offset, len, a >> 6),
                    ..Segment::default()
                };
                match flags {
                    12 => segment.flags = segment.flags | TcpFlags::FIN,
                    13 => segment.acknowledgment_number += u32::from(b),
                    14 => segment.flags = TcpFlags(u16::from(b)),
                    15 => segment.stamp = None,
                    _ => {}
                }
                hand_on(&mut watched, &mut receiver, &segment, d);
            }
        }
        let told = &watched.told[0];
        assert_eq!(receiver.delivered, told.get(..receiver.delivered.len()).unwrap_or(told));
        assert!(!receiver.has_ended || receiver.delivered.len() == told.len());
    }
    watched.close();
}

/// Through the connection, and unless it is lost behind it, to the receiver.
fn hand_on(watched: &mut Watched, receiver: &mut Receiver, segment: &Segment, fate: u8) {
    if let Ok((_, payload)) = watched.pass(Side::Client, segment) {
        if fate & 3 != 0 {
            receiver.take(&Segment { payload, ..segment.clone() });
        }
    }
}

/// Bytes that follow from their offset, and from which version of them it is.
pub fn content(offset: u32, len: usize, version: u8) -> Vec<u8> {
    let byte = |index: u32| (offset.wrapping_add(index).wrapping_mul(0x9e37_79b1) >> 24) as u8;
    (0..len as u32).map(|index| byte(index).wrapping_add(version & 3)).collect()
}
