//! The TOML form of an appliance: what is inspected, what becomes of traffic that cannot be judged, and where and with
//! how much memory all that happens.
//!
//! ```
//! use gwlb_geneve::config::Config;
//! use gwlb_geneve::engine::Engine;
//!
//! let config = Config::parse(r#"
//!     [policy]
//!     profile = "strict"
//!     midstream = "adopt"
//!
//!     [access]
//!     default = "allow"
//!     [[access.rule]]
//!     name = "no telnet"
//!     action = "reject"
//!     ports = 23
//! "#)?;
//! let engine = Engine::new(config.settings(), config.inspectors())?;
//! # let _ = engine;
//!
//! let errors = Config::parse("[polisy]\nprofile = \"strict\"").unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "line 1, column 2: expected one of `monitor`, `policy`, `endpoints`, `access`, `rate`, `anomaly`, `domains`, `api`, `signatures`, `eve`, `run`, `limits` or `timeouts`, found `polisy`; \
//!      did you mean `policy`?",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keys
//!
//! | key | takes |
//! |---|---|
//! | `monitor` | `true`: judges, says what would have been done, and forwards; by default `false` |
//! | `policy.profile` | `"available"`, which is the default, or `"strict"`: see [`ExceptionPolicy`] |
//! | `policy.CLASS` | what becomes of a class of exceptions: [`Exception::name`] and [`Treatment::name`] |
//! | `endpoints."vpce-…"` | a table with a `monitor` and a `policy` of its own, each as the appliance's where it is left out |
//! | `access` | the access list, as [`AccessList::from_toml`] has it |
//! | `rate` | limits on what sources, destinations and endpoints have a second, as [`RateLimits::from_toml`] has them |
//! | `anomaly` | what becomes of odd packets and messages, as [`AnomalyRules::from_toml`] has it |
//! | `domains` | lists of domain names, as `DomainLists::from_toml` has them; with the feature `protocols` |
//! | `api` | rules about HTTP requests, as `ApiRules::from_toml` has them; with the feature `api` |
//! | `signatures` | known attacks as rules: see below; with the feature `signatures` |
//! | `eve` | a table: see below, and [`EveFile`] |
//! | `run` | a table: see below, and [`Run`] |
//! | `limits` | a table: see below, and [`Settings`] |
//! | `timeouts` | a table of seconds, with fractions if need be: see below, and [`FlowTimeouts`] |
//!
//! Where endpoints are listed, others are [unknown](Exception::UnknownEndpoint). The policy of an endpoint begins with the
//! appliance's, unless it names a profile.
//!
//! | key of `run` | takes |
//! |---|---|
//! | `transport` | `"udp"` |
//! | `way` | the way out: `"auto"`, `"packet"` or `"raw"` |
//! | `bind`, `port` | the IPv4 address and the UDP port that load balancers send to: `"0.0.0.0"`, `6081` |
//! | `workers` | how many threads work; by default one for each processor |
//! | `pin` | `true`: each worker stays on its processor |
//! | `allow-origin` | the load balancers' IPv4 networks, one or a list; what comes from elsewhere is dropped. By default private networks |
//! | `receive-buffer` | bytes that the system holds for a worker that is busy |
//! | `busy-poll` | microseconds that a worker looks for datagrams before it sleeps |
//! | `health` | where health checks are answered: `"0.0.0.0:8080"`, or `"off"` |
//! | `manage` | where metrics are told: `"127.0.0.1:9090"`, or `"off"` |
//! | `drain` | seconds for which known flows go on after the order to stop: `330` |
//! | `log` | `"text"` or `"json"` |
//!
//! | key of `signatures` | takes |
//! |---|---|
//! | `files` | files of rules in Suricata's language, one or a list |
//! | `rules` | a text of such rules |
//! | `addresses`, `ports` | tables of what `$NAME` stands for, in rules: `HOME_NET = "[10.0.0.0/8]"` |
//! | `endpoints."vpce-…"` | a table with `addresses` and `ports` of its own, beside the general ones |
//! | `enable`, `disable`, `drop`, `modify` | files that say so of rules, one or a list, as rule managers write them |
//! | `classes` | a `classification.config` |
//! | `thresholds` | a `threshold.config`, which also says which alerts are not told |
//! | `stream-depth`, `stream-window` | bytes of each side of a connection that are looked at, and so many again with those that follow |
//! | `request-body`, `response-body` | bytes of a body that are looked at |
//! | `bytes` | bytes that the flows of a worker hold for that |
//! | `steps` | steps that are done for a packet, a piece of a stream or a message |
//! | `remembered` | counts of thresholds, and bits of addresses |
//! | `costs` | `true`: it is counted what each rule costs |
//!
//! A rule that does not load is left out, and `Config::signature_report` says why.
//!
//! | key of `eve` | takes |
//! |---|---|
//! | `file` | where records are written, added to what is there; `"-"` is standard output |
//! | `types` | kinds of records, one or a list: [`EveTypes::NAMES`]. By default all |
//! | `ja3`, `ja4` | `true`: TLS records have these fingerprints, which cost time |
//! | `community-id` | `false`: records have no Community ID |
//! | `queue` | bytes of records that may wait for the disk; what finds no room is counted and lost |
//! | `stats` | seconds between records of counters: `8` |
//!
//! | key of `limits` | takes the most |
//! |---|---|
//! | `flows`, `flows-per-endpoint` | flows, of all endpoints and of each |
//! | `flow-bytes` | bytes for these |
//! | `endpoints` | endpoints that have flows |
//! | `header-bytes` | bytes for unusual GENEVE headers, out of `flow-bytes` |
//! | `fragments`, `fragments-per-endpoint` | datagrams in fragments, of all endpoints and of each |
//! | `streams`, `stream-bytes` | TCP connections whose bytes are put in order, and bytes remembered for that |
//! | `stream-window` | bytes ahead of one that is missing, of each direction of a connection |
//! | `message-size`, `message-bytes` | bytes of a message, and of all messages that are not whole yet |
//! | `answers-per-second`, `icmp-errors-per-second` | packets of one's own, ICMP errors about unknown flows |
//! | `unhealthy-after` | panics and overrun budgets of inspectors |
//!
//! | key of `timeouts` | how long may be idle |
//! |---|---|
//! | `tcp` | TCP with both sides open |
//! | `half-open` | TCP before its handshake is complete |
//! | `closing`, `closed` | TCP of which one side, and both, have closed |
//! | `udp`, `icmp`, `other` | what was seen in both directions |
//! | `unanswered` | what was seen in one direction, but for TCP |

