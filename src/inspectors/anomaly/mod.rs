//! What is odd about packets and messages: protocols in unexpected places, flags and headers that no honest host sends, tiny
//! fragments, tricks with the TTL. The part that no list knows.
//!
//! Each kind is an [`Event`] with a name and an action of its own; the anomalies that the protocols name, in
//! [`protocol`](crate::protocol), are taken up under their own names. [`AnomalyRules`] hold the actions, and an
//! [`AnomalyInspector`] makes an inspector of them.
//!
//! In a file, with the feature `config`, they look like this (all keys: `AnomalyRules::from_toml`):
//!
//! ```toml
//! default = "alert"
//! source-route = "drop"
//! tcp-null = "drop"
//! ttl-changed = "alert"
//!
//! [http]
//! content-length-conflict = "reject"
//! ```

#[cfg(feature = "config")]
pub(crate) mod config;
mod event;
mod headers;
mod inspector;
mod messages;
mod rules;

#[cfg(feature = "config")]
pub use crate::toml_text::{ConfigError, ConfigErrors, ConfigProblem};
pub use event::Event;
pub use inspector::{AnomalyInspector, Flow};
pub use rules::{Action, AnomalyRules};
