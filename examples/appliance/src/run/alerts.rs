use std::time::{Duration, Instant};

use gwlb_geneve::engine::{Datagram, Event, EventKind, Output, Settings};
use gwlb_geneve::inspect::Severity;
use gwlb_geneve::runtime::Observer;
use tracing::{error, info, warn};

/// Logs what a worker's inspectors have to say: so much of it that a person can follow, and nobody can fill a disk.
#[derive(Default)]
pub(super) struct Alerts {
    /// When the present second began, and how much was said in it.
    second: Option<(Instant, u32)>,
    withheld: u64,
}

/// In a second, of one worker.
const MOST: u32 = 100;

impl Observer for Alerts {
    fn judged(&mut self, _datagrams: &[Datagram<'_>], output: &Output, settings: &Settings) {
        for event in output.events() {
            self.tell(event, settings);
        }
    }

    fn idle(&mut self) {
        if self.withheld > 0 {
            self.may();
        }
    }
}

impl Alerts {
    pub(super) fn tell(&mut self, event: &Event, settings: &Settings) {
        if matches!(event.what, EventKind::Capture(_)) {
            return;
        }
        if self.may() {
            tell(event, settings.name_of(event.endpoint));
        } else {
            self.withheld += 1;
        }
    }

    fn may(&mut self) -> bool {
        let now = Instant::now();
        let (since, said) = self.second.unwrap_or((now, 0));
        if now.duration_since(since) < Duration::from_secs(1) {
            self.second = Some((since, said.saturating_add(1)));
            return said < MOST;
        }
        self.second = Some((now, 1));
        if self.withheld > 0 {
            warn!(target: "alert", count = self.withheld, "too many alerts: so many were not logged");
            self.withheld = 0;
        }
        true
    }
}

/// `endpoint_name` is there where people have a name for it.
fn tell(event: &Event, endpoint_name: Option<&str>) {
    let Event { endpoint, flow, what, .. } = event;
    match what {
        EventKind::Alert(alert) => {
            let (name, text, severity) = (&*alert.name, &*alert.message, alert.severity);
            match severity {
                Severity::Info | Severity::Notice => {
                    info!(target: "alert", name, %endpoint, endpoint_name, %flow, "{text}");
                }
                Severity::Warning => {
                    warn!(target: "alert", name, %endpoint, endpoint_name, %flow, "{text}");
                }
                Severity::Critical => {
                    error!(target: "alert", name, %endpoint, endpoint_name, %flow, "{text}");
                }
            }
        }
        EventKind::Exception(class, treatment) => {
            let (name, treatment) = (class.name(), treatment.name());
            warn!(target: "alert", name, treatment, %endpoint, endpoint_name, %flow, "exception");
        }
        _ => {}
    }
}
