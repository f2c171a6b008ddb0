use core::fmt::{self, Write};

use md5::{Digest, Md5};

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
            write!(self.to, "{code}")?;
        }
        self.separator = ",";
        Ok(())
    }
}

/// Text on its way into a hash, a block at a time.
#[derive(Default)]
struct Hash(Md5);

impl Hash {
    fn finish(self) -> Ja3 {
        Ja3(self.0.finalize().into())
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text);
        Ok(())
    }
}
