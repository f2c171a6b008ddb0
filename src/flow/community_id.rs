use core::fmt;

use sha1::{Digest, Sha1};

use crate::packet::{Addresses, FiveTuple, IpPacket, IpProtocol, ParseError, Ports, Transport};

/// Community ID v1: the name of a flow that other monitors give it too, the same for both directions
/// (<https://github.com/corelight/community-id-spec>).
///
/// It knows nothing of endpoints: flows of two tenants with the same addresses have the same one.
///
/// ```
/// use gwlb_geneve::flow::CommunityId;
/// use gwlb_geneve::packet::{Addresses, FiveTuple, IpProtocol, Ports};
///
/// let flow = FiveTuple {
///     addresses: Addresses::V4 { source: [128, 232, 110, 120].into(), destination: [66, 35, 250, 204].into() },
///     protocol: IpProtocol::TCP,
///     ports: Some(Ports { source: 34_855, destination: 80 }),
/// };
/// assert_eq!(CommunityId::new(0, &flow).as_str(), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommunityId([u8; 30]);

impl CommunityId {
    /// The ID of a flow that is not ICMP. Monitors that are to agree need the same `seed`, as a rule 0.
    ///
    /// Ports count for TCP, UDP and SCTP only, as the specification has it.
    pub fn new(seed: u16, tuple: &FiveTuple) -> Self {
        let by_ports =
            matches!(tuple.protocol, IpProtocol::TCP | IpProtocol::UDP | IpProtocol::SCTP);
        Self::hashed(seed, tuple, tuple.ports.filter(|_| by_ports), false)
    }

    /// The ID of an ICMP message, of which type and code stand for the ports.
    ///
    /// Requests and their replies have the same ID; messages that are no such pair have one that depends on their
    /// direction.
    pub fn icmp(seed: u16, addresses: Addresses, message_type: u8, code: u8) -> Self {
        let (protocol, reply) = match addresses {
            Addresses::V4 { .. } => (IpProtocol::ICMP, icmp_counterpart(message_type)),
            Addresses::V6 { .. } => (IpProtocol::ICMPV6, icmpv6_counterpart(message_type)),
        };
        let ports = Ports {
            source: u16::from(message_type),
            destination: u16::from(reply.unwrap_or(code)),
        };
        let tuple = FiveTuple { addresses, protocol, ports: None };
        Self::hashed(seed, &tuple, Some(ports), reply.is_none())
    }

    /// The ID of a packet. A fragment after the first has none of its flow's ports: its ID is that of the addresses.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::transport`].
    pub fn of(seed: u16, packet: &IpPacket<'_>) -> Result<Self, ParseError> {
        let transport = packet.transport()?;
        Ok(match transport {
            Transport::Icmp(message) | Transport::Icmpv6(message) => {
                Self::icmp(seed, packet.addresses(), message.message_type(), message.code())
            }
            _ => Self::new(
                seed,
                &FiveTuple {
                    addresses: packet.addresses(),
                    protocol: packet.protocol(),
                    ports: transport.ports(),
                },
            ),
        })
    }

    /// The text: `1:` and 28 characters of base64.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text as bytes of ASCII.
    #[cfg(feature = "eve")]
    pub(crate) const fn as_bytes(&self) -> &[u8; 30] {
        &self.0
    }

    fn hashed(seed: u16, tuple: &FiveTuple, ports: Option<Ports>, one_way: bool) -> Self {
        let mut tuple = FiveTuple { ports, ..*tuple };
        let ports = ports.unwrap_or(Ports { source: 0, destination: 0 });
        let ends = (tuple.source(), ports.source, tuple.destination(), ports.destination);
        if !one_way && (ends.0, ends.1) > (ends.2, ends.3) {
            tuple = tuple.reversed();
        }
        let mut sha = Sha1::new();
        sha.update(seed.to_be_bytes());
        match tuple.addresses {
            Addresses::V4 { source, destination } => {
                sha.update(source.octets());
                sha.update(destination.octets());
            }
            Addresses::V6 { source, destination } => {
                sha.update(source.octets());
                sha.update(destination.octets());
            }
        }
        sha.update([tuple.protocol.0, 0]);
        if let Some(ports) = tuple.ports {
            sha.update(ports.source.to_be_bytes());
            sha.update(ports.destination.to_be_bytes());
        }
        Self(text(&sha.finalize().into()))
    }
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommunityId({self})")
    }
}

/// The message type that answers this one, in either direction.
const fn icmp_counterpart(message_type: u8) -> Option<u8> {
    Some(match message_type {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// The same in IPv6.
const fn icmpv6_counterpart(message_type: u8) -> Option<u8> {
    Some(match message_type {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}

/// `1:` and the base64 of 20 bytes (RFC 4648 §4).
fn text(hash: &[u8; 20]) -> [u8; 30] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'='; 30];
    let (version, base64) = text.split_at_mut(2);
    version.copy_from_slice(b"1:");
    for (bytes, characters) in hash.chunks(3).zip(base64.chunks_mut(4)) {
        let group = bytes.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let bits = u32::try_from(bytes.len()).map_or(0, |len| len.wrapping_mul(8));
        let group = group.wrapping_shl(24_u32.wrapping_sub(bits));
        for (character, shift) in characters.iter_mut().zip([18_u32, 12, 6, 0]) {
            let sextet = usize::from(group.wrapping_shr(shift).to_le_bytes()[0] & 0x3f);
            if shift.wrapping_add(bits) > 18 {
                *character = ALPHABET.get(sextet).copied().unwrap_or(b'=');
            }
        }
    }
    text
}
