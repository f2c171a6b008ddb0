use core::net::IpAddr;

use super::{Tunnel, TunnelKind, Tunneled};
use crate::packet::craft::{IpHeader, header_len, pseudo_header};
use crate::packet::{Checksum, CraftError, IpPacket, IpProtocol, Ipv6Packet};

/// Whom a packet that is made here is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Toward {
    /// Who would have received the packet that it answers.
    Receiver,
    /// Who sent that packet.
    Sender,
}

/// What is said within a flow has to go through the tunnels that the flow goes through.
impl Tunneled<'_> {
    /// Writes the whole packet that carries `inner`, such as a crafted answer for the flow of the innermost packet,
    /// through the same tunnels into the front of `buffer`, and returns its [length](Self::wrapped_len).
    ///
    /// [`Toward::Receiver`] keeps all headers of the tunnels as they came but for lengths and checksums.
    /// [`Toward::Sender`] goes back between the same ends: IP headers are new ones, without options or extension
    /// headers, of hop limit 64 and over IPv4 with DF; GRE key and VNI stay; Ethernet addresses are swapped, VLAN
    /// tags stay; UDP ports stay, as the source port of VXLAN is no address (RFC 7348 §5). A UDP checksum is zero
    /// where it was zero. Without tunnels it is a copy.
    ///
    /// ```
    /// use gwlb_geneve::packet::{IpPacket, Reset, Toward, Tunneled};
    ///
    /// # #[rustfmt::skip]
    /// let bytes = [
    ///     0x45, 0, 0, 60, 0, 0, 0, 0, 64, 4, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
    ///     0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, // IPv4
    ///     0x30, 0x39, 0, 23, 0, 0, 0, 41, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0, // TCP
    /// ];
    /// let syn = Tunneled::look_through(&IpPacket::parse(&bytes)?)?;
    /// let reset = Reset::to_sender(syn.innermost()).expect("a SYN is answered");
    /// let (mut inner, mut whole) = ([0; 60], [0; 100]);
    /// let length = reset.write_to(&mut inner)?;
    /// let length = syn.wrap(Toward::Sender, &inner[..length], &mut whole)?;
    /// let answer = IpPacket::parse(&whole[..length])?;
    /// assert_eq!(answer.five_tuple()?.to_string(), "IPv4 10.0.0.2 -> 10.0.0.1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Version`](CraftError::Version) where `inner` is of another version than the innermost packet,
    /// [`Sequenced`](CraftError::Sequenced), [`Authenticated`](CraftError::Authenticated),
    /// [`NoSingleEnd`](CraftError::NoSingleEnd), [`TooLong`](CraftError::TooLong), [`NoRoom`](CraftError::NoRoom).
    pub fn wrap(
        &self,
        toward: Toward,
        inner: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, CraftError> {
        if self.depth() != 0 {
            let expected = version_of(&self.innermost);
            let found = inner.first().map_or(0, |byte| byte >> 4);
            if found != expected {
                return Err(CraftError::Version { expected, found });
            }
        }
        let mut length = inner.len();
        for tunnel in self.tunnels().rev() {
            tunnel.check(toward)?;
            length = length.saturating_add(tunnel.wrapping_len(toward));
            check_length(tunnel.carrier(), length)?;
        }
        let found = buffer.len();
        let no_room = CraftError::NoRoom { expected: length, found };
        let buffer = buffer.get_mut(..length).ok_or(no_room)?;

        let mut start = length.saturating_sub(inner.len());
        put(buffer.get_mut(start..), inner);
        for tunnel in self.tunnels().rev() {
            start = start.saturating_sub(tunnel.wrapping_len(toward));
            tunnel.write(toward, buffer.get_mut(start..).unwrap_or_default());
        }
        Ok(length)
    }

    /// The length of the packet that [`wrap`](Self::wrap) makes of `inner_len` bytes.
    pub fn wrapped_len(&self, toward: Toward, inner_len: usize) -> usize {
        let lengths = self.tunnels().map(|tunnel| tunnel.wrapping_len(toward));
        lengths.fold(inner_len, usize::saturating_add)
    }
}

