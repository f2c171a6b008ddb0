use super::{Context, Packet};
use crate::packet::{EditError, IpPacket, PacketMut, TcpFlags, TcpOption, Transport};

/// Changes packets that every inspector has passed: the last to see a packet, so that nobody judges other bytes than
/// those that are sent.
///
/// In two steps: [`plan`](Self::plan) looks at the packet and says what is to be changed, and
/// [`rewrite`](Self::rewrite) changes it. Inspectors cannot edit: no packet that they see can be changed.
///
/// ```
/// use gwlb_geneve::inspect::{Context, Packet, Rewriter};
/// use gwlb_geneve::packet::{EditError, PacketMut};
///
/// /// Sends what is for port 80 to port 8080, and back.
/// struct OtherPort;
///
/// impl Rewriter for OtherPort {
///     type Plan = (bool, u16);
///
///     fn plan(&mut self, packet: &Packet<'_>, _cx: &mut Context<'_>) -> Option<(bool, u16)> {
///         let ports = packet.five_tuple().ports?;
///         match (ports.source, ports.destination) {
///             (_, 80) => Some((true, 8080)),
///             (8080, _) => Some((false, 80)),
///             _ => None,
///         }
///     }
///
///     fn rewrite(
///         &mut self,
///         (there, port): (bool, u16),
///         packet: &mut PacketMut<'_>,
///     ) -> Result<(), EditError> {
///         if there { packet.set_destination_port(port) } else { packet.set_source_port(port) }
///     }
/// }
/// ```
///
/// Packets in tunnels, fragments, and ICMP errors about a flow are not rewritten.
pub trait Rewriter: Send + 'static {
    /// What is to be done with a packet.
    type Plan: Send + 'static;

    /// Whether it is to be asked at all.
    const ACTIVE: bool = true;

    /// Says what is to be changed; `None` leaves the packet as it is.
    fn plan(&mut self, packet: &Packet<'_>, cx: &mut Context<'_>) -> Option<Self::Plan>;

    /// Changes the packet. Lengths and checksums are kept right by [`PacketMut`].
    ///
    /// # Errors
    ///
    /// Those of [`PacketMut`]'s functions. The packet is then put back as it was, and dropped.
    fn rewrite(&mut self, plan: Self::Plan, packet: &mut PacketMut<'_>) -> Result<(), EditError>;
}

/// Changes nothing.
impl Rewriter for () {
    type Plan = core::convert::Infallible;
    const ACTIVE: bool = false;

    #[inline]
    fn plan(&mut self, _packet: &Packet<'_>, _cx: &mut Context<'_>) -> Option<Self::Plan> {
        None
    }

    fn rewrite(&mut self, plan: Self::Plan, _packet: &mut PacketMut<'_>) -> Result<(), EditError> {
        match plan {}
    }
}

/// Lowers the maximum segment size that TCP announces, so that no packet is longer
/// than the 8,500 bytes that a gateway load balancer carries (wire.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MssClamp {
    /// The most bytes of TCP data in a segment over IPv4. By default 8,460.
    pub ipv4: u16,
    /// The same over IPv6. By default 8,440.
    pub ipv6: u16,
}

impl Default for MssClamp {
    fn default() -> Self {
        Self { ipv4: 8_460, ipv6: 8_440 }
    }
}

impl MssClamp {
    /// The most that a packet may announce, where it announces more.
    #[inline]
    pub(crate) fn limit(&self, ip: &IpPacket<'_>, transport: &Transport<'_>) -> Option<u16> {
        match transport {
            Transport::Tcp(segment) if segment.flags().intersects(TcpFlags::SYN) => {
                let most = match ip {
                    IpPacket::V4(_) => self.ipv4,
                    IpPacket::V6(_) => self.ipv6,
                };
                let above =
                    |option| matches!(option, Ok(TcpOption::MaximumSegmentSize(mss)) if mss > most);
                segment.options().any(above).then_some(most)
            }
            _ => None,
        }
    }
}

impl Rewriter for MssClamp {
    type Plan = u16;

    #[inline]
    fn plan(&mut self, packet: &Packet<'_>, _cx: &mut Context<'_>) -> Option<u16> {
        self.limit(packet.ip(), packet.transport())
    }

    fn rewrite(&mut self, most: u16, packet: &mut PacketMut<'_>) -> Result<(), EditError> {
        packet.clamp_mss(most);
        Ok(())
    }
}
