use core::net::IpAddr;

use super::Anomalies;

/// One entry of a server name extension (SNI, RFC 6066 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerName<'a> {
    /// What kind of name it is; 0 is a host name, others are not defined.
    pub name_type: u8,
    /// The name as the client sent it.
    pub name: &'a [u8],
}

impl<'a> ServerName<'a> {
    /// The code of a host name.
    pub const HOST_NAME: u8 = 0;

    /// The name, where it is a DNS name of letters, digits, hyphens and underscores (which hosts in use have, though
    /// RFC 1123 does not) in labels of at most 63 and 253 in all; as it was sent, not lower-cased. A dot at the end,
    /// which should not be there and which servers pass over, is left out. `None` also where it is an IP address.
    pub fn dns_name(&self) -> Option<&'a str> {
        let name = self.name.strip_suffix(b".").unwrap_or(self.name);
        let is_label = |label: &[u8]| {
            (1..=63).contains(&label.len())
                && label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
        };
        let is_name = self.name_type == Self::HOST_NAME
            && name.len() <= 253
            && name.split(|byte| *byte == b'.').all(is_label);
        core::str::from_utf8(name).ok().filter(|_| is_name && !self.is_address())
    }

    /// Whether it is an IP address in text.
    pub fn is_address(&self) -> bool {
        // Nearly all names end in a letter that no address has.
        if self.name.last().is_none_or(|last| !last.is_ascii_hexdigit() && !b":]".contains(last)) {
            return false;
        }
        let name = self.name;
        let name = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name);
        core::str::from_utf8(name).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
    }

    pub(super) fn anomalies(&self) -> Anomalies {
        let mut found = Anomalies::NONE;
        if self.name_type != Self::HOST_NAME {
            found |= Anomalies::SERVER_NAME_TYPE;
        } else if self.name.is_empty() {
            found |= Anomalies::SERVER_NAME_EMPTY;
        } else if self.is_address() {
            found |= Anomalies::SERVER_NAME_IS_ADDRESS;
        } else if self.name.ends_with(b".") || self.dns_name().is_none() {
            found |= Anomalies::SERVER_NAME_MALFORMED;
        }
        found
    }
}

/// The names of a server name extension in their order. In order there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ServerNames<'a> {
    rest: &'a [u8],
}

impl<'a> ServerNames<'a> {
    /// Of an extension's data, and what is odd about them. A list that says that it is longer or shorter than the
    /// extension is read as far as it goes.
    pub(super) fn read(data: &'a [u8]) -> (Self, Anomalies) {
        let (len, rest) = match data.split_first_chunk() {
            Some((len, rest)) => (usize::from(u16::from_be_bytes(*len)), rest),
            None => (0, &[][..]),
        };
        let list = Self { rest: rest.get(..len).unwrap_or(rest) };
        let mut anomalies = Anomalies::NONE;
        let mut names = list;
        let mut count = 0_u32;
        for name in names.by_ref() {
            anomalies |= name.anomalies();
            count = count.saturating_add(1);
        }
        anomalies.note(Anomalies::SERVER_NAME_EMPTY, count == 0);
        anomalies.note(Anomalies::SERVER_NAMES_SEVERAL, count > 1);
        let is_whole = rest.len() == len && names.rest.is_empty() && data.len() != 1;
        anomalies.note(Anomalies::SERVER_NAME_MALFORMED, !is_whole);
        (list, anomalies)
    }
}

impl<'a> Iterator for ServerNames<'a> {
    type Item = ServerName<'a>;

    fn next(&mut self) -> Option<ServerName<'a>> {
        let (&[name_type, high, low], rest) = self.rest.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        self.rest = rest;
        Some(ServerName { name_type, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &[u8]) -> ServerName<'_> {
        ServerName { name_type: 0, name }
    }

    #[test]
    fn names_in_order() {
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        for good in ["example.com", "EXAMPLE.com", "_dmarc.xn--bcher-kva.example", "a", &long] {
            assert_eq!(name(good.as_bytes()).dns_name(), Some(good));
            assert_eq!(name(good.as_bytes()).anomalies(), Anomalies::NONE, "{good}");
        }
    }

    #[test]
    fn names_that_are_none() {
        let label = "a".repeat(64);
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
        let odd = Anomalies::SERVER_NAME_MALFORMED;
        for (bad, anomaly) in [
            (&b""[..], Anomalies::SERVER_NAME_EMPTY),
            (b".", odd),
            (b"a..b", odd),
            (b".a", odd),
            (b"a b", odd),
            (b"a\0.example", odd),
            (b"\xff", odd),
            (b"b\xc3\xbccher.example", odd),
            (label.as_bytes(), odd),
            (long.as_bytes(), odd),
            (b"192.0.2.1", Anomalies::SERVER_NAME_IS_ADDRESS),
            (b"2001:db8::1", Anomalies::SERVER_NAME_IS_ADDRESS),
            (b"[2001:db8::1]", Anomalies::SERVER_NAME_IS_ADDRESS),
        ] {
            assert_eq!(name(bad).dns_name(), None, "{bad:?}");
            assert_eq!(name(bad).anomalies(), anomaly, "{bad:?}");
        }
        let dotted = name(b"example.com.");
        assert_eq!((dotted.dns_name(), dotted.anomalies()), (Some("example.com"), odd));
        let other = ServerName { name_type: 1, name: b"example.com" };
        assert_eq!((other.dns_name(), other.anomalies()), (None, Anomalies::SERVER_NAME_TYPE));
    }

    #[test]
    fn lists_that_are_not_whole_are_read_as_far_as_they_go() {
        let odd = Anomalies::SERVER_NAME_MALFORMED;
        let none = Anomalies::SERVER_NAME_EMPTY;
        for (data, names, anomalies) in [
            (&[0, 4, 0, 0, 1, b'a'][..], &[&b"a"[..]][..], Anomalies::NONE),
            (&[0, 4, 0, 0, 1, b'a', 0], &[b"a"], odd), // bytes behind the list
            (&[0, 9, 0, 0, 1, b'a'], &[b"a"], odd),    // a list beyond the extension
            (&[0, 5, 0, 0, 1, b'a', 0], &[b"a"], odd), // half an entry
            (&[0, 4, 0, 0, 2, b'a'], &[], odd | none),
            (&[], &[], none),
            (&[0], &[], odd | none),
            (&[0, 0], &[], none),
            (&[0, 8, 0, 0, 1, b'a', 0, 0, 1, b'b'], &[b"a", b"b"], Anomalies::SERVER_NAMES_SEVERAL),
        ] {
            let (found, odd) = ServerNames::read(data);
            assert_eq!(found.map(|name| name.name).collect::<Vec<_>>(), names, "{data:?}");
            assert_eq!(odd, anomalies, "{data:?}");
        }
    }
}
