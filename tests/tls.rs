//! TLS in clear: hellos made to order, published ones, handshakes cut in every way.
#![cfg(all(feature = "tls", feature = "dns"))]

mod support;

use std::ops::ControlFlow;

use gwlb_geneve::Side::{self, Client, Server};
use gwlb_geneve::protocol::tls::{
    Anomalies, Certificate, Certificates, ClientHello, ServerHello, ServerName, Version,
};
use gwlb_geneve::protocol::{Limits, Message, Progress, Room, Session, Why};
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use support::tls::{self, Extension, Hello, RETRY, message, record, records, server_hello, unhex};

/// RFC 8448 §3
const CLIENT_HELLO: &str = "0303 cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7
    00 0006 130113031302 0100 0091 0000000b0009000006736572766572 ff01000100
    000a00140012001d0017001800190100010101020103 0104 00230000
    00330026 0024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c
    002b0003020304 000d0020001e040305030603020308040805080604010501060102010402050206020202
    002d00020101 001c00024001";
const SERVER_HELLO: &str = "0303 a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e26928
    00 1301 00 002e 00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f
    002b00020304";

#[test]
fn the_hellos_of_rfc_8448() {
    let body = unhex(CLIENT_HELLO);
    let hello = ClientHello::parse(&body).unwrap();
    assert_eq!(hello.legacy_version(), Version::TLS_1_2);
    assert_eq!(hello.version(), Version::TLS_1_3);
    assert_eq!(hello.cipher_suites().collect::<Vec<_>>(), [0x1301, 0x1303, 0x1302]);
    assert_eq!(hello.server_name(), Some(ServerName { name_type: 0, name: b"server" }));
    assert_eq!(
        hello.groups().collect::<Vec<_>>(),
        [0x1d, 0x17, 0x18, 0x19, 0x100, 0x101, 0x102, 0x103, 0x104]
    );
    assert_eq!(hello.signature_algorithms().len(), 15);
    assert_eq!(hello.anomalies(), Anomalies::NONE);
    assert!(!hello.has_ech() && !hello.has_early_data() && hello.offers_tls_1_3());
    let body = unhex(SERVER_HELLO);
    let hello = ServerHello::parse(&body).unwrap();
    assert_eq!((hello.version(), hello.cipher_suite()), (Version::TLS_1_3, 0x1301));
    assert_eq!(hello.ja3s_text().to_string(), "771,4865,51-43");
    assert!(!hello.is_hello_retry_request());
    assert_eq!(Sha256::digest("HelloRetryRequest")[..], RETRY);
}

