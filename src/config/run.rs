use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::num::NonZeroUsize;
use core::time::Duration;

use super::Token;
use crate::engine::Flows;
use crate::geneve::UDP_PORT;
use crate::inspectors::access::IpNetwork;

/// Where an appliance stands and how it works: the keys of `[run]`.
///
/// By default it serves a load balancer on a machine of its own: GENEVE on all addresses, health checks on port 8080,
/// numbers for this machine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// How datagrams come and go.
    pub transport: TransportKind,
    /// The way out.
    pub way: Way,
    /// The address that load balancers send to. By default every address of the machine.
    pub bind: Ipv4Addr,
    /// The UDP port that they send to. By default 6081.
    pub port: u16,
    /// How many workers there are. By default as many as the machine has processors.
    pub workers: Option<NonZeroUsize>,
    /// Whether each worker stays on a processor of its own. By default not.
    pub pin: bool,
    /// The load balancers' networks. Datagrams from elsewhere are dropped. By default, where it is empty, those that the
    /// transport thinks right: private ones.
    pub allow_origin: Vec<IpNetwork>,
    /// Bytes that a worker's socket may hold while the worker is busy. By default what the transport thinks right.
    pub receive_buffer: Option<usize>,
    /// How long a worker looks for datagrams itself before it waits for the system to wake it. By default what the transport
    /// thinks right.
    pub busy_poll: Option<Duration>,
    /// Where health checks are answered. By default port 8080 of all addresses.
    pub health: Option<SocketAddr>,
    /// Where metrics are told. By default port 9090 of 127.0.0.1.
    pub manage: Option<SocketAddr>,
    /// What whoever looks after the appliance must know. By default nobody has to, and nothing can be told to it.
    pub manage_token: Option<Token>,
    /// A file that has the token.
    pub manage_token_file: Option<String>,
    /// Names by which browsers may call the management port, beside addresses and `localhost`. By default none.
    pub manage_hosts: Vec<String>,
    /// How long known flows may go on when the appliance is told to stop. It should not be shorter than the target group's
    /// deregistration delay, which is 300 s unless it was changed. By default 330 s.
    pub drain: Duration,
    /// The form of the log.
    pub log: LogFormat,
    /// The file of a second configuration that is evaluated beside this one, without effect. By default there is none.
    pub shadow: Option<String>,
    /// What becomes of the flows that there are when the configuration is read again. By default they go on under the inspectors that
    /// they began under.
    pub reload: Flows,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            transport: TransportKind::default(),
            way: Way::default(),
            bind: Ipv4Addr::UNSPECIFIED,
            port: UDP_PORT,
            workers: None,
            pin: false,
            allow_origin: Vec::new(),
            receive_buffer: None,
            busy_poll: None,
            health: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8_080)),
            manage: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_090)),
            manage_token: None,
            manage_token_file: None,
            manage_hosts: Vec::new(),
            drain: Duration::from_secs(330),
            log: LogFormat::default(),
            shadow: None,
            reload: Flows::default(),
        }
    }
}

impl Run {
    /// The keys of `[run]` whose values differ, and that only a start can change: all but drain time, shadow, and
    /// what becomes of flows.
    pub fn fixed(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("transport", self.transport == other.transport),
            ("way", self.way == other.way),
            ("bind", self.bind == other.bind),
            ("port", self.port == other.port),
            ("workers", self.workers == other.workers),
            ("pin", self.pin == other.pin),
            ("allow-origin", self.allow_origin == other.allow_origin),
            ("receive-buffer", self.receive_buffer == other.receive_buffer),
            ("busy-poll", self.busy_poll == other.busy_poll),
            ("health", self.health == other.health),
            ("manage", self.manage == other.manage),
            ("manage-token", self.manage_token == other.manage_token),
            ("manage-token-file", self.manage_token_file == other.manage_token_file),
            ("manage-hosts", self.manage_hosts == other.manage_hosts),
            ("log", self.log == other.log),
        ];
        fields.into_iter().filter(|(_, is_same)| !is_same).map(|(key, _)| key).collect()
    }
}

/// Which flows a configuration that is read again is for: the words of `run.reload`.
pub(super) const RELOADS: [(&str, Flows); 2] = [("new", Flows::Keep), ("all", Flows::Reopen)];

/// How datagrams come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// UDP sockets.
    #[default]
    Udp,
}

impl TransportKind {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 1] = [("udp", Self::Udp)];
}

/// The way out of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// A packet socket where there can be one, else a raw socket.
    #[default]
    Auto,
    /// A packet socket: quicker, past the machine's own routes and firewall rules.
    Packet,
    /// A raw IP socket.
    Raw,
}

impl Way {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("packet", Self::Packet), ("raw", Self::Raw)];
}

/// The form of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogFormat {
    /// Lines for a person.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}
