use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use super::expression::{self, shortened};
use super::ranges::Ranges;
use super::{ExpressionError, VariableError, Variables};
use crate::inspectors::access::{IpNetwork, NetworkError};

/// Addresses as a rule writes them: `any`, a network, a range, a `$VARIABLE`, `!` of one of these, `[…]` of several.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::{AddressExpression, Variables};
///
/// let some: AddressExpression = "[10.0.0.0/8, !10.1.0.0/16, 192.0.2.1-192.0.2.9]".parse()?;
/// let set = some.resolve(&Variables::default())?;
/// assert!(set.contains([10, 2, 3, 4].into()) && set.contains([192, 0, 2, 9].into()));
/// assert!(!set.contains([10, 1, 0, 1].into()));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AddressExpression {
    /// `any`
    Any,
    /// `10.0.0.0/8`, `2001:db8::1`
    Network(IpNetwork),
    /// `192.0.2.1-192.0.2.9`: of one IP version, the lower end first.
    Range(IpAddr, IpAddr),
    /// `$HOME_NET`, without the `$`.
    Variable(String),
    /// `!…`
    Not(Box<AddressExpression>),
    /// `[…]`: all that are not negated, or any where there are only such, without those that are.
    Group(Vec<AddressExpression>),
}

impl AddressExpression {
    /// The addresses that are meant where the variables are these.
    ///
    /// # Errors
    ///
    /// [`VariableError::Unknown`] where a variable is none of these, [`VariableError::Empty`] where no address is left.
    pub fn resolve(&self, variables: &Variables) -> Result<AddressSet, VariableError> {
        let set = self.evaluate(variables)?;
        if set.is_empty() {
            return Err(VariableError::Empty { expression: self.to_string() });
        }
        Ok(set)
    }

    pub(super) fn evaluate(&self, variables: &Variables) -> Result<AddressSet, VariableError> {
        Ok(match self {
            Self::Any => AddressSet::any(),
            Self::Network(network) => AddressSet::network(*network),
            Self::Range(first, last) => AddressSet::range(*first, *last),
            Self::Variable(name) => variables.addresses(name)?.clone(),
            Self::Not(inner) => inner.evaluate(variables)?.complement(),
            Self::Group(members) => {
                let mut meant = None;
                let mut excepted = AddressSet::none();
                for member in members {
                    if let Self::Not(member) = member {
                        excepted = excepted.union(member.evaluate(variables)?);
                    } else {
                        let member = member.evaluate(variables)?;
                        meant = Some(match meant {
                            None => member,
                            Some(meant) => member.union(meant),
                        });
                    }
                }
                meant.unwrap_or_else(AddressSet::any).without(&excepted)
            }
        })
    }
}

impl FromStr for AddressExpression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        expression::parse(text, &leaf, &|inner| Self::Not(Box::new(inner)), &Self::Group)
    }
}

/// What is neither negated nor a list. Bits of an address behind a prefix do not count.
fn leaf(text: &str) -> Result<AddressExpression, ExpressionError> {
    let error = || ExpressionError::Address { found: shortened(text) };
    if text.eq_ignore_ascii_case("any") {
        return Ok(AddressExpression::Any);
    }
    if let Some(name) = text.strip_prefix('$') {
        return is_name(name).then(|| AddressExpression::Variable(name.into())).ok_or_else(error);
    }
    if let Some((first, last)) = text.split_once('-') {
        let parse = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| error());
        let (first, last) = (parse(first)?, parse(last)?);
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Err(ExpressionError::AddressRange { found: shortened(text) });
        }
        return Ok(AddressExpression::Range(first, last));
    }
    match text.parse() {
        Ok(network) => Ok(AddressExpression::Network(network)),
        Err(NetworkError::HostBits { network, .. }) => Ok(AddressExpression::Network(network)),
        Err(_) => network_with_mask(text).map(AddressExpression::Network).ok_or_else(error),
    }
}

/// `10.0.0.0/255.0.0.0`
fn network_with_mask(text: &str) -> Option<IpNetwork> {
    let (address, mask) = text.split_once('/')?;
    let (address, mask): (Ipv4Addr, Ipv4Addr) = (address.parse().ok()?, mask.parse().ok()?);
    let prefix_len = mask.to_bits().leading_ones();
    let is_prefix = mask.to_bits().count_ones() == prefix_len;
    let address = Ipv4Addr::from_bits(address.to_bits() & mask.to_bits());
    IpNetwork::new(address.into(), u8::try_from(prefix_len).ok()?).ok().filter(|_| is_prefix)
}

/// Whether it may stand behind a `$`.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for AddressExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Network(network) if is_host(network) => network.address().fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Not(inner) => write!(f, "!{inner}"),
            Self::Group(members) => {
                f.write_str("[")?;
                for (number, member) in members.iter().enumerate() {
                    let separator = if number == 0 { "" } else { "," };
                    write!(f, "{separator}{member}")?;
                }
                f.write_str("]")
            }
        }
    }
}

