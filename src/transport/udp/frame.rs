use super::next_hop::{Ends, Hop};
use crate::gwlb::{OUTER_HEADER_LEN, Outer, Reply, ReplyPolicy, UdpChecksum};
use crate::packet::{Checksum, IpProtocol};

/// `struct virtio_net_hdr`, Ethernet, IPv4 and UDP headers.
pub(super) const HEAD: usize = VIRTIO + ETHERNET + OUTER_HEADER_LEN;
const VIRTIO: usize = 10;
const ETHERNET: usize = 14;

/// Makes the headers of frames that answer datagrams. Those of one load balancer differ by port and lengths only, so what
/// was made for the last one is kept.
#[derive(Debug, Default)]
pub(super) struct FrameHeads {
    last: Option<Pattern>,
}

/// The headers of an empty datagram.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    /// What it answers, but for the port.
    outer: Outer,
    hop: Hop,
    head: [u8; HEAD],
    /// Sums over the IPv4 header and over the pseudo header.
    ip_sum: u16,
    udp_sum: u16,
}

impl FrameHeads {
    /// The headers of the answer to what came with `outer`, with so many bytes of payload; `train` is what
    /// [`frame_head`] says. The policy must be the same each time. `None` where an IPv4 packet cannot be that long.
    #[inline]
    pub(super) fn answer(
        &mut self,
        hop: &Hop,
        outer: &Outer,
        bytes: usize,
        train: Option<u16>,
        policy: &ReplyPolicy,
    ) -> Option<[u8; HEAD]> {
        const IP: usize = VIRTIO + ETHERNET;
        const UDP: usize = IP + 20;
        let bytes = u16::try_from(bytes).ok()?;
        let udp_len = bytes.checked_add(8)?;
        let total_len = udp_len.checked_add(20)?;

        let without_port = Outer { source_port: 0, ..*outer };
        let fits = |last: &Pattern| last.outer == without_port && last.hop == *hop;
        if !self.last.as_ref().is_some_and(fits) {
            self.last = Some(Pattern::new(without_port, *hop, policy)?);
        }
        let Pattern { mut head, ip_sum, udp_sum, .. } = *self.last.as_ref()?;
        let [k0, s0, s1] = train_fields(train);
        (head[1], head[4], head[5]) = (k0, s0, s1);
        [head[IP + 2], head[IP + 3]] = total_len.to_be_bytes();
        [head[IP + 10], head[IP + 11]] = (!more(ip_sum, bytes)).to_be_bytes();
        [head[UDP], head[UDP + 1]] = outer.source_port.to_be_bytes();
        [head[UDP + 4], head[UDP + 5]] = udp_len.to_be_bytes();
        [head[UDP + 6], head[UDP + 7]] = more(udp_sum, bytes).to_be_bytes();
        Some(head)
    }
}

impl Pattern {
    fn new(outer: Outer, hop: Hop, policy: &ReplyPolicy) -> Option<Self> {
        // The card sees to it.
        let policy = ReplyPolicy { checksum: UdpChecksum::Zero, ..*policy };
        let headers = *Reply::new(&outer, &[], &[], &policy).ok()?.outer_headers();
        let head = frame_head(&hop, headers, (outer.destination, outer.source), None);
        let [.., s0, s1] = head;
        let [_, _, _, _, _, _, _, _, _, _, c0, c1, ..] = headers;
        let (ip_sum, udp_sum) = (!u16::from_be_bytes([c0, c1]), u16::from_be_bytes([s0, s1]));
        Some(Self { outer, hop, head, ip_sum, udp_sum })
    }
}

/// The headers of a frame, whose checksum is left to the card, from those of the packet that goes between these ends. With
/// `train`, its payload is to be cut apart into datagrams with so many bytes, but for the last, which may be shorter.
pub(super) fn frame_head(
    hop: &Hop,
    mut headers: [u8; OUTER_HEADER_LEN],
    (from, to): Ends,
    train: Option<u16>,
) -> [u8; HEAD] {
    const NEEDS_CSUM: u8 = 1;
    const IP_AT: u16 = 14;
    const UDP_AT: u16 = IP_AT + 20;
    const CHECKSUM_IN_UDP: u16 = 6;

    let [.., udp0, udp1, sum0, sum1] = &mut headers;
    let mut sum = Checksum::new();
    let udp_len = u16::from_be_bytes([*udp0, *udp1]);
    sum.add_pseudo_header_v4(from, to, IpProtocol::UDP, udp_len);
    // Who fills in the checksum starts from this sum, not from its complement.
    [*sum0, *sum1] = (!sum.finish()).to_be_bytes();

    // `struct virtio_net_hdr` in the machine's own byte order: flags, kind, bytes of headers, of each payload, where the
    // checksum begins to count, and where from there it goes.
    let [kind, s0, s1] = train_fields(train);
    let [h0, h1] = (UDP_AT + 8).to_ne_bytes();
    let [c0, c1] = UDP_AT.to_ne_bytes();
    let [o0, o1] = CHECKSUM_IN_UDP.to_ne_bytes();
    let virtio: [u8; VIRTIO] = [NEEDS_CSUM, kind, h0, h1, s0, s1, c0, c1, o0, o1];

    let mut head = [0; HEAD];
    let parts = [&virtio[..], &hop.to, &hop.from, &[0x08, 0x00], &headers];
    let mut rest = head.as_mut_slice();
    for part in parts {
        let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else { break };
        place.copy_from_slice(part);
        rest = behind;
    }
    head
}

/// What kind of train it is, and the size of its parts.
fn train_fields(train: Option<u16>) -> [u8; 3] {
    const GSO_UDP_L4: u8 = 5;
    let Some(size) = train else { return [0; 3] };
    let [s0, s1] = size.to_ne_bytes();
    [GSO_UDP_L4, s0, s1]
}

/// The sum of a header in which one field, or two, have grown by so much altogether (RFC 1624).
fn more(sum: u16, by: u16) -> u16 {
    let (sum, is_over) = sum.overflowing_add(by);
    sum.wrapping_add(is_over.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_changes_nothing() {
        let hop = |last| Hop {
            interface: 2,
            from: [2, 0, 0, 0, 0, 1],
            to: [2, 0, 0, 0, 0, last],
            mtu: 9_001,
            wants_probe: false,
        };
        let outer = |ip, port, tos| Outer {
            tos,
            udp_checksum: 0x1234,
            ..Outer::new(([10, 9, 0, ip].into(), port), ([10, 9, 1, 7].into(), 6081))
        };
        let policy = ReplyPolicy::default();
        let mut heads = FrameHeads::default();
        let hops = [(2, 1), (2, 1), (3, 2), (2, 2)];
        for (at, bytes) in (0..65_508_usize).step_by(41).chain([65_507]).enumerate() {
            let (last, ip) = hops[at / 3 % 4];
            let (hop, outer) = (hop(last), outer(ip, at as u16 ^ 0xa5a5, (at / 50 % 2) as u8));
            let train = (at % 2 == 1).then_some(at as u16 + 1);
            let zero = ReplyPolicy { checksum: UdpChecksum::Zero, ..policy };
            let payload = vec![0; bytes];
            let headers = *Reply::new(&outer, &payload, &[], &zero).unwrap().outer_headers();
            let expected = frame_head(&hop, headers, (outer.destination, outer.source), train);
            assert_eq!(heads.answer(&hop, &outer, bytes, train, &policy), Some(expected));
        }
        assert_eq!(heads.answer(&hop(2), &outer(3, 1, 0), 65_508, None, &policy), None);
    }
}
