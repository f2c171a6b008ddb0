//! What is not taken in, and what cannot be sent, is counted; and it goes on afterwards. What is too long goes in fragments.

use std::ops::ControlFlow;
use std::time::Duration;

use gwlb_geneve::transport::udp::{UdpSettings, UdpTransport, Warning, Way, check};
use gwlb_geneve::transport::{SendFailure, Sent, Transport};

use crate::network::{APPLIANCE, Node, STRANGER, command, may_run, noise, until};
use crate::paths::{WAYS, bounce, settings, warm, warm_up};

/// Waits for `count` datagrams in one burst and marks them to be sent back.
fn hold(transport: &mut UdpTransport, count: usize) {
    until(|| {
        let received = transport.receive(Duration::from_millis(20)).unwrap();
        let lens: Vec<_> = transport.frames(0..received).map(|frame| frame.len).collect();
        for (number, len) in lens.into_iter().enumerate() {
            transport.forward(number, len);
        }
        if received == 0 {
            return ControlFlow::Continue(());
        }
        assert_eq!(received, count);
        ControlFlow::Break(())
    });
}

fn failed(sent: Sent, reason: SendFailure) -> u64 {
    assert_eq!(sent.failed.total(), sent.failed.of(reason), "{sent:?}");
    sent.failed.of(reason)
}

#[test]
fn strangers_are_counted_and_left_out() {
    if !may_run() {
        return;
    }
    let (scene, node, mut transport) = warm(1_500, settings(None));
    let stranger = scene.node_at(STRANGER);
    stranger.send_train(100, &noise(300));
    stranger.send(b"let me in");
    node.send(b"I am expected");
    bounce(&mut transport, 1, |_| true);
    assert_eq!(node.reply(), b"I am expected");
    assert_eq!(transport.counters().foreign_origin, 4);
}

#[test]
fn what_is_cut_off_or_comes_too_fast_is_counted() {
    if !may_run() {
        return;
    }
    let settings =
        UdpSettings { merge: false, longest: 100, receive_buffer: 8_192, ..settings(None) };
    let (_scene, node, mut transport) = warm(1_500, settings);
    node.send(&noise(101));
    node.send(&noise(100));
    bounce(&mut transport, 1, |_| true);
    assert_eq!(node.reply(), noise(100));
    assert_eq!(transport.counters().too_long, 1);

    let before = transport.counters().received;
    (0..200).for_each(|_| node.send(b"faster than you"));
    until(|| match transport.receive(Duration::from_millis(20)).unwrap() {
        0 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let counters = transport.counters();
    assert_eq!(counters.received - before + counters.overflow, 200, "{counters:?}");
    assert!(counters.overflow > 0);
}

#[test]
fn what_is_longer_than_the_way_out_goes_in_fragments() {
    if !may_run() {
        return;
    }
    for way in WAYS {
        let (scene, node, mut transport) = warm(9_001, settings(way));
        node.send_train(1_400, &noise(4_200));
        node.send_train(3_000, &noise(9_000));
        node.send(b"short");
        std::thread::sleep(Duration::from_millis(20));
        hold(&mut transport, 7);
        scene.appliance.ip("link set app0 mtu 1500");
        // The kernel lets trains pass whose datagrams are too long, so the MTU is looked at every two seconds.
        std::thread::sleep(Duration::from_millis(2_500));
        let sent = transport.send();
        assert_eq!(sent, Sent { sent: 7, ..Sent::default() }, "{way:?}");
        assert_eq!(transport.counters().fragmented, 3);
        assert_eq!(transport.counters().sent_bytes, transport.counters().received_bytes);
        assert!(node.replies(3).concat() == noise(4_200));
        // They are whole once the last fragment is there.
        assert!(node.replies(3).concat() == noise(9_000));
        assert_eq!(node.reply(), b"short");
        node.assert_no_more();
        drop(transport);
        let found =
            scene.appliance.run(|| check(&UdpSettings { address: APPLIANCE, ..settings(None) }));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0], Warning::Mtu { interface: "app0".into(), found: 1_500 });
    }
}

#[test]
fn a_datagram_in_outer_fragments_goes_back_in_fragments() {
    if !may_run() {
        return;
    }
    for (merge, way) in [(true, None), (false, None), (true, Some(Way::Raw))] {
        let (_scene, node, mut transport) = warm(1_500, UdpSettings { merge, ..settings(way) });
        // The fewest bytes that take a second fragment, and one more than two whole ones.
        for len in [1_473, 1_480 * 2 - 7, 60_000, 65_507] {
            let payload = noise(len);
            node.send(&payload);
            hold(&mut transport, 1);
            let frame = transport.frames(0..1).next().unwrap();
            assert!(frame.buffer[..frame.len] == payload);
            assert_eq!(transport.send().sent, 1, "{len} by {way:?}");
            assert!(node.reply() == payload);
        }
        assert_eq!(transport.counters().fragmented, 4);
        assert_eq!(transport.counters().sent_bytes, transport.counters().received_bytes);
        // Only they take the other way.
        node.send(b"short");
        bounce(&mut transport, 1, |_| true);
        assert_eq!(node.reply(), b"short");
        assert_eq!(transport.sent_by(Way::Packet) > 1, way.is_none());
    }
}

