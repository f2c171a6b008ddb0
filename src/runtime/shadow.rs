use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::sync::atomic::{AtomicU64, Ordering};
use std::hash::DefaultHasher;

use smallvec::SmallVec;

use super::desk::share;
use crate::engine::{
    Datagram, Disposition, Engine, EngineError, Event, EventKind, Outcome, Output, Settings,
};
use crate::flow::FlowKey;
use crate::gwlb::Envelope;
use crate::inspect::{Action, Alert, Chain, Inspector, ParsedPacket, Severity};

/// A second policy that judges what a worker's engine has judged, and whose judgement has no effect but to be compared.
///
/// It has an engine of its own, which is shown copies: whatever it does, nothing happens to a packet. It is told what was
/// judged, as an [`Observer`](super::Observer) is, and costs a worker about as much time and memory again.
///
/// What it is shown is what the first policy let through or refused, as it is sent. So where it lets pass what the first refuses, it
/// takes a packet for delivered that was not; and flows that there were before it are to it such as have no beginning.
///
/// ```no_run
/// use gwlb_geneve::engine::{Engine, Output, Settings};
/// use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
/// use gwlb_geneve::runtime::{Shadow, ShadowCounters};
///
/// # fn receive() -> Vec<gwlb_geneve::engine::Datagram<'static>> { Vec::new() }
/// let mut engine = Engine::new(Settings::default(), || ())?;
/// let counters = ShadowCounters::default();
/// let stricter = || packet_fn("none", |_, _| Verdict::drop(Reason::new("none")));
/// let mut shadow = Shadow::new(&Settings::default(), 1, stricter, &counters)?;
///
/// let mut output = Output::new();
/// let mut burst = receive();
/// engine.process(&mut burst, &mut output);
/// shadow.compare(&burst, &output, |difference| println!("{difference}"));
/// println!("{} would differ", counters.would_differ());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Shadow<I: Inspector = Chain> {
    engine: Engine<I>,
    counters: ShadowCounters,
    output: Output,
    copies: Vec<u8>,
    /// Differences that were told last, by their hashes.
    told: Box<[u64]>,
}

/// So many flows are remembered, so that the same is not told of each of their packets.
const REMEMBERED: usize = 4_096;

/// So many datagrams are shown to the engine at a time.
const MOST: usize = 64;

