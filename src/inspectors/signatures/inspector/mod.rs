//! Rules looked for in flows.

mod explain;
mod flow;
mod judge;
mod scratch;
mod streams;
mod tables;
mod transactions;

pub use explain::RuleTrace;
pub use flow::SignatureFlow;
pub(super) use tables::Tables;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem;

use super::Signatures;
use super::buffers::{Full, Pool, Spoken};
use super::matching::{Sight, holds};
use crate::Side;
use crate::flow::Relation;
use crate::inspect::{Context, Inspector, Interest, Message, Packet, Reason, StreamChunk, Verdict};
use crate::packet::{FiveTuple, Transport};
use explain::Tracer;
use judge::{Event, Place, leave_open};
use scratch::Scratch;

/// Looks for [`Signatures`] in packets, streams and messages. Clones share them: one for each worker.
///
/// A rule that holds tells an alert of the name [`REASON`](Self::REASON), which says which rule it was, and a `drop` or `reject` refuses for
/// that reason: the packet, where it looked at a packet alone, and otherwise the flow.
///
/// # Which bytes a rule looks at
///
/// * Rules about TCP without a buffer look at the stream: at each piece of it together with [so many
///   bytes](super::SignatureLimits::stream_window) before, so that it does not matter how it was cut. Those that count places from the beginning
///   (`offset`, `depth`, `startswith`) look at packets too, as Suricata has it; those with `dsize` or `flow:no_stream` look at
///   packets alone. What a rule has held for in a stream does not count again for it.
/// * Rules about messages look at all of a transaction, one side of it: the head of a request and its body, for instance. They hold once for it.
///   Bodies are looked at as they come; what depends on their end (negations, sizes) is judged when they are whole, or as large as they
///   are looked at. Those of responses that are compressed are looked at inflated, those in several codings as they are sent, too: a
///   rule holds where it does for one of the two. Those of requests are looked at as they are sent.
/// * Rules about nothing but addresses hold once for each side of a flow; other rules without bytes for each packet.
///
/// Rules that hold for a packet, a piece of a stream or a message count in the order pass, drop, reject, alert. A pass in a stream or message
/// is for the rest of the flow.
///
/// # How much is done
///
/// For all of a packet, the pieces of streams and the messages in it, [so many steps](super::SignatureLimits::steps) are done, of which no
/// rule gets more than its share: one that takes long does not keep others from being asked. Where a rule that drops or rejects is not asked
/// for all of it therefore, is not followed up as too many wait for more of a flow, or may have to look at bytes for which there was [no
/// room](super::SignatureLimits::bytes) or in a compressed body that is not inflated, as it is that of a request, broken, compressed in several
/// ways, or in one that is not known (any but `gzip` and `deflate`), that is [counted](super::SignatureCounters) and told
/// once for a flow, by an alert of the name [`UNANSWERED`](Self::UNANSWERED); the flow is dropped only where that is
/// [wanted](super::SignatureLimits::refuses_unanswered). Where half of the steps of a packet are spent, rules that only alert are asked
/// about bodies again once there is enough more of them, in this packet or the next, or when they end; those that decide what becomes of
/// the packet are asked at once.
#[derive(Debug)]
pub struct SignatureInspector {
    signatures: Arc<Signatures>,
    pool: Pool,
    scratch: Scratch,
    tracer: Option<Tracer>,
}

impl SignatureInspector {
    /// Why packets are dropped and rejected, and what alerts and the inspector are called.
    pub const REASON: Reason = Reason::new("signatures");

    /// What an alert is called that says that rules that refuse were not asked for all of them, and why packets are dropped then where
    /// that is [wanted](super::SignatureLimits::refuses_unanswered).
    pub const UNANSWERED: Reason = Reason::new("signatures-unanswered");

    /// By rules, or by ones that are shared.
    pub fn new(signatures: impl Into<Arc<Signatures>>) -> Self {
        let signatures = signatures.into();
        let limits = signatures.limits();
        let pool = Pool::new(limits.bytes, limits.bytes_per_endpoint);
        let scratch = Scratch::new(signatures.len());
        Self { signatures, pool, scratch, tracer: None }
    }

    /// Tells each time that a rule is asked what came of it; see [`SignatureSettings::explains`](super::SignatureSettings::explains).
    #[must_use]
    pub fn traced(self, tell: impl FnMut(&RuleTrace) + Send + 'static) -> Self {
        Self { tracer: Some(Tracer(Box::new(tell))), ..self }
    }

    /// The rules.
    pub fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// Bytes that flows hold, out of [`SignatureLimits::bytes`](super::SignatureLimits::bytes).
    pub fn held_bytes(&self) -> usize {
        self.pool.used()
    }

    /// There was no room for bytes that rules may ask for later, also such that refuse.
    #[cold]
    fn lose(&mut self, full: Full, refuses: bool) {
        self.signatures.note_full(full);
        self.scratch.is_unanswered |= refuses;
    }

