use alloc::vec::Vec;

use super::EveSettings;
use super::json::Json;
use crate::protocol::tls::{Certificate, ClientHello, ServerHello, Version};

pub(super) fn client(hello: &ClientHello<'_>, settings: &EveSettings, out: &mut Vec<u8>) {
    let mut json = Json::new(out);
    if let Some(name) = hello.server_name() {
        json.text("sni", name.name);
    }
    if !hello.alpn().next().unwrap_or_default().is_empty() {
        json.array("client_alpns");
        hello.alpn().for_each(|name| json.item(name));
        json.end_array();
    }
    if settings.ja3 {
        json.object("ja3");
        json.display("hash", hello.ja3());
        json.display("string", hello.ja3_text());
        json.end_object();
    }
    if settings.ja4 {
        json.text("ja4", hello.ja4().as_str());
    }
}

pub(super) fn server(hello: &ServerHello<'_>, settings: &EveSettings, out: &mut Vec<u8>) {
    let mut json = Json::new(out);
    match hello.version() {
        // As Suricata writes them.
        Version::SSL_3_0 => json.text("version", "SSLv3"),
        Version::TLS_1_0 => json.text("version", "TLSv1"),
        version => json.display("version", version),
    }
    if let Some(name) = hello.alpn() {
        json.array("server_alpns");
        json.item(name);
        json.end_array();
    }
    if settings.ja3 {
        json.object("ja3s");
        json.display("hash", hello.ja3s());
        json.display("string", hello.ja3s_text());
        json.end_object();
    }
}

pub(super) fn certificate(certificate: &Certificate<'_>, out: &mut Vec<u8>) {
    let mut json = Json::new(out);
    json.display("subject", certificate.subject());
    json.display("issuerdn", certificate.issuer());
    json.display("serial", certificate.serial());
    json.display("fingerprint", certificate.fingerprint());
    json.display("notbefore", certificate.not_before());
    json.display("notafter", certificate.not_after());
    if certificate.dns_names().next().is_some() {
        json.array("subjectaltname");
        certificate.dns_names().for_each(|name| json.item(name));
        json.end_array();
    }
}
