//! A load balancer of a few lines: it wraps packets, sends them to the appliance and takes what comes back.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{Builder, TunnelOption};
use gwlb_geneve::gwlb::{Profile, ProfileOption};
use gwlb_geneve::packet::{Checksum, IpProtocol};

/// Where the appliance is told to listen.
pub(crate) const APPLIANCE: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 1), 6081);
/// In the network of load balancers.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub(crate) const ORIGINS: &str = "127.0.0.0/24";
/// Not in it.
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);

pub(crate) struct Gateway {
    sender: UdpSocket,
    /// Ports are not swapped in a reply, so it comes to the port of GENEVE.
    receiver: UdpSocket,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let receiver = UdpSocket::bind((GATEWAY, APPLIANCE.1)).unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        Self { sender: UdpSocket::bind((GATEWAY, 40_000)).unwrap(), receiver }
    }

    pub(crate) fn send(&self, payload: &[u8]) {
        assert_eq!(self.sender.send_to(payload, APPLIANCE).unwrap(), payload.len());
    }

    /// What comes back, `None` if nothing does for half a second.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        match self.receiver.recv_from(&mut buffer) {
            Ok((length, from)) => {
                // Whose port is that of the sender.
                assert_eq!(from, (APPLIANCE.0, 40_000).into());
                buffer.truncate(length);
                Some(buffer)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends it, and says whether it came back as it was.
    pub(crate) fn passes(&self, payload: &[u8]) -> bool {
        self.send(payload);
        match self.receive() {
            Some(back) => {
                assert_eq!(back, payload, "changed on the way");
                true
            }
            None => false,
        }
    }
}

/// A datagram of a flow through a load balancer: UDP from `port` to `to`.
pub(crate) fn datagram(port: u16, to: u16) -> Vec<u8> {
    let [[a, b], [c, d]] = [port, to].map(u16::to_be_bytes);
    let datagram = [&[a, b, c, d, 0, 16, 0, 0], &b"question"[..]].concat();
    wrapped((CLIENT, SERVER), 17, &datagram)
}

/// The datagrams of a connection through a load balancer from `port` to port 80: its handshake, and a request in one segment.
pub(crate) fn request(port: u16, request: &str) -> [Vec<u8>; 4] {
    const SYN: u8 = 2;
    const ACK: u8 = 16;

    let segment = |is_back: bool, flags: u8, sequence: u32, acknowledged: u32, data: &str| {
        let (addresses, ports) = match is_back {
            true => ((SERVER, CLIENT), [80, port]),
            false => ((CLIENT, SERVER), [port, 80]),
        };
        let mut segment = ports.map(u16::to_be_bytes).concat();
        segment.extend([sequence, acknowledged].map(u32::to_be_bytes).concat());
        segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(data.as_bytes());
        let mut sum = Checksum::new();
        let length = segment.len().try_into().unwrap();
        sum.add_pseudo_header_v4(addresses.0, addresses.1, IpProtocol::TCP, length);
        sum.add(&segment);
        segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
        wrapped(addresses, 6, &segment)
    };
    [
        segment(false, SYN, 1_000, 0, ""),
        segment(true, SYN | ACK, 5_000, 1_001, ""),
        segment(false, ACK, 1_001, 5_001, ""),
        segment(false, ACK, 1_001, 5_001, request),
    ]
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 2);

/// As a load balancer's node sends a packet from one of these addresses to the other.
fn wrapped((from, to): (Ipv4Addr, Ipv4Addr), protocol: u8, payload: &[u8]) -> Vec<u8> {
    let profile = Profile::AWS;
    let option = |option, data| {
        TunnelOption::new(profile.class(), profile.option_type(option), data).unwrap()
    };
    let endpoint = 0x0a1b_2c3d_4e5f_6071_u64.to_be_bytes();
    let options = [
        option(ProfileOption::Endpoint, &endpoint),
        option(ProfileOption::Attachment, &[0; 8]),
        option(ProfileOption::Cookie, &[1, 2, 3, 4]),
    ];
    let mut header = [0; 64];
    let length = Builder::new(EtherType::IPV4).options(options).build_into(&mut header).unwrap();

    let [a, b] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut inner = vec![0x45, 0, a, b, 0, 0, 0, 0, 64, protocol, 0, 0];
    inner.extend([from, to].map(|address| address.octets()).concat());
    let checksum = Checksum::of(&inner).to_be_bytes();
    inner[10..12].copy_from_slice(&checksum);
    [&header[..length], &inner, payload].concat()
}
