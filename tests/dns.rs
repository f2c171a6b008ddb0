//! DNS messages, held against a slow reader of their own, over UDP and TCP.
#![cfg(all(feature = "tls", feature = "dns"))]

mod support;

use gwlb_geneve::Side::{self, Client, Server};
use gwlb_geneve::protocol::dns::{
    Class, Message, Opcode, ParseError, RecordData, RecordType, ResponseCode, Section,
};
use gwlb_geneve::protocol::{Progress, Room};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{dns, generate, tls};

#[test]
fn an_answer_of_every_kind() {
    let bytes = dns::answer();
    dns::check(&bytes);
    let message = Message::parse(&bytes).unwrap();
    assert!(message.is_response() && message.recursion_desired() && message.recursion_available());
    assert!(!message.is_authoritative() && !message.is_truncated());
    assert_eq!(message.opcode(), Opcode::QUERY);
    // 1 above the 3 of the header.
    assert_eq!(message.response_code(), ResponseCode(0x13));
    let question = message.question().unwrap();
    assert_eq!(question.name.to_string(), "www.example.com");
    assert_eq!(question.name.labels().next(), Some(&b"WWW"[..]));
    assert_eq!((question.record_type, question.class), (RecordType::A, Class::IN));
    let edns = message.edns().unwrap();
    assert_eq!((edns.udp_size, edns.version, edns.is_dnssec_ok), (1232, 0, true));
    assert_eq!(edns.options().collect::<Vec<_>>(), [(10, &[1, 2][..])]);
    let text: Vec<_> = message
        .answers()
        .chain(message.authorities())
        .map(|record| match record.data() {
            RecordData::A(address) => format!("A {address}"),
            RecordData::Aaaa(address) => format!("AAAA {address}"),
            RecordData::Cname(name) => format!("CNAME {name}"),
            RecordData::Ns(name) => format!("NS {name}"),
            RecordData::Ptr(name) => format!("PTR {name}"),
            RecordData::Mx { preference, exchange } => format!("MX {preference} {exchange}"),
            RecordData::Txt(strings) => {
                format!(
                    "TXT {:?}",
                    strings
                        .map(<[u8]>::escape_ascii)
                        .map(|text| text.to_string())
                        .collect::<Vec<_>>()
                )
            }
            RecordData::Soa { primary, mailbox, minimum, .. } => {
                format!("SOA {primary} {mailbox} {minimum}")
            }
            RecordData::Srv { priority, weight, port, target } => {
                format!("SRV {priority} {weight} {port} {target}")
            }
            RecordData::Https(service) => {
                let alpn: Vec<_> = service.alpn().collect();
                format!(
                    "HTTPS {} {} {alpn:?} {:?}",
                    service.priority,
                    service.target,
                    service.ech()
                )
            }
            other => format!("{} {other:?}", record.record_type),
        })
        .collect();
    assert_eq!(
        text,
        [
            "CNAME cdn.example.com",
            "A 192.0.2.1",
            "AAAA 2001:db8::1",
            "MX 10 mail.example.com",
            r#"TXT ["v=spf", "all"]"#,
            "SRV 1 2 443 srv.example.com",
            "HTTPS 1 . [[104, 50], [104, 51]] Some([7, 7])",
            "PTR example.com",
            "CAA Other([0, 5, 105, 115, 115, 117, 101])",
            "NS www.example.com",
            "SOA example.com root.example.com 1",
        ]
    );
}

#[test]
fn names_in_text() {
    for (wire, text) in [
        (&b"\0"[..], "."),
        (b"\x03a.b\x01\\\0", r"a\.b.\\"),
        (b"\x04\0 \xffZ\0", r"\000\032\255z"),
        (b"\x05_dMaR\x03COM\0", "_dmar.com"),
    ] {
        let question = [wire, &[0, 1, 0, 1]].concat();
        let bytes = dns::message(1, 0, [&[question], &[], &[], &[]]);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.question().unwrap().name.to_string(), text);
    }
}

#[test]
fn names_that_cannot_be_followed() {
    let with = |name: &[u8]| {
        let question = [name, &[0, 1, 0, 1]].concat();
        Message::parse(&dns::message(1, 0, [&[question], &[], &[], &[]])).map(|_| ()).map_err(
            |error| {
                assert!(matches!(error, ParseError::Name { offset: 12, .. }), "{error}");
            },
        )
    };
    assert_eq!(with(&[0xc0, 12]), Err(())); // to itself
    assert_eq!(with(&[1, b'a', 0xc0, 12]), Err(())); // to its own beginning
    assert_eq!(with(&[0xc0, 14, 0]), Err(())); // forwards
    assert_eq!(with(&[0x80, 1, 0]), Err(()));
    assert_eq!(with(&[0x40, 1, 0]), Err(()));
    assert_eq!(with(&[63; 64 * 4]), Err(())); // 256 bytes
    let longest = [&[63; 64 * 3][..], &[61; 62], &[0]].concat();
    assert_eq!((longest.len(), with(&longest)), (255, Ok(())));
    let longer = [&[63; 64 * 3][..], &[62; 63], &[0]].concat();
    assert_eq!(with(&longer), Err(()));
}

