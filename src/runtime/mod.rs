//! Engines at work: what brings datagrams to an [`Engine`](crate::engine::Engine) and takes away what comes of them.
//!
//! [`Replay`] runs a capture file through an engine, so that an inspector can be tried where there is no load
//! balancer, and a decision be [explained](Replay::explain) long after it was made:
//!
//! ```
//! use gwlb_geneve::engine::{Engine, Settings};
//! use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
//! use gwlb_geneve::runtime::Replay;
//!
//! let no_ping = || {
//!     packet_fn("no-ping", |packet, _| match packet.five_tuple().ports {
//!         Some(_) => Verdict::PASS,
//!         None => Verdict::drop(Reason::new("ping")),
//!     })
//! };
//! let mut engine = Engine::new(Settings::default(), no_ping)?;
//! let report = Replay::open("tests/captures/http.pcapng")?
//!     .run(&mut engine, |packet| println!("{packet}"))?;
//! assert_eq!((report.received, report.forwarded), (41, 36));
//! assert_eq!(report.dropped[&Reason::new("ping")], 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Frames`] walks over a capture and finds the GENEVE packets in it, for those who want nothing judged.

mod burst;
mod error;
mod explain;
mod frames;
mod judged;
#[cfg(feature = "manage")]
mod manage;
mod replay;
mod report;

pub use error::{FrameError, ReplayError};
pub use explain::ExplainedPacket;
pub use frames::{Frame, FrameCounters, Frames};
pub use judged::JudgedPacket;
#[cfg(feature = "manage")]
pub use manage::{Management, ManagementError, ManagementSettings, OpenManagement, Subject};
pub use replay::Replay;
pub use report::{EndpointCounters, Report};