impl Tunnel<'_> {
    /// Whether the other end of the tunnel would take a packet from us, and who that is.
    fn check(&self, toward: Toward) -> Result<(), CraftError> {
        if matches!(self.kind, TunnelKind::Gre { sequence_number: Some(_), .. }) {
            return Err(CraftError::Sequenced);
        }
        if let IpPacket::V6(carrier) = self.carrier {
            if carrier.extension_headers().any(|header| header.kind() == IpProtocol::AH) {
                return Err(CraftError::Authenticated);
            }
        }
        let ends = [self.carrier.source(), self.carrier.destination()];
        if self.carrier.is_source_routed()
            || (toward == Toward::Sender && !ends.into_iter().all(is_one_host))
        {
            return Err(CraftError::NoSingleEnd);
        }
        Ok(())
    }

    /// What stands before the packet inside, in bytes.
    fn wrapping_len(&self, toward: Toward) -> usize {
        self.ip_len(toward).saturating_add(self.packet_at)
    }

    fn ip_len(&self, toward: Toward) -> usize {
        match toward {
            Toward::Receiver => self.carrier.header_len(),
            Toward::Sender => header_len(self.carrier.addresses()),
        }
    }

    /// Writes the headers before the packet inside, which stands already at the end of `packet`.
    fn write(&self, toward: Toward, packet: &mut [u8]) {
        let Some((ip, upper)) = packet.split_at_mut_checked(self.ip_len(toward)) else { return };
        put(Some(&mut *upper), self.header());
        if toward == Toward::Sender {
            if let Some([a, b]) = upper.get_mut(self.frame_at..self.packet_at).and_then(addresses) {
                core::mem::swap(a, b);
            }
        }
        let length = u16::try_from(upper.len()).unwrap_or(u16::MAX);
        match self.kind {
            TunnelKind::Gre { checksum: Some(_), .. } => {
                put(upper.get_mut(4..), &[0, 0]);
                let checksum = Checksum::of(upper);
                put(upper.get_mut(4..), &checksum.to_be_bytes());
            }
            TunnelKind::Vxlan { checksum, .. } => {
                put(upper.get_mut(4..), &length.to_be_bytes());
                if checksum != 0 {
                    put(upper.get_mut(6..), &[0, 0]);
                    // It makes no difference to the sum which address is the source.
                    let addresses = self.carrier.addresses();
                    let mut sum = pseudo_header(addresses, IpProtocol::UDP, length);
                    sum.add(upper);
                    let checksum = match sum.finish() {
                        0 => u16::MAX,
                        checksum => checksum,
                    };
                    put(upper.get_mut(6..), &checksum.to_be_bytes());
                }
            }
            TunnelKind::Gre { .. } | TunnelKind::IpInIp => {}
        }
        match toward {
            Toward::Sender => {
                let addresses = self.carrier.addresses().reversed();
                put(Some(ip), IpHeader::new(addresses, self.carrier.protocol(), length).bytes());
            }
            Toward::Receiver => forward_header(&self.carrier, ip, length),
        }
    }
}

/// Writes a packet's header as it came, for another length of the upper layer.
fn forward_header(packet: &IpPacket<'_>, place: &mut [u8], upper_len: u16) {
    // IPv6 does not count its fixed header.
    let (header, length_at, uncounted) = match packet {
        IpPacket::V4(packet) => (packet.header(), 2, 0),
        IpPacket::V6(packet) => (packet.header(), 4, Ipv6Packet::HEADER_LEN),
    };
    let counted = header.len().saturating_sub(uncounted);
    let length = upper_len.saturating_add(u16::try_from(counted).unwrap_or(u16::MAX));
    put(Some(&mut *place), header);
    put(place.get_mut(length_at..), &length.to_be_bytes());
    if let IpPacket::V4(_) = packet {
        put(place.get_mut(10..), &[0, 0]);
        let checksum = Checksum::of(place);
        put(place.get_mut(10..), &checksum.to_be_bytes());
    }
}

/// Whether a length field can tell so many bytes, IP header included.
fn check_length(carrier: &IpPacket<'_>, length: usize) -> Result<(), CraftError> {
    let uncounted = match carrier {
        IpPacket::V4(_) => 0,
        IpPacket::V6(_) => Ipv6Packet::HEADER_LEN,
    };
    let maximum = usize::from(u16::MAX).saturating_add(uncounted);
    if length > maximum {
        return Err(CraftError::TooLong { maximum, found: length });
    }
    Ok(())
}

/// The two addresses at the start of an Ethernet header.
fn addresses(header: &mut [u8]) -> Option<[&mut [u8; 6]; 2]> {
    let (destination, rest) = header.split_first_chunk_mut()?;
    Some([destination, rest.first_chunk_mut()?])
}

const fn version_of(packet: &IpPacket<'_>) -> u8 {
    match packet {
        IpPacket::V4(_) => 4,
        IpPacket::V6(_) => 6,
    }
}

fn is_one_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || is_broadcast)
}

/// Copies bytes to the front of a place that has room for them.
fn put(place: Option<&mut [u8]>, bytes: &[u8]) {
    if let Some(place) = place.and_then(|place| place.get_mut(..bytes.len())) {
        place.copy_from_slice(bytes);
    }
}
