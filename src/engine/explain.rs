use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use super::intake::{Intake, malformation};
use super::state::{Inspection, State};
use super::{Datagram, Engine, Outcome, Output};
use crate::Timestamp;
use crate::flow::{Direction, FlowKey, Relation};
use crate::gwlb::EnvelopeError;
use crate::inspect::{
    Action, Beginning, Decided, Exception, Inspector, ParsedPacket, Reason, Rewriter, Scope,
    Verdict, Vote,
};
use crate::packet::{IpProtocol, ParseError};

/// Why a packet is treated as it is. Its [`Display`](fmt::Display) is for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// What becomes of the packet.
    pub outcome: Outcome,
    /// Its flow and direction, and how it belongs to the flow; `None` where it does not parse.
    pub flow: Option<(FlowKey, Direction, Relation)>,
    /// How the flow stood when the packet came.
    pub standing: Standing,
    /// Which packet of its flow it is; `None` where it does not parse, and for an ICMP error about a flow, which is none of its packets.
    pub turn: Option<PacketTurn>,
    /// What is wrong with it, and where; `None` where it parses and its checksums are right, or nobody minds them.
    pub malformed: Option<Malformation>,
    /// What every inspector says, in their order, also those behind a refusal. Empty where they are not asked.
    pub votes: Vec<Vote>,
}

/// Which packet of a flow one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketTurn {
    /// From 1, both directions counted together. Where ports are used again, a new flow begins at 1.
    pub number: u64,
    /// When the first packet of the flow came, to about a millisecond.
    pub first_seen: Timestamp,
}

/// What is wrong with a datagram: why it is not understood, or which checksum in it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformation {
    /// The GENEVE header. Offsets count from its first byte.
    #[error("{0}")]
    Envelope(#[source] EnvelopeError),
    /// The IP packet inside. Its offsets count from the packet's first byte.
    #[error("inner packet at offset {begins}: {error}")]
    Packet {
        /// Where the packet begins, in bytes from the first byte of the GENEVE header.
        begins: usize,
        /// What is wrong with it.
        #[source]
        error: ParseError,
    },
    /// The checksum of an IPv4 header: of the packet inside, or of one in a tunnel in it.
    #[error(
        "inner packet at offset {begins}: IPv4 header checksum at offset {offset}: expected a right one, found {found:#06x}"
    )]
    HeaderChecksum {
        /// Where the packet begins, in bytes from the first byte of the GENEVE header.
        begins: usize,
        /// Where the checksum is, in bytes from the packet's first byte.
        offset: usize,
        /// The checksum.
        found: u16,
    },
    /// The checksum of TCP, UDP or ICMP.
    #[error(
        "inner packet at offset {begins}: {protocol} checksum at offset {offset}: expected a right one, found {found:#06x}"
    )]
    TransportChecksum {
        /// Where the packet begins, in bytes from the first byte of the GENEVE header.
        begins: usize,
        /// Whose checksum it is.
        protocol: IpProtocol,
        /// Where the checksum is, in bytes from the packet's first byte.
        offset: usize,
        /// The checksum.
        found: u16,
    },
    /// The checksum of a tunnel in the packet, of GRE or of the UDP under VXLAN.
    #[error(
        "inner packet at offset {begins}: checksum of the tunnel at offset {offset}: expected a right one, found another"
    )]
    TunnelChecksum {
        /// Where the packet begins, in bytes from the first byte of the GENEVE header.
        begins: usize,
        /// Where the tunnel's header is, in bytes from the packet's first byte.
        offset: usize,
    },
}

impl Malformation {
    /// Where it went wrong, in bytes from the first byte of the GENEVE header.
    pub const fn offset(&self) -> usize {
        match self {
            Self::Envelope(error) => error.offset(),
            Self::Packet { begins, error } => begins.saturating_add(error.offset()),
            Self::HeaderChecksum { begins, offset, .. }
            | Self::TransportChecksum { begins, offset, .. }
            | Self::TunnelChecksum { begins, offset } => begins.saturating_add(*offset),
        }
    }
}