#[test]
fn the_fingerprints_that_are_published() {
    // JA4: the example of its specification.
    let body = Hello::browser("example.com").body();
    let hello = ClientHello::parse(&body).unwrap();
    assert_eq!(hello.ja4().as_str(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    // JA3: the examples of its first description.
    let published = Hello {
        version: 769,
        random: [1; 32],
        session: vec![],
        ciphers: vec![47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
        extensions: vec![
            Extension::ServerNames(vec![(0, b"a.example".to_vec())]),
            Extension::Groups(vec![23, 24, 25]),
            Extension::PointFormats(vec![0]),
        ],
    };
    let body = published.body();
    let hello = ClientHello::parse(&body).unwrap();
    let text = "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0";
    assert_eq!(hello.ja3_text().to_string(), text);
    assert_eq!(hello.ja3().to_string(), "ada70206e40642a3e4461f35503241d5");
    let ciphers = vec![4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99];
    let body = Hello { ciphers, extensions: vec![], ..published }.body();
    // One that has no extensions at all ends before them.
    let hello = ClientHello::parse(&body[..body.len() - 2]).unwrap();
    assert_eq!(hello.ja3_text().to_string(), "769,4-5-10-9-100-98-3-6-19-18-99,,,");
    assert_eq!(hello.ja3().to_string(), "de350869b8c85de67a350c8d186f11e6");
    assert_eq!(
        hello.ja4().as_str(),
        "t10i110000_".to_owned()
            + &ja4_hash(&mut [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99])
            + "_000000000000"
    );
}

#[test]
fn what_is_logged_of_a_certificate() {
    let der = tls::certificate();
    let certificate = Certificate::parse(&der).unwrap();
    let name = r"C=DE, O=Example\, Inc., OU=One+CN=www.example.com, emailAddress=a@example.com";
    assert_eq!(certificate.subject().to_string(), name);
    assert_eq!(certificate.issuer().to_string(), name);
    assert_eq!(certificate.subject().common_name(), Some("www.example.com"));
    assert_eq!(certificate.serial().to_string(), "0A:1B:2C:3D:4E:5F");
    assert_eq!(certificate.not_before().to_string(), "2026-11-25T17:31:39");
    assert_eq!(certificate.not_after().to_string(), "2036-11-22T17:31:39");
    assert!(certificate.not_before() < certificate.not_after());
    assert_eq!(
        certificate.fingerprint().to_string(),
        "9d:15:8f:70:5e:52:7b:2e:d8:c6:e5:6f:ac:7b:0f:ca:88:31:40:ad"
    );
    let names: Vec<_> = certificate.dns_names().collect();
    assert_eq!(names, [&b"www.example.com"[..], b"*.example.org"]);
    // Cut anywhere, it is none; with any byte changed nothing panics.
    for end in 0..der.len() {
        assert!(Certificate::parse(&der[..end]).is_err());
        let mut bent = der.clone();
        bent[end] ^= 0xff;
        tls::check(&bent);
    }
}

/// All that a session gave, with what one wants to know of it.
fn run(pieces: &[(Side, &[u8])]) -> (Vec<String>, Progress) {
    tls::transcript(pieces, Some(443), &mut Room::new(1 << 20))
}

fn hello(name: &str) -> Vec<u8> {
    records(&Hello::browser(name).message(), &[])
}

#[test]
fn tls_1_3_is_done_with_the_server_hello() {
    let server = records(&server_hello(0x0304, 0x1301, [1; 32]), &[]);
    let mut room = Room::new(1 << 20);
    let mut session = Session::tcp(None, Limits::default());
    let mut seen = Vec::new();
    let mut give = |side: Side, message: Message<'_>| {
        seen.push(format!("{side:?}: {message}"));
        ControlFlow::Continue(())
    };
    // A first half is gathered, and given back when it is whole.
    let client = hello("example.com");
    let (first, second) = client.split_at(900);
    assert_eq!(session.feed(Client, first, &mut room, &mut give), Progress::More);
    assert!(room.left() < 1 << 20);
    assert_eq!(session.feed(Client, second, &mut room, &mut give), Progress::More);
    assert_eq!(room.left(), 1 << 20);
    // Half a record of the client's, which its end leaves behind.
    assert_eq!(
        session.feed(Client, &[22, 3, 3, 0, 9, 1, 0, 0, 50, 1, 2], &mut room, &mut give),
        Progress::More
    );
    let after = record(23, &[0; 100]);
    let both = [server, record(20, &[1]), after].concat();
    assert_eq!(session.feed(Server, &both, &mut room, &mut give), Progress::Done);
    assert_eq!(room.left(), 1 << 20);
    assert_eq!(
        seen,
        [
            "Client: TLS ClientHello TLS 1.3 for example.com",
            "Server: TLS ServerHello TLS 1.3 0x1301"
        ]
    );
}

#[test]
fn tls_1_2_goes_on_to_change_cipher_spec() {
    let client = Hello {
        extensions: vec![Extension::ServerNames(vec![(0, b"www.example.com".to_vec())])],
        ..Hello::browser("")
    };
    let flight = [
        server_hello(0x0303, 0xc02f, [1; 32]),
        tls::certificates(&[tls::certificate(), vec![0x30, 0]]),
        message(12, &[7; 300]),
        message(14, &[]),
    ]
    .concat();
    let flight = records(&flight, &[50, 1, 400]);
    let alert = record(21, &[1, 112]);
    let finished = [record(20, &[1]), record(22, &[0xee; 40])].concat();
    let keys = records(&message(16, &[8; 66]), &[]);
    let (lines, progress) = run(&[
        (Client, &records(&client.message(), &[])),
        (Server, &alert),
        (Server, &flight),
        (Client, &keys),
        (Client, &finished),
        (Server, &finished),
    ]);
    assert_eq!(progress, Progress::Done);
    let starts: Vec<_> = lines.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "Client TLS ClientHello TLS 1.2 for www.example.com",
            "Server TLS alert warning 112",
            "Server TLS ServerHello TLS 1.2 0xc02f",
            r"Server TLS Certificate C=DE, O=Example\, Inc., OU=One+CN=www.example.com, emailAddress=a@example.com",
        ]
    );
}

