//! TLS and DNS of public captures, field by field as tshark sees them.
#![cfg(all(feature = "capture", feature = "dns", feature = "tls"))]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use gwlb_geneve::Side;
use gwlb_geneve::capture::Reader;
use gwlb_geneve::packet::{FiveTuple, IpPacket, TcpFlags, TcpSegment, Transport};
use gwlb_geneve::protocol::dns::{self, RecordData, RecordType};
use gwlb_geneve::protocol::tls::{Certificate, ClientHello, ServerHello};
use gwlb_geneve::protocol::{Limits, Message, Room, Session};

/// Rows by the number of the frame, or for TLS by who speaks to whom, as tshark says a ServerHello only when its record
/// is whole: each field's values, spaces between them.
type Rows = BTreeMap<String, Vec<String>>;

const FRAME: &[&str] = &["frame.number"];
const ENDS: &[&str] = &["ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport"];

const TLS_FIELDS: [&str; 11] = [
    "tls.handshake.version",
    "tls.handshake.ciphersuite",
    "tls.handshake.extension.type",
    "tls.handshake.extensions_server_name",
    "tls.handshake.extensions_supported_group",
    "tls.handshake.extensions_alpn_str",
    "tls.handshake.extensions.supported_version",
    "tls.handshake.ja3_full",
    "tls.handshake.ja3",
    "tls.handshake.ja3s_full",
    "tls.handshake.ja3s",
];

const CERTIFICATE_FIELDS: [&str; 2] = ["x509af.serialNumber", "x509ce.dNSName"];

const DNS_FIELDS: [&str; 12] = [
    "dns.id",
    "dns.flags",
    "dns.qry.name",
    "dns.qry.type",
    "dns.resp.name",
    "dns.resp.type",
    "dns.resp.ttl",
    "dns.a",
    "dns.aaaa",
    "dns.cname",
    "dns.ns",
    "dns.rr.udp_payload_size",
];

/// Which of them are the types of records.
const DNS_TYPES: usize = 5;

#[test]
fn hellos_agree_with_tshark() {
    let mut compared = 0;
    for file in captures() {
        let filter = "tcp && (tls.handshake.type == 1 || tls.handshake.type == 2)";
        let Some(theirs) = tshark(&file, filter, ENDS, &TLS_FIELDS) else {
            return;
        };
        let ours = tls(&file).0;
        assert_same(&file, &ours, &theirs);
        compared += ours.len();
    }
    assert!(compared >= 4 || captures().is_empty(), "{compared} frames with hellos");
}

#[test]
fn signature_algorithms_agree_with_tshark() {
    // The same field of a server is about other messages.
    for file in captures() {
        let filter = "tcp && tls.handshake.type == 1";
        let Some(theirs) = tshark(&file, filter, ENDS, &["tls.handshake.sig_hash_alg"]) else {
            return;
        };
        assert_same(&file, &tls(&file).2, &theirs);
    }
}

#[test]
fn certificates_agree_with_tshark() {
    for file in captures() {
        let filter = "tcp && tls.handshake.type == 11";
        let Some(mut theirs) = tshark(&file, filter, ENDS, &CERTIFICATE_FIELDS) else { return };
        let ours = tls(&file).1;
        for (ends, row) in &mut theirs {
            // Behind them it tells the certificate inside a stapled OCSP answer.
            let ours = ours.get(ends).map(|row| &row[0]);
            if let Some(serials) = ours.filter(|serials| row[0].starts_with(*serials)) {
                row[0] = serials.clone();
            }
        }
        assert_same(&file, &ours, &theirs);
    }
}

#[test]
fn dns_agrees_with_tshark() {
    let mut compared = 0;
    for file in captures() {
        // What is put together from fragments is the business of another module.
        let filter =
            "udp.port == 53 && dns && !gre && !icmp && !icmpv6 && !ip.fragments && !ipv6.fragments";
        let Some(mut theirs) = tshark(&file, filter, FRAME, &DNS_FIELDS) else { return };
        let mut ours = dns_of(&file);
        for (frame, row) in &mut theirs {
            // Names are told as they were sent, and the types in the bitmap of an NSEC3 record as if they were records'.
            row.iter_mut().for_each(|field| *field = field.to_lowercase().replace("<root>", "."));
            let types = ours.get_mut(frame).map(|row| &mut row[DNS_TYPES]);
            if let Some(types) = types.filter(|types| types.split(' ').any(|one| one == "50")) {
                let before = join(types.split(' ').take_while(|one| *one != "50"));
                assert!(row[DNS_TYPES].starts_with(&before), "{} frame {frame}", file.display());
                *types = row[DNS_TYPES].clone();
            }
        }
        assert_same(&file, &ours, &theirs);
        compared += ours.len();
    }
    assert!(compared >= 15 || captures().is_empty(), "{compared} messages");
}

