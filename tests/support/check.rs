//! The properties themselves: each takes any bytes and holds the library against an oracle. Property
//! tests call them with generated packets, fuzz targets with whatever they find.

use std::net::IpAddr;

use gwlb_geneve::geneve::{Builder, MAX_HEADER_LEN, OptionClass, OptionType, Packet, ParseError};
use gwlb_geneve::gwlb::{Envelope, EnvelopeError, Outer, Profile};
use gwlb_geneve::packet::{
    ChecksumStatus, FiveTuple, IpPacket, ParseError as InnerError, TcpOption, TcpSegment, Transport,
};

use super::oracle::{self, Kind};

/// Header and options: fast path, general walk and oracle agree; what was parsed can be built again.
pub fn header(bytes: &[u8]) {
    let parsed = Packet::parse(bytes);
    assert_eq!(parsed, Packet::parse_general(bytes), "fast path and general walk");
    match (parsed, oracle::geneve(bytes)) {
        (Ok(packet), Ok(expected)) => {
            assert_eq!(packet.version(), 0);
            assert_eq!(packet.is_oam(), expected.oam);
            assert_eq!(packet.is_critical(), expected.critical);
            assert_eq!(packet.reserved_flags(), expected.reserved_flags);
            assert_eq!(packet.protocol_type().0, expected.protocol);
            assert_eq!(packet.vni().get(), expected.vni);
            assert_eq!(packet.reserved(), expected.reserved);
            assert_eq!(packet.options_len(), expected.payload - 8);
            assert_eq!(packet.header(), &bytes[..expected.payload]);
            assert_eq!(packet.payload(), &bytes[expected.payload..]);
            let options: Vec<_> = packet
                .options_with_offsets()
                .map(|(offset, option)| oracle::GeneveOption {
                    offset,
                    class: option.class().0,
                    kind: option.option_type().0,
                    reserved: option.reserved(),
                    data: option.data().to_vec(),
                })
                .collect();
            assert_eq!(options, expected.options);
            rebuild(&packet, &expected);
        }
        (Err(error), Err(expected)) => {
            assert_eq!((error.reason(), error.offset()), expected, "{error}");
        }
        (parsed, expected) => panic!("library: {parsed:?}, oracle: {expected:?}"),
    }
}

/// Parse and build gives the same bytes, but for reserved bits and a C bit that says what is not so.
fn rebuild(packet: &Packet<'_>, expected: &oracle::Geneve) {
    let mut built = [0xee; MAX_HEADER_LEN];
    let len = Builder::from(packet).build_into(&mut built).expect("what was parsed can be built");
    let mut received = packet.header().to_vec();
    received[1] &= 0x80;
    received[1] |= u8::from(expected.options.iter().any(|option| option.kind >= 0x80)) << 6;
    received[7] = 0;
    for option in &expected.options {
        received[option.offset + 3] &= 0x1f;
    }
    assert_eq!(built[..len], received);
    assert!(built[len..].iter().all(|byte| *byte == 0xee), "nothing is written past the header");
    let reserved = expected.reserved_flags != 0
        || expected.reserved != 0
        || expected.options.iter().any(|option| option.reserved != 0);
    let honest = expected.critical == expected.options.iter().any(|option| option.kind >= 0x80);
    if !reserved && honest {
        assert_eq!(built[..len], *packet.header());
    }
}

/// The load balancer's envelope, by each provider's profile: fast path, general walk and oracle agree.
pub fn envelope(bytes: &[u8]) {
    for provider in oracle::PROVIDERS {
        envelope_from(&provider, bytes);
    }
}

/// The library's profile of a provider, its own constant where it has one.
pub fn profile(provider: &oracle::Provider) -> Profile {
    match provider.class {
        0x0108 => Profile::AWS,
        0x0167 => Profile::TENCENT,
        class => {
            let types = provider.types.map(OptionType);
            let direction_bits = u8::try_from(provider.direction_bits).expect("at most 31");
            Profile::custom(OptionClass(class), types, direction_bits).expect("a profile in order")
        }
    }
}

