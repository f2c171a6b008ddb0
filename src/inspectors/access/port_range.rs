use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

use thiserror::Error;

/// Ports from a first to a last one, both included; written `443` or `8000-8100`.
///
/// ```
/// use gwlb_geneve::inspectors::access::PortRange;
///
/// let range: PortRange = "8000-8100".parse()?;
/// assert!(range.contains(8100) && !range.contains(8101));
/// assert_eq!(PortRange::from(443).to_string(), "443");
/// # Ok::<(), gwlb_geneve::inspectors::access::PortRangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// From the first to the last port.
    ///
    /// # Errors
    ///
    /// [`PortRangeError::Backwards`] where the last comes before the first.
    pub const fn new(first: u16, last: u16) -> Result<Self, PortRangeError> {
        if first > last {
            return Err(PortRangeError::Backwards { first, last });
        }
        Ok(Self { first, last })
    }

    /// The lowest port.
    pub const fn first(&self) -> u16 {
        self.first
    }

    /// The highest port.
    pub const fn last(&self) -> u16 {
        self.last
    }

    /// Whether a port is one of these.
    pub const fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// A range of one.
impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |digits: &str| -> Result<u16, PortRangeError> {
            if digits.starts_with('+') {
                return Err(PortRangeError::Sign);
            }
            digits.parse().map_err(PortRangeError::Digits)
        };
        match text.split_once('-') {
            Some((first, last)) => Self::new(port(first.trim())?, port(last.trim())?),
            None => port(text).map(Self::from),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Why something is not a range of ports.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortRangeError {
    /// Not a number from 0 to 65535.
    #[error("expected a port from 0 to 65535, or a range such as 8000-8100")]
    Digits(#[source] ParseIntError),
    /// A number with a sign.
    #[error("expected a port without a sign")]
    Sign,
    /// The last port comes before the first.
    #[error("expected the lower port first: write {last}-{first}")]
    Backwards {
        /// The first port as written.
        first: u16,
        /// The last port as written.
        last: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn texts() {
        assert_eq!("0-65535".parse(), PortRange::new(0, 65_535));
        assert_eq!("22 - 23".parse::<PortRange>().unwrap().to_string(), "22-23");
        assert_eq!("22-22".parse(), Ok(PortRange::from(22)));
        for bad in ["", "-", "65536", "1-", "-1", "1-2-3", "http", "１"] {
            assert!(matches!(bad.parse::<PortRange>(), Err(PortRangeError::Digits(_))), "{bad}");
        }
        assert_eq!("+1".parse::<PortRange>(), Err(PortRangeError::Sign));
        assert_eq!(
            "9-7".parse::<PortRange>().unwrap_err().to_string(),
            "expected the lower port first: write 7-9"
        );
    }
}
