use core::fmt;

/// An alert in clear (RFC 8446 §6): an end gives up, or says why it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert {
    /// 1 for a warning, 2 where the connection ends.
    pub level: u8,
    /// What it is about, such as 40 for a handshake that failed.
    pub description: u8,
}

impl Alert {
    /// Whether the connection ends with it.
    pub const fn is_fatal(self) -> bool {
        self.level == 2
    }
}

impl fmt::Display for Alert {
    /// One line for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.is_fatal() { "fatal" } else { "warning" };
        write!(f, "TLS alert {level} {}", self.description)
    }
}
