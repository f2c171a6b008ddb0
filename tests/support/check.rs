//! The properties themselves: each takes any bytes and holds the library against an oracle. Property
//! tests call them with generated packets, fuzz targets with whatever they find.

use gwlb_geneve::geneve::{Builder, MAX_HEADER_LEN, Packet, ParseError};
use gwlb_geneve::gwlb::{Envelope, EnvelopeError, Profile};

use super::oracle;

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

/// The load balancer's envelope: fast path, general walk and oracle agree.
pub fn envelope(bytes: &[u8]) {
    let parsed = Envelope::parse(bytes, &Profile::AWS);
    assert_eq!(parsed, Envelope::parse_general(bytes, &Profile::AWS), "fast path and general walk");
    match (parsed, oracle::envelope(bytes)) {
        (Ok(envelope), Ok((endpoint, attachment, cookie, inner))) => {
            assert_eq!(envelope.endpoint().0, endpoint);
            assert_eq!(envelope.attachment().0, attachment);
            assert_eq!(envelope.cookie().0, cookie);
            assert_eq!(envelope.direction(), None);
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
