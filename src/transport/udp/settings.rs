use core::net::Ipv4Addr;
use core::time::Duration;

use super::Origins;
use crate::gwlb::ReplyPolicy;

/// How a [`UdpTransport`](super::UdpTransport) receives and sends.
///
/// The defaults are right for an appliance behind an AWS Gateway Load Balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpSettings {
    /// The address to listen at. By default all of the machine's; with one given, the kernel need not say with each
    /// datagram to which of them it was sent.
    pub address: Ipv4Addr,
    /// The UDP port: 6081, the one of GENEVE. 0 picks a free one.
    pub port: u16,
    /// Who may send.
    pub origins: Origins,
    /// Bytes that the kernel is asked to hold for each worker while it is busy: 16 MiB. More than
    /// `net.core.rmem_max` takes `CAP_NET_ADMIN`; what was granted is
    /// [`UdpTransport::receive_buffer`](super::UdpTransport::receive_buffer).
    pub receive_buffer: usize,
    /// Bytes that the kernel may hold for each worker to be sent: 16 MiB, as far as `net.core.wmem_max` allows.
    pub send_buffer: usize,
    /// Whether the kernel may hand over datagrams of one sender merged (`UDP_GRO`), which costs less wherever packets come in
    /// trains. Then there is no room behind a payload for an edit that makes it longer; without merging there are
    /// [256 bytes](Self::ROOM).
    pub merge: bool,
    /// The longest UDP payload that is taken in: 65,507, the longest there is. A smaller one saves memory where nothing is
    /// merged, otherwise it counts for nothing.
    pub longest: usize,
    /// What the outer headers of replies say. DF is clear and the identification is not 0 in those that are longer than the
    /// interface's MTU: they came in fragments, and go back in fragments. Its checksum counts for [`Way::Raw`] only: a packet socket leaves it to the
    /// card. (The received checksum and time to live cannot be had from a socket without asking for them: the received
    /// checksum is none here, and the time to live is asked for where the policy wants it.)
    pub reply: ReplyPolicy,
    /// How long a change of the received type of service may go unnoticed, where the policy echoes it: a second. To be told it
    /// with each datagram costs about a twentieth of a datagram's whole way, and load balancers send 0. So after a
    /// thousand or so datagrams with 0 the kernel is asked only for one burst in so long, until another value turns up.
    /// `None` asks always.
    pub tos_sample: Option<Duration>,
    /// How replies are sent. By default [`Way::Packet`] wherever that works, else [`Way::Raw`].
    pub way: Option<Way>,
    /// How long a worker waits for datagrams at most: 100 ms, and never longer than that.
    pub longest_wait: Duration,
    /// How long a worker asks again and again, at the cost of its core, before it sleeps: not at all by default.
    pub busy_poll: Duration,
}

impl UdpSettings {
    /// Bytes behind each payload for edits, if nothing is merged.
    pub const ROOM: usize = 256;
    pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(100);
    pub(super) const LONGEST: usize = 65_507;
}

impl Default for UdpSettings {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::UNSPECIFIED,
            port: 6081,
            origins: Origins::default(),
            receive_buffer: 16 << 20,
            send_buffer: 16 << 20,
            merge: true,
            longest: Self::LONGEST,
            reply: ReplyPolicy::default(),
            tos_sample: Some(Duration::from_secs(1)),
            way: None,
            longest_wait: Self::LONGEST_WAIT,
            busy_poll: Duration::ZERO,
        }
    }
}

/// How datagrams are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// By a packet socket, as Ethernet frames: past the kernel's IP layer, and so past its packet filter, at about half the
    /// cost. What came merged leaves as one piece (Linux 6.2 or later); checksums are left to the card. It takes an Ethernet
    /// interface and a resolved neighbour; what has neither takes the other way.
    Packet,
    /// By a raw IP socket, each datagram by itself.
    Raw,
}
