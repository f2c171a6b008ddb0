//! The heart of an appliance: datagrams in, dispositions and packets to inject out. No socket, no clock, no thread.
//!
//! ```
//! use gwlb_geneve::engine::{Datagram, Engine, Output, Settings};
//! use gwlb_geneve::gwlb::ReplyPolicy;
//! use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
//!
//! # fn receive() -> Vec<Datagram<'static>> { Vec::new() }
//! # fn send(_: gwlb_geneve::gwlb::Reply<'_>) {}
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut engine = Engine::new(Settings::default(), || {
//!     packet_fn("no-telnet", |packet, _cx| match packet.five_tuple().ports {
//!         Some(ports) if ports.destination == 23 => Verdict::reject(Reason::new("telnet")),
//!         _ => Verdict::PASS,
//!     })
//! })?;
//! let mut output = Output::new();
//! let policy = ReplyPolicy::default();
//!
//! let mut burst = receive();
//! engine.process(&mut burst, &mut output);
//! for (datagram, outcome) in burst.iter().zip(output.outcomes()) {
//!     if outcome.disposition.is_forward() {
//!         send(datagram.reply(&policy)?);
//!         engine.sent(1);
//!     }
//! }
//! for packet in output.injected() {
//!     send(packet.reply(&policy)?);
//!     engine.sent(1);
//! }
//! assert!(engine.counters().is_balanced());
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! * **What passes is untouched.** A datagram that is [forwarded](Disposition::Forward) has not a byte changed.
//! * **One outcome each.** See [`Counters`].
//! * **What is judged is what arrives.** Where inspectors look at streams or messages, the bytes that a receiver accepts are those
//!   that were judged: others for a place that was forwarded are written over, what a receiver may discard is dropped. See
//!   [`stream`](crate::stream).
//! * **Memory has a cap**, reserved by [`Engine::new`]: the flow table's, the fragment map's, and that of streams. In steady state
//!   nothing is allocated for a packet. What an inspector's [`Flow`](crate::inspect::Inspector::Flow) owns on the heap
//!   is its own affair.
//! * **No flood takes from others what they need.** Half-open flows, and half-open connections that are followed, make room for
//!   others; and no endpoint has more of anything than its share: see [`Settings`].
//! * **Nothing but packets counts.** The same datagrams with the same time stamps and the same
//!   [seed](Settings::seed) bring about the same outcomes, however they are cut into bursts; as long as no limit is
//!   reached, without a [`Budget`], and as long as no [`rewrite`](crate::inspect::Rewriter::rewrite) panics, which
//!   fails its flow only behind the packets that were judged together with it.
//! * **A panic costs one flow.** That of an inspector or a rewriter is caught, the flow is treated as
//!   [policy](crate::inspect::Exception::InspectorPanic) says, the inspector is made anew, and an edit half done is
//!   undone. Not so where panics abort ([`contains_panics`]), and not with a stack that overflows or a loop without
//!   end.

mod accounts;
mod begin;
mod bypass;
mod carriers;
mod control;
mod counters;
mod datagram;
mod defrag;
mod edit;
mod error;
mod explain;
mod failure;
#[cfg(feature = "faults")]
mod faults;
mod follow;
mod generations;
mod hearing;
mod intake;
mod judge;
mod limit;
mod losses;
mod open;
mod output;
mod panel;
mod patches;
mod plan;
mod refuse;
mod settings;
mod state;
mod straight;
mod streams;
mod survey;
mod sweep;
mod turn;
mod upkeep;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
#[cfg(feature = "live")]
use core::ops::Range;

pub use counters::Counters;
pub use datagram::Datagram;
pub use error::{EngineError, ReloadError};
pub use explain::{Explanation, Malformation, PacketTurn, Standing};
#[cfg(feature = "faults")]
pub use faults::Faults;
pub use output::{Disposition, Event, EventKind, Injected, Outcome, Output};
pub use settings::{Budget, Checksums, EndpointSettings, Settings};
pub use streams::StreamUse;
pub use survey::FlowTraffic;

use crate::Timestamp;
use crate::flow::{FlowCounters, FlowKey, FlowTable, FragmentCounters, FragmentMap, Probe};
use crate::inspect::{Inspector, Interest, Reason, Rewriter, check};
use edit::Edit;
use intake::Intake;
use judge::Stage;
use limit::RateLimit;
use panel::{Panel, contained};
use patches::Patches;
use state::{ReasonBook, State};
use streams::Streams;
use sweep::{NOT_SWEPT, SWEEP};

/// Judges the datagrams of a gateway load balancer. See the [module](self).
///
/// `I` looks at packets, `R` may change what has passed. An engine belongs to one worker.
pub struct Engine<I: Inspector, R: Rewriter = ()> {
    settings: Settings,
    table: FlowTable<State<I::Flow>>,
    fragments: FragmentMap,
    panel: Panel<I>,
    rewriter: R,
    overloaded: bool,
    is_bypassed: bool,
    /// Whether there is more to asking the inspectors than asking them: a budget, votes, faults.
    asks_otherwise: bool,
    reasons: ReasonBook,
    answers: RateLimit,
    icmp_errors: RateLimit,
    counters: Counters,
    /// The step of the table's time until which flows were swept; [`NOT_SWEPT`] where that is not known.
    swept: u64,
    /// Where in a time stamp's steps those of the table begin, in nanoseconds.
    phase: u64,
    stage: Stage<I::Flow>,
    probes: Vec<Probe>,
    edits: Vec<Edit<R::Plan>>,
    patches: Patches,
    /// A packet as it was before it was edited.
    before: Vec<u8>,
    #[cfg(feature = "faults")]
    faults: Faults,
}

/// So many datagrams are looked at together: their hashes are computed, and their flows fetched, before the first is
/// judged.
const BURST: usize = 32;

/// How many sets of inspectors flows can go on under at a time, the one in force among them.
pub const MAX_GENERATIONS: usize = 8;

/// Whether the program was built so that a panic can be caught (`panic = "unwind"`). Where not, a panic of an inspector
/// ends the process: say so when the appliance starts.
pub const fn contains_panics() -> bool {
    cfg!(panic = "unwind")
}

/// What becomes of the flows that there are when inspectors are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Flows {
    /// They go on under the inspectors that they began under.
    #[default]
    Keep,
    /// At its next packet, each is closed under the old inspectors and opened under the new ones, as one whose
    /// [beginning](crate::inspect::Packet::beginning) was not seen. Refused flows stay refused.
    Reopen,
}

impl<I: Inspector> Engine<I> {
    /// An engine with all the memory that it will ever have. `make` makes the inspectors, now and after a panic.
    ///
    /// # Errors
    ///
    /// See [`EngineError`].
    pub fn new(
        settings: Settings,
        make: impl FnMut() -> I + Send + 'static,
    ) -> Result<Self, EngineError> {
        let panel = Panel::new(Box::new(make));
        let seed = settings.seed.clone();
        let table =
            FlowTable::new(&settings.flows, &settings.timeouts, &settings.profile, seed.clone())?;
        let mut engine = Self {
            table,
            fragments: FragmentMap::with_quota(
                settings.fragments,
                settings.fragments_per_endpoint.min(settings.fragments),
                seed,
            )?,
            panel,
            rewriter: (),
            overloaded: false,
            is_bypassed: false,
            asks_otherwise: settings.budget.is_some(),
            reasons: ReasonBook::default(),
            answers: RateLimit::new(settings.answers_per_second),
            icmp_errors: RateLimit::new(settings.icmp_errors_per_second),
            counters: Counters::default(),
            swept: NOT_SWEPT,
            phase: 0,
            stage: Stage::Idle,
            probes: Vec::with_capacity(BURST),
            edits: Vec::with_capacity(BURST),
            patches: Patches::default(),
            before: Vec::new(),
            #[cfg(feature = "faults")]
            faults: Faults::default(),
            settings,
        };
        engine.settings.flows = *engine.table.limits();
        engine.table.set_quotas(engine.settings.quotas());
        if I::INTEREST.intersects(Interest::IN_ORDER) {
            let flows = engine.settings.flows.flows;
            engine.panel.streams = Some(Streams::new(&engine.settings, flows)?);
        }
        if let Some(inspector) = engine.panel.generations.get_mut(0) {
            check(inspector)?;
        }
        Ok(engine)
    }

    /// The same engine with a rewriter.
    pub fn with_rewriter<R: Rewriter>(self, rewriter: R) -> Engine<I, R> {
        Engine {
            settings: self.settings,
            table: self.table,
            fragments: self.fragments,
            panel: self.panel,
            rewriter,
            overloaded: self.overloaded,
            is_bypassed: self.is_bypassed,
            asks_otherwise: self.asks_otherwise,
            reasons: self.reasons,
            answers: self.answers,
            icmp_errors: self.icmp_errors,
            counters: self.counters,
            swept: self.swept,
            phase: self.phase,
            stage: Stage::Idle,
            probes: self.probes,
            edits: Vec::with_capacity(BURST),
            patches: self.patches,
            before: self.before,
            #[cfg(feature = "faults")]
            faults: self.faults,
        }
    }
}

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Judges a burst. `output` then holds what came of it, and nothing of earlier bursts.
    ///
    /// Datagrams of one flow keep their order. A burst may have any length; around 64 is quickest.
    pub fn process(&mut self, burst: &mut [Datagram<'_>], output: &mut Output) {
        if self.is_bypassed {
            return self.pass_all(burst, output);
        }
        self.judge_burst(burst, output);
    }

    /// The same, also where everything passes unseen.
    #[inline(always)]
    fn judge_burst(&mut self, burst: &mut [Datagram<'_>], output: &mut Output) {
        output.clear();
        for datagrams in burst.chunks_mut(BURST) {
            let start = output.outcomes.len();
            self.judge_all(datagrams, output);
            self.edit_all(start, datagrams, output);
        }
        self.account(output);
    }

    /// When [`expire`](Self::expire) may have something to do; `None` while there are no flows.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.table.next_deadline()
    }

    /// Ends flows whose time is over at `now`, and gives back their memory. `output` then holds what came of it.
    ///
    /// Verdicts do not depend on it: a flow whose time is over is not found, swept or not. So it is for those who wait
    /// for the end of flows, and need only be called when no packets come.
    pub fn expire(&mut self, now: Timestamp, output: &mut Output) {
        output.clear();
        let Self { table, panel, .. } = self;
        let events = &mut output.events;
        if table.is_empty() {
            // Nor does its time begin with this call.
            return;
        }
        while table.expire(now, SWEEP, &mut |flow| panel.ended(flow, now, events)) >= SWEEP {}
        self.swept = NOT_SWEPT;
        self.account(output);
    }

    /// Ends all flows: the appliance is going down. `output` then holds what came of it.
    pub fn drain(&mut self, now: Timestamp, output: &mut Output) {
        output.clear();
        let Self { table, panel, .. } = self;
        let events = &mut output.events;
        table.drain(&mut |flow| panel.ended(flow, now, events));
        if let Some(streams) = &mut panel.streams {
            streams.fragments.clear();
        }
        self.account(output);
    }

    /// Replaces the inspectors by others of the same type, such as a [`Chain`](crate::inspect::Chain) of other members: for new flows, and for those that there are as `flows` says.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`]; then nothing has changed.
    pub fn reload(
        &mut self,
        mut make: impl FnMut() -> I + Send + 'static,
        flows: Flows,
    ) -> Result<(), ReloadError> {
        let inspector = make();
        check(&inspector)?;
        if !self.panel.generations.has_room() {
            return Err(ReloadError::TooMany { most: MAX_GENERATIONS });
        }
        self.panel.replace(inspector, Box::new(make));
        if flows == Flows::Reopen {
            self.panel.epoch = self.panel.epoch.wrapping_add(1);
        }
        Ok(())
    }

    /// How many sets of inspectors flows go on under, the one in force among them: 1 to [`MAX_GENERATIONS`].
    pub fn generations(&self) -> usize {
        self.panel.generations.len()
    }

    /// Says whether the worker has too much to do. New flows are then
    /// [treated](crate::inspect::Exception::Overload) accordingly.
    pub const fn set_overloaded(&mut self, overloaded: bool) {
        self.overloaded = overloaded;
    }

    /// Whether inspectors have panicked or taken too long less often than [`unhealthy_after`](Settings::unhealthy_after)
    /// since the engine was made. Once it is not, it stays so.
    pub const fn is_healthy(&self) -> bool {
        let failures = self.panel.panics.saturating_add(self.counters.over_budget);
        failures < self.settings.unhealthy_after
    }

    /// Tells that so many datagrams and packets were sent.
    #[inline]
    pub const fn sent(&mut self, packets: u64) {
        self.counters.sent = self.counters.sent.wrapping_add(packets);
    }

    /// Tells that so many datagrams and packets could not be sent, and why.
    pub fn send_failed(&mut self, reason: Reason, packets: u64) {
        self.counters.count_failed(reason, packets);
    }

    /// What was done so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the flow table has done so far.
    pub const fn flow_counters(&self) -> &FlowCounters {
        self.table.counters()
    }

    /// What the fragment map has done so far.
    pub const fn fragment_counters(&self) -> &FragmentCounters {
        self.fragments.counters()
    }

    /// Flows in the table, among them such as have expired and are not swept yet.
    pub const fn flows(&self) -> usize {
        self.table.len()
    }

    /// What the engine was made with, the flow limits being those that it [came to](FlowTable::limits): as many flows as there is
    /// room for.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Bytes that the flow table, the fragment map, and, where inspectors may want streams or messages, these never exceed.
    pub fn memory(&self) -> usize {
        let limits = self.table.limits();
        let streams = match &self.panel.streams {
            Some(_) => Streams::bytes(&self.settings, limits.flows),
            None => 0,
        };
        limits
            .bytes
            .saturating_add(FragmentMap::bytes(self.settings.fragments))
            .saturating_add(streams)
    }

    /// Where the memory is that packets of all flows are looked for in.
    #[cfg(feature = "live")]
    pub(crate) fn table_memory(&self) -> [Range<*const u8>; 2] {
        self.table.memory()
    }

    /// What is held at the moment to put bytes in order.
    pub fn streams(&self) -> StreamUse {
        self.panel.streams.as_ref().map_or(StreamUse::default(), |streams| StreamUse {
            connections: streams.len(),
            bytes: streams.pool.used(),
            fragment_bytes: streams.fragments.used(),
            message_bytes: streams.gathered(),
        })
    }

    /// Faults to be brought about, for tests of what the policies make of them.
    #[cfg(feature = "faults")]
    pub fn set_faults(&mut self, faults: Faults) {
        self.asks_otherwise = self.settings.budget.is_some() || faults != Faults::default();
        self.faults = faults;
    }

    /// Judges at most [`BURST`] datagrams.
    fn judge_all(&mut self, datagrams: &[Datagram<'_>], output: &mut Output) {
        let mut probes = core::mem::take(&mut self.probes);
        self.look_ahead(datagrams, &mut probes);
        let start = output.outcomes.len();
        let mut left = datagrams.iter();
        // A panic ends the inner loop; what it hit is settled, and the loop goes on behind it.
        loop {
            let run = contained(|| {
                for datagram in &mut left {
                    let number = output.outcomes.len();
                    let probe = probes.get(number.wrapping_sub(start));
                    let outcome = self.judge_datagram(number, datagram, probe, output);
                    output.outcomes.push(outcome);
                }
            });
            let number = output.outcomes.len();
            match datagrams.get(number.wrapping_sub(start)) {
                Some(datagram) if run.is_none() => {
                    let outcome = self.contain(number, datagram, output);
                    output.outcomes.push(outcome);
                }
                _ => break,
            }
        }
        self.probes = probes;
    }

    /// Reads ahead in the flow table where its memory is far away. Nothing follows from it but speed: each packet is
    /// taken apart when its turn comes.
    #[inline]
    fn look_ahead(&self, datagrams: &[Datagram<'_>], probes: &mut Vec<Probe>) {
        probes.clear();
        if self.table.is_near() {
            return;
        }
        for datagram in datagrams {
            let key = Intake::usual_key(datagram, &self.settings).unwrap_or(FlowKey::NONE);
            probes.push(self.table.probe_ahead(&key));
        }
        self.table.fetch_entries(probes);
    }

    /// Counts what came of a call.
    fn account(&mut self, output: &Output) {
        let counters = &mut self.counters;
        let count = |packets| u64::try_from(packets).unwrap_or(u64::MAX);
        let mut forwarded = count(output.outcomes.len());
        counters.received = counters.received.wrapping_add(forwarded);
        for outcome in &output.outcomes {
            match outcome.disposition {
                Disposition::Forward if outcome.would.is_none() => {}
                Disposition::Forward => counters.would = counters.would.wrapping_add(1),
                Disposition::ForwardEdited => {
                    counters.would = counters.would.wrapping_add(outcome.would.is_some().into());
                    counters.edited = counters.edited.wrapping_add(1);
                }
                Disposition::Drop | Disposition::Reject => {
                    forwarded = forwarded.wrapping_sub(1);
                    counters.count_drop(outcome.reason);
                }
            }
        }
        counters.forwarded = counters.forwarded.wrapping_add(forwarded);
        counters.injected = counters.injected.wrapping_add(count(output.injected().len()));
        self.counters.panics = self.panel.panics;
        self.counters.injections_lost = self.panel.injections_lost;
    }
}

impl<I: Inspector, R: Rewriter> fmt::Debug for Engine<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("table", &self.table)
            .field("fragments", &self.fragments)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