#[cfg(feature = "eve")]
mod eve;
mod operation;
mod reader;
mod run;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;

pub use crate::toml_text::{ConfigError, ConfigErrors, ConfigProblem};
#[cfg(feature = "eve")]
pub use eve::EveFile;
pub use run::{LogFormat, Run, TransportKind, Way};

use crate::engine::Settings;
#[cfg(doc)]
use crate::flow::FlowTimeouts;
use crate::inspect::{Chain, Exception, ExceptionPolicy, Treatment};
use crate::inspectors::access::{AccessInspector, AccessList};
use crate::inspectors::anomaly::{AnomalyInspector, AnomalyRules};
#[cfg(feature = "api")]
use crate::inspectors::api::{ApiInspector, ApiRules};
#[cfg(feature = "protocols")]
use crate::inspectors::domains::{DomainInspector, DomainLists};
use crate::inspectors::rate::{RateInspector, RateLimits};
#[cfg(feature = "signatures")]
use crate::inspectors::signatures::{Report as SignatureReport, SignatureInspector, Signatures};
#[cfg(all(doc, feature = "eve"))]
use crate::observe::eve::EveTypes;
#[cfg(feature = "eve")]
use crate::observe::eve::{Eve, Recorder};

/// What an appliance is to do, and where. By default it inspects nothing, and treats by
/// [`ExceptionPolicy::AVAILABLE`] what cannot be judged.
#[derive(Clone, Debug, Default)]
pub struct Config {
    settings: Settings,
    run: Run,
    access: Option<Arc<AccessList>>,
    rate: Option<Arc<RateLimits>>,
    anomaly: Option<Arc<AnomalyRules>>,
    #[cfg(feature = "protocols")]
    domains: Option<DomainInspector>,
    #[cfg(feature = "api")]
    api: Option<Arc<ApiRules>>,
    #[cfg(feature = "signatures")]
    signatures: Option<(Arc<Signatures>, SignatureReport)>,
    #[cfg(feature = "eve")]
    eve: Option<EveFile>,
    #[cfg(feature = "eve")]
    records: Option<Eve>,
}

