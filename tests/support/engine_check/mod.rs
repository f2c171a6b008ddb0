//! What an engine promises, held against whatever a sequence of bytes makes of datagrams, times, settings and
//! inspectors: the same is fed to three engines, of which one has a tuple of inspectors and is given one datagram at a
//! time, one a chain of the same, and one the tuple again and whole bursts.

mod input;
mod script;

use std::collections::HashSet;
use std::fmt::Debug;

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::*;
use gwlb_geneve::flow::{FlowKey, Part, Relation};
use gwlb_geneve::gwlb::{Envelope, Outer, Profile, ReplyPolicy, UdpChecksum};
use gwlb_geneve::inspect::*;
use gwlb_geneve::packet::{ChecksumStatus, IpPacket, TcpFlags, Transport, Tunneled};

use input::{Input, Sent, Step};
use script::{Log, Words};

/// What came of a datagram.
#[derive(Debug, PartialEq)]
struct Judged {
    outcome: Outcome,
    payload: Vec<u8>,
}

/// What is said and sent beside. In the order in which it came, whatever the bursts.
#[derive(Debug, Default, PartialEq)]
struct Beside {
    events: Vec<Event>,
    injected: Vec<(Outer, Vec<u8>, Vec<u8>)>,
}

/// An engine with what came of it so far.
struct Run<I: Inspector> {
    engine: Engine<I, Words>,
    make: fn(&Log) -> I,
    log: Log,
    output: Output,
    results: Vec<Judged>,
    beside: Beside,
    memory: usize,
}

impl<I: Inspector> Run<I> {
    fn new(settings: &Settings, make: fn(&Log) -> I) -> Self {
        let log = Log::default();
        let of_inspectors = log.clone();
        let engine = Engine::new(settings.clone(), move || make(&of_inspectors)).unwrap();
        let engine = engine.with_rewriter(Words);
        let (memory, output) = (engine.memory(), Output::new());
        let (results, beside) = (Vec::new(), Beside::default());
        Self { engine, make, log, output, results, beside, memory }
    }

    /// Sends a burst through, and looks at what can be seen of every engine.
    fn send(&mut self, burst: &[Sent]) {
        const ROOM: usize = 24;

        let before = self.results.len();
        let mut buffers: Vec<Vec<u8>> =
            burst.iter().map(|sent| [&sent.payload[..], &[0xee; ROOM]].concat()).collect();
        let datagrams = buffers.iter_mut().zip(burst);
        let mut datagrams: Vec<Datagram<'_>> = datagrams
            .map(|(buffer, sent)| {
                Datagram::with_room(sent.time, sent.outer, buffer, sent.payload.len())
            })
            .collect();
        self.engine.process(&mut datagrams, &mut self.output);
        assert_eq!(self.output.outcomes().len(), burst.len(), "one outcome each");
        for ((datagram, sent), outcome) in
            datagrams.iter().zip(burst).zip(self.output.outcomes().iter().copied())
        {
            let payload = datagram.payload().to_vec();
            match outcome.disposition {
                Disposition::Forward => assert_eq!(payload, sent.payload, "not a byte is changed"),
                // What is refused may have been edited before.
                _ if payload != sent.payload => edited(&sent.payload, &payload),
                _ => {}
            }
            if outcome.disposition.is_forward() {
                let policy = ReplyPolicy { checksum: UdpChecksum::Received, ..Default::default() };
                assert_eq!(datagram.reply(&policy).unwrap().parts()[1], payload);
                self.engine.sent(1);
            }
            self.results.push(Judged { outcome, payload });
        }
        for packet in self.output.injected() {
            let policy = ReplyPolicy::default();
            match packet.reply(&policy) {
                Ok(_) => self.engine.sent(1),
                Err(_) => self.engine.send_failed(Reason::new("too-long"), 1),
            }
        }
        self.remember(before);
    }

    /// Keeps what was said and sent, the first datagram's number being `before`.
    fn remember(&mut self, before: usize) {
        for event in self.output.events() {
            let mut event = event.clone();
            if let EventKind::Alert(alert) = &event.what {
                let whose = alert.message.split(": ").next().unwrap_or_default();
                assert!(whose.is_empty() || whose == event.flow.to_string(), "{event:?}");
            }
            event.datagram = event.datagram.map(|number| before + number);
            self.beside.events.push(event);
        }
        self.beside.injected.extend(
            self.output.injected().map(|packet| {
                (*packet.outer(), packet.geneve().to_vec(), packet.packet().to_vec())
            }),
        );
        self.look();
    }

