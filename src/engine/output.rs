use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::refuse::Way;
use crate::flow::FlowKey;
use crate::gwlb::{EndpointId, Outer, Reply, ReplyError, ReplyPolicy, UdpChecksum};
use crate::inspect::{Action, Alert, Exception, Reason, Treatment};

/// What came of a burst. Used again and again, it needs no new memory.
#[derive(Debug, Default)]
pub struct Output {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) events: Vec<Event>,
    injected: Vec<Place>,
    bytes: Vec<u8>,
}

impl Output {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What becomes of each datagram of the burst, in its order.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// What is to be sent in addition: answers to what was refused, packets of inspectors.
    pub fn injected(&self) -> impl ExactSizeIterator<Item = Injected<'_>> {
        self.injected.iter().map(|place| Injected {
            outer: &place.outer,
            geneve: self.bytes.get(place.geneve.clone()).unwrap_or_default(),
            packet: self.bytes.get(place.packet.clone()).unwrap_or_default(),
        })
    }

    /// What happened that people may want to know.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Moves the events out, for who keeps them; the outcomes that they refer to beside them.
    #[cfg(feature = "live")]
    pub(crate) fn take_events(&mut self) -> (&[Outcome], alloc::vec::Drain<'_, Event>) {
        (&self.outcomes, self.events.drain(..))
    }

    pub(super) fn clear(&mut self) {
        self.outcomes.clear();
        self.events.clear();
        self.injected.clear();
        self.bytes.clear();
    }

    /// Adds a packet of at most `most` bytes, which `write` writes and gives the length of; `None` leaves it.
    pub(super) fn inject(
        &mut self,
        way: &Way<'_>,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(way.header());
        let packet = self.bytes.len();
        self.bytes.resize(packet.saturating_add(most), 0);
        let written = self.bytes.get_mut(packet..).and_then(write);
        let end = packet.saturating_add(written.unwrap_or_default());
        match written {
            Some(_) => {
                self.bytes.truncate(end);
                let (geneve, packet) = (start..packet, packet..end);
                self.injected.push(Place { outer: *way.outer(), geneve, packet });
            }
            None => self.bytes.truncate(start),
        }
        written.is_some()
    }
}

#[derive(Debug)]
struct Place {
    outer: Outer,
    geneve: Range<usize>,
    packet: Range<usize>,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What is to be done with it.
    pub disposition: Disposition,
    /// Why it is not to be forwarded, or [would](Self::would) not have been; [`Reason::NONE`] otherwise.
    pub reason: Reason,
    /// What would have been done, had the engine not been told to [monitor](super::Settings::monitor) only: drop or
    /// reject.
    pub would: Option<Action>,
    /// The exception that it was, if any.
    pub exception: Option<Exception>,
    /// Whether the flow is kept as evidence: an inspector asked for it, or an [alert](super::Settings::capture_alerts) did.
    pub capture: bool,
}

impl Outcome {
    pub(super) const FORWARD: Self = Self {
        disposition: Disposition::Forward,
        reason: Reason::NONE,
        would: None,
        exception: None,
        capture: false,
    };

    pub(super) const fn refused(disposition: Disposition, reason: Reason) -> Self {
        Self { disposition, reason, ..Self::FORWARD }
    }
}

impl fmt::Display for Outcome {
    /// `forward`, `drop: telnet`, `forward, would reject: telnet`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.disposition.name())?;
        match self.would {
            Some(action) => write!(f, ", would {action}: {}", self.reason),
            None if self.disposition.is_forward() => Ok(()),
            None => write!(f, ": {}", self.reason),
        }
    }
}

/// What is to be done with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Send it back as it came: not a byte of its payload was changed.
    Forward,
    /// Send it back as it is now: it was changed, by a rewriter or for its maximum segment size, and lengths and checksums
    /// are right.
    ForwardEdited,
    /// Forget it.
    Drop,
    /// Forget it. Those who are to be told are told by what is [injected](Output::injected).
    Reject,
}

impl Disposition {
    /// The stable name, for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::ForwardEdited => "forward-edited",
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }

    /// Whether the datagram is to be sent.
    #[inline]
    pub const fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardEdited)
    }
}

/// A packet of the engine's or an inspector's own, in the envelope that takes it to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected<'a> {
    outer: &'a Outer,
    geneve: &'a [u8],
    packet: &'a [u8],
}

impl<'a> Injected<'a> {
    /// The outer header of the received datagram whose envelope it goes back in.
    pub const fn outer(&self) -> &'a Outer {
        self.outer
    }

    /// The GENEVE header with its options.
    pub const fn geneve(&self) -> &'a [u8] {
        self.geneve
    }

    /// The IP packet.
    pub const fn packet(&self) -> &'a [u8] {
        self.packet
    }

    /// The datagram to send.
    ///
    /// # Errors
    ///
    /// [`ReplyError::TooLong`].
    pub fn reply(&self, policy: &ReplyPolicy) -> Result<Reply<'a>, ReplyError> {
        let checksum = match policy.checksum {
            UdpChecksum::Received => UdpChecksum::Computed,
            checksum => checksum,
        };
        Reply::new(self.outer, self.geneve, self.packet, &ReplyPolicy { checksum, ..*policy })
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The datagram's place in the burst; `None` for what no datagram brought about.
    pub datagram: Option<usize>,
    /// The endpoint that it came through.
    pub endpoint: EndpointId,
    /// The flow.
    pub flow: FlowKey,
    /// What happened.
    pub what: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// An inspector has something to say.
    Alert(Alert),
    /// An exception that people should know of: a tunnel that cannot be looked into, a panic, an overrun budget.
    Exception(Exception, Treatment),
    /// An inspector has said why the flow is kept as evidence, from this packet on.
    Capture(Cow<'static, str>),
}