/// Pointers that go backwards one after the other: each record would follow all of them.
#[test]
fn chains_of_pointers_are_bounded() {
    let chain = |pointers: u16| {
        // The data of a record of no known type: the root, and pointers each to the one before.
        let start = 12 + 1 + 10;
        let mut data = vec![0];
        for n in 0..pointers {
            let to = if n == 0 { start } else { start + 1 + 2 * (n - 1) };
            data.extend((0xc000 | to).to_be_bytes());
        }
        let last = (0xc000 | (start + 1 + 2 * (pointers - 1))).to_be_bytes();
        let records = [dns::record(&[0], 999, 1, 0, &data), dns::record(&last, 1, 1, 0, &[1; 4])];
        let bytes = dns::message(1, 0, [&[], &records, &[], &[]]);
        dns::check(&bytes);
        Message::parse(&bytes).map(|_| ())
    };
    assert_eq!(chain(126), Ok(()));
    assert!(chain(127).is_err());
    assert!(chain(5_000).is_err());
}

#[test]
fn what_is_cut_off_is_told_with_its_place() {
    let bytes = dns::answer();
    for end in 0..bytes.len() {
        let error = Message::parse(&bytes[..end]).unwrap_err();
        assert!(error.offset() <= end, "{error}");
        dns::check(&bytes[..end]);
    }
    let counted = dns::message(1, 0, [&[], &[], &[], &[]]);
    let mut counted = [&counted[..], &dns::record(&[0], 1, 1, 0, &[1; 4])].concat();
    counted[7] = 2;
    let expected = ParseError::Truncated { section: Section::Answer, offset: 12 + 15 };
    assert!(matches!(Message::parse(&counted), Err(ParseError::Name { offset: 27, .. })));
    counted.extend([0, 0, 1]);
    assert_eq!(Message::parse(&counted).unwrap_err(), expected);
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

#[test]
fn over_tcp() {
    let query = dns::message(
        7,
        0x100,
        [&[[dns::labels("a.example"), vec![0, 28, 0, 1]].concat()], &[], &[], &[]],
    );
    let both = [framed(&query), framed(&query)].concat();
    let answer = framed(&dns::answer());
    let run = |pieces: &[(Side, &[u8])]| tls::transcript(pieces, Some(53), &mut Room::new(1 << 20));
    let (lines, progress) = run(&[(Client, &both), (Server, &answer)]);
    assert_eq!(progress, Progress::More);
    let starts: Vec<_> = lines.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "Client DNS query 7 AAAA a.example",
            "Client DNS query 7 AAAA a.example",
            "Server DNS answer 6699 A www.example.com"
        ]
    );

    let at = both.len();
    for (tail, line) in [
        (&[0, 0][..], format!("from byte {at}: DNS header cut off unparsable true")),
        (&framed(&query[..20])[..], format!("from byte {at}: DNS name malformed unparsable true")),
        (
            &framed(&query)[..20],
            format!("from byte {at}: end in the middle of a DNS message truncated true"),
        ),
        (&[9], format!("from byte {at}: end in the middle of a DNS message truncated true")),
    ] {
        let (lines, _) = run(&[(Client, &[&both[..], tail].concat())]);
        assert_eq!(*lines.last().unwrap(), format!("Client dns opaque {line}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200), counts in [0_u8..3, 0..3, 0..3, 0..3]) {
        dns::check(&bytes);
        let counts = counts.map(|count| [0, count]);
        dns::check(&[&[1, 2, 0, 0][..], counts.as_flattened(), &bytes].concat());
    }

    #[test]
    fn messages_straight_and_bent(bytes in dns::messages()) {
        dns::check(&bytes);
    }
}

#[test]
fn made_messages_are_of_every_kind() {
    let counts = generate::census(&dns::messages(), 3_000, |bytes| match dns::read(&bytes) {
        Some(read) if read.sections.iter().any(|section| !section.is_empty()) => "records",
        Some(_) => "none",
        None => "unreadable",
    });
    assert!(counts["records"] > 500 && counts["unreadable"] > 500, "{counts:?}");
}
