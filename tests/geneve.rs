//! RFC 8926 for an endpoint, rule by rule (the ids are those of the project's table of wire facts), and
//! the mistakes that other parsers made.

mod support;

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::*;
use proptest::prelude::*;
use support::generate::{datagram, option};
use support::{check, generate};

fn parse(bytes: &[u8]) -> Result<Packet<'_>, ParseError> {
    check::header(bytes);
    Packet::parse(bytes)
}

#[test]
fn r1_the_port_is_the_assigned_one() {
    assert_eq!(UDP_PORT, 6081);
}

#[test]
fn r4_other_versions_are_refused() {
    for version in 1..4_u8 {
        let mut bytes = datagram(EtherType::IPV4, &[], b"");
        bytes[0] |= version << 6;
        assert_eq!(parse(&bytes), Err(ParseError::Version { found: version }));
    }
}

#[test]
fn r5_header_lengths_reach_from_8_to_260_bytes() {
    for words in 0..=63_usize {
        let options: Vec<_> = (0..words).map(|n| option(n as u16, 1, &[])).collect();
        let bytes = datagram(EtherType::IPV4, &options, b"payload");
        let packet = parse(&bytes).unwrap();
        assert_eq!(packet.header().len(), 8 + 4 * words);
        assert_eq!(packet.payload(), b"payload");
        // One byte short of the header is an error that names both numbers.
        let short = bytes.get(..8 + 4 * words - 1).unwrap();
        let expected = match words {
            0 => ParseError::HeaderTruncated { found: 7 },
            _ => ParseError::OptionsTruncated { expected: 4 * words, found: 4 * words - 1 },
        };
        assert_eq!(parse(short), Err(expected));
    }
}

#[test]
fn r6_the_o_bit_is_readable() {
    let mut bytes = [0; 8];
    Builder::new(EtherType::IPV4).oam(true).build_into(&mut bytes).unwrap();
    assert!(parse(&bytes).unwrap().is_oam());
}

#[test]
fn r7_an_unknown_critical_option_is_found_wherever_it_stands() {
    let options = [option(1, 1, &[0; 8]), option(2, 0x80, &[]), option(3, 3, &[0; 4])];
    for turn in 0..3 {
        let mut options = options;
        options.rotate_left(turn);
        let bytes = datagram(EtherType::IPV4, &options, b"");
        let packet = parse(&bytes).unwrap();
        assert!(packet.is_critical(), "the builder sets C");
        assert!(packet.has_unknown_critical(|_, _| false));
        assert!(!packet.has_unknown_critical(|class, _| class == OptionClass(2)));
        let (offset, found) = packet.first_unknown_critical(|_, _| false).unwrap();
        assert_eq!((found.class(), bytes[offset + 2]), (OptionClass(2), 0x80));
    }
    let calm = datagram(EtherType::IPV4, &[option(1, 0x7f, &[])], b"");
    assert!(!parse(&calm).unwrap().has_unknown_critical(|_, _| false));
    assert!(!parse(&calm).unwrap().is_critical());
}

#[test]
fn r8_reserved_bits_are_ignored_and_readable() {
    let mut bytes = datagram(EtherType::IPV4, &[option(1, 1, &[5; 4])], b"inner");
    bytes[1] |= 0x3f;
    bytes[7] = 0xff;
    bytes[11] |= 0xe0;
    let packet = parse(&bytes).unwrap();
    assert_eq!((packet.reserved_flags(), packet.reserved()), (0x3f, 0xff));
    assert_eq!(packet.options().next().unwrap().reserved(), 7);
    assert_eq!(packet.options().next().unwrap().data(), [5; 4]);
    assert_eq!(packet.header(), &bytes[..16], "the copy to answer with keeps them");
    let mut built = [0; 16];
    Builder::from(&packet).build_into(&mut built).unwrap();
    assert_eq!((built[1], built[7], built[11]), (0, 0, 1), "a builder sends zero");
}

#[test]
fn r9_any_ether_type_is_carried() {
    for value in [0, 0x0800, 0x6558, 0x86dd, 0xffff] {
        let bytes = datagram(EtherType(value), &[], b"");
        assert_eq!(parse(&bytes).unwrap().protocol_type(), EtherType(value));
    }
}

#[test]
fn r10_option_data_is_0_to_31_words() {
    let data = [0xab; 128];
    for words in 0..=31 {
        let bytes = datagram(EtherType::IPV4, &[option(1, 1, &data[..4 * words])], b"");
        let parsed: Vec<_> = parse(&bytes).unwrap().options().collect();
        assert_eq!(parsed, [option(1, 1, &data[..4 * words])]);
    }
    let refused = |len| TunnelOption::new(OptionClass(1), OptionType(1), &data[..len]).unwrap_err();
    assert_eq!(refused(128), BuildError::OptionTooLong { found: 128 });
    assert_eq!(refused(5), BuildError::OptionAlignment { found: 5 });
}

#[test]
fn r11_options_that_overrun_or_fall_short_are_refused() {
    // Opt Len of 2 words: an option of 8 bytes of data needs 3.
    let mut bytes =
        datagram(EtherType::IPV4, &[option(1, 1, &[0; 4])], b"payload that is no option");
    bytes[11] = 2;
    assert_eq!(parse(&bytes), Err(ParseError::OptionOverrun { offset: 8, expected: 12, found: 8 }));
    // The last of several, one word too long: the payload is not read as its data.
    let mut bytes =
        datagram(EtherType::IPV4, &[option(1, 1, &[0; 8]), option(1, 2, &[0; 4])], b"payload");
    bytes[23] = 2;
    assert_eq!(
        parse(&bytes),
        Err(ParseError::OptionOverrun { offset: 20, expected: 12, found: 8 })
    );
    // The usual layout with a word of Opt Len less: the cookie's data would be payload.
    let mut bytes = generate::aws_datagram(&[0x45; 20]);
    bytes[0] = 7;
    assert_eq!(parse(&bytes), Err(ParseError::OptionOverrun { offset: 32, expected: 8, found: 4 }));
    // And with one more: four bytes of payload are an option header.
    bytes[0] = 9;
    assert!(matches!(parse(&bytes), Err(ParseError::OptionOverrun { offset: 40, .. })));
}

