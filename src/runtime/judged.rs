use core::fmt;
use core::time::Duration;

use super::Frame;
use crate::Timestamp;
use crate::engine::{Datagram, Event, Outcome, Settings};
use crate::flow::{PacketFlow, Relation};
use crate::gwlb::{Envelope, OuterError};
use crate::inspect::ParsedPacket;

/// A packet of a capture, and what became of it.
///
/// Its [`Display`](fmt::Display) is a line for a person: frame number, seconds since the first GENEVE packet, endpoint,
/// the ends of its flow as it goes, outcome.
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
    pub(super) settings: &'a Settings,
    pub(super) events: &'a [Event],
    /// Its place in the burst.
    pub(super) place: usize,
}

/// A frame of a capture, and what became of the packet in it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReplayedFrame<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The packet in it, where it is GENEVE.
    pub judged: Option<&'a JudgedPacket<'a>>,
}

impl<'a> JudgedPacket<'a> {
    /// What the load balancer says of it, `None` where that cannot be read.
    pub fn envelope(&self) -> Option<Envelope<'a>> {
        Envelope::parse(self.datagram.ok()?.payload(), &self.settings.profile).ok()
    }

    /// The flow that it belongs to, by the packet alone (of the innermost packet, where there are tunnels inside); a
    /// fragment after the first has no ports here. `None` where it does not parse.
    pub fn flow(&self) -> Option<PacketFlow> {
        let parsed = ParsedPacket::of(self.envelope()?, &self.settings.groups).ok()?;
        Some(*parsed.flow())
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
        if let Some(PacketFlow { key, direction, relation, .. }) = self.flow() {
            write!(f, "  {}", key.five_tuple(direction))?;
            if relation == Relation::IcmpError {
                write!(f, " (ICMP error about it)")?;
            }
        }
        write!(f, "  {}", self.outcome)?;
        match self.outcome.exception {
            Some(exception) => write!(f, " ({exception})"),
            None => Ok(()),
        }
    }
}
