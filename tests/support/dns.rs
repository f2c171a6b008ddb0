//! DNS made to order, a slow reader of its own, and the properties that hold of any bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use gwlb_geneve::protocol::dns::{Message, Record, RecordData};
use proptest::collection::vec;
use proptest::prelude::*;

/// A message as an oracle reads it.
#[derive(Debug, PartialEq)]
pub struct Read {
    pub id: u16,
    pub flags: u16,
    pub questions: Vec<(Vec<u8>, u16, u16)>,
    pub sections: [Vec<Entry>; 3],
    pub end: usize,
}

/// A record: owner, type, class, time to live, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub owner: Vec<u8>,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

/// Reads a message, and `None` where it cannot be read. Names come out uncompressed.
pub fn read(bytes: &[u8]) -> Option<Read> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let counts = [word(4)?, word(6)?, word(8)?, word(10)?];
    let mut at = 12;
    let mut questions = Vec::new();
    for _ in 0..counts[0] {
        let (name, end) = name(bytes, at)?;
        questions.push((name, word(end)?, word(end + 2)?));
        at = end + 4;
    }
    let mut sections = [vec![], vec![], vec![]];
    for (section, count) in sections.iter_mut().zip(&counts[1..]) {
        for _ in 0..*count {
            let (owner, end) = name(bytes, at)?;
            let ttl = u32::from(word(end + 4)?) << 16 | u32::from(word(end + 6)?);
            let start = end + 10;
            at = start + usize::from(word(end + 8)?);
            let kind = word(end)?;
            bytes.get(start..at)?;
            let data = plain(bytes, kind, start, at).unwrap_or(bytes[start..at].to_vec());
            section.push(Entry { owner, kind, class: word(end + 2)?, ttl, data });
        }
    }
    Some(Read { id: word(0)?, flags: word(2)?, questions, sections, end: at })
}

/// A name without compression, and where it ends.
fn name(bytes: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let (mut at, mut end, mut found) = (start, None, Vec::new());
    for _pointers in 0..=127 {
        loop {
            let len = *bytes.get(at)?;
            match len {
                0 => {
                    found.push(0);
                    return (found.len() <= 255).then_some((found, end.unwrap_or(at + 1)));
                }
                1..=63 => {
                    found.extend(bytes.get(at..at + 1 + usize::from(len))?);
                    at += 1 + usize::from(len);
                    if found.len() > 254 {
                        return None;
                    }
                }
                0xc0.. => break,
                _ => return None,
            }
        }
        let to = usize::from(u16::from_be_bytes([bytes[at] & 0x3f, *bytes.get(at + 1)?]));
        end = end.or(Some(at + 2));
        // Before the pointer itself.
        if to >= at {
            return None;
        }
        at = to;
    }
    None
}

/// Data with its names uncompressed, where its type has some.
fn plain(bytes: &[u8], kind: u16, start: usize, end: usize) -> Option<Vec<u8>> {
    let (before, names) = match kind {
        2 | 5 | 12 => (0, 1),
        15 => (2, 1),
        6 => (0, 2),
        33 => (6, 1),
        _ => return None,
    };
    // Bytes beyond the data are not the record's.
    let within = &bytes[..end];
    let mut found = within.get(start..start + before)?.to_vec();
    let mut at = start + before;
    for _ in 0..names {
        let (one, after) = name(within, at)?;
        found.extend(one);
        at = after;
    }
    found.extend(within.get(at..)?);
    Some(found)
}

/// Any bytes: as the library and the oracle read them.
pub fn check(bytes: &[u8]) {
    let parsed = Message::parse(bytes);
    let expected = read(bytes);
    let (Ok(message), Some(expected)) = (&parsed, &expected) else {
        assert_eq!(parsed.is_ok(), expected.is_some(), "{parsed:?} {expected:?}");
        assert!(parsed.is_ok() || parsed.is_err_and(|error| error.offset() <= bytes.len()));
        return;
    };
    assert_eq!((message.id(), message.flags()), (expected.id, expected.flags));
    assert_eq!(message.is_response(), expected.flags & 0x8000 != 0);
    assert_eq!(u16::from(message.opcode().0), expected.flags >> 11 & 15);
    assert_eq!(message.is_truncated(), expected.flags & 0x200 != 0);
    assert_eq!(message.recursion_desired(), expected.flags & 0x100 != 0);
    assert_eq!(message.response_code().0 & 15, expected.flags & 15);
    assert_eq!(message.trailing(), &bytes[expected.end..]);
    let questions: Vec<_> = message
        .questions()
        .map(|question| (wire(question.name.labels()), question.record_type.0, question.class.0))
        .collect();
    assert_eq!(questions, expected.questions);
    let sections = [message.answers(), message.authorities(), message.additionals()];
    for (records, expected) in sections.into_iter().zip(&expected.sections) {
        let records: Vec<_> = records.collect();
        assert_eq!(records.len(), expected.len());
        for (record, expected) in records.iter().zip(expected) {
            compare(record, expected);
        }
    }
    let options = expected.sections[2].iter().find(|record| record.kind == 41);
    assert_eq!(message.edns().is_some(), options.is_some());
    if let (Some(edns), Some(record)) = (message.edns(), options) {
        assert_eq!(edns.udp_size, record.class);
        assert_eq!(u32::from(message.response_code().0 >> 4), record.ttl >> 24);
        assert_eq!(u32::from(edns.version), record.ttl >> 16 & 0xff);
        assert_eq!(edns.is_dnssec_ok, record.ttl & 0x8000 != 0);
    }
    assert!(!format!("{message} {message:?}").contains('\n'), "a log line stays one line");
}