/// What was odd about the hellos, and whether they were retries and of another name.
fn hellos_of(pieces: &[(Side, &[u8])]) -> Vec<(Anomalies, bool, bool)> {
    let mut room = Room::new(1 << 20);
    let mut session = Session::tcp(None, Limits::default());
    let mut found = Vec::new();
    for (side, bytes) in pieces {
        session.feed(*side, bytes, &mut room, &mut |_, message| {
            if let Message::TlsClientHello(hello) = message {
                found.push((hello.anomalies(), hello.is_retry(), hello.has_other_server_name()));
            }
            ControlFlow::Continue(())
        });
    }
    session.close(&mut room);
    found
}

#[test]
fn a_second_hello_for_another_server_is_noticed() {
    let retry = records(&server_hello(0x0304, 0x1301, RETRY), &[]);
    let (one, other) = (hello("allowed.example"), hello("forbidden.example"));
    let none = Hello { extensions: vec![Extension::Versions(vec![0x0304])], ..Hello::browser("") };
    let none = records(&none.message(), &[]);
    let compatible = record(20, &[1]);
    let odd = Anomalies::HELLO_REPEATED;
    for (pieces, expected) in [
        (vec![(Client, &one), (Server, &retry), (Client, &one)], (Anomalies::NONE, true, false)),
        (vec![(Client, &one), (Server, &retry), (Client, &other)], (Anomalies::NONE, true, true)),
        (vec![(Client, &one), (Server, &retry), (Client, &none)], (Anomalies::NONE, true, true)),
        (vec![(Client, &none), (Server, &retry), (Client, &one)], (Anomalies::NONE, true, true)),
        (
            vec![(Client, &one), (Server, &retry), (Client, &compatible), (Client, &other)],
            (Anomalies::NONE, true, true),
        ),
        // Sent ahead of the request that the client knows will come.
        (vec![(Client, &one), (Client, &compatible), (Client, &other)], (odd, false, true)),
    ] {
        let pieces: Vec<_> = pieces.iter().map(|(side, bytes)| (*side, &bytes[..])).collect();
        let found = hellos_of(&pieces);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].1, found[0].2), (false, false));
        assert_eq!(found[1], expected);
    }
}

#[test]
fn early_data_does_not_hide_a_second_hello() {
    let mut early = Hello::browser("allowed.example");
    early.extensions.push(Extension::EarlyData);
    let early = records(&early.message(), &[]);
    let data = record(23, &[0xee; 3_000]);
    let retry = records(&server_hello(0x0304, 0x1301, RETRY), &[]);
    let second = hello("forbidden.example");
    let pieces = [
        (Client, &early),
        (Client, &record(20, &[1])),
        (Client, &data),
        (Server, &retry),
        (Client, &second),
    ];
    let found = hellos_of(&pieces.map(|(side, bytes)| (side, &bytes[..])));
    assert_eq!(found[1..], [(Anomalies::NONE, true, true)]);
}

