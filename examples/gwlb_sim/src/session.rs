//! A run from beginning to end: the stage, the load, the report.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::args::Load;
use crate::load::{Limit, Loader, Pace};
use crate::report::{Report, Try};
use crate::stage::{APPLIANCE, GATEWAY, STRANGER, Stage, difference, is_healthy, stats};
use crate::stop::Stop;
use crate::tally::Tally;

/// Puts load on the appliance and prints what became of it.
pub(crate) fn run(load: &Load, stop: &Stop) -> Result<ExitCode> {
    let report = if load.target.self_contained {
        on_stage(load, stop)?
    } else {
        let appliance = load.target.appliance.context("--appliance is missing")?;
        let stranger = load.faults.stranger;
        let (tally, tries) =
            exercise(load, appliance, &load.target.gateway, stranger, stop, || Ok(false), || {})?;
        Report { tally, tries, metrics: None, ending: None }
    };
    report.print(load)
}

fn on_stage(load: &Load, stop: &Stop) -> Result<Report> {
    let mut stage = Stage::new(&load.target)?;
    let Stage { appliance, gateway, inside } = &mut stage;
    let mut before = None;
    let ready = || {
        appliance.check()?;
        Ok(is_healthy())
    };
    let (tally, tries) = gateway.run(|| {
        exercise(load, APPLIANCE, &[GATEWAY], Some(STRANGER), stop, ready, || {
            before = stats(inside);
        })
    })?;
    let metrics =
        before.zip(stats(&stage.inside)).map(|(before, after)| difference(&before, &after));
    let ended_early = stage.appliance.ended()?.is_some();
    let stopped = stage.appliance.stop(load.target.grace)?;
    let millis = stopped.after.as_millis();
    let text = match (ended_early, stopped.killed) {
        (true, _) => format!("{}, before it was asked to end", stopped.status),
        (false, true) => format!("killed, since it had not ended {millis} ms after SIGTERM"),
        (false, false) => format!("{}, {millis} ms after SIGTERM", stopped.status),
    };
    Ok(Report { tally, tries, metrics, ending: Some((text, !ended_early)) })
}

/// In the network namespace of this thread. `begins` is called when the appliance has answered.
fn exercise(
    load: &Load,
    appliance: SocketAddrV4,
    gateways: &[Ipv4Addr],
    stranger: Option<Ipv4Addr>,
    stop: &Stop,
    ready: impl FnMut() -> Result<bool>,
    begins: impl FnOnce(),
) -> Result<(Tally, Vec<Try>)> {
    let mut loader = Loader::new(load, appliance, gateways, stranger, stop.clone())?;
    loader.wait(load.target.wait, ready)?;
    begins();
    if load.search {
        return search(load, &mut loader, stop);
    }
    let pace = load.rate.map_or(Pace::Window(load.window as usize), Pace::Rate);
    let once = (!load.capture.is_empty() && load.profile.is_empty() && load.seconds.is_none())
        .then(|| loader.once_through());
    let packets = load.packets.or(once);
    let duration = match (load.seconds, packets) {
        (Some(seconds), _) => seconds,
        (None, Some(_)) => Duration::MAX,
        (None, None) => Duration::from_secs(5),
    };
    let limit = Limit { packets: packets.unwrap_or(u64::MAX), duration };
    Ok((loader.run(pace, limit)?, Vec::new()))
}

/// Doubles the rate until it is too high, then halves what lies between, to within a twentieth.
fn search(load: &Load, loader: &mut Loader, stop: &Stop) -> Result<(Tally, Vec<Try>)> {
    const FIRST: u64 = 10_000;
    let duration = load.seconds.unwrap_or(Duration::from_secs(1));
    let limit = Limit { packets: u64::MAX, duration };
    let most = load.max_loss.unwrap_or(0.0);
    let mut tries = Vec::new();
    let (mut good, mut bad) = (0, None);
    let mut rate = FIRST;
    let mut best: Option<Tally> = None;
    loop {
        let tally = loader.run(Pace::Rate(rate), limit)?;
        let loss_percent = tally.loss_percent();
        let short = tally.short;
        let passes = loss_percent <= most && !short;
        tries.push(Try { rate, loss_percent, short, good: passes });
        // Wrong answers are no matter of speed: they end the search, and the run with it.
        let is_over = tally.errors() > 0 || stop.is_asked();
        if passes {
            good = rate;
        } else {
            bad = Some(rate);
        }
        if passes || best.is_none() || is_over {
            best = Some(tally.clone());
        }
        rate = match bad {
            None => rate.saturating_mul(2),
            Some(bad) => good.midpoint(bad),
        };
        let is_close = bad.is_some_and(|bad| bad - good <= (bad / 20).max(100));
        if is_over || is_close {
            return Ok((best.unwrap_or(tally), tries));
        }
    }
}
