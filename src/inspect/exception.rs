use core::fmt;

use thiserror::Error;

/// What is to be done with traffic that cannot be judged in the ordinary way: a [`Treatment`] for each [`Exception`].
///
/// There are two profiles to start from, and each cell can be overridden:
///
/// ```
/// use gwlb_geneve::inspect::{Exception, ExceptionPolicy, Treatment};
///
/// let policy = ExceptionPolicy::AVAILABLE.with(Exception::InspectorPanic, Treatment::Drop)?;
/// assert_eq!(policy.treatment(Exception::InspectorPanic), Treatment::Drop);
/// assert_eq!(policy.treatment(Exception::Midstream), Treatment::Adopt);
///
/// let error = policy.with(Exception::MalformedEnvelope, Treatment::Pass).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "exception malformed-envelope: expected drop, found pass",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ExceptionPolicy {
    cells: [Treatment; Exception::ALL.len()],
}

impl ExceptionPolicy {
    /// Rather no traffic than traffic that was not judged.
    pub const STRICT: Self = Self::profile(0);

    /// Rather traffic that was not judged than none.
    pub const AVAILABLE: Self = Self::profile(1);

    /// The treatment of a class.
    #[inline]
    pub fn treatment(&self, exception: Exception) -> Treatment {
        self.cells.get(exception as usize).copied().unwrap_or(Treatment::Drop)
    }

    /// The treatment of a class in a flow of an inspector that [fails closed](super::Interest::FAIL_CLOSED): where this policy
    /// lets pass, that of [`STRICT`](Self::STRICT). A flow that is adopted is judged, by inspectors who know that they see it
    /// from its middle on.
    ///
    /// ```
    /// use gwlb_geneve::inspect::{Exception, ExceptionPolicy, Treatment};
    ///
    /// let policy = ExceptionPolicy::AVAILABLE;
    /// assert_eq!(policy.failing_closed(Exception::Overload), Treatment::Drop);
    /// assert_eq!(policy.failing_closed(Exception::Midstream), Treatment::Adopt);
    /// ```
    pub fn failing_closed(&self, exception: Exception) -> Treatment {
        match self.treatment(exception) {
            Treatment::Pass => Self::STRICT.treatment(exception),
            refused => refused,
        }
    }

    /// The same policy but for one class.
    ///
    /// # Errors
    ///
    /// [`PolicyError`], where a class cannot be treated so.
    pub fn with(mut self, exception: Exception, treatment: Treatment) -> Result<Self, PolicyError> {
        if !exception.treatments().contains(&treatment) {
            return Err(PolicyError { exception, found: treatment });
        }
        if let Some(cell) = self.cells.get_mut(exception as usize) {
            *cell = treatment;
        }
        Ok(self)
    }

    /// Column 0 is strict, 1 available.
    const fn profile(column: usize) -> Self {
        let mut cells = [Treatment::Drop; Exception::ALL.len()];
        let mut index = 0;
        #[expect(
            clippy::indexing_slicing,
            clippy::arithmetic_side_effects,
            reason = "evaluated by the compiler"
        )]
        while index < cells.len() {
            cells[index] = Exception::ALL[index].row().1[column];
            index += 1;
        }
        Self { cells }
    }
}

impl fmt::Debug for ExceptionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Exception::ALL.map(|class| (class, self.treatment(class)))).finish()
    }
}