fn is_host(network: &IpNetwork) -> bool {
    IpNetwork::from(network.address()) == *network
}

/// Addresses of both IP versions. One is looked up by binary search.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressSet {
    four: Ranges<u32>,
    six: Ranges<u128>,
}

impl AddressSet {
    /// All there are.
    pub fn any() -> Self {
        Self { four: Ranges::all(), six: Ranges::all() }
    }

    /// Whether an address is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.four.contains(address.to_bits()),
            IpAddr::V6(address) => self.six.contains(address.to_bits()),
        }
    }

    /// Whether it has all there are, so that none need be compared.
    pub fn is_any(&self) -> bool {
        self.four.is_all() && self.six.is_all()
    }

    /// Whether there is none in it.
    pub fn is_empty(&self) -> bool {
        self.four.is_none() && self.six.is_none()
    }

    /// Those of IPv4, from the first to the last of each row, in order, with a gap between rows.
    pub fn four(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr)> {
        let ranges = self.four.as_slice().iter();
        ranges.map(|(first, last)| (Ipv4Addr::from_bits(*first), Ipv4Addr::from_bits(*last)))
    }

    /// The same of IPv6.
    pub fn six(&self) -> impl Iterator<Item = (Ipv6Addr, Ipv6Addr)> {
        let ranges = self.six.as_slice().iter();
        ranges.map(|(first, last)| (Ipv6Addr::from_bits(*first), Ipv6Addr::from_bits(*last)))
    }

    const fn none() -> Self {
        Self { four: Ranges::none(), six: Ranges::none() }
    }

    fn network(network: IpNetwork) -> Self {
        let prefix_len = u32::from(network.prefix_len());
        match network.address() {
            IpAddr::V4(first) => {
                let hosts = u32::MAX.checked_shr(prefix_len).unwrap_or(0);
                Self::range(first.into(), Ipv4Addr::from_bits(first.to_bits() | hosts).into())
            }
            IpAddr::V6(first) => {
                let hosts = u128::MAX.checked_shr(prefix_len).unwrap_or(0);
                Self::range(first.into(), Ipv6Addr::from_bits(first.to_bits() | hosts).into())
            }
        }
    }

    /// Of one IP version, else none.
    fn range(first: IpAddr, last: IpAddr) -> Self {
        let mut set = Self::none();
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                set.four = Ranges::new([(first.to_bits(), last.to_bits())].into());
            }
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                set.six = Ranges::new([(first.to_bits(), last.to_bits())].into());
            }
            _ => {}
        }
        set
    }

    fn union(self, other: Self) -> Self {
        Self { four: self.four.union(other.four), six: self.six.union(other.six) }
    }

    fn complement(&self) -> Self {
        Self { four: self.four.complement(), six: self.six.complement() }
    }

    fn without(&self, other: &Self) -> Self {
        Self { four: self.four.without(&other.four), six: self.six.without(&other.six) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_without_what_is_negated() {
        let variables = Variables::default();
        for (text, inside, outside) in [
            ("any", "192.0.2.1", ""),
            ("!10.0.0.0/8", "2001:db8::1", "10.9.9.9"),
            ("[10.0.0.0/8, ![10.1.0.0/16,!10.1.2.0/24]]", "10.1.2.3", "10.1.3.3"),
            ("[!10.0.0.1,!10.0.0.2]", "10.0.0.3", "10.0.0.2"),
            ("$EXTERNAL_NET", "192.0.2.1", "192.168.1.1"),
            ("![$HOME_NET,192.0.2.0/24]", "203.0.113.1", "192.0.2.1"),
            ("10.1.2.3/8", "10.9.9.9", "11.0.0.0"),
            ("10.0.0.0/255.255.0.0", "10.0.9.9", "10.1.0.0"),
            ("2001:db8::/32", "2001:db8:ffff::", "10.0.0.0"),
        ] {
            let set = text.parse::<AddressExpression>().unwrap().resolve(&variables).unwrap();
            assert!(set.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(
                outside.is_empty() || !set.contains(outside.parse().unwrap()),
                "{text} {outside}"
            );
        }
    }

    #[test]
    fn bad_texts() {
        let deep = "[".repeat(40);
        for text in [
            "",
            "[",
            "[]",
            "10.0.0.1]",
            "[10.0.0.1",
            "10.0.0.9-10.0.0.1",
            "1.2.3.4-::1",
            "$",
            "!",
            "10.0.0.0/255.0.255.0",
            &deep,
        ] {
            assert!(text.parse::<AddressExpression>().is_err(), "{text}");
        }
        let nothing = "!any".parse::<AddressExpression>().unwrap();
        assert!(matches!(nothing.resolve(&Variables::default()), Err(VariableError::Empty { .. })));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]!,$0-9a-f.:/ -]{0,40}") {
            if let Ok(expression) = text.parse::<AddressExpression>() {
                prop_assert_eq!(expression.to_string().parse(), Ok(expression.clone()));
                let _ = expression.resolve(&Variables::default());
            }
        }
    }
}