    /// Rules that refuse and were not asked for all of them are not passed over in silence.
    #[inline]
    fn conclude(
        &mut self,
        flow: &mut SignatureFlow,
        packet: &Packet<'_>,
        verdict: Verdict,
        cx: &mut Context<'_>,
    ) -> Verdict {
        match mem::take(&mut self.scratch.is_unanswered) {
            true => leave_open(&self.signatures, flow, packet, verdict, cx),
            false => verdict,
        }
    }
}

impl Clone for SignatureInspector {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.signatures))
    }
}

impl Inspector for SignatureInspector {
    type Flow = SignatureFlow;

    const INTEREST: Interest =
        Interest::PACKETS.and(Interest::STREAM).and(Interest::GAPS).and(Interest::MESSAGES);

    fn interest(&self) -> Interest {
        match self.signatures.set().interest {
            // It has to have some interest; without rules no flow is its own.
            Interest::NONE => Interest::PACKETS,
            interest => interest,
        }
    }

    fn wants(&self, flow: &SignatureFlow) -> Interest {
        flow.interest
    }

    fn name(&self) -> &str {
        Self::REASON.name()
    }

    fn open(&mut self, first: &Packet<'_>, _: &mut Context<'_>) -> Option<SignatureFlow> {
        let surrounding = self.signatures.surrounding(first.endpoint());
        let interest = self.signatures.set().interest_in(surrounding, &first.opener_tuple());
        let interest = match interest.contains(Interest::STREAM) {
            true => interest | Interest::GAPS,
            false => interest,
        };
        if !flow::is_some(interest) {
            return None;
        }
        let portion = self.pool.of(first.endpoint());
        Some(SignatureFlow::new(interest, surrounding, first.beginning(), portion))
    }

    fn packet(
        &mut self,
        flow: &mut SignatureFlow,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.scratch.turn_to(packet, cx.now(), self.signatures.limits().steps);
        flow.see(packet);
        if !flow.interest.contains(Interest::PACKETS) {
            return if flow.is_done() { Verdict::PASS_FLOW } else { Verdict::PASS };
        }
        let side = if packet.is_from_opener() { Side::Client } else { Side::Server };
        let set = self.signatures.set();
        let is_own = packet.relation() == Relation::Own;
        let (slots, payload) = match packet.transport() {
            Transport::Tcp(segment) if is_own => (&set.tcp_packets, segment.payload()),
            Transport::Udp(datagram) if is_own => (&set.udp_packets, datagram.payload()),
            // What Suricata calls the payload of ICMP is what follows its first eight bytes.
            transport => (&set.other_packets, transport.payload()),
        };
        self.scratch.begin();
        if flow.begins(side) {
            self.scratch.add_all(set.first.of(side));
        }
        let tuple = match is_own {
            true => packet.five_tuple(),
            false => FiveTuple {
                addresses: packet.ip().addresses(),
                protocol: packet.ip().protocol(),
                ports: None,
            },
        };
        let sight = Sight::of(payload, tuple.ports);
        let slot = slots.of(side);
        for (condition, rule) in &slot.alike {
            if holds(condition, packet) {
                self.scratch.add(*rule);
            }
        }
        self.scratch.add_slot(slot, sight, &self.signatures);
        if self.scratch.is_idle() {
            return Verdict::PASS;
        }
        let event = Event {
            packet,
            side,
            tuple,
            payload: Some(sight.view),
            buffers: None,
            body: None,
            place: Place::Packet,
        };
        let verdict = self.judge(flow, &event, cx);
        self.conclude(flow, packet, verdict, cx)
    }

    fn stream(
        &mut self,
        flow: &mut SignatureFlow,
        chunk: &StreamChunk<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        flow.hear(chunk.side, chunk.packet.flow().protocol());
        self.scratch.stay_with(chunk.packet, cx.now(), self.signatures.limits().steps);
        let was_unclear = flow.spoken == Spoken::Unclear;
        let mut verdict = self.chunk(flow, chunk, cx);
        if was_unclear && verdict == Verdict::PASS {
            verdict = self.settle_open(flow, chunk.packet, cx);
        }
        let verdict = self.conclude(flow, chunk.packet, verdict, cx);
        settle(flow, verdict)
    }

    fn message(
        &mut self,
        flow: &mut SignatureFlow,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        flow.hear(message.side, message.packet.flow().protocol());
        self.scratch.stay_with(message.packet, cx.now(), self.signatures.limits().steps);
        let was_unclear = flow.spoken == Spoken::Unclear;
        let mut verdict = self.transact(flow, message, cx);
        if was_unclear && verdict == Verdict::PASS {
            verdict = self.settle_open(flow, message.packet, cx);
        }
        let verdict = self.conclude(flow, message.packet, verdict, cx);
        settle(flow, verdict)
    }

    /// What flows hold stays counted.
    fn recover(&mut self, fresh: Self) {
        let Self { pool, .. } = mem::replace(self, fresh);
        self.pool = pool;
    }
}

/// A flow for which no rule can hold any more costs nothing.
fn settle(flow: &SignatureFlow, verdict: Verdict) -> Verdict {
    if verdict == Verdict::PASS && flow.is_done() { Verdict::PASS_FLOW } else { verdict }
}
