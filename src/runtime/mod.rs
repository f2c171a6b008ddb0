//! Engines at work: what brings datagrams to an [`Engine`](crate::engine::Engine) and takes away what comes of them.
#![cfg_attr(
    feature = "live",
    doc = "
# Live traffic

An [`Appliance`] runs one [`Worker`] for each [`Transport`](crate::transport::Transport) that it is given, each a thread with an engine of its own; its
[`Control`] asks them what they have done, gives them other inspectors, and ends them:

```
use core::time::Duration;
use gwlb_geneve::engine::Settings;
use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
use gwlb_geneve::runtime::Appliance;
use gwlb_geneve::transport::MemoryTransport;

let no_telnet = || {
    packet_fn(\"no-telnet\", |packet, _| match packet.five_tuple().ports {
        Some(ports) if ports.destination == 23 => Verdict::reject(Reason::new(\"telnet\")),
        _ => Verdict::PASS,
    })
};
let (transport, _network) = MemoryTransport::new();
let running = Appliance::new(Settings::default(), no_telnet).start(vec![transport])?;

let control = running.control();
println!(\"{} packets\", control.statistics().total.received());
control.stop();
let statistics = running.wait()?;
assert!(statistics.is_balanced());
# Ok::<(), Box<dyn std::error::Error>>(())
```

A datagram belongs to the worker that [`FlowKey::owner`](crate::flow::FlowKey::owner) names. One that comes in elsewhere crosses over to it as a copy: the kernel
cannot steer fragments, ICMP errors and tunnels by the flow that they belong to.

[`Control::bypass`] lets everything pass, in the worst hour, without a restart. With the feature `manage`, `ManagementSettings` opens
ports for health checks, metrics, and a page to look at.

A packet's way costs no lock and no atomic operation but a few loads, and in steady state no memory is allocated. Three exceptions:
where there are several workers, a fragment locks a directory that they share; a packet that is recorded or kept as evidence, or that takes
tokens of a [limit](crate::inspectors::rate) that all workers share, takes a lock for as long as that is copied, or counted; and each
worker allocates a little when it judges a packet of its own, once a second.
"
)]
#![cfg_attr(
    feature = "capture",
    doc = "
# Captures

[`Replay`] runs a capture file through an engine, so that an inspector can be tried where there is no load
balancer, and a decision be [explained](Replay::explain) long after it was made:

```
use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
use gwlb_geneve::packet::IpProtocol;
use gwlb_geneve::runtime::Replay;

let no_ping = || {
    packet_fn(\"no-ping\", |packet, _| match packet.five_tuple().protocol {
        IpProtocol::ICMP | IpProtocol::ICMPV6 => Verdict::drop(Reason::new(\"ping\")),
        _ => Verdict::PASS,
    })
};
let mut engine = Engine::new(Settings::default(), no_ping)?;
let report = Replay::open(\"tests/captures/http.pcapng\")?
    .run(&mut engine, |packet| println!(\"{packet}\"))?;
assert_eq!((report.received, report.forwarded), (41, 36));
assert_eq!(report.dropped[&Reason::new(\"ping\")], 2);
# Ok::<(), Box<dyn std::error::Error>>(())
```

[`Replay::try_compare`] has two engines judge the same capture: what would another configuration do? With the feature `config`, an
`Expectations` holds what should come of a capture, for tests.

[`Frames`] walks over a capture and finds the GENEVE packets in it, for those who want nothing judged.
"
)]

#[cfg(feature = "live")]
mod alerts;
#[cfg(feature = "live")]
mod appliance;
#[cfg(feature = "capture")]
mod burst;
#[cfg(feature = "capture")]
mod compare;
#[cfg(feature = "live")]
mod control;
#[cfg(feature = "live")]
mod desk;
#[cfg(feature = "live")]
mod directory;
mod endpoints;
#[cfg(feature = "capture")]
mod error;
#[cfg(all(feature = "capture", feature = "config"))]
mod expect;
#[cfg(feature = "capture")]
mod explain;
#[cfg(feature = "live")]
mod failure;
#[cfg(feature = "capture")]
mod flow_numbers;
#[cfg(feature = "capture")]
mod frames;
#[cfg(feature = "live")]
mod hand_over;
#[cfg(feature = "live")]
mod health;
#[cfg(feature = "capture")]
mod judged;
#[cfg(feature = "manage")]
mod manage;
#[cfg(feature = "live")]
mod overload;
#[cfg(all(any(feature = "capture", feature = "eve"), feature = "live"))]
mod record;
#[cfg(feature = "capture")]
mod replay;
#[cfg(feature = "capture")]
mod report;
#[cfg(all(feature = "live", feature = "udp", target_os = "linux", target_pointer_width = "64"))]
mod serve;
#[cfg(feature = "live")]
mod shadow;
#[cfg(feature = "live")]
mod shift;
#[cfg(feature = "live")]
mod statistics;
#[cfg(feature = "live")]
mod top_flows;
#[cfg(feature = "live")]
mod turn;
#[cfg(feature = "live")]
mod worker;

#[cfg(feature = "manage")]
pub use crate::token::{Token, TokenError};
#[cfg(feature = "live")]
pub use alerts::RecentAlert;
#[cfg(feature = "live")]
pub use appliance::{Appliance, Running};
#[cfg(feature = "capture")]
pub use compare::{ComparedPacket, Comparison};
#[cfg(feature = "live")]
pub use control::Control;
pub use endpoints::EndpointCounters;
#[cfg(feature = "capture")]
pub use error::{FrameError, ReplayError};
#[cfg(all(feature = "capture", feature = "config"))]
pub use expect::{Checked, Expectations, Unmet};
#[cfg(feature = "capture")]
pub use explain::ExplainedPacket;
#[cfg(feature = "live")]
pub use failure::{ReloadFailed, RunError, StartError, WorkerError};
#[cfg(feature = "capture")]
pub use flow_numbers::FlowNumbers;
#[cfg(feature = "capture")]
pub use frames::{Frame, FrameCounters, Frames};
#[cfg(feature = "live")]
pub use health::{Ailment, Health};
#[cfg(feature = "capture")]
pub use judged::{JudgedPacket, ReplayedFrame};
#[cfg(feature = "manage")]
pub use manage::{
    Management, ManagementError, ManagementSettings, OpenManagement, Overview, Subject,
};
#[cfg(feature = "live")]
pub use overload::OverloadLimits;
#[cfg(feature = "capture")]
pub use replay::Replay;
#[cfg(feature = "capture")]
pub use report::Report;
#[cfg(feature = "live")]
pub use shadow::{Difference, Shadow, ShadowCounters};
#[cfg(feature = "live")]
pub use statistics::{Statistics, WorkerStatistics};
#[cfg(feature = "live")]
pub use turn::Turn;
#[cfg(feature = "live")]
pub use worker::{Observer, Worker, WorkerSettings};
