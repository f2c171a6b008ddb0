//! Rules of what is kept as TOML.

use alloc::string::ToString;
use alloc::vec::Vec;

use toml::de::DeTable;

use super::{ConfigErrors, ConfigProblem, TapRules};
use crate::inspectors::access::config::{FLOW_KEYS, flows};
use crate::inspectors::access::{Action, Rule};
use crate::toml_text::Reader;

impl TapRules {
    /// From TOML: one `[[rule]]` after the other, each with the keys of an [access list's](crate::inspectors::access::AccessList::from_toml),
    /// but for `action` and `log`.
    ///
    /// ```
    /// use gwlb_geneve::inspectors::tap::TapRules;
    ///
    /// let rules = TapRules::from_toml("[[rule]]\nname = \"ssh\"\nports = 22\nfrom = \"2001:db8::/32\"")?;
    /// assert_eq!(rules.rules()[0].name.as_deref(), Some("ssh"));
    ///
    /// let errors = TapRules::from_toml("[[rule]]\nports = 22\nprotocol = \"icmp\"").unwrap_err();
    /// assert_eq!(
    ///     errors.to_string(),
    ///     "line 1, column 1: rule 1: expected a protocol that has ports, as the rule names ports, found none",
    /// );
    /// # Ok::<(), gwlb_geneve::inspectors::tap::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, each with its line and column, in their order.
    pub fn from_toml(text: &str) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(text);
        let rules = match reader.document() {
            Some(document) => {
                reader.keys(&document, &["rule"]);
                tap_rules(&mut reader, &document)
            }
            None => None,
        };
        match rules {
            Some(rules) if reader.errors() == 0 => Ok(rules),
            _ => Err(reader.finish()),
        }
    }
}

/// The rules in a table, `None` where there is a mistake in them.
pub(crate) fn tap_rules(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<TapRules> {
    let errors_before = reader.errors();
    let mut rules = Vec::new();
    let mut place = 0;
    if let Some(value) = table.get("rule") {
        place = value.span().start;
        match value.get_ref().as_array() {
            None => reader.wrong_type(value, "`[[rule]]` tables"),
            Some(array) => {
                for value in array.iter() {
                    let Some(table) = value.get_ref().as_table() else {
                        reader.wrong_type(value, "a table");
                        continue;
                    };
                    reader.keys(table, &FLOW_KEYS);
                    rules.push(flows(reader, table, Rule::new(Action::Drop)));
                }
            }
        }
    }
    if reader.errors() > errors_before {
        return None;
    }
    match TapRules::new(rules) {
        Ok(rules) => Some(rules),
        Err(error) => {
            reader.report(place, ConfigProblem::Together(error.to_string()));
            None
        }
    }
}
