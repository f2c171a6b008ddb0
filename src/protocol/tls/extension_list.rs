//! Lists inside extensions, which are read as far as they go: servers differ in what they make of the rest.

/// A list with two bytes of length before it, as far as it goes, and whether it fills the extension.
pub(super) fn medium(data: &[u8]) -> (&[u8], bool) {
    match data.split_first_chunk() {
        Some((len, rest)) => cut(rest, usize::from(u16::from_be_bytes(*len))),
        None => (&[], false),
    }
}

/// The same with one byte of length.
pub(super) fn short(data: &[u8]) -> (&[u8], bool) {
    match data.split_first() {
        Some((len, rest)) => cut(rest, usize::from(*len)),
        None => (&[], false),
    }
}

fn cut(rest: &[u8], len: usize) -> (&[u8], bool) {
    (rest.get(..len).unwrap_or(rest), rest.len() == len)
}

/// Keeps a list of two-byte codes and says whether it is whole.
pub(super) fn pairs<'a>((list, is_whole): (&'a [u8], bool), to: &mut &'a [u8]) -> (&'a [u8], bool) {
    *to = list;
    (list, is_whole && list.len() & 1 == 0)
}
