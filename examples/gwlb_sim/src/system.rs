//! What the system has counted: datagrams that it did not hand over, and why.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::tally::{Tally, Wrong};

/// Processor time that this process has used, the system's share included.
pub(crate) fn cpu_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let micros = |time: TimeVal| time.num_microseconds().max(0) as u64;
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

/// The counters of this thread's network namespace (`/proc/net/snmp`).
#[derive(Clone, Debug, Default)]
pub(crate) struct SystemCounters(HashMap<String, u64>);

impl SystemCounters {
    /// As they stand. What cannot be read counts as 0.
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string("/proc/thread-self/net/snmp").unwrap_or_default();
        let mut counters = HashMap::new();
        let lines: Vec<_> = text.lines().collect();
        // A line of names, then a line of numbers, each behind the protocol's name.
        for pair in lines.chunks_exact(2) {
            let (names, numbers) = (pair[0].split_whitespace(), pair[1].split_whitespace());
            let protocol = pair[0].split(':').next().unwrap_or_default();
            for (name, number) in names.zip(numbers).skip(1) {
                counters.insert(format!("{protocol}.{name}"), number.parse().unwrap_or(0));
            }
        }
        Self(counters)
    }

    /// Adds what has been counted since to a tally. `ours` says that nobody else receives in this namespace: only
    /// then it is known whose datagrams those were.
    pub(crate) fn note_since(&self, tally: &mut Tally, ours: bool) {
        let now = Self::read();
        let since = |name: &str| {
            let value = |counters: &Self| counters.0.get(name).copied().unwrap_or(0);
            value(&now).saturating_sub(value(self))
        };
        tally.overflowed += since("Udp.RcvbufErrors");
        if ours {
            for (kind, name) in [
                (Wrong::DestinationPort, "Udp.NoPorts"),
                (Wrong::Checksum, "Udp.InCsumErrors"),
                (Wrong::Fragment, "Ip.ReasmReqds"),
            ] {
                let count = since(name);
                tally.wrong(kind, count);
                if count > 0 {
                    tally.example(|| {
                        format!("{}: the system has counted {count} ({name})", kind.name())
                    });
                }
            }
        }
    }
}