#[track_caller]
fn assert_same(file: &Path, ours: &Rows, theirs: &Rows) {
    let frames = |rows: &Rows| rows.keys().cloned().collect::<Vec<_>>();
    for (frame, theirs) in theirs {
        assert_eq!(ours.get(frame), Some(theirs), "{} {frame}", file.display());
    }
    assert_eq!(frames(ours), frames(theirs), "{}", file.display());
}

/// The captures of `GWLB_CAPTURES`, none (said aloud) where it is not set.
fn captures() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("GWLB_CAPTURES") else {
        eprintln!("SKIPPED: set GWLB_CAPTURES to a folder of public captures to run this test");
        return vec![];
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("inner");
    let files =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no capture in {}", folder.display());
    files
}

/// Fields of the frames that a filter lets through, `None` (said aloud) where there is no tshark.
fn tshark(file: &Path, filter: &str, key: &[&str], fields: &[&str]) -> Option<Rows> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-Y", filter, "-T", "fields"]);
    command.args(["-E", "separator=|", "-E", "aggregator= "]);
    for field in key.iter().chain(fields) {
        command.args(["-e", field]);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: tshark is needed ({error})");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut rows = Rows::new();
    for line in text.lines() {
        let mut values = line.split('|').map(str::to_owned);
        let key: Vec<_> =
            values.by_ref().take(key.len()).filter(|value| !value.is_empty()).collect();
        append(&mut rows, key.join(" "), values.collect());
    }
    Some(rows)
}

/// Each frame's number and what is in it.
fn packets(file: &Path, mut give: impl FnMut(u64, &IpPacket<'_>)) {
    let mut reader = Reader::open(file).expect("a capture");
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect("a packet");
        let Ok(network) = packet.network() else { continue };
        if let Ok(ip) = IpPacket::parse(network.payload) {
            give(packet.number, &ip);
        }
    }
}

