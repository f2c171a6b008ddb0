//! Who is told what the workers' engines do.

use gwlb_geneve::engine::{Datagram, Output, Settings};
use gwlb_geneve::observe::eve::{Eve, EventRecorder};
use gwlb_geneve::observe::evidence::{Evidence, EvidenceRecorder};
use gwlb_geneve::runtime::Observer;

use super::alerts::Alerts;

/// Logs; and records, and keeps evidence, where that is asked for.
pub(super) struct Witness {
    alerts: Alerts,
    records: Option<EventRecorder>,
    evidence: Option<EvidenceRecorder>,
}

impl Witness {
    pub(super) fn new(eve: Option<&Eve>, evidence: Option<&Evidence>) -> Self {
        Self {
            alerts: Alerts::default(),
            records: eve.cloned().map(EventRecorder::new),
            evidence: evidence.cloned().map(EvidenceRecorder::new),
        }
    }
}

impl Observer for Witness {
    fn judged(&mut self, datagrams: &[Datagram<'_>], output: &Output, settings: &Settings) {
        self.alerts.judged(datagrams, output, settings);
        if let Some(records) = &mut self.records {
            records.judged(datagrams, output, settings);
        }
        if let Some(evidence) = &mut self.evidence {
            evidence.judged(datagrams, output);
        }
    }

    fn idle(&mut self) {
        self.alerts.idle();
    }
}
