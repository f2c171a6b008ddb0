use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use super::super::buffers::{Buffers, Full, Spoken};
use super::super::matching::{Sight, View};
use super::SignatureInspector;
use super::flow::SignatureFlow;
use super::judge::{Event, Place};
use crate::Side;
use crate::inspect::{Beginning, Context, Interest, Packet, StreamChunk, Verdict};
use crate::packet::IpProtocol;

impl SignatureInspector {
    /// Looks at a piece of a stream, and at the bytes before it that are remembered.
    pub(super) fn chunk(
        &mut self,
        flow: &mut SignatureFlow,
        chunk: &StreamChunk<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let limits = *self.signatures.limits();
        let state = flow.side(chunk.side);
        let is_gap = chunk.offset != state.next;
        let len = u64::try_from(chunk.data.len()).unwrap_or(u64::MAX);
        state.next = chunk.offset.saturating_add(len);
        if is_gap {
            state.tail.clear();
            state.waiting.clear();
        }
        let verdict = self.lines(flow, chunk, is_gap, cx);
        if verdict != Verdict::PASS {
            return verdict;
        }
        let ports = chunk.packet.opener_tuple().ports;
        let state = flow.side(chunk.side);
        let slot = self.signatures.set().stream.of(chunk.side);
        let is_looked_at = slot.asks(chunk.offset, ports) || !state.waiting.is_empty();
        let verdict = match is_looked_at && !state.is_over {
            true => self.piece(flow, chunk, cx),
            false => Verdict::PASS,
        };
        let state = flow.side(chunk.side);
        let set = self.signatures.set();
        let slot = set.stream.of(chunk.side);
        let is_remembered =
            set.has_mixed || slot.asks(state.next, ports) || !state.waiting.is_empty();
        if !is_remembered {
            state.forget();
        } else if !state.is_over {
            if let Err(full) = self.remember(flow, chunk) {
                let refuses = *self.signatures.set().refuses_in_streams.of(chunk.side);
                self.lose(full, refuses);
            }
        }
        let state = flow.side(chunk.side);
        if state.next >= limits.stream_depth && !state.is_over {
            state.is_over = true;
            state.forget();
        }
        self.end_streams(flow);
        verdict
    }

    /// Whether rules need the bytes before those that come.
    fn remembers(&self, side: Side) -> bool {
        let set = self.signatures.set();
        !set.stream.of(side).is_empty() || set.has_mixed
    }

    fn piece(
        &mut self,
        flow: &mut SignatureFlow,
        chunk: &StreamChunk<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.scratch.begin();
        let slot = self.signatures.set().stream.of(chunk.side);
        let tuple = Event::tuple_of(chunk.packet, chunk.side);
        let state = flow.side(chunk.side);
        let mut window = mem::take(&mut self.scratch.window);
        let overlap = slot.overlap().min(state.tail.len());
        let view = together(&state.tail, overlap, chunk, &mut window);
        let sight = Sight { view, seen: overlap, ports: tuple.ports };
        self.scratch.add_slot(slot, sight, &self.signatures);
        let scanned = view.base;
        // A pattern that is still within reach may be the beginning of more.
        let all = state.tail.len();
        let base = chunk.offset.saturating_sub(u64::try_from(all).unwrap_or(0));
        state.waiting.retain(|(_, end)| *end > base);
        for (rule, _) in &state.waiting {
            self.scratch.add(*rule);
        }
        let mut verdict = Verdict::PASS;
        if !self.scratch.is_idle() {
            let event = Event {
                packet: chunk.packet,
                side: chunk.side,
                tuple,
                payload: Some(together(&state.tail, all, chunk, &mut window)),
                buffers: None,
                body: None,
                place: Place::Stream,
            };
            verdict = self.judge(flow, &event, cx);
            let state = flow.side(chunk.side);
            let failed = mem::take(&mut self.scratch.failed);
            for rule in &failed {
                let Some(end) = self.scratch.end_of(*rule) else { continue };
                let end = scanned.saturating_add(u64::try_from(end).unwrap_or(0));
                if let Some(lost) = state.wait(*rule, end) {
                    self.scratch.lose(lost, &self.signatures);
                }
            }
            self.scratch.failed = failed;
            for rule in &self.scratch.held {
                state.use_up(*rule, state.next);
            }
        }
        self.scratch.window = window;
        verdict
    }

    /// Keeps the last bytes for those that follow.
    fn remember(&self, flow: &mut SignatureFlow, chunk: &StreamChunk<'_>) -> Result<(), Full> {
        let most = self.signatures.limits().stream_window;
        let state = flow.side(chunk.side);
        let wanted = state.tail.len().saturating_add(chunk.data.len()).min(most);
        if let Err(full) = state.share.set(wanted.max(state.tail.capacity())) {
            state.forget();
            return Err(full);
        }
        match chunk.data.len().checked_sub(most) {
            Some(skipped) => {
                state.tail.clear();
                state.tail.extend_from_slice(chunk.data.get(skipped..).unwrap_or(&[]));
            }
            None => {
                let excess = state.tail.len().saturating_add(chunk.data.len()).saturating_sub(most);
                state.tail.drain(..excess.min(state.tail.len()));
                if state.tail.capacity() < wanted {
                    state.tail.reserve_exact(wanted.saturating_sub(state.tail.len()));
                }
                state.tail.extend_from_slice(chunk.data);
            }
        }
        Ok(())
    }

