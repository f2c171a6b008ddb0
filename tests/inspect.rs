//! The contract of an inspector, and that both ways of putting inspectors together judge alike.
#![cfg(feature = "alloc")]

mod support;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use gwlb_geneve::flow::{Direction, EndpointGroups};
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::inspect::*;
use gwlb_geneve::protocol::{Limits, Room, Session};
use gwlb_geneve::{Side, Timestamp};
use proptest::prelude::*;
use support::sample;

/// What happened, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// Answers what it is asked about a flow from a script, and writes down what it was asked.
struct Scripted<const HOOKS: u8> {
    name: String,
    /// Whether flows are its own, flow by flow, over and over.
    mine: Vec<bool>,
    /// Its verdict on the `n`th thing that it sees of a flow; passes when it has run out.
    script: Vec<Verdict>,
    opened: usize,
    /// After how many things it has no use for bytes in order any more.
    patience: usize,
    log: Log,
}

const PACKETS: u8 = 1;
const BOTH: u8 = 3;
const STREAM: u8 = 4;
const EVERYTHING: u8 = 5;
const DNS: u8 = 6;

impl<const HOOKS: u8> Inspector for Scripted<HOOKS> {
    type Flow = usize;
    const INTEREST: Interest = match HOOKS {
        PACKETS => Interest::PACKETS,
        BOTH => Interest::PACKETS.and(Interest::END),
        2 => Interest::END,
        STREAM => Interest::STREAM,
        EVERYTHING => Interest::ALL,
        DNS => Interest::DNS,
        _ => Interest::NONE,
    };

