use core::fmt;

use super::json::Json;
use crate::protocol::dns::{Message, RecordData, RecordType, Records, Strings};

/// The object of a DNS record, version 3.
pub(super) fn message(message: &Message<'_>, json: &mut Json<'_>) {
    json.object("dns");
    json.number("version", 3);
    json.text("type", if message.is_response() { "response" } else { "request" });
    json.number("id", message.id().into());
    json.display("flags", format_args!("{:x}", message.flags()));
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
        json.display("rcode", message.response_code());
    }
    json.array("queries");
    for question in message.questions() {
        json.begin();
        json.display("rrname", question.name);
        json.display("rrtype", question.record_type);
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
        json.display("rrname", record.owner);
        json.display("rrtype", record.record_type);
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
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => {
            json.display("rdata", name);
        }
        RecordData::Mx { exchange, .. } => json.display("rdata", exchange),
        RecordData::Txt(strings) => {
            json.display("rdata", Joined(*strings));
        }
        RecordData::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => {
            json.object("soa");
            json.display("mname", primary);
            json.display("rname", mailbox);
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
            json.display("name", target);
            json.end_object();
        }
        RecordData::Svcb(service) | RecordData::Https(service) => {
            json.object("svcb");
            json.number("priority", service.priority.into());
            json.display("target", service.target);
            json.end_object();
        }
        _ => {}
    }
}

/// Strings of a TXT record one after another.
struct Joined<'a>(Strings<'a>);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.into_iter().try_for_each(|text| write!(f, "{}", text.escape_ascii()))
    }
}