#[test]
fn records_that_are_odd_are_named() {
    let message = Hello::browser("example.com").message();
    let in_pieces = |size: usize| records(&message, &vec![size; message.len() / size + 1]);
    let (first, second) = message.split_at(500);
    let around = |between: &[u8]| [&record(22, first)[..], between, &record(22, second)].concat();
    let mut version = record(22, &message);
    version[2] = 4;
    let split = Anomalies::RECORDS_SPLIT;
    for (bytes, anomalies) in [
        (record(22, &message), Anomalies::NONE),
        (in_pieces(1_000), split),
        (in_pieces(60), split | Anomalies::RECORDS_TINY),
        (in_pieces(1), split | Anomalies::RECORDS_TINY),
        (in_pieces(65), split),
        (around(&[]), split),
        (around(&record(22, &[])), split | Anomalies::RECORD_EMPTY),
        (around(&record(21, &[1, 0])), split | Anomalies::RECORDS_INTERLEAVED),
        (
            around(&record(24, &[1, 0, 0])),
            split | Anomalies::RECORDS_INTERLEAVED | Anomalies::HEARTBEAT,
        ),
        ([record(24, &[1, 0, 0]), record(22, &message)].concat(), Anomalies::HEARTBEAT),
        (version, Anomalies::LEGACY_VERSION),
    ] {
        assert_eq!(hellos_of(&[(Client, &bytes)]), [(anomalies, false, false)]);
    }
    let swapped = hellos_of(&[(Server, &record(22, &message))]);
    assert_eq!(swapped, [(Anomalies::ROLES_SWAPPED, false, false)]);
    // A hello that no record could hold is not odd for being split.
    let mut large = Hello::browser("example.com");
    large.extensions.push(Extension::Other(0x1234, vec![0; 20_000]));
    assert_eq!(
        hellos_of(&[(Client, &records(&large.message(), &[]))]),
        [(Anomalies::NONE, false, false)]
    );
}

#[test]
fn hellos_that_are_odd_are_named() {
    let with = |extensions: Vec<Extension>| {
        let body = Hello { extensions, ..Hello::browser("") }.body();
        ClientHello::parse(&body).unwrap().anomalies()
    };
    let names = |names: &[(u8, &[u8])]| {
        Extension::ServerNames(names.iter().map(|(kind, name)| (*kind, name.to_vec())).collect())
    };
    let other = |code, data: &[u8]| Extension::Other(code, data.to_vec());
    for (extensions, anomalies) in [
        (vec![names(&[(0, b"a.example")])], Anomalies::NONE),
        (vec![names(&[(0, b"192.0.2.1")])], Anomalies::SERVER_NAME_IS_ADDRESS),
        (vec![names(&[(0, b"")])], Anomalies::SERVER_NAME_EMPTY),
        (vec![names(&[])], Anomalies::SERVER_NAME_EMPTY),
        (vec![other(0, b"")], Anomalies::SERVER_NAME_EMPTY),
        (vec![names(&[(0, b"a"), (0, b"b")])], Anomalies::SERVER_NAMES_SEVERAL),
        (
            vec![names(&[(7, b"a"), (0, b"b")])],
            Anomalies::SERVER_NAMES_SEVERAL | Anomalies::SERVER_NAME_TYPE,
        ),
        (vec![names(&[(0, b"a\0b")])], Anomalies::SERVER_NAME_MALFORMED),
        (vec![other(0, &[0, 5, 0, 0, 1, b'a', 0])], Anomalies::SERVER_NAME_MALFORMED),
        (vec![other(35, b""), other(35, b"")], Anomalies::EXTENSION_DOUBLED),
        (
            vec![other(0x4469, b""), other(0xff01, b""), other(0x4469, b"")],
            Anomalies::EXTENSION_DOUBLED,
        ),
        (vec![other(0x1235, b""), other(0x1234, b"")], Anomalies::NONE),
        (vec![other(10, &[0, 3, 0, 23, 0])], Anomalies::EXTENSION_MALFORMED),
        (vec![other(10, &[0, 2, 0, 23, 0])], Anomalies::EXTENSION_MALFORMED),
        (vec![other(13, &[0])], Anomalies::EXTENSION_MALFORMED),
        (vec![other(16, &[0, 3, 9, b'h', b'2'])], Anomalies::EXTENSION_MALFORMED),
        (vec![other(16, &[0, 1, 0])], Anomalies::EXTENSION_MALFORMED),
        (vec![other(43, &[2, 3, 4, 0])], Anomalies::EXTENSION_MALFORMED),
        (vec![other(11, &[0])], Anomalies::EXTENSION_MALFORMED),
    ] {
        assert_eq!(with(extensions.clone()), anomalies, "{extensions:?}");
    }
    for (version, versions, is_odd) in [
        (0x0303, vec![0x0304], false),
        (0x0301, vec![0x0304], true),
        (0x0301, vec![0x0301], false),
        (0x0304, vec![0x0304], true),
        (0x0200, vec![], true),
    ] {
        let extensions = vec![Extension::Versions(versions), other(77, b"")];
        let body = Hello { version, extensions, ..Hello::browser("") }.body();
        let found = ClientHello::parse(&body).unwrap().anomalies();
        assert_eq!(found.contains(Anomalies::LEGACY_VERSION), is_odd, "{version:#x}");
    }
}

