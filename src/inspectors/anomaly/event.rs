use core::fmt;

macro_rules! events {
    ($($(#[$doc:meta])+ $event:ident = $name:literal;)+) => {
        /// Something odd about a packet, or about which protocol is where.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Event {
            $($(#[$doc])+ $event,)+
        }

        impl Event {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$event),+];

            /// Its name, in configurations, reasons and alerts.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$event => $name,)+
                }
            }
        }
    };
}

events! {
    /// TCP without any of FIN, SYN, RST, PSH, ACK and URG.
    TcpNull = "tcp-null";
    /// TCP with FIN, PSH and URG and without ACK, or with all of FIN, SYN, RST, PSH, ACK and URG.
    TcpXmas = "tcp-xmas";
    /// TCP with SYN and FIN.
    TcpSynFin = "tcp-syn-fin";
    /// TCP with SYN and RST.
    TcpSynRst = "tcp-syn-rst";
    /// TCP with RST and FIN.
    TcpRstFin = "tcp-rst-fin";
    /// TCP with FIN and without ACK.
    TcpFinWithoutAck = "tcp-fin-without-ack";
    /// TCP with PSH or URG and without ACK, SYN and RST.
    TcpWithoutAck = "tcp-without-ack";
    /// Bits of the TCP header that are reserved (RFC 9293 §3.1).
    TcpReservedBits = "tcp-reserved-bits";
    /// An urgent pointer without URG.
    TcpUrgentPointer = "tcp-urgent-pointer";
    /// Port 0 at either end (RFC 6335 §6: reserved).
    PortZero = "port-zero";
    /// Source and destination address are the same, and so are the ports, if there are any.
    Land = "land";
    /// The first packet comes from a multicast address, the broadcast address, a loopback address or none (RFC 1122
    /// §3.2.1.3, RFC 4291 §2.5, §2.7).
    SourceInvalid = "source-invalid";
    /// The first packet goes to a loopback address or to none.
    DestinationInvalid = "destination-invalid";
    /// The bit of IPv4's flags that must be zero (RFC 791 §3.1).
    IpReservedBit = "ip-reserved-bit";
    /// A source route in IPv4 (RFC 7126 §4.3, §4.4), or a routing header in IPv6.
    SourceRoute = "source-route";
    /// Record route or timestamps in IPv4: they tell of the way.
    RecordRoute = "record-route";
    /// Other options of IPv4, or hop-by-hop or destination options of IPv6.
    IpOptions = "ip-options";
    /// A fragment other than the last with less than 256 bytes: no link is that narrow (RFC 1858 §3).
    FragmentTiny = "fragment-tiny";
    /// A fragment that begins within the first 24 bytes of TCP or the first 8 of UDP, other than the first (RFC 1858 §4).
    FragmentOverHeader = "fragment-over-header";
    /// The first fragment of a datagram twice.
    FragmentFirstTwice = "fragment-first-twice";
    /// A fragment that must not be fragmented.
    FragmentDontFragment = "fragment-dont-fragment";
    /// A fragment header around what is a whole datagram (RFC 8021).
    FragmentAtomic = "fragment-atomic";
    /// So low a TTL or hop limit that the packet may not reach its receiver.
    TtlLow = "ttl-low";
    /// Another TTL or hop limit than before in the same direction of a flow.
    TtlChanged = "ttl-changed";
    /// HTTP where none is expected.
    HttpElsewhere = "http-elsewhere";
    /// TLS where none is expected.
    TlsElsewhere = "tls-elsewhere";
    /// Something else where HTTP is expected.
    NotHttp = "not-http";
    /// Something else where TLS is expected.
    NotTls = "not-tls";
    /// Something else where DNS is expected.
    NotDns = "not-dns";
    /// Against the rules of the protocol that the flow was taken for.
    ProtocolUnparsable = "protocol-unparsable";
    /// A message that is larger than what is looked at.
    MessageTooLarge = "message-too-large";
    /// A flow goes on in another protocol: HTTP/2, WebSocket, a tunnel.
    ProtocolSwitched = "protocol-switched";
}

impl Event {
    /// Whether it shows in messages only. Who ignores all of these, and all anomalies of messages, does not pay for them:
    /// see [`AnomalyInspector`](super::AnomalyInspector).
    pub const fn is_of_messages(self) -> bool {
        matches!(
            self,
            Self::HttpElsewhere
                | Self::TlsElsewhere
                | Self::NotHttp
                | Self::NotTls
                | Self::NotDns
                | Self::ProtocolUnparsable
                | Self::MessageTooLarge
                | Self::ProtocolSwitched
        )
    }

    pub(super) const fn bit(self) -> u64 {
        1_u64.wrapping_shl(self as u32)
    }

    /// The first event of a set, and the set without it.
    pub(super) fn split(set: u64) -> Option<(Self, u64)> {
        let index = usize::try_from(set.trailing_zeros()).ok()?;
        let event = Self::ALL.get(index)?;
        Some((*event, set & set.wrapping_sub(1)))
    }
}

const _: () = assert!(Event::ALL.len() <= 64);

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
