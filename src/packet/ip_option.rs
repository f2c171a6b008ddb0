use super::{ExtensionHeader, IpPacket, IpProtocol, Ipv4Packet, Ipv6Packet, Layer, ParseError};

impl IpPacket<'_> {
    /// Whether the destination address is a stop on the way and not the final one: an IPv6 routing header has
    /// segments left (RFC 8200 §4.4), or the pointer of an IPv4 loose or strict source route is not past its end
    /// (RFC 791 §3.1). Options behind one whose length is wrong are not looked at.
    ///
    /// Such a packet goes on with another destination address: a rule for [`destination`](Self::destination) does
    /// not hold for where it ends, and replies come from another address.
    pub fn is_source_routed(&self) -> bool {
        match self {
            Self::V4(packet) => IpOptions::of_ipv4(packet)
                .map_while(Result::ok)
                .any(|option| matches!(*option.bytes, [131 | 137, end, next, ..] if next <= end)),
            Self::V6(packet) => {
                packet.extension_headers().any(|header| segments_left(&header) != 0)
            }
        }
    }

    /// Refuses the options and routing headers for which a receiver discards the packet.
    pub(super) fn check_options(&self) -> Result<(), ParseError> {
        match self {
            Self::V4(packet) => IpOptions::of_ipv4(packet).try_for_each(|option| option.map(drop)),
            Self::V6(packet) => {
                let mut offset = Ipv6Packet::HEADER_LEN;
                packet.extension_headers().try_for_each(|header| {
                    check_header(&header, offset)?;
                    offset = offset.saturating_add(header.bytes().len());
                    Ok(())
                })
            }
        }
    }
}

/// Checks an extension header that starts at `offset`.
fn check_header(header: &ExtensionHeader<'_>, offset: usize) -> Result<(), ParseError> {
    match header.kind() {
        IpProtocol::HOP_BY_HOP | IpProtocol::DESTINATION_OPTIONS => {
            IpOptions::of_ipv6(header, offset).try_for_each(|option| option?.check_ipv6())
        }
        IpProtocol::ROUTING => match (header.bytes().get(2), segments_left(header)) {
            (Some(0), found @ 1..) => {
                Err(ParseError::SourceRoute { offset: offset.saturating_add(3), found })
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// How many stops a routing header has left; zero for any other header.
fn segments_left(header: &ExtensionHeader<'_>) -> u8 {
    match *header.bytes() {
        [_, _, _, left, ..] if header.kind() == IpProtocol::ROUTING => left,
        _ => 0,
    }
}

/// One option with its type and length bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IpOption<'a> {
    kind: u8,
    offset: usize,
    bytes: &'a [u8],
}

impl IpOption<'_> {
    /// The two highest bits of a type say what becomes of the packet where the type is not known (RFC 8200 §4.2);
    /// only 00 lets it pass. Of the types that are known, most have 00 and need no name here: router alert,
    /// tunnel encapsulation limit, quick-start, CALIPSO, IOAM.
    const fn check_ipv6(&self) -> Result<(), ParseError> {
        const RPL: u8 = 0x63;
        const JUMBO_PAYLOAD: u8 = 0xc2;
        const HOME_ADDRESS: u8 = 0xc9;

        let Self { kind, offset, .. } = *self;
        match kind {
            // A payload length of zero leaves no room for options: there is another length (RFC 2675 §3).
            JUMBO_PAYLOAD => Err(ParseError::Jumbogram { offset }),
            RPL | HOME_ADDRESS | 0..0x40 => Ok(()),
            _ => Err(ParseError::UnknownOption { offset, kind }),
        }
    }
}

/// The options of an IPv4 header (RFC 791 §3.1) or of an IPv6 options header (RFC 8200 §4.2), without padding.
///
/// The first error ends it.
#[derive(Clone, Debug)]
struct IpOptions<'a> {
    rest: &'a [u8],
    offset: usize,
    layer: Layer,
}

impl<'a> IpOptions<'a> {
    fn of_ipv4(packet: &Ipv4Packet<'a>) -> Self {
        let offset = Ipv4Packet::MIN_HEADER_LEN;
        Self { rest: packet.options(), offset, layer: Layer::Ipv4 }
    }

    /// Over the options of a header that starts at `offset`.
    fn of_ipv6(header: &ExtensionHeader<'a>, offset: usize) -> Self {
        Self {
            rest: header.bytes().get(2..).unwrap_or_default(),
            offset: offset.saturating_add(2),
            layer: Layer::Ipv6Extension,
        }
    }

    fn option(&mut self) -> Result<Option<IpOption<'a>>, ParseError> {
        let ipv4 = self.layer == Layer::Ipv4;
        loop {
            match *self.rest {
                [] => return Ok(None),
                [0, ..] if ipv4 => return Ok(None), // end of options
                [1, ref after @ ..] if ipv4 => self.advance(after, 1), // no operation
                [0, ref after @ ..] => self.advance(after, 1), // Pad1
                [kind] => return Err(self.length_error(kind, 2, 1)),
                [kind, length, ..] => {
                    // The length of IPv6 does not count the two bytes before the data.
                    let uncounted = if ipv4 { 0 } else { 2 };
                    let length = usize::from(length).saturating_add(uncounted);
                    if length < 2 {
                        return Err(self.length_error(kind, 2, length));
                    }
                    let Some((bytes, after)) = self.rest.split_at_checked(length) else {
                        return Err(self.length_error(kind, self.rest.len(), length));
                    };
                    let option = IpOption { kind, offset: self.offset, bytes };
                    self.advance(after, length);
                    return Ok(Some(option));
                }
            }
        }
    }

    const fn advance(&mut self, rest: &'a [u8], by: usize) {
        self.rest = rest;
        self.offset = self.offset.saturating_add(by);
    }

    const fn length_error(&self, kind: u8, expected: usize, found: usize) -> ParseError {
        let Self { layer, offset, .. } = *self;
        ParseError::OptionLength { layer, offset, kind, expected, found }
    }
}