/// How a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// There is none: the packet opens it, if it may.
    New,
    /// Inspectors look at it.
    Inspected(Beginning),
    /// Inspectors have seen enough of it, or were not asked.
    Bypassed,
    /// It was refused before, for this reason.
    Refused(Reason),
}

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Judges a datagram as [`process`](Self::process) does, and says why.
    ///
    /// Every inspector is asked, also those that would have been spared by another's refusal, and those that say that
    /// they are done are not believed: the flow is of little use afterwards. For an engine that replays a capture up to
    /// the packet in question.
    pub fn explain(&mut self, datagram: &mut Datagram<'_>, output: &mut Output) -> Explanation {
        let now = datagram.time();
        let understood = match Intake::of_any(datagram, &self.settings) {
            Intake::Understood(ParsedPacket { flow, .. }) => Some(flow),
            Intake::Malformed(_) => None,
        };
        let malformed = malformation(datagram, &self.settings);
        let mut standing = Standing::New;
        let mut turn = understood
            .filter(|flow| flow.relation == Relation::Own)
            .map(|_| PacketTurn { number: 1, first_seen: now });
        let mut before = None;
        if let Some(flow) = &understood {
            let probe = self.table.probe(&flow.key);
            let id = self.table.get(&probe, now);
            before = id.map(|id| (probe, id));
            if let (Some(turn), Some(flow)) = (&mut turn, id.and_then(|id| self.table.flow(id))) {
                let directions = [Direction::Forward, Direction::Reverse];
                let packets = directions.map(|direction| flow.packets(direction));
                turn.number = packets.into_iter().fold(1, u64::saturating_add);
                turn.first_seen = flow.first_seen();
            }
            if let Some(State { inspection, bits, .. }) = id.and_then(|id| self.table.state_mut(id))
            {
                standing = match inspection {
                    Inspection::Open(_) | Inspection::Followed(..) => {
                        Standing::Inspected(bits.beginning())
                    }
                    Inspection::Bypassed => Standing::Bypassed,
                    Inspection::Refused(refused) => {
                        Standing::Refused(self.reasons.reason(refused.reason))
                    }
                };
            }
        }
        self.panel.votes = Some(Vec::new());
        self.panel.effects.decided = Some(Vec::new());
        let asked_otherwise = core::mem::replace(&mut self.asks_otherwise, true);
        self.process(core::slice::from_mut(datagram), output);
        self.asks_otherwise = asked_otherwise;
        // Where ports are used again, the flow that was there has ended, and the packet begins another.
        let is_another = before.is_some_and(|(probe, id)| {
            self.table.get(&probe, now).is_some_and(|after| after != id)
        });
        if is_another {
            standing = Standing::New;
            turn = turn.map(|_| PacketTurn { number: 1, first_seen: now });
        }
        let mut votes = self.panel.votes.take().unwrap_or_default();
        attribute(&mut votes, self.panel.effects.decided.take().unwrap_or_default());
        let outcome = output.outcomes().first().copied().unwrap_or(Outcome::FORWARD);
        // A checksum may be none of the engine's business.
        let is_refused = understood.is_none() || outcome.exception == Some(Exception::BadChecksum);
        Explanation {
            outcome,
            flow: understood.map(|flow| (flow.key, flow.direction, flow.relation)),
            standing,
            turn,
            malformed: malformed.filter(|_| is_refused),
            votes,
        }
    }
}

/// Adds what decided to the votes. Where no inspector goes on with the flow, there are none yet.
fn attribute(votes: &mut Vec<Vote>, decided: Vec<Decided>) {
    for Decided { inspector, because } in decided {
        let index = votes.iter().position(|vote| vote.name == inspector).unwrap_or(votes.len());
        if index == votes.len() {
            let name = inspector.to_string();
            votes.push(Vote { name, verdict: None, because: Vec::new() });
        }
        if let Some(vote) = votes.get_mut(index).filter(|vote| !vote.because.contains(&because)) {
            vote.because.push(because);
        }
    }
}

/// The verdict of a composition whose members voted so.
pub(super) fn verdict_of(votes: &[Vote]) -> Verdict {
    let verdicts = || votes.iter().filter_map(|vote| vote.verdict);
    let is_done =
        |verdict: Verdict| (verdict.action(), verdict.scope()) == (Action::Pass, Scope::Flow);
    match verdicts().find(|verdict| !verdict.is_pass()) {
        Some(refusal) => refusal,
        None if verdicts().all(is_done) && verdicts().count() > 0 => Verdict::PASS_FLOW,
        None => Verdict::PASS,
    }
}

/// Adds what inspectors say of a part of a packet to what they said of others: of each, a refusal or else the latest.
pub(super) fn join(votes: &mut Vec<Vote>, more: Vec<Vote>) {
    for vote in more {
        match votes.iter_mut().find(|known| known.name == vote.name) {
            None => votes.push(vote),
            Some(known) if known.verdict.is_none_or(|verdict| verdict.is_pass()) => {
                known.verdict = vote.verdict.or(known.verdict);
            }
            Some(_) => {}
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((key, direction, relation)) = &self.flow {
            let about = match relation {
                Relation::Own => "",
                Relation::IcmpError => " (ICMP error about it)",
            };
            writeln!(f, "flow       {} {}{about}", key.endpoint(), key.five_tuple(*direction))?;
        }
        if let Some(error) = &self.malformed {
            writeln!(f, "malformed  {error} (byte {} of the UDP payload)", error.offset())?;
        }
        // What does not parse has no flow.
        if self.flow.is_some() {
            writeln!(f, "standing   {}", self.standing)?;
        }
        if let Some(PacketTurn { number, .. }) = self.turn {
            match number {
                1 => writeln!(f, "turn       first packet of its flow")?,
                number => writeln!(f, "turn       packet {number} of its flow")?,
            }
        }
        for vote in &self.votes {
            write!(f, "inspector  {}: ", vote.name)?;
            match vote.verdict {
                Some(verdict) => writeln!(f, "{verdict}")?,
                None if vote.because.is_empty() => writeln!(f, "not asked")?,
                None => writeln!(f, "asked when the flow began")?,
            }
            vote.because.iter().try_for_each(|because| writeln!(f, "because    {because}"))?;
        }
        if let Some(exception) = self.outcome.exception {
            writeln!(f, "exception  {exception}")?;
        }
        write!(f, "outcome    {}", self.outcome)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Inspected(Beginning::Seen) => f.write_str("inspected"),
            Self::Inspected(Beginning::Midstream | Beginning::Reopened) => {
                f.write_str("inspected from its middle on")
            }
            Self::Bypassed => f.write_str("bypassed"),
            Self::Refused(reason) => write!(f, "refused before: {reason}"),
        }
    }
}
