#[cfg(feature = "alloc")]
use super::MAX_HEADER_LEN;
use super::{
    BuildError, FIXED_HEADER_LEN, MAX_OPTIONS_LEN, OPTION_HEADER_LEN, Options, Packet,
    TunnelOption, Vni,
};
use crate::EtherType;

/// Writes a GENEVE header: lengths and the C bit are computed, reserved bits are zero.
///
/// `I` is where the options come from: an array, a slice's `iter().copied()`, or the
/// [`Options`] of a received packet. It is walked twice, so it must be `Clone`.
///
/// [`build_into`](Self::build_into) needs no allocator:
///
/// ```
/// use gwlb_geneve::EtherType;
/// use gwlb_geneve::geneve::Builder;
///
/// let mut buffer = [0; 8];
/// assert_eq!(Builder::new(EtherType::IPV6).build_into(&mut buffer), Ok(8));
/// assert_eq!(buffer, [0, 0, 0x86, 0xdd, 0, 0, 0, 0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Builder<I> {
    protocol_type: EtherType,
    vni: Vni,
    oam: bool,
    options: I,
}

impl Builder<[TunnelOption<'static>; 0]> {
    /// A header for a payload of this type: VNI 0, no flags, no options.
    pub const fn new(protocol_type: EtherType) -> Self {
        Self { protocol_type, vni: Vni::ZERO, oam: false, options: [] }
    }
}

impl<'a> From<&Packet<'a>> for Builder<Options<'a>> {
    /// The same header again, but for reserved bits, which become zero.
    ///
    /// A reply to a load balancer wants [`Packet::header`] instead, which keeps those too.
    fn from(packet: &Packet<'a>) -> Self {
        Self {
            protocol_type: packet.protocol_type(),
            vni: packet.vni(),
            oam: packet.is_oam(),
            options: packet.options(),
        }
    }
}

impl<I> Builder<I> {
    /// Sets the virtual network identifier.
    pub fn vni(mut self, vni: Vni) -> Self {
        self.vni = vni;
        self
    }

    /// Sets the O bit, which marks a control packet.
    pub fn oam(mut self, oam: bool) -> Self {
        self.oam = oam;
        self
    }

    /// Replaces the options; they are written in this order.
    pub fn options<'a, J>(self, options: J) -> Builder<J>
    where
        J: IntoIterator<Item = TunnelOption<'a>> + Clone,
    {
        Builder { protocol_type: self.protocol_type, vni: self.vni, oam: self.oam, options }
    }
}

impl<'a, I> Builder<I>
where
    I: IntoIterator<Item = TunnelOption<'a>> + Clone,
{
    /// Bytes of the header, 8 to 260, a multiple of 4.
    ///
    /// # Errors
    ///
    /// [`BuildError::OptionsTooLong`] where the options take more than 252 bytes.
    pub fn header_len(&self) -> Result<usize, BuildError> {
        self.measure().map(|(options_len, _)| FIXED_HEADER_LEN.saturating_add(options_len))
    }

    /// Writes the header to the start of `buffer` and returns its length. On an error `buffer` is
    /// untouched.
    ///
    /// # Errors
    ///
    /// [`BuildError::OptionsTooLong`] and [`BuildError::BufferTooSmall`].
    pub fn build_into(&self, buffer: &mut [u8]) -> Result<usize, BuildError> {
        let (options_len, critical) = self.measure()?;
        let expected = FIXED_HEADER_LEN.saturating_add(options_len);
        let found = buffer.len();
        let (fixed, options) = buffer
            .get_mut(..expected)
            .and_then(|header| header.split_first_chunk_mut::<FIXED_HEADER_LEN>())
            .ok_or(BuildError::BufferTooSmall { expected, found })?;
        *fixed = self.fixed(options_len, critical);
        // An iterator that yields less when walked again leaves empty options of class 0, not what was there.
        options.fill(0);
        let mut rest = options;
        for option in self.options.clone() {
            let Some((into, after)) = rest.split_at_mut_checked(option.encoded_len()) else {
                break;
            };
            if let Some((header, data)) = into.split_first_chunk_mut() {
                *header = option_header(&option);
                data.copy_from_slice(option.data());
            }
            rest = after;
        }
        Ok(expected)
    }

    /// Appends the header to `out` and returns its length. On an error nothing is written.
    ///
    /// # Errors
    ///
    /// [`BuildError::OptionsTooLong`], and [`BuildError::BufferTooSmall`] where `out` cannot grow.
    #[cfg(feature = "alloc")]
    pub fn build(&self, out: &mut impl bytes::BufMut) -> Result<usize, BuildError> {
        let mut header = [0; MAX_HEADER_LEN];
        let len = self.build_into(&mut header)?;
        if out.remaining_mut() < len {
            return Err(BuildError::BufferTooSmall { expected: len, found: out.remaining_mut() });
        }
        out.put_slice(header.get(..len).unwrap_or_default());
        Ok(len)
    }

    /// Bytes of options, and whether one of them is critical.
    fn measure(&self) -> Result<(usize, bool), BuildError> {
        let mut options_len = 0_usize;
        let mut critical = false;
        for option in self.options.clone() {
            options_len = options_len.saturating_add(option.encoded_len());
            critical |= option.is_critical();
            if options_len > MAX_OPTIONS_LEN {
                return Err(BuildError::OptionsTooLong { found: options_len });
            }
        }
        Ok((options_len, critical))
    }

    fn fixed(&self, options_len: usize, critical: bool) -> [u8; FIXED_HEADER_LEN] {
        let words = u8::try_from(options_len / 4).unwrap_or(u8::MAX);
        let flags = u8::from(self.oam) << 7 | u8::from(critical) << 6;
        let [p0, p1] = self.protocol_type.0.to_be_bytes();
        let [_, v0, v1, v2] = self.vni.get().to_be_bytes();
        [words, flags, p0, p1, v0, v1, v2, 0]
    }
}

fn option_header(option: &TunnelOption<'_>) -> [u8; OPTION_HEADER_LEN] {
    let [c0, c1] = option.class().0.to_be_bytes();
    let words = u8::try_from(option.data().len() / 4).unwrap_or(u8::MAX);
    [c0, c1, option.option_type().0, words]
}
