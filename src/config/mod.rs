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
//!     "line 1, column 2: expected one of `monitor`, `policy`, `endpoints`, `access`, `rate`, `anomaly`, `domains`, `api`, `signatures`, `eve`, `tap`, `run`, `limits` or `timeouts`, found `polisy`; \
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
//! | `endpoints."vpce-…"` | a table with a `monitor` and a `policy` of its own, each as the appliance's where it is left out; a `name` for people, and `flows`, the most that it may have |
//! | `access` | the access list, as [`AccessList::from_toml`] has it |
//! | `rate` | limits on what sources, destinations and endpoints have a second, as [`RateLimits::from_toml`] has them |
//! | `anomaly` | what becomes of odd packets and messages, as [`AnomalyRules::from_toml`] has it |
//! | `domains` | lists of domain names, as `DomainLists::from_toml` has them; with the feature `protocols` |
//! | `api` | rules about HTTP requests, as `ApiRules::from_toml` has them; with the feature `api` |
//! | `signatures` | known attacks as rules: see below; with the feature `signatures` |
//! | `eve` | a table: see below, and [`EveFile`] |
//! | `tap` | a table of what is kept as evidence, with the feature `capture`: see below |
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
//! | `manage` | where it is looked after, with a page and metrics: `"127.0.0.1:9090"`, or `"off"` |
//! | `manage-token` | the secret word that whoever looks after it must know: 16 to 256 characters |
//! | `manage-token-file` | a file that has it |
//! | `manage-hosts` | names of this machine, one or a list, by which browsers may call the management port, beside addresses and `localhost` |
//! | `drain` | seconds for which known flows go on after the order to stop: `330` |
//! | `log` | `"text"` or `"json"` |
//! | `shadow` | the file of a second configuration, which is evaluated beside this one without effect: see [`Shadow`](crate::runtime) |
//! | `reload` | which flows a configuration is for that is read again: `"new"`, the default, or `"all"` |
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
//! | `bytes`, `bytes-per-endpoint` | bytes that the flows of a worker hold for that, and those of one endpoint: three quarters where only `bytes` is said |
//! | `steps` | steps that are done for a packet, with the pieces of streams and the messages in it |
//! | `unanswered` | `"drop"`: flows are dropped for which a rule that drops or rejects was not asked for all of it, as no steps were left, too many rules waited, there was no room for its bytes, or a compressed body is not inflated, as it is broken, that of a request, or in an unknown coding (`br`, for instance); `"pass"`, the default: that is only told |
//! | `remembered`, `remembered-per-endpoint` | counts of thresholds, and bits of addresses; those of one endpoint: three quarters where only `remembered` is said |
//! | `costs` | `true`: it is counted what each rule costs |
//!
//! A rule that does not load is left out, and `Config::signature_report` says why.
//!
//! | key of `eve` | takes |
//! |---|---|
//! | `file` | where records are written, added to what is there; `"-"` is standard output |
//! | `kind` | what `file` is: `"file"`; `"unix-stream"` or `"unix-datagram"`, a socket that somebody listens at |
//! | `rotate-bytes`, `rotate-seconds` | when the file is put aside as `FILE.1`, and another one begins; by default never |
//! | `keep` | how many are kept besides: `10` |
//! | `envelope` | `firewall-name` and `availability-zone`: each record is wrapped as AWS Network Firewall does, see [`Enveloped`](crate::observe::eve::Enveloped) |
//! | `types` | kinds of records, one or a list: [`EveTypes::NAMES`]. By default all |
//! | `ja3`, `ja4` | `true`: TLS records have these fingerprints, which cost time |
//! | `community-id` | `false`: records have no Community ID |
//! | `queue` | bytes of records that may wait for the disk; what finds no room is counted and lost |
//! | `stats` | seconds between records of counters: `8` |
//!
//! | key of `tap` | takes |
//! |---|---|
//! | `directory` | where evidence is kept: pcapng files, of which the oldest make room |
//! | `file-size`, `files` | bytes of a file, and how many there may be: `67_108_864` and `16` |
//! | `queue` | bytes of packets that may wait for the disk; what finds no room is counted and lost |
//! | `alerts` | which alerts have their flow kept: `"info"`, which is the default and means all, `"notice"`, `"warning"`, `"critical"`, or `"none"` |
//! | `rule` | flows that are kept whatever they do: as [`TapRules::from_toml`] has them |
//!
//! | key of `limits` | takes the most |
//! |---|---|
//! | `flows`, `flows-per-endpoint` | flows, of all endpoints and of each |
//! | `flow-bytes` | bytes for these |
//! | `endpoints` | endpoints that have flows |
//! | `header-bytes` | bytes for unusual GENEVE headers, out of `flow-bytes` |
//! | `fragments`, `fragments-per-endpoint` | datagrams in fragments, of all endpoints and of each |
//! | `streams`, `streams-per-endpoint` | TCP connections whose bytes are put in order, of all endpoints and of each |
//! | `stream-bytes`, `stream-bytes-per-endpoint` | bytes remembered for that |
//! | `stream-window` | bytes ahead of one that is missing, of each direction of a connection |
//! | `defrag-datagrams`, `defrag-datagrams-per-endpoint` | datagrams in fragments that are put together for streams and messages |
//! | `defrag-bytes`, `defrag-bytes-per-endpoint` | bytes remembered for that |
//! | `message-size` | bytes of a message |
//! | `message-bytes`, `message-bytes-per-endpoint` | bytes of all messages that are not whole yet |
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
//! | `defrag` | a datagram in fragments that is put together; not shorter than any receiver waits |
//!
//! The shares of an endpoint are by default three quarters of `streams`, `stream-bytes` and `message-bytes`, half of
//! `fragments`, `defrag-datagrams` and `defrag-bytes`, and all of `flows`.

