//! Datagrams come back byte for byte, whichever way they take.

use std::net::{Ipv4Addr, UdpSocket};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use gwlb_geneve::gwlb::{Outer, Reply, ReplyPolicy};
use gwlb_geneve::transport::Transport;
use gwlb_geneve::transport::udp::{Origins, UdpSettings, UdpTransport, Way};

use crate::network::{
    APPLIANCE, GATEWAY, Host, Node, PATIENCE, Scene, command, may_run, noise, until,
};

pub(crate) fn settings(way: Option<Way>) -> UdpSettings {
    UdpSettings { way, ..UdpSettings::default() }
}

/// What a burst held, in order.
pub(crate) fn receive(transport: &mut UdpTransport) -> Vec<Vec<u8>> {
    let count = transport.receive(Duration::from_millis(20)).unwrap();
    let frames = transport.frames(0..count);
    let payloads: Vec<_> = frames.map(|frame| frame.buffer[..frame.len].to_vec()).collect();
    assert_eq!(payloads.len(), count);
    payloads
}

/// Sends back all that comes but what `pass` does not want, until so many have come.
pub(crate) fn bounce(
    transport: &mut UdpTransport,
    count: usize,
    mut pass: impl FnMut(usize) -> bool,
) {
    let mut seen = 0;
    until(|| {
        for (number, payload) in receive(transport).into_iter().enumerate() {
            if pass(seen) {
                transport.forward(number, payload.len());
            }
            seen += 1;
        }
        let sent = transport.send();
        assert_eq!(sent.failed.total(), 0);
        if seen < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert_eq!(seen, count);
}

/// Sends until frames leave by the packet socket: the neighbour is resolved then.
pub(crate) fn warm_up(node: &Node, transport: &mut UdpTransport) {
    until(|| {
        let before = transport.sent_by(Way::Packet);
        node.send(b"are you there");
        bounce(transport, 1, |_| true);
        assert_eq!(node.reply(), b"are you there");
        if transport.sent_by(Way::Packet) > before {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
}

/// A scene whose transport sends this way already.
pub(crate) fn warm(mtu: u16, settings: UdpSettings) -> (Scene, Node, UdpTransport) {
    let scene = Scene::new(mtu);
    let is_raw = settings.way == Some(Way::Raw);
    let mut transport = scene.open(settings);
    let node = scene.node();
    if !is_raw {
        warm_up(&node, &mut transport);
    }
    (scene, node, transport)
}

pub(crate) const WAYS: [Option<Way>; 3] = [None, Some(Way::Packet), Some(Way::Raw)];

#[test]
fn single_datagrams_of_all_sizes_come_back() {
    if !may_run() {
        return;
    }
    for way in WAYS {
        for (address, merge) in [(APPLIANCE, true), ([0, 0, 0, 0].into(), false)] {
            let settings = UdpSettings { address, merge, ..settings(way) };
            let (_scene, node, mut transport) = warm(9_001, settings);
            // The last is as long as a load balancer's longest, and as the interface takes.
            for len in [0, 1, 39, 40, 104, 1_500, 8_540, 9_001 - 28] {
                let payload = noise(len);
                node.send(&payload);
                bounce(&mut transport, 1, |_| true);
                assert!(node.reply() == payload, "{len} by {way:?}");
            }
            let counters = transport.counters();
            assert_eq!(counters.received, counters.sent);
            assert_eq!(counters.received_bytes, counters.sent_bytes);
            let raw = transport.sent_by(Way::Raw);
            assert_eq!(transport.sent_by(Way::Packet) + raw, counters.sent);
            assert!(way == Some(Way::Raw) || transport.sent_by(Way::Packet) >= 8, "{raw}");
        }
    }
}

#[test]
fn trains_come_back_whole() {
    if !may_run() {
        return;
    }
    for way in WAYS {
        let (_scene, node, mut transport) = warm(9_001, settings(way));
        let before = transport.counters().bursts;
        for (size, count, last) in
            [(104, 60, 104), (1_540, 16, 1_540), (1_540, 10, 1), (8_540, 7, 77)]
        {
            let payload = noise((count - 1) * usize::from(size) + last);
            node.send_train(size, &payload);
            bounce(&mut transport, count, |_| true);
            let replies = node.replies(count);
            assert!(replies.concat() == payload, "{size} by {way:?}");
            assert!(replies[..count - 1].iter().all(|reply| reply.len() == usize::from(size)));
        }
        let bursts = transport.counters().bursts - before;
        assert!(bursts < 20, "{bursts} bursts: merged, and not one by one");
        node.assert_no_more();
    }
}

/// Of its buffers a train takes but one; more trains than a few need not find room where they wait.
#[test]
fn a_burst_is_full_by_its_datagrams() {
    if !may_run() {
        return;
    }
    let (_scene, node, mut transport) = warm(1_500, settings(None));
    (0..4).for_each(|_| node.send_train(20, &noise(20 * 50)));
    let mut seen = 0;
    until(|| {
        let received = receive(&mut transport).len();
        assert_eq!(transport.is_full(), received >= 128);
        seen += received;
        if seen < 200 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    until(|| {
        (0..200).for_each(|_| node.send(b"one by one"));
        let received = receive(&mut transport).len();
        assert_eq!(transport.is_full(), received == 128);
        if received < 128 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
}

#[test]
fn what_is_dropped_from_a_train_is_missing_alone() {
    if !may_run() {
        return;
    }
    for way in WAYS {
        let (_scene, node, mut transport) = warm(9_001, settings(way));
        // Datagrams with room for the headers of those behind them, and without.
        for size in [200_u16, 30] {
            for dropped in [&[0][..], &[15], &[7], &[1, 2, 3], &[0, 2, 4, 6, 8, 10, 12, 14], &[14]]
            {
                let payload = noise(15 * usize::from(size) + 9);
                node.send_train(size, &payload);
                bounce(&mut transport, 16, |number| !dropped.contains(&number));
                let parts = payload.chunks(size.into()).enumerate();
                let expected: Vec<_> =
                    parts.filter(|(number, _)| !dropped.contains(number)).map(|(_, p)| p).collect();
                let replies = node.replies(expected.len());
                assert!(replies == expected, "{size} without {dropped:?} by {way:?}");
            }
        }
        node.assert_no_more();
    }
}

#[test]
fn edits_and_packets_of_ones_own_keep_their_place() {
    if !may_run() {
        return;
    }
    for way in WAYS {
        let (_scene, node, mut transport) = warm(9_001, settings(way));
        let payload = noise(8 * 300);
        node.send_train(300, &payload);
        let outer = Outer::new((GATEWAY, node.port()), (APPLIANCE, 6081));
        let own = noise(333);
        let mut expected: Vec<Vec<u8>> = payload.chunks(300).map(<[u8]>::to_vec).collect();
        until(|| {
            let count = transport.receive(Duration::from_millis(20)).unwrap();
            if count == 0 {
                return ControlFlow::Continue(());
            }
            assert_eq!(count, 8);
            let lens = [300, 300, 250, 300, 180, 300, 300, 300];
            for (number, frame) in transport.frames(3..5).enumerate() {
                frame.buffer[0] ^= 0xff;
                expected[3 + number][0] ^= 0xff;
            }
            for (number, len) in lens.into_iter().enumerate() {
                transport.forward(number, len);
                expected[number].truncate(len);
                if number == 1 || number == 6 {
                    let (geneve, inner) = own.split_at(40);
                    let reply = Reply::new(&outer, geneve, inner, &ReplyPolicy::default());
                    transport.inject(&reply.unwrap());
                }
            }
            assert_eq!(transport.send().sent, 10);
            ControlFlow::Break(())
        });
        expected.insert(7, own.clone());
        expected.insert(2, own);
        assert!(node.replies(10) == expected, "{way:?}");
        node.assert_no_more();
    }
}

#[test]
fn there_is_room_for_longer_ones_where_nothing_is_merged() {
    if !may_run() {
        return;
    }
    let settings = UdpSettings { merge: false, ..settings(None) };
    let (_scene, node, mut transport) = warm(9_001, settings);
    node.send_train(100, &noise(500));
    let mut seen = 0;
    until(|| {
        let count = transport.receive(Duration::from_millis(20)).unwrap();
        for frame in transport.frames(0..count) {
            assert_eq!((frame.len, frame.buffer.len()), (100, 100 + UdpSettings::ROOM));
            frame.buffer[100..].fill(7);
        }
        (0..count).for_each(|number| transport.forward(number, 1_000));
        transport.send();
        seen += count;
        if seen < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    for (reply, part) in node.replies(5).iter().zip(noise(500).chunks(100)) {
        assert_eq!(*reply, [part, &[7; 256]].concat());
    }
}

#[test]
fn loopback_takes_the_raw_socket() {
    if !may_run() {
        return;
    }
    let address = Ipv4Addr::new(127, 0, 0, 2);
    let origins = Origins::parse(["127.0.0.1"]).unwrap();
    Host::new().run(move || {
        let settings = UdpSettings { address, origins, ..settings(None) };
        let mut transport = UdpTransport::open(&settings).unwrap();
        let node = UdpSocket::bind("127.0.0.1:6081").unwrap();
        node.set_read_timeout(Some(PATIENCE)).unwrap();
        for payload in [noise(100), noise(9_000)] {
            node.send_to(&payload, (address, 6081)).unwrap();
            bounce(&mut transport, 1, |_| true);
            let mut buffer = vec![0; 10_000];
            let (len, from) = node.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..len], from), (&payload[..], (address, 6081).into()));
        }
        assert_eq!(transport.sent_by(Way::Raw), 2);
    });
}

#[test]
fn busy_polling_receives_and_comes_to_an_end() {
    if !may_run() {
        return;
    }
    let settings = UdpSettings { busy_poll: Duration::from_millis(5), ..settings(None) };
    let (_scene, node, mut transport) = warm(1_500, settings);
    // Beyond the time of busy polling, and within it.
    for wait in [0, 2, 20] {
        let began = Instant::now();
        assert_eq!(transport.receive(Duration::from_millis(wait)).unwrap(), 0);
        // Behind it the socket waits, whose clock is a coarse one.
        assert!(began.elapsed() >= Duration::from_millis(wait.min(5)), "{wait}");
    }
    node.send(b"busy");
    bounce(&mut transport, 1, |_| true);
    assert_eq!(node.reply(), b"busy");
}

#[test]
fn a_type_of_service_is_echoed_although_it_is_only_sampled() {
    use nix::sys::socket::{setsockopt, sockopt};

    if !may_run() {
        return;
    }
    let tos_sample = Some(Duration::from_millis(10));
    let (_scene, node, mut transport) =
        warm(1_500, UdpSettings { tos_sample, merge: false, ..settings(None) });
    let seen = |transport: &mut UdpTransport| {
        node.send(b"what is it?");
        let seen = until(|| match transport.receive(Duration::from_millis(20)).unwrap() {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(transport.frames(0..1).next().unwrap().outer.tos),
        });
        transport.forward(0, 11);
        transport.send();
        assert_eq!(node.reply(), b"what is it?");
        seen
    };
    // So many with 0 that it is no longer asked for.
    (0..1_030).for_each(|_| assert_eq!(seen(&mut transport), 0));
    setsockopt(&node.sender, sockopt::Ipv4Tos, &0xb8).unwrap();
    let first = until(|| match seen(&mut transport) {
        0 => ControlFlow::Continue(()),
        tos => ControlFlow::Break(tos),
    });
    assert_eq!(first, 0xb8);
    // From then on it always is.
    (0..100).for_each(|_| assert_eq!(seen(&mut transport), 0xb8));
}

#[test]
fn the_outer_header_says_what_the_policy_says() {
    use gwlb_geneve::gwlb::{Tos, Ttl, UdpChecksum};
    use nix::sys::socket::{setsockopt, sockopt};

    if !may_run() {
        return;
    }
    for way in WAYS {
        for (checksum, ttl, tos) in [
            (UdpChecksum::Zero, Ttl::Fixed(64), Tos::Received),
            (UdpChecksum::Computed, Ttl::Received, Tos::Fixed(8)),
        ] {
            let reply = ReplyPolicy { checksum, ttl, tos, ..ReplyPolicy::default() };
            // On a slow machine there is time for the warming up to seem all that there is.
            let settings = UdpSettings { reply, tos_sample: None, ..settings(way) };
            let (scene, node, mut transport) = warm(9_001, settings);
            // The appliance's end claims neither to fill in checksums nor to cut trains, so its kernel must.
            let off = "-K app0 tx off tx-udp-segmentation off";
            if !scene.appliance.run(|| command("ethtool", off)) {
                assert!(std::env::var("KERNEL_TESTS").is_err(), "ethtool is missing");
                eprintln!("SKIPPED: what is on the wire cannot be seen without ethtool");
                return;
            }
            let frames = scene.gateway.run(Frames::listen);
            setsockopt(&node.sender, sockopt::Ipv4Ttl, &33).unwrap();
            setsockopt(&node.sender, sockopt::Ipv4Tos, &0x28).unwrap();
            let payload = noise(3 * 500);
            node.send_train(500, &payload);
            bounce(&mut transport, 3, |_| true);
            assert!(node.replies(3).concat() == payload);
            let mut seen = 0;
            until(|| {
                let Some(packet) = frames.next() else { return ControlFlow::Continue(()) };
                // Its own, and ARP, may stand between them.
                if packet.get(12..16) != Some(&APPLIANCE.octets()) {
                    return ControlFlow::Continue(());
                }
                // Checks the IP header's checksum, and the other unless it is zero.
                let (outer, payload) = Outer::parse(&packet).unwrap();
                assert_eq!(payload.len(), 500);
                assert_eq!(outer.ttl, if ttl == Ttl::Received { 33 } else { 64 });
                assert_eq!(outer.tos, if tos == Tos::Received { 0x28 } else { 8 });
                assert_eq!((outer.source_port, outer.destination_port), (node.port(), 6081));
                let is_summed = way != Some(Way::Raw) || checksum == UdpChecksum::Computed;
                assert_eq!(outer.udp_checksum != 0, is_summed);
                assert_eq!(packet[6], 0x40, "do not fragment");
                seen += 1;
                if seen < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
        }
    }
}

/// What arrives in the namespace, from the IP header on.
struct Frames(std::os::fd::OwnedFd);

impl Frames {
    fn listen() -> Self {
        use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

        let protocol = SockProtocol::EthAll;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, protocol).unwrap();
        Self(socket)
    }

    /// The next IP packet.
    fn next(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 1 << 16];
        let len = nix::unistd::read(&self.0, &mut buffer).ok()?;
        buffer.truncate(len);
        Some(buffer)
    }
}