    /// What holds between any two calls.
    fn look(&self) {
        let engine = &self.engine;
        assert!(engine.counters().is_balanced(), "{:?}", engine.counters());
        assert_eq!(engine.counters().received, self.results.len() as u64);
        assert!(engine.flows() <= engine.settings().flows.flows);
        assert!((1..=8).contains(&engine.generations()), "{}", engine.generations());
        assert_eq!(engine.memory(), self.memory);
        let (held, limits) = (engine.streams(), engine.settings().streams);
        assert!(held.connections <= limits.connections && held.bytes <= limits.bytes, "{held:?}");
        let flows = engine.flow_counters();
        let ended =
            flows.expired() + flows.evicted() + flows.reused + flows.removed + flows.drained;
        assert_eq!(flows.created, engine.flows() as u64 + ended, "{flows:?}");
        // Each flow has three states at most, and a packet that is judged alone too. Those that a chain's panic left
        // behind lie in rows that are used again.
        let most = 3 * (engine.settings().flows.flows + 1) * engine.generations();
        assert!(self.log.living() <= most as isize, "{} states", self.log.living());
    }

    fn control(&mut self, step: &Step) {
        let before = self.results.len();
        self.output = Output::new();
        match *step {
            Step::Send(_) | Step::Cut => return,
            Step::Expire(now) => {
                self.engine.expire(now, &mut self.output);
                let next = self.engine.next_deadline();
                assert!(next.is_none_or(|next| next > now || next == Timestamp::MAX));
            }
            Step::Drain(now) => {
                self.engine.drain(now, &mut self.output);
                assert_eq!((self.engine.flows(), self.engine.generations()), (0, 1));
            }
            Step::Reload(flows) => {
                let (make, log) = (self.make, self.log.clone());
                let result = self.engine.reload(move || make(&log), flows);
                assert!(result.is_ok() || self.engine.generations() == 8);
            }
            Step::Overload(overloaded) => self.engine.set_overloaded(overloaded),
        }
        self.remember(before);
    }
}

/// An edited datagram: its envelope is untouched, and its packet is whole, with right checksums if they were.
fn edited(before: &[u8], after: &[u8]) {
    let [before, after] =
        [before, after].map(|payload| Envelope::parse(payload, &Profile::AWS).unwrap());
    assert_eq!(before.header(), after.header());
    let [before, after] =
        [before, after].map(|envelope| IpPacket::parse(envelope.inner()).unwrap());
    after.check_whole().unwrap();
    let is_wrong = |packet: &IpPacket<'_>| {
        let header = matches!(packet, IpPacket::V4(packet) if !packet.verify_checksum());
        (header, packet.verify_transport_checksum() == ChecksumStatus::Invalid)
    };
    let (was, is) = (is_wrong(&before), is_wrong(&after));
    assert!(is.0 <= was.0 && is.1 <= was.1, "{before:?}\n{after:?}");
}

/// What an engine made itself: a whole packet in the datagram's endpoint that answers a packet that may be answered.
fn answer(sent: &Sent, outer: &Outer, geneve: &[u8], packet: &[u8]) {
    let own = Envelope::parse(&sent.payload, &Profile::AWS).unwrap();
    let whole = [geneve, packet].concat();
    let envelope = Envelope::parse(&whole, &Profile::AWS).unwrap();
    assert_eq!(envelope.inner(), packet);
    assert_eq!(envelope.endpoint(), own.endpoint());
    assert_eq!(outer.destination_port, 6081);
    let refused = IpPacket::parse(own.inner()).unwrap();
    let answer = IpPacket::parse(packet).unwrap();
    answer.check_whole().unwrap();
    assert!(answer.trailer().is_empty());
    // It goes through the tunnels that the refused packet came in.
    let [refused, answer] =
        [refused, answer].map(|packet| Tunneled::look_through(&packet).unwrap());
    assert_eq!(answer.depth(), refused.depth());
    for tunnel in answer.tunnels() {
        assert_ne!(tunnel.verify_checksum(), ChecksumStatus::Invalid, "{tunnel:?}");
        if let IpPacket::V4(packet) = tunnel.carrier() {
            assert!(packet.verify_checksum());
        }
    }
    let [refused, answer] = [*refused.innermost(), *answer.innermost()];
    answer.check_whole().unwrap();
    assert_eq!(answer.verify_transport_checksum(), ChecksumStatus::Valid, "{answer:?}");
    if let IpPacket::V4(packet) = answer {
        assert!(packet.verify_checksum());
    }
    let to_sender = answer.addresses() == refused.addresses().reversed();
    assert!(to_sender || answer.addresses() == refused.addresses(), "{answer:?}");
    match (answer.transport().unwrap(), refused.transport().unwrap()) {
        (Transport::Tcp(reset), Transport::Tcp(segment)) => {
            assert!(reset.flags().intersects(TcpFlags::RST));
            assert!(!to_sender || !segment.flags().intersects(TcpFlags::RST), "a RST is answered");
        }
        (Transport::Icmp(error) | Transport::Icmpv6(error), _) => {
            assert!(to_sender && error.quoted().is_some());
        }
        other => panic!("{other:?}"),
    }
}

