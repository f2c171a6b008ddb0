use super::{ApplicationProtocol, Comparison};
use crate::Side;

/// What is asked of a packet's flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FlowCondition {
    /// How far the flow has come; `None` for any.
    pub state: Option<FlowState>,
    /// Who sent the packet: the client for `to_server` and `from_client`; `None` for either.
    pub sender: Option<Side>,
    /// `only_stream` and `no_stream`; `None` for both.
    pub bytes: Option<FlowBytes>,
    /// `only_frag` and `no_frag`; `None` for both.
    pub fragments: Option<bool>,
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowState {
    /// `established`: the handshake of TCP is over; in UDP, both sides have been heard. Flows that are adopted in their middle
    /// are established.
    Established,
    /// `not_established`
    NotEstablished,
    /// `stateless`: with or without a flow.
    Stateless,
}

/// Which bytes of TCP are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowBytes {
    /// `only_stream`: those that are in order.
    OnlyStream,
    /// `no_stream`: those of packets as they come.
    NoStream,
}

/// What is asked of a packet's own fields. Where the packet has no such field, it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// `dsize`: bytes of payload in this very packet, never of a stream.
    PayloadSize(Comparison<u16>),
    /// `itype`: the type of ICMP or ICMPv6.
    IcmpType(Comparison<u8>),
    /// `icode`: the code of ICMP or ICMPv6.
    IcmpCode(Comparison<u8>),
    /// `icmp_id`: the identifier of an echo (RFC 792).
    IcmpId(u16),
    /// `icmp_seq`: the sequence number of an echo (RFC 792).
    IcmpSequence(u16),
    /// `flags` or `tcp.flags`
    TcpFlags(TcpFlags),
    /// `seq`: the sequence number of TCP.
    TcpSequence(u32),
    /// `ack`: the acknowledgement number of TCP.
    TcpAcknowledgement(u32),
    /// `window` or `tcp.window`: as it stands in the header, not scaled.
    TcpWindow {
        /// What it is, or is not.
        window: u16,
        /// Whether it must not be that.
        is_negated: bool,
    },
    /// `ttl`: the time to live, or hop limit.
    TimeToLive(Comparison<u8>),
    /// `tos`: the whole octet of IPv4, or the traffic class of IPv6.
    TypeOfService {
        /// What it is, or is not.
        octet: u8,
        /// Whether it must not be that.
        is_negated: bool,
    },
    /// `id`: the identification of IPv4.
    IpId(u16),
    /// `ip_proto`: the protocol in IP, behind extension headers.
    IpProtocol(Comparison<u8>),
    /// `sameip`: source and destination are the same.
    SameAddress,
    /// `fragbits`: the flags of IPv4.
    Fragments(Fragments),
    /// `fragoffset`: the offset of a fragment, in units of 8 bytes.
    FragmentOffset(Comparison<u16>),
    /// `app-layer-protocol`: what the flow was recognised as. Holds from where that is known.
    Application {
        /// `None` for `failed`: it is none that is known.
        protocol: Option<ApplicationProtocol>,
        /// Whether it must not be that.
        is_negated: bool,
    },
}

/// What the flags of TCP have to be like: of those that are not in [`ignored`](Self::ignored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpFlags {
    /// How they are compared.
    pub mode: TcpFlagsMode,
    /// The flags, as in the header: FIN is 1, CWR is 128 (RFC 9293 §3.1).
    pub flags: u8,
    /// Flags that do not count.
    pub ignored: u8,
}

/// How flags are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpFlagsMode {
    /// These and no others; `0` for none at all.
    Exactly,
    /// `+`: all of these, whatever else.
    All,
    /// `*`: one of these at least.
    Any,
    /// `!`: none of these.
    None,
}

impl TcpFlags {
    /// Whether the flags of a header are like this.
    pub const fn holds(&self, found: u8) -> bool {
        let found = found & !self.ignored;
        match self.mode {
            TcpFlagsMode::Exactly => found == self.flags,
            TcpFlagsMode::All => found & self.flags == self.flags,
            TcpFlagsMode::Any => found & self.flags != 0,
            TcpFlagsMode::None => found & self.flags == 0,
        }
    }
}

/// What the flags of IPv4 have to be like (RFC 791 §3.1). Compared as those of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragments {
    /// How they are compared.
    pub mode: TcpFlagsMode,
    /// `M`: more fragments.
    pub more: bool,
    /// `D`: do not fragment.
    pub dont: bool,
    /// `R`: the reserved bit.
    pub reserved: bool,
}
