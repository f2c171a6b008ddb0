use core::net::{Ipv4Addr, Ipv6Addr};

use super::owner;
use crate::gwlb::EndpointId;
use crate::packet::{Addresses, FiveTuple, IpProtocol, Ports, cut};

/// Which worker a datagram belongs to, by as few looks at it as a program in the kernel can take.
///
/// It answers for what load balancers send nearly always: the 40 bytes of AWS's GENEVE header and options in their usual
/// order, and straight behind them TCP or UDP over IPv4, not fragmented, or over IPv6 without extension headers. VXLAN
/// is left out, since what is inside of it may be a flow of its own. All else takes the way over
/// [`PacketFlow`](super::PacketFlow), and so does everything where groups make endpoints one, or
/// where another profile than AWS's holds: the datagrams are then spread by the kernel as it likes, and many cross over to
/// their worker.
///
/// ```
/// use gwlb_geneve::flow::{Owners, owner};
/// # use gwlb_geneve::gwlb::{Envelope, Profile};
/// # use gwlb_geneve::packet::IpPacket;
/// # fn received(payload: &[u8]) -> Result<(), Box<dyn core::error::Error>> {
/// let owners = Owners::new(4);
/// if let Some(worker) = owners.peek(payload) {
///     let envelope = Envelope::parse(payload, &Profile::AWS)?;
///     let tuple = IpPacket::parse(envelope.inner())?.five_tuple()?;
///     assert_eq!(worker, owner(envelope.endpoint(), &tuple, 4));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    workers: usize,
}

impl Owners {
    /// Bytes of the GENEVE header and the three options.
    pub(crate) const ENVELOPE: usize = 40;
    /// The first word of the GENEVE header around IPv4, and around IPv6.
    pub(crate) const GENEVE: [u32; 2] = [0x0800_0800, 0x0800_86dd];
    /// Where the options begin, and how: class, type, length.
    pub(crate) const OPTIONS: [(u32, u32); 3] =
        [(8, 0x0108_0102), (20, 0x0108_0202), (32, 0x0108_0301)];
    pub(crate) const VXLAN: u16 = 4789;

    /// Among this many workers.
    pub const fn new(workers: usize) -> Self {
        Self { workers }
    }

    /// The worker, counted from 0, of the flow inside this UDP payload; `None` where it takes more to say.
    #[inline]
    pub fn peek(&self, payload: &[u8]) -> Option<usize> {
        let (envelope, inner) = payload.split_first_chunk::<{ Self::ENVELOPE }>()?;
        let usual = u32::from_be_bytes(cut::<8, 4>(envelope)?) == Self::OPTIONS[0].1
            && u32::from_be_bytes(cut::<20, 4>(envelope)?) == Self::OPTIONS[1].1
            && u32::from_be_bytes(cut::<32, 4>(envelope)?) == Self::OPTIONS[2].1;
        let tuple = match u32::from_be_bytes(cut::<0, 4>(envelope)?) {
            word if usual && word == Self::GENEVE[0] => peek_ipv4(inner),
            word if usual && word == Self::GENEVE[1] => peek_ipv6(inner),
            _ => None,
        }?;
        let ports = tuple.ports?;
        let is_known = match tuple.protocol {
            IpProtocol::TCP => true,
            IpProtocol::UDP => ports.destination != Self::VXLAN,
            _ => false,
        };
        let endpoint = EndpointId(u64::from_be_bytes(cut::<12, 8>(envelope)?));
        is_known.then(|| owner(endpoint, &tuple, self.workers))
    }
}

#[inline]
fn peek_ipv4(inner: &[u8]) -> Option<FiveTuple> {
    let header = inner.first_chunk::<20>()?;
    let header_len = usize::from(header[0] & 0xf).saturating_mul(4);
    let fragment = u16::from_be_bytes(cut::<6, 2>(header)?) & 0x3fff;
    if header[0] >> 4 != 4 || header_len < 20 || fragment != 0 {
        return None;
    }
    let [source, destination] = [cut::<12, 4>(header)?, cut::<16, 4>(header)?].map(Ipv4Addr::from);
    Some(FiveTuple {
        addresses: Addresses::V4 { source, destination },
        protocol: IpProtocol(header[9]),
        ports: Some(ports(inner.get(header_len..)?)?),
    })
}

#[inline]
fn peek_ipv6(inner: &[u8]) -> Option<FiveTuple> {
    let (header, rest) = inner.split_first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let [source, destination] = [cut::<8, 16>(header)?, cut::<24, 16>(header)?].map(Ipv6Addr::from);
    Some(FiveTuple {
        addresses: Addresses::V6 { source, destination },
        protocol: IpProtocol(header[6]),
        ports: Some(ports(rest)?),
    })
}

#[inline]
fn ports(transport: &[u8]) -> Option<Ports> {
    let [a, b, c, d] = *transport.first_chunk()?;
    Some(Ports { source: u16::from_be_bytes([a, b]), destination: u16::from_be_bytes([c, d]) })
}
