//! What reads configurations in TOML: values with their places, and errors that say what was expected, what was found and
//! where. Knows none of the things that are configured.

mod error;
mod number;
mod reader;
mod suggestion;

pub use error::{ConfigError, ConfigErrors, ConfigProblem};
pub(crate) use reader::{Reader, Value};
#[cfg(feature = "api")]
pub(crate) use suggestion::nearest;
pub(crate) use suggestion::{alternatives, suggestion};
