use core::fmt;

use super::{
    AttachmentId, EndpointId, EnvelopeError, FlowCookie, Outer, Profile, ProfileOption, Reply,
    ReplyError, ReplyPolicy, UdpChecksum,
};
use crate::EtherType;
use crate::geneve::{EndpointError, Packet, TunnelOption};

/// What a load balancer says about one packet: the three values, the header to answer with, and the
/// packet inside. A view of eight words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    geneve: Packet<'a>,
    endpoint: u64,
    attachment: u64,
    /// The third option as received.
    cookie: u32,
    cookie_mask: u32,
}

impl<'a> Envelope<'a> {
    /// Checks a UDP payload against RFC 8926 and the provider's profile.
    ///
    /// Accepted are data packets with a bare IP packet inside, of the version that the protocol type
    /// says, and with the profile's three options once each at their exact lengths, in any order and
    /// among any others that are not critical.
    ///
    /// # Errors
    ///
    /// The first of these, see [`EnvelopeError`]: a malformed header, a control packet, another protocol type; then the
    /// options in their order, critical and unknown, of wrong length or doubled; then one of the three that is
    /// missing, and last the inner packet's version.
    #[inline]
    pub fn parse(payload: &'a [u8], profile: &Profile) -> Result<Self, EnvelopeError> {
        match Self::parse_usual(payload, profile) {
            Some(envelope) => Ok(envelope),
            None => Self::parse_general(payload, profile),
        }
    }

    /// The very layout that the load balancer sends, by five comparisons; `None` says nothing about
    /// `payload`.
    #[inline]
    pub(crate) fn parse_usual(payload: &'a [u8], profile: &Profile) -> Option<Self> {
        let (header, inner) = payload.split_first_chunk::<40>()?;
        let (fixed, rest) = header.split_first_chunk()?;
        let (endpoint_header, rest) = rest.split_first_chunk()?;
        let (endpoint, rest) = rest.split_first_chunk()?;
        let (attachment_header, rest) = rest.split_first_chunk()?;
        let (attachment, rest) = rest.split_first_chunk()?;
        let (cookie_header, rest) = rest.split_first_chunk()?;
        let cookie = rest.first_chunk()?;

        let (first_word, _) = fixed.split_first_chunk()?;
        let fixed = u64::from_be_bytes(*fixed);
        let version = match u32::from_ne_bytes(*first_word) & USUAL_MASK {
            USUAL_IPV4 => 4,
            USUAL_IPV6 => 6,
            _ => return None,
        };
        let [endpoint_word, attachment_word, cookie_word] = profile.words;
        let usual = option_word(*endpoint_header) == endpoint_word
            && option_word(*attachment_header) == attachment_word
            && option_word(*cookie_header) == cookie_word
            && is_version(inner, version);
        usual.then(|| Self {
            geneve: Packet::from_checked(fixed, header, inner),
            endpoint: u64::from_be_bytes(*endpoint),
            attachment: u64::from_be_bytes(*attachment),
            cookie: u32::from_be_bytes(*cookie),
            cookie_mask: profile.cookie_mask,
        })
    }

    /// Any layout. What is in order is gathered in one walk; what is not is named by a second one.
    ///
    /// Hidden, not private, for tests and benchmarks that hold it against the fast path.
    #[cold]
    #[inline(never)]
    #[doc(hidden)]
    pub fn parse_general(payload: &'a [u8], profile: &Profile) -> Result<Self, EnvelopeError> {
        let mut found = Found::default();
        let walked = Packet::parse_with(payload, |option| found.note(&option, profile));
        match walked {
            Ok(geneve) if found.is_regular() && holds_ip(&geneve) => Ok(Self {
                geneve,
                endpoint: found.endpoint,
                attachment: found.attachment,
                cookie: found.cookie,
                cookie_mask: profile.cookie_mask,
            }),
            _ => Err(diagnose(payload, profile)),
        }
    }

