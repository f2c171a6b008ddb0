use core::fmt::{self, Write};

use md5::{Digest, Md5};
use smallvec::SmallVec;

use super::{ClientHello, Codes, ServerHello, is_grease};

/// A JA3 or JA3S fingerprint: an MD5 hash, in text 32 hexadecimal digits
/// (<https://github.com/salesforce/ja3>).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja3(pub [u8; 16]);

impl Ja3 {
    pub(super) fn of(hello: &ClientHello<'_>) -> Self {
        let mut hash = Hash::default();
        let _ = write_client(hello, &mut hash);
        hash.finish()
    }

    pub(super) fn of_server(hello: &ServerHello<'_>) -> Self {
        let mut hash = Hash::default();
        let _ = write_server(hello, &mut hash);
        hash.finish()
    }
}

impl fmt::Display for Ja3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Ja3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ja3({self})")
    }
}

/// What a JA3 or JA3S fingerprint is a hash of, to be displayed: decimal code points, `-` between them, and `,` between
/// version, cipher suites, extensions, groups and point formats (JA3S: version, cipher suite, extensions).
#[derive(Clone, Copy, Debug)]
pub struct Ja3Text<'a>(Of<'a>);

#[derive(Clone, Copy, Debug)]
enum Of<'a> {
    Client(ClientHello<'a>),
    Server(ServerHello<'a>),
}

impl<'a> Ja3Text<'a> {
    pub(super) const fn client(hello: ClientHello<'a>) -> Self {
        Self(Of::Client(hello))
    }

    pub(super) const fn server(hello: ServerHello<'a>) -> Self {
        Self(Of::Server(hello))
    }
}

impl fmt::Display for Ja3Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Of::Client(hello) => write_client(hello, f),
            Of::Server(hello) => write_server(hello, f),
        }
    }
}

fn write_client(hello: &ClientHello<'_>, to: &mut impl Write) -> fmt::Result {
    let mut text = Text { to, separator: "" };
    let extensions = hello.extensions().map(|extension| extension.extension_type);
    text.field([hello.legacy_version().0])?;
    text.field(without_grease(hello.cipher_suites()))?;
    text.field(extensions.filter(|code| !is_grease(*code)))?;
    text.field(without_grease(hello.groups()))?;
    text.field(hello.point_formats().iter().copied().map(u16::from))
}

fn write_server(hello: &ServerHello<'_>, to: &mut impl Write) -> fmt::Result {
    let mut text = Text { to, separator: "" };
    text.field([hello.legacy_version().0])?;
    text.field([hello.cipher_suite()])?;
    text.field(hello.extensions().map(|extension| extension.extension_type))
}

fn without_grease(codes: Codes<'_>) -> impl Iterator<Item = u16> {
    codes.without_grease()
}

struct Text<'a, W> {
    to: &'a mut W,
    separator: &'static str,
}

impl<W: Write> Text<'_, W> {
    fn field(&mut self, codes: impl IntoIterator<Item = u16>) -> fmt::Result {
        self.to.write_str(self.separator)?;
        self.separator = "";
        for code in codes {
            self.to.write_str(self.separator)?;
            self.separator = "-";
            decimal(code, self.to)?;
        }
        self.separator = ",";
        Ok(())
    }
}

/// A number as `Display` would write it, without the machinery of formats.
fn decimal(code: u16, to: &mut impl Write) -> fmt::Result {
    let mut digits = [b'0'; 5];
    let mut rest = code;
    let mut len = 0_usize;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        len = len.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    let start = digits.len().saturating_sub(len);
    to.write_str(
        digits.get(start..).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or(""),
    )
}

/// Text on its way into a hash, which takes it in pieces of this size rather than of a few bytes.
struct Hash {
    hash: Md5,
    held: SmallVec<[u8; 256]>,
}

impl Hash {
    fn finish(mut self) -> Ja3 {
        self.hash.update(&self.held);
        Ja3(self.hash.finalize().into())
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self { hash: Md5::new(), held: SmallVec::new() }
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.held.len().saturating_add(text.len()) > self.held.inline_size() {
            self.hash.update(&self.held);
            self.held.clear();
        }
        self.held.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
