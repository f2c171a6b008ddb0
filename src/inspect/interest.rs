use core::ops::BitOr;

/// A set of hooks, and of what they are to be called for.
///
/// ```
/// use gwlb_geneve::inspect::Interest;
///
/// let interest = Interest::HTTP | Interest::END;
/// assert!(interest.contains(Interest::END) && interest.intersects(Interest::MESSAGES));
/// assert!(!interest.intersects(Interest::PACKETS | Interest::STREAM));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// No hook.
    pub const NONE: Self = Self(0);
    /// [`Inspector::packet`](super::Inspector::packet).
    pub const PACKETS: Self = Self(1);
    /// [`Inspector::close`](super::Inspector::close).
    pub const END: Self = Self(1 << 1);
    /// [`Inspector::stream`](super::Inspector::stream).
    pub const STREAM: Self = Self(1 << 2);
    /// [`Inspector::message`](super::Inspector::message), of HTTP.
    pub const HTTP: Self = Self(1 << 3);
    /// The same, of TLS.
    pub const TLS: Self = Self(1 << 4);
    /// The same, of DNS, over UDP and TCP.
    pub const DNS: Self = Self(1 << 5);
    /// Chunks also behind a gap: bytes that the receiver has, and that never came past. No hook of its own; without it the
    /// stream ends with a gap.
    pub const GAPS: Self = Self(1 << 6);

    /// Nothing of its flows may pass that cannot be shown to it as it wants to see it: an allow-list that lets pass what it
    /// was not asked about is none. What the exception policy would let pass is treated
    /// [as the strict profile does](super::ExceptionPolicy::failing_closed) in its flows: those that it
    /// [opens](super::Inspector::open), as long as it [wants](super::Inspector::wants) this of them. No hook of its own, and not
    /// in [`ALL`](Self::ALL).
    pub const FAIL_CLOSED: Self = Self(1 << 7);

    /// Messages of every protocol.
    pub const MESSAGES: Self = Self::HTTP.and(Self::TLS).and(Self::DNS);
    /// Every hook.
    pub const ALL: Self =
        Self::PACKETS.and(Self::END).and(Self::STREAM).and(Self::MESSAGES).and(Self::GAPS);
    /// What needs bytes in order.
    pub(crate) const IN_ORDER: Self = Self::STREAM.and(Self::MESSAGES);

    /// Both sets together, where `|` cannot stand.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are in this set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in this set.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether some hook is called for it.
    pub(crate) const fn has_hook(self) -> bool {
        self.intersects(Self::ALL.without(Self::GAPS))
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}