fn envelope_from(provider: &oracle::Provider, bytes: &[u8]) {
    let profile = profile(provider);
    let parsed = Envelope::parse(bytes, &profile);
    assert_eq!(parsed, Envelope::parse_general(bytes, &profile), "fast path and general walk");
    match (parsed, oracle::envelope_from(provider, bytes)) {
        (Ok(envelope), Ok((endpoint, attachment, cookie, direction, inner))) => {
            assert_eq!(envelope.endpoint().0, endpoint);
            assert_eq!(envelope.attachment().0, attachment);
            assert_eq!(envelope.cookie().0, cookie);
            assert_eq!(envelope.direction(), direction);
            assert_eq!(envelope.header(), &bytes[..inner]);
            assert_eq!(envelope.inner(), &bytes[inner..]);
        }
        (Err(error), Err(expected)) => {
            assert_eq!((error.reason(), error.offset()), expected, "{error}");
            let geneve: Result<_, ParseError> = Packet::parse(bytes);
            assert_eq!(matches!(error, EnvelopeError::Geneve(_)), geneve.is_err());
        }
        (parsed, expected) => panic!("library: {parsed:?}, oracle: {expected:?}"),
    }
}

/// The outer header: library and oracle agree on every field and on where the payload is.
pub fn outer(bytes: &[u8]) {
    match (Outer::parse(bytes), oracle::outer(bytes)) {
        (Ok((outer, payload)), Ok(expected)) => {
            assert_eq!(outer.source.octets(), expected.source);
            assert_eq!(outer.destination.octets(), expected.destination);
            assert_eq!((outer.source_port, outer.destination_port), expected.ports);
            assert_eq!((outer.tos, outer.ttl), (expected.tos, expected.ttl));
            assert_eq!(outer.udp_checksum, expected.udp_checksum);
            let range = expected.payload..expected.end;
            assert_eq!(payload.as_ptr_range(), bytes[range].as_ptr_range());
        }
        (Err(error), Err(expected)) => {
            assert_eq!(error.reason(), expected, "{error}");
            assert!(!error.to_string().contains('\n'));
        }
        (parsed, expected) => panic!("library: {parsed:?}, oracle: {expected:?}"),
    }
}

/// The inner packet: the short way to the 5-tuple, the views and the oracle agree, down to TCP options
/// and what an ICMP error quotes.
pub fn inner(bytes: &[u8]) {
    let short = FiveTuple::parse(bytes);
    let general = IpPacket::parse(bytes).and_then(|packet| packet.five_tuple());
    assert_eq!(short, general, "short and general way");
    same_tuple(short, oracle::five_tuple(bytes));
    match (IpPacket::parse(bytes), oracle::ip(bytes)) {
        (Ok(packet), Ok(expected)) => {
            assert_eq!(packet.header_len(), expected.upper);
            assert_eq!(packet.bytes(), &bytes[..expected.end]);
            assert_eq!(packet.payload(), &bytes[expected.upper..expected.end]);
            assert_eq!(packet.trailer(), &bytes[expected.end..]);
            let fragment = packet.fragment();
            let fragment = fragment.map(|f| (f.identification, usize::from(f.offset), f.more));
            assert_eq!(fragment, expected.fragment);
            match packet {
                IpPacket::V4(ipv4) => {
                    let sum = oracle::checksum(&bytes[..expected.upper]);
                    assert_eq!(ipv4.verify_checksum(), sum == 0);
                    assert_eq!(ipv4.options(), &bytes[20..expected.upper]);
                }
                IpPacket::V6(ipv6) => {
                    let headers = ipv6.extension_headers();
                    let headers: Vec<_> = headers.map(|h| (h.kind().0, h.bytes().len())).collect();
                    assert_eq!(headers, expected.extensions);
                }
            }
            upper(bytes, &packet, &expected);
        }
        (Err(error), Err(expected)) => same_error(error, expected),
        (parsed, expected) => panic!("library: {parsed:?}, oracle: {expected:?}"),
    }
}