#[test]
fn encrypted_hellos_and_names_are_noticed() {
    for (code, ech, esni) in [(0xfe0d, true, false), (0xffce, false, true)] {
        let extensions = vec![Extension::Other(code, vec![0; 8])];
        let body = Hello { extensions, ..Hello::browser("") }.body();
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!((hello.has_ech(), hello.has_esni()), (ech, esni));
    }
}

#[test]
fn what_cannot_be_understood_is_said_with_its_place() {
    let good = hello("example.com");
    let server = records(&server_hello(0x0303, 0x2f, [1; 32]), &[]);
    let mut cut = Hello::browser("example.com").body();
    cut.pop();
    let malformed = records(&message(1, &cut), &[]);
    let ssl_2 = unhex("802e010002001500000010 010080020080030080040080050080060040070 0c0");
    let ssl_2 = [&ssl_2[..], &[0; 32]].concat();
    let then = |more: &[u8]| [&good[..], more].concat();
    let at = good.len();
    for (bytes, line) in [
        (ssl_2, "from byte 0: SSLv2-compatible hello unparsable true".to_owned()),
        (malformed, "from byte 5: TLS ClientHello malformed unparsable true".into()),
        (record(23, &[0; 50]), "from byte 0: encrypted from the start unparsable true".into()),
        (record(20, &[1]), "from byte 0: ChangeCipherSpec before a hello unparsable true".into()),
        (
            records(&message(16, &[0; 9]), &[]),
            "from byte 0: handshake without a hello unparsable true".into(),
        ),
        (then(b"GET / HT"), format!("from byte {at}: record of an unknown type unparsable true")),
        (
            then(&[22, 2, 0, 0, 1]),
            format!("from byte {at}: record of an unknown version unparsable true"),
        ),
        (
            then(&[22, 3, 3, 0x48, 1]),
            format!("from byte {at}: record longer than allowed unparsable true"),
        ),
        (
            then(&record(20, &[2])),
            format!("from byte {at}: ChangeCipherSpec malformed unparsable true"),
        ),
        (
            then(&record(23, &[0; 9])),
            format!("from byte {at}: application data before it is encrypted unparsable true"),
        ),
        (
            then(&record(22, &[1, 1, 0, 1])),
            format!(
                "from byte {}: handshake message larger than is gathered too-large true",
                at + 5
            ),
        ),
        (
            then(&[22, 3]),
            format!("from byte {at}: end in the middle of a handshake truncated true"),
        ),
    ] {
        let (lines, _) = run(&[(Client, &bytes)]);
        assert_eq!(*lines.last().unwrap(), format!("Client tls opaque {line}"));
    }
    // Of the server's trouble the client's side knows nothing.
    let bent = [&server[..], &[99; 5]].concat();
    let (lines, progress) =
        run(&[(Client, &good), (Server, &bent), (Client, &record(21, &[2, 40]))]);
    assert_eq!(progress, Progress::More);
    assert_eq!(
        lines[2..],
        [
            format!(
                "Server tls opaque from byte {}: record of an unknown type unparsable false",
                server.len()
            ),
            "Client TLS alert fatal 40".into(),
        ]
    );
}

