use core::mem;

use super::super::buffers::{
    Body, Buffers, Coding, Full, Instance, Kinds, Spoken, certificates, client_hello,
    head_of_request, head_of_response, query, server_hello, transform,
};
use super::super::matching::{Ready, Sight, View};
use super::super::{ApplicationProtocol, Buffer};
use super::SignatureInspector;
use super::flow::{Reading, SignatureFlow};
use super::judge::{Event, Place};
use crate::Side;
use crate::inspect::{Beginning, Context, Interest, Message, Packet, Verdict};
use crate::packet::Ports;
use crate::protocol::http::{Framing, Headers};
use crate::protocol::{self, Protocol};

impl SignatureInspector {
    /// Looks at a message, together with those before it that it belongs to.
    pub(super) fn transact(
        &mut self,
        flow: &mut SignatureFlow,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.recognise(flow, message);
        let wanted = self.signatures.set().messages.of(message.side).wanted;
        let mut buffers = mem::take(&mut self.scratch.buffers);
        buffers.clear();
        let head = &mut self.scratch.head;
        let step = match message.what {
            protocol::Message::HttpRequest(request) => {
                head_of_request(request, wanted, head, &mut buffers);
                let has_body = request.framing() != Framing::None;
                Step::Head { coding: coding(has_body, wanted, || request.headers()), has_body }
            }
            protocol::Message::HttpResponse(response) => {
                head_of_response(response, wanted, head, &mut buffers);
                let has_body = response.framing() != Framing::None;
                Step::Head { coding: coding(has_body, wanted, || response.headers()), has_body }
            }
            protocol::Message::HttpBody(body) => {
                Step::Body { offset: body.offset(), data: body.data(), is_last: body.is_last() }
            }
            protocol::Message::TlsClientHello(hello) => {
                client_hello(hello, wanted, &mut buffers);
                Step::First
            }
            protocol::Message::TlsServerHello(hello) => {
                server_hello(hello, wanted, &mut buffers);
                Step::First
            }
            protocol::Message::TlsCertificates(chain) => {
                certificates(chain, wanted, &mut buffers);
                Step::Next
            }
            protocol::Message::Dns(said) => {
                if !said.is_response() {
                    query(said, wanted, &mut buffers);
                }
                Step::Single
            }
            protocol::Message::TlsAlert(_) => Step::Nothing,
            protocol::Message::Opaque(opaque) => Step::End { is_whole_flow: opaque.is_whole_flow },
        };
        let verdict = self.step(flow, message, step, &mut buffers, cx);
        self.scratch.buffers = buffers;
        verdict
    }

    /// Notes what is spoken, and what is not wanted any more therefore.
    fn recognise(&self, flow: &mut SignatureFlow, message: &Message<'_>) {
        let protocol = match message.what {
            protocol::Message::Opaque(opaque) => {
                if opaque.is_whole_flow {
                    flow.lose(Interest::MESSAGES);
                }
                opaque.protocol
            }
            other => other.protocol(),
        };
        let (spoken, other) = match protocol {
            Protocol::Http => (ApplicationProtocol::Http, Interest::TLS | Interest::DNS),
            Protocol::Tls => (ApplicationProtocol::Tls, Interest::HTTP | Interest::DNS),
            Protocol::Dns => (ApplicationProtocol::Dns, Interest::HTTP | Interest::TLS),
            // What begins in the middle begins as no protocol does.
            _ if message.packet.beginning() != Beginning::Seen => return,
            _ => {
                let has_lines = self.signatures.set().has_lines;
                if flow.spoken == Spoken::Unclear && (!has_lines || flow.lines.is_none()) {
                    flow.spoken = Spoken::Other;
                }
                return;
            }
        };
        flow.spoken = Spoken::Is(spoken);
        flow.lines = None;
        flow.lose(other);
    }