    /// The endpoint that the packet came through.
    #[inline]
    pub const fn endpoint(&self) -> EndpointId {
        EndpointId(self.endpoint)
    }

    /// The transit gateway attachment, often 0.
    #[inline]
    pub const fn attachment(&self) -> AttachmentId {
        AttachmentId(self.attachment)
    }

    /// The flow cookie, without direction bits where the profile has some.
    #[inline]
    pub const fn cookie(&self) -> FlowCookie {
        FlowCookie(self.cookie & self.cookie_mask)
    }

    /// The bits above the cookie that tell the flow's direction; `None` where the profile has none.
    #[inline]
    pub const fn direction(&self) -> Option<u32> {
        self.cookie.checked_shr(self.cookie_mask.count_ones())
    }

    /// The GENEVE packet, for its other fields and options.
    #[inline]
    pub const fn geneve(&self) -> Packet<'a> {
        self.geneve
    }

    /// The GENEVE header with its options, byte for byte as received.
    #[inline]
    pub const fn header(&self) -> &'a [u8] {
        self.geneve.header()
    }

    /// The packet inside: IPv4 or IPv6 by its first four bits, the rest unchecked.
    #[inline]
    pub const fn inner(&self) -> &'a [u8] {
        self.geneve.payload()
    }

    /// The datagram that passes the inner packet on: outer addresses swapped, ports kept, GENEVE and
    /// inner bytes as received.
    ///
    /// # Errors
    ///
    /// [`ReplyError::TooLong`] where the whole would not fit into an IPv4 packet.
    pub fn reply(&self, received: &Outer, policy: &ReplyPolicy) -> Result<Reply<'a>, ReplyError> {
        Reply::new(received, self.header(), self.inner(), policy)
    }

    /// The same with another inner packet, an edited or a crafted one. A policy of
    /// [`UdpChecksum::Received`](super::UdpChecksum::Received) computes the checksum here, as the received one no
    /// longer fits.
    ///
    /// # Errors
    ///
    /// [`ReplyError::TooLong`] where the whole would not fit into an IPv4 packet.
    pub fn reply_with<'b>(
        &self,
        inner: &'b [u8],
        received: &Outer,
        policy: &ReplyPolicy,
    ) -> Result<Reply<'b>, ReplyError>
    where
        'a: 'b,
    {
        let checksum = match policy.checksum {
            UdpChecksum::Received if received.udp_checksum != 0 => UdpChecksum::Computed,
            other => other,
        };
        Reply::new(received, self.header(), inner, &ReplyPolicy { checksum, ..*policy })
    }
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("endpoint", &format_args!("{}", self.endpoint()))
            .field("attachment", &format_args!("{}", self.attachment()))
            .field("cookie", &format_args!("{}", self.cookie()))
            .field("direction", &self.direction())
            .field("geneve", &self.geneve)
            .finish()
    }
}

/// The first word of the fixed header, as it stands in memory, without its reserved bits: version, Opt Len, O, C,
/// protocol type.
const USUAL_MASK: u32 = 0xffc0_ffff_u32.to_be();
/// Version 0, eight words of options, neither O nor C, IPv4 inside.
const USUAL_IPV4: u32 = 0x0800_0800_u32.to_be();
/// The same with IPv6 inside.
const USUAL_IPV6: u32 = 0x0800_86dd_u32.to_be();

/// Whether the payload is for forwarding, and an IP packet of the version that the protocol type says.
#[inline(always)]
fn holds_ip(geneve: &Packet<'_>) -> bool {
    let version = match geneve.protocol_type() {
        EtherType::IPV4 => 4,
        EtherType::IPV6 => 6,
        _ => return false,
    };
    !geneve.is_oam() && is_version(geneve.payload(), version)
}

/// Whether there is an inner packet, of this version.
#[inline(always)]
fn is_version(inner: &[u8], version: u8) -> bool {
    inner.first().is_some_and(|first| first >> 4 == version)
}