/// Flows that are refused for good, as far as outcomes tell.
#[derive(Default)]
struct Refused(HashSet<FlowKey>);

impl Refused {
    /// Nothing of a refused flow is forwarded before another one begins.
    fn follow(&mut self, sent: &Sent, outcome: &Outcome, log: &Log, settings: &Settings) {
        for opened in log.take_opened() {
            self.0.remove(&opened);
        }
        let refused = log.take_refused();
        let Ok(envelope) = Envelope::parse(&sent.payload, &Profile::AWS) else { return };
        let Ok(packet) = ParsedPacket::of(envelope, &settings.groups) else { return };
        let flow = packet.flow();
        // These say that there is no such flow in the table.
        let unknown = outcome.exception.is_some_and(|exception| {
            !matches!(exception, Exception::InspectorPanic | Exception::OverBudget)
        });
        if flow.part != Part::Whole || flow.relation != Relation::Own || unknown {
            return;
        }
        if self.0.contains(&flow.key) && !settings.monitor {
            assert!(!outcome.disposition.is_forward(), "a refused flow goes on: {outcome}");
        }
        if refused {
            self.0.insert(flow.key);
        }
    }
}

/// Whatever the bytes say.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let settings = input.settings();
    let mut single = Run::new(&settings, script::tuple);
    let mut chain = Run::new(&settings, script::chain);
    let mut bursts = Run::new(&settings, script::tuple);
    let mut refused = Refused::default();
    let mut burst: Vec<Sent> = Vec::new();
    // A rewriter that panics fails the flow once its burst is judged.
    let mut same_bursts = true;
    while let Some(step) = input.step() {
        if let Step::Send(sent) = &step {
            let injected = single.beside.injected.len();
            single.send(std::slice::from_ref(sent));
            let outcome = single.results.last().unwrap().outcome;
            refused.follow(sent, &outcome, &single.log, &settings);
            let theirs = single.log.take_injected();
            let made = single.beside.injected[injected..].iter();
            let mut made = made.filter(|(_, _, packet)| !theirs.contains(packet)).peekable();
            assert!(made.peek().is_none() || outcome.disposition == Disposition::Reject);
            let mut answers = 0;
            for (outer, geneve, packet) in made {
                answer(sent, outer, geneve, packet);
                answers += 1;
            }
            assert!(answers <= 2);
            same_bursts &= !single.log.take_rewriter_panicked();
            chain.send(std::slice::from_ref(sent));
            burst.push(sent.clone());
            continue;
        }
        bursts.send(&std::mem::take(&mut burst));
        single.control(&step);
        chain.control(&step);
        bursts.control(&step);
    }
    bursts.send(&burst);
    same("tuple and chain", &single, &chain);
    if same_bursts {
        same("one by one and in bursts", &single, &bursts);
    }
    for last in [Step::Reload(Flows::Keep), Step::Drain(input.now())] {
        single.control(&last);
        bursts.control(&last);
        chain.control(&last);
    }
    assert_eq!((single.log.living(), bursts.log.living()), (0, 0), "every state ends");
    for (engine, log) in [(&single.engine, &single.log), (&bursts.engine, &bursts.log)] {
        assert_eq!(engine.streams(), StreamUse::default(), "every stream ends");
        assert_eq!(log.take_wrong(), None);
    }
    assert_eq!((chain.engine.streams(), chain.log.take_wrong()), (StreamUse::default(), None));
}

fn same<A: Inspector, B: Inspector>(what: &str, a: &Run<A>, b: &Run<B>) {
    equal(what, &a.results, &b.results);
    equal(what, &a.beside.events, &b.beside.events);
    equal(what, &a.beside.injected, &b.beside.injected);
    assert_eq!(a.engine.counters(), b.engine.counters(), "{what}");
    assert_eq!(a.engine.flow_counters(), b.engine.flow_counters(), "{what}");
    assert_eq!(a.engine.fragment_counters(), b.engine.fragment_counters(), "{what}");
}

fn equal<T: PartialEq + Debug>(what: &str, a: &[T], b: &[T]) {
    for (n, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a, b, "{what}: number {n}");
    }
    assert_eq!(a.len(), b.len(), "{what}");
}