    /// Where no byte of a stream can matter any more none is wanted.
    fn end_streams(&self, flow: &mut SignatureFlow) {
        let set = self.signatures.set();
        let needs_lines = flow
            .lines
            .as_ref()
            .is_some_and(|lines| Side::ALL.into_iter().any(|side| lines.wants(side)));
        let is_over = |side: Side| {
            !self.remembers(side) || flow.sides.as_ref().is_some_and(|sides| sides.of(side).is_over)
        };
        let is_unclear = set.has_lines && flow.lines.is_none() && flow.spoken == Spoken::Unclear;
        if !needs_lines && !is_unclear && Side::ALL.into_iter().all(is_over) {
            flow.lose(Interest::STREAM | Interest::GAPS);
        }
    }

    /// Finds out whether SSH, SMTP or FTP is spoken, and asks the rules about their lines.
    fn lines(
        &mut self,
        flow: &mut SignatureFlow,
        chunk: &StreamChunk<'_>,
        is_gap: bool,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let is_wanted = self.signatures.set().has_lines
            && flow.spoken != Spoken::Other
            && chunk.packet.flow().protocol() == IpProtocol::TCP;
        if !is_wanted {
            return Verdict::PASS;
        }
        let mut lines = match flow.lines.take() {
            Some(lines) => lines,
            None if flow.spoken == Spoken::Unclear && chunk.offset == 0 => Box::default(),
            None => return Verdict::PASS,
        };
        if is_gap {
            lines.lose();
        }
        let port = chunk.packet.opener_tuple().ports.map(|ports| ports.destination);
        let mut said: Vec<(Side, Buffers)> = Vec::new();
        lines.feed(
            chunk.side,
            chunk.data,
            port,
            &mut self.scratch.buffers,
            &mut |side, buffers| {
                said.push((side, buffers.clone()));
            },
        );
        match lines.spoken() {
            Spoken::Unclear => {}
            Spoken::Other if chunk.packet.beginning() != Beginning::Seen => {}
            spoken => {
                // What a session takes it for counts more.
                if flow.spoken == Spoken::Unclear {
                    flow.spoken = spoken;
                }
            }
        }
        let is_over = !Side::ALL.into_iter().any(|side| lines.wants(side));
        flow.lines = (!is_over).then_some(lines);
        let mut verdict = Verdict::PASS;
        for (side, buffers) in &said {
            if verdict == Verdict::PASS {
                verdict = self.say(flow, chunk.packet, *side, buffers, cx);
            }
        }
        verdict
    }

    /// Asks the rules about a message that is whole and that no other belongs to.
    pub(super) fn say(
        &mut self,
        flow: &mut SignatureFlow,
        packet: &Packet<'_>,
        side: Side,
        buffers: &Buffers,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.scratch.begin();
        let tuple = Event::tuple_of(packet, side);
        self.add_messages(flow, (side, tuple.ports), buffers, buffers.kinds());
        if self.scratch.is_idle() {
            return Verdict::PASS;
        }
        let tail = flow.sides.as_mut().map(|sides| mem::take(&mut sides.of_mut(side).tail));
        let next = flow.sides.as_ref().map_or(0, |sides| sides.of(side).next);
        let event = Event {
            packet,
            side,
            tuple,
            payload: Some(match &tail {
                Some(tail) => View {
                    bytes: tail,
                    base: next.saturating_sub(u64::try_from(tail.len()).unwrap_or(0)),
                },
                None => View { bytes: packet.payload(), base: 0 },
            }),
            buffers: Some(buffers),
            body: None,
            place: Place::Message,
        };
        let verdict = self.judge(flow, &event, cx);
        if let (Some(sides), Some(tail)) = (&mut flow.sides, tail) {
            sides.of_mut(side).tail = tail;
        }
        verdict
    }
}

/// A piece of a stream and the last `before` bytes of those before it.
fn together<'a>(
    tail: &[u8],
    before: usize,
    chunk: &StreamChunk<'a>,
    window: &'a mut Vec<u8>,
) -> View<'a> {
    let skipped = tail.len().saturating_sub(before);
    let last = tail.get(skipped..).unwrap_or(tail);
    let base = chunk.offset.saturating_sub(u64::try_from(last.len()).unwrap_or(0));
    if last.is_empty() {
        return View { bytes: chunk.data, base };
    }
    window.clear();
    window.extend_from_slice(last);
    window.extend_from_slice(chunk.data);
    View { bytes: window, base }
}