    fn step(
        &mut self,
        flow: &mut SignatureFlow,
        message: &Message<'_>,
        step: Step<'_>,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let (packet, side) = (message.packet, message.side);
        match step {
            Step::Nothing => Verdict::PASS,
            Step::Single => self.say(flow, packet, side, buffers, cx),
            Step::Head { coding, has_body } => {
                flow.side(side).transaction.begin();
                let verdict = self.say(flow, packet, side, buffers, cx);
                if has_body && verdict == Verdict::PASS {
                    self.await_more(flow, side, buffers);
                    self.await_body(flow, side, coding);
                }
                verdict
            }
            Step::First => {
                flow.side(side).transaction.begin();
                let verdict = self.say(flow, packet, side, buffers, cx);
                self.await_more(flow, side, buffers);
                verdict
            }
            Step::Next => self.next(flow, message, buffers, cx),
            Step::Body { offset, data, is_last } => {
                let transaction = &mut flow.side(side).transaction;
                if transaction.readings.is_empty() {
                    return Verdict::PASS;
                }
                let is_gap = transaction.end_of_body != offset;
                let end = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
                transaction.end_of_body = if is_gap { u64::MAX } else { end };
                // Receivers may make more of it.
                let mut is_unread = !data.is_empty() && mem::take(&mut transaction.is_unreadable);
                for Reading { body, .. } in &mut transaction.readings {
                    if is_gap {
                        // What is missing may be anything.
                        body.end();
                    }
                    match body.add(data, is_last) {
                        Ok(()) => is_unread |= body.is_broken(),
                        Err(full) => self.lose_message(full, side),
                    }
                }
                if is_unread {
                    self.scratch.is_unanswered |= *self.signatures.set().refuses_in_bodies.of(side);
                }
                self.body(flow, packet, side, cx)
            }
            Step::End { is_whole_flow } => {
                let mut verdict = Verdict::PASS;
                for side in Side::ALL.into_iter().filter(|it| *it == side || is_whole_flow) {
                    let Some(sides) = &mut flow.sides else { break };
                    let readings = &mut sides.of_mut(side).transaction.readings;
                    if readings.is_empty() {
                        continue;
                    }
                    readings.iter_mut().for_each(|reading| reading.body.end());
                    if verdict == Verdict::PASS {
                        verdict = self.body(flow, packet, side, cx);
                    }
                }
                verdict
            }
        }
    }

    /// Asks about a message that others of the same transaction came before.
    fn next(
        &mut self,
        flow: &mut SignatureFlow,
        message: &Message<'_>,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let (packet, side) = (message.packet, message.side);
        let fresh = buffers.kinds();
        let kept = self.signatures.set().messages.of(side).kept;
        let transaction = &mut flow.side(side).transaction;
        buffers.add_all(&transaction.kept, kept);
        self.scratch.begin();
        let waiting = mem::take(&mut transaction.waiting);
        self.scratch.add_all(&waiting);
        let tuple = Event::tuple_of(packet, side);
        self.add_messages(flow, (side, tuple.ports), buffers, fresh);
        self.drop_held(flow, side);
        if self.scratch.is_idle() {
            return Verdict::PASS;
        }
        let event = Event {
            packet,
            side,
            tuple,
            payload: None,
            buffers: Some(buffers),
            body: None,
            place: Place::Message,
        };
        let verdict = self.judge(flow, &event, cx);
        self.note_outcomes(flow, side);
        verdict
    }

    /// Asks about a body that has grown, or is whole.
    fn body(
        &mut self,
        flow: &mut SignatureFlow,
        packet: &Packet<'_>,
        side: Side,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let mut readings = mem::take(&mut flow.side(side).transaction.readings);
        let mut verdict = Verdict::PASS;
        for reading in &mut readings {
            if verdict == Verdict::PASS {
                verdict = self.reading(flow, reading, (packet, side), cx);
            }
        }
        readings.retain(|reading| !reading.body.is_whole());
        let transaction = &mut flow.side(side).transaction;
        match readings.is_empty() {
            true => transaction.end(),
            false => transaction.readings = readings,
        }
        verdict
    }

