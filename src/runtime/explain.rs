use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::io::{Read, Write};

use super::burst::{Burst, Datagrams};
use super::replay::{Run, refused};
use super::{FlowNumbers, Frame, JudgedPacket, Replay, ReplayError};
use crate::Timestamp;
use crate::capture::Writer;
use crate::engine::{Engine, Event, EventKind, Explanation, Outcome, Standing};
use crate::flow::{FlowKey, PacketFlow, Relation};
use crate::gwlb::OuterError;
use crate::inspect::{Inspector, Rewriter};

/// A packet of a capture, and why it is treated as it is. Its [`Display`](fmt::Display) is for a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExplainedPacket {
    /// The frame's number in the capture, from 1, as in Wireshark's `frame.number`.
    pub number: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// What the engine says; or why the outer headers make no datagram, so that it was not asked.
    pub explanation: Result<Explanation, OuterError>,
    /// What happened on the packet's account: alerts, exceptions that people should know of.
    pub events: Vec<Event>,
    /// Where its flow was refused before it came: by which frame, which can be explained in its turn. `None` also where there are
    /// [too many](FlowNumbers::MOST) such flows to know.
    pub refused_by: Option<u64>,
}

impl ExplainedPacket {
    /// What becomes of the packet.
    pub fn outcome(&self) -> Outcome {
        match &self.explanation {
            Ok(explanation) => explanation.outcome,
            Err(error) => refused(*error),
        }
    }
}

impl<R: Read, W: Write> Replay<R, W> {
    /// Runs the packets before frame `number` through an engine, and explains that one. Nothing is written, and what
    /// comes behind it is not read.
    ///
    /// ```
    /// use gwlb_geneve::engine::{Engine, Settings};
    /// use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
    /// use gwlb_geneve::runtime::Replay;
    ///
    /// let mut engine = Engine::new(Settings::default(), || {
    ///     packet_fn("nothing", |_, _| Verdict::reject(Reason::new("nothing-passes")))
    /// })?;
    /// let explained = Replay::open("tests/captures/ipv4-tcp.pcapng")?.explain(&mut engine, 2)?;
    /// assert!(explained.to_string().contains("refused before: nothing-passes"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReplayError`], where there is no such packet, or none that an engine judges.
    pub fn explain<I: Inspector, X: Rewriter>(
        mut self,
        engine: &mut Engine<I, X>,
        number: u64,
    ) -> Result<ExplainedPacket, ReplayError> {
        let mut run = Run::new(engine);
        let mut refusals = Refusals::default();
        let mut see = |packet: &JudgedPacket<'_>| {
            refusals.see(packet);
            Ok::<(), ReplayError>(())
        };
        let mut last = 0;
        while let Some(frame) = self.frames.next_frame() {
            match frame {
                Frame::Geneve { captured, .. } | Frame::Other { captured }
                    if captured.number > number && number > 0 =>
                {
                    break;
                }
                Frame::Geneve { captured, ip } => {
                    last = captured.number;
                    if last == number {
                        let (time, ip) = (captured.timestamp, Vec::from(ip));
                        run.judge(&self.policy, None::<&mut Writer<W>>, &mut see)?;
                        let mut explained = run.explain(number, time, &ip);
                        explained.refused_by = refusals.refused_by(&explained);
                        return Ok(explained);
                    }
                    run.push(last, captured.timestamp, ip);
                    if run.burst.len() >= Burst::MOST {
                        run.judge(&self.policy, None::<&mut Writer<W>>, &mut see)?;
                        run.burst.clear();
                    }
                }
                Frame::Other { captured } if captured.number == number => {
                    return Err(ReplayError::NotGeneve { number });
                }
                Frame::Other { captured } => last = captured.number,
                Frame::Unreadable { .. } => {}
            }
        }
        let counters = *self.frames.counters();
        let all = counters.all();
        if number > last && number <= all && counters.unreadable > 0 {
            let error = self.frames.into_problems().pop();
            return Err(ReplayError::Unreadable { number, error });
        }
        Err(ReplayError::NoSuchPacket { number, last: all })
    }
}

impl<I: Inspector, X: Rewriter> Run<'_, I, X> {
    fn explain(mut self, number: u64, time: Timestamp, ip: &[u8]) -> ExplainedPacket {
        self.burst.clear();
        self.push(number, time, ip);
        let mut datagrams = Datagrams::new();
        let packets = self.burst.split(&mut datagrams);
        let outer = packets.first().map(|packet| packet.outer);
        match (datagrams.first_mut(), outer) {
            (Some(datagram), _) => {
                let explanation = self.engine.explain(datagram, &mut self.output);
                let events = self.output.events().iter();
                let events = events.filter(|event| event.datagram.is_some()).cloned().collect();
                ExplainedPacket {
                    number,
                    time,
                    explanation: Ok(explanation),
                    events,
                    refused_by: None,
                }
            }
            (None, outer) => {
                let error = outer.and_then(Result::err).unwrap_or(OuterError::NotIpv4);
                ExplainedPacket {
                    number,
                    time,
                    explanation: Err(error),
                    events: Vec::new(),
                    refused_by: None,
                }
            }
        }
    }
}

/// How exactly it is known when a flow began, see [`PacketTurn`](crate::engine::PacketTurn).
const ROUNDING: Duration = Duration::from_millis(2);

/// Which packets refused flows that are dead now.
#[derive(Default)]
struct Refusals(HashMap<FlowKey, (u64, Timestamp)>);

impl Refusals {
    fn see(&mut self, packet: &JudgedPacket<'_>) {
        let Some(PacketFlow { key, relation: Relation::Own, .. }) = packet.flow() else { return };
        if packet.outcome.disposition.is_forward() && packet.outcome.would.is_none() {
            // It was only the packet, or there is a new flow.
            self.0.remove(&key);
        } else if self.0.len() < FlowNumbers::MOST {
            self.0.entry(key).or_insert((packet.number, packet.time));
        }
    }

    fn refused_by(&self, explained: &ExplainedPacket) -> Option<u64> {
        let explanation = explained.explanation.as_ref().ok()?;
        let Standing::Refused(_) = explanation.standing else { return None };
        let (key, ..) = explanation.flow?;
        let (number, time) = *self.0.get(&key)?;
        // Ports that are used again by a flow that was refused at once: it was not this packet that refused it.
        let began = explanation.turn.map_or(Timestamp::EPOCH, |turn| turn.first_seen);
        (time.saturating_add(ROUNDING) >= began).then_some(number)
    }
}

impl fmt::Display for ExplainedPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "packet     {}", self.number)?;
        for event in &self.events {
            if let EventKind::Alert(alert) = &event.what {
                writeln!(f, "alert      {}: {}", alert.name, alert.message)?;
            }
        }
        if let Some(number) = self.refused_by {
            writeln!(f, "refused    by packet {number}, and its flow with it")?;
        }
        match &self.explanation {
            Ok(explanation) => explanation.fmt(f),
            Err(error) => write!(f, "outside    {error}\noutcome    {}", self.outcome()),
        }
    }
}
