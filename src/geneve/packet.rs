use core::fmt;

use super::{
    BuildError, EndpointError, FIXED_HEADER_LEN, OPTION_HEADER_LEN, OptionClass, OptionType,
    Options, ParseError, TunnelOption, tunnel_option,
};
use crate::EtherType;

/// A checked view of a GENEVE packet: the UDP payload of a datagram to port 6081.
///
/// Five words; nothing is copied. See the [module](super) for what was checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed header as one big-endian word.
    fixed: u64,
    header: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks the header at the start of `bytes`; what follows it is the payload.
    ///
    /// # Errors
    ///
    /// See [`ParseError`]: too short, another version, options that do not add up.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        match Self::parse_usual(bytes) {
            Some(packet) => Ok(packet),
            None => Self::parse_general(bytes),
        }
    }

    /// The layout that is met most, that of a gateway load balancer: 32 bytes of options with 8, 8 and 4 bytes of
    /// data. Four comparisons in place of a walk; `None` says nothing about `bytes`.
    #[inline]
    fn parse_usual(bytes: &'a [u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<40>()?;
        let [f0, f1, f2, f3, f4, f5, f6, f7, _, _, _, l0, ..] = *head;
        let [.., l1, _, _, _, _, _, _, _, _, _, _, _, l2, _, _, _, _] = *head;
        let usual = f0 == 8 && l0 & 0x1f == 2 && l1 & 0x1f == 2 && l2 & 0x1f == 1;
        usual.then(|| Self {
            fixed: u64::from_be_bytes([f0, f1, f2, f3, f4, f5, f6, f7]),
            header: head,
            payload,
        })
    }

    /// [`parse`](Self::parse) without its fast path, for tests and benchmarks that hold the two together.
    #[cold]
    #[inline(never)]
    #[doc(hidden)]
    pub fn parse_general(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_with(bytes, |_| ())
    }

    /// The general walk: every option is checked and shown to `each` once, in order.
    ///
    /// What `each` gathered is void where this returns an error.
    #[inline(always)]
    pub(crate) fn parse_with(
        bytes: &'a [u8],
        mut each: impl FnMut(TunnelOption<'a>),
    ) -> Result<Self, ParseError> {
        let Some(fixed) = bytes.first_chunk() else {
            return Err(ParseError::HeaderTruncated { found: bytes.len() });
        };
        let fixed = u64::from_be_bytes(*fixed);
        if version(fixed) != 0 {
            return Err(ParseError::Version { found: version(fixed) });
        }
        let header_len = header_len(fixed);
        let Some(header) = bytes.get(..header_len) else {
            return Err(ParseError::OptionsTruncated {
                expected: options_len(fixed),
                found: bytes.len().wrapping_sub(FIXED_HEADER_LEN),
            });
        };
        let mut rest = header.get(FIXED_HEADER_LEN..).unwrap_or_default();
        while let Ok((after, option)) = tunnel_option::<()>(rest) {
            each(option);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(overrun(header, rest));
        }
        // Cut only now, so that the walk has a register more.
        let payload = bytes.get(header_len..).unwrap_or_default();
        Ok(Self { fixed, header, payload })
    }

    /// From parts that [`gwlb::Envelope`](crate::gwlb::Envelope) checked itself.
    #[inline(always)]
    pub(crate) const fn from_checked(fixed: u64, header: &'a [u8], payload: &'a [u8]) -> Self {
        Self { fixed, header, payload }
    }

    /// The version: 0, since no other passes the check.
    #[inline]
    pub const fn version(&self) -> u8 {
        version(self.fixed)
    }

    /// Bytes of options: `Opt Len` times 4, 0 to 252.
    #[inline]
    pub const fn options_len(&self) -> usize {
        options_len(self.fixed)
    }

    /// The O bit: a control packet, whose payload must never be forwarded (RFC 8926 §3.4).
    #[inline]
    pub const fn is_oam(&self) -> bool {
        self.fixed & (1 << 55) != 0
    }

    /// The C bit: the sender says that some option is critical.
    ///
    /// What an endpoint acts on is [`has_unknown_critical`](Self::has_unknown_critical), which looks
    /// at the options themselves and so does not trust this bit.
    #[inline]
    pub const fn is_critical(&self) -> bool {
        self.fixed & (1 << 54) != 0
    }

    /// The six reserved bits after C, as received. Ignored by every check.
    #[inline]
    pub const fn reserved_flags(&self) -> u8 {
        let [_, flags, ..] = self.fixed.to_be_bytes();
        flags & 0x3f
    }

    /// The reserved byte after the VNI, as received. Ignored by every check.
    #[inline]
    pub const fn reserved(&self) -> u8 {
        let [.., reserved] = self.fixed.to_be_bytes();
        reserved
    }

    /// What the payload is: an EtherType.
    #[inline]
    pub const fn protocol_type(&self) -> EtherType {
        let [_, _, p0, p1, ..] = self.fixed.to_be_bytes();
        EtherType(u16::from_be_bytes([p0, p1]))
    }

    /// The virtual network identifier.
    #[inline]
    pub const fn vni(&self) -> Vni {
        let [.., v0, v1, v2, _] = self.fixed.to_be_bytes();
        Vni(u32::from_be_bytes([0, v0, v1, v2]))
    }

    /// The options in the order in which they came.
    #[inline]
    pub fn options(&self) -> Options<'a> {
        Options { rest: self.header.get(FIXED_HEADER_LEN..).unwrap_or_default() }
    }

    /// Whether the packet carries a critical option that `known` does not know: then an endpoint must
    /// drop it (RFC 8926 §3.4).
    ///
    /// A critical option without the C bit in the header is the sender's mistake; it counts here all
    /// the same.
    ///
    /// ```
    /// use gwlb_geneve::geneve::{OptionClass, OptionType, Packet};
    ///
    /// // C is set; one option without data, class 0x0001, type 0x80.
    /// let datagram = [1, 0x40, 0x08, 0, 0, 0, 0, 0, /* option */ 0, 1, 0x80, 0];
    /// let packet = Packet::parse(&datagram)?;
    /// assert!(packet.has_unknown_critical(|_, _| false));
    /// assert!(!packet.has_unknown_critical(|class, kind| {
    ///     (class, kind) == (OptionClass(1), OptionType(0x80))
    /// }));
    /// # Ok::<(), gwlb_geneve::geneve::ParseError>(())
    /// ```
    pub fn has_unknown_critical(&self, known: impl FnMut(OptionClass, OptionType) -> bool) -> bool {
        self.first_unknown_critical(known).is_some()
    }

    /// Whether an endpoint that knows these options may forward the payload: data, not control, and no critical
    /// option that is unknown (RFC 8926 §3.4). This is all that holds of any GENEVE tunnel; what a load balancer's
    /// packet must be besides is checked by [`gwlb::Envelope`](crate::gwlb::Envelope).
    ///
    /// # Errors
    ///
    /// See [`EndpointError`].
    pub fn check_endpoint(
        &self,
        known: impl FnMut(OptionClass, OptionType) -> bool,
    ) -> Result<(), EndpointError> {
        if self.is_oam() {
            return Err(EndpointError::ControlPacket);
        }
        match self.first_unknown_critical(known) {
            None => Ok(()),
            Some((offset, option)) => Err(EndpointError::UnknownCritical {
                offset,
                class: option.class(),
                option_type: option.option_type(),
            }),
        }
    }

    /// The first critical option that `known` does not know, with its offset from the start of the
    /// header.
    pub fn first_unknown_critical(
        &self,
        mut known: impl FnMut(OptionClass, OptionType) -> bool,
    ) -> Option<(usize, TunnelOption<'a>)> {
        self.options_with_offsets().find(|(_, option)| {
            option.is_critical() && !known(option.class(), option.option_type())
        })
    }

    /// The options, each with its offset from the start of the header.
    pub fn options_with_offsets(
        &self,
    ) -> impl Iterator<Item = (usize, TunnelOption<'a>)> + use<'a> {
        self.options().scan(FIXED_HEADER_LEN, |next, option| {
            let offset = *next;
            *next = next.wrapping_add(option.encoded_len());
            Some((offset, option))
        })
    }

    /// The header with its options, byte for byte as received: what a reply must carry.
    #[inline]
    pub const fn header(&self) -> &'a [u8] {
        self.header
    }

    /// What follows the header.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("oam", &self.is_oam())
            .field("critical", &self.is_critical())
            .field("protocol_type", &self.protocol_type())
            .field("vni", &self.vni())
            .field("options", &DebugOptions(self.options()))
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

