//! Load on an appliance, at one of several paces.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gwlb_geneve::geneve::UDP_PORT;

use crate::args;
use crate::capture;
use crate::check::Checker;
use crate::envelope::{MAX_INNER_LEN, Wrapper};
use crate::flows::Flows;
use crate::ledger::{Ledger, State};
use crate::link::{BURST, Receiver, Sender};
use crate::profile;
use crate::script::Part;
use crate::stop::Stop;
use crate::system::{SystemCounters, cpu_time};
use crate::tally::Tally;
use crate::traffic::Traffic;

/// How fast packets are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// With this many without an answer.
    Window(usize),
    /// This many a second.
    Rate(u64),
}

/// When to stop, whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) packets: u64,
    pub(crate) duration: Duration,
}

/// A load balancer at work.
pub(crate) struct Loader {
    sender: Sender,
    receiver: Receiver,
    traffic: Traffic,
    checker: Checker,
    clock: Instant,
    patience: Duration,
    /// Packets that were sent before the appliance was known to answer.
    probes: u64,
    /// Whether the network namespace is the simulator's own.
    is_own: bool,
    stop: Stop,
}

/// Reads and makes what is to be sent.
pub(crate) fn parts(load: &args::Load) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut profiles = load.profile.clone();
    if profiles.is_empty() && load.capture.is_empty() {
        profiles.push(args::Profile::Small);
    }
    for profile in profiles {
        parts.extend(profile::parts(profile, load.ip, parts.len() as u8));
    }
    for part in &mut parts {
        for (flow, number) in part.flows.iter_mut().zip(0_u64..) {
            flow.endpoint = flow.endpoint.wrapping_add(number % u64::from(load.endpoints));
        }
    }
    for path in &load.capture {
        parts.push(capture::part(path)?);
    }
    Ok(parts)
}

impl Loader {
    /// In the network namespace of this thread.
    pub(crate) fn new(
        load: &args::Load,
        appliance: SocketAddrV4,
        gateways: &[Ipv4Addr],
        stranger: Option<Ipv4Addr>,
        stop: Stop,
    ) -> Result<Self> {
        let sender = Sender::new(appliance, gateways.first().copied())?;
        let gateways = if gateways.is_empty() { vec![sender.local] } else { gateways.to_vec() };
        if load.faults.foreign > 0.0 && stranger.is_none() {
            bail!("--foreign needs another address to send from: --stranger ADDRESS");
        }
        let addresses = gateways.iter().chain(&stranger);
        let receiver =
            Receiver::new(addresses.map(|&address| SocketAddrV4::new(address, UDP_PORT)))?;

        let parts = parts(load)?;
        let longest = parts.iter().map(Part::longest).max().unwrap_or(0).max(64);
        let longest = if load.faults.jumbo > 0.0 { MAX_INNER_LEN } else { longest };
        let patience = Duration::from_millis(load.patience);
        let room = match (load.rate, load.search) {
            (None, false) => load.window as usize * 2,
            // What may be under way in an open loop, within bounds of memory.
            (rate, _) => {
                let rate = rate.unwrap_or(2_000_000) as f64;
                ((rate * patience.as_secs_f64() * 1.1) as usize)
                    .min((1 << 30) / (longest + 192))
                    .max(BURST * 4)
            }
        };
        let mut ledger = Ledger::new(Flows::new(gateways), room, longest);
        let wrapper = Wrapper::new(sender.ethernet, appliance)?;
        let faults = load.faults.clone();
        let traffic = Traffic::new(wrapper, parts, faults, stranger, load.seed, &mut ledger);
        let checker = Checker::new(ledger, appliance, load.allow_drops);
        let is_own = load.target.self_contained;
        let clock = Instant::now();
        Ok(Self { sender, receiver, traffic, checker, clock, patience, probes: 0, is_own, stop })
    }

