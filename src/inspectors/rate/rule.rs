use alloc::string::String;
use core::fmt;

use thiserror::Error;

/// How much of something a source, a destination or an endpoint may have each second.
///
/// ```
/// use gwlb_geneve::inspectors::rate::{Action, Of, Per, RateRule};
///
/// let rule = RateRule::new(Per::Source, Of::NewFlows, 100).burst(200).action(Action::Reject);
/// assert_eq!(rule.to_string(), "100 new flows a second and source, 200 at once");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateRule {
    /// What people call it.
    pub name: Option<String>,
    /// Who has a limit of its own.
    pub per: Per,
    /// What is counted.
    pub of: Of,
    /// How many a second, at least 1.
    pub rate: u64,
    /// How many at once after a rest, at least 1.
    pub burst: u64,
    /// What becomes of what is beyond it.
    pub action: Action,
    /// Which packets are counted.
    pub direction: Direction,
    /// How many leading bits of an IPv4 address make one source or destination: 32 by default.
    pub prefix_v4: u8,
    /// The same of IPv6: 64 by default, as a host can have any address of its link.
    pub prefix_v6: u8,
}

impl RateRule {
    /// The highest rate and burst: 10 billion.
    pub const MOST: u64 = 10_000_000_000;

    /// A limit of `rate` a second and a burst of as many, beyond which packets are dropped.
    pub const fn new(per: Per, of: Of, rate: u64) -> Self {
        Self {
            name: None,
            per,
            of,
            rate,
            burst: rate,
            action: Action::Drop,
            direction: Direction::ToServer,
            prefix_v4: 32,
            prefix_v6: 64,
        }
    }

    /// The same with a name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with so many at once.
    #[must_use]
    pub const fn burst(mut self, burst: u64) -> Self {
        self.burst = burst;
        self
    }

    /// The same with another action.
    #[must_use]
    pub const fn action(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    /// The same, but answers count as well.
    #[must_use]
    pub const fn both_ways(mut self) -> Self {
        self.direction = Direction::Both;
        self
    }

    /// The same for networks of these prefix lengths, IPv4 and IPv6.
    #[must_use]
    pub const fn prefixes(mut self, v4: u8, v6: u8) -> Self {
        (self.prefix_v4, self.prefix_v6) = (v4, v6);
        self
    }

    pub(super) fn check(&self, index: usize) -> Result<(), RateError> {
        let rule = index.saturating_add(1);
        let number = |what, found, most| RateError::Number { rule, what, most, found };
        for (what, found) in [("a rate", self.rate), ("a burst", self.burst)] {
            if !(1..=Self::MOST).contains(&found) {
                return Err(number(what, found, Self::MOST));
            }
        }
        if self.of == Of::Bytes && self.burst < LARGEST_PACKET {
            return Err(RateError::BurstBelowPacket { rule, found: self.burst });
        }
        for (what, found, most) in
            [("an IPv4 prefix", self.prefix_v4, 32), ("an IPv6 prefix", self.prefix_v6, 128)]
        {
            if !(1..=most).contains(&found) {
                return Err(number(what, found.into(), most.into()));
            }
        }
        Ok(())
    }
}

/// What no packet of the networks that load balancers stand in is longer than.
pub(super) const LARGEST_PACKET: u64 = 9_001;

impl fmt::Display for RateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, of, per, burst, .. } = self;
        write!(f, "{rate} {of} a second and {per}, {burst} at once")
    }
}

/// Who has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Per {
    /// Who opened the flow; for SYNs, who sent it.
    Source,
    /// Whom the flow was opened to; for SYNs, to whom it was sent.
    Destination,
    /// The load balancer's endpoint.
    Endpoint,
}

impl Per {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("source", Self::Source),
        ("destination", Self::Destination),
        ("endpoint", Self::Endpoint),
    ];
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Endpoint => "endpoint",
        })
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Of {
    /// Packets.
    Packets,
    /// Bytes of IP packets, headers included.
    Bytes,
    /// Flows that begin.
    NewFlows,
    /// TCP segments with SYN and without ACK.
    Syns,
}

impl Of {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("packets", Self::Packets),
        ("bytes", Self::Bytes),
        ("new-flows", Self::NewFlows),
        ("syns", Self::Syns),
    ];
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Packets => "packets",
            Self::Bytes => "bytes",
            Self::NewFlows => "new flows",
            Self::Syns => "SYNs",
        })
    }
}

/// What becomes of a packet beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is dropped; later ones are judged anew.
    Drop,
    /// Its flow is rejected.
    Reject,
    /// It passes, and people are told.
    Alert,
}

impl Action {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("drop", Self::Drop), ("reject", Self::Reject), ("alert", Self::Alert)];
}

/// Which packets of a flow are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Those of the one that opened it.
    #[default]
    ToServer,
    /// The answers as well.
    Both,
}

/// Why rules do not make limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RateError {
    /// A number is out of its range.
    #[error("rule {rule}: expected {what} from 1 to {most}, found {found}")]
    Number {
        /// The rule, counted from 1.
        rule: usize,
        /// Which number.
        what: &'static str,
        /// The highest that there is.
        most: u64,
        /// The number.
        found: u64,
    },
    /// A burst of bytes with which large packets would never pass.
    #[error(
        "rule {rule}: expected a burst of at least 9001 bytes, as large as a packet can be, found {found}"
    )]
    BurstBelowPacket {
        /// The rule, counted from 1.
        rule: usize,
        /// The burst.
        found: u64,
    },
    /// More rules than are looked at for each packet.
    #[error("expected at most {most} rules, found {found}")]
    TooManyRules {
        /// How many there can be.
        most: usize,
        /// How many there are.
        found: usize,
    },
    /// A table of a size that cannot be.
    #[error("expected from 1024 to {most} buckets, found {found}")]
    Buckets {
        /// The most.
        most: usize,
        /// How many were asked for.
        found: usize,
    },
}
