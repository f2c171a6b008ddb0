use core::fmt;
use core::time::Duration;

use crate::Timestamp;
use crate::engine::{Datagram, Event, Outcome};
use crate::gwlb::{Envelope, OuterError, Profile};
use crate::packet::FiveTuple;

/// A packet of a capture, and what became of it.
///
/// Its [`Display`](fmt::Display) is a line for a person: frame number, seconds since the first GENEVE packet, endpoint,
/// the inner 5-tuple, outcome.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct JudgedPacket<'a> {
    /// The frame's number in the capture, from 1, as in Wireshark's `frame.number`.
    pub number: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// The time since the first GENEVE packet of the capture.
    pub since_start: Duration,
    /// What became of it.
    pub outcome: Outcome,
    /// The datagram, as edited if it was edited; or why the outer headers make none, so that no engine saw it.
    pub datagram: Result<&'a Datagram<'a>, OuterError>,
    pub(super) profile: &'a Profile,
    pub(super) events: &'a [Event],
    /// Its place in the burst.
    pub(super) place: usize,
}

impl<'a> JudgedPacket<'a> {
    /// What the load balancer says of it, `None` where that cannot be read.
    pub fn envelope(&self) -> Option<Envelope<'a>> {
        Envelope::parse(self.datagram.ok()?.payload(), self.profile).ok()
    }

    /// The ends of the inner packet, by its own headers, `None` where they cannot be read.
    pub fn five_tuple(&self) -> Option<FiveTuple> {
        FiveTuple::parse(self.envelope()?.inner()).ok()
    }

    /// What happened on its account: alerts, exceptions that people should know of.
    pub fn events(&self) -> impl Iterator<Item = &'a Event> + use<'a> {
        let place = self.datagram.is_ok().then_some(self.place);
        self.events.iter().filter(move |event| event.datagram.is_some() && event.datagram == place)
    }
}

impl fmt::Display for JudgedPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}  {:>10.6}", self.number, self.since_start.as_secs_f64())?;
        if let Some(envelope) = self.envelope() {
            write!(f, "  {}", envelope.endpoint())?;
        }
        if let Some(tuple) = self.five_tuple() {
            write!(f, "  {tuple}")?;
        }
        write!(f, "  {}", self.outcome)?;
        match self.outcome.exception {
            Some(exception) => write!(f, " ({exception})"),
            None => Ok(()),
        }
    }
}
