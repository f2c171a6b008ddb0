//! What should come of a capture, held against what does.

mod check;
mod reader;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use std::io::{Read, Write};

use super::{JudgedPacket, Replay, ReplayError, Report};
use crate::config::ConfigErrors;
use crate::engine::{Disposition, Engine};
use crate::gwlb::EndpointId;
use crate::inspect::{Action, Exception, Inspector, Rewriter, Severity};
use crate::packet::IpProtocol;

/// What should come of a capture: a regression test for whoever judges it.
///
/// ```
/// use gwlb_geneve::engine::{Engine, Settings};
/// use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
/// use gwlb_geneve::runtime::{Expectations, Replay};
///
/// let expectations = Expectations::parse(r#"
///     [counts]
///     forwarded = 0
///     [[packet]]
///     number = 1
///     verdict = "reject"
///     reason = "nothing-passes"
/// "#)?;
/// let mut engine = Engine::new(Settings::default(), || {
///     packet_fn("nothing", |_, _| Verdict::reject(Reason::new("nothing-passes")))
/// })?;
/// let capture = Replay::open("tests/captures/ipv4-tcp.pcapng")?;
/// let checked = expectations.check(capture, &mut engine)?;
/// assert!(checked.unmet.is_empty(), "{:?}", checked.unmet);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Keys
///
/// | key | takes |
/// |---|---|
/// | `capture`, `config` | names of files, for whoever opens them |
/// | `ports` | the UDP destination ports that carry GENEVE, one or a list |
/// | `counts` | a table of what a [`Report`] counts: `packets`, `unreadable`, `other`, `received`, `forwarded`, `edited`, `would`, `dropped`, `rejected`, `injected`, `sent`, `send-failed`, `flows`, `flows-refused`, `alerts` |
/// | `dropped` | a table: how many packets were dropped or rejected, by reason; for reasons that are not there, none |
/// | `exceptions` | the same by [class](Exception::name) |
/// | `[[packet]]` | what becomes of packets: see below |
/// | `[[flow]]` | what becomes of a flow: see below |
/// | `[[alert]]` | what people are told: see below |
///
/// | key of `packet` | takes |
/// |---|---|
/// | `number` | numbers of packets as Wireshark counts, one or a list; a text as `"13-20"` is a range |
/// | `verdict` | `"forward"`, `"forward-edited"`, `"drop"` or `"reject"` |
/// | `reason`, `exception` | why; `""` for none |
/// | `would` | `"drop"` or `"reject"`: what would have been done, were the traffic not only watched |
/// | `alerts` | the names of all alerts that the packet brings about |
///
/// | key of `flow` | takes |
/// |---|---|
/// | `from`, `to` | the ends, as `"10.0.0.1"` or `"10.0.0.1:80"`; packets of both directions count |
/// | `endpoint`, `protocol` | which of several flows with these ends |
/// | `verdict` | `"forward"`: all its packets are sent back. `"drop"` or `"reject"`: the first that is not meets with this |
/// | `reason` | why that one |
/// | `packets`, `forwarded` | how many there are, and how many of them are sent back |
///
/// | key of `alert` | takes |
/// |---|---|
/// | `name` | its name |
/// | `message` | a part of what it says |
/// | `severity` | `"info"`, `"notice"`, `"warning"` or `"critical"` |
/// | `packet` | the number of the packet that brings it about; `"none"`: no packet does, but for example the end of a flow |
/// | `count` | how many there are; by default one or more |
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    capture: Option<String>,
    config: Option<String>,
    ports: Vec<u16>,
    counts: Vec<(usize, Count, u64)>,
    dropped: Option<Table>,
    exceptions: Option<Table>,
    packets: Vec<ExpectedPackets>,
    flows: Vec<ExpectedFlow>,
    alerts: Vec<ExpectedAlert>,
}

