use core::fmt;
use core::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::ParseIntError;
use core::str::FromStr;

use thiserror::Error;

/// The addresses that share a prefix (RFC 4632, RFC 4291 §2.3), written `10.0.0.0/8` or `2001:db8::/32`.
///
/// An address alone is a network of one. Bits after the prefix must be zero: whoever writes `10.1.2.3/8` may mean
/// either that host or that network, so neither is taken.
///
/// ```
/// use gwlb_geneve::inspectors::access::IpNetwork;
///
/// let network: IpNetwork = "10.0.0.0/8".parse()?;
/// assert!(network.contains([10, 1, 2, 3].into()));
/// assert_eq!("192.0.2.1".parse::<IpNetwork>()?.to_string(), "192.0.2.1/32");
///
/// let error = "10.1.2.3/8".parse::<IpNetwork>().unwrap_err();
/// assert_eq!(error.to_string(), "expected no bits after the prefix: write 10.0.0.0/8, or 10.1.2.3/32 for the host");
/// # Ok::<(), gwlb_geneve::inspectors::access::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpNetwork {
    address: IpAddr,
    prefix_len: u8,
}

impl IpNetwork {
    /// The network of `prefix_len` bits that begins at `address`.
    ///
    /// # Errors
    ///
    /// [`NetworkError::PrefixLength`] where the prefix is longer than an address, [`NetworkError::HostBits`] where
    /// the address has bits set after it.
    pub fn new(address: IpAddr, prefix_len: u8) -> Result<Self, NetworkError> {
        let longest = address_bits(address);
        if prefix_len > longest {
            return Err(NetworkError::PrefixLength { found: prefix_len, longest });
        }
        let network = Self { address: masked(address, prefix_len), prefix_len };
        if network.address != address {
            return Err(NetworkError::HostBits { address, network });
        }
        Ok(network)
    }

    /// The network's lowest address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits its addresses share.
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Whether an address, of the same IP version, has this prefix.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address, self.prefix_len) == self.address
    }
}

/// A network of one.
impl From<IpAddr> for IpNetwork {
    fn from(address: IpAddr) -> Self {
        Self { address, prefix_len: address_bits(address) }
    }
}

impl FromStr for IpNetwork {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, prefix_len)) => (address, Some(prefix_len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(NetworkError::Address)?;
        match prefix_len {
            None => Ok(Self::from(address)),
            Some(digits) if digits.starts_with('+') => Err(NetworkError::PrefixSign),
            Some(digits) => Self::new(address, digits.parse().map_err(NetworkError::PrefixDigits)?),
        }
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

const fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all bits after the prefix cleared.
fn masked(address: IpAddr, prefix_len: u8) -> IpAddr {
    let prefix_len = u32::from(prefix_len);
    match address {
        IpAddr::V4(address) => {
            let host_bits = u32::MAX.checked_shr(prefix_len).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & !host_bits))
        }
        IpAddr::V6(address) => {
            let host_bits = u128::MAX.checked_shr(prefix_len).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host_bits))
        }
    }
}

/// Why something is not a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// What stands before the `/` is no address.
    #[error("expected an address such as 10.0.0.0/8 or 2001:db8::/32")]
    Address(#[source] AddrParseError),
    /// What stands after the `/` is no number up to 255.
    #[error("expected a prefix length after the /")]
    PrefixDigits(#[source] ParseIntError),
    /// The prefix length has a sign.
    #[error("expected a prefix length without a sign")]
    PrefixSign,
    /// The prefix is longer than an address.
    #[error("expected a prefix length of at most {longest}, found {found}")]
    PrefixLength {
        /// The prefix length.
        found: u8,
        /// 32 or 128.
        longest: u8,
    },
    /// The address has bits set after the prefix.
    #[error(
        "expected no bits after the prefix: write {network}, or {} for the host",
        IpNetwork::from(*address)
    )]
    HostBits {
        /// The address as written.
        address: IpAddr,
        /// The network that it is in.
        network: IpNetwork,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    fn network(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn the_edges_of_a_prefix() {
        let some = network("10.128.0.0/9");
        assert!(some.contains([10, 128, 0, 0].into()) && some.contains([10, 255, 255, 255].into()));
        assert!(!some.contains([10, 127, 255, 255].into()) && !some.contains([11, 0, 0, 0].into()));
        assert!(network("0.0.0.0/0").contains([255; 4].into()));
        assert!(!network("0.0.0.0/0").contains(Ipv6Addr::UNSPECIFIED.into()));
        assert!(!network("::/0").contains([0; 4].into()));
        assert!(!network("2001:db8::1").contains("2001:db8::2".parse().unwrap()));
    }

    #[test]
    fn bad_texts_say_what_was_expected() {
        let error = |text: &str| text.parse::<IpNetwork>().unwrap_err();
        assert!(matches!(error("ten/8"), NetworkError::Address(_)));
        assert!(matches!(error("10.0.0/8"), NetworkError::Address(_)));
        assert!(matches!(error("10.0.0.0/"), NetworkError::PrefixDigits(_)));
        assert!(matches!(error("10.0.0.0/8/8"), NetworkError::PrefixDigits(_)));
        assert_eq!(error("10.0.0.0/+8"), NetworkError::PrefixSign);
        assert_eq!(
            error("10.0.0.0/33").to_string(),
            "expected a prefix length of at most 32, found 33"
        );
        assert_eq!(
            error("2001:db8::1/32").to_string(),
            "expected no bits after the prefix: write 2001:db8::/32, or 2001:db8::1/128 for the host"
        );
    }

    proptest! {
        #[test]
        fn every_network_survives_its_text(bits: u128, four: bool, prefix_len in 0_u8..=128) {
            let address: IpAddr = if four {
                Ipv4Addr::from_bits(bits as u32).into()
            } else {
                Ipv6Addr::from_bits(bits).into()
            };
            let prefix_len = prefix_len.min(address_bits(address));
            let some = IpNetwork::new(masked(address, prefix_len), prefix_len).unwrap();
            prop_assert!(some.contains(address));
            prop_assert_eq!(some.to_string().parse(), Ok(some));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<IpNetwork>();
            let _ = std::format!("10.0.0.0/{text}").parse::<IpNetwork>();
        }
    }
}
