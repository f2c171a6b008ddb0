use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;
use std::io;

use smallvec::SmallVec;

use super::worker::Worker;
use crate::Timestamp;
use crate::engine::{Datagram, Disposition};
use crate::gwlb::{EndpointId, Envelope, Profile};
use crate::inspect::{Inspector, Reason, Rewriter};
use crate::transport::Transport;

/// What a worker's turn has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// Datagrams received.
    pub received: usize,
    /// Datagrams taken over from other workers.
    pub taken_over: usize,
    /// Datagrams sent.
    pub sent: u64,
}

/// A received datagram, while it is judged.
#[derive(Debug)]
pub(super) struct Place {
    number: usize,
    time: Timestamp,
    /// If that could be read.
    origin: Option<Origin>,
    fate: Fate,
}

/// The endpoint that a datagram came through, and the bytes of the inner packet.
type Origin = (EndpointId, usize);

#[derive(Clone, Copy, Debug)]
enum Fate {
    Undecided,
    Gone,
    Forwarded { len: usize },
}

/// So many datagrams are given to the engine at a time.
const MOST: usize = 64;

type Datagrams<'a> = SmallVec<[Datagram<'a>; MOST]>;

/// Where flows are due, their end is waited for at least so long.
const SHORTEST: Duration = Duration::from_millis(1);

/// While bursts come one after the other, the engine is asked no more often than this when flows are due: to find that out
/// takes it longer than to judge a packet.
const LOOK: Duration = Duration::from_millis(10);

/// Between bursts an observer is told no more often than this that there is nothing to do.
const REST: Duration = Duration::from_millis(1);

impl<T: Transport, I: Inspector, R: Rewriter> Worker<T, I, R> {
    /// Receives a burst, judges it, and sends what is to be sent; then does what upkeep is due. Waits for the burst at most
    /// `wait` long, and not at all where the turn before left something to do.
    ///
    /// # Errors
    ///
    /// Those of [`Transport::receive`].
    pub fn turn(&mut self, wait: Duration) -> io::Result<Turn> {
        let received = self.receive(wait)?;
        let first = self.transport.frames(0..1).next().map(|frame| frame.time);
        let mut start = 0_usize;
        while start < received {
            let end = start.saturating_add(MOST).min(received);
            self.judge(start..end);
            start = end;
        }
        let taken_over = self.take_over();
        let sent = self.send();
        self.is_busy = taken_over > 0;
        self.is_full = self.transport.is_full();
        self.is_idle = received == 0 && taken_over == 0;
        self.now = (self.settings.clock)();
        for (time, count) in self.times.drain(..) {
            self.latency.record_times(self.now.saturating_since(time), count);
        }
        self.upkeep(first.filter(|_| received > 0));
        Ok(Turn { received, taken_over, sent })
    }

    fn receive(&mut self, wait: Duration) -> io::Result<usize> {
        if self.is_busy || wait.is_zero() {
            return self.transport.receive(Duration::ZERO);
        }
        if let Some(observer) = &mut self.observer {
            // Each burst may have been the last for a while.
            let is_due = self.now.saturating_since(self.rested) >= REST;
            if self.is_idle || (is_due && !self.is_full) {
                self.rested = self.now;
                observer.idle();
            }
        }
        let due = self.due.map(|due| due.saturating_since(self.now).max(SHORTEST));
        // Between bursts always the same, so that the transport need not be told another with each.
        let due = if self.is_idle { due } else { Some(LOOK) };
        let wait = due.map_or(wait, |due| due.min(wait));
        let Some(port) = &self.port else { return self.transport.receive(wait) };
        let wait = if port.lie_down() { wait } else { Duration::ZERO };
        let received = self.transport.receive(wait);
        port.get_up();
        received
    }

    /// Judges datagrams of the burst, at most [`MOST`], or hands them over to their owners.
    fn judge(&mut self, numbers: Range<usize>) {
        let Self { transport, engine, output, port, places, endpoints, alerts, .. } = self;
        // Where everything passes, it does not matter whose it is.
        let mut port = port.as_mut().filter(|_| !engine.is_bypassed());
        places.clear();
        let mut datagrams = Datagrams::new();
        for (number, frame) in numbers.clone().zip(transport.frames(numbers)) {
            let time = frame.time;
            let datagram = Datagram::with_room(time, frame.outer, frame.buffer, frame.len);
            let settings = engine.settings();
            let origin = origin(datagram.payload(), &settings.profile);
            let mut place = Place { number, time, origin, fate: Fate::Undecided };
            if let Some(port) = &mut port {
                if let Some(owner) = port.other_owner(datagram.payload(), time, settings) {
                    if port.hand_over(owner, &datagram) {
                        continue;
                    }
                    let outcome = engine.shed(&datagram);
                    place.fate = fate_of(outcome.disposition, &datagram);
                    places.push(place);
                    continue;
                }
            }
            places.push(place);
            datagrams.push(datagram);
        }
        engine.process(&mut datagrams, output);
        if let Some(observer) = &mut self.observer {
            observer.judged(&datagrams, output, engine.settings());
        }
        let mut judged = datagrams.iter().zip(output.outcomes());
        for place in places.iter_mut() {
            if matches!(place.fate, Fate::Undecided) {
                let Some((datagram, outcome)) = judged.next() else { break };
                place.fate = fate_of(outcome.disposition, datagram);
            }
            if let Some((endpoint, inner_len)) = place.origin {
                let is_forwarded = matches!(place.fate, Fate::Forwarded { .. });
                endpoints.count(endpoint, inner_len, is_forwarded);
            }
        }
        alerts.take(&datagrams, self.now, output);
        drop(datagrams);
        for place in places.iter() {
            if let Fate::Forwarded { len } = place.fate {
                transport.forward(place.number, len);
                note(&mut self.times, place.time);
            }
        }
        self.inject();
        if let Some(port) = &mut self.port {
            // A burst may be longer than a ring.
            port.wake_owners();
        }
    }

