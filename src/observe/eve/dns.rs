use alloc::vec::Vec;
use core::fmt;

use super::figures;
use super::json::{self, Json};
use crate::protocol::dns::{Message, Name, RecordData, RecordType, Records, ResponseCode, Strings};

/// The object of a DNS record, version 3.
pub(super) fn message(message: &Message<'_>, tx_id: u64, json: &mut Json<'_>) {
    json.object("dns");
    json.number("version", 3);
    json.word("type", if message.is_response() { "response" } else { "request" });
    json.number("tx_id", tx_id);
    json.number("id", message.id().into());
    json.write("flags", |out| figures::hex_u16(message.flags(), out));
    let flags = [
        ("qr", message.is_response()),
        ("aa", message.is_authoritative()),
        ("tc", message.is_truncated()),
        ("rd", message.recursion_desired()),
        ("ra", message.recursion_available()),
    ];
    for (name, is_set) in flags {
        if is_set {
            json.truth(name, true);
        }
    }
    json.number("opcode", message.opcode().0.into());
    if message.is_response() {
        match message.response_code() {
            ResponseCode::NO_ERROR => json.word("rcode", "NOERROR"),
            ResponseCode::NAME_ERROR => json.word("rcode", "NXDOMAIN"),
            code => json.display("rcode", code),
        }
    }
    json.array("queries");
    for question in message.questions() {
        json.begin();
        name("rrname", &question.name, json);
        kind(question.record_type, json);
        json.end_object();
    }
    json.end_array();
    if message.is_response() {
        records("answers", message.answers(), json);
        records("authorities", message.authorities(), json);
        records("additionals", message.additionals(), json);
    }
    json.end_object();
}

fn records(section: &str, records: Records<'_>, json: &mut Json<'_>) {
    // What EDNS says stands in a record that is none.
    let mut records = records.filter(|record| record.record_type != RecordType::OPT).peekable();
    if records.peek().is_none() {
        return;
    }
    json.array(section);
    for record in records {
        json.begin();
        name("rrname", &record.owner, json);
        kind(record.record_type, json);
        json.number("ttl", record.ttl.into());
        data(&record.data(), json);
        json.end_object();
    }
    json.end_array();
}

fn data(data: &RecordData<'_>, json: &mut Json<'_>) {
    match data {
        RecordData::A(address) => json.address("rdata", (*address).into()),
        RecordData::Aaaa(address) => json.address("rdata", (*address).into()),
        RecordData::Cname(found) | RecordData::Ns(found) | RecordData::Ptr(found) => {
            name("rdata", found, json);
        }
        RecordData::Mx { exchange, .. } => name("rdata", exchange, json),
        RecordData::Txt(strings) => texts("rdata", *strings, json),
        RecordData::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => {
            json.object("soa");
            name("mname", primary, json);
            name("rname", mailbox, json);
            json.number("serial", (*serial).into());
            json.number("refresh", (*refresh).into());
            json.number("retry", (*retry).into());
            json.number("expire", (*expire).into());
            json.number("minimum", (*minimum).into());
            json.end_object();
        }
        RecordData::Srv { priority, weight, port, target } => {
            json.object("srv");
            json.number("priority", (*priority).into());
            json.number("weight", (*weight).into());
            json.number("port", (*port).into());
            name("name", target, json);
            json.end_object();
        }
        RecordData::Svcb(service) | RecordData::Https(service) => {
            json.object("svcb");
            json.number("priority", service.priority.into());
            name("target", &service.target, json);
            json.end_object();
        }
        _ => {}
    }
}

/// A name as it displays itself.
fn name(key: &str, name: &Name<'_>, json: &mut Json<'_>) {
    if !json.write_if(key, |out| is_plain(name, out)) {
        json.display(key, name);
    }
}

/// Writes a name in which nothing needs an escape; says whether it is one.
fn is_plain(name: &Name<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut is_odd = false;
    for label in name.labels() {
        out.extend_from_slice(label);
        out.push(b'.');
        // Dots inside of labels, and what the escapes of names are for and not those of JSON.
        is_odd |= label.iter().fold(false, |odd, byte| odd | matches!(byte, b'.' | b' '));
    }
    let is_root = out.len() == start;
    // The dot behind the last label.
    out.pop();
    let text = out.get_mut(start..).unwrap_or_default();
    text.make_ascii_lowercase();
    !is_odd && !is_root && json::is_plain(text)
}

/// Strings of a TXT record, one after another.
fn texts(key: &str, strings: Strings<'_>, json: &mut Json<'_>) {
    if !json.write_if(key, |out| are_plain(strings, out)) {
        json.display(key, Joined(strings));
    }
}

/// Writes strings in which nothing needs an escape; says whether all are such.
fn are_plain(strings: Strings<'_>, out: &mut Vec<u8>) -> bool {
    strings.into_iter().all(|text| {
        out.extend_from_slice(text);
        // What is escaped beside what is in JSON.
        json::is_plain(text) && !text.contains(&b'\'')
    })
}

fn kind(kind: RecordType, json: &mut Json<'_>) {
    match kind {
        RecordType::A => json.word("rrtype", "A"),
        RecordType::AAAA => json.word("rrtype", "AAAA"),
        RecordType::CNAME => json.word("rrtype", "CNAME"),
        RecordType::HTTPS => json.word("rrtype", "HTTPS"),
        RecordType::NS => json.word("rrtype", "NS"),
        RecordType::PTR => json.word("rrtype", "PTR"),
        RecordType::TXT => json.word("rrtype", "TXT"),
        kind => json.display("rrtype", kind),
    }
}

/// Strings of a TXT record one after another.
struct Joined<'a>(Strings<'a>);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.into_iter().try_for_each(|text| write!(f, "{}", text.escape_ascii()))
    }
}