impl Config {
    /// From TOML; see the [module](self) for the keys.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, each with its line and column, in their order.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        reader::read(text)
    }

    /// What engines are made with. They all have one [seed](Settings::seed).
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Where it stands and how it works.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The access list, if there is one.
    pub fn access_list(&self) -> Option<&AccessList> {
        self.access.as_deref()
    }

    /// The limits, if there are any.
    pub fn rate_limits(&self) -> Option<&RateLimits> {
        self.rate.as_deref()
    }

    /// What becomes of anomalies, if they are looked for.
    pub fn anomaly_rules(&self) -> Option<&AnomalyRules> {
        self.anomaly.as_deref()
    }

    /// The lists of domain names, if there are any.
    #[cfg(feature = "protocols")]
    pub fn domain_lists(&self) -> Option<&DomainLists> {
        self.domains.as_ref().map(DomainInspector::lists)
    }

    /// The rules about HTTP requests, if there are any.
    #[cfg(feature = "api")]
    pub fn api_rules(&self) -> Option<&ApiRules> {
        self.api.as_deref()
    }

    /// The signatures that are looked for, if any are.
    #[cfg(feature = "signatures")]
    pub fn signatures(&self) -> Option<&Signatures> {
        self.signatures.as_ref().map(|(signatures, _)| &**signatures)
    }

    /// Which rules of its files did not load, and why.
    #[cfg(feature = "signatures")]
    pub fn signature_report(&self) -> Option<&SignatureReport> {
        self.signatures.as_ref().map(|(_, report)| report)
    }

    /// Where what happens is recorded, if it is.
    #[cfg(feature = "eve")]
    pub fn eve(&self) -> Option<&EveFile> {
        self.eve.as_ref()
    }

    /// Has the inspectors begin with one that records to `eve`.
    #[cfg(feature = "eve")]
    pub fn record_to(&mut self, eve: Eve) {
        self.records = Some(eve);
    }

    /// Makes the inspectors, one chain for each engine; what is large in them is shared.
    pub fn inspectors(&self) -> impl FnMut() -> Chain + Clone + Send + 'static {
        let access = self.access.clone();
        let (rate, anomaly) = (self.rate.clone(), self.anomaly.clone());
        #[cfg(feature = "protocols")]
        let domains = self.domains.clone();
        #[cfg(feature = "api")]
        let api = self.api.clone();
        #[cfg(feature = "signatures")]
        let signatures = self.signatures.as_ref().map(|(signatures, _)| Arc::clone(signatures));
        #[cfg(feature = "eve")]
        let records = self.records.clone();
        move || {
            let mut chain = Chain::new();
            #[cfg(feature = "eve")]
            if let Some(eve) = &records {
                let pushed = chain.push(Recorder::new(eve.clone()));
                debug_assert!(pushed.is_ok(), "the first member of a chain has a name of its own");
            }
            if let Some(list) = &access {
                let pushed = chain.push(AccessInspector::new(Arc::clone(list)));
                debug_assert!(pushed.is_ok(), "the first member of a chain has a name of its own");
            }
            if let Some(limits) = &rate {
                let pushed = chain.push(RateInspector::new(Arc::clone(limits)));
                debug_assert!(pushed.is_ok(), "there is one of this name");
            }
            if let Some(rules) = &anomaly {
                let pushed = chain.push(AnomalyInspector::new(Arc::clone(rules)));
                debug_assert!(pushed.is_ok(), "there is one of this name");
            }
            #[cfg(feature = "protocols")]
            if let Some(domains) = &domains {
                let pushed = chain.push(domains.clone());
                debug_assert!(pushed.is_ok(), "there is one of the name `domains`");
            }
            #[cfg(feature = "api")]
            if let Some(rules) = &api {
                let pushed = chain.push(ApiInspector::new(Arc::clone(rules)));
                debug_assert!(pushed.is_ok(), "there is one of the name `api`");
            }
            #[cfg(feature = "signatures")]
            if let Some(signatures) = &signatures {
                let pushed = chain.push(SignatureInspector::new(Arc::clone(signatures)));
                debug_assert!(pushed.is_ok(), "there is one of the name `signatures`");
            }
            chain
        }
    }
}
