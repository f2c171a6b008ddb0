use alloc::vec::Vec;
use core::time::Duration;
use std::fs::File;
use std::io::{BufReader, Read, Sink, Write};
use std::path::Path;

use smallvec::SmallVec;

use super::burst::{Burst, Datagrams};
use super::report::raise;
use super::{Frame, FrameCounters, Frames, JudgedPacket, ReplayError, ReplayedFrame, Report};
use crate::Timestamp;
use crate::capture::{LinkType, Reader, Writer};
use crate::engine::{Counters, Disposition, Engine, Event, Outcome, Output};
use crate::flow::FlowCounters;
use crate::gwlb::{OuterError, Reply, ReplyError, ReplyPolicy};
use crate::inspect::{Inspector, Reason, Rewriter};
#[cfg(feature = "eve")]
use crate::observe::eve::{Eve, EventRecorder};
use crate::observe::evidence::{Evidence, EvidenceRecorder};

/// Runs the GENEVE packets of a capture through an [`Engine`], as if they came from the network.
///
/// Time is that of the capture. Packets whose outer headers no socket would accept are dropped for that, and
/// the engine does not see them. What a live appliance would send can be [written](Self::write_to). See the
/// [module](super) for an example.
#[derive(Debug)]
pub struct Replay<R, W: Write = Sink> {
    pub(super) frames: Frames<R>,
    replies: Option<Writer<W>>,
    pub(super) policy: ReplyPolicy,
    evidence: Option<Evidence>,
    #[cfg(feature = "eve")]
    records: Option<Eve>,
}

impl Replay<BufReader<File>> {
    /// Opens a pcap or pcapng file.
    ///
    /// # Errors
    ///
    /// [`ReplayError::Open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReplayError> {
        Ok(Self::new(Frames::open(path).map_err(ReplayError::Open)?))
    }
}

impl<R: Read> Replay<R> {
    /// Replays these frames; [`Frames`] says which of them are GENEVE.
    pub fn new(frames: Frames<R>) -> Self {
        Self {
            frames,
            replies: None,
            policy: ReplyPolicy::default(),
            evidence: None,
            #[cfg(feature = "eve")]
            records: None,
        }
    }

    /// Replays a capture from any source.
    pub fn of(reader: Reader<R>) -> Self {
        Self::new(Frames::new(reader))
    }

    /// The same replay, which writes what is to be sent as outer IP packets: what is forwarded, and behind it what the
    /// packet had injected, with its time stamp.
    pub fn write_to<W: Write>(self, replies: Writer<W>) -> Replay<R, W> {
        Replay {
            frames: self.frames,
            replies: Some(replies),
            policy: self.policy,
            evidence: self.evidence,
            #[cfg(feature = "eve")]
            records: self.records,
        }
    }
}

impl<R: Read, W: Write> Replay<R, W> {
    /// The same replay, with other outer headers for what is to be sent.
    #[must_use]
    pub fn with_policy(self, policy: ReplyPolicy) -> Self {
        Self { policy, ..self }
    }

    /// The same replay, which records alerts, drops, anomalies and, at the end, counters; records of this and of a
    /// [`Recorder`](crate::observe::eve::Recorder) among the inspectors have the number of their frame.
    #[cfg(feature = "eve")]
    #[must_use]
    pub fn record_to(self, eve: Eve) -> Self {
        Self { records: Some(eve), ..self }
    }

    /// The same replay, which keeps what is marked as evidence.
    #[must_use]
    pub fn keep_in(self, evidence: Evidence) -> Self {
        Self { evidence: Some(evidence), ..self }
    }