mod difference;
#[cfg(feature = "eve")]
mod eve;
mod operation;
mod reader;
mod run;
mod schema;
#[cfg(feature = "capture")]
mod tap;
#[cfg(test)]
mod tests;
mod warnings;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use crate::token::{Token, TokenError};
pub use crate::toml_text::{ConfigError, ConfigErrors, ConfigProblem};
pub use difference::differences;
#[cfg(feature = "eve")]
pub use eve::{EveEnvelope, EveFile, EveKind};
pub use run::{LogFormat, Run, TransportKind, Way};
pub use schema::schema;
pub use warnings::ConfigWarning;

use crate::engine::Settings;
#[cfg(doc)]
use crate::flow::FlowTimeouts;
use crate::inspect::{Chain, Exception, ExceptionPolicy, Inspector, Interest, Treatment};
use crate::inspectors::access::{AccessInspector, AccessList, Action};
use crate::inspectors::anomaly::{AnomalyInspector, AnomalyRules};
#[cfg(feature = "api")]
use crate::inspectors::api::{ApiInspector, ApiRules};
#[cfg(feature = "protocols")]
use crate::inspectors::domains::{DomainInspector, DomainLists};
use crate::inspectors::rate::{RateInspector, RateLimits};
#[cfg(feature = "signatures")]
use crate::inspectors::signatures::{Report as SignatureReport, SignatureInspector, Signatures};
use crate::inspectors::tap::{TapInspector, TapRules};
#[cfg(all(doc, feature = "eve"))]
use crate::observe::eve::EveTypes;
#[cfg(feature = "eve")]
use crate::observe::eve::{Eve, Recorder};
#[cfg(feature = "capture")]
use crate::observe::evidence::EvidenceSettings;

/// What an appliance is to do, and where. By default it inspects nothing, and treats by
/// [`ExceptionPolicy::AVAILABLE`] what cannot be judged.
#[derive(Clone, Debug, Default)]
pub struct Config {
    settings: Settings,
    run: Run,
    tap: Option<Arc<TapRules>>,
    #[cfg(feature = "capture")]
    evidence: Option<EvidenceSettings>,
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

