use alloc::vec::Vec;
use core::fmt;

/// SHA-256 of keys and of a whole token.
type Digest = [u8; 32];

/// Which tokens were signed by which keys, as far as there is room: a connection sends the same one with each request, and a
/// gateway in front sends those of many clients over one.
///
/// Nothing else is remembered of them: claims are looked at each time. Tokens that were not signed by the keys have few places, and
/// of their own: where several issuers have rules, each token of one was not signed by the keys of the others. Whoever sends many of
/// them pushes no signed one out.
#[derive(Clone, Default)]
pub(in crate::inspectors::api) struct Verified {
    signed: Places<8_192>,
    unsigned: Places<256>,
    request: OfRequest,
}

/// What was found of the token of one request, which several rules may ask about.
#[derive(Clone, Copy, Default)]
struct OfRequest {
    is_signed: bool,
    /// Found by verifying, not remembered.
    is_unsigned: bool,
}

impl Verified {
    /// Whether the token of a request cost verifying, and none of the keys that were tried had signed it. Begins the next request.
    pub(in crate::inspectors::api) fn was_in_vain(&mut self) -> bool {
        let OfRequest { is_signed, is_unsigned } = core::mem::take(&mut self.request);
        is_unsigned && !is_signed
    }

    /// Whether a token was signed by keys, of which both this is the digest: as it is remembered, or as `verify` says.
    pub(super) fn ask(&mut self, digest: Digest, verify: impl FnOnce() -> bool) -> bool {
        if self.signed.has(digest) {
            self.request.is_signed = true;
            return true;
        }
        if self.unsigned.has(digest) {
            return false;
        }
        let is_signed = verify();
        if is_signed {
            self.signed.put(digest);
            self.request.is_signed = true;
        } else {
            self.unsigned.put(digest);
            self.request.is_unsigned = true;
        }
        is_signed
    }
}

/// Digests, each of which has one place among so many: at most 65,536.
#[derive(Clone, Default)]
struct Places<const MOST: usize> {
    /// Made when it is first needed.
    places: Vec<Option<Digest>>,
}

impl<const MOST: usize> Places<MOST> {
    fn has(&self, digest: Digest) -> bool {
        self.places.get(Self::of(digest)) == Some(&Some(digest))
    }

    fn put(&mut self, digest: Digest) {
        if self.places.is_empty() {
            self.places.resize(MOST, None);
        }
        if let Some(place) = self.places.get_mut(Self::of(digest)) {
            *place = Some(digest);
        }
    }

    fn of([first, second, ..]: Digest) -> usize {
        usize::from(u16::from_be_bytes([first, second])).checked_rem(MOST).unwrap_or(0)
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

    /// As tokens of one issuer are under the keys of another.
    #[test]
    fn many_that_were_not_signed_are_remembered_and_push_nothing_out() {
        let mut verified = Verified::default();
        assert!(verified.ask([1; 32], || true));
        for number in 0..=255 {
            assert!(
                !verified.ask([number; 32].map(|byte| byte ^ 0x80), || false) || number == 0x81
            );
        }
        for number in (0..=255).filter(|number| *number != 0x81) {
            let digest = [number; 32].map(|byte| byte ^ 0x80);
            assert!(!verified.ask(digest, || true), "not asked again");
        }
        assert!(verified.ask([1; 32], || false));
    }

    #[test]
    fn only_what_cost_verifying_and_was_not_signed_is_in_vain() {
        let mut verified = Verified::default();
        let (of_a, of_b) = ([1; 32], [2; 32]);
        assert!(!verified.was_in_vain());
        verified.ask(of_a, || false);
        assert!(verified.was_in_vain() && !verified.was_in_vain());
        verified.ask(of_a, || false);
        assert!(!verified.was_in_vain(), "remembered");
        for [first, second] in [[of_a, of_b], [of_b, of_a]] {
            let mut verified = Verified::default();
            for digest in [first, second] {
                verified.ask(digest, || digest == of_b);
            }
            assert!(!verified.was_in_vain(), "signed by other keys");
            for digest in [first, second] {
                verified.ask(digest, || digest == of_b);
            }
            assert!(!verified.was_in_vain());
        }
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
