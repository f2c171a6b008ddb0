use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;

use thiserror::Error;

use super::{AddressExpression, AddressSet, PortExpression, PortSet};

/// What `$NAME` means in rules: addresses, ports. One such set for an endpoint, or for all.
///
/// Those by [default](Self::default) have the names that public rules use: `HOME_NET` is the private networks, `EXTERNAL_NET` what is
/// not; servers are in `HOME_NET`.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::Variables;
///
/// let mut variables = Variables::default();
/// variables.set_addresses("HOME_NET", "[10.1.0.0/16]".parse()?)?;
/// assert!(!variables.addresses("EXTERNAL_NET")?.contains([10, 1, 2, 3].into()));
/// assert!(variables.addresses("EXTERNAL_NET")?.contains([10, 2, 2, 3].into()));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables {
    addresses: BTreeMap<String, (AddressExpression, AddressSet)>,
    ports: BTreeMap<String, (PortExpression, PortSet)>,
}

impl Variables {
    /// None at all.
    pub const fn empty() -> Self {
        Self { addresses: BTreeMap::new(), ports: BTreeMap::new() }
    }

    /// Gives a name, without `$`, to addresses; in place of those that it had.
    ///
    /// # Errors
    ///
    /// [`VariableError`] where the expression names a variable that is not known, or itself, or has nothing in it, or where another
    /// one would have. Nothing is changed then.
    pub fn set_addresses(
        &mut self,
        name: &str,
        addresses: AddressExpression,
    ) -> Result<(), VariableError> {
        self.set_all([(name.to_owned(), addresses)], [])
    }

    /// Gives a name, without `$`, to ports; in place of those that it had.
    ///
    /// # Errors
    ///
    /// As [`set_addresses`](Self::set_addresses).
    pub fn set_ports(&mut self, name: &str, ports: PortExpression) -> Result<(), VariableError> {
        self.set_all([], [(name.to_owned(), ports)])
    }

    /// Gives names to addresses and to ports, in whatever order: each may name others of them.
    ///
    /// # Errors
    ///
    /// As [`set_addresses`](Self::set_addresses).
    pub fn set_all(
        &mut self,
        addresses: impl IntoIterator<Item = (String, AddressExpression)>,
        ports: impl IntoIterator<Item = (String, PortExpression)>,
    ) -> Result<(), VariableError> {
        let known = self.addresses.iter().map(|(name, (it, _))| (name.clone(), it.clone()));
        let addresses: BTreeMap<_, _> = known.chain(addresses).collect();
        let known = self.ports.iter().map(|(name, (it, _))| (name.clone(), it.clone()));
        let ports: BTreeMap<_, _> = known.chain(ports).collect();
        let mut resolved = Self::empty();
        while resolved.addresses.len() < addresses.len() {
            let before = resolved.addresses.len();
            let mut stopped = None;
            for (name, expression) in &addresses {
                match expression.resolve(&resolved) {
                    Ok(set) => {
                        resolved.addresses.insert(name.clone(), (expression.clone(), set));
                    }
                    Err(VariableError::Unknown { name }) if addresses.contains_key(&name) => {
                        stopped = Some(VariableError::Circular { name });
                    }
                    Err(error) => return Err(error),
                }
            }
            if let (Some(error), true) = (stopped, resolved.addresses.len() == before) {
                return Err(error);
            }
        }
        while resolved.ports.len() < ports.len() {
            let before = resolved.ports.len();
            let mut stopped = None;
            for (name, expression) in &ports {
                match expression.resolve(&resolved) {
                    Ok(set) => {
                        resolved.ports.insert(name.clone(), (expression.clone(), set));
                    }
                    Err(VariableError::Unknown { name }) if ports.contains_key(&name) => {
                        stopped = Some(VariableError::Circular { name });
                    }
                    Err(error) => return Err(error),
                }
            }
            if let (Some(error), true) = (stopped, resolved.ports.len() == before) {
                return Err(error);
            }
        }
        *self = resolved;
        Ok(())
    }

