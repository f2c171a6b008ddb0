//! Synthetic traffic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gwlb_geneve::flow::source_port;
use gwlb_geneve::packet::{FiveTuple, TcpFlags};

use crate::args::{IpVersion, Profile};
use crate::inner::{Ends, stamp_offset, tcp, udp};
use crate::script::{FlowSeed, Part};

/// The endpoint that synthetic traffic comes through, `vpce-005eed0f9a7e31d42` without its first zero.
pub(crate) const ENDPOINT: u64 = 0x05ee_d0f9_a7e3_1d42;

/// The parts of a profile. `number` keeps the addresses of several apart.
pub(crate) fn parts(profile: Profile, ip: IpVersion, number: u8) -> Vec<Part> {
    let small = &[64][..];
    let part = match profile {
        Profile::Small => datagrams(256, small, 1, ip, number),
        Profile::Imix => {
            datagrams(256, &[64, 576, 64, 64, 576, 64, 1500, 64, 576, 64, 576, 64], 1, ip, number)
        }
        Profile::Mtu => datagrams(256, &[1500], 1, ip, number),
        Profile::Bulk => datagrams(64, &[1500], 16, ip, number),
        Profile::Jumbo => datagrams(64, &[8500], 1, ip, number),
        Profile::Flows1k => datagrams(1_000, small, 1, ip, number),
        Profile::Flows100k => datagrams(100_000, small, 1, ip, number),
        Profile::Flows1m => datagrams(1_000_000, small, 1, ip, number),
        // Both ways: an answered flow.
        Profile::Elephant => datagrams(1, &[1500, 1500], 16, ip, number),
        Profile::UdpFlood => flood(|ends| udp(ends, 64), ip, number),
        Profile::SynFlood => flood(|ends| tcp(ends, 1, 0, TcpFlags::SYN, b""), ip, number),
        Profile::Tcp => conversations(ip, number),
        Profile::Mixed => {
            let all = [Profile::Imix, Profile::Tcp, Profile::Flows1k, Profile::Jumbo];
            let numbered = all.into_iter().zip(number..);
            return numbered.flat_map(|(profile, number)| parts(profile, ip, number)).collect();
        }
    };
    vec![part]
}

/// The ends of flow `flow`.
fn ends(flow: u32, ip: IpVersion, number: u8) -> Ends {
    let is_ipv4 = match ip {
        IpVersion::V4 => true,
        IpVersion::V6 => false,
        IpVersion::Both => flow % 2 == 0,
    };
    let (client, server): (IpAddr, IpAddr) = if is_ipv4 {
        // A million clients for each of 16 numbers.
        let client = u32::from(Ipv4Addr::new(10, 0, 0, 0)) | u32::from(number % 16) << 20 | flow;
        (Ipv4Addr::from(client).into(), Ipv4Addr::new(172, 16, number, 80).into())
    } else {
        let [high, low] = [(flow >> 16) as u16, flow as u16];
        let net = u16::from(number);
        let client = Ipv6Addr::new(0xfd10, 0, 0, net, 0, 0, high, low);
        (client.into(), Ipv6Addr::new(0xfd20, 0, 0, net, 0, 0, 0, 80).into())
    };
    let client_port = 20_000 + (flow % 40_000) as u16;
    Ends { client, server, client_port, server_port: 7_000 }
}

fn seed(first: &[u8]) -> FlowSeed {
    let source_port = FiveTuple::parse(first).map_or(0, |tuple| source_port(&tuple));
    FlowSeed { endpoint: ENDPOINT, source_port }
}

/// `flows` flows of UDP with packets of these sizes, `train` of a flow after the other.
fn datagrams(flows: u32, sizes: &[usize], train: usize, ip: IpVersion, number: u8) -> Part {
    let mut part = Part::default();
    for round in 0..sizes.len() {
        for flow in 0..flows {
            let size = sizes[(round + flow as usize) % sizes.len()];
            let ends = ends(flow, ip, number);
            // Every other packet goes back, so that both directions are seen.
            let ends = if round % 2 == 1 { ends.reversed() } else { ends };
            let packet = udp(&ends, size);
            if round == 0 {
                part.flows.push(seed(&packet));
            }
            for _ in 0..train {
                part.push(&packet, flow, stamp_offset(&ends), [0, 0]);
            }
        }
    }
    part
}

