//! The TOML form of an appliance: what is inspected, and what becomes of traffic that cannot be judged.
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
//!     "line 1, column 2: expected one of `monitor`, `policy`, `endpoints` or `access`, found `polisy`; \
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
//!
//! Where endpoints are listed, others are [unknown](Exception::UnknownEndpoint). The policy of an endpoint begins with the
//! appliance's, unless it names a profile.

mod reader;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;

pub use crate::toml_text::{ConfigError, ConfigErrors, ConfigProblem};

use crate::engine::Settings;
use crate::inspect::{Chain, Exception, ExceptionPolicy, Treatment};
use crate::inspectors::access::{AccessInspector, AccessList};

/// What an appliance is to do. By default it inspects nothing, and treats by
/// [`ExceptionPolicy::AVAILABLE`] what cannot be judged.
#[derive(Clone, Debug, Default)]
pub struct Config {
    settings: Settings,
    access: Option<Arc<AccessList>>,
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

    /// The access list, if there is one.
    pub fn access_list(&self) -> Option<&AccessList> {
        self.access.as_deref()
    }

    /// Makes the inspectors, one chain for each engine; what is large in them is shared.
    pub fn inspectors(&self) -> impl FnMut() -> Chain + Clone + Send + 'static {
        let access = self.access.clone();
        move || {
            let mut chain = Chain::new();
            if let Some(list) = &access {
                let pushed = chain.push(AccessInspector::new(Arc::clone(list)));
                debug_assert!(pushed.is_ok(), "the first member of a chain has a name of its own");
            }
            chain
        }
    }
}