    /// The addresses that a name, without `$`, stands for.
    ///
    /// # Errors
    ///
    /// [`VariableError::Unknown`] where there is no such.
    pub fn addresses(&self, name: &str) -> Result<&AddressSet, VariableError> {
        let known = self.addresses.get(name);
        known.map(|(_, set)| set).ok_or_else(|| VariableError::Unknown { name: name.to_owned() })
    }

    /// The ports that a name, without `$`, stands for.
    ///
    /// # Errors
    ///
    /// [`VariableError::Unknown`] where there is no such.
    pub fn ports(&self, name: &str) -> Result<&PortSet, VariableError> {
        let known = self.ports.get(name);
        known.map(|(_, set)| set).ok_or_else(|| VariableError::Unknown { name: name.to_owned() })
    }
}

impl Default for Variables {
    fn default() -> Self {
        let mut variables = Self::empty();
        let addresses = ADDRESSES.iter().filter_map(|(name, text)| {
            Some(((*name).to_owned(), text.parse::<AddressExpression>().ok()?))
        });
        let ports = PORTS.iter().filter_map(|(name, text)| {
            Some(((*name).to_owned(), text.parse::<PortExpression>().ok()?))
        });
        // The test below says that none of them is left out.
        let _ = variables.set_all(addresses, ports);
        variables
    }
}

const ADDRESSES: [(&str, &str); 15] = [
    ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12,fc00::/7]"),
    ("EXTERNAL_NET", "!$HOME_NET"),
    ("HTTP_SERVERS", "$HOME_NET"),
    ("SMTP_SERVERS", "$HOME_NET"),
    ("SQL_SERVERS", "$HOME_NET"),
    ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"),
    ("AIM_SERVERS", "$EXTERNAL_NET"),
    ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"),
    ("DNP3_CLIENT", "$HOME_NET"),
    ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"),
    ("ENIP_CLIENT", "$HOME_NET"),
    ("ENIP_SERVER", "$HOME_NET"),
];

const PORTS: [(&str, &str); 11] = [
    ("HTTP_PORTS", "80"),
    ("SHELLCODE_PORTS", "!80"),
    ("ORACLE_PORTS", "1521"),
    ("SSH_PORTS", "22"),
    ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"),
    ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("FTP_PORTS", "21"),
    ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"),
    ("TEREDO_PORTS", "3544"),
];

/// What is wrong with variables, or with what a rule makes of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VariableError {
    /// There is no such variable.
    #[error("expected a variable that is defined, found ${name}")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A variable is defined by itself.
    #[error("expected a variable that is defined without itself, found ${name}")]
    Circular {
        /// Its name.
        name: String,
    },
    /// There is nothing left that would match.
    #[error("expected something that is left, found none in {expression}")]
    Empty {
        /// What was written.
        expression: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_defaults_are_there() {
        let variables = Variables::default();
        for (name, _) in ADDRESSES {
            assert!(variables.addresses(name).is_ok(), "{name}");
        }
        for (name, _) in PORTS {
            assert!(variables.ports(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_depends_on_itself_changes_nothing() {
        let mut variables = Variables::default();
        let before = variables.clone();
        let error = variables.set_addresses("HOME_NET", "!$EXTERNAL_NET".parse().unwrap());
        assert!(matches!(error, Err(VariableError::Circular { .. })), "{error:?}");
        let error = variables.set_ports("WEB", "[$HTTP,1]".parse().unwrap());
        assert_eq!(error, Err(VariableError::Unknown { name: "HTTP".into() }));
        let error = variables.set_addresses("HOME_NET", "any".parse().unwrap());
        assert!(matches!(error, Err(VariableError::Empty { .. })), "{error:?}");
        assert_eq!(variables, before);
    }

    #[test]
    fn whatever_the_order() {
        let mut variables = Variables::empty();
        let addresses = [("A", "!$B"), ("B", "[$C]"), ("C", "10.0.0.1")];
        let addresses = addresses.map(|(name, text)| (name.into(), text.parse().unwrap()));
        variables.set_all(addresses, []).unwrap();
        assert!(!variables.addresses("A").unwrap().contains([10, 0, 0, 1].into()));
    }
}