/// Flows of one packet each, between any ports. Each round has new ones.
fn flood(packet: impl Fn(&Ends) -> Vec<u8>, ip: IpVersion, number: u8) -> Part {
    const FLOWS: u32 = 16_384;
    let mut part = Part::moving();
    for flow in 0..FLOWS {
        // 0 is no port.
        let ports = flow.wrapping_mul(0x9e37_79b1) | 1 << 16 | 1;
        let [client_port, server_port] = [(ports >> 16) as u16, ports as u16];
        let packet = packet(&Ends { client_port, server_port, ..ends(flow, ip, number) });
        part.flows.push(seed(&packet));
        part.push(&packet, flow, 0, [flow + 1, 0]);
    }
    part
}

/// How many conversations there are, and how many of them at a time.
const CONVERSATIONS: u32 = 1_024;
const AT_A_TIME: u32 = 64;

/// TCP conversations, a step of each in turn. Each round has new ones.
fn conversations(ip: IpVersion, number: u8) -> Part {
    let mut part = Part::moving();
    for begin in (0..CONVERSATIONS).step_by(AT_A_TIME as usize) {
        let flows = begin..begin + AT_A_TIME;
        let scripts: Vec<_> = flows.clone().map(|flow| conversation(flow, ip, number)).collect();
        let longest = scripts.iter().map(Vec::len).max().unwrap_or(0);
        part.flows.extend(scripts.iter().filter_map(|script| Some(seed(&script.first()?.1))));
        for step in 0..longest {
            for (flow, script) in flows.clone().zip(&scripts) {
                if let Some((to_server, packet)) = script.get(step) {
                    // The server is number 0.
                    let ends = if *to_server { [flow + 1, 0] } else { [0, flow + 1] };
                    part.push(packet, flow, 0, ends);
                }
            }
        }
    }
    part
}

/// A conversation's packets in their order, and whether each goes to the server.
fn conversation(flow: u32, ip: IpVersion, number: u8) -> Vec<(bool, Vec<u8>)> {
    let up = Ends { server_port: 80, ..ends(flow, ip, number) };
    let down = up.reversed();
    let request = format!("GET /{flow} HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
    let body: Vec<u8> = (0..(1 + flow % 6) * 1_000).map(|at| b'a' + (at % 26) as u8).collect();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = [head.as_bytes(), &body].concat();

    const ACK: TcpFlags = TcpFlags::ACK;
    let with = |flags: TcpFlags| TcpFlags(flags.0 | ACK.0);
    let mut client = flow.wrapping_mul(0x9e37_79b1);
    let mut server = !client;
    let mut script = vec![(true, tcp(&up, client, 0, TcpFlags::SYN, b""))];
    client = client.wrapping_add(1);
    script.push((false, tcp(&down, server, client, with(TcpFlags::SYN), b"")));
    server = server.wrapping_add(1);
    script.push((true, tcp(&up, client, server, ACK, b"")));
    script.push((true, tcp(&up, client, server, with(TcpFlags::PSH), request.as_bytes())));
    client = client.wrapping_add(request.len() as u32);
    for chunk in answer.chunks(1_400) {
        script.push((false, tcp(&down, server, client, with(TcpFlags::PSH), chunk)));
        server = server.wrapping_add(chunk.len() as u32);
        script.push((true, tcp(&up, client, server, ACK, b"")));
    }
    script.push((true, tcp(&up, client, server, with(TcpFlags::FIN), b"")));
    client = client.wrapping_add(1);
    script.push((false, tcp(&down, server, client, with(TcpFlags::FIN), b"")));
    server = server.wrapping_add(1);
    script.push((true, tcp(&up, client, server, ACK, b"")));
    script
}
