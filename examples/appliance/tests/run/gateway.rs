//! A load balancer of a few lines: it wraps packets, sends them to the appliance and takes what comes back.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{Builder, TunnelOption};
use gwlb_geneve::gwlb::{Profile, ProfileOption};
use gwlb_geneve::packet::Checksum;

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

    let mut inner = vec![0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 2];
    let checksum = Checksum::of(&inner).to_be_bytes();
    inner[10..12].copy_from_slice(&checksum);
    inner.extend(port.to_be_bytes());
    inner.extend(to.to_be_bytes());
    inner.extend([0, 16, 0, 0]);
    inner.extend(*b"question");
    [&header[..length], &inner].concat()
}
