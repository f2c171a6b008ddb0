//! What no load balancer sends, or hardly ever.

use std::net::UdpSocket;
use std::time::Duration;

use crate::stage::{APPLIANCE, GATEWAY, GENEVE, STRANGER, Stage};

#[test]
fn malformed_and_foreign_datagrams_among_good_ones() {
    let Some(mut stage) = Stage::with_appliance("malformed", "") else { return };
    let before = stage.settled();
    let load = format!(
        "--packets 20000 --profile mixed --malformed 1 --foreign 0.3 --zero-checksum 0.05 --new-cookie 0.05 \
         --duplicate 0.02 --reorder 0.02 --stranger {STRANGER} --seed 3"
    );
    let report = stage.load(&load);
    report.assert_clean();
    let after = stage.settled();
    let rise = |name: &str| after.number(name) - before.number(name);
    let (arrived, foreign) = report.arrived();
    assert_eq!(rise("received"), arrived, "{:#}", report.json);
    assert_eq!(rise("foreign_origin"), foreign);
    assert_eq!(rise("sent"), report.number("/answered") + report.number("/probes"));
    // The system counts wrong checksums with what it had no room for. That is no reason to think there is too much to do.
    let checksums = report.number("/must_not_be_answered/wrong checksum");
    assert!(rise("overflow") <= checksums, "{:#}", after.0);
    stage.has_survived();
}

/// A GENEVE header as a load balancer writes it: its endpoint, its attachment, its cookie.
pub(crate) fn header() -> Vec<u8> {
    let mut header =
        vec![8, 0, 8, 0, 0, 0, 0, 0, 1, 8, 1, 2, 5, 14, 0xd0, 0xf9, 0xa7, 0xe3, 0x1d, 0x42];
    header.extend([1, 8, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 3, 1, 1, 2, 3, 4]);
    header
}

#[test]
fn random_bytes_with_and_without_a_good_header() {
    let Some(mut stage) = Stage::with_appliance("random", "") else { return };
    let before = stage.settled();
    let socket = stage.gateway.run(|| Ok(UdpSocket::bind((GATEWAY, 0))?)).unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let (mut sent, mut bytes) = (0, 0);
    for _ in 0..40 {
        for _ in 0..250 {
            let mut payload = if next() % 4 == 0 { Vec::new() } else { header() };
            let len = (next() % 300) as usize;
            let begins = payload.len();
            payload.extend((0..len).map(|_| next() as u8));
            // Most of these say that they are IP, so that more of them is read.
            if let Some(first) = payload.get_mut(begins).filter(|_| begins > 0 && next() % 8 > 0) {
                *first = if next() % 2 == 0 { 0x45 } else { 0x60 };
            }
            if begins > 0 && payload.get(begins).is_some_and(|first| *first == 0x60) {
                payload[2..4].copy_from_slice(&[0x86, 0xdd]);
            }
            socket.send_to(&payload, (APPLIANCE, GENEVE)).unwrap();
            sent += 1;
            bytes += payload.len() as u64;
        }
        // No faster than they are taken, so that none is lost before it is counted.
        stage.wait_for("datagrams", |stage| {
            stage.stats().number("received") - before.number("received") == sent
        });
    }
    let after = stage.settled();
    assert_eq!(after.number("received_bytes") - before.number("received_bytes"), bytes);
    assert!(after.sum("dropped") - before.sum("dropped") > sent / 2, "{:#}", after.0);
    stage.has_survived();
}

/// 60,000 bytes inside are more than any cable carries in one piece. They come in fragments, and so they go back.
#[test]
fn datagrams_in_outer_fragments_come_back_as_they_were() {
    let Some(mut stage) = Stage::with_appliance("fragments", "") else { return };
    let before = stage.settled();
    let bind = |port| stage.gateway.run(|| Ok(UdpSocket::bind((GATEWAY, port))?)).unwrap();
    let (socket, replies) = (bind(0), bind(GENEVE));
    replies.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reply = vec![0; 65_536];
    let mut payload = header();
    let inner = payload.len();
    payload.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 2]);
    payload[inner + 2..inner + 4].copy_from_slice(&60_000_u16.to_be_bytes());
    let checksum = gwlb_geneve::packet::Checksum::of(&payload[inner..]);
    payload[inner + 10..inner + 12].copy_from_slice(&checksum.to_be_bytes());
    // From port 1 to port 2, without a checksum.
    payload.extend([0, 1, 0, 2, 0xea, 0x4c, 0, 0]);
    payload.resize(inner + 60_000, 0xa5);
    for number in 1..=20 {
        socket.send_to(&payload, (APPLIANCE, GENEVE)).unwrap();
        let length = replies.recv(&mut reply).unwrap();
        assert!(reply[..length] == payload, "reply {number} has {length} bytes");
    }
    let after = stage.settled();
    let rise = |name: &str| after.number(name) - before.number(name);
    assert_eq!(rise("received_bytes"), 20 * payload.len() as u64);
    assert_eq!((rise("forwarded"), rise("sent"), rise("too_long")), (20, 20, 0), "{:#}", after.0);
    // The simulator listens there itself.
    drop(replies);
    stage.has_survived();
}
