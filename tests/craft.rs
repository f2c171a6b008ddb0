//! Crafted and edited packets as another reader, tshark, sees them.
#![cfg(feature = "capture")]

mod support;

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use gwlb_geneve::Timestamp;
use gwlb_geneve::capture::{Format, LinkType, Writer};
use gwlb_geneve::packet::{IpPacket, PacketMut, Prohibited, Reset, Toward, Tunneled};
use support::tunnels;

/// One row of fields for each packet, of several values the first; `None` where there is no tshark.
fn tshark(name: &str, packets: &[Vec<u8>], fields: &[&str]) -> Option<Vec<Vec<String>>> {
    run_tshark(name, packets, fields, "f")
}

/// As [`tshark`], with all values.
fn tshark_all(name: &str, packets: &[Vec<u8>], fields: &[&str]) -> Option<Vec<Vec<String>>> {
    run_tshark(name, packets, fields, "a")
}

fn run_tshark(
    name: &str,
    packets: &[Vec<u8>],
    fields: &[&str],
    occurrence: &str,
) -> Option<Vec<Vec<String>>> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut writer = Writer::create(&path, Format::Pcapng).unwrap();
    for packet in packets {
        let length = packet.len() as u32;
        writer.write_packet(Timestamp::from_nanos(0), LinkType::RAW, length, packet).unwrap();
    }
    writer.finish().unwrap();
    let mut command = Command::new("tshark");
    for layer in ["ip", "tcp", "udp"] {
        command.args(["-o", &format!("{layer}.check_checksum:TRUE")]);
    }
    command.args(["-T", "fields", "-E", &format!("occurrence={occurrence}"), "-E", "separator=;"]);
    command.args(fields.iter().flat_map(|field| ["-e", *field]));
    let output = match command.arg("-r").arg(&path).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: tshark cannot be run: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<String>> =
        shown.lines().map(|line| line.split(';').map(str::to_owned).collect()).collect();
    assert_eq!(rows.len(), packets.len(), "{shown}");
    Some(rows)
}

/// An IPv4 and an IPv6 packet around an upper layer whose checksum is at an offset.
fn both(protocol: u8, upper: &[u8], checksum_at: usize) -> [Vec<u8>; 2] {
    let length = upper.len() as u16;
    let mut four = vec![0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, protocol, 0, 0];
    four[2..4].copy_from_slice(&(20 + length).to_be_bytes());
    four.extend([192, 0, 2, 1, 198, 51, 100, 2]);
    let sum = sum_of(&four);
    four[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut six = vec![0x60, 0, 0, 0];
    six.extend(length.to_be_bytes());
    six.extend([protocol, 64]);
    for last in [1, 2] {
        six.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    [(four, 12), (six, 8)].map(|(mut packet, addresses)| {
        let mut covered = packet[addresses..].to_vec();
        covered.extend(u32::from(length).to_be_bytes());
        covered.extend([0, 0, 0, protocol]);
        covered.extend(upper);
        let at = packet.len() + checksum_at;
        packet.extend(upper);
        packet[at..at + 2].copy_from_slice(&sum_of(&covered).to_be_bytes());
        packet
    })
}

fn sum_of(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| [pair[0], pair.get(1).copied().unwrap_or(0)]);
    let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(word))).sum();
    !(((sum >> 16) + (sum & 0xffff)) as u16)
}