fn compare(record: &Record<'_>, expected: &Entry) {
    assert_eq!(wire(record.owner.labels()), expected.owner);
    assert_eq!(text(&expected.owner), record.owner.to_string());
    assert_eq!((record.record_type.0, record.class.0), (expected.kind, expected.class));
    assert_eq!(record.ttl, expected.ttl);
    if record.class.0 != 1 {
        assert_eq!(record.data(), RecordData::Other(record.bytes()));
        return;
    }
    let words =
        |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    let known = [1, 2, 5, 6, 12, 15, 16, 28, 33, 64, 65];
    let found = match record.data() {
        RecordData::A(address) => address.octets().to_vec(),
        RecordData::Aaaa(address) => address.octets().to_vec(),
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => {
            wire(name.labels())
        }
        RecordData::Mx { preference, exchange } => {
            [words(&[preference]), wire(exchange.labels())].concat()
        }
        RecordData::Txt(strings) => {
            strings.flat_map(|one| [&[one.len() as u8], one].concat()).collect()
        }
        RecordData::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => {
            let numbers = [serial, refresh, retry, expire, minimum].map(u32::to_be_bytes);
            [wire(primary.labels()), wire(mailbox.labels()), numbers.as_flattened().to_vec()]
                .concat()
        }
        RecordData::Srv { priority, weight, port, target } => {
            [words(&[priority, weight, port]), wire(target.labels())].concat()
        }
        RecordData::Svcb(service) | RecordData::Https(service) => {
            let params = service.params.flat_map(|(key, value)| {
                [words(&[key, value.len() as u16]), value.to_vec()].concat()
            });
            [words(&[service.priority]), wire(service.target.labels()), params.collect()].concat()
        }
        RecordData::Malformed(bytes) => {
            assert!(known.contains(&record.record_type.0));
            assert_eq!(bytes, record.bytes());
            return;
        }
        RecordData::Other(bytes) => {
            assert!(!known.contains(&record.record_type.0));
            bytes.to_vec()
        }
        other => panic!("{other:?}"),
    };
    // The target of a service must not be compressed (RFC 9460 §2.2), but may be found so.
    if ![64, 65].contains(&record.record_type.0) {
        assert_eq!(found, expected.data, "{record:?}");
    }
}

fn wire<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label].concat()).collect();
    bytes.push(0);
    bytes
}

/// RFC 4343 §2.1, as slowly as can be.
fn text(mut wire: &[u8]) -> String {
    let mut labels = Vec::new();
    while let [len @ 1..=63, rest @ ..] = wire {
        let (label, rest) = rest.split_at(usize::from(*len));
        let characters = label.to_ascii_lowercase().into_iter().map(|byte| match byte {
            b'.' => "\\.".to_owned(),
            b'\\' => "\\\\".to_owned(),
            b'!'..=b'~' => char::from(byte).to_string(),
            _ => format!("\\{byte:03}"),
        });
        labels.push(characters.collect::<String>());
        wire = rest;
    }
    if labels.is_empty() { ".".into() } else { labels.join(".") }
}

/// A name in labels.
pub fn labels(name: &str) -> Vec<u8> {
    wire(name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes))
}

pub fn record(owner: &[u8], kind: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    [
        owner,
        &kind.to_be_bytes(),
        &class.to_be_bytes(),
        &ttl.to_be_bytes(),
        &(data.len() as u16).to_be_bytes(),
        data,
    ]
    .concat()
}

/// A message of whole questions and records.
pub fn message(id: u16, flags: u16, parts: [&[Vec<u8>]; 4]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [id, flags].into_iter().flat_map(u16::to_be_bytes).collect();
    bytes.extend(parts.iter().flat_map(|part| (part.len() as u16).to_be_bytes()));
    bytes.extend(parts.iter().flat_map(|part| part.concat()));
    bytes
}

