//! The load balancer's envelope and the answer to it.

mod support;

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::*;
use gwlb_geneve::gwlb::*;
use proptest::prelude::*;
use support::generate::{aws_datagram, aws_options, datagram, option};
use support::{check, generate, oracle};

const INNER: [u8; 20] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];

fn parse(bytes: &[u8]) -> Result<Envelope<'_>, EnvelopeError> {
    check::envelope(bytes);
    Envelope::parse(bytes, &Profile::AWS)
}

#[test]
fn the_header_of_the_real_load_balancer() {
    let header = [
        0x08, 0x00, 0x08, 0x00, 0, 0, 0, 0, // fixed
        0x01, 0x08, 0x01, 0x02, 0x31, 0xe1, 0x29, 0xcd, 0xc0, 0xcd, 0x86, 0x33, // endpoint
        0x01, 0x08, 0x02, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, // attachment
        0x01, 0x08, 0x03, 0x01, 0x3d, 0xc9, 0x56, 0xac, // cookie
    ];
    let bytes = [&header[..], &INNER].concat();
    let envelope = parse(&bytes).unwrap();
    assert_eq!(envelope.endpoint().to_string(), "vpce-031e129cdc0cd8633");
    assert_eq!(envelope.attachment(), AttachmentId(0));
    assert_eq!(envelope.cookie().to_string(), "0x3dc956ac");
    assert_eq!(envelope.direction(), None);
    assert_eq!((envelope.header(), envelope.inner()), (&header[..], &INNER[..]));
}

#[test]
fn r6_control_packets_are_not_forwarded() {
    let mut bytes = aws_datagram(&INNER);
    bytes[1] |= 0x80;
    assert_eq!(parse(&bytes), Err(EndpointError::ControlPacket.into()));
}

#[test]
fn r7_r12_unknown_critical_options_are_refused_with_and_without_c() {
    let (endpoint, cookie) = ([1; 8], [2; 4]);
    let mut options = aws_options(&endpoint, &[0; 8], &cookie).to_vec();
    options.push(option(0x0108, 0x81, &[0; 8]));
    let mut bytes = datagram(EtherType::IPV4, &options, &INNER);
    let refused = EnvelopeError::from(EndpointError::UnknownCritical {
        offset: 40,
        class: OptionClass(0x0108),
        option_type: OptionType(0x81),
    });
    assert_eq!(parse(&bytes), Err(refused));
    bytes[1] &= !0x40;
    assert_eq!(parse(&bytes), Err(refused), "the sender forgot C");
    // C without a critical option is odd and harmless.
    let mut bytes = aws_datagram(&INNER);
    bytes[1] |= 0x40;
    assert!(parse(&bytes).is_ok());
}

#[test]
fn r8_reserved_bits_do_not_matter() {
    let mut bytes = aws_datagram(&INNER);
    bytes[1] |= 0x3f;
    bytes[7] = 0xff;
    for at in [11, 23, 35] {
        bytes[at] |= 0xe0;
    }
    let envelope = parse(&bytes).unwrap();
    assert_eq!(envelope.endpoint(), EndpointId(1));
    assert_eq!(envelope.header(), &bytes[..40]);
}

#[test]
fn r9_only_bare_ip_packets_are_inside() {
    let options = aws_options(&[0; 8], &[0; 8], &[0; 4]);
    let bytes = datagram(EtherType::ETHERNET, &options, &INNER);
    assert_eq!(parse(&bytes), Err(EnvelopeError::ProtocolType { found: EtherType::ETHERNET }));
    let bytes = datagram(EtherType::IPV6, &options, &INNER);
    assert_eq!(
        parse(&bytes),
        Err(EnvelopeError::InnerVersion { offset: 40, expected: 6, found: Some(4) })
    );
    let bytes = datagram(EtherType::IPV4, &options, &[]);
    assert_eq!(
        parse(&bytes),
        Err(EnvelopeError::InnerVersion { offset: 40, expected: 4, found: None })
    );
}

#[test]
fn r13_the_options_may_come_in_any_order_among_others() {
    let (endpoint, attachment, cookie) = ([1; 8], [2; 8], [3; 4]);
    let [a, b, c] = aws_options(&endpoint, &attachment, &cookie);
    let other = option(0xff00, 1, &[9; 4]);
    for options in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        for at in 0..=3 {
            let mut options = options.to_vec();
            options.insert(at, other);
            let bytes = datagram(EtherType::IPV4, &options, &INNER);
            let envelope = parse(&bytes).unwrap();
            assert_eq!(envelope.endpoint().0.to_be_bytes(), endpoint);
            assert_eq!(envelope.attachment().0.to_be_bytes(), attachment);
            assert_eq!(envelope.cookie().0.to_be_bytes(), cookie);
            assert_eq!(envelope.header().len(), 48);
        }
    }
}