/// The transport layer of a packet that is in order so far.
fn upper(bytes: &[u8], packet: &IpPacket<'_>, ip: &oracle::Ip) {
    let (transport, expected) = match (packet.transport(), oracle::upper(bytes, ip)) {
        (Ok(transport), Ok(expected)) => (transport, expected),
        (Err(error), Err(expected)) => {
            assert_eq!(packet.verify_transport_checksum(), ChecksumStatus::NotCheckable);
            return same_error(error, expected);
        }
        (parsed, expected) => panic!("library: {parsed:?}, oracle: {expected:?}"),
    };
    let kind = match transport {
        Transport::Tcp(_) => Kind::Tcp,
        Transport::Udp(_) => Kind::Udp,
        Transport::Icmp(_) => Kind::Icmp,
        Transport::Icmpv6(_) => Kind::Icmpv6,
        Transport::LaterFragment { .. } => Kind::Later,
        _ => Kind::Other,
    };
    assert_eq!(kind, expected.kind);
    assert_eq!(transport.payload(), &bytes[expected.data..expected.end]);
    assert_eq!(transport.ports().map(|ports| (ports.source, ports.destination)), expected.ports);
    let sum = match packet.verify_transport_checksum() {
        ChecksumStatus::Valid => Some(true),
        ChecksumStatus::Invalid => Some(false),
        _ => None,
    };
    assert_eq!(sum, oracle::transport_checksum(bytes, ip, &expected));
    match transport {
        Transport::Tcp(segment) => {
            let (options, error) = tcp_options(&segment);
            let (expected, expected_error) = oracle::tcp_options(bytes, ip, &expected);
            assert_eq!(options, expected);
            match (error, expected_error) {
                (Some(error), Some(expected)) => same_error(error, expected),
                (error, expected) => assert!(error.is_none() && expected.is_none()),
            }
        }
        Transport::Icmp(message) | Transport::Icmpv6(message) => {
            match (message.quoted(), oracle::quoted(bytes, &expected)) {
                (Some(quoted), Some(expected)) => {
                    same_tuple(quoted.and_then(|quoted| quoted.five_tuple()), expected);
                }
                (quoted, expected) => assert!(quoted.is_none() && expected.is_none()),
            }
        }
        _ => {}
    }
}

/// Kind and data of each option, as on the wire.
fn tcp_options(segment: &TcpSegment<'_>) -> (Vec<(u8, Vec<u8>)>, Option<InnerError>) {
    let mut options = Vec::new();
    let mut rest = segment.options();
    for option in &mut rest {
        options.push(match option {
            Err(error) => {
                assert!(rest.next().is_none(), "nothing follows an error");
                return (options, Some(error));
            }
            Ok(TcpOption::MaximumSegmentSize(size)) => (2, size.to_be_bytes().to_vec()),
            Ok(TcpOption::WindowScale(shift)) => (3, vec![shift]),
            Ok(TcpOption::SackPermitted) => (4, Vec::new()),
            Ok(TcpOption::Sack(blocks)) => {
                let words = blocks.flat_map(|(from, to)| [from, to]);
                (5, words.flat_map(u32::to_be_bytes).collect())
            }
            Ok(TcpOption::Timestamps { value, echo_reply }) => {
                (8, [value.to_be_bytes(), echo_reply.to_be_bytes()].concat())
            }
            Ok(TcpOption::Unknown { kind, data }) => (kind, data.to_vec()),
            Ok(option) => panic!("{option:?} is new"),
        });
    }
    (options, None)
}

fn same_tuple(
    found: Result<FiveTuple, InnerError>,
    expected: Result<oracle::FiveTuple, oracle::Refusal>,
) {
    match (found, expected) {
        (Ok(tuple), Ok(expected)) => {
            let octets = |address| match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let ports = tuple.ports.map(|ports| (ports.source, ports.destination));
            let (source, destination) = (octets(tuple.source()), octets(tuple.destination()));
            assert_eq!((source, destination, tuple.protocol.0, ports), expected);
        }
        (Err(error), Err(expected)) => same_error(error, expected),
        (found, expected) => panic!("library: {found:?}, oracle: {expected:?}"),
    }
}

fn same_error(error: InnerError, expected: oracle::Refusal) {
    assert_eq!((error.reason(), error.offset()), expected, "{error}");
    assert!(!error.to_string().contains('\n'));
}

/// A capture file: a bounded number of packets and errors, then an end that stays.
#[cfg(feature = "capture")]
pub fn capture(bytes: &[u8]) {
    use gwlb_geneve::capture::Reader;

    let Ok(mut reader) = Reader::new(bytes) else { return };
    let (mut packets, mut items) = (0, 0);
    while let Some(item) = reader.next_packet() {
        items += 1;
        // The least that a record can be is a block of 12 bytes.
        assert!(items <= bytes.len() / 12 + 1, "{items} items in {} bytes", bytes.len());
        match item {
            Ok(packet) => {
                packets += 1;
                assert!(packet.data.len() <= bytes.len());
                assert_eq!(packet.is_truncated(), packet.original_len as usize > packet.data.len());
                if let Ok(network) = packet.network() {
                    assert_eq!(network.payload, &packet.data[network.offset..]);
                }
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
    assert_eq!(reader.packets_read(), packets);
    for _ in 0..3 {
        assert!(reader.next_packet().is_none(), "the end stays");
    }
}