/// An option header as it stands in memory, its reserved bits cleared.
#[inline]
const fn option_word(header: [u8; 4]) -> u32 {
    u32::from_ne_bytes(header) & u32::from_ne_bytes([0xff, 0xff, 0xff, 0x1f])
}

/// What a walk over the options gathers.
#[derive(Default)]
struct Found {
    endpoint: u64,
    attachment: u64,
    cookie: u32,
    /// How often each of the three was there, a byte for each (a header has room for 63 options). The
    /// lowest byte holds the types of all other options, one over the other: bit 7 stays set by any
    /// that is critical, and by one of the three that is of wrong length.
    tally: u32,
}

impl Found {
    const ENDPOINT: u32 = 1 << 8;
    const ATTACHMENT: u32 = 1 << 16;
    const COOKIE: u32 = 1 << 24;
    const IRREGULAR: u32 = 0x80;

    #[inline(always)]
    fn note(&mut self, option: &TunnelOption<'_>, profile: &Profile) {
        match profile.recognize(option.class(), option.option_type()) {
            None => self.tally |= u32::from(option.option_type().0),
            Some(ProfileOption::Endpoint) => {
                self.endpoint = u64::from_be_bytes(self.take(Self::ENDPOINT, option.data()));
            }
            Some(ProfileOption::Attachment) => {
                self.attachment = u64::from_be_bytes(self.take(Self::ATTACHMENT, option.data()));
            }
            Some(ProfileOption::Cookie) => {
                self.cookie = u32::from_be_bytes(self.take(Self::COOKIE, option.data()));
            }
        }
    }

    #[inline(always)]
    fn take<const N: usize>(&mut self, which: u32, data: &[u8]) -> [u8; N] {
        self.tally = self.tally.wrapping_add(which);
        data.try_into().unwrap_or_else(|_| {
            self.tally |= Self::IRREGULAR;
            [0; N]
        })
    }

    /// Each of the three once, all of right length, and nothing critical besides.
    const fn is_regular(&self) -> bool {
        const COUNTS: u32 = 0xffff_ff00;
        self.tally & (COUNTS | Self::IRREGULAR) == Self::ENDPOINT | Self::ATTACHMENT | Self::COOKIE
    }
}

/// Names the first thing that is wrong with a payload that is not an envelope.
///
/// It parses again, which costs the good packets less than keeping a view for the bad ones.
#[cold]
#[inline(never)]
fn diagnose(payload: &[u8], profile: &Profile) -> EnvelopeError {
    let geneve = match Packet::parse_general(payload) {
        Ok(geneve) => geneve,
        Err(error) => return error.into(),
    };
    if geneve.is_oam() {
        return EndpointError::ControlPacket.into();
    }
    let version = match geneve.protocol_type() {
        EtherType::IPV4 => 4,
        EtherType::IPV6 => 6,
        found => return EnvelopeError::ProtocolType { found },
    };
    let mut missing = ProfileOption::ALL.map(Some);
    for (offset, option) in geneve.options_with_offsets() {
        let (class, option_type) = (option.class(), option.option_type());
        let Some(known) = profile.recognize(class, option_type) else {
            if option.is_critical() {
                return EndpointError::UnknownCritical { offset, class, option_type }.into();
            }
            continue;
        };
        let (expected, found) = (known.data_len(), option.data().len());
        if expected != found {
            return EnvelopeError::OptionLength { option: known, offset, expected, found };
        }
        match missing.iter_mut().find(|missing| **missing == Some(known)) {
            Some(first) => *first = None,
            None => return EnvelopeError::OptionDoubled { option: known, offset },
        }
    }
    if let Some(option) = missing.into_iter().flatten().next() {
        return EnvelopeError::OptionMissing { option };
    }
    EnvelopeError::InnerVersion {
        offset: geneve.header().len(),
        expected: version,
        found: geneve.payload().first().map(|first| first >> 4),
    }
}