#[test]
fn r13_doubled_options_are_refused_by_name() {
    for (double, named) in [
        (option(0x0108, 1, &[1; 8]), ProfileOption::Endpoint),
        (option(0x0108, 2, &[0; 8]), ProfileOption::Attachment),
        (option(0x0108, 3, &[3; 4]), ProfileOption::Cookie),
    ] {
        let (endpoint, cookie) = ([1; 8], [2; 4]);
        let mut options = aws_options(&endpoint, &[0; 8], &cookie).to_vec();
        options.push(double);
        let bytes = datagram(EtherType::IPV4, &options, &INNER);
        assert_eq!(parse(&bytes), Err(EnvelopeError::OptionDoubled { option: named, offset: 40 }));
    }
}

#[test]
fn missing_options_are_refused_by_name() {
    // "Seen" flags that start as set would take each of these.
    for (at, named) in ProfileOption::ALL.into_iter().enumerate() {
        let mut options = aws_options(&[1; 8], &[0; 8], &[2; 4]).to_vec();
        options.remove(at);
        let bytes = datagram(EtherType::IPV4, &options, &INNER);
        let error = parse(&bytes).unwrap_err();
        assert_eq!(error, EnvelopeError::OptionMissing { option: named });
        assert!(error.to_string().contains(&named.to_string()), "{error}");
    }
    let none = datagram(EtherType::IPV4, &[], &INNER);
    assert_eq!(parse(&none), Err(EnvelopeError::OptionMissing { option: ProfileOption::Endpoint }));
}

#[test]
fn options_of_wrong_length_are_refused_by_name() {
    let data = [0; 12];
    for (at, named) in ProfileOption::ALL.into_iter().enumerate() {
        let mut options = aws_options(&[1; 8], &[0; 8], &[2; 4]);
        let offset = 8 + [0, 12, 24][at];
        options[at] = option(0x0108, at as u8 + 1, &data);
        let bytes = datagram(EtherType::IPV4, &options, &INNER);
        let expected = named.data_len();
        assert_eq!(
            parse(&bytes),
            Err(EnvelopeError::OptionLength { option: named, offset, expected, found: 12 })
        );
    }
}

#[test]
fn other_providers() {
    let options =
        [option(0x0167, 1, &[1; 8]), option(0x0167, 2, &[0; 8]), option(0x0167, 3, &[0xff; 4])];
    let bytes = datagram(EtherType::IPV4, &options, &INNER);
    let tencent = Envelope::parse(&bytes, &Profile::TENCENT).unwrap();
    assert_eq!((tencent.cookie(), tencent.direction()), (FlowCookie(0x1fff_ffff), Some(7)));
    assert!(parse(&bytes).is_err(), "not AWS's");

    let types = [7, 8, 9].map(OptionType);
    let custom = Profile::custom(OptionClass(0xff00), types, 31).unwrap();
    let options =
        [option(0xff00, 7, &[1; 8]), option(0xff00, 8, &[0; 8]), option(0xff00, 9, &[0xff; 4])];
    let bytes = datagram(EtherType::IPV4, &options, &INNER);
    let envelope = Envelope::parse(&bytes, &custom).unwrap();
    assert_eq!((envelope.cookie(), envelope.direction()), (FlowCookie(1), Some(0x7fff_ffff)));

    assert!(Profile::custom(OptionClass(1), [1, 2, 1].map(OptionType), 0).is_err());
    assert!(Profile::custom(OptionClass(1), types, 32).is_err());
}

#[test]
fn views_are_a_few_words() {
    assert!(size_of::<Envelope<'_>>() <= size_of::<[usize; 8]>());
}

/// A good part of what is generated of each provider is taken, in the usual layout and in others; the rest
/// fails in every way there is.
#[test]
fn generated_packets_reach_every_reason() {
    for provider in oracle::PROVIDERS {
        let usual = [8, 20, 32].into_iter().zip(provider.types);
        let usual = usual.map(|(at, kind)| (at, provider.class, kind)).collect::<Vec<_>>();
        let counts = generate::census(&generate::geneve_from(provider), 2_000, |bytes| {
            let layout = |bytes: &[u8]| {
                let options = oracle::geneve(bytes).unwrap().options;
                options.iter().map(|o| (o.offset, o.class, o.kind)).collect::<Vec<_>>() == usual
            };
            match oracle::envelope_from(&provider, &bytes) {
                Ok(_) if layout(&bytes) => "usual",
                Ok(_) => "unusual",
                Err((reason, _)) => reason,
            }
        });
        assert!(counts["usual"] > 350, "{provider:?}: {counts:?}");
        assert!(counts["unusual"] > 350, "{provider:?}: {counts:?}");
        for reason in [
            "geneve-header-truncated",
            "geneve-version",
            "geneve-options-truncated",
            "geneve-option-overrun",
            "geneve-control-packet",
            "geneve-protocol-type",
            "geneve-unknown-critical-option",
            "gwlb-option-length",
            "gwlb-option-doubled",
            "gwlb-option-missing",
            "inner-version",
        ] {
            assert!(counts.contains_key(reason), "{provider:?}: no {reason}: {counts:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check::envelope(&bytes);
    }

    #[test]
    fn packets_bent_and_straight(bytes in generate::geneve()) {
        check::envelope(&bytes);
    }
}
