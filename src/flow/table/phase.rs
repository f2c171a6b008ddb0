use crate::flow::FlowKey;
use crate::packet::{IpProtocol, TcpFlags};

/// How far a conversation is, as its packets' flags tell.
///
/// Sequence numbers are not looked at: who follows them can leave away a flag that the receiver will not believe
/// ([`Observation::flags`](super::Observation::flags)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowPhase {
    /// TCP: a SYN was seen, no answer yet.
    SynSeen,
    /// TCP: the SYN was answered by a SYN of the other side, which is not acknowledged yet.
    SynAnswered,
    /// TCP: first seen without its SYN, and in one direction only so far.
    Midstream,
    /// TCP: the handshake is complete, or both directions were seen of a flow that began unseen.
    Established,
    /// TCP: one side has sent its FIN.
    Closing,
    /// TCP: both sides have sent their FIN, or one a RST.
    Closed,
    /// Not TCP: seen in one direction only.
    Unanswered,
    /// Not TCP: seen in both directions.
    Answered,
}

/// Why a flow can be given up for a new one. Each kind has one time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Evictable {
    HalfOpen,
    Closed,
    Unanswered,
}

impl Evictable {
    pub(super) const ALL: [Self; 3] = [Self::HalfOpen, Self::Closed, Self::Unanswered];
}

impl FlowPhase {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 8] = [
        Self::SynSeen,
        Self::SynAnswered,
        Self::Midstream,
        Self::Established,
        Self::Closing,
        Self::Closed,
        Self::Unanswered,
        Self::Answered,
    ];

    /// Whether the flow may be evicted where there is no room for a new one: half-open, closed and unanswered ones
    /// may, those that both ends are known to take part in may not.
    pub const fn is_evictable(self) -> bool {
        self.evictable().is_some()
    }

    #[inline]
    pub(super) const fn evictable(self) -> Option<Evictable> {
        match self {
            Self::SynSeen | Self::SynAnswered | Self::Midstream => Some(Evictable::HalfOpen),
            Self::Closed => Some(Evictable::Closed),
            Self::Unanswered => Some(Evictable::Unanswered),
            Self::Established | Self::Closing | Self::Answered => None,
        }
    }

    /// The phase after a flow's first packet, and whether that packet was an answer to one that was not seen.
    pub(super) fn first(key: &FlowKey, flags: Option<TcpFlags>) -> (Self, bool) {
        if key.protocol() != IpProtocol::TCP {
            return (Self::Unanswered, false);
        }
        let flags = flags.unwrap_or_default();
        if flags.intersects(TcpFlags::RST) {
            (Self::Closed, false)
        } else if flags.contains(TcpFlags::SYN | TcpFlags::ACK) {
            (Self::SynAnswered, true)
        } else if flags.intersects(TcpFlags::SYN) {
            (Self::SynSeen, false)
        } else {
            (Self::Midstream, false)
        }
    }

    /// The phase after another packet. `answer` says that it does not come from the side that opened the flow,
    /// `finished` which sides have sent a FIN so far, this packet included.
    #[inline]
    pub(super) fn next(self, answer: bool, flags: Option<TcpFlags>, finished: Finished) -> Self {
        match (self, flags) {
            (Self::Unanswered, _) if answer => Self::Answered,
            (Self::Unanswered | Self::Answered | Self::Closed, _) | (_, None) => self,
            (_, Some(flags)) if flags.intersects(TcpFlags::RST) => Self::Closed,
            (Self::SynSeen, Some(flags)) if answer && flags.intersects(TcpFlags::SYN) => {
                Self::SynAnswered
            }
            (Self::SynAnswered, Some(flags)) if !answer && is_acknowledgment(flags) => {
                finished.phase()
            }
            (Self::Midstream, Some(flags)) if answer && is_acknowledgment(flags) => {
                finished.phase()
            }
            (Self::Established | Self::Closing, _) => finished.phase(),
            (Self::SynSeen | Self::SynAnswered | Self::Midstream, _) => self,
        }
    }
}

/// Of which sides a FIN was seen.
#[derive(Clone, Copy)]
pub(super) enum Finished {
    None,
    One,
    Both,
}

impl Finished {
    const fn phase(self) -> FlowPhase {
        match self {
            Self::None => FlowPhase::Established,
            Self::One => FlowPhase::Closing,
            Self::Both => FlowPhase::Closed,
        }
    }
}

const fn is_acknowledgment(flags: TcpFlags) -> bool {
    flags.intersects(TcpFlags::ACK) && !flags.intersects(TcpFlags::SYN)
}
