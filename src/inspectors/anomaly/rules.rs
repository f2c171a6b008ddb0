use alloc::vec::Vec;

use super::Event;
#[cfg(feature = "http")]
use crate::protocol::http;
#[cfg(feature = "tls")]
use crate::protocol::tls;

/// What becomes of each anomaly, and what is expected where.
///
/// By default people are told of all of them, but for [`ProtocolSwitched`](Event::ProtocolSwitched),
/// [`IpOptions`](Event::IpOptions) and [`TtlChanged`](Event::TtlChanged), which are found in traffic of every day.
///
/// ```
/// use gwlb_geneve::inspectors::anomaly::{Action, AnomalyRules, Event};
///
/// let rules = AnomalyRules::default().with(Event::Land, Action::Drop);
/// assert_eq!(rules.action(Event::Land), Action::Drop);
/// assert_eq!(rules.action(Event::TcpNull), Action::Alert);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnomalyRules {
    /// Ports at which servers speak HTTP: 80, 8000, 8080 and 8888 by default.
    pub http_ports: Vec<u16>,
    /// Ports at which servers speak TLS from the start: 443, 465, 636, 853, 989, 990, 993, 995 and 8443 by default.
    pub tls_ports: Vec<u16>,
    /// A TTL or hop limit up to this is [low](Event::TtlLow): 3 by default.
    pub low_ttl: u8,
    /// A difference of TTL or hop limit up to this is [none](Event::TtlChanged): 4 by default.
    pub ttl_tolerance: u8,
    pub(super) events: Actions,
    #[cfg(feature = "http")]
    pub(super) http: Actions,
    #[cfg(feature = "tls")]
    pub(super) tls: Actions,
}

impl Default for AnomalyRules {
    fn default() -> Self {
        let mut events = Actions::all(Action::Alert);
        for event in [Event::ProtocolSwitched, Event::IpOptions, Event::TtlChanged] {
            events.set(event.bit(), Action::Ignore);
        }
        Self {
            http_ports: [80, 8_000, 8_080, 8_888].into(),
            tls_ports: [443, 465, 636, 853, 989, 990, 993, 995, 8_443].into(),
            low_ttl: 3,
            ttl_tolerance: 4,
            events,
            #[cfg(feature = "http")]
            http: Actions::all(Action::Alert),
            #[cfg(feature = "tls")]
            tls: Actions::all(Action::Alert),
        }
    }
}

impl AnomalyRules {
    /// The same action for all.
    pub fn all(action: Action) -> Self {
        let actions = Actions::all(action);
        Self {
            events: actions,
            #[cfg(feature = "http")]
            http: actions,
            #[cfg(feature = "tls")]
            tls: actions,
            ..Self::default()
        }
    }

    /// The same with another action for an event.
    #[must_use]
    pub fn with(mut self, event: Event, action: Action) -> Self {
        self.events.set(event.bit(), action);
        self
    }

    /// The same with another action for an anomaly of HTTP messages.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn with_http(mut self, anomaly: http::Anomaly, action: Action) -> Self {
        self.http.set(anomaly.bit(), action);
        self
    }

    /// The same with another action for anomalies of TLS messages.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, anomalies: tls::Anomalies, action: Action) -> Self {
        self.tls.set(anomalies.bits().into(), action);
        self
    }

    /// Whether nobody is told of anything.
    #[cfg(feature = "config")]
    pub(crate) fn ignores_all(&self) -> bool {
        self.all_actions().iter().all(|(actions, known)| actions.heeded & known == 0)
    }

    /// Whether something is refused.
    #[cfg(feature = "config")]
    pub(crate) fn refuses(&self) -> bool {
        self.all_actions()
            .iter()
            .any(|(actions, known)| (actions.drop | actions.reject) & known != 0)
    }

    /// Each set of actions with the bits that have a meaning in it.
    #[cfg(feature = "config")]
    fn all_actions(&self) -> Vec<(Actions, u64)> {
        let known = Event::ALL.iter().fold(0, |bits, event| bits | event.bit());
        let all = [(self.events, known)].into_iter();
        #[cfg(feature = "http")]
        let all = {
            let known = http::Anomaly::ALL.iter().fold(0, |bits, it| bits | it.bit());
            all.chain([(self.http, known)])
        };
        #[cfg(feature = "tls")]
        let all = {
            let names = tls::Anomalies::NAMES.iter();
            let known = names.fold(0, |bits, (anomaly, _)| bits | u64::from(anomaly.bits()));
            all.chain([(self.tls, known)])
        };
        all.collect()
    }

    /// What becomes of an event.
    pub const fn action(&self, event: Event) -> Action {
        self.events.of(event.bit())
    }
}

/// What becomes of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing.
    Ignore,
    /// People are told, once a flow.
    Alert,
    /// The packet is dropped; for an anomaly of a message, or of what a flow is, all of the flow. People are told.
    Drop,
    /// The flow is rejected, and people are told.
    Reject,
}

impl Action {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("ignore", Self::Ignore),
        ("alert", Self::Alert),
        ("drop", Self::Drop),
        ("reject", Self::Reject),
    ];
}

/// The actions of up to 64 anomalies, as sets of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Actions {
    /// Those that are not ignored.
    pub(super) heeded: u64,
    drop: u64,
    reject: u64,
}

impl Actions {
    pub(super) const fn all(action: Action) -> Self {
        let mut actions = Self { heeded: 0, drop: 0, reject: 0 };
        actions.set(u64::MAX, action);
        actions
    }

    pub(super) const fn set(&mut self, bits: u64, action: Action) {
        self.heeded &= !bits;
        self.drop &= !bits;
        self.reject &= !bits;
        match action {
            Action::Ignore => {}
            Action::Alert => self.heeded |= bits,
            Action::Drop => {
                self.heeded |= bits;
                self.drop |= bits;
            }
            Action::Reject => {
                self.heeded |= bits;
                self.reject |= bits;
            }
        }
    }

    /// The gravest of those in a set.
    pub(super) const fn of(&self, bits: u64) -> Action {
        if self.reject & bits != 0 {
            Action::Reject
        } else if self.drop & bits != 0 {
            Action::Drop
        } else if self.heeded & bits != 0 {
            Action::Alert
        } else {
            Action::Ignore
        }
    }

    /// Those in a set whose action is this one.
    pub(super) const fn like(&self, bits: u64, action: Action) -> u64 {
        bits & match action {
            Action::Reject => self.reject,
            Action::Drop => self.drop,
            Action::Alert => self.heeded & !self.drop & !self.reject,
            Action::Ignore => !self.heeded,
        }
    }
}