    fn wants(&self, seen: &usize) -> Interest {
        if *seen < self.patience {
            return Self::INTEREST;
        }
        Self::INTEREST.without(Interest::STREAM | Interest::MESSAGES | Interest::GAPS)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn open(&mut self, _: &Packet<'_>, cx: &mut Context<'_>) -> Option<usize> {
        let mine = self.mine[self.opened % self.mine.len()];
        self.opened += 1;
        self.log.lock().unwrap().push(format!("{} open {mine} {:?}", self.name, cx.now()));
        mine.then_some(0)
    }

    fn packet(&mut self, seen: &mut usize, _: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        self.see("packet", seen, cx)
    }

    fn stream(
        &mut self,
        seen: &mut usize,
        chunk: &StreamChunk<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.see(&format!("stream {:?} at {}", chunk.data, chunk.offset), seen, cx)
    }

    fn message(
        &mut self,
        seen: &mut usize,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.see(&format!("{} {}", message.what, message.is_first), seen, cx)
    }

    fn close(&mut self, seen: usize, why: CloseReason, _: &mut Context<'_>) {
        self.log.lock().unwrap().push(format!("{} close {seen} {why:?}", self.name));
    }
}

impl<const HOOKS: u8> Scripted<HOOKS> {
    fn see(&mut self, what: &str, seen: &mut usize, cx: &mut Context<'_>) -> Verdict {
        let verdict = self.script.get(*seen).copied().unwrap_or(Verdict::PASS);
        self.log.lock().unwrap().push(format!("{} {what} {seen}", self.name));
        *seen += 1;
        cx.mark(1 << *seen);
        verdict
    }
}

fn scripted<const HOOKS: u8>(
    name: &str,
    mine: &[bool],
    script: &[Verdict],
    log: &Log,
) -> Scripted<HOOKS> {
    let (mine, script) = (mine.to_vec(), script.to_vec());
    let patience = script.len() + 2;
    Scripted { name: name.to_owned(), mine, script, opened: 0, patience, log: log.clone() }
}

/// Calls `use_it` with an inspection packet.
fn with_packet<T>(use_it: impl FnOnce(&Packet<'_>) -> T) -> T {
    let datagram = sample::ipv4_tcp();
    let envelope = Envelope::parse(&datagram, &Profile::AWS).unwrap();
    let parsed = ParsedPacket::of(envelope, &EndpointGroups::default()).unwrap();
    use_it(&Packet::new(&parsed, parsed.flow().direction, Beginning::Seen))
}

/// What an inspector is shown.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Packet,
    Stream(u8),
    Message { bytes: &'static [u8], is_first: bool },
}

/// Runs flows side by side, as an engine does: a flow that is refused or passed for good is asked no more, and is
/// closed at its end. Gives every verdict and the marks.
fn run<I: Inspector>(inspector: I, flows: usize, packets: usize) -> (Vec<Option<Verdict>>, u32) {
    show(inspector, flows, &vec![Shown::Packet; packets])
}

/// The same, with whatever there is to see; and what was wanted, too.
fn show<I: Inspector>(
    mut inspector: I,
    flows: usize,
    sights: &[Shown],
) -> (Vec<Option<Verdict>>, u32) {
    let mut effects = Effects::default();
    let verdicts = with_packet(|packet| {
        let mut cx = Context::new(Timestamp::from_nanos(7), &mut effects);
        let mut states: Vec<_> = (0..flows).map(|_| inspector.open(packet, &mut cx)).collect();
        let mut verdicts = Vec::new();
        for shown in sights {
            for place in &mut states {
                let Some(state) = place else {
                    verdicts.push(None);
                    continue;
                };
                let wanted = inspector.wants(state);
                let verdict = match shown {
                    Shown::Packet => inspector.packet(state, packet, &mut cx),
                    Shown::Stream(byte) if wanted.contains(Interest::STREAM) => {
                        let data = &[*byte];
                        let chunk = StreamChunk::new(packet, Side::Client, u64::from(*byte), data);
                        inspector.stream(state, &chunk, &mut cx)
                    }
                    Shown::Message { bytes, is_first } => {
                        let mut verdict = Verdict::PASS;
                        let mut session = Session::tcp(None, Limits::default());
                        let mut room = Room::new(0);
                        session.feed(Side::Client, bytes, &mut room, &mut |side, what| {
                            let message = Message::new(packet, side, &what, *is_first);
                            if message.is_for(wanted) {
                                verdict = inspector.message(state, &message, &mut cx);
                            }
                            ControlFlow::Break(())
                        });
                        verdict
                    }
                    _ => Verdict::PASS,
                };
                verdicts.push(Some(verdict));
                if verdict.scope() == Scope::Flow {
                    let why =
                        if verdict.is_pass() { CloseReason::Done } else { CloseReason::Refused };
                    inspector.close(place.take().unwrap(), why, &mut cx);
                }
            }
        }
        for state in states.into_iter().flatten() {
            inspector.close(state, CloseReason::Idle, &mut cx);
        }
        verdicts
    });
    (verdicts, effects.marks)
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    let reason = Reason::new("scripted");
    prop_oneof![
        6 => Just(Verdict::PASS),
        2 => Just(Verdict::PASS_FLOW),
        1 => Just(Verdict::drop(reason)),
        1 => Just(Verdict::drop(reason).for_flow()),
        1 => Just(Verdict::reject(reason)),
    ]
}

fn any_sight() -> impl Strategy<Value = Shown> {
    prop_oneof![
        Just(Shown::Packet),
        any::<u8>().prop_map(Shown::Stream),
        (any::<bool>(), any::<bool>()).prop_map(|(is_known, is_first)| {
            let bytes: &[u8] =
                if is_known { b"GET / HTTP/1.0\r\n\r\n" } else { b"SSH-2.0-OpenSSH_9" };
            Shown::Message { bytes, is_first }
        }),
    ]
}

fn any_member() -> impl Strategy<Value = (Vec<bool>, Vec<Verdict>)> {
    (prop::collection::vec(any::<bool>(), 1..5), prop::collection::vec(any_verdict(), 0..6))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The same verdicts, the same hooks in the same order, the same marks.
    #[test]
    fn a_tuple_and_a_chain_judge_alike(
        a in any_member(), b in any_member(), c in any_member(),
        flows in 1..6_usize, packets in 0..8_usize,
    ) {
        let log = [Log::default(), Log::default()];
        let members = |log: &Log| (
            scripted::<PACKETS>("a", &a.0, &a.1, log),
            scripted::<BOTH>("b", &b.0, &b.1, log),
            scripted::<2>("c", &c.0, &c.1, log),
        );
        let tuple = run(members(&log[0]), flows, packets);
        let mut chain = Chain::new();
        let (x, y, z) = members(&log[1]);
        chain.push(x).unwrap();
        chain.push(y).unwrap();
        chain.push(z).unwrap();
        prop_assert_eq!(tuple, run(chain, flows, packets));
        let [tuple, chain] = log.map(|log| log.lock().unwrap().clone());
        prop_assert_eq!(tuple, chain);
    }

    /// The same over bytes and messages, with members that lose interest.
    #[test]
    fn a_tuple_and_a_chain_judge_streams_alike(
        a in any_member(), b in any_member(), c in any_member(), d in any_member(),
        flows in 1..4_usize, sights in prop::collection::vec(any_sight(), 0..12),
    ) {
        let log = [Log::default(), Log::default()];
        let members = |log: &Log| (
            scripted::<EVERYTHING>("a", &a.0, &a.1, log),
            scripted::<STREAM>("b", &b.0, &b.1, log),
            scripted::<DNS>("c", &c.0, &c.1, log),
            scripted::<EVERYTHING>("d", &d.0, &d.1, log),
        );
        let tuple = show(members(&log[0]), flows, &sights);
        let mut chain = Chain::new();
        let (w, x, y, z) = members(&log[1]);
        chain.push(w).unwrap();
        chain.push(x).unwrap();
        chain.push(y).unwrap();
        let mut inner = Chain::new();
        inner.push(z).unwrap();
        prop_assert_eq!(tuple, show((chain, Some(inner)), flows, &sights));
        let [tuple, chain] = log.map(|log| log.lock().unwrap().clone());
        prop_assert_eq!(tuple, chain);
    }

    /// Tuples within tuples and a chain within a chain are no different.
    #[test]
    fn nesting_changes_nothing(
        a in any_member(), b in any_member(), c in any_member(), flows in 1..4_usize,
    ) {
        let log = Log::default();
        let make = |name: &str, member: &(Vec<bool>, Vec<Verdict>)| {
            scripted::<BOTH>(name, &member.0, &member.1, &log)
        };
        let flat = run((make("a", &a), make("b", &b), make("c", &c)), flows, 7);
        let flat_log = std::mem::take(&mut *log.lock().unwrap());
        let nested = run(((make("a", &a), Some(make("b", &b))), (), (make("c", &c),)), flows, 7);
        let nested_log = std::mem::take(&mut *log.lock().unwrap());
        prop_assert_eq!(flat, nested);
        prop_assert_eq!(flat_log, nested_log);
    }
}

#[test]
fn the_first_refusal_ends_the_way() {
    let log = Log::default();
    let reason = Reason::new("no");
    let verdicts = run(
        (
            scripted::<PACKETS>("a", &[true], &[Verdict::PASS, Verdict::drop(reason)], &log),
            scripted::<PACKETS>("b", &[true], &[], &log),
        ),
        1,
        3,
    );
    let drop = Verdict::drop(reason);
    assert_eq!(verdicts.0, [Some(Verdict::PASS), Some(drop), Some(Verdict::PASS)]);
    let asked: Vec<_> =
        log.lock().unwrap().iter().filter(|line| line.contains("packet")).cloned().collect();
    assert_eq!(asked, ["a packet 0", "b packet 0", "a packet 1", "a packet 2", "b packet 1"]);
}

#[test]
fn a_flow_that_nobody_wants_is_not_opened() {
    let log = Log::default();
    let none = scripted::<PACKETS>("a", &[false], &[], &log);
    assert_eq!(run((none, ()), 2, 2).0, [None; 4]);
    let mut chain = Chain::new();
    chain.push(scripted::<PACKETS>("a", &[false], &[], &log)).unwrap();
    assert_eq!(run(chain, 2, 2).0, [None; 4]);
    assert_eq!(run(Chain::new(), 1, 1).0, [None]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let log = Log::default();
    let silent = || scripted::<0>("silent", &[true], &[], &log);
    let named = || scripted::<PACKETS>("same", &[true], &[], &log);
    let never = BuildError::NeverFires { name: "silent".into() };
    let twice = BuildError::SameName { name: "same".into() };
    assert_eq!(check(&silent()), Err(never.clone()));
    assert_eq!(check(&(named(), silent())), Err(never.clone()));
    assert_eq!(check(&(named(), (Some(named()),))), Err(twice.clone()));
    assert_eq!(check(&((), None::<Scripted<PACKETS>>, named())), Ok(()));

    let mut chain = Chain::new();
    assert_eq!(chain.push(silent()), Err(never));
    assert_eq!(chain.push(named()), Ok(()));
    assert_eq!(chain.push(named()), Err(twice.clone()));
    assert_eq!((chain.len(), check(&chain)), (1, Ok(())), "a refused member is not in it");
    assert_eq!(check(&(named(), chain)), Err(twice));

    let mut chain = Chain::new();
    for n in 0..Chain::MAX_MEMBERS {
        chain.push(scripted::<PACKETS>(&n.to_string(), &[true], &[], &log)).unwrap();
    }
    assert_eq!(chain.push(named()), Err(BuildError::TooMany { most: 64 }));
    assert_eq!(run(chain, 2, 1).0, [Some(Verdict::PASS); 2]);
}

/// What costs an allocation for each packet is made only where somebody wants an explanation.
#[test]
fn what_decided_is_put_into_words_only_for_who_asks() {
    let mut effects = Effects::default();
    Context::new(Timestamp::EPOCH, &mut effects).decided("a", || panic!("nobody asks"));
    effects.decided = Some(Vec::new());
    Context::new(Timestamp::EPOCH, &mut effects).decided("a", || "rule 1".into());
    effects.clear();
    let because = "rule 1".into();
    assert_eq!(effects.decided, Some(vec![Decided { inspector: "a", because }]));
}

#[test]
fn everyone_votes_also_behind_a_refusal() {
    let log = Log::default();
    let reject = Verdict::reject(Reason::new("no"));
    let members = || {
        (
            scripted::<PACKETS>("a", &[true], &[reject], &log),
            scripted::<2>("ends", &[true], &[], &log),
            scripted::<PACKETS>("other", &[false], &[], &log),
            scripted::<PACKETS>("b", &[true], &[], &log),
        )
    };
    let vote = |name: &str, verdict| Vote { name: name.into(), verdict, because: Vec::new() };
    let expected = [
        vote("a", Some(reject)),
        vote("ends", None),
        vote("other", None),
        vote("b", Some(Verdict::PASS)),
    ];
    fn votes<I: Inspector>(mut inspector: I) -> Vec<Vote> {
        let mut effects = Effects::default();
        let mut votes = Vec::new();
        with_packet(|packet| {
            let mut cx = Context::new(Timestamp::EPOCH, &mut effects);
            let mut flow = inspector.open(packet, &mut cx).unwrap();
            inspector.explain(&mut flow, &Seen::Packet(packet), &mut cx, &mut votes);
        });
        votes
    }
    assert_eq!(votes(members()), expected);
    let mut chain = Chain::new();
    let (a, ends, other, b) = members();
    chain.push(a).unwrap();
    chain.push(ends).unwrap();
    chain.push(other).unwrap();
    chain.push(b).unwrap();
    assert_eq!(votes(chain), expected);
}

#[test]
fn a_closure_is_an_inspector() {
    let mut seen = 0;
    let inspector = packet_fn("count", move |packet, cx| {
        seen += 1;
        assert!(packet.is_from_opener());
        assert_ne!(packet.direction(), packet.direction().reversed());
        if seen == 2 {
            cx.alert(Alert {
                name: "two".into(),
                message: "".into(),
                severity: Severity::Info,
                rule: None,
            });
            cx.inject(Direction::Forward, vec![1]);
            cx.capture();
            return Verdict::PASS_FLOW;
        }
        Verdict::PASS
    });
    assert_eq!(run(inspector, 1, 3).0, [Some(Verdict::PASS), Some(Verdict::PASS_FLOW), None]);
}

#[test]
fn verdicts_are_small() {
    assert!(size_of::<Verdict>() <= size_of::<[usize; 3]>());
    assert_eq!(size_of::<<(Chain,) as Inspector>::Flow>(), 8);
}

/// Panics where a flow begins and where it ends, after others have remembered something of it.
#[test]
fn a_chain_loses_no_memory_to_panics() {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    struct Member(Arc<()>, bool);

    impl Inspector for Member {
        type Flow = Arc<()>;
        const INTEREST: Interest = Interest::END;

        fn name(&self) -> &str {
            if self.1 { "second" } else { "first" }
        }

        fn open(&mut self, first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<Arc<()>> {
            if self.1 && first.payload() == b"open" {
                resume_unwind(Box::new("at the beginning"));
            }
            Some(Arc::clone(&self.0))
        }

        fn close(&mut self, _flow: Arc<()>, _why: CloseReason, _cx: &mut Context<'_>) {
            if !self.1 {
                resume_unwind(Box::new("at the end"));
            }
        }
    }

    let states = Arc::new(());
    let mut chain = Chain::new();
    chain.push(Member(Arc::clone(&states), false)).unwrap();
    chain.push(Member(Arc::clone(&states), true)).unwrap();
    let mut effects = Effects::default();
    let mut cx = Context::new(Timestamp::EPOCH, &mut effects);
    for data in [b"open", b"shut"] {
        let inner = sample::ipv4(17, &sample::udp(data));
        let payload = support::generate::aws_datagram(&inner);
        let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
        let parsed = ParsedPacket::of(envelope, &EndpointGroups::default()).unwrap();
        let first = Packet::new(&parsed, Direction::Forward, Beginning::Seen);
        for _ in 0..100 {
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let row = chain.open(&first, &mut cx).unwrap();
                chain.close(row, CloseReason::Idle, &mut cx);
            }));
        }
    }
    // The two inspectors, the one here, and no more states than one flow has.
    assert!(Arc::strong_count(&states) <= 3 + 2, "{}", Arc::strong_count(&states));
}