#[test]
fn r12_a_critical_option_without_c_still_counts() {
    let mut bytes = datagram(EtherType::IPV4, &[option(1, 0x80, &[])], b"");
    bytes[1] &= !0x40;
    let packet = parse(&bytes).unwrap();
    assert!(!packet.is_critical());
    assert!(packet.has_unknown_critical(|_, _| false));
}

#[test]
fn r13_order_is_kept_and_doubles_are_seen() {
    let options = [option(9, 9, &[1; 4]), option(1, 1, &[]), option(9, 9, &[2; 4])];
    let bytes = datagram(EtherType::IPV4, &options, b"");
    assert_eq!(parse(&bytes).unwrap().options().collect::<Vec<_>>(), options);
}

#[test]
fn all_32_option_lengths_fit_their_five_bits() {
    // A parser that masks the length with four bits takes 16 words for none.
    let bytes = datagram(EtherType::IPV4, &[option(1, 1, &[7; 64]), option(2, 2, &[])], b"");
    let lengths: Vec<_> =
        parse(&bytes).unwrap().options().map(|option| option.data().len()).collect();
    assert_eq!(lengths, [64, 0]);
}

#[test]
fn truncated_options_never_become_payload() {
    let whole =
        datagram(EtherType::IPV4, &[option(1, 1, &[3; 124]), option(1, 2, &[4; 120])], b"payload");
    for len in 0..260 {
        assert!(parse(&whole[..len]).is_err(), "{len} bytes");
    }
    assert!(parse(&whole[..260]).is_ok());
}

#[test]
fn a_builder_refuses_what_cannot_be_sent() {
    assert_eq!(Vni::new(1 << 24), Err(BuildError::VniRange { found: 1 << 24 }));
    let long = [option(1, 1, &[0; 124]), option(1, 2, &[0; 120]), option(1, 3, &[])];
    let builder = Builder::new(EtherType::IPV4).options(long);
    assert_eq!(builder.header_len(), Err(BuildError::OptionsTooLong { found: 256 }));
    let mut full = [0xee; MAX_HEADER_LEN];
    assert_eq!(builder.build_into(&mut full), Err(BuildError::OptionsTooLong { found: 256 }));
    assert_eq!(full, [0xee; MAX_HEADER_LEN], "nothing is written on an error");
    let mut small = [0xee; 11];
    let builder = Builder::new(EtherType::IPV4).options([option(1, 1, &[])]);
    assert_eq!(
        builder.build_into(&mut small),
        Err(BuildError::BufferTooSmall { expected: 12, found: 11 })
    );
    assert_eq!(small, [0xee; 11]);
}

#[cfg(feature = "alloc")]
#[test]
fn a_builder_appends_all_of_a_header_or_nothing() {
    let long = [option(1, 1, &[0; 124]), option(1, 2, &[0; 120]), option(1, 3, &[])];
    let mut out = vec![1, 2, 3];
    assert_eq!(
        Builder::new(EtherType::IPV4).options(long).build(&mut out),
        Err(BuildError::OptionsTooLong { found: 256 })
    );
    assert_eq!(out, [1, 2, 3], "nothing is written on an error");
    let builder = Builder::new(EtherType::IPV4).options([option(1, 1, &[])]);
    let mut small = [0xee; 11];
    let mut fixed = &mut small[..];
    assert_eq!(
        builder.build(&mut fixed),
        Err(BuildError::BufferTooSmall { expected: 12, found: 11 })
    );
    assert_eq!(small, [0xee; 11]);
    assert_eq!(builder.build(&mut out), Ok(12));
    assert_eq!(out[..3], [1, 2, 3], "what was there stays");
    assert_eq!(parse(&out[3..]).unwrap().options().collect::<Vec<_>>(), [option(1, 1, &[])]);
}

#[cfg(feature = "alloc")]
#[test]
fn an_owned_packet_shares_the_buffer() {
    let bytes = bytes::Bytes::from(generate::aws_datagram(&[0x45; 20]));
    let owned = PacketBuf::parse(bytes.clone()).unwrap();
    assert_eq!(owned.as_packet(), Packet::parse(&bytes).unwrap());
    assert_eq!(owned.header().as_ptr(), bytes.as_ptr());
    assert_eq!(owned.payload().as_ptr(), bytes[40..].as_ptr());
    assert_eq!(*HeaderBuf::from(&owned.as_packet()), bytes[..40]);
    assert_eq!(owned.into_bytes(), bytes);
    assert!(PacketBuf::parse(bytes.slice(..39)).is_err());
}

#[test]
fn views_are_a_few_words() {
    assert!(size_of::<Packet<'_>>() <= size_of::<[usize; 5]>());
    assert!(size_of::<TunnelOption<'_>>() <= size_of::<[usize; 3]>());
    assert!(size_of::<ParseError>() <= size_of::<[usize; 4]>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check::header(&bytes);
    }

    #[test]
    fn packets_bent_and_straight(bytes in generate::geneve()) {
        check::header(&bytes);
    }
}
