//! The packets that alerts are about.

use std::collections::VecDeque;

use gwlb_geneve::Timestamp;
use gwlb_geneve::capture::{LinkType, Packet};
use gwlb_geneve::engine::Outcome;
use gwlb_geneve::inspect::Severity;
use gwlb_geneve::runtime::{Frame, JudgedPacket};

use super::dissect::{Layer, dissect};
use super::tally::fate;
use crate::flows::{Flow, alerts};
use crate::visible::shortened;

/// Alerts that are shown with their packets: the first ones.
pub(super) const MOST_ALERTS: usize = 100;
/// Packets of the flow that are shown before the one that an alert came with.
pub(super) const MOST_BEFORE: usize = 3;
/// Bytes of a packet that are shown.
pub(super) const MOST_BYTES: usize = 1_024;
/// Bytes of what an alert says.
const LONGEST_MESSAGE: usize = 2_000;
/// Bytes, and packets, that are remembered in case an alert is about them.
const REMEMBERED: (usize, usize) = (8 << 20, 4_096);

#[derive(Default)]
pub(super) struct Evidence {
    pub(super) alerts: Vec<ShownAlert>,
    /// Alerts that came with packets, those that are not shown among them.
    pub(super) all: u64,
    recent: VecDeque<Kept>,
    recent_bytes: usize,
}

pub(super) struct ShownAlert {
    pub(super) name: String,
    pub(super) message: String,
    pub(super) severity: Severity,
    pub(super) since_start: f64,
    pub(super) flow: Option<usize>,
    /// Those before it, then the one that it came with.
    pub(super) packets: Vec<ShownPacket>,
}

pub(super) struct ShownPacket {
    pub(super) number: u64,
    pub(super) time: Timestamp,
    pub(super) outcome: Outcome,
    pub(super) layers: Vec<Layer>,
    /// As many as are shown.
    pub(super) bytes: Vec<u8>,
    /// How many there are.
    pub(super) len: usize,
}

/// A packet as it was captured.
struct Kept {
    number: u64,
    flow: Option<usize>,
    time: Timestamp,
    outcome: Outcome,
    link_type: LinkType,
    original_len: u32,
    data: Vec<u8>,
}

impl Evidence {
    pub(super) fn see(
        &mut self,
        frame: &Frame<'_>,
        judged: &JudgedPacket<'_>,
        flow: Option<&Flow>,
    ) {
        let Frame::Geneve { captured, .. } = frame else { return };
        let kept = Kept {
            number: captured.number,
            flow: flow.map(|flow| flow.number),
            time: captured.timestamp,
            outcome: judged.outcome,
            link_type: captured.link_type,
            original_len: captured.original_len,
            data: captured.data.to_vec(),
        };
        for alert in alerts(judged) {
            self.all += 1;
            if self.alerts.len() < MOST_ALERTS {
                self.alerts.push(ShownAlert {
                    name: alert.name.to_string(),
                    message: shortened(&alert.message, LONGEST_MESSAGE),
                    severity: alert.severity,
                    since_start: judged.since_start.as_secs_f64(),
                    flow: kept.flow,
                    packets: self.about(&kept),
                });
            }
        }
        if self.alerts.len() < MOST_ALERTS {
            self.remember(kept);
        }
    }

    /// A packet, and those of its flow before it.
    fn about(&self, packet: &Kept) -> Vec<ShownPacket> {
        let before = self.recent.iter().rev();
        let before = before.filter(|kept| kept.flow.is_some() && kept.flow == packet.flow);
        let mut packets: Vec<_> =
            std::iter::once(packet).chain(before.take(MOST_BEFORE)).map(Kept::shown).collect();
        packets.reverse();
        packets
    }

    fn remember(&mut self, kept: Kept) {
        let (most_bytes, most) = REMEMBERED;
        self.recent_bytes += kept.data.len();
        self.recent.push_back(kept);
        while self.recent_bytes > most_bytes || self.recent.len() > most {
            let Some(forgotten) = self.recent.pop_front() else { break };
            self.recent_bytes -= forgotten.data.len();
        }
    }
}

impl Kept {
    fn shown(&self) -> ShownPacket {
        let Self { number, time, link_type, original_len, ref data, .. } = *self;
        let captured =
            Packet { number, timestamp: time, link_type, interface: 0, original_len, data };
        ShownPacket {
            number,
            time,
            outcome: self.outcome,
            layers: dissect(&captured),
            bytes: data.iter().copied().take(MOST_BYTES).collect(),
            len: data.len(),
        }
    }
}

impl ShownPacket {
    pub(super) fn fate(&self) -> usize {
        fate(&self.outcome)
    }
}
