use core::time::Duration;

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, until the year 2554.
///
/// Time always comes in with the packets, from a capture or from the receiving socket; nothing in this
/// crate reads the system clock to judge a packet, so a replay sees what live traffic saw.
///
/// ```
/// use core::time::Duration;
/// use gwlb_geneve::Timestamp;
///
/// let sent = Timestamp::from_nanos(1_700_000_000_000_000_000);
/// let received = sent.saturating_add(Duration::from_micros(250));
/// assert_eq!(received.saturating_since(sent), Duration::from_micros(250));
/// assert_eq!(sent.saturating_since(received), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// The last moment that can be held.
    pub const MAX: Self = Self(u64::MAX);

    /// From nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From the time since the Unix epoch; [`MAX`](Self::MAX) where that does not fit.
    pub fn from_unix(since_epoch: Duration) -> Self {
        Self(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since the Unix epoch.
    pub const fn since_unix(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// Later by `duration`, at most [`MAX`](Self::MAX).
    pub fn saturating_add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// The time from `earlier` to this moment, zero where `earlier` is the later one.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