impl<I: Inspector> Shadow<I> {
    /// The policy that `settings` and inspectors are, for one of so many workers. What it finds is counted with what those of
    /// the other workers find.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn new(
        settings: &Settings,
        workers: usize,
        make: impl FnMut() -> I + Send + 'static,
        counters: &ShadowCounters,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            engine: Engine::new(share(settings, workers.max(1)), make)?,
            counters: counters.clone(),
            output: Output::new(),
            copies: Vec::new(),
            told: alloc::vec![0; REMEMBERED].into(),
        })
    }

    /// Judges what was judged, and tells what differs.
    pub fn compare(
        &mut self,
        datagrams: &[Datagram<'_>],
        output: &Output,
        mut tell: impl FnMut(&Difference<'_>),
    ) {
        let mut number = 0_usize;
        for (datagrams, outcomes) in datagrams.chunks(MOST).zip(output.outcomes().chunks(MOST)) {
            self.judge(datagrams);
            let judged = datagrams.iter().zip(outcomes).zip(self.output.outcomes());
            for ((datagram, outcome), would) in judged {
                let place = number;
                number = number.saturating_add(1);
                let (is, would_be) = (decision(outcome), decision(would));
                if is == would_be {
                    continue;
                }
                self.counters.differs(would_be);
                let mut difference =
                    Difference { datagram, place, outcome, would, event: None, is_news: true };
                let settings = self.engine.settings();
                let envelope = Envelope::parse(datagram.payload(), &settings.profile).ok();
                let parsed = envelope.and_then(|it| ParsedPacket::of(it, &settings.groups).ok());
                if let Some(parsed) = parsed {
                    let flow = parsed.flow().key;
                    difference.is_news = is_news(&mut self.told, &flow, is, would_be);
                    difference.event = Some(difference.alert(flow));
                }
                tell(&difference);
            }
        }
        self.counters.judged(number);
    }

    fn judge(&mut self, datagrams: &[Datagram<'_>]) {
        self.copies.clear();
        for datagram in datagrams {
            self.copies.extend_from_slice(datagram.payload());
        }
        let mut rest = self.copies.as_mut_slice();
        let mut copies: SmallVec<[Datagram<'_>; MOST]> = SmallVec::new();
        for datagram in datagrams {
            let len = datagram.payload().len();
            let Some((payload, others)) = rest.split_at_mut_checked(len) else { break };
            rest = others;
            copies.push(Datagram::new(datagram.time(), *datagram.outer(), payload));
        }
        self.engine.process(&mut copies, &mut self.output);
    }
}

impl<I: Inspector> fmt::Debug for Shadow<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadow").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// What a policy decides, or would, if it did not only monitor.
fn decision(outcome: &Outcome) -> Action {
    outcome.would.unwrap_or(match outcome.disposition {
        Disposition::Forward | Disposition::ForwardEdited => Action::Pass,
        Disposition::Drop => Action::Drop,
        Disposition::Reject => Action::Reject,
    })
}

fn is_news(told: &mut [u64], flow: &FlowKey, is: Action, would_be: Action) -> bool {
    let mut hash = DefaultHasher::new();
    (flow, is, would_be).hash(&mut hash);
    // 0 is nothing that was told.
    let hash = hash.finish().max(1);
    let place = usize::try_from(hash).unwrap_or(0) % REMEMBERED;
    match told.get_mut(place) {
        Some(told) if *told == hash => false,
        Some(told) => {
            *told = hash;
            true
        }
        None => true,
    }
}

/// A datagram that the two policies do not treat the same.
#[derive(Debug)]
#[non_exhaustive]
pub struct Difference<'a> {
    /// The datagram, as it was judged.
    pub datagram: &'a Datagram<'a>,
    /// Its place among those that were judged together.
    pub place: usize,
    /// What becomes of it.
    pub outcome: &'a Outcome,
    /// What would become of it by the second policy.
    pub would: &'a Outcome,
    /// The difference as an alert of the name `shadow-policy`, where the packet can be read.
    pub event: Option<Event>,
    /// Whether it is the first such difference of its flow, as far as that is remembered.
    pub is_news: bool,
}

impl Difference<'_> {
    fn alert(&self, flow: FlowKey) -> Event {
        let alert = Alert {
            name: "shadow-policy".into(),
            message: format!("{self}").into(),
            severity: Severity::Notice,
            rule: None,
        };
        let datagram = Some(self.place);
        Event { datagram, endpoint: flow.endpoint(), flow, what: EventKind::Alert(alert) }
    }
}

impl fmt::Display for Difference<'_> {
    /// `would reject: telnet; now forward`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match decision(self.would) {
            Action::Pass => f.write_str("would forward")?,
            action => write!(f, "would {action}: {}", self.would.reason)?,
        }
        write!(f, "; now {}", self.outcome)
    }
}

/// How often a second policy would have done something else. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct ShadowCounters(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    judged: AtomicU64,
    would_pass: AtomicU64,
    would_drop: AtomicU64,
    would_reject: AtomicU64,
}

impl ShadowCounters {
    /// Datagrams that it judged.
    pub fn datagrams(&self) -> u64 {
        self.0.judged.load(Ordering::Relaxed)
    }

    /// Of these, those of which something else would have become.
    pub fn would_differ(&self) -> u64 {
        self.would_pass().wrapping_add(self.would_drop()).wrapping_add(self.would_reject())
    }

    /// Of these, those that would have been forwarded.
    pub fn would_pass(&self) -> u64 {
        self.0.would_pass.load(Ordering::Relaxed)
    }

    /// Those that would have been dropped.
    pub fn would_drop(&self) -> u64 {
        self.0.would_drop.load(Ordering::Relaxed)
    }

    /// Those that would have been rejected.
    pub fn would_reject(&self) -> u64 {
        self.0.would_reject.load(Ordering::Relaxed)
    }

    fn judged(&self, datagrams: usize) {
        let datagrams = u64::try_from(datagrams).unwrap_or(u64::MAX);
        self.0.judged.fetch_add(datagrams, Ordering::Relaxed);
    }

    fn differs(&self, would: Action) {
        let count = match would {
            Action::Pass => &self.0.would_pass,
            Action::Drop => &self.0.would_drop,
            Action::Reject => &self.0.would_reject,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
