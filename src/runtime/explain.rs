use alloc::vec::Vec;
use core::fmt;
use std::io::{Read, Write};

use super::burst::{Burst, Datagrams};
use super::replay::{Run, refused};
use super::{Frame, JudgedPacket, Replay, ReplayError};
use crate::Timestamp;
use crate::capture::Writer;
use crate::engine::{Engine, Event, EventKind, Explanation, Outcome};
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
        let mut unseen = |_: &JudgedPacket<'_>| Ok::<(), ReplayError>(());
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
                        run.judge(&self.policy, None::<&mut Writer<W>>, &mut unseen)?;
                        return Ok(run.explain(number, time, &ip));
                    }
                    run.push(last, captured.timestamp, ip);
                    if run.burst.len() >= Burst::MOST {
                        run.judge(&self.policy, None::<&mut Writer<W>>, &mut unseen)?;
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
                ExplainedPacket { number, time, explanation: Ok(explanation), events }
            }
            (None, outer) => {
                let error = outer.and_then(Result::err).unwrap_or(OuterError::NotIpv4);
                ExplainedPacket { number, time, explanation: Err(error), events: Vec::new() }
            }
        }
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
        match &self.explanation {
            Ok(explanation) => explanation.fmt(f),
            Err(error) => write!(f, "outside    {error}\noutcome    {}", self.outcome()),
        }
    }
}