    /// Sends a packet now and then until the appliance answers rightly, or `ready` says that it is.
    pub(crate) fn wait(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < patience && !self.stop.is_asked() {
            let now = self.now();
            self.traffic.probe(&mut self.checker.ledger, now);
            self.flush()?;
            self.receiver.wait(Duration::from_millis(100));
            self.receive()?;
            if self.checker.tally.answered > 0 || ready()? {
                self.settle()?;
                self.probes = self.checker.tally.sent;
                self.checker.tally = Tally::new();
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        let tally = &self.checker.tally;
        let found = match tally.examples.first() {
            Some(example) => format!("; what came was wrong: {example}"),
            None => String::new(),
        };
        bail!("the appliance gives no answer within {} s{found}", patience.as_secs_f64())
    }

    /// How many packets there are in all parts.
    pub(crate) fn once_through(&self) -> u64 {
        self.traffic.packets() as u64
    }

    /// Sends at a pace until a limit, waits for the last answers, and tells what was counted.
    pub(crate) fn run(&mut self, pace: Pace, limit: Limit) -> Result<Tally> {
        let system = SystemCounters::read();
        let cpu = cpu_time();
        self.checker.tally = Tally::new();
        let begin = self.now();
        let end =
            begin.saturating_add(u64::try_from(limit.duration.as_nanos()).unwrap_or(u64::MAX));
        let mut sent = 0_u64;
        let mut idle = 0_u32;
        loop {
            let now = self.now();
            if now >= end || sent >= limit.packets || self.stop.is_asked() {
                break;
            }
            let waiting = self.checker.ledger.waiting();
            let (due, least) = match pace {
                Pace::Window(window) => {
                    // A few at a time, so that system calls do not set the pace.
                    let least = if waiting == 0 { 1 } else { (window / 4).clamp(1, BURST / 2) };
                    (window.saturating_sub(waiting) as u64, least as u64)
                }
                Pace::Rate(rate) => {
                    let due = (now - begin) as f64 * rate as f64 / 1e9;
                    ((due as u64 + 1).saturating_sub(sent), 1)
                }
            };
            let due = due.min(limit.packets - sent);
            let mut busy = false;
            if due >= least.min(limit.packets - sent) && due > 0 {
                sent += self.send(due.min(BURST as u64), now)?;
                busy = true;
            }
            // Behind by a twentieth of a second: the rate is beyond this machine.
            if let Pace::Rate(rate) = pace {
                self.checker.tally.short |= due > (rate / 20).max(BURST as u64 * 4);
            }
            busy |= self.receive()? > 0;
            self.checker.expire(self.overdue());
            idle = if busy { 0 } else { idle + 1 };
            // The appliance may need this very core.
            match (idle, pace) {
                (0, _) => {}
                (1..100, _) | (_, Pace::Rate(_)) => thread::yield_now(),
                _ => self.receiver.wait(Duration::from_millis(1)),
            }
        }
        let now = self.now();
        self.traffic.finish(&mut self.checker.ledger, now);
        self.flush()?;
        let duration = Duration::from_nanos(now - begin);
        if let Pace::Rate(rate) = pace {
            let due = (rate as f64 * duration.as_secs_f64()).min(limit.packets as f64);
            self.checker.tally.short |= (sent as f64) < due * 0.95;
        }
        self.settle()?;
        let mut tally = std::mem::replace(&mut self.checker.tally, Tally::new());
        system.note_since(&mut tally, self.is_own);
        tally.probes = self.probes;
        tally.duration = duration;
        tally.cpu = cpu_time().saturating_sub(cpu);
        Ok(tally)
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// What was sent before this is overdue.
    fn overdue(&self) -> u64 {
        self.now().saturating_sub(self.patience.as_nanos() as u64)
    }

    fn send(&mut self, due: u64, now: u64) -> Result<u64> {
        let mut sent = 0;
        while sent < due && self.traffic.next(&mut self.checker.ledger, now) {
            sent += 1;
        }
        self.flush()?;
        Ok(sent)
    }

    fn flush(&mut self) -> Result<()> {
        let ledger = &self.checker.ledger;
        for burst in self.traffic.ready.chunks(BURST) {
            self.sender.send(burst.iter().map(|&slot| ledger.frame(slot)))?;
            for &slot in burst {
                match ledger.slot(slot).state {
                    State::Forbidden(why) => self.checker.tally.forbidden[usize::from(why)] += 1,
                    _ => self.checker.tally.sent += 1,
                }
            }
        }
        self.traffic.ready.clear();
        Ok(())
    }

    fn receive(&mut self) -> Result<usize> {
        let now = self.now();
        let checker = &mut self.checker;
        self.receiver.receive(|gateway, received| checker.check(gateway, &received, now))
    }

    /// Waits for the answers that are due, and a little longer for those that are not.
    fn settle(&mut self) -> Result<()> {
        const TOO_MUCH: Duration = Duration::from_millis(50);
        let mut last = Instant::now();
        while self.checker.ledger.waiting() > 0 || last.elapsed() < TOO_MUCH {
            if self.stop.is_asked() {
                break;
            }
            if self.receive().context("while waiting for the last answers")? > 0 {
                last = Instant::now();
            } else {
                self.receiver.wait(Duration::from_millis(5));
            }
            self.checker.expire(self.overdue());
        }
        Ok(())
    }
}
