use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

/// The networks that load balancers are in. Datagrams from elsewhere are counted and dropped before anyone looks into
/// them: who can send to port 6081 could otherwise have packets judged, and answered, as if they came from a gateway.
///
/// By default the private networks (RFC 1918) and those that carriers share (RFC 6598), which virtual private clouds are
/// made of. To name the subnets of the load balancer itself is better.
///
/// ```
/// use gwlb_geneve::transport::udp::Origins;
///
/// let origins = Origins::parse(["10.1.0.0/20", "192.0.2.1"])?;
/// assert!(origins.contain([10, 1, 15, 255].into()));
/// assert!(!origins.contain([10, 1, 16, 0].into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    networks: Vec<Network>,
}

/// An address, and which of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u32,
    mask: u32,
}

/// An [`Origins`] network that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginsError {
    /// Not an address.
    #[error("expected an IPv4 network like 10.0.0.0/8, found {0:?}")]
    NotANetwork(String),
    /// A prefix longer than an address.
    #[error("{network:?}: expected a prefix length of 0 to 32, found {found}")]
    Prefix {
        /// The network.
        network: String,
        /// Its prefix length.
        found: u32,
    },
    /// Bits behind the prefix.
    #[error("{network:?}: expected zeros behind the prefix, as in {expected}/{prefix}")]
    HostBits {
        /// The network.
        network: String,
        /// Its first address.
        expected: Ipv4Addr,
        /// Its prefix length.
        prefix: u32,
    },
}

impl Origins {
    /// Any address at all. For networks where something else keeps strangers from the port.
    pub fn anywhere() -> Self {
        Self { networks: vec![Network { address: 0, mask: 0 }] }
    }

    /// From networks in the form `10.0.0.0/8`, or addresses.
    ///
    /// # Errors
    ///
    /// The first that cannot be understood.
    pub fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginsError> {
        let networks = networks.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { networks })
    }

    /// Whether the address is in one of the networks.
    #[inline]
    pub fn contain(&self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        self.networks.iter().any(|network| address & network.mask == network.address)
    }
}

impl Default for Origins {
    fn default() -> Self {
        let network = |a, b, prefix| Network {
            address: u32::from_be_bytes([a, b, 0, 0]),
            mask: mask(prefix),
        };
        let networks = vec![
            network(10, 0, 8),
            network(172, 16, 12),
            network(192, 168, 16),
            network(100, 64, 10),
        ];
        Self { networks }
    }
}

impl FromStr for Network {
    type Err = OriginsError;

    fn from_str(text: &str) -> Result<Self, OriginsError> {
        let not_a_network = || OriginsError::NotANetwork(text.into());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, prefix.parse().map_err(|_| not_a_network())?),
            None => (text, 32),
        };
        let address = u32::from(address.parse::<Ipv4Addr>().map_err(|_| not_a_network())?);
        if prefix > 32 {
            return Err(OriginsError::Prefix { network: text.into(), found: prefix });
        }
        let mask = mask(prefix);
        if address & !mask != 0 {
            let expected = Ipv4Addr::from(address & mask);
            return Err(OriginsError::HostBits { network: text.into(), expected, prefix });
        }
        Ok(Self { address, mask })
    }
}

impl fmt::Display for Origins {
    /// `10.0.0.0/8, 192.168.0.0/16`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, network) in self.networks.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let (address, prefix) = (Ipv4Addr::from(network.address), network.mask.count_ones());
            write!(f, "{comma}{address}/{prefix}")?;
        }
        Ok(())
    }
}

/// Of a prefix of up to 32 bits.
fn mask(prefix: u32) -> u32 {
    u32::MAX.checked_shr(prefix).map_or(u32::MAX, |host| !host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_private_and_shared_networks() {
        let origins = Origins::default();
        assert_eq!(origins.to_string(), "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10");
        for inside in ["10.255.0.1", "172.31.255.255", "192.168.0.0", "100.127.255.255"] {
            assert!(origins.contain(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["9.255.255.255", "172.32.0.0", "192.169.0.0", "100.128.0.0", "8.8.8.8"] {
            assert!(!origins.contain(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn the_ends_of_the_scale() {
        assert!(Origins::anywhere().contain(Ipv4Addr::BROADCAST));
        assert_eq!(Origins::parse(["0.0.0.0/0"]), Ok(Origins::anywhere()));
        let one = Origins::parse(["192.0.2.1/32"]).unwrap();
        assert!(one.contain([192, 0, 2, 1].into()) && !one.contain([192, 0, 2, 0].into()));
        assert!(!Origins::parse([]).unwrap().contain([10, 0, 0, 1].into()));
    }

    #[test]
    fn mistakes_are_told() {
        let said = |network| Origins::parse([network]).unwrap_err().to_string();
        assert_eq!(said("ten/8"), "expected an IPv4 network like 10.0.0.0/8, found \"ten/8\"");
        assert_eq!(
            said("10.0.0.0/33"),
            "\"10.0.0.0/33\": expected a prefix length of 0 to 32, found 33"
        );
        assert_eq!(
            said("10.1.0.0/8"),
            "\"10.1.0.0/8\": expected zeros behind the prefix, as in 10.0.0.0/8"
        );
        assert!(Origins::parse(["2001:db8::/32"]).is_err());
    }
}
