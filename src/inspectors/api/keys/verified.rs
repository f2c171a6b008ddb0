use alloc::vec::Vec;
use core::fmt;

/// SHA-256 of keys and of a whole token.
type Digest = [u8; 32];

/// Which tokens were signed by which keys, as far as there is room: a connection sends the same one with each request, and a
/// gateway in front sends those of many clients over one.
///
/// Nothing else is remembered of them: claims are looked at each time. A token that was not signed by the keys takes no place, but
/// for the last one, which other rules with the same keys may ask about.
#[derive(Clone, Default)]
pub(in crate::inspectors::api) struct Verified {
    /// Each digest has one place. Made when it is first needed.
    signed: Vec<Option<Digest>>,
    unsigned: Option<Digest>,
}

impl Verified {
    /// A quarter of a megabyte.
    const PLACES: usize = 8_192;

    /// Whether a token was signed by keys, of which both this is the digest: as it is remembered, or as `verify` says.
    pub(super) fn ask(&mut self, digest: Digest, verify: impl FnOnce() -> bool) -> bool {
        let [first, second, ..] = digest;
        let place = usize::from(u16::from_be_bytes([first, second])) % Self::PLACES;
        if self.signed.get(place) == Some(&Some(digest)) {
            return true;
        }
        if self.unsigned == Some(digest) {
            return false;
        }
        if !verify() {
            self.unsigned = Some(digest);
            return false;
        }
        if self.signed.is_empty() {
            self.signed.resize(Self::PLACES, None);
        }
        if let Some(place) = self.signed.get_mut(place) {
            *place = Some(digest);
        }
        true
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_is_not_asked_again() {
        let mut verified = Verified::default();
        let (mut asked, signed, unsigned) = (0, [1; 32], [2; 32]);
        let mut ask = |digest, is_signed| {
            verified.ask(digest, || {
                asked += 1;
                is_signed
            })
        };
        assert!(ask(signed, true) && ask(signed, false));
        assert!(!ask(unsigned, false) && !ask(unsigned, true));
        assert!(ask(signed, false));
        assert_eq!(asked, 2);
    }

    /// Two that have the same place, and more that were not signed: none is taken for another.
    #[test]
    fn digests_are_compared_whole() {
        let mut verified = Verified::default();
        let digest = |last| {
            let mut digest = [7; 32];
            digest[31] = last;
            digest
        };
        assert!(verified.ask(digest(1), || true));
        for other in 2..10 {
            assert!(!verified.ask(digest(other), || false));
        }
        assert!(verified.ask(digest(1), || false), "unsigned ones push nothing out");
        assert!(verified.ask(digest(2), || true), "asked again");
        assert!(!verified.ask(digest(1), || false), "its place is taken");
    }
}
