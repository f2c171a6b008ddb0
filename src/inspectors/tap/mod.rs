//! Flows that are kept as evidence because of who talks to whom.
//!
//! [`TapRules`] name flows as the rules of an [access list](super::access) do; a [`TapInspector`] lets everything pass, and has the
//! flows that they take kept: marked, that is, for whoever writes evidence (`observe::evidence`, with the feature
//! `capture`). What is to be kept because of an alert takes no inspector, but
//! `engine::Settings::capture_alerts`.
//!
//! In a file, with the feature `config`, rules look like this (all keys: `TapRules::from_toml`):
//!
//! ```toml
//! [[rule]]
//! name = "the till"
//! to = "10.1.7.0/24"
//! ports = 8443
//! ```

#[cfg(feature = "config")]
pub(crate) mod config;
mod inspector;

#[cfg(feature = "config")]
pub use crate::toml_text::{ConfigError, ConfigErrors, ConfigProblem};
pub use inspector::TapInspector;

use alloc::string::{String, ToString};

use super::access::{AccessList, AccessListError, Action, Rule};
use crate::gwlb::EndpointId;
use crate::packet::FiveTuple;

/// Which flows are kept as evidence.
///
/// ```
/// use gwlb_geneve::inspectors::access::{Action, Rule};
/// use gwlb_geneve::inspectors::tap::TapRules;
///
/// let till = Rule::new(Action::Allow).name("the till").to("10.1.7.0/24".parse()?).ports(8443);
/// assert_eq!(TapRules::new([till])?.rules().len(), 1);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TapRules {
    list: AccessList,
}

impl TapRules {
    /// From rules in their order. Their actions, and whether they [log](Rule::log), are not looked at.
    ///
    /// # Errors
    ///
    /// As [`AccessList::new`].
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, AccessListError> {
        // A flow whose ports are not known is kept by a rule that names some, as one that drops would drop it.
        let rules = rules.into_iter().map(|rule| Rule { action: Action::Drop, ..rule });
        Ok(Self { list: AccessList::new(Action::Allow, rules)? })
    }

    /// The rules in their order.
    pub fn rules(&self) -> &[Rule] {
        self.list.rules()
    }

    /// Why a flow is kept, `None` where it is not: the first rule that takes it, by place and name.
    pub fn reason(&self, endpoint: EndpointId, tuple: &FiveTuple) -> Option<String> {
        let index = self.list.decide(endpoint, tuple).rule?;
        Some(match self.list.rule(index).and_then(|rule| rule.name.as_deref()) {
            Some(name) => alloc::format!("{index} ({name})"),
            None => index.to_string(),
        })
    }
}
