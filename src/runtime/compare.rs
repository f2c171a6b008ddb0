use alloc::vec::Vec;
use std::io::{Read, Sink};

use super::replay::Run;
use super::{Frame, FrameCounters, FrameError, JudgedPacket, Replay, ReplayError, Report};
use crate::capture::Writer;
use crate::engine::{Engine, EventKind};
use crate::inspect::{Alert, Inspector, Rewriter};

/// A packet of a capture, and what becomes of it by two engines: what is in force, and what may come in its place.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ComparedPacket<'a> {
    /// By the first engine.
    pub before: &'a JudgedPacket<'a>,
    /// By the second one.
    pub after: &'a JudgedPacket<'a>,
}

impl ComparedPacket<'_> {
    /// Whether it is judged otherwise: what is done with it, what would have been done, and why.
    pub fn is_judged_otherwise(&self) -> bool {
        let [before, after] = [self.before, self.after].map(|packet| {
            let outcome = packet.outcome;
            (outcome.disposition, outcome.reason, outcome.would, outcome.exception)
        });
        before != after
    }

    /// Whether people are told otherwise of it.
    pub fn is_told_otherwise(&self) -> bool {
        !alerts(self.before).eq(alerts(self.after))
    }

    /// Whether nothing is otherwise.
    pub fn is_same(&self) -> bool {
        !self.is_judged_otherwise() && !self.is_told_otherwise()
    }
}

fn alerts<'a>(packet: &JudgedPacket<'a>) -> impl Iterator<Item = &'a Alert> + use<'a> {
    packet.events().filter_map(|event| match &event.what {
        EventKind::Alert(alert) => Some(alert),
        _ => None,
    })
}

/// What was counted when a capture was judged by two engines.
#[derive(Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// By the first engine.
    pub before: Report,
    /// By the second one.
    pub after: Report,
    /// What was wrong with the first frames that could not be read. The reports do not have it.
    pub problems: Vec<FrameError>,
}

impl<R: Read> Replay<R> {
    /// Has each packet judged by two engines, and shows it to `each` with both outcomes, in the capture's order: what would
    /// another configuration do? Nothing is recorded.
    ///
    /// ```
    /// use gwlb_geneve::engine::{Engine, Settings};
    /// use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
    /// use gwlb_geneve::runtime::{Replay, ReplayError};
    ///
    /// let nothing = || packet_fn("nothing", |_, _| Verdict::drop(Reason::new("nothing")));
    /// let mut engines = (
    ///     Engine::new(Settings::default(), || ())?,
    ///     Engine::new(Settings::default(), nothing)?,
    /// );
    /// let mut differences = 0;
    /// let capture = Replay::open("tests/captures/ipv4-tcp.pcapng")?;
    /// capture.try_compare(&mut engines.0, &mut engines.1, |packet| {
    ///     differences += u64::from(packet.is_judged_otherwise());
    ///     Ok::<(), ReplayError>(())
    /// })?;
    /// assert_eq!(differences, 14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What `each` fails with. What cannot be read is no error, but told.
    pub fn try_compare<I: Inspector, J: Inspector, X: Rewriter, Y: Rewriter, E>(
        mut self,
        before: &mut Engine<I, X>,
        after: &mut Engine<J, Y>,
        mut each: impl FnMut(&ComparedPacket<'_>) -> Result<(), E>,
    ) -> Result<Comparison, E>
    where
        E: From<ReplayError>,
    {
        let (mut first, mut second) = (Run::new(before), Run::new(after));
        while let Some(frame) = self.frames.next_frame() {
            let Frame::Geneve { captured, ip } = frame else { continue };
            first.burst.clear();
            first.push(captured.number, captured.timestamp, ip);
            second.burst.clear();
            second.push(captured.number, captured.timestamp, ip);
            first.judge(
                &self.policy,
                None::<&mut Writer<Sink>>,
                &mut |before: &JudgedPacket<'_>| {
                    second.judge(
                        &self.policy,
                        None::<&mut Writer<Sink>>,
                        &mut |after: &JudgedPacket<'_>| each(&ComparedPacket { before, after }),
                    )
                },
            )?;
        }
        let frames: FrameCounters = *self.frames.counters();
        Ok(Comparison {
            before: first.finish_counted(frames, &mut |_| {}),
            after: second.finish_counted(frames, &mut |_| {}),
            problems: self.frames.into_problems(),
        })
    }
}