    /// Judges what other workers have handed over, a limited number of each.
    pub(super) fn take_over(&mut self) -> usize {
        let workers = self.port.as_ref().map_or(0, |port| port.workers());
        let mut taken_over = 0_usize;
        for sender in 0..workers {
            self.sender = sender;
            if let Some(port) = &mut self.port {
                port.take(sender, MOST, &mut self.parcels);
            }
            if !self.parcels.is_empty() {
                taken_over = taken_over.saturating_add(self.parcels.len());
                self.judge_parcels();
            }
            if let Some(port) = &mut self.port {
                port.give_back(sender, &mut self.parcels);
            }
        }
        if let Some(port) = &mut self.port {
            port.wake_owners();
        }
        taken_over
    }

    fn judge_parcels(&mut self) {
        let Self { transport, engine, output, parcels, endpoints, settings, alerts, .. } = self;
        let datagrams = parcels.iter_mut().map(|parcel| {
            Datagram::with_room(parcel.time, parcel.outer, &mut parcel.buffer, parcel.len)
        });
        let mut datagrams: Datagrams<'_> = datagrams.collect();
        let profile = &engine.settings().profile;
        let origins: SmallVec<[_; MOST]> =
            datagrams.iter().map(|datagram| origin(datagram.payload(), profile)).collect();
        engine.process(&mut datagrams, output);
        if let Some(observer) = &mut self.observer {
            observer.judged(&datagrams, output, engine.settings());
        }
        for ((datagram, outcome), origin) in datagrams.iter().zip(output.outcomes()).zip(origins) {
            let is_forwarded = outcome.disposition.is_forward();
            if let Some((endpoint, inner_len)) = origin {
                endpoints.count(endpoint, inner_len, is_forwarded);
            }
            if !is_forwarded {
                continue;
            }
            match datagram.reply(&settings.reply) {
                Ok(reply) => {
                    transport.inject(&reply);
                    note(&mut self.times, datagram.time());
                }
                Err(error) => engine.send_failed(Reason::new(error.reason()), 1),
            }
        }
        alerts.take(&datagrams, self.now, output);
        drop(datagrams);
        self.inject();
    }

    /// Has the packets of the engine's and the inspectors' own sent.
    fn inject(&mut self) {
        for injected in self.output.injected() {
            match injected.reply(&self.settings.reply) {
                Ok(reply) => self.transport.inject(&reply),
                Err(error) => self.engine.send_failed(Reason::new(error.reason()), 1),
            }
        }
    }

    pub(super) fn send(&mut self) -> u64 {
        let sent = self.transport.send();
        self.engine.sent(sent.sent);
        for (failure, packets) in sent.failed.iter() {
            if packets > 0 {
                self.engine.send_failed(Reason::new(failure.name()), packets);
            }
        }
        sent.sent
    }

    /// What is to be done from time to time.
    fn upkeep(&mut self, first: Option<Timestamp>) {
        let (now, is_full) = (self.now, self.is_full);
        let overflow = self.transport.counters().overflow;
        let Self { overload, transport, .. } = &mut *self;
        if overload.note(now, is_full, first, overflow, || transport.backlog()) {
            self.engine.set_overloaded(self.overload.is_on());
            if self.overload.is_on() {
                tracing::warn!("too much to do: known flows go on, new ones by policy");
            } else {
                tracing::info!("no longer too much to do");
            }
        }
        let is_stale = now < self.looked || now.saturating_since(self.looked) >= LOOK;
        if self.is_idle || is_stale {
            self.looked = now;
            self.due = self.engine.next_deadline();
        }
        if self.due.is_some_and(|due| due <= now) {
            self.is_busy |= self.engine.expire_some(now, &mut self.output);
            self.due = self.engine.next_deadline();
            self.tell(&[]);
        }
        self.top_flows.look(&self.engine, now);
        let is_due =
            |last: Timestamp| now < last || now.saturating_since(last) >= self.settings.canary;
        if self.canary.is_none_or(is_due) {
            self.canary = Some(now);
            if self.engine.canary(now, &mut self.output) {
                self.canaries = self.canaries.wrapping_add(1);
            }
            self.tell(&[]);
        }
    }
}

/// Notes one more that was received at this time: those of a burst all were.
#[inline]
fn note(times: &mut Vec<(Timestamp, u64)>, time: Timestamp) {
    match times.last_mut() {
        Some((last, count)) if *last == time => *count = count.wrapping_add(1),
        _ => times.push((time, 1)),
    }
}

/// Of the two layouts apart, so that no envelope has to be brought into memory for two numbers of it.
#[inline]
fn origin(payload: &[u8], profile: &Profile) -> Option<Origin> {
    let of = |envelope: Envelope<'_>| (envelope.endpoint(), envelope.inner().len());
    match Envelope::parse_usual(payload, profile) {
        Some(envelope) => Some(of(envelope)),
        None => Envelope::parse_general(payload, profile).ok().map(of),
    }
}

fn fate_of(disposition: Disposition, datagram: &Datagram<'_>) -> Fate {
    match disposition {
        Disposition::Forward | Disposition::ForwardEdited => {
            Fate::Forwarded { len: datagram.payload().len() }
        }
        Disposition::Drop | Disposition::Reject => Fate::Gone,
    }
}
