use core::fmt::{self, Write};

use domain::base::ParsedName;
use domain::base::name::ToLabelIter;

/// A domain name in a message. It has been followed to its end: what it points to is there.
///
/// In text it is in lower case (RFC 4343 §2: case does not matter) and without a dot at its end; the root is `.`. What
/// is not printable, a dot and a backslash inside a label are escaped (RFC 4343 §2.1), so that two names have the same text
/// only if they are the same.
#[derive(Clone, Copy)]
pub struct Name<'a>(pub(super) ParsedName<&'a [u8]>);

impl<'a> Name<'a> {
    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_root()
    }

    /// Its labels, the most specific one first and without the root, as they stand in the message.
    pub fn labels(&self) -> Labels<'_> {
        Labels(self.0.iter_labels())
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
pub struct Labels<'a>(<ParsedName<&'a [u8]> as ToLabelIter>::LabelIter<'a>);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next().map(|label| label.as_slice()).filter(|label| !label.is_empty())
    }
}

impl fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone().map(<[u8]>::escape_ascii)).finish()
    }
}