impl<'a> Iterator for IpOptions<'a> {
    type Item = Result<IpOption<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let option = self.option().transpose();
        if !matches!(option, Some(Ok(_))) {
            self.rest = &[];
        }
        option
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::build::{ipv4, ipv6, udp};

    fn check(packet: &[u8]) -> Result<(), ParseError> {
        IpPacket::parse(packet).unwrap().check_whole()
    }

    fn with_ipv4(options: &[u8]) -> Vec<u8> {
        ipv4(17, options, &udp(b"data"))
    }

    /// In the second of two headers, which has room for 14 bytes of options.
    fn with_ipv6(first: u8, options: &[u8]) -> Vec<u8> {
        let mut headers = vec![60, 0, 1, 4, 0, 0, 0, 0, 17, 1];
        headers.extend_from_slice(options);
        headers.resize(24, 0);
        headers.extend_from_slice(&udp(b"data"));
        ipv6(first, &headers)
    }

    fn routed(kind: u8, left: u8) -> Vec<u8> {
        ipv6(43, &[&[17, 2, kind, left][..], &[0; 20], &udp(b"data")].concat())
    }

    #[test]
    fn ipv4_options_in_order_pass() {
        for options in [
            &[1, 1, 1, 0][..],
            &[0, 9, 0, 9],                // nothing behind the end is an option
            &[148, 4, 0, 0, 7, 4, 4, 0],  // to the last byte
            &[200, 2, 1, 7, 5, 4, 0, 0],  // of the least length, with padding behind
            &[1, 131, 7, 4, 10, 0, 0, 1], // a source route
        ] {
            assert_eq!(check(&with_ipv4(options)), Ok(()), "{options:?}");
        }
    }

    #[test]
    fn ipv4_option_lengths_are_checked() {
        for (options, at, kind, expected, found) in [
            (&[1, 7, 0, 0][..], 21, 7, 2, 0),
            (&[1, 7, 1, 0], 21, 7, 2, 1),
            (&[1, 7, 4, 0], 21, 7, 3, 4),
            (&[148, 4, 0, 0, 7, 5, 4, 0], 24, 7, 4, 5),
            (&[1, 1, 1, 7], 23, 7, 2, 1),
        ] {
            let layer = Layer::Ipv4;
            let error = ParseError::OptionLength { layer, offset: at, kind, expected, found };
            assert_eq!(check(&with_ipv4(options)), Err(error), "{options:?}");
            assert_eq!(error.reason(), "ipv4-option-length");
        }
        let error = check(&with_ipv4(&[1, 7, 4, 0])).unwrap_err().to_string();
        assert_eq!(error, "IPv4 option 7 at offset 21: expected a length of 3, found 4");
    }