struct DebugOptions<'a>(Options<'a>);

impl fmt::Debug for DebugOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.clone()).finish()
    }
}

/// A virtual network identifier: 24 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vni(u32);

impl Vni {
    /// Network 0.
    pub const ZERO: Self = Self(0);

    /// From a value of 24 bits.
    ///
    /// # Errors
    ///
    /// [`BuildError::VniRange`] where the value is 2²⁴ or more.
    pub const fn new(vni: u32) -> Result<Self, BuildError> {
        if vni < 1 << 24 { Ok(Self(vni)) } else { Err(BuildError::VniRange { found: vni }) }
    }

    /// The value, less than 2²⁴.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const fn version(fixed: u64) -> u8 {
    let [first, ..] = fixed.to_be_bytes();
    first >> 6
}

const fn options_len(fixed: u64) -> usize {
    let [first, ..] = fixed.to_be_bytes();
    ((first & 0x3f) as usize) << 2
}

/// Up to 260, which a `u8` could not hold.
const fn header_len(fixed: u64) -> usize {
    options_len(fixed).saturating_add(FIXED_HEADER_LEN)
}

/// The error for the option at the start of `rest`, which is the end of `header`.
#[cold]
fn overrun(header: &[u8], rest: &[u8]) -> ParseError {
    let words = rest.get(3).map_or(0, |length| usize::from(length & 0x1f));
    ParseError::OptionOverrun {
        offset: header.len().saturating_sub(rest.len()),
        expected: OPTION_HEADER_LEN.saturating_add(words << 2),
        found: rest.len(),
    }
}
