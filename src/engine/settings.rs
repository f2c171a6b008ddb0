use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::flow::{EndpointGroups, FlowLimits, FlowSeed, FlowTimeouts};
use crate::gwlb::{EndpointId, Profile};
use crate::inspect::{ExceptionPolicy, MssClamp, Severity};
use crate::protocol;
use crate::stream::StreamLimits;
use crate::stream::defrag::DefragLimits;

/// What an [`Engine`](super::Engine) is made with.
///
/// ```
/// use gwlb_geneve::engine::Settings;
/// use gwlb_geneve::inspect::ExceptionPolicy;
///
/// let settings = Settings { policy: ExceptionPolicy::STRICT, ..Settings::default() };
/// # assert!(!settings.monitor);
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose load balancer it is. By default AWS.
    pub profile: Profile,
    /// How many flows there may be.
    pub flows: FlowLimits,
    /// When flows end.
    pub timeouts: FlowTimeouts,
    /// How many datagrams in fragments may be under way at a time. By default 65,536.
    pub fragments: usize,
    /// How many of these one endpoint may have. By default 32,768, so that one alone cannot take them all.
    pub fragments_per_endpoint: usize,
    /// How much may be remembered of the bytes of TCP connections, where inspectors want streams or messages.
    pub streams: StreamLimits,
    /// How much may be remembered of datagrams that come in fragments, where inspectors want streams or messages.
    pub defrag: DefragLimits,
    /// How large messages may be.
    pub messages: protocol::Limits,
    /// How many bytes of messages that are not whole yet may be gathered, of all flows together. By default 16 MiB.
    pub message_bytes: usize,
    /// How many of these one endpoint may have. By default 12 MiB.
    pub message_bytes_per_endpoint: usize,
    /// Endpoints that share a key space, since one flow may cross several of them.
    pub groups: EndpointGroups,
    /// Endpoints, with what is different for them. Where there are any, others are
    /// [unknown](crate::inspect::Exception::UnknownEndpoint).
    pub endpoints: BTreeMap<EndpointId, EndpointSettings>,
    /// What becomes of traffic that cannot be judged in the ordinary way. By default
    /// [`AVAILABLE`](ExceptionPolicy::AVAILABLE).
    pub policy: ExceptionPolicy,
    /// Judges, says what [would](super::Outcome::would) have been done, and forwards everything that can be forwarded. By
    /// default it does not.
    pub monitor: bool,
    /// Whether checksums of inner packets are looked at. By default they are.
    pub checksums: Checksums,
    /// Lowers the maximum segment size of TCP so that segments fit through the load balancer; by default to 8,460 and 8,440
    /// bytes. `None`: leaves it.
    pub mss: Option<MssClamp>,
    /// The most packets a second that the engine answers with one of its own: protection of those whose address was
    /// forged. What is beyond is refused in silence and counted. By default 10,000.
    pub answers_per_second: u32,
    /// Whether refused flows other than TCP are answered by ICMP. Whether a load balancer delivers that is not
    /// known. By default they are.
    pub icmp_answers: bool,
    /// The most ICMP errors about unknown flows that are passed in a second. By default 1,000.
    pub icmp_errors_per_second: u32,
    /// Alerts of this severity and above have their flow kept as evidence from that packet on, as if the inspector had asked
    /// for [that](crate::inspect::Context::capture), too. By default none do.
    pub capture_alerts: Option<Severity>,
    /// How long inspectors may take for a packet; by default as long as they like.
    pub budget: Option<Budget>,
    /// After how many panics and overrun budgets the engine [calls itself unhealthy](super::Engine::is_healthy). By
    /// default 100.
    pub unhealthy_after: u64,
    /// The secret of all hash tables. By default a random one.
    pub seed: FlowSeed,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::AWS,
            flows: FlowLimits::default(),
            timeouts: FlowTimeouts::default(),
            fragments: 65_536,
            fragments_per_endpoint: 32_768,
            streams: StreamLimits::default(),
            defrag: DefragLimits::default(),
            messages: protocol::Limits::default(),
            message_bytes: 16 << 20,
            message_bytes_per_endpoint: 12 << 20,
            groups: EndpointGroups::default(),
            endpoints: BTreeMap::new(),
            policy: ExceptionPolicy::AVAILABLE,
            monitor: false,
            checksums: Checksums::default(),
            mss: Some(MssClamp::default()),
            answers_per_second: 10_000,
            icmp_answers: true,
            icmp_errors_per_second: 1_000,
            capture_alerts: None,
            budget: None,
            unhealthy_after: 100,
            seed: FlowSeed::random(),
        }
    }
}

impl Settings {
    /// What becomes of an exception in the traffic of an endpoint.
    pub(super) fn policy_of(&self, endpoint: Option<EndpointId>) -> &ExceptionPolicy {
        let special = endpoint.and_then(|endpoint| self.endpoints.get(&endpoint));
        special.and_then(|special| special.policy.as_ref()).unwrap_or(&self.policy)
    }

    /// Whether the traffic of an endpoint is only watched.
    pub(super) fn monitors(&self, endpoint: Option<EndpointId>) -> bool {
        let special = endpoint.and_then(|endpoint| self.endpoints.get(&endpoint));
        special.and_then(|special| special.monitor).unwrap_or(self.monitor)
    }

    pub(super) fn knows(&self, endpoint: EndpointId) -> bool {
        self.endpoints.is_empty() || self.endpoints.contains_key(&endpoint)
    }
}

/// What is different for one endpoint. Empty by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Its own [`policy`](Settings::policy).
    pub policy: Option<ExceptionPolicy>,
    /// Its own [`monitor`](Settings::monitor).
    pub monitor: Option<bool>,
}

/// Whether checksums are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checksums {
    /// A packet whose checksum is wrong is dropped, as its receiver would drop it: nobody may be shown bytes that
    /// the receiver will not see. Of flows that no inspector looks at, the IP header and TCP's SYN, FIN and RST are
    /// looked at.
    #[default]
    Verify,
    /// Right or wrong is one. For captures that were taken before a network card filled the checksums in.
    Ignore,
}

/// How long inspectors may take for a packet.
///
/// The clock is the only one that an engine ever reads: with a budget, verdicts depend on more than packets and their
/// time stamps.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The longest that is not too long.
    pub limit: Duration,
    /// Time since any fixed moment; must not go backwards.
    pub clock: fn() -> Duration,
}