/// A class of traffic that cannot be judged in the ordinary way.
///
/// | name | [`STRICT`](ExceptionPolicy::STRICT) | [`AVAILABLE`](ExceptionPolicy::AVAILABLE) | possible |
/// |---|---|---|---|
/// | `malformed-envelope` | drop | drop | drop |
/// | `unknown-endpoint` | drop | pass | drop, pass |
/// | `malformed-packet` | drop | drop | drop, pass |
/// | `bad-checksum` | drop | drop | drop |
/// | `midstream` | reject | adopt | drop, pass, reject, adopt |
/// | `flow-table-full` | drop | pass | drop, pass |
/// | `fragment-memory-full` | drop | drop | drop, pass |
/// | `fragment-before-first` | pass | pass | drop, pass |
/// | `unknown-icmp-error` | pass | pass | drop, pass |
/// | `opaque-tunnel` | drop | pass | drop, pass |
/// | `inspector-panic` | drop | pass | drop, pass |
/// | `over-budget` | drop | pass | drop, pass |
/// | `overload` | drop | pass | drop, pass |
/// | `stream-memory-full` | drop | pass | drop, pass |
/// | `out-of-order-not-stored` | drop | drop | drop |
/// | `segment-discarded` | drop | drop | drop |
/// | `protocol-unparsable` | drop | pass | drop, pass |
///
/// An inspector that [fails closed](super::Interest::FAIL_CLOSED), such as an allow-list, has `flow-table-full`, `inspector-panic`,
/// `over-budget`, `overload`, `stream-memory-full`, `protocol-unparsable` and, of flows that are followed,
/// `fragment-memory-full` treated as in the strict column in the flows that are its own, whatever the policy says. Of a stream
/// or a message that cannot be judged it is told before, so that a refusal has its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Exception {
    /// The payload of UDP port 6081 is not what a gateway load balancer sends, so it cannot be answered.
    MalformedEnvelope,
    /// A first packet came through an endpoint that is not listed, where endpoints are listed. Passed, it is
    /// inspected like all others.
    UnknownEndpoint,
    /// The packet inside does not parse, or is one that its receiver is to discard.
    MalformedPacket,
    /// The checksum of the packet, or of what it carries, is wrong: its receiver discards it.
    BadChecksum,
    /// A TCP flow whose SYN was not seen, as after a restart or a failover.
    Midstream,
    /// There is no room for a new flow, and none that may be evicted: in the table, in the endpoint's quota. Passed,
    /// each packet is judged as if it were the first of its flow, and nothing of it is remembered.
    FlowTableFull,
    /// There is no room to remember which flow a fragmented datagram belongs to.
    FragmentMemoryFull,
    /// A fragment whose first was not seen. Passed, it is judged without ports.
    FragmentBeforeFirst,
    /// An ICMP error that quotes no packet of a known flow. Passed, a limited number a second, it is not inspected.
    UnknownIcmpError,
    /// A tunnel deeper than can be looked into, or encrypted. Passed, its outermost packets that can be read are
    /// inspected.
    OpaqueTunnel,
    /// An inspector panicked. The flow is dropped, or passed, from then on.
    InspectorPanic,
    /// An inspector took longer than the budget. The flow is dropped, or passed, from then on.
    OverBudget,
    /// A new flow when the worker has too much to do. Passed, the flow is not inspected.
    Overload,
    /// The bytes of a connection cannot be put in order any more: there is no room to remember them, or some of them never came
    /// past, which is a gap, or came in fragments. The flow is dropped, or passed, from then on: its packets are inspected, its
    /// stream is not, unless inspectors [go on](super::Interest::GAPS) behind a gap.
    StreamMemoryFull,
    /// Bytes ahead of those that are missing, which cannot be stored: forwarded, nobody could judge them. They will come again.
    OutOfOrderNotStored,
    /// A segment that its receiver may discard: out of its window, too old, with options that are none. Nobody may be shown bytes
    /// that the receiver will not see.
    SegmentDiscarded,
    /// An application protocol that is broken, or that went over to one that is not parsed: h2c, CONNECT, an upgrade. The flow is
    /// dropped, or passed, from then on, as far as messages go; inspectors of messages are told, and may refuse it.
    ProtocolUnparsable,
}

