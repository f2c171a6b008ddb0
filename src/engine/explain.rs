use alloc::vec::Vec;
use core::fmt;

use super::intake::Intake;
use super::state::{Inspection, State};
use super::{Datagram, Engine, Outcome, Output};
use crate::flow::{Direction, FlowKey, Relation};
use crate::inspect::{
    Action, Beginning, Inspector, ParsedPacket, Reason, Rewriter, Scope, Verdict, Vote,
};

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
    /// What every inspector says, in their order, also those behind a refusal. Empty where they are not asked.
    pub votes: Vec<Vote>,
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
        let mut standing = Standing::New;
        if let Some(flow) = &understood {
            let probe = self.table.probe(&flow.key);
            if let Some(State { inspection, bits, .. }) =
                self.table.get(&probe, now).and_then(|id| self.table.state_mut(id))
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
        let asked_otherwise = core::mem::replace(&mut self.asks_otherwise, true);
        self.process(core::slice::from_mut(datagram), output);
        self.asks_otherwise = asked_otherwise;
        Explanation {
            outcome: output.outcomes().first().copied().unwrap_or(Outcome::FORWARD),
            flow: understood.map(|flow| (flow.key, flow.direction, flow.relation)),
            standing,
            votes: self.panel.votes.take().unwrap_or_default(),
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
        writeln!(f, "standing   {}", self.standing)?;
        for vote in &self.votes {
            write!(f, "inspector  {}: ", vote.name)?;
            match vote.verdict {
                None => writeln!(f, "not asked")?,
                Some(verdict) => writeln!(f, "{verdict}")?,
            }
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
