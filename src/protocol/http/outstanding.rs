/// What has to be known of a request to understand the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Ordinary,
    Head,
    Connect,
    Http09,
}

impl Asked {
    const fn bits(self) -> u128 {
        match self {
            Self::Ordinary => 0,
            Self::Head => 1,
            Self::Connect => 2,
            Self::Http09 => 3,
        }
    }
}

/// The requests that are not answered yet, two bits for each: the oldest in the lowest ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outstanding {
    bits: u128,
    len: u32,
    /// The number of the oldest one.
    number: u64,
}

impl Outstanding {
    pub(super) const MOST: u32 = 64;

    /// False where there are too many already.
    pub(super) const fn push(&mut self, asked: Asked) -> bool {
        if self.len >= Self::MOST {
            return false;
        }
        self.bits |= asked.bits().wrapping_shl(self.len.wrapping_mul(2));
        self.len = self.len.wrapping_add(1);
        true
    }

    /// The oldest one, and its number.
    pub(super) const fn front(&self) -> Option<(Asked, u64)> {
        let asked = match self.bits & 3 {
            _ if self.len == 0 => return None,
            0 => Asked::Ordinary,
            1 => Asked::Head,
            2 => Asked::Connect,
            _ => Asked::Http09,
        };
        Some((asked, self.number))
    }

    pub(super) const fn pop(&mut self) {
        if let Some(len) = self.len.checked_sub(1) {
            self.len = len;
            self.bits = self.bits.wrapping_shr(2);
            self.number = self.number.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_fit_and_come_out_in_their_order() {
        let kinds = [Asked::Ordinary, Asked::Head, Asked::Connect, Asked::Http09];
        let mut outstanding = Outstanding::default();
        let mut pushed = kinds.into_iter().cycle();
        let mut popped = kinds.into_iter().cycle();
        // Not only from the empty state: the ring must hold after many rounds.
        for number in 0..1_000 {
            while outstanding.len < Outstanding::MOST {
                assert!(outstanding.push(pushed.next().unwrap()));
            }
            assert!(!outstanding.push(Asked::Head));
            assert_eq!(outstanding.front(), Some((popped.next().unwrap(), number)));
            outstanding.pop();
        }
        for _ in 0..64 {
            outstanding.pop();
        }
        assert_eq!(outstanding.front(), None);
    }
}