    #[test]
    fn ipv6_options_that_are_known_or_may_be_skipped_pass() {
        for kind in [1, 5, 0xc9, 4, 0x26, 7, 0x63, 0x23, 0x11, 0x31, 0x1e, 0x3e] {
            for first in [0, 60] {
                assert_eq!(check(&with_ipv6(first, &[0, kind, 2, 0, 0])), Ok(()), "{kind}");
                assert_eq!(check(&with_ipv6(first, &[kind, 12])), Ok(()), "{kind}");
            }
        }
    }

    #[test]
    fn ipv6_options_that_say_discard_are_refused() {
        for kind in [0x40, 0x5e, 0x7f, 0x80, 0x9e, 0xbf, 0xc0, 0xc1, 0xff] {
            let error = check(&with_ipv6(60, &[1, 1, 0, kind, 0])).unwrap_err();
            assert_eq!(error, ParseError::UnknownOption { offset: 53, kind });
            assert_eq!(
                (error.reason(), error.layer()),
                ("ipv6-option-unknown", Layer::Ipv6Extension)
            );
        }
        let error = check(&ipv6(0, &[59, 0, 0x9e, 0, 0, 0, 0, 0])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "IPv6 option 158 at offset 42: expected one that is known or may be skipped, found one to discard for"
        );
    }

    #[test]
    fn ipv6_option_lengths_are_checked() {
        for (options, at, kind, expected, found) in [
            (&[1, 13][..], 50, 1, 14, 15),
            (&[5, 2, 0, 0, 0x1e, 255], 54, 0x1e, 10, 257),
            (&[1, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], 63, 5, 2, 1),
        ] {
            let layer = Layer::Ipv6Extension;
            let error = ParseError::OptionLength { layer, offset: at, kind, expected, found };
            assert_eq!(check(&with_ipv6(60, options)), Err(error), "{options:?}");
            assert_eq!(error.reason(), "ipv6-option-length");
        }
    }

    #[test]
    fn a_jumbo_payload_beside_a_payload_length_is_refused() {
        let packet = ipv6(0, &[&[17, 0, 0xc2, 4, 0, 1, 0, 0][..], &udp(b"data")].concat());
        assert_eq!(check(&packet), Err(ParseError::Jumbogram { offset: 42 }));
    }

    #[test]
    fn a_type_0_routing_header_with_segments_left_is_refused() {
        let error = check(&routed(0, 1)).unwrap_err();
        assert_eq!(error, ParseError::SourceRoute { offset: 43, found: 1 });
        assert_eq!((error.reason(), error.offset()), ("ipv6-source-route", 43));
        assert_eq!(
            error.to_string(),
            "IPv6 routing header at offset 43: expected no segments left in type 0, found 1"
        );
        for (kind, left) in [(0, 0), (2, 1), (4, 1)] {
            assert_eq!(check(&routed(kind, left)), Ok(()), "type {kind}, {left} left");
        }
    }

    #[test]
    fn a_source_route_is_told_until_its_last_stop() {
        let is_routed = |packet: &[u8]| IpPacket::parse(packet).unwrap().is_source_routed();
        for (kind, left, expected) in [(0, 0, false), (0, 1, true), (4, 2, true), (4, 0, false)] {
            assert_eq!(is_routed(&routed(kind, left)), expected, "type {kind}, {left} left");
        }
        assert!(!is_routed(&with_ipv6(60, &[5, 2, 7, 7])));
        for (options, expected) in [
            (&[1, 131, 7, 4, 10, 0, 0, 1][..], true),
            (&[1, 137, 7, 7, 10, 0, 0, 1], true),
            (&[1, 137, 7, 8, 10, 0, 0, 1], false), // all visited
            (&[1, 7, 7, 4, 10, 0, 0, 1], false),   // a record of the route
            (&[0, 131, 7, 4, 10, 0, 0, 1], false), // behind the end of options
            (&[148, 4, 0, 0, 131, 3, 4, 0], false), // without an address
            (&[7, 0, 0, 0, 131, 7, 4, 10, 0, 0, 1, 0], false),
        ] {
            assert_eq!(is_routed(&with_ipv4(options)), expected, "{options:?}");
        }
    }
}