#[test]
fn an_interface_may_go_down_and_come_back() {
    if !may_run() {
        return;
    }
    for way in WAYS {
        let (scene, node, mut transport) = warm(1_500, settings(way));
        node.send_train(100, &noise(300));
        hold(&mut transport, 3);
        scene.appliance.ip("link set app0 down");
        let sent = transport.send();
        assert_eq!((sent.sent, failed(sent, SendFailure::Unreachable)), (0, 3), "{way:?}");
        scene.appliance.ip("link set app0 up");
        if way == Some(Way::Raw) {
            until(|| {
                node.send(b"hello");
                let received = transport.receive(Duration::from_millis(50)).unwrap();
                if received > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            transport.forward(0, 5);
            assert_eq!(transport.send().sent, 1);
            assert_eq!(node.reply(), b"hello");
        } else {
            lossy_warm_up(&node, &mut transport);
        }
    }
}

#[test]
fn a_neighbour_may_be_forgotten_or_fail() {
    if !may_run() {
        return;
    }
    for change in ["del 10.9.0.1 dev app0", "change 10.9.0.1 dev app0 nud failed"] {
        neighbour_is(change);
    }
}

fn neighbour_is(change: &str) {
    let (scene, node, mut transport) = warm(1_500, settings(None));
    scene.appliance.ip(&format!("neigh {change}"));
    let raw = transport.sent_by(Way::Raw);
    // Sooner or later it is noticed, and then the raw socket makes the kernel resolve the neighbour. Nothing is lost.
    until(|| {
        node.send_train(50, &noise(150));
        bounce(&mut transport, 3, |_| true);
        assert!(node.replies(3).concat() == noise(150));
        std::thread::sleep(Duration::from_millis(20));
        if transport.sent_by(Way::Raw) > raw {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    warm_up(&node, &mut transport);
}

#[test]
fn a_way_that_is_forbidden_or_blocked_is_counted() {
    if !may_run() {
        return;
    }
    for way in WAYS {
        for (kind, reason) in
            [("prohibit", SendFailure::NotPermitted), ("unreachable", SendFailure::Unreachable)]
        {
            let (scene, node, mut transport) = warm(1_500, settings(way));
            scene.appliance.ip(&format!("route add {kind} 10.9.0.1/32"));
            // The packet socket asks for the route every two seconds.
            std::thread::sleep(Duration::from_millis(2_500));
            node.send_train(100, &noise(300));
            hold(&mut transport, 3);
            let sent = transport.send();
            assert_eq!((sent.sent, failed(sent, reason)), (0, 3), "{kind} by {way:?}");
            scene.appliance.ip(&format!("route del {kind} 10.9.0.1/32"));
            node.send(b"again");
            hold(&mut transport, 1);
            assert_eq!(transport.send().sent, 1);
            assert_eq!(node.reply(), b"again");
            node.assert_no_more();
        }
    }
}

#[test]
fn a_full_queue_is_counted() {
    if !may_run() {
        return;
    }
    for way in WAYS {
        let (scene, node, mut transport) = warm(1_500, settings(way));
        let slow = "qdisc add dev app0 root tbf rate 8kbit burst 1600 limit 3000";
        if !scene.appliance.run(move || command("tc", slow)) {
            eprintln!("SKIPPED: there is no slow queue in this kernel (sch_tbf)");
            return;
        }
        (0..20).for_each(|_| node.send(&noise(1_000)));
        std::thread::sleep(Duration::from_millis(20));
        hold(&mut transport, 20);
        let sent = transport.send();
        let full = failed(sent, SendFailure::QueueFull);
        assert_eq!(sent.sent + full, 20);
        assert!((15..20).contains(&full), "{sent:?} by {way:?}");
    }
}

/// As [`warm_up`], where the first datagrams may be lost.
fn lossy_warm_up(node: &Node, transport: &mut UdpTransport) {
    let before = transport.sent_by(Way::Packet);
    until(|| {
        node.send(b"are you there");
        let received = transport.receive(Duration::from_millis(50)).unwrap();
        (0..received).for_each(|number| transport.forward(number, 13));
        transport.send();
        if transport.sent_by(Way::Packet) > before {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(node.reply(), b"are you there");
}
