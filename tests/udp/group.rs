//! Several workers at one port.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use gwlb_geneve::flow::{Owners, owner};
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::packet::IpPacket;
use gwlb_geneve::transport::Transport;
use gwlb_geneve::transport::udp::{OpenError, UdpSettings, UdpTransport, Warning, check};
use nix::sys::socket::*;

use crate::network::{APPLIANCE, GATEWAY, Host, Scene, may_run, noise, until};

/// Inner packets as long as the program looks, in the envelope of a load balancer.
struct Traffic(std::vec::IntoIter<u8>);

impl Traffic {
    fn byte(&mut self) -> u8 {
        self.0.next().expect("noise enough")
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    fn ends<const N: usize>(&mut self) -> [([u8; N], [u8; 2]); 2] {
        let from = (self.bytes(), self.bytes());
        let mut to = (self.bytes(), self.bytes());
        // Every now and then they are alike, in part or wholly.
        match self.byte() % 8 {
            0 => to.0 = from.0,
            1 => to.0[..N / 2].copy_from_slice(&from.0[..N / 2]),
            2 => to = from,
            _ => {}
        }
        [from, to]
    }

    /// A packet, and one in the other direction.
    fn both_ways(&mut self, protocol: u8, is_ipv4: bool) -> [Vec<u8>; 2] {
        let endpoint: [u8; 8] = self.bytes();
        let options = usize::from(self.byte() % 11);
        let cookie: [u8; 4] = self.bytes();
        let envelope = [
            &[8, 0][..],
            if is_ipv4 { &[0x08, 0x00] } else { &[0x86, 0xdd] },
            &[0, 0, 0, 0, 1, 8, 1, 2],
            &endpoint,
            &[1, 8, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 3, 1],
            &cookie,
        ]
        .concat();
        // The rest of a header of TCP, or of UDP and a payload.
        let rest = match protocol {
            6 => [0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0, 9, 0, 0, 0, 0],
            _ => [0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        let mut packets = if is_ipv4 {
            let len = 40 + 4 * options as u8;
            let head = [0x45 + options as u8, 0, 0, len, 0, 0, 0x40, 0, 64, protocol, 0, 0];
            let [a, b] = self.ends::<4>();
            // No operations.
            let options = vec![1; 4 * options];
            [(a, b), (b, a)].map(|(from, to)| {
                [&head[..], &from.0, &to.0, &options, &from.1, &to.1, &rest].concat()
            })
        } else {
            let head = [0x60, 0, 0, 0, 0, 20, protocol, 64];
            let [a, b] = self.ends::<16>();
            [(a, b), (b, a)]
                .map(|(from, to)| [&head[..], &from.0, &to.0, &from.1, &to.1, &rest].concat())
        };
        packets.iter_mut().for_each(|packet| drop(packet.splice(..0, envelope.iter().copied())));
        packets
    }
}

/// Packets of which the program in the kernel knows the owner.
fn usual() -> Vec<Vec<u8>> {
    let mut traffic = Traffic(noise(40_000).into_iter());
    let protocols = [(6, true), (17, true), (6, false), (17, false)].into_iter().cycle();
    let pairs =
        protocols.take(400).flat_map(|(protocol, is_ipv4)| traffic.both_ways(protocol, is_ipv4));
    pairs.collect()
}

/// Those of which it says nothing: others' options, a fragment, VXLAN, ICMP, cut off everywhere.
fn unusual(usual: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let ipv4 = [&usual[0], &usual[2]];
    let ipv6 = [&usual[4], &usual[6]];
    let mut unusual = vec![ipv4[0].clone(); 8];
    unusual[0][8] ^= 1;
    unusual[1][21] ^= 1;
    unusual[2][35] ^= 1;
    unusual[3][46] |= 0x20;
    unusual[4][47] = 1;
    unusual[5][49] = 1;
    unusual[6][40] = 0x44;
    unusual[7][2] = 0x65;
    let header =
        |packet: &[u8]| if packet[2] == 8 { usize::from(packet[40] & 0xf) * 4 } else { 40 };
    for [tcp, udp] in [ipv4, ipv6] {
        let ports = 40 + header(tcp);
        unusual.extend((0..ports + 4).map(|len| tcp[..len].to_vec()));
        let to = 40 + header(udp) + 2;
        unusual.push([&udp[..to], &4789_u16.to_be_bytes(), &udp[to + 2..]].concat());
    }
    unusual
}

#[test]
fn a_peek_finds_the_owner() {
    let usual = usual();
    for workers in [1, 2, 3, 7, 1_000] {
        let owners = Owners::new(workers);
        for payload in &usual {
            let envelope = Envelope::parse(payload, &Profile::AWS).unwrap();
            let tuple = IpPacket::parse(envelope.inner()).unwrap().five_tuple().unwrap();
            let expected = owner(envelope.endpoint(), &tuple, workers);
            assert_eq!(owners.peek(payload), Some(expected), "{tuple}");
        }
        assert_eq!(unusual(&usual).iter().find(|payload| owners.peek(payload).is_some()), None);
    }
}

#[test]
fn the_kernel_gives_each_worker_its_own() {
    if !may_run() {
        return;
    }
    let usual = usual();
    let unusual = unusual(&usual);
    for workers in [1, 2, 3, 7] {
        let scene = Scene::new(1_500);
        let open = move || UdpTransport::open_group(&UdpSettings::default(), workers);
        let mut group = scene.appliance.run(open).unwrap();
        let senders: Vec<_> =
            scene.gateway.run(|| (0..23).map(|_| UdpSocket::bind((GATEWAY, 0)).unwrap()).collect());
        let owners = Owners::new(workers);
        let all: Vec<_> = usual.iter().chain(&unusual).collect();
        let mut arrived = 0;
        let mut used = HashSet::new();
        for (round, some) in all.chunks(50).enumerate() {
            for (number, payload) in some.iter().enumerate() {
                let sender = &senders[(round * 50 + number) % senders.len()];
                sender.send_to(payload, (APPLIANCE, 6081)).unwrap();
            }
            let began = Instant::now();
            let expected = arrived + some.len();
            while arrived < expected {
                assert!(began.elapsed() < Duration::from_secs(5), "{arrived} of {expected}");
                for (number, worker) in group.iter_mut().enumerate() {
                    let received = worker.receive(Duration::ZERO).unwrap();
                    for frame in worker.frames(0..received) {
                        let payload = &frame.buffer[..frame.len];
                        if let Some(owner) = owners.peek(payload) {
                            assert_eq!(owner, number, "{payload:x?}");
                            used.insert(owner);
                        }
                    }
                    arrived += received;
                }
            }
        }
        assert_eq!(used.len(), workers);
    }
}

#[test]
fn a_sleeping_worker_is_woken() {
    if !may_run() {
        return;
    }
    let host = Host::new();
    let mut group = host.run(|| UdpTransport::open_group(&UdpSettings::default(), 2)).unwrap();
    let began = Instant::now();
    for _ in 0..20 {
        for worker in &mut group {
            let waker = worker.waker();
            let waking = std::thread::spawn(move || waker.wake());
            assert_eq!(worker.receive(Duration::from_secs(10)).unwrap(), 0);
            waking.join().unwrap();
        }
    }
    // Unwoken, each would have slept a tenth of a second.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Once is enough only once.
    let began = Instant::now();
    assert_eq!(group[0].receive(Duration::from_millis(30)).unwrap(), 0);
    assert!(began.elapsed() >= Duration::from_millis(30));
}

/// Another program's socket, which would share its port with anyone.
fn squatter() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None).unwrap();
    setsockopt(&socket, sockopt::ReusePort, &true).unwrap();
    let at = SockaddrIn::new(127, 0, 0, 1, 6081);
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &at).unwrap();
    socket
}