    /// Shows each packet and its outcome to `each`, in the capture's order. At the end the engine's flows are
    /// [drained](Engine::drain).
    ///
    /// # Errors
    ///
    /// [`ReplayError::Write`]. What cannot be read is no error, but told by the report.
    pub fn run<I: Inspector, X: Rewriter>(
        self,
        engine: &mut Engine<I, X>,
        mut each: impl FnMut(&JudgedPacket<'_>),
    ) -> Result<Report, ReplayError> {
        self.run_with_others(engine, &mut each, &mut |_| {})
    }

    /// The same, which shows to `others` what no packet brought about, but for example the end of a flow; what happens in the end comes
    /// after all packets.
    pub(super) fn run_with_others<I: Inspector, X: Rewriter>(
        self,
        engine: &mut Engine<I, X>,
        each: &mut impl FnMut(&JudgedPacket<'_>),
        others: &mut impl FnMut(&Event),
    ) -> Result<Report, ReplayError> {
        let each = |packet: &JudgedPacket<'_>| {
            each(packet);
            Ok(())
        };
        self.try_run_with_others(engine, each, others)
    }

    /// The same, until `each` fails.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run), and what `each` fails with.
    pub fn try_run<I: Inspector, X: Rewriter, E: From<ReplayError>>(
        self,
        engine: &mut Engine<I, X>,
        each: impl FnMut(&JudgedPacket<'_>) -> Result<(), E>,
    ) -> Result<Report, E> {
        self.try_run_with_others(engine, each, &mut |_| {})
    }

    fn try_run_with_others<I: Inspector, X: Rewriter, E: From<ReplayError>>(
        mut self,
        engine: &mut Engine<I, X>,
        mut each: impl FnMut(&JudgedPacket<'_>) -> Result<(), E>,
        others: &mut impl FnMut(&Event),
    ) -> Result<Report, E> {
        let mut run = Run::new(engine);
        // Who writes wants to know on whose account a packet was injected; verdicts do not depend on it.
        let most = if self.replies.is_some() { 1 } else { Burst::MOST };
        run.evidence = self.evidence.take().map(EvidenceRecorder::new);
        #[cfg(feature = "eve")]
        {
            run.records = self.records.take().map(|eve| (EventRecorder::new(eve.clone()), eve));
        }
        while run.fill(&mut self.frames, most) {
            run.judge(&self.policy, self.replies.as_mut(), &mut each)?;
            loose(&run.output).for_each(&mut *others);
        }
        if let Some(replies) = self.replies {
            replies.finish().map_err(ReplayError::Write)?;
        }
        Ok(run.finish(self.frames, others))
    }

    /// The same, but that `each` is shown every frame of the capture, as it was captured: other traffic and what could not
    /// be read, too.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run), and what `each` fails with.
    pub fn try_run_frames<I: Inspector, X: Rewriter, E: From<ReplayError>>(
        mut self,
        engine: &mut Engine<I, X>,
        mut each: impl FnMut(&ReplayedFrame<'_>) -> Result<(), E>,
    ) -> Result<Report, E> {
        let mut run = Run::new(engine);
        run.evidence = self.evidence.take().map(EvidenceRecorder::new);
        #[cfg(feature = "eve")]
        {
            run.records = self.records.take().map(|eve| (EventRecorder::new(eve.clone()), eve));
        }
        while let Some(frame) = self.frames.next_frame() {
            let Frame::Geneve { captured, ip } = frame else {
                each(&ReplayedFrame { frame, judged: None })?;
                continue;
            };
            run.burst.clear();
            run.push(captured.number, captured.timestamp, ip);
            run.judge(&self.policy, self.replies.as_mut(), &mut |judged: &JudgedPacket<'_>| {
                each(&ReplayedFrame { frame, judged: Some(judged) })
            })?;
        }
        if let Some(replies) = self.replies {
            replies.finish().map_err(ReplayError::Write)?;
        }
        Ok(run.finish(self.frames, &mut |_| {}))
    }
}

/// What no datagram brought about.
fn loose(output: &Output) -> impl Iterator<Item = &Event> {
    output.events().iter().filter(|event| event.datagram.is_none())
}

/// A replay under way.
pub(super) struct Run<'e, I: Inspector, X: Rewriter> {
    pub(super) engine: &'e mut Engine<I, X>,
    /// What its counters were.
    before: (Counters, FlowCounters),
    pub(super) burst: Burst,
    pub(super) output: Output,
    report: Report,
    start: Option<Timestamp>,
    last: Timestamp,
    reply: Vec<u8>,
    evidence: Option<EvidenceRecorder>,
    #[cfg(feature = "eve")]
    records: Option<(EventRecorder, Eve)>,
}

impl<'e, I: Inspector, X: Rewriter> Run<'e, I, X> {
    pub(super) fn new(engine: &'e mut Engine<I, X>) -> Self {
        Self {
            before: (engine.counters().clone(), *engine.flow_counters()),
            engine,
            burst: Burst::default(),
            output: Output::new(),
            report: Report::default(),
            start: None,
            last: Timestamp::EPOCH,
            reply: Vec::new(),
            evidence: None,
            #[cfg(feature = "eve")]
            records: None,
        }
    }

    /// Takes the next GENEVE packets into the burst; `false` where there are none.
    fn fill<R: Read>(&mut self, frames: &mut Frames<R>, most: usize) -> bool {
        self.burst.clear();
        while self.burst.len() < most {
            match frames.next_frame() {
                Some(Frame::Geneve { captured, ip }) => {
                    self.push(captured.number, captured.timestamp, ip);
                }
                Some(_) => {}
                None => break,
            }
        }
        self.burst.len() > 0
    }

    pub(super) fn push(&mut self, number: u64, time: Timestamp, ip: &[u8]) {
        self.start = self.start.or(Some(time));
        self.last = self.last.max(time);
        self.burst.push(number, time, ip, &self.engine.settings().profile);
    }

    /// Judges the burst, shows its packets, and sends what is to be sent.
    pub(super) fn judge<W: Write, E: From<ReplayError>>(
        &mut self,
        policy: &ReplyPolicy,
        mut replies: Option<&mut Writer<W>>,
        each: &mut impl FnMut(&JudgedPacket<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut datagrams = Datagrams::new();
        let packets = self.burst.split(&mut datagrams);
        #[cfg(feature = "eve")]
        if let Some((_, eve)) = &self.records {
            let received = packets.iter().filter(|packet| packet.outer.is_ok());
            eve.at_frames(received.map(|packet| packet.number));
        }
        self.engine.process(&mut datagrams, &mut self.output);
        #[cfg(feature = "eve")]
        if let Some((events, _)) = &mut self.records {
            events.judged(&datagrams, &self.output, self.engine.settings());
        }
        if let Some(evidence) = &mut self.evidence {
            evidence.judged(&datagrams, &self.output);
        }
        let mut failed = SmallVec::<[ReplyError; 1]>::new();
        let mut sent = 0_u64;
        let mut send = |time, reply: Result<Reply<'_>, ReplyError>| match reply {
            Err(error) => {
                failed.push(error);
                Ok(())
            }
            Ok(reply) => {
                raise(&mut sent, 1);
                match &mut replies {
                    Some(replies) => write(replies, &mut self.reply, time, &reply),
                    None => Ok(()),
                }
            }
        };
        let mut judged = datagrams.iter().zip(self.output.outcomes()).enumerate();
        let mut last = self.last;
        for packet in packets {
            let (place, datagram, outcome) = match packet.outer {
                Err(error) => (0, Err(error), refused(error)),
                Ok(_) => match judged.next() {
                    Some((place, (datagram, outcome))) => (place, Ok(datagram), *outcome),
                    None => break,
                },
            };
            self.report.count(packet, &outcome);
            last = packet.time;
            each(&JudgedPacket {
                number: packet.number,
                time: packet.time,
                since_start: self
                    .start
                    .map_or(Duration::ZERO, |start| last.saturating_since(start)),
                outcome,
                datagram,
                settings: self.engine.settings(),
                events: self.output.events(),
                place,
            })?;
            if let (Ok(datagram), true) = (datagram, outcome.disposition.is_forward()) {
                send(packet.time, datagram.reply(policy))?;
            }
        }
        for injected in self.output.injected() {
            raise(&mut self.report.injected, 1);
            send(last, injected.reply(policy))?;
        }
        self.engine.sent(sent);
        raise(&mut self.report.sent, sent);
        for error in failed {
            self.engine.send_failed(Reason::new(error.reason()), 1);
            raise(&mut self.report.send_failed, 1);
        }
        self.report.count_alerts(self.output.events());
        Ok(())
    }

    /// Ends all flows, which is told to `others`, and says what was counted.
    pub(super) fn finish<R: Read>(
        self,
        frames: Frames<R>,
        others: &mut impl FnMut(&Event),
    ) -> Report {
        let counters = *frames.counters();
        let report = self.finish_counted(counters, others);
        Report { problems: frames.into_problems(), ..report }
    }

    /// The same, of frames so many.
    pub(super) fn finish_counted(
        self,
        frames: FrameCounters,
        others: &mut impl FnMut(&Event),
    ) -> Report {
        let Self { engine, before, mut output, mut report, last, .. } = self;
        report.frames = frames;
        #[cfg(feature = "eve")]
        if let Some((_, eve)) = &self.records {
            eve.at_frames([]);
        }
        engine.drain(last, &mut output);
        loose(&output).for_each(others);
        report.count_alerts(output.events());
        report.add_counters(&before, engine.counters(), engine.flow_counters());
        #[cfg(feature = "eve")]
        if let Some((mut events, _)) = self.records {
            events.judged(&[], &output, engine.settings());
            let uptime = self.start.map_or(0, |start| last.saturating_since(start).as_secs());
            events.stats(
                last,
                uptime,
                &[
                    (
                        "decoder",
                        &[("pkts", report.received), ("invalid", report.frames.unreadable)],
                    ),
                    ("flow", &[("total", report.flows), ("refused", report.flows_refused)]),
                    ("detect", &[("alert", report.alerts)]),
                    (
                        "gwlb",
                        &[
                            ("received", report.received),
                            ("forwarded", report.forwarded),
                            ("dropped", report.dropped()),
                            ("rejected", report.rejected),
                            ("injected", report.injected),
                        ],
                    ),
                ],
            );
        }
        report
    }
}

/// The outcome of a packet whose outer headers no socket accepts.
pub(super) fn refused(error: OuterError) -> Outcome {
    Outcome {
        disposition: Disposition::Drop,
        reason: Reason::new(error.reason()),
        would: None,
        exception: None,
        capture: false,
    }
}

fn write<W: Write>(
    replies: &mut Writer<W>,
    buffer: &mut Vec<u8>,
    time: Timestamp,
    reply: &Reply<'_>,
) -> Result<(), ReplayError> {
    buffer.clear();
    for part in reply.parts() {
        buffer.extend_from_slice(part);
    }
    let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    replies.write_packet(time, LinkType::IPV4, len, buffer).map_err(ReplayError::Write)
}