impl Expectations {
    /// From TOML.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, each with its line and column, in their order.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        reader::read(text)
    }

    /// The capture's file, if it is named.
    pub fn capture(&self) -> Option<&str> {
        self.capture.as_deref()
    }

    /// The file of the configuration that it is to be judged by, if it is named.
    pub fn config(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// The UDP destination ports that carry GENEVE, none where they are not named.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Whether it is said how many frames cannot be read, so that damage of the capture is no mistake.
    pub fn expects_damage(&self) -> bool {
        self.counts.iter().any(|(_, count, _)| matches!(count, Count::Unreadable))
    }

    /// Runs a capture through an engine, and says what came otherwise than it should.
    ///
    /// # Errors
    ///
    /// Those of [`Replay::run`].
    pub fn check<R: Read, W: Write, I: Inspector, X: Rewriter>(
        &self,
        replay: Replay<R, W>,
        engine: &mut Engine<I, X>,
    ) -> Result<Checked, ReplayError> {
        let mut check = check::Check::new(self);
        let mut others = check::Others::new(self);
        let mut each = |packet: &JudgedPacket<'_>| check.see(packet);
        let report = replay.run_with_others(engine, &mut each, &mut |event| others.see(event))?;
        Ok(Checked { unmet: check.finish(others, &report), report })
    }
}

/// What came of a capture, and which expectations were not met.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// What was counted.
    pub report: Report,
    /// The expectations that were not met, in the order of their lines.
    pub unmet: Vec<Unmet>,
}

/// An expectation that was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmet {
    /// The line of the text that has it, counted from 1.
    pub line: usize,
    /// What it is about.
    pub subject: String,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub found: String,
}

impl fmt::Display for Unmet {
    /// `line 4, packet 13: expected reject, found forward`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, subject, expected, found } = self;
        write!(f, "line {line}, {subject}: expected {expected}, found {found}")
    }
}

/// Counts by name, with their lines, and the line of the table.
#[derive(Clone, Debug)]
struct Table {
    line: usize,
    rows: Vec<(usize, String, u64)>,
}

#[derive(Clone, Debug)]
struct ExpectedPackets {
    line: usize,
    numbers: Vec<RangeInclusive<u64>>,
    verdict: Option<Disposition>,
    reason: Option<String>,
    /// `Some(None)`: there must be none.
    exception: Option<Option<Exception>>,
    would: Option<Action>,
    alerts: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
struct ExpectedFlow {
    line: usize,
    from: End,
    to: End,
    endpoint: Option<EndpointId>,
    protocol: Option<IpProtocol>,
    verdict: Option<Disposition>,
    reason: Option<String>,
    packets: Option<u64>,
    forwarded: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    address: IpAddr,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
struct ExpectedAlert {
    line: usize,
    name: Option<String>,
    message: Option<String>,
    severity: Option<Severity>,
    /// `Some(None)`: none brings it about.
    packet: Option<Option<u64>>,
    count: Option<u64>,
}

/// What a report counts.
#[derive(Clone, Copy, Debug)]
enum Count {
    Packets,
    Unreadable,
    Other,
    Received,
    Forwarded,
    Edited,
    Would,
    Dropped,
    Rejected,
    Injected,
    Sent,
    SendFailed,
    Flows,
    FlowsRefused,
    Alerts,
}

impl Count {
    const ALL: [(&'static str, Self); 15] = [
        ("packets", Self::Packets),
        ("unreadable", Self::Unreadable),
        ("other", Self::Other),
        ("received", Self::Received),
        ("forwarded", Self::Forwarded),
        ("edited", Self::Edited),
        ("would", Self::Would),
        ("dropped", Self::Dropped),
        ("rejected", Self::Rejected),
        ("injected", Self::Injected),
        ("sent", Self::Sent),
        ("send-failed", Self::SendFailed),
        ("flows", Self::Flows),
        ("flows-refused", Self::FlowsRefused),
        ("alerts", Self::Alerts),
    ];

    fn of(self, report: &Report) -> u64 {
        match self {
            Self::Packets => report.frames.all(),
            Self::Unreadable => report.frames.unreadable,
            Self::Other => report.frames.other,
            Self::Received => report.received,
            Self::Forwarded => report.forwarded,
            Self::Edited => report.edited,
            Self::Would => report.would,
            Self::Dropped => report.dropped(),
            Self::Rejected => report.rejected,
            Self::Injected => report.injected,
            Self::Sent => report.sent,
            Self::SendFailed => report.send_failed,
            Self::Flows => report.flows,
            Self::FlowsRefused => report.flows_refused,
            Self::Alerts => report.alerts,
        }
    }

    fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, count)| *count as u8 == self as u8);
        found.map_or("", |(name, _)| name)
    }
}
