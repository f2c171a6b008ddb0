/// A few bytes that may come in pieces: a header that is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partial<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Partial<N> {
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, when they are there; then it is empty again.
    #[inline]
    pub(super) fn fill(&mut self, rest: &mut &[u8]) -> Option<[u8; N]> {
        if self.len == 0 {
            if let Some((bytes, after)) = rest.split_first_chunk() {
                *rest = after;
                return Some(*bytes);
            }
        }
        for place in self.bytes.iter_mut().skip(usize::from(self.len)) {
            let (byte, after) = rest.split_first()?;
            *place = *byte;
            *rest = after;
            self.len = self.len.saturating_add(1);
        }
        self.len = 0;
        Some(self.bytes)
    }
}

impl<const N: usize> Default for Partial<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0 }
    }
}
