use core::fmt;
use core::iter::FusedIterator;

use nom::IResult;
use nom::error::ErrorKind;

use super::{BuildError, MAX_OPTION_DATA_LEN, OPTION_HEADER_LEN};

/// A tunnel option: class, type and data (RFC 8926 §3.5), a view of someone's bytes.
///
/// ```
/// use gwlb_geneve::geneve::{OptionClass, OptionType, TunnelOption};
///
/// let endpoint = TunnelOption::new(OptionClass(0x0108), OptionType(1), &[0; 8])?;
/// assert!(!endpoint.is_critical());
/// assert_eq!(endpoint.encoded_len(), 12);
/// # Ok::<(), gwlb_geneve::geneve::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TunnelOption<'a> {
    class: OptionClass,
    option_type: OptionType,
    reserved: u8,
    data: &'a [u8],
}

impl<'a> TunnelOption<'a> {
    /// An option to be sent, its reserved bits zero.
    ///
    /// # Errors
    ///
    /// `data` must be a multiple of 4 bytes, 0 to 124 of them.
    pub const fn new(
        class: OptionClass,
        option_type: OptionType,
        data: &'a [u8],
    ) -> Result<Self, BuildError> {
        if data.len() % 4 != 0 {
            return Err(BuildError::OptionAlignment { found: data.len() });
        }
        if data.len() > MAX_OPTION_DATA_LEN {
            return Err(BuildError::OptionTooLong { found: data.len() });
        }
        Ok(Self { class, option_type, reserved: 0, data })
    }

    /// The class: who defined the type.
    #[inline]
    pub const fn class(&self) -> OptionClass {
        self.class
    }

    /// The type with its critical bit.
    #[inline]
    pub const fn option_type(&self) -> OptionType {
        self.option_type
    }

    /// Whether an endpoint that does not know this option must drop the packet.
    #[inline]
    pub const fn is_critical(&self) -> bool {
        self.option_type.is_critical()
    }

    /// The three reserved bits as received, 0 to 7. A [`Builder`](super::Builder) sends zero.
    #[inline]
    pub const fn reserved(&self) -> u8 {
        self.reserved
    }

    /// The data, 0 to 124 bytes in whole words.
    #[inline]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Bytes that the option takes in a header: 4 and its data.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        self.data.len().saturating_add(OPTION_HEADER_LEN)
    }
}

/// Who defined an option's type (RFC 8926 §3.5; the registry is IANA's "Geneve Option Class").
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OptionClass(pub u16);

impl fmt::Display for OptionClass {
    /// Four hexadecimal digits: `0x0108`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for OptionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OptionClass({self})")
    }
}

/// What an option says, within its class. The highest bit makes it critical, and is part of the
/// type: 0x81 is not a critical form of 0x01 but another type (RFC 8926 §3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OptionType(pub u8);

impl OptionType {
    /// Whether an endpoint that does not know this type must drop the packet.
    #[inline]
    pub const fn is_critical(self) -> bool {
        self.0 & 0x80 != 0
    }
}

impl fmt::Display for OptionType {
    /// Two hexadecimal digits: `0x01`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// The options of a checked header, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// Whole options only: the header was checked before.
    pub(super) rest: &'a [u8],
}

impl<'a> Options<'a> {
    /// The bytes of the options that are still to come.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = TunnelOption<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (rest, option) = tunnel_option::<()>(self.rest).ok()?;
        self.rest = rest;
        Some(option)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(!self.rest.is_empty()), Some(self.rest.len() / OPTION_HEADER_LEN))
    }
}

impl FusedIterator for Options<'_> {}

/// One tunnel option from the start of `input`, as a nom parser for any error type.
///
/// Its body cuts by an array and one split, since this decides what a header full of options costs: 13
/// instructions for an option that nobody knows (callgrind, baseline x86-64).
///
/// # Errors
///
/// `ErrorKind::Eof` where `input` ends within the option.
#[inline]
pub(crate) fn tunnel_option<'a, E>(input: &'a [u8]) -> IResult<&'a [u8], TunnelOption<'a>, E>
where
    E: nom::error::ParseError<&'a [u8]>,
{
    if let Some(&[c0, c1, option_type, length]) = input.first_chunk() {
        let encoded_len = (usize::from(length & 0x1f).wrapping_add(1)) << 2;
        if let Some((option, rest)) = input.split_at_checked(encoded_len) {
            let option = TunnelOption {
                class: OptionClass(u16::from_be_bytes([c0, c1])),
                option_type: OptionType(option_type),
                reserved: length >> 5,
                data: option.get(OPTION_HEADER_LEN..).unwrap_or_default(),
            };
            return Ok((rest, option));
        }
    }
    Err(nom::Err::Error(E::from_error_kind(input, ErrorKind::Eof)))
}
