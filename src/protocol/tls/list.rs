//! The lists in hellos. They were checked when the hello was parsed, as far as they are readable.

/// Two-byte code points in their order: cipher suites, groups, signature algorithms, versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Codes<'a> {
    rest: &'a [u8],
}

impl<'a> Codes<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Those that mean something: without the values that clients strew in so that servers stay tolerant (GREASE,
    /// RFC 8701 §2).
    pub fn without_grease(self) -> impl Iterator<Item = u16> + 'a {
        self.filter(|code| !is_grease(*code))
    }
}

impl Iterator for Codes<'_> {
    type Item = u16;

    #[inline]
    fn next(&mut self) -> Option<u16> {
        let (code, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*code))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.rest.len() >> 1;
        (len, Some(len))
    }
}

impl ExactSizeIterator for Codes<'_> {}
impl core::iter::FusedIterator for Codes<'_> {}

/// Whether a code point is one of the sixteen that mean nothing (GREASE, RFC 8701 §2).
pub const fn is_grease(code: u16) -> bool {
    code & 0x0f0f == 0x0a0a && code >> 8 == code & 0xff
}

/// Names of application protocols in their order (RFC 7301 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Alpn<'a> {
    rest: &'a [u8],
}

impl<'a> Alpn<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Whether everything has been read.
    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Alpn<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some(name)
    }
}

impl core::iter::FusedIterator for Alpn<'_> {}

/// One extension of a hello (RFC 8446 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its code point.
    pub extension_type: u16,
    /// What it carries.
    pub data: &'a [u8],
}

/// The extensions of a hello in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Extensions<'a> {
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The first one of a type.
    pub fn find(mut self, extension_type: u16) -> Option<&'a [u8]> {
        Iterator::find(&mut self, |extension| extension.extension_type == extension_type)
            .map(|extension| extension.data)
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    #[inline]
    fn next(&mut self) -> Option<Extension<'a>> {
        let (&[a, b, high, low], rest) = self.rest.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        self.rest = rest;
        Some(Extension { extension_type: u16::from_be_bytes([a, b]), data })
    }
}

/// The code points that the hellos are searched for.
pub(super) mod extension_type {
    pub(crate) const SERVER_NAME: u16 = 0;
    pub(crate) const SUPPORTED_GROUPS: u16 = 10;
    pub(crate) const POINT_FORMATS: u16 = 11;
    pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(crate) const ALPN: u16 = 16;
    pub(crate) const PRE_SHARED_KEY: u16 = 41;
    pub(crate) const EARLY_DATA: u16 = 42;
    pub(crate) const SUPPORTED_VERSIONS: u16 = 43;
    pub(crate) const ECH: u16 = 0xfe0d;
    pub(crate) const ESNI: u16 = 0xffce;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_values_mean_nothing() {
        let all: Vec<_> = (0..=u16::MAX).filter(|code| is_grease(*code)).collect();
        assert_eq!(all.len(), 16);
        assert_eq!((all[0], all[1], all[15]), (0x0a0a, 0x1a1a, 0xfafa));
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        assert_eq!(Codes::new(&[0x13, 1, 0x13]).collect::<Vec<_>>(), [0x1301]);
        assert_eq!(Codes::new(&[0x13, 1, 0x13]).len(), 1);
        assert_eq!(Alpn::new(b"\x02h2\x08http").collect::<Vec<_>>(), [b"h2"]);
        let extensions = Extensions::new(&[0, 42, 0, 0, 0, 43, 0, 9, 8]);
        assert_eq!(extensions.find(42), Some(&[][..]));
        assert_eq!(extensions.find(43), None);
        assert_eq!(extensions.count(), 1);
    }
}
