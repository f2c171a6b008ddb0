//! Access lists as TOML.

mod reader;

pub use crate::toml_text::{ConfigError, ConfigErrors, ConfigProblem};

use super::AccessList;
use crate::toml_text::Reader;
#[cfg(feature = "protocols")]
pub(crate) use reader::table;
#[cfg(feature = "config")]
pub(crate) use reader::{FLOW_KEYS, access_list, expected_endpoint, flows, network};
#[cfg(feature = "api")]
pub(crate) use reader::{many, networks, ports};

impl AccessList {
    /// From TOML: a `default` action, and one `[[rule]]` after the other.
    ///
    /// | key | takes | e.g. |
    /// |---|---|---|
    /// | `action` | required: `allow`, `drop` or `reject` | `"drop"` |
    /// | `name` | any text | `"no telnet"` |
    /// | `log` | whether each flow that it takes is told by an alert | `true` |
    /// | `from`, `to` | a network or an address, or a list of them | `["10.0.0.0/8", "2001:db8::1"]` |
    /// | `ports`, `source-ports` | ports and ranges: a number, a text with commas, or a list of these | `"443,8000-8100"` |
    /// | `protocol` | a name or a number, or a list of them | `["tcp", "udp", 132]` |
    /// | `endpoint` | an endpoint, or a list of them | `"vpce-031e129cdc0cd8633"` |
    /// | `direction` | `to-server`, which is the default, or `both` | `"both"` |
    ///
    /// A key that is left out takes everything. `ports` are those that the flow's first packet goes to.
    ///
    /// ```
    /// use gwlb_geneve::inspectors::access::AccessList;
    ///
    /// let list = AccessList::from_toml(r#"
    ///     default = "allow"
    ///
    ///     [[rule]]
    ///     name = "no telnet from outside"
    ///     action = "reject"
    ///     to = ["10.0.0.0/8", "2001:db8::/32"]
    ///     ports = "23,2323"
    ///     protocol = "tcp"
    /// "#)?;
    /// assert_eq!(list.rules().len(), 1);
    ///
    /// let errors = AccessList::from_toml("default = \"alow\"").unwrap_err();
    /// assert_eq!(
    ///     errors.to_string(),
    ///     "line 1, column 11: expected `allow`, `drop` or `reject`, found `alow`; did you mean `allow`?",
    /// );
    /// # Ok::<(), gwlb_geneve::inspectors::access::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, each with its line and column, in their order.
    pub fn from_toml(text: &str) -> Result<Self, ConfigErrors> {
        reader::read(Reader::new(text), None)
    }

    /// From a table in a larger TOML document, to which the keys in `path`, with dots between, lead. Lines and columns
    /// are those of the document; what else is in it, is not looked at.
    ///
    /// ```
    /// use gwlb_geneve::inspectors::access::{AccessList, Action};
    ///
    /// let document = r#"
    ///     workers = 2
    ///
    ///     [access]
    ///     default = "drop"
    ///     [[access.rule]]
    ///     action = "allow"
    /// "#;
    /// let list = AccessList::from_toml_table(document, "access")?;
    /// assert_eq!(list.default_action(), Action::Drop);
    /// # Ok::<(), gwlb_geneve::inspectors::access::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml), and where the table is not there.
    pub fn from_toml_table(document: &str, path: &str) -> Result<Self, ConfigErrors> {
        reader::read(Reader::new(document), Some(path))
    }
}