    /// As [`parse`](Self::parse), and what is right in the text, but most likely not meant: what never comes to its turn, methods that HTTP
    /// does not have, and files and directories that cannot be opened. These are looked for here and now, by whoever calls this: what is
    /// found may be otherwise for the user that the appliance runs as. Nothing is created.
    ///
    /// ```
    /// use gwlb_geneve::config::Config;
    ///
    /// let (_, warnings) = Config::check(r#"
    /// [access]
    /// default = "allow"
    /// rule = [{ action = "drop", to = "10.0.0.0/8" }, { action = "allow", to = "10.1.0.0/16" }]
    /// "#)?;
    /// assert_eq!(
    ///     warnings[0].to_string(),
    ///     "line 4, column 49: rule 2 never applies: rule 1 takes every flow before it",
    /// );
    /// # Ok::<(), gwlb_geneve::config::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn check(text: &str) -> Result<(Self, Vec<ConfigWarning>), ConfigErrors> {
        let config = Self::parse(text)?;
        let warnings = warnings::warnings(text, &config);
        Ok((config, warnings))
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
    pub fn signatures(&self) -> Option<&Arc<Signatures>> {
        self.signatures.as_ref().map(|(signatures, _)| signatures)
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

    /// Where evidence is kept, if it is: that of flows that the inspectors, or
    /// [alerts](Settings::capture_alerts), have marked.
    #[cfg(feature = "capture")]
    pub fn evidence(&self) -> Option<&EvidenceSettings> {
        self.evidence.as_ref()
    }

    /// The flows that are kept as evidence whatever they do, if there are rules about that.
    pub fn tap_rules(&self) -> Option<&TapRules> {
        self.tap.as_deref()
    }

    /// Has the inspectors begin with one that records to `eve`, whose records name endpoints as it is said here.
    #[cfg(feature = "eve")]
    pub fn record_to(&mut self, eve: Eve) {
        let endpoints = self.settings.endpoints.iter();
        let named = endpoints.filter_map(|(id, it)| Some((*id, it.name.clone()?)));
        eve.name_endpoints(named.collect());
        self.records = Some(eve);
    }

    /// Whether there is an inspector.
    fn inspects(&self) -> bool {
        !self.inspectors()().is_empty()
    }

    /// Whether something looks at the bytes of connections in their order.
    fn looks_into_streams(&self) -> bool {
        #[cfg(feature = "eve")]
        if let Some(eve) = &self.eve {
            use crate::observe::eve::EveTypes;
            let types =
                [EveTypes::FLOW, EveTypes::HTTP, EveTypes::TLS, EveTypes::DNS, EveTypes::ANOMALY];
            if types.into_iter().any(|it| eve.settings.types.contains(it)) {
                return true;
            }
        }
        self.inspectors()().interest().intersects(Interest::IN_ORDER)
    }

    /// The tables that refuse something.
    fn refusing(&self) -> Vec<&'static str> {
        let mut refusing = Vec::new();
        if let Some(list) = &self.access {
            let mut actions = list.rules().iter().map(|rule| rule.action);
            if list.default_action() != Action::Allow || actions.any(|it| it != Action::Allow) {
                refusing.push("access");
            }
        }
        if let Some(limits) = &self.rate {
            if limits.rules().any(|rule| rule.action != crate::inspectors::rate::Action::Alert) {
                refusing.push("rate");
            }
        }
        if self.anomaly.as_ref().is_some_and(|rules| rules.refuses()) {
            refusing.push("anomaly");
        }
        #[cfg(feature = "protocols")]
        if self.domain_lists().is_some_and(|it| it.actions().any(|action| action.is_refusal())) {
            refusing.push("domains");
        }
        #[cfg(feature = "api")]
        if self.api.is_some() {
            refusing.push("api");
        }
        #[cfg(feature = "signatures")]
        if self.signatures().is_some_and(|set| !set.is_empty()) {
            refusing.push("signatures");
        }
        refusing
    }

    /// Whether something may alert.
    #[cfg(feature = "eve")]
    fn alerts(&self) -> bool {
        let logs = |list: &Arc<AccessList>| list.rules().iter().any(|rule| rule.log);
        self.access.as_ref().is_some_and(logs)
            || self.rate.as_ref().is_some_and(|limits| limits.rules().len() > 0)
            || self.anomaly.as_ref().is_some_and(|rules| !rules.ignores_all())
            || self.domains.is_some()
            || {
                #[cfg(feature = "api")]
                let has_api = self.api.is_some();
                #[cfg(not(feature = "api"))]
                let has_api = false;
                has_api
            }
            || {
                #[cfg(feature = "signatures")]
                let has_signatures = self.signatures().is_some_and(|set| !set.is_empty());
                #[cfg(not(feature = "signatures"))]
                let has_signatures = false;
                has_signatures
            }
    }

    /// Makes the inspectors, one chain for each engine; what is large in them is shared.
    pub fn inspectors(&self) -> impl FnMut() -> Chain + Clone + Send + 'static {
        let (tap, access) = (self.tap.clone(), self.access.clone());
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
            if let Some(rules) = &tap {
                let pushed = chain.push(TapInspector::new(Arc::clone(rules)));
                debug_assert!(pushed.is_ok(), "there is one of the name `tap`");
            }
            if let Some(list) = &access {
                let pushed = chain.push(AccessInspector::new(Arc::clone(list)));
                debug_assert!(pushed.is_ok(), "there is one of the name `access-list`");
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
