//! EVE records of live traffic.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use gwlb_geneve::Timestamp;
use gwlb_geneve::config::EveFile;
use gwlb_geneve::inspect::Chain;
use gwlb_geneve::observe::eve::{Eve, EveWriter, EventRecorder};
use gwlb_geneve::runtime::{Control, Statistics};

/// Begins to record, behind what the file has.
pub(super) fn start(file: &EveFile) -> Result<(Eve, EveWriter)> {
    let output: Box<dyn Write + Send> = match file.file.as_str() {
        "-" => Box::new(io::stdout()),
        name => {
            let opened = OpenOptions::new().create(true).append(true).open(name);
            Box::new(opened.with_context(|| format!("cannot open {name} for EVE records"))?)
        }
    };
    Ok(Eve::start(output, file.settings)?)
}

/// Records counters from time to time, until what is returned is dropped.
pub(super) fn count(file: &EveFile, eve: &Eve, control: Control<Chain>) -> Result<Sender<()>> {
    let (end, ended) = mpsc::channel();
    let (mut records, pause) = (EventRecorder::new(eve.clone()), file.stats);
    let started = Instant::now();
    let told = move || {
        let mut goes_on = true;
        while goes_on {
            goes_on = ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout);
            tell(&mut records, started, &control.statistics());
        }
    };
    thread::Builder::new().name("eve-stats".into()).spawn(told)?;
    Ok(end)
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
