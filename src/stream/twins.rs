//! Two connections that get the same segments: one takes the straight way where there is one, the other never does.

use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::arrival::{Findings, Way};
use super::{Accepted, Arrival, Connection, Pool, Share, StreamLimits};
use crate::packet::{TcpFlags, TcpSegment};
use crate::{Side, Timestamp};

/// A connection with its memory, and a share of it that others have.
struct Twin {
    connection: Connection,
    pool: Pool,
    others: Share,
}

struct Twins {
    straight: Twin,
    other: Twin,
    /// How many segments took the straight way.
    count: usize,
}

impl Twin {
    fn new(limits: StreamLimits, connection: Connection) -> Self {
        Self { connection, pool: Pool::new(limits).unwrap(), others: Share::new() }
    }

    /// Somebody else takes so many blocks.
    fn crowd(&mut self, blocks: usize) {
        self.pool.exchange(&mut self.others);
        for _ in 0..blocks {
            self.pool.take();
        }
        self.pool.exchange(&mut self.others);
    }

    fn chunks(&self, accepted: &Accepted, payload: &[u8]) -> Vec<u8> {
        let mut at = accepted.fresh().start;
        let mut bytes = Vec::new();
        for chunk in self.connection.chunks(&self.pool, accepted, payload) {
            assert_eq!(chunk.offset, at);
            bytes.extend(chunk.data);
            at += chunk.data.len() as u64;
        }
        bytes
    }

    /// What is remembered of a side.
    fn remembered(&self, side: Side) -> Vec<Option<u8>> {
        let half = self.connection.half(side);
        let mut found = Vec::new();
        let mut at = half.acked;
        while at < half.store.high() {
            let left = usize::try_from(half.store.high() - at).unwrap();
            let piece = half.store.piece(&self.pool, at, half.next, left);
            match piece.bytes {
                Some(bytes) => found.extend(bytes.iter().copied().map(Some)),
                None => found.resize(found.len() + piece.len, None),
            }
            at += piece.len as i64;
        }
        found
    }
}

