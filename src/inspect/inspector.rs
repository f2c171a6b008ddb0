use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::BitOr;

use thiserror::Error;

use super::{Context, Packet, Verdict};

/// Looks at the packets of flows and says what becomes of them.
///
/// ```
/// use gwlb_geneve::inspect::{Context, Inspector, Interest, Packet, Reason, Verdict};
///
/// /// Lets each flow have so many packets.
/// struct Allowance(u32);
///
/// impl Inspector for Allowance {
///     type Flow = u32;
///     const INTEREST: Interest = Interest::PACKETS;
///
///     fn name(&self) -> &str {
///         "allowance"
///     }
///
///     fn open(&mut self, _first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<u32> {
///         Some(self.0)
///     }
///
///     fn packet(&mut self, left: &mut u32, _packet: &Packet<'_>, _cx: &mut Context<'_>) -> Verdict {
///         match left.checked_sub(1) {
///             Some(less) => {
///                 *left = less;
///                 Verdict::PASS
///             }
///             None => Verdict::drop(Reason::new("allowance-used")),
///         }
///     }
/// }
/// ```
pub trait Inspector: Send + 'static {
    /// What is remembered of a flow. The engine owns it, and drops it when the flow ends.
    type Flow: Send + 'static;

    /// Which hooks are to be called: those that are not named here are not called, written or not. There is no default, so
    /// that nobody forgets to name them, and [`check`] refuses an inspector that names none.
    const INTEREST: Interest;

    /// A name for logs and configuration, used once in a composition.
    fn name(&self) -> &str;

    /// A flow begins; `first` is its first packet, which [`packet`](Self::packet) sees too. `None`: not mine, do not
    /// ask again.
    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<Self::Flow>;

    /// A packet of the flow, in either direction, before it is forwarded. Called with [`Interest::PACKETS`].
    #[inline]
    fn packet(
        &mut self,
        flow: &mut Self::Flow,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let _ = (flow, packet, cx);
        Verdict::PASS
    }

    /// The flow is over, or the inspector is done with it. Called with [`Interest::END`].
    #[inline]
    fn close(&mut self, flow: Self::Flow, why: CloseReason, cx: &mut Context<'_>) {
        let _ = (flow, why, cx);
    }

    /// Goes on after a panic: `fresh` is a new inspector, made as this one was. It takes this one's place, with the
    /// states of all flows as they are; a composition that keeps states itself has to move them.
    fn recover(&mut self, fresh: Self)
    where
        Self: Sized,
    {
        *self = fresh;
    }

    /// Shows each inspector in this one to `visit`: itself, unless it is a composition.
    fn members(&self, visit: &mut dyn FnMut(Member<'_>)) {
        visit(Member { name: self.name(), interest: Self::INTEREST });
    }

    /// Asks every inspector in this one about a packet, also those that a refusal before them would have spared.
    fn explain(
        &mut self,
        flow: &mut Self::Flow,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
        votes: &mut Vec<Vote>,
    ) {
        let verdict =
            Self::INTEREST.contains(Interest::PACKETS).then(|| self.packet(flow, packet, cx));
        votes.push(Vote { name: self.name().to_owned(), verdict });
    }
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// No hook.
    pub const NONE: Self = Self(0);
    /// [`Inspector::packet`].
    pub const PACKETS: Self = Self(1);
    /// [`Inspector::close`].
    pub const END: Self = Self(2);

    /// Both sets together, where `|` cannot stand.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in this set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

/// Why an inspector sees no more of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both ends closed it, or one reset it.
    Closed,
    /// Nothing was heard of it for its time-out.
    Idle,
    /// It made room for another one.
    Evicted,
    /// A verdict ended it.
    Refused,
    /// The inspector said that it is done.
    Done,
    /// A new connection began between the same ends.
    Replaced,
    /// The inspector was replaced by another one, which goes on with the flow.
    Reloaded,
    /// An inspector panicked, or used up its time, while it looked at a packet of the flow.
    Failed,
    /// The appliance is going down.
    Shutdown,
}

/// An inspector in a composition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its hooks.
    pub interest: Interest,
}

/// What one inspector said of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The inspector.
    pub name: String,
    /// What it said; `None` where it does not look at packets, the flow is not its own, or it is done with it.
    pub verdict: Option<Verdict>,
}

/// Why a composition cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No hook of an inspector would ever be called.
    #[error("inspector {name:?}: expected an interest, found none, so it could never fire")]
    NeverFires {
        /// The inspector.
        name: String,
    },
    /// Two inspectors have one name.
    #[error("inspector {name:?}: expected a name of its own, found it used twice")]
    SameName {
        /// The name.
        name: String,
    },
    /// More inspectors than a chain can hold.
    #[error("chain: expected at most {most} inspectors, found more")]
    TooMany {
        /// How many it can hold.
        most: usize,
    },
}

/// Refuses a composition that cannot be meant. An engine does this when it is made.
///
/// # Errors
///
/// See [`BuildError`].
pub fn check<I: Inspector>(inspector: &I) -> Result<(), BuildError> {
    let mut names: Vec<String> = Vec::new();
    let mut result = Ok(());
    inspector.members(&mut |member| {
        let name = || member.name.to_owned();
        if result.is_err() {
            return;
        }
        if member.interest == Interest::NONE {
            result = Err(BuildError::NeverFires { name: name() });
        } else if names.iter().any(|known| known == member.name) {
            result = Err(BuildError::SameName { name: name() });
        }
        names.push(name());
    });
    result
}
