//! `appliance run`: stands behind a load balancer and judges its traffic.

mod alerts;
mod eve;
mod limits;
mod log;
mod plan;
mod shadow;
mod signals;
mod witness;

use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result};
use gwlb_geneve::engine::contains_panics;
use gwlb_geneve::inspect::{Chain, ExceptionPolicy};
use gwlb_geneve::observe::evidence::Evidence;
use gwlb_geneve::runtime::{Appliance, Overview, ShadowCounters};
use gwlb_geneve::transport::udp::{self, UdpSettings, Warning};
use tracing::{error, info, warn};

use crate::say;
use limits::Limits;
use log::Log;
pub(crate) use plan::Options;
use plan::Plan;
use shadow::Shadows;
use signals::Orders;
use witness::Witness;

/// Exit status where a flag or the configuration is wrong: to try again is of no use. Whatever else goes wrong is 1.
const MISTAKE: u8 = 2;

pub(crate) fn run(options: Options) -> ExitCode {
    let plan = match Plan::read(&options) {
        Ok(plan) => plan,
        Err(errors) => {
            errors.iter().for_each(|error| say(&format!("error: {error}")));
            return ExitCode::from(MISTAKE);
        }
    };
    let log = match Log::start(plan.run.log) {
        Ok(log) => log,
        Err(error) => {
            say(&format!("error: cannot log: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let result = serve(options, plan, &log);
    if let Err(error) = &result {
        error!("{error:#}");
    }
    log.flush();
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve(options: Options, mut plan: Plan, log: &Log) -> Result<()> {
    // First of all: from here on a signal is an order, and not the end.
    let orders = Orders::listen().context("cannot listen to signals")?;
    let run = plan.run.clone();
    let doors = plan.doors().open()?;

    let settings = plan.udp()?;
    for warning in udp::check(&settings) {
        // Where the port is in use, to open it says so.
        if !matches!(warning, Warning::PortInUse { .. }) {
            warn!("{warning}");
        }
    }
    let workers = match run.workers {
        Some(workers) => workers,
        None => thread::available_parallelism().context("cannot count the processors")?,
    };
    let records = match plan.eve().cloned() {
        Some(file) => {
            let (eve, writer) = eve::start(&file)?;
            plan.record_to(eve.clone());
            Some((file, eve, writer))
        }
        None => None,
    };
    let eve = records.as_ref().map(|(_, eve, _)| eve.clone());
    let (evidence, keeper) = match plan.evidence().cloned() {
        Some(settings) => {
            let directory = settings.directory.display().to_string();
            let started = Evidence::start(settings);
            let (evidence, keeper) =
                started.with_context(|| format!("cannot keep evidence in {directory}"))?;
            (Some(evidence), Some(keeper))
        }
        None => (None, None),
    };
    let shadows = Shadows::default();
    shadows.replace(plan.shadow.as_ref(), workers.get())?;
    let limits = Limits::default();
    limits.replace(plan.signatures());
    let (told, keeping, followers) = (eve.clone(), evidence.clone(), shadows.clone());
    let running = Appliance::new(plan.settings(), plan.inspectors())
        .workers(workers.get())
        .pin(run.pin)
        .observer(move |worker| Witness::new(told.as_ref(), keeping.as_ref(), followers.of(worker)))
        .serve(&settings)?;
    tell(&plan, &settings, workers.get());
    plan.tell_signatures();
    plan.tell_keys();
    let control = running.control();
    let counting = match &records {
        Some((file, eve, _)) => Some(eve::count(file, eve, control.clone())?),
        None => None,
    };
    let kept = evidence.clone();
    let overview = Overview::new(control.clone()).on_drain(signals::order_to_stop);
    let overview = with_counters(overview.with_eve(eve).with_evidence(evidence), &shadows, &limits);
    let _doors = doors.serve(overview).context("cannot answer over HTTP")?;
    orders.obey(control, options, plan, (shadows, limits), log.clone())?;

    let statistics = running.wait()?;
    drop(counting);
    if let Some((_, eve, writer)) = records {
        if let Err(error) = writer.finish() {
            error!("EVE records: {error}");
        }
        if eve.dropped() > 0 {
            warn!(dropped = eve.dropped(), written = eve.written(), "EVE records were lost");
        }
    }
    drop(keeper);
    if let Some(counters) = kept.map(|evidence| evidence.counters()) {
        let lost = counters.dropped + counters.failed;
        if lost > 0 {
            warn!(dropped = lost, written = counters.written, "packets of evidence were lost");
        }
    }
    let counters = &statistics.total.counters;
    info!(
        received = statistics.total.received(),
        forwarded = counters.forwarded,
        dropped = counters.dropped(),
        sent = counters.sent,
        "ended"
    );
    Ok(())
}

/// Tells of the shadow policy, too, and of the limits of the signatures.
fn with_counters(
    mut overview: Overview<Chain>,
    shadows: &Shadows,
    limits: &Limits,
) -> Overview<Chain> {
    type Value = fn(&ShadowCounters) -> u64;

    let counters: [(&str, &str, Value); 3] = [
        (
            "gwlb_shadow_datagrams",
            "Datagrams that the shadow policy judged",
            ShadowCounters::datagrams,
        ),
        (
            "gwlb_shadow_would_differ",
            "Of these, those of which something else would have become",
            ShadowCounters::would_differ,
        ),
        (
            "gwlb_shadow_would_pass",
            "Of these, those that would have been forwarded",
            ShadowCounters::would_pass,
        ),
    ];
    for (name, help, value) in counters {
        let counters = shadows.counters.clone();
        overview = overview.with_counter(name, help, move || value(&counters));
    }
    for (place, (name, help, _)) in limits::COUNTERS.into_iter().enumerate() {
        let limits = limits.clone();
        overview = overview.with_counter(name, help, move || limits.of(place));
    }
    overview
}

/// Says what it will do, so that a mistake in that is seen before it does harm.
fn tell(plan: &Plan, settings: &UdpSettings, workers: usize) {
    let policy = match plan.settings().policy {
        ExceptionPolicy::AVAILABLE => "available",
        ExceptionPolicy::STRICT => "strict",
        _ => "of its own",
    };
    let way = match settings.way {
        None => "packet socket where the neighbour is on Ethernet, else raw socket",
        Some(udp::Way::Packet) => "packet socket",
        Some(udp::Way::Raw) => "raw socket",
    };
    info!(
        address = %settings.address,
        port = settings.port,
        workers,
        origins = %settings.origins,
        way,
        policy,
        monitor = plan.settings().monitor,
        "GENEVE"
    );
    for (door, at) in [("health", plan.run.health), ("manage", plan.run.manage)] {
        match at {
            Some(at) => info!(%at, "HTTP: {door}"),
            None => info!("HTTP: {door} is off"),
        }
    }
    if plan.run.manage.is_some() && plan.run.manage_token.is_none() {
        info!(
            "HTTP: manage has no token: whoever is on this machine may look, and nobody can give orders there"
        );
    }
    if plan.run.health.is_none() {
        warn!("no health checks are answered: a load balancer will think that nobody is here");
    }
    if !contains_panics() {
        warn!(
            "built with panic = \"abort\": a panic of an inspector ends the process, and every flow with it"
        );
    }
}