/// Hellos, certificates and signature algorithms.
fn tls(file: &Path) -> (Rows, Rows, Rows) {
    let mut room = Room::new(1 << 24);
    let mut flows: HashMap<FiveTuple, Flow> = HashMap::new();
    let (mut hellos, mut certificates) = (Rows::new(), Rows::new());
    let mut algorithms = Rows::new();
    packets(file, |_, ip| {
        let (Ok(Transport::Tcp(segment)), Ok(tuple)) = (ip.transport(), ip.five_tuple()) else {
            return;
        };
        let is_server = flows.contains_key(&tuple.reversed());
        let side = if is_server { Side::Server } else { Side::Client };
        let key = if is_server { tuple.reversed() } else { tuple };
        let ends = |side| {
            let tuple = if side == Side::Client { key } else { key.reversed() };
            let ports = tuple.ports.expect("of TCP");
            join([
                tuple.source().to_string(),
                ports.source.to_string(),
                tuple.destination().to_string(),
                ports.destination.to_string(),
            ])
        };
        let flow = flows.entry(key).or_insert_with(Flow::new);
        for piece in flow.in_order(side, &segment) {
            flow.session.feed(side, &piece, &mut room, &mut |side, message| {
                match message {
                    Message::TlsClientHello(hello) => {
                        append(&mut hellos, ends(side), client(&hello));
                        // tshark has those for delegated credentials (RFC 9345 §4.1.1) in the same field.
                        let lists =
                            hello.extensions().filter(|one| [13, 34].contains(&one.extension_type));
                        let codes = lists.flat_map(|one| one.data[2..].chunks(2));
                        let codes = hex(codes.map(|code| u16::from_be_bytes([code[0], code[1]])));
                        let own = hex(hello.signature_algorithms());
                        assert!(codes.contains(&own));
                        append(&mut algorithms, ends(side), vec![codes]);
                    }
                    Message::TlsServerHello(hello) => {
                        append(&mut hellos, ends(side), server(&hello));
                    }
                    Message::TlsCertificates(chain) => {
                        for der in chain.chain() {
                            let one = Certificate::parse(der).expect("a certificate in order");
                            append(&mut certificates, ends(side), certificate(&one));
                        }
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            });
        }
    });
    (hellos, certificates, algorithms)
}

/// The bytes of a connection in order, as a reader of short captures needs them.
struct Flow {
    session: Session,
    next: [Option<u32>; 2],
    early: [BTreeMap<u32, Vec<u8>>; 2],
}

impl Flow {
    fn new() -> Self {
        let session = Session::tcp(None, Limits::default());
        Self { session, next: [None; 2], early: Default::default() }
    }

    fn in_order(&mut self, side: Side, segment: &TcpSegment<'_>) -> Vec<Vec<u8>> {
        let side = usize::from(side == Side::Server);
        let sequence = segment
            .sequence_number()
            .wrapping_add(u32::from(segment.flags().contains(TcpFlags::SYN)));
        let next = self.next[side].get_or_insert(sequence);
        if !segment.payload().is_empty() {
            self.early[side].insert(sequence, segment.payload().to_vec());
        }
        let mut pieces = Vec::new();
        self.early[side].retain(|sequence, bytes| {
            let before = next.wrapping_sub(*sequence) as usize;
            if before > 1 << 30 {
                return true;
            }
            if let Some(new) = bytes.get(before..).filter(|new| !new.is_empty()) {
                *next = next.wrapping_add(new.len() as u32);
                pieces.push(new.to_vec());
            }
            false
        });
        pieces
    }
}

/// tshark writes several messages of a frame into one row.
fn append(rows: &mut Rows, key: String, fields: Vec<String>) {
    let row = rows.entry(key).or_insert_with(|| vec![String::new(); fields.len()]);
    for (field, more) in row.iter_mut().zip(fields) {
        let space = if field.is_empty() || more.is_empty() { "" } else { " " };
        *field = format!("{field}{space}{more}");
    }
}

fn join(values: impl IntoIterator<Item = impl Display>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(" ")
}

fn hex(values: impl IntoIterator<Item = u16>) -> String {
    join(values.into_iter().map(|value| format!("{value:#06x}")))
}

fn client(hello: &ClientHello<'_>) -> Vec<String> {
    vec![
        hex([hello.legacy_version().0]),
        hex(hello.cipher_suites()),
        join(hello.extensions().map(|extension| extension.extension_type)),
        join(hello.server_name().map(|name| name.name.escape_ascii())),
        hex(hello.groups()),
        join(hello.alpn().map(String::from_utf8_lossy)),
        hex(hello.supported_versions().unwrap_or_default()),
        hello.ja3_text().to_string(),
        hello.ja3().to_string(),
        String::new(),
        String::new(),
    ]
}

fn server(hello: &ServerHello<'_>) -> Vec<String> {
    let is_in_extension = hello.version() != hello.legacy_version();
    vec![
        hex([hello.legacy_version().0]),
        hex([hello.cipher_suite()]),
        join(hello.extensions().map(|extension| extension.extension_type)),
        String::new(),
        String::new(),
        join(hello.alpn().map(String::from_utf8_lossy)),
        hex(is_in_extension.then_some(hello.version().0)),
        String::new(),
        String::new(),
        hello.ja3s_text().to_string(),
        hello.ja3s().to_string(),
    ]
}

fn certificate(certificate: &Certificate<'_>) -> Vec<String> {
    vec![
        certificate.serial().to_string().to_lowercase().replace(":", ""),
        join(certificate.dns_names().map(<[u8]>::escape_ascii)),
    ]
}

fn dns_of(file: &Path) -> Rows {
    let mut rows = Rows::new();
    packets(file, |number, ip| {
        let Ok(Transport::Udp(datagram)) = ip.transport() else { return };
        let ports = [datagram.source_port(), datagram.destination_port()];
        if ip.fragment().is_none() && ports.contains(&53) {
            let message = dns::Message::parse(datagram.payload());
            let message =
                message.unwrap_or_else(|error| panic!("{} {number}: {error}", file.display()));
            rows.insert(number.to_string(), message_fields(&message));
        }
    });
    rows
}

fn message_fields(message: &dns::Message<'_>) -> Vec<String> {
    let name = |name: &dns::Name<'_>| name.to_string();
    let records: Vec<_> =
        message.answers().chain(message.authorities()).chain(message.additionals()).collect();
    let data = |pick: &dyn Fn(RecordData<'_>) -> Option<String>| {
        join(records.iter().filter_map(|record| pick(record.data())))
    };
    let true_records = records.iter().filter(|record| record.record_type != RecordType::OPT);
    vec![
        hex([message.id()]),
        hex([message.flags()]),
        join(message.questions().map(|question| name(&question.name))),
        join(message.questions().map(|question| question.record_type.0)),
        join(records.iter().map(|record| name(&record.owner))),
        join(records.iter().map(|record| record.record_type.0)),
        join(true_records.map(|record| record.ttl)),
        data(&|data| {
            if let RecordData::A(address) = data { Some(address.to_string()) } else { None }
        }),
        data(&|data| {
            if let RecordData::Aaaa(address) = data { Some(address.to_string()) } else { None }
        }),
        data(&|data| if let RecordData::Cname(found) = data { Some(name(&found)) } else { None }),
        data(&|data| if let RecordData::Ns(found) = data { Some(name(&found)) } else { None }),
        join(message.edns().map(|edns| edns.udp_size)),
    ]
}
