//! EVE records of live traffic.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use gwlb_geneve::Timestamp;
use gwlb_geneve::config::EveFile;
use gwlb_geneve::inspect::Chain;
use gwlb_geneve::observe::eve::{Eve, EveWriter, EventRecorder};
use gwlb_geneve::runtime::{Control, Statistics};
use tracing::{info, warn};

/// Begins to record, behind what the file has.
pub(super) fn start(file: &EveFile) -> Result<(Eve, EveWriter)> {
    let sink = file.sink().with_context(|| format!("cannot open {} for EVE records", file.file))?;
    Ok(Eve::start_with(sink, file.settings)?)
}

/// Records counters from time to time, until what is returned is dropped.
pub(super) fn count(file: &EveFile, eve: &Eve, control: Control<Chain>) -> Result<Sender<()>> {
    let (end, ended) = mpsc::channel();
    let (mut records, pause) = (EventRecorder::new(eve.clone()), file.stats.max(LOOK));
    let (eve, started) = (eve.clone(), Instant::now());
    let told = move || {
        let (mut due, mut trouble) = (started, None);
        loop {
            let wait = due.saturating_duration_since(Instant::now()).min(LOOK);
            let has_ended = ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
            complain(&eve, &mut trouble);
            if has_ended || Instant::now() >= due {
                due = Instant::now() + pause;
                tell(&mut records, started, &control.statistics());
            }
            if has_ended {
                return;
            }
        }
    };
    thread::Builder::new().name("eve-stats".into()).spawn(told)?;
    Ok(end)
}

/// How often it is looked whether records can be written.
const LOOK: Duration = Duration::from_millis(500);

/// Logs when records cannot be written, and when they can be again.
fn complain(eve: &Eve, known: &mut Option<String>) {
    let trouble = eve.trouble();
    if trouble != *known {
        match &trouble {
            Some(error) => warn!(lost = eve.dropped(), "EVE records cannot be written: {error}"),
            None => info!(lost = eve.dropped(), "EVE records are written again"),
        }
        *known = trouble;
    }
}

fn tell(records: &mut EventRecorder, started: Instant, statistics: &Statistics) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let total = &statistics.total;
    let counters = &total.counters;
    records.stats(
        Timestamp::from_unix(now),
        started.elapsed().as_secs(),
        &[
            ("decoder", &[("pkts", total.received())]),
            ("flow", &[("total", total.flows.created)]),
            (
                "gwlb",
                &[
                    ("received", total.received()),
                    ("forwarded", counters.forwarded),
                    ("dropped", counters.dropped()),
                    ("sent", counters.sent),
                ],
            ),
        ],
    );
}