#[test]
fn bytes_that_are_missing_end_it() {
    let bytes = hello("example.com");
    let mut room = Room::new(1 << 20);
    for (len, is_last) in [(7, true), (7, false)] {
        let mut session = Session::tcp(None, Limits::default());
        let mut last = None;
        let mut give = |_: Side, message: Message<'_>| {
            if let Message::Opaque(opaque) = message {
                last = Some((opaque.why, opaque.offset));
            }
            ControlFlow::Continue(())
        };
        session.feed(Client, &bytes[..100], &mut room, &mut give);
        assert_eq!(session.gap(Client, len, &mut room, &mut give), Progress::Done);
        if !is_last {
            session.feed(Client, &bytes[107..], &mut room, &mut give);
        }
        assert_eq!(last, Some((Why::Gap, 100)));
        assert_eq!(room.left(), 1 << 20);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Fields are what was put in, whatever records and slices the hello comes in.
    #[test]
    fn hellos_come_out_as_they_were_made(
        hello in tls::hellos(),
        sizes in vec(1_usize..2_000, 0..30),
        cuts in vec(1_usize..1_500, 0..30),
    ) {
        let bytes = records(&hello.message(), &sizes);
        let mut room = Room::new(1 << 20);
        let mut session = Session::tcp(None, Limits::default());
        let mut count = 0;
        let mut rest = &bytes[..];
        let mut cuts = cuts.into_iter();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
            rest = after;
            session.feed(Client, piece, &mut room, &mut |side, message| {
                let Message::TlsClientHello(found) = message else { panic!("{message}") };
                assert_eq!(side, Client);
                compare(&found, &hello);
                count += 1;
                ControlFlow::Continue(())
            });
        }
        session.close(&mut room);
        prop_assert_eq!((count, room.left()), (1, 1 << 20));
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..600)) {
        tls::check(&bytes);
    }

    /// Whole handshakes in pieces, some of them bent: cut otherwise they tell the same.
    #[test]
    fn handshakes_bent(
        name in "[a-z]{1,9}\\.example",
        retry in any::<bool>(),
        version in 0x0301_u16..=0x0304,
        sizes in vec(1_usize..700, 0..12),
        bend in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let first = records(&Hello::browser("example.com").message(), &sizes);
        let again = records(&server_hello(0x0304, 0x1301, RETRY), &[]);
        let second = records(&Hello::browser(&name).message(), &sizes);
        let flight = [server_hello(version, 0x1301, [1; 32]), tls::certificates(&[tls::certificate()])];
        let flight = records(&flight.concat(), &sizes);
        let compatible = record(20, &[1]);
        let mut said = vec![(0, &first), (0x80, &again), (0, &second), (0x80, &flight), (0, &compatible)];
        if !retry {
            said.drain(1..3);
        }
        let said: Vec<_> = said.iter().map(|(side, bytes)| (*side, &bytes[..])).collect();
        let mut bytes = tls::pieces(&said);
        if let Some((place, value)) = bend {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        tls::check(&bytes);
    }
}

