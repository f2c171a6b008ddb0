use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use std::collections::HashMap;

use crate::Timestamp;
use crate::engine::{Datagram, Disposition, Event, EventKind, Output};
use crate::flow::FlowKey;
use crate::gwlb::EndpointId;
use crate::inspect::{Alert, Reason};

/// Something that people should know, as it was told not long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecentAlert {
    /// Its number among those of its worker, from 1.
    pub number: u64,
    /// The time of its packet; where none brought it about, about when it happened.
    pub time: Timestamp,
    /// The endpoint that the packet came through.
    pub endpoint: EndpointId,
    /// The flow.
    pub flow: FlowKey,
    /// What happened.
    pub what: EventKind,
    /// What became of the packet, and why it was not forwarded if it was not; `None` where there was none.
    pub outcome: Option<(Disposition, Reason)>,
}

/// What a worker's inspectors had to say: how often, by name, and the latest of it.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    counts: HashMap<Cow<'static, str>, u64>,
    further: u64,
    latest: VecDeque<RecentAlert>,
    told: u64,
}

/// So many names are counted by themselves. Rules have names, and reloads bring new ones.
const MOST_NAMES: usize = 256;

/// So many of the latest are kept.
pub(super) const LATEST: usize = 64;

impl Alerts {
    /// Takes the events out of the output of a call.
    #[inline]
    pub(super) fn take(&mut self, datagrams: &[Datagram<'_>], now: Timestamp, output: &mut Output) {
        if !output.events().is_empty() {
            self.take_some(datagrams, now, output);
        }
    }

    #[cold]
    fn take_some(&mut self, datagrams: &[Datagram<'_>], now: Timestamp, output: &mut Output) {
        let (outcomes, events) = output.take_events();
        for Event { datagram, endpoint, flow, what } in events {
            match &what {
                EventKind::Alert(alert) => self.count(alert),
                EventKind::Exception(..) => {}
                // That evidence is kept is nothing that people should know at once.
                EventKind::Capture(_) => continue,
            }
            self.told = self.told.wrapping_add(1);
            let (number, place) = (self.told, datagram);
            let time = place.and_then(|place| datagrams.get(place)).map_or(now, Datagram::time);
            let outcome = place.and_then(|place| outcomes.get(place));
            let outcome = outcome.map(|outcome| (outcome.disposition, outcome.reason));
            if self.latest.len() >= LATEST {
                self.latest.pop_front();
            }
            self.latest.push_back(RecentAlert { number, time, endpoint, flow, what, outcome });
        }
    }

    fn count(&mut self, alert: &Alert) {
        let has_room = self.counts.len() < MOST_NAMES;
        let counter = match self.counts.get_mut(&alert.name) {
            Some(counter) => counter,
            None if has_room => self.counts.entry(alert.name.clone()).or_default(),
            None => &mut self.further,
        };
        *counter = counter.wrapping_add(1);
    }

    pub(super) fn counts(&self) -> BTreeMap<Cow<'static, str>, u64> {
        self.counts.iter().map(|(name, count)| (name.clone(), *count)).collect()
    }

    pub(super) const fn further(&self) -> u64 {
        self.further
    }

    pub(super) fn latest(&self) -> Vec<RecentAlert> {
        self.latest.iter().cloned().collect()
    }
}

/// Those of several workers together.
pub(super) fn merge(alerts: &mut Vec<RecentAlert>, others: &[RecentAlert]) {
    alerts.extend_from_slice(others);
    alerts.sort_by_key(|alert| alert.time);
    let surplus = alerts.len().saturating_sub(LATEST);
    alerts.drain(..surplus);
}
