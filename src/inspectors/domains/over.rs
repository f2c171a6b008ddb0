use core::fmt;

/// Where a name was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// The server name of a TLS hello.
    Tls,
    /// The host of an HTTP request.
    Http,
    /// The question of a DNS message.
    Dns,
}

impl Over {
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Tls, Self::Http, Self::Dns];
    pub(super) const COUNT: usize = 3;

    /// `tls`, `http`, `dns`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Dns => "dns",
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Tls => 0,
            Self::Http => 1,
            Self::Dns => 2,
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