fn compare(found: &ClientHello<'_>, hello: &Hello) {
    assert_eq!(found.legacy_version().0, hello.version);
    assert_eq!(*found.random(), hello.random);
    assert_eq!(found.session_id(), hello.session);
    assert_eq!(found.cipher_suites().collect::<Vec<_>>(), hello.ciphers);
    assert_eq!(found.compression_methods(), [0]);
    let codes: Vec<_> = found.extensions().map(|extension| extension.extension_type).collect();
    assert_eq!(codes, hello.extensions.iter().map(Extension::code).collect::<Vec<_>>());
    assert_eq!(found.server_name().map(|name| name.name), hello.name());
    for extension in &hello.extensions {
        match extension {
            Extension::ServerNames(names) => {
                let found =
                    found.server_names().unwrap().map(|name| (name.name_type, name.name.to_vec()));
                assert_eq!(found.collect::<Vec<_>>(), *names);
            }
            Extension::Groups(codes) => assert_eq!(found.groups().collect::<Vec<_>>(), *codes),
            Extension::PointFormats(formats) => assert_eq!(found.point_formats(), formats),
            Extension::SignatureAlgorithms(codes) => {
                assert_eq!(found.signature_algorithms().collect::<Vec<_>>(), *codes);
            }
            Extension::Alpn(names) => assert_eq!(found.alpn().collect::<Vec<_>>(), *names),
            Extension::Versions(codes) => {
                assert_eq!(found.supported_versions().unwrap().collect::<Vec<_>>(), *codes);
            }
            Extension::EarlyData => assert!(found.has_early_data()),
            Extension::Ech(_) => assert!(found.has_ech()),
            Extension::Other(code, data) => {
                assert_eq!(found.extensions().find(*code), Some(&data[..]));
            }
        }
    }
    let has = |code| hello.extensions.iter().any(|extension| extension.code() == code);
    assert_eq!((found.has_ech(), found.has_early_data()), (has(0xfe0d), has(42)));
    assert!(!found.anomalies().contains(Anomalies::EXTENSION_DOUBLED));
    assert!(!found.anomalies().contains(Anomalies::EXTENSION_MALFORMED));
    assert_eq!(found.ja3_text().to_string(), hello.ja3());
    assert_eq!(found.ja4().as_str(), ja4(hello));
}

/// JA4 by its specification, put together as slowly as can be.
fn ja4(hello: &Hello) -> String {
    let keep = |codes: &[u16]| -> Vec<u16> {
        codes.iter().copied().filter(|code| !tls::grease(*code)).collect()
    };
    let (mut version, mut alpn, mut algorithms) = (hello.version, None, vec![]);
    for extension in &hello.extensions {
        match extension {
            Extension::Versions(versions) => {
                version = keep(versions).into_iter().max().unwrap_or(version);
            }
            Extension::Alpn(names) => alpn = names.first().cloned(),
            Extension::SignatureAlgorithms(codes) => algorithms = keep(codes),
            _ => {}
        }
    }
    let version = match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let codes: Vec<_> = hello.extensions.iter().map(Extension::code).collect();
    let mut extensions = keep(&codes);
    let mut ciphers = keep(&hello.ciphers);
    let counts = (ciphers.len().min(99), extensions.len().min(99));
    extensions.retain(|code| ![0, 16].contains(code));
    let alpn = match alpn {
        None => "00".to_owned(),
        Some(name) => {
            let (first, last) = (name[0], name[name.len() - 1]);
            if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                format!("{}{}", char::from(first), char::from(last))
            } else {
                let digits: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{}{}", &digits[..1], &digits[digits.len() - 1..])
            }
        }
    };
    let name = if codes.contains(&0) { 'd' } else { 'i' };
    let hash = {
        extensions.sort_unstable();
        let mut text = hex(&extensions);
        if !algorithms.is_empty() {
            text = format!("{text}_{}", hex(&algorithms));
        }
        if extensions.is_empty() { "0".repeat(12) } else { sha(&text) }
    };
    format!(
        "t{version}{name}{:02}{:02}{alpn}_{}_{hash}",
        counts.0,
        counts.1,
        ja4_hash(&mut ciphers)
    )
}

fn ja4_hash(codes: &mut [u16]) -> String {
    codes.sort_unstable();
    if codes.is_empty() { "0".repeat(12) } else { sha(&hex(codes)) }
}

fn hex(codes: &[u16]) -> String {
    codes.iter().map(|code| format!("{code:04x}")).collect::<Vec<_>>().join(",")
}

fn sha(text: &str) -> String {
    let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    hash[..12].to_owned()
}

#[test]
fn a_certificate_message_without_certificates() {
    let body = [0, 0, 0];
    let certificates = Certificates::parse(&body).unwrap();
    assert!(certificates.leaf().is_none());
    assert_eq!(certificates.to_string(), "TLS Certificate: none");
    assert!(Certificates::parse(&[0, 0, 4, 0, 0, 2, 1]).is_err());
}
