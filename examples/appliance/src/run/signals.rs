use std::io;
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use gwlb_geneve::config::differences;
use gwlb_geneve::engine::Flows;
use gwlb_geneve::inspect::Chain;
use gwlb_geneve::runtime::Control;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{error, info, warn};

use super::limits::Limits;
use super::log::Log;
use super::plan::{Options, Plan, Started};
use super::shadow::{ShadowFile, Shadows};

/// The signals that are orders.
pub(super) struct Orders(Signals);

/// How long workers may take to end when they are to end at once, or when their time is over.
const GRACE: Duration = Duration::from_secs(5);

impl Orders {
    pub(super) fn listen() -> io::Result<Self> {
        Signals::new([SIGHUP, SIGINT, SIGTERM]).map(Self)
    }

    /// Obeys on a thread of its own. `plan` is what it was started with.
    pub(super) fn obey(
        mut self,
        control: Control<Chain>,
        options: Options,
        mut plan: Plan,
        (shadows, limits): (Shadows, Limits),
        log: Log,
    ) -> io::Result<()> {
        let (mut drain, mut text) = (plan.run.drain, plan.text.clone());
        // What is evaluated without effect is another story than what was started with.
        let mut shadow = plan.shadow.take();
        let started = plan.started();
        let obey = move || {
            for signal in self.0.forever() {
                match signal {
                    SIGHUP => match &options.config {
                        Some(file) => {
                            let read = reload(&control, &options, file, (&started, &text));
                            if let Some(new) = read {
                                limits.replace(new.signatures());
                                limits.await_end();
                                (drain, text) = (new.run.drain, new.text);
                                follow(&shadows, &mut shadow, new.shadow, control.workers());
                            }
                        }
                        None => warn!("SIGHUP: there is no configuration to read again"),
                    },
                    _ if control.is_ending() => {
                        warn!("told to stop again: ending at once");
                        control.stop();
                        end_after(GRACE, &log);
                    }
                    _ => {
                        info!(
                            seconds = drain.as_secs_f64(),
                            "told to stop: health checks fail from now on, known flows go on as long as there are any, at most \
                             for the drain time"
                        );
                        control.drain(drain);
                        end_after(drain.saturating_add(GRACE), &log);
                    }
                }
            }
        };
        thread::Builder::new().name("signals".into()).spawn(obey).map(drop)
    }
}

/// Gives this process the order to stop, as if somebody had sent the signal.
pub(super) fn order_to_stop() {
    if let Err(error) = signal_hook::low_level::raise(SIGTERM) {
        error!("cannot order it to stop: {error}");
    }
}

/// Ends the process if it still lives then: a worker does not end when one of its inspectors does not.
fn end_after(time: Duration, log: &Log) {
    let log = log.clone();
    thread::spawn(move || {
        thread::sleep(time);
        error!("a worker does not end: the process ends without it");
        log.flush();
        process::exit(1);
    });
}

fn reload(
    control: &Control<Chain>,
    options: &Options,
    file: &Path,
    (started_with, text): (&Started, &str),
) -> Option<Plan> {
    let mut plan = match Plan::read(options) {
        Ok(plan) => plan,
        Err(errors) => {
            for error in &errors {
                error!("{error}");
            }
            error!(file = %file.display(), "SIGHUP: nothing was changed");
            return None;
        }
    };
    if plan.eve() != started_with.eve.as_ref() {
        warn!(key = "eve", "SIGHUP: stays as it is until a restart");
    }
    // Which alerts and which rules, that changes.
    if plan.evidence() != started_with.evidence.as_ref() {
        warn!(key = "tap", "SIGHUP: stays where it is until a restart");
    }
    plan.record_as(started_with);
    plan.reopen();
    let (now, new) = (control.settings(), plan.settings());
    let run = plan.run.fixed(&started_with.run).into_iter();
    for key in new.fixed(&now).into_iter().chain(run) {
        warn!(key, "SIGHUP: stays as it is until a restart");
    }
    let settings = new.with_fixed(&now);
    let flows = plan.run.reload;
    match control.reload(&settings, plan.inspectors(), flows) {
        Ok(()) => {
            tell_differences(text, &plan.text);
            plan.tell_signatures();
            plan.tell_keys();
            let of_flows = match flows {
                Flows::Keep => "flows that there are keep their inspectors",
                Flows::Reopen => "flows that there are go on under it, too",
            };
            info!(file = %file.display(), "SIGHUP: the configuration is in force; {of_flows}");
            Some(plan)
        }
        Err(error) => {
            error!("SIGHUP: nothing was changed: {error}");
            None
        }
    }
}

/// Goes on with another shadow policy. One that is the same goes on with the flows that it knows.
fn follow(
    shadows: &Shadows,
    present: &mut Option<ShadowFile>,
    new: Option<ShadowFile>,
    workers: usize,
) {
    let is_same = match (&*present, &new) {
        (None, None) => true,
        (Some(present), Some(new)) => present.is_like(new),
        _ => false,
    };
    if is_same {
        return;
    }
    match shadows.replace(new.as_ref(), workers) {
        Ok(()) => *present = new,
        Err(error) => error!("SIGHUP: the shadow policy stays as it was: {error:#}"),
    }
}

/// Says what the text of a new configuration says otherwise. The files that it names may have changed all the same.
fn tell_differences(before: &str, after: &str) {
    const MOST: usize = 100;
    let differences = differences(before, after);
    if differences.is_empty() {
        info!("SIGHUP: the text of the configuration says what it said before");
    }
    for difference in differences.iter().take(MOST) {
        info!("SIGHUP: {difference}");
    }
    if let Some(more) = differences.len().checked_sub(MOST).filter(|more| *more > 0) {
        info!("SIGHUP: and {more} more");
    }
}