fn tcp(flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x12, 0x34, 0x1f, 0x90, 0, 0, 3, 0xe8, 0, 0, 0x07, 0xd0];
    segment.extend([(5 + options.len() as u8 / 4) << 4, flags, 0x20, 0, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(data);
    segment
}

fn udp(data: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x12, 0x34, 0x23, 0x45];
    datagram.extend((8 + data.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    datagram
}

/// Complaints that there must not be, then whether checksums are good (1) where there are any.
const VERDICT: [&str; 6] = [
    "_ws.malformed",
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
];

fn assert_good(row: &[String]) {
    assert_eq!(row[0], "", "{row:?}");
    assert!(row[1..6].iter().all(|status| status.is_empty() || status == "1"), "{row:?}");
    assert!(row[2..6].iter().any(|status| status == "1"), "{row:?}");
}

#[test]
fn tshark_reads_resets() {
    let mut packets = Vec::new();
    for (flags, data) in [(0x02, &b""[..]), (0x18, b"data"), (0x12, b"")] {
        for bytes in both(6, &tcp(flags, &[], data), 16) {
            let packet = IpPacket::parse(&bytes).unwrap();
            let resets = [Reset::to_sender(&packet), Reset::to_receiver(&packet, 1000)];
            for reset in resets.into_iter().flatten() {
                let mut buffer = [0; 60];
                let length = reset.write_to(&mut buffer).unwrap();
                packets.push(buffer[..length].to_vec());
            }
        }
    }
    let mut fields = VERDICT.to_vec();
    fields.extend(["tcp.flags", "tcp.seq_raw", "tcp.ack_raw", "tcp.srcport", "_ws.expert.message"]);
    let Some(rows) = tshark("resets.pcapng", &packets, &fields) else { return };
    for row in &rows {
        assert_good(row);
        assert_eq!(row[10], "Connection reset (RST)");
    }
    let shown: Vec<_> = rows.iter().map(|row| row[6..10].join(" ")).collect();
    let to_syn = "0x0014 0 1001 8080";
    let data = ["0x0004 2000 0 8080", "0x0004 1000 0 4660"];
    let syn_ack = ["0x0004 2000 0 8080", "0x0014 1000 2000 4660"];
    let expected = [&[to_syn; 2][..], &data, &data, &syn_ack, &syn_ack].concat();
    assert_eq!(shown, expected);
}

#[test]
fn tshark_reads_errors_and_their_quotes() {
    let mut packets = Vec::new();
    for data in [0, 2, 1400] {
        for bytes in both(17, &udp(&vec![0x5a; data]), 6) {
            let error = Prohibited::about(&IpPacket::parse(&bytes).unwrap()).unwrap();
            let mut buffer = [0; 1280];
            let length = error.write_to(&mut buffer).unwrap();
            packets.push(buffer[..length].to_vec());
        }
    }
    // The checksum of a quote that is cut off cannot be right, so UDP is not asked.
    let mut fields = VERDICT.to_vec();
    fields[3] = "tcp.checksum.status";
    fields.extend(["icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code", "udp.dstport"]);
    fields.push("frame.len");
    let Some(rows) = tshark("errors.pcapng", &packets, &fields) else { return };
    rows.iter().for_each(|row| assert_good(row));
    let shown: Vec<_> = rows.iter().map(|row| row[6..].join(" ")).collect();
    let expected = [
        "3 13   9029 56",
        "  1 1 9029 96",
        "3 13   9029 58",
        "  1 1 9029 98",
        "3 13   9029 576",
        "  1 1 9029 1280",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn tshark_finds_edited_packets_right() {
    let mut packets = Vec::new();
    let addresses: [[IpAddr; 2]; 2] = [
        ["10.1.2.3".parse().unwrap(), "10.4.5.6".parse().unwrap()],
        ["2001:db8:a::3".parse().unwrap(), "2001:db8:b::6".parse().unwrap()],
    ];
    let syn = tcp(0x02, &[1, 2, 4, 0x05, 0xb4, 1, 1, 1], b"");
    for (protocol, upper, at) in [(6, syn, 16), (17, udp(b"even"), 6)] {
        for (mut bytes, [source, destination]) in
            both(protocol, &upper, at).into_iter().zip(addresses)
        {
            bytes.resize(200, 0);
            let mut packet = PacketMut::parse(&mut bytes).unwrap();
            packet.set_source(source).unwrap();
            packet.set_destination(destination).unwrap();
            packet.set_source_port(4000).unwrap();
            packet.set_hop_limit(7);
            packet.set_dscp(46).unwrap();
            assert_eq!(packet.clamp_mss(1300), protocol == 6);
            if protocol == 17 {
                packet.set_udp_payload(b"odd, and longer").unwrap();
                packet.replace(0..3, b"ODD").unwrap();
            }
            packets.push(packet.bytes().to_vec());
        }
    }
    let mut fields = VERDICT.to_vec();
    fields.extend(["ip.src", "ipv6.dst", "tcp.options.mss_val", "udp.length", "udp.srcport"]);
    fields.extend(["ip.dsfield.dscp", "ipv6.tclass.dscp", "ip.ttl", "ipv6.hlim"]);
    let Some(rows) = tshark("edited.pcapng", &packets, &fields) else { return };
    rows.iter().for_each(|row| assert_good(row));
    let shown: Vec<_> = rows.iter().map(|row| row[6..].join(" ")).collect();
    let expected = [
        "10.1.2.3  1300   46  7 ",
        " 2001:db8:b::6 1300    46  7",
        "10.1.2.3   23 4000 46  7 ",
        " 2001:db8:b::6  23 4000  46  7",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn tshark_reads_answers_in_tunnels() {
    let mut packets = Vec::new();
    for inner in both(6, &tcp(0x18, &[], b"data"), 16) {
        for how in 0..tunnels::PACKINGS * tunnels::PACKINGS {
            let once = tunnels::pack(how % tunnels::PACKINGS, &inner);
            let twice = tunnels::pack(how / tunnels::PACKINGS, &once);
            let found = Tunneled::look_through(&IpPacket::parse(&twice).unwrap()).unwrap();
            assert_eq!(found.innermost().bytes(), inner);
            for toward in [Toward::Sender, Toward::Receiver] {
                let reset = match toward {
                    Toward::Sender => Reset::to_sender(found.innermost()),
                    Toward::Receiver => Reset::to_receiver(found.innermost(), 1000),
                };
                let (mut segment, mut buffer) = ([0; 60], [0; 400]);
                let length = reset.unwrap().write_to(&mut segment).unwrap();
                if let Ok(length) = found.wrap(toward, &segment[..length], &mut buffer) {
                    packets.push(buffer[..length].to_vec());
                }
            }
        }
    }
    assert_eq!(packets.len(), 2 * 2 * 81, "all but those of GRE with sequence numbers");
    let fields = [
        "_ws.malformed",
        "ip.checksum.status",
        "udp.checksum.status",
        "gre.checksum.status",
        "tcp.checksum.status",
        "tcp.flags",
        "_ws.expert.message",
    ];
    // No checksum at all (0 over IPv6 is an error to tshark, and not made here) is "not present", 3.
    let good = |status: &str| status.split(',').all(|status| ["", "1", "3"].contains(&status));
    let Some(rows) = tshark_all("tunnels.pcapng", &packets, &fields) else { return };
    for row in &rows {
        assert!(row[0].is_empty() && row[1..5].iter().all(|status| good(status)), "{row:?}");
        assert_eq!((&*row[4], &*row[5]), ("1", "0x0004"), "{row:?}");
        assert_eq!(row[6], "Connection reset (RST)");
    }
}