#[test]
fn a_port_in_use_is_an_error() {
    if !may_run() {
        return;
    }
    let is_in_use = |opened: Result<(), OpenError>| {
        assert!(matches!(opened, Err(OpenError::InUse { at }) if at.port() == 6081), "{opened:?}");
    };
    Host::new().run(move || {
        let settings = UdpSettings::default();
        let other = squatter();
        is_in_use(UdpTransport::open(&settings).map(drop));
        is_in_use(UdpTransport::open_group(&settings, 3).map(drop));
        assert!(
            check(&settings).iter().any(|w| matches!(w, Warning::PortInUse { port: 6081, .. }))
        );
        drop(other);
        // Programs that other tests start have the socket, too, until they begin.
        let group = until(|| match UdpTransport::open_group(&settings, 3) {
            Err(OpenError::InUse { .. }) => ControlFlow::Continue(()),
            opened => ControlFlow::Break(opened.unwrap()),
        });
        is_in_use(UdpTransport::open(&settings).map(drop));
        is_in_use(UdpTransport::open_group(&settings, 2).map(drop));
        drop(group);
        until(|| match check(&settings).as_slice() {
            [Warning::PortInUse { .. }] => ControlFlow::Continue(()),
            [] => ControlFlow::Break(()),
            warnings => panic!("{warnings:?}"),
        });
        let elsewhere = UdpSettings { address: [10, 77, 0, 1].into(), ..settings.clone() };
        let error = UdpTransport::open(&elsewhere).unwrap_err();
        assert!(matches!(error, OpenError::NoSuchAddress { .. }), "{error}");
        let error = UdpTransport::open_group(&settings, 0).unwrap_err();
        assert!(matches!(error, OpenError::Workers { found: 0, .. }), "{error}");
    });
}
