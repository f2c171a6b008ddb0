use core::fmt;

/// What becomes of a packet, and of its flow.
///
/// ```
/// use gwlb_geneve::inspect::{Action, Reason, Scope, Verdict};
///
/// let verdict = Verdict::drop(Reason::new("bad-name")).for_flow();
/// assert_eq!((verdict.action(), verdict.scope()), (Action::Drop, Scope::Flow));
/// assert_eq!(Verdict::PASS.scope(), Scope::Packet);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    action: Action,
    scope: Scope,
    tells: Tells,
    reason: Reason,
}

impl Verdict {
    /// Forward this packet.
    pub const PASS: Self = Self::new(Action::Pass, Scope::Packet, Reason::NONE);

    /// Forward this packet and all that follow in its flow: the inspector is done with the flow and is not asked
    /// again, and what it remembered of it is dropped. A flow that every inspector is done with costs a look-up only.
    pub const PASS_FLOW: Self = Self::new(Action::Pass, Scope::Flow, Reason::NONE);

    /// Do not forward this packet, and say nothing to anybody.
    pub const fn drop(reason: Reason) -> Self {
        Self::new(Action::Drop, Scope::Packet, reason)
    }

    /// Do not forward this packet, and tell both ends: a reset in TCP, an ICMP error otherwise. The flow is over.
    pub const fn reject(reason: Reason) -> Self {
        Self::new(Action::Reject, Scope::Flow, reason)
    }

    /// The same for every packet of the flow from now on.
    #[must_use]
    pub const fn for_flow(self) -> Self {
        Self { scope: Scope::Flow, ..self }
    }

    /// The same, but of a reject only this end is told.
    ///
    /// ```
    /// use gwlb_geneve::inspect::{Reason, Tells, Verdict};
    ///
    /// let verdict = Verdict::reject(Reason::new("scan")).telling(Tells::Sender);
    /// assert_eq!((verdict.tells(), Verdict::reject(Reason::new("scan")).tells()), (Tells::Sender, Tells::Both));
    /// ```
    #[must_use]
    pub const fn telling(self, tells: Tells) -> Self {
        Self { tells, ..self }
    }

    const fn new(action: Action, scope: Scope, reason: Reason) -> Self {
        Self { action, scope, tells: Tells::Both, reason }
    }

    /// What to do.
    #[inline]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// For how long.
    #[inline]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Whom a reject tells.
    #[inline]
    pub const fn tells(&self) -> Tells {
        self.tells
    }

    /// Why; [`Reason::NONE`] for a pass.
    #[inline]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether the packet goes on to the next inspector.
    #[inline]
    pub const fn is_pass(&self) -> bool {
        matches!(self.action, Action::Pass)
    }
}

impl fmt::Display for Verdict {
    /// `pass`, `pass flow`, `drop packet: bad-name`, `reject flow: telnet`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.action, self.scope) {
            (Action::Pass, Scope::Packet) => f.write_str("pass"),
            (Action::Pass, Scope::Flow) => f.write_str("pass flow"),
            (action, Scope::Packet) => write!(f, "{action} packet: {}", self.reason),
            (action, Scope::Flow) => write!(f, "{action} flow: {}", self.reason),
        }
    }
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Forward it.
    Pass,
    /// Forward nothing and answer nothing.
    Drop,
    /// Forward nothing and tell both ends, or [one](Tells).
    Reject,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Reject => "reject",
        })
    }
}

/// Whom a reject tells, by the packet that was rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tells {
    /// Both ends.
    #[default]
    Both,
    /// Who sent the packet.
    Sender,
    /// Whom it was sent to, which only TCP has a way of telling.
    Receiver,
}

/// How far a verdict reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This packet.
    Packet,
    /// This packet and all later ones of its flow, in both directions.
    Flow,
}

/// Why a packet was dropped or rejected: a short stable name, lower case with hyphens, that counters and logs carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason(&'static str);

impl Reason {
    /// No reason: the packet passed.
    pub const NONE: Self = Self("");

    /// A reason of this name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reason({:?})", self.0)
    }
}