/// An answer to a question for `www.example.com` with one of each kind of record, names compressed.
pub fn answer() -> Vec<u8> {
    const WWW: &[u8] = &[0xc0, 12];
    const EXAMPLE: &[u8] = &[0xc0, 16];
    let question = [labels("WWW.example.com"), vec![0, 1, 0, 1]].concat();
    let mail = [&[0, 10, 4][..], b"mail", EXAMPLE].concat();
    let service = [&[0, 1, 0, 2, 1, 0xbb, 3][..], b"srv", EXAMPLE].concat();
    let zone = [EXAMPLE, &[4], b"root", EXAMPLE, &[0, 0, 0, 1].repeat(5)].concat();
    let https =
        [&[0, 1, 0][..], &[0, 1, 0, 6, 2, b'h', b'2', 2, b'h', b'3'], &[0, 5, 0, 2, 7, 7]].concat();
    let answers = [
        record(WWW, 5, 1, 60, &[&[3][..], b"cdn", EXAMPLE].concat()),
        record(WWW, 1, 1, 60, &Ipv4Addr::new(192, 0, 2, 1).octets()),
        record(WWW, 28, 1, 60, &Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets()),
        record(EXAMPLE, 15, 1, 60, &mail),
        record(EXAMPLE, 16, 1, 60, b"\x05v=spf\x03all"),
        record(WWW, 33, 1, 60, &service),
        record(WWW, 65, 1, 60, &https),
        record(WWW, 12, 1, 60, EXAMPLE),
        record(WWW, 257, 1, 60, b"\0\x05issue"),
    ];
    let authorities = [record(EXAMPLE, 2, 1, 60, WWW), record(EXAMPLE, 6, 1, 60, &zone)];
    let additionals = [record(&[0], 41, 1232, 0x0100_8000, &[0, 10, 0, 2, 1, 2])];
    message(0x1a2b, 0x8183, [&[question], &answers, &authorities, &additionals])
}

/// Messages whose names are compressed, forwards now and then, or cut, or of other lengths than they say.
pub fn messages() -> impl Strategy<Value = Vec<u8>> {
    let label = prop_oneof![4 => vec(any::<u8>(), 1..8), 1 => vec(any::<u8>(), 50..=63)];
    let end = prop_oneof![
        3 => Just(vec![0]),
        4 => (12_u16..160).prop_map(|to| (0xc000 | to).to_be_bytes().to_vec()),
        1 => Just(vec![0x40]),
    ];
    let name = (vec(label, 0..6), end).prop_map(|(labels, end)| {
        let mut bytes: Vec<u8> =
            labels.iter().flat_map(|label| [&[label.len() as u8], &label[..]].concat()).collect();
        bytes.extend(end);
        bytes
    });
    // Mostly to where the first question's name is.
    let plain = prop_oneof![
        20 => Just(labels("www.example.com")),
        20 => Just(vec![0xc0, 12]),
        10 => Just(vec![4, b'm', b'a', b'i', b'l', 0xc0, 16]),
        1 => (12_u16..80).prop_map(|to| (0xc000 | to).to_be_bytes().to_vec()),
        1 => name.clone(),
    ];
    let kind = prop::sample::select(vec![1_u16, 2, 5, 6, 12, 15, 16, 28, 33, 41, 64, 65, 257]);
    let data = prop_oneof![
        plain.clone(),
        vec(any::<u8>(), 0..24),
        vec(any::<u8>(), 4..=4),
        (vec(any::<u8>(), 2..=2), plain.clone()).prop_map(|(a, b)| [a, b].concat()),
        (vec(any::<u8>(), 6..=6), plain.clone()).prop_map(|(a, b)| [a, b].concat()),
        (plain.clone(), plain.clone(), vec(any::<u8>(), 20..=20))
            .prop_map(|(a, b, c)| [a, b, c].concat()),
        Just(b"\x03abc\x00".to_vec()),
    ];
    let class = prop_oneof![9 => Just(1_u16), 1 => any::<u16>()];
    let one = (plain.clone(), kind, class, any::<u32>(), data)
        .prop_map(|(owner, kind, class, ttl, data)| record(&owner, kind, class, ttl, &data));
    let section = || vec(one.clone(), 0..4);
    let question = plain.prop_map(|name| [name, vec![0, 1, 0, 1]].concat());
    (
        any::<u16>(),
        any::<u16>(),
        vec(question, 0..3),
        section(),
        section(),
        section(),
        vec(any::<u8>(), 0..3),
    )
        .prop_map(|(id, flags, questions, answers, authorities, additionals, tail)| {
            [message(id, flags, [&questions, &answers, &authorities, &additionals]), tail].concat()
        })
}