/// Treatments that may stand in a row, and the two profiles.
type Row = (&'static [Treatment], [Treatment; 2]);

impl Exception {
    /// All classes, in the order of their values.
    pub const ALL: [Self; 17] = [
        Self::MalformedEnvelope,
        Self::UnknownEndpoint,
        Self::MalformedPacket,
        Self::BadChecksum,
        Self::Midstream,
        Self::FlowTableFull,
        Self::FragmentMemoryFull,
        Self::FragmentBeforeFirst,
        Self::UnknownIcmpError,
        Self::OpaqueTunnel,
        Self::InspectorPanic,
        Self::OverBudget,
        Self::Overload,
        Self::StreamMemoryFull,
        Self::OutOfOrderNotStored,
        Self::SegmentDiscarded,
        Self::ProtocolUnparsable,
    ];

    /// The stable name, for configuration, counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MalformedEnvelope => "malformed-envelope",
            Self::UnknownEndpoint => "unknown-endpoint",
            Self::MalformedPacket => "malformed-packet",
            Self::BadChecksum => "bad-checksum",
            Self::Midstream => "midstream",
            Self::FlowTableFull => "flow-table-full",
            Self::FragmentMemoryFull => "fragment-memory-full",
            Self::FragmentBeforeFirst => "fragment-before-first",
            Self::UnknownIcmpError => "unknown-icmp-error",
            Self::OpaqueTunnel => "opaque-tunnel",
            Self::InspectorPanic => "inspector-panic",
            Self::OverBudget => "over-budget",
            Self::Overload => "overload",
            Self::StreamMemoryFull => "stream-memory-full",
            Self::OutOfOrderNotStored => "out-of-order-not-stored",
            Self::SegmentDiscarded => "segment-discarded",
            Self::ProtocolUnparsable => "protocol-unparsable",
        }
    }

    /// The class of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// How the class may be treated.
    pub const fn treatments(self) -> &'static [Treatment] {
        self.row().0
    }

    const fn row(self) -> Row {
        use Treatment::{Adopt, Drop, Pass, Reject};

        match self {
            Self::MalformedEnvelope
            | Self::BadChecksum
            | Self::OutOfOrderNotStored
            | Self::SegmentDiscarded => (&[Drop], [Drop, Drop]),
            Self::MalformedPacket => (&[Drop, Pass], [Drop, Drop]),
            Self::Midstream => (&[Drop, Pass, Reject, Adopt], [Reject, Adopt]),
            Self::FragmentMemoryFull => (&[Drop, Pass], [Drop, Drop]),
            Self::FragmentBeforeFirst | Self::UnknownIcmpError => (&[Drop, Pass], [Pass, Pass]),
            Self::UnknownEndpoint
            | Self::FlowTableFull
            | Self::OpaqueTunnel
            | Self::InspectorPanic
            | Self::OverBudget
            | Self::Overload
            | Self::StreamMemoryFull
            | Self::ProtocolUnparsable => (&[Drop, Pass], [Drop, Pass]),
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is done with an [`Exception`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// Forward nothing.
    Drop,
    /// Forward it. How far it is inspected is said by the class.
    Pass,
    /// Forward nothing and tell the sender, a limited number a second; never as an answer to a RST.
    Reject,
    /// Inspect the flow from here on.
    Adopt,
}

impl Treatment {
    /// All treatments.
    pub const ALL: [Self; 4] = [Self::Drop, Self::Pass, Self::Reject, Self::Adopt];

    /// The stable name, for configuration and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Pass => "pass",
            Self::Reject => "reject",
            Self::Adopt => "adopt",
        }
    }

    /// The treatment of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|treatment| treatment.name() == name)
    }
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A class that cannot be treated so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("exception {exception}: expected {}, found {found}", OneOf(exception.treatments()))]
pub struct PolicyError {
    /// The class.
    pub exception: Exception,
    /// How it was to be treated.
    pub found: Treatment,
}

struct OneOf(&'static [Treatment]);

impl fmt::Display for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, treatment) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" or ")?;
            }
            f.write_str(treatment.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_in_order() {
        for (n, class) in Exception::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, n);
            assert_eq!(Exception::from_name(class.name()), Some(class));
        }
    }

    #[test]
    fn the_table_in_the_documentation_is_true() {
        let source = include_str!("exception.rs");
        for class in Exception::ALL {
            let [strict, available] = [ExceptionPolicy::STRICT, ExceptionPolicy::AVAILABLE]
                .map(|policy| policy.treatment(class));
            let possible: Vec<_> =
                class.treatments().iter().map(|treatment| treatment.name()).collect();
            let row =
                format!("/// | `{class}` | {strict} | {available} | {} |", possible.join(", "));
            assert!(source.contains(&row), "{row}");
        }
    }

    #[test]
    fn profiles_are_possible() {
        for policy in [ExceptionPolicy::STRICT, ExceptionPolicy::AVAILABLE] {
            for class in Exception::ALL {
                assert!(policy.with(class, policy.treatment(class)).is_ok(), "{class}");
            }
        }
    }

    #[test]
    fn an_override_changes_one_cell() {
        let policy =
            ExceptionPolicy::STRICT.with(Exception::FlowTableFull, Treatment::Pass).unwrap();
        for class in Exception::ALL {
            let expected = match class {
                Exception::FlowTableFull => Treatment::Pass,
                _ => ExceptionPolicy::STRICT.treatment(class),
            };
            assert_eq!(policy.treatment(class), expected, "{class}");
        }
        let error = policy.with(Exception::Overload, Treatment::Adopt).unwrap_err();
        assert_eq!(error.to_string(), "exception overload: expected drop or pass, found adopt");
    }
}
