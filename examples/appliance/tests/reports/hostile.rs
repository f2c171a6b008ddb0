//! A capture that wants to be more than text wherever it is shown.

use std::path::{Path, PathBuf};

use gwlb_geneve::Timestamp;
use gwlb_geneve::capture::{Format, LinkType, Writer};

use crate::common::{appliance, stdout};
use crate::{file, text};

pub(crate) const NAME: &str = "</title><script>name()</script>";
pub(crate) const HOST: &str = "\"><script>host()</script><img src=x onerror=host()>";
pub(crate) const RULE: &str = "<img src=x onerror=rule()>'\"\u{202e}\u{7}";

/// The capture, with markup in a Host header and in its own name, and a configuration that alerts about it with markup in
/// the message. With `times`, so many connections.
pub(crate) fn files(folder: &Path, times: u32) -> (PathBuf, PathBuf) {
    let plain = folder.join("plain.pcap");
    let mut writer = Writer::create(&plain, Format::Pcap(LinkType::IPV4)).expect("a capture");
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (client, server) = (([10, 0, 0, 1], 40_000), ([10, 0, 0, 2], 80));
    let (ours, theirs) = (1 + request.len() as u32, 1 + response.len() as u32);
    let packets = [
        tcp(client, server, SYN, (0, 0), b""),
        tcp(server, client, SYN | ACK, (0, 1), b""),
        tcp(client, server, ACK, (1, 1), b""),
        tcp(client, server, ACK | PSH, (1, 1), request.as_bytes()),
        tcp(server, client, ACK | PSH, (1, ours), response.as_bytes()),
        tcp(client, server, ACK, (ours, theirs), b""),
    ];
    for (millis, packet) in (0..).zip(&packets) {
        let time = Timestamp::from_nanos(1_700_000_000_000_000_000 + millis * 1_000_000);
        let len = u32::try_from(packet.len()).expect("short");
        writer.write_packet(time, LinkType::IPV4, len, packet).expect("written");
    }
    writer.finish().expect("written");
    // A name with a slash in it is none.
    let capture = folder.join(NAME.replace('/', "\u{2215}"));
    let times = times.to_string();
    let wrap = ["wrap", text(&plain), "--times", &times, "--write", text(&capture)];
    stdout(&appliance(&wrap));
    let rule: String = RULE
        .chars()
        .map(|character| match character {
            '"' => "\\\"".into(),
            hidden if !hidden.is_ascii_graphic() && hidden != ' ' => {
                format!("\\u{:04x}", hidden as u32)
            }
            plain => plain.to_string(),
        })
        .collect();
    let policy = format!(
        "[access]\ndefault = \"allow\"\n[[access.rule]]\nname = \"{rule}\"\naction = \"allow\"\nlog = true\nports = 80\n\
         [api]\nrule = [{{ methods = \"PUT\" }}]\nports = 80\n"
    );
    (capture, file(folder, "policy.toml", policy))
}

type End = ([u8; 4], u16);

const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

fn tcp(from: End, to: End, flags: u8, (seq, ack): (u32, u32), data: &[u8]) -> Vec<u8> {
    let mut segment = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(data);
    let len = segment.len() as u16;
    let pseudo = [&from.0[..], &to.0, &[0, 6], &len.to_be_bytes()].concat();
    let sum = checksum(&[&pseudo[..], &segment].concat());
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x45, 0];
    packet.extend((20 + len).to_be_bytes());
    packet.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    packet.extend([from.0, to.0].concat());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(segment);
    packet
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | word.get(1).copied().map_or(0, u32::from));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}
