use core::fmt::{self, Write};

/// A domain name in a message. It has been followed to its end: what it points to is there.
///
/// In text it is in lower case (RFC 4343 §2: case does not matter) and without a dot at its end; the root is `.`. What
/// is not printable, a dot and a backslash inside a label are escaped (RFC 4343 §2.1), so that two names have the same text
/// only if they are the same.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    /// As much of the message as it may be in.
    message: &'a [u8],
    start: usize,
}

/// What a name takes that is no attack: as many pointers as it can have labels. A chain of pointers that all point backwards may be
/// as long as the message, and each record may begin it again.
const MAX_POINTERS: u32 = 127;

impl<'a> Name<'a> {
    /// Bytes of a name without its compression (RFC 1035 §3.1).
    const MAX_LEN: usize = 255;

    /// Follows the name at `start` to its end. Comes back with the place behind it, or with what was expected.
    pub(super) fn read(message: &'a [u8], start: usize) -> Result<(Self, usize), &'static str> {
        const WRONG: &str = "labels and pointers backwards, to an end, of at most 255 bytes";

        let mut at = start;
        let mut len = 1_usize;
        let mut pointers = 0_u32;
        let mut behind = None;
        loop {
            match message.get(at..) {
                Some(&[0, ..]) => {
                    let behind = behind.unwrap_or(at.saturating_add(1));
                    return Ok((Self { message, start }, behind));
                }
                Some(&[label @ 1..=63, ..]) => {
                    let label = usize::from(label).saturating_add(1);
                    at = at.saturating_add(label);
                    len = len.saturating_add(label);
                    if len > Self::MAX_LEN {
                        return Err(WRONG);
                    }
                }
                Some(&[high @ 0xc0..=0xff, low, ..]) => {
                    behind = behind.or(Some(at.saturating_add(2)));
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    pointers = pointers.saturating_add(1);
                    if pointers > MAX_POINTERS {
                        return Err("at most 127 compression pointers");
                    }
                    if target >= at {
                        return Err(WRONG);
                    }
                    at = target;
                }
                _ => return Err(WRONG),
            }
        }
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.labels().next().is_none()
    }

    /// Its labels, the most specific one first and without the root, as they stand in the message.
    pub fn labels(&self) -> Labels<'a> {
        Labels { message: self.message, at: self.start }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_char('.');
        }
        let mut separator = "";
        for label in self.labels() {
            f.write_str(separator)?;
            separator = ".";
            for byte in label.iter().map(u8::to_ascii_lowercase) {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                    0x21..=0x7e => f.write_char(char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl PartialEq for Name<'_> {
    /// But for the case of letters.
    fn eq(&self, other: &Self) -> bool {
        let mut others = other.labels();
        self.labels()
            .all(|label| others.next().is_some_and(|other| label.eq_ignore_ascii_case(other)))
            && others.next().is_none()
    }
}

impl Eq for Name<'_> {}

/// The labels of a name.
#[derive(Clone)]
pub struct Labels<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        // Each pointer points backwards: that was seen when the name was read.
        loop {
            match self.message.get(self.at..)? {
                [len @ 1..=63, rest @ ..] => {
                    let len = usize::from(*len);
                    self.at = self.at.saturating_add(len).saturating_add(1);
                    return rest.get(..len);
                }
                [high @ 0xc0..=0xff, low, ..] => {
                    self.at = usize::from(u16::from_be_bytes([high & 0x3f, *low]));
                }
                _ => return None,
            }
        }
    }
}

impl fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone().map(<[u8]>::escape_ascii)).finish()
    }
}