impl Twins {
    /// Gives what there is to say of a segment; changes nothing.
    fn consider(
        &mut self,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Result<(Accepted, Findings), Arrival> {
        let Self { straight, other, count } = self;
        let arrival = straight.connection.consider(&straight.pool, side, segment, now);
        let in_full = other.connection.look_at(&other.pool, side, segment, now);
        match (arrival, in_full) {
            (Arrival::Accept(accepted), Ok(found)) => {
                let as_found = match &accepted.0 {
                    Way::Straight(it) => {
                        *count += 1;
                        straight.connection.in_full(it)
                    }
                    Way::Any(it) => *it,
                };
                assert_eq!(as_found, found);
                Ok((accepted, found))
            }
            (arrival, Ok(found)) => panic!("{arrival:?}, {found:?}"),
            (arrival, Err(refused)) => {
                assert_eq!(arrival, refused.into());
                Err(arrival)
            }
        }
    }

    fn pass(&mut self, side: Side, bytes: &[u8], now: Timestamp) {
        let segment = TcpSegment::parse(bytes).unwrap();
        let payload = segment.payload();
        match self.consider(side, &segment, now) {
            Ok((accepted, found)) => {
                let in_full = Accepted(Way::Any(found));
                assert_eq!(accepted.fresh(), in_full.fresh());
                assert_eq!(
                    self.straight.chunks(&accepted, payload),
                    self.other.chunks(&in_full, payload)
                );
                let Self { straight, other, .. } = self;
                if let (Way::Straight(_), Some((_, shorter))) = (&accepted.0, payload.split_first())
                {
                    assert!(!straight.connection.commit(&mut straight.pool, &accepted, shorter));
                }
                assert!(straight.connection.commit(&mut straight.pool, &accepted, payload));
                assert!(!straight.connection.commit(&mut straight.pool, &accepted, payload));
                assert!(other.connection.take_any(&mut other.pool, found, payload));
            }
            Err(Arrival::Gap(gap)) => {
                for twin in [&mut self.straight, &mut self.other] {
                    twin.connection.skip(&mut twin.pool, gap);
                }
            }
            Err(_) => {}
        }
        self.compare();
    }

    fn compare(&self) {
        let (a, b) = (&self.straight, &self.other);
        assert_eq!(a.pool.used(), b.pool.used());
        assert_eq!(a.connection.usual, b.connection.usual);
        assert_eq!(a.connection.moment, b.connection.moment);
        for side in Side::ALL {
            let (mine, others) = (a.connection.half(side), b.connection.half(side));
            assert_eq!(
                (mine.next, mine.acked, mine.edge, mine.fin, mine.first, mine.bits),
                (others.next, others.acked, others.edge, others.fin, others.first, others.bits)
            );
            assert_eq!(mine.store.high(), others.store.high());
            if a.connection.is_stamped() {
                assert_eq!((mine.recent, mine.recent_at), (others.recent, others.recent_at));
            }
            assert_eq!(a.remembered(side), b.remembered(side));
        }
    }
}

/// What is said in a script: who, what, how far from where it should be, how long it is, and what else.
type Step = (bool, u8, i16, u16, u8);

fn run(setup: u8, steps: &[Step]) -> usize {
    let limits = StreamLimits {
        bytes: if setup & 1 == 0 { 64 << 10 } else { 8 << 20 },
        window: 1 << 16,
        ..StreamLimits::default()
    };
    let make = || if setup & 2 == 0 { Connection::new() } else { Connection::midstream() };
    let mut twins =
        Twins { straight: Twin::new(limits, make()), other: Twin::new(limits, make()), count: 0 };
    let has_stamps = setup & 4 == 0;
    let mut stamp = 100_u32;
    let mut now = Timestamp::from_nanos(1_700_000_000_000_000_000);
    let segment = |flags: TcpFlags, numbers: [u32; 2], window: u16, stamp: u32, data: &[u8]| {
        let words = if has_stamps { 8 } else { 5 };
        let mut bytes = Vec::from([0, 80, 0, 80]);
        bytes.extend(numbers.into_iter().flat_map(u32::to_be_bytes));
        bytes.extend((words << 12 | flags.0).to_be_bytes());
        bytes.extend(window.to_be_bytes());
        bytes.extend([0; 4]);
        if has_stamps {
            bytes.extend([1, 1, 8, 10]);
            bytes.extend(stamp.to_be_bytes());
            bytes.extend([0; 4]);
        }
        bytes.extend(data);
        bytes
    };
    // Near the place where numbers wrap.
    let firsts = [u32::MAX - 3_000, 9_000];
    let syn_ack = TcpFlags::SYN | TcpFlags::ACK;
    let opening = [
        (Side::Client, TcpFlags::SYN, [firsts[0].wrapping_sub(1), 0]),
        (Side::Server, syn_ack, [firsts[1] - 1, firsts[0]]),
        (Side::Client, TcpFlags::ACK, firsts),
    ];
    for (side, flags, numbers) in opening {
        twins.pass(side, &segment(flags, numbers, u16::MAX, stamp, &[]), now);
    }
    for &(is_client, what, off, len, more) in steps {
        stamp = stamp.wrapping_add(u32::from(more & 3));
        now = now.saturating_add(core::time::Duration::from_millis(more.into()));
        let side = if is_client { Side::Client } else { Side::Server };
        let connection = &twins.straight.connection;
        let (mine, other) = (connection.half(side), connection.half(side.other()));
        let next = connection.next_sequence_number(side).unwrap_or(firsts[0]);
        let all = connection.next_sequence_number(side.other()).unwrap_or(0);
        let part = other.number_of(other.acked + (other.next - other.acked) / 2);
        let same = other.number_of(other.acked);
        let ack = [all, all, part, same][usize::from(more >> 2 & 3)];
        let len = [0, len % 300, len % 1_500, 1_460, len % 9_001][usize::from(more >> 4) % 5];
        let data: Vec<u8> = (0..len).map(|at| at.to_le_bytes()[0] ^ what >> 5).collect();
        let away = next.wrapping_add_signed(off.into());
        let window = if what & 0x80 == 0 { u16::MAX } else { len };
        let old = stamp.wrapping_sub(5);
        let ack_flag = TcpFlags::ACK;
        let bytes = match what & 0x1f {
            0 => segment(ack_flag | TcpFlags::FIN, [next, ack], window, stamp, &data),
            1 => segment(TcpFlags::RST, [away, ack], window, stamp, &[]),
            2 => segment(TcpFlags::SYN, [away, 0], window, stamp, &[]),
            3 | 4 => segment(ack_flag, [away, ack], window, stamp, &data),
            5 => segment(ack_flag, [next, away], window, stamp, &data),
            6 => segment(ack_flag | TcpFlags(0x20), [next, ack], window, stamp, &data),
            7 => segment(ack_flag, [next, ack], window, old, &data),
            8 => segment(ack_flag, [mine.number_of(mine.acked), ack], window, stamp, &data),
            9 => {
                for twin in [&mut twins.straight, &mut twins.other] {
                    twin.crowd(usize::from(more & 3));
                }
                continue;
            }
            10 if more == 0 => {
                for twin in [&mut twins.straight, &mut twins.other] {
                    twin.connection.ignore(&mut twin.pool, side);
                }
                continue;
            }
            11 if more & 0xf == 0 => {
                for twin in [&mut twins.straight, &mut twins.other] {
                    twin.connection.allow_gaps();
                }
                continue;
            }
            // What may be instead of a time stamp, or another layout of one, as long as the usual one.
            what @ (12 | 13) => {
                let mut bytes = segment(ack_flag, [next, ack], window, stamp, &data);
                if let Some(options) = bytes.get_mut(20..32).filter(|_| has_stamps) {
                    let kind = if what == 12 { 5 } else { 8 };
                    options[2] = kind;
                    options.rotate_left(usize::from(more & 2));
                }
                bytes
            }
            // ECE and CWR.
            14 => segment(ack_flag | TcpFlags(0xc0), [next, ack], window, stamp, &data),
            _ => segment(ack_flag | TcpFlags::PSH, [next, ack], window, stamp, &data),
        };
        twins.pass(side, &bytes, now);
    }
    for twin in [&mut twins.straight, &mut twins.other] {
        twin.connection.close(&mut twin.pool);
    }
    assert_eq!(twins.straight.pool.used(), twins.other.pool.used());
    twins.count
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(600)
    })]

    /// Would catch: anything that the straight way does in another way, or takes that is not straight.
    #[test]
    fn the_straight_way_leads_where_the_other_does(
        setup in any::<u8>(),
        steps in vec(any::<Step>(), 0..120),
    ) {
        run(setup, &steps);
    }
}

/// Without mishaps all segments behind the handshake take the straight way, through all shapes of what is remembered.
#[test]
fn the_straight_way_is_taken() {
    for setup in [1, 3, 5, 7] {
        let mut steps = Vec::new();
        for round in 0..400_u16 {
            steps.push((true, 0x1f, 0, 0, 0x30 | 0xc));
            let ack = [0, 8, 12, 12, 8, 12, 8, 12][usize::from(round % 8)];
            steps.push((false, 0x1f, 0, 0, ack));
        }
        assert!(run(setup, &steps) >= 790, "{setup}");
    }
}