    /// The same of one thing that it may be taken for.
    fn reading(
        &mut self,
        flow: &mut SignatureFlow,
        reading: &mut Reading,
        (packet, side): (&Packet<'_>, Side),
        cx: &mut Context<'_>,
    ) -> Verdict {
        let Reading { body, scanned, answered } = reading;
        let len = body.bytes().len();
        let grown = len.saturating_sub(*scanned);
        let is_put_off = !body.is_whole() && grown < ENOUGH && self.scratch.budget.is_half_spent();
        // Rules that only tell are asked about all of it together with what comes next. For those that refuse the packet at hand
        // may be the last one that can be refused.
        let seen = match is_put_off {
            true => (*answered).max(*scanned),
            false => mem::replace(scanned, len),
        };
        *answered = len;
        let transaction = &mut flow.side(side).transaction;
        let kept = mem::take(&mut transaction.kept);
        let instance = Instance { bytes: body.bytes(), is_whole: body.is_whole() };
        self.scratch.begin();
        self.scratch.add_all(&transaction.waiting);
        let signatures = &*self.signatures;
        let tuple = Event::tuple_of(packet, side);
        let messages = signatures.set().messages.of(side);
        for (buffer, transforms, slot) in &messages.slots {
            if !BODIES.contains(buffer) {
                continue;
            }
            if transforms.is_empty() {
                let sight = Sight { seen, ..Sight::of(instance.bytes, tuple.ports) };
                self.scratch.add_slot(slot, sight, signatures);
            } else if instance.is_whole {
                let bytes = transform(slot.reached(instance.bytes, transforms), transforms);
                self.scratch.add_slot(slot, Sight::of(&bytes, tuple.ports), signatures);
            }
        }
        if is_put_off {
            let rules = &signatures.set().rules;
            let decides = |rule: &u32| rules.get(*rule as usize).is_some_and(Ready::decides);
            self.scratch.candidates.retain(decides);
        }
        self.drop_held(flow, side);
        let mut verdict = Verdict::PASS;
        if !self.scratch.is_idle() {
            let tail = mem::take(&mut flow.side(side).tail);
            let next = flow.side(side).next;
            let base = next.saturating_sub(u64::try_from(tail.len()).unwrap_or(0));
            let event = Event {
                packet,
                side,
                tuple,
                payload: Some(View { bytes: &tail, base }),
                buffers: Some(&kept),
                body: Some(instance),
                place: Place::Message,
            };
            verdict = self.judge(flow, &event, cx);
            self.note_outcomes(flow, side);
            flow.side(side).tail = tail;
        }
        flow.side(side).transaction.kept = kept;
        verdict
    }

    /// Adds the rules for which the fresh buffers of a message are worth a closer look.
    pub(super) fn add_messages(
        &mut self,
        flow: &SignatureFlow,
        (side, ports): (Side, Option<Ports>),
        buffers: &Buffers,
        fresh: Kinds,
    ) {
        let signatures = &*self.signatures;
        let messages = signatures.set().messages.of(side);
        for (protocol, rule) in &messages.bare {
            if flow.spoken == Spoken::Is(*protocol) {
                self.scratch.add(*rule);
            }
        }
        for (buffer, transforms, slot) in &messages.slots {
            if !fresh.contains(*buffer) {
                continue;
            }
            for instance in buffers.of(*buffer) {
                let bytes = transform(slot.reached(instance.bytes, transforms), transforms);
                self.scratch.add_slot(slot, Sight::of(&bytes, ports), signatures);
            }
        }
    }

    /// Rules that have held in a transaction do not hold in it again.
    fn drop_held(&mut self, flow: &mut SignatureFlow, side: Side) {
        let held = &flow.side(side).transaction.held;
        if !held.is_empty() {
            self.scratch.candidates.retain(|rule| !held.contains(rule));
        }
    }

    /// Notes which rules have held, and which may hold later.
    fn note_outcomes(&mut self, flow: &mut SignatureFlow, side: Side) {
        let signatures = &*self.signatures;
        let transaction = &mut flow.side(side).transaction;
        for rule in &self.scratch.held {
            transaction.waiting.retain(|waiting| waiting != rule);
            transaction.held.push(*rule);
        }
        let failed = mem::take(&mut self.scratch.failed);
        for rule in &failed {
            let ready = signatures.set().rules.get(*rule as usize);
            if !ready.is_some_and(|ready| ready.is_lasting) {
                continue;
            }
            if let Some(lost) = transaction.wait(*rule) {
                self.scratch.lose(lost, signatures);
            }
        }
        self.scratch.failed = failed;
    }

    /// Keeps of a message what later ones of its transaction need.
    fn await_more(&mut self, flow: &mut SignatureFlow, side: Side, buffers: &Buffers) {
        let kept = self.signatures.set().messages.of(side).kept;
        self.note_outcomes(flow, side);
        if kept.intersects(buffers.kinds()) {
            let transaction = &mut flow.side(side).transaction;
            match transaction.share.set(buffers.len()) {
                Ok(()) => transaction.kept.add_all(buffers, kept),
                Err(full) => self.lose_message(full, side),
            }
        }
    }

    fn await_body(&mut self, flow: &mut SignatureFlow, side: Side, coding: Coding) {
        let wanted = self.signatures.set().messages.of(side).wanted;
        if !wanted.intersects(Kinds::of(BODIES)) {
            return;
        }
        let (plain, inflated, is_unreadable) = match (coding, side) {
            (Coding::Plain, _) => (true, None, false),
            (Coding::Known(compression), Side::Server) => (false, Some(compression), false),
            (Coding::Unknown(first), Side::Server) => (true, first, true),
            // Many servers inflate nothing, and a client could have much inflated for little.
            (Coding::Known(_) | Coding::Unknown(_), Side::Client) => (true, None, true),
        };
        let limits = self.signatures.limits();
        let most = match side {
            Side::Client => limits.request_body,
            Side::Server => limits.response_body,
        };
        flow.side(side).transaction.is_unreadable = is_unreadable;
        for compression in inflated.map(Some).into_iter().chain(plain.then_some(None)) {
            match Body::new(compression, most, flow.share()) {
                Ok(body) => flow.side(side).transaction.readings.push(Reading::of(body)),
                Err(full) => self.lose_message(full, side),
            }
        }
    }

    /// There was no room for more of a message.
    #[cold]
    fn lose_message(&mut self, full: Full, side: Side) {
        let refuses = *self.signatures.set().refuses_in_messages.of(side);
        self.lose(full, refuses);
    }
}

/// As many bytes more of a body are looked at for all rules, whatever was done for a packet before.
const ENOUGH: usize = 1_024;

/// What a message is to its transaction.
enum Step<'a> {
    Nothing,
    /// It is all there is.
    Single,
    /// The head of a message that may have a body.
    Head {
        coding: Coding,
        has_body: bool,
    },
    Body {
        offset: u64,
        data: &'a [u8],
        is_last: bool,
    },
    /// The first of several.
    First,
    /// One of the others.
    Next,
    /// Nothing more is understood, of one side or of both.
    End {
        is_whole_flow: bool,
    },
}

/// How a body is coded, if there is one and anybody wants to know.
fn coding<'a>(has_body: bool, wanted: Kinds, headers: impl FnOnce() -> Headers<'a>) -> Coding {
    match has_body && wanted.intersects(Kinds::of(BODIES)) {
        true => Coding::of(headers()),
        false => Coding::Plain,
    }
}

/// The buffers that grow. A side has one body only, whatever it is called.
const BODIES: [Buffer; 3] = [Buffer::HttpRequestBody, Buffer::HttpResponseBody, Buffer::FileData];
