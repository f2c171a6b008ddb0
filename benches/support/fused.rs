//! Checksum and copy in one pass: what is measured against one after the other.

/// Copies bytes to as many others, and gives the sum of their words of 64 bits in one of 128, as `Checksum` sums.
pub(crate) fn in_words(from: &[u8], to: &mut [u8]) -> u128 {
    let mut sum = 0;
    for (block, place) in from.chunks_exact(32).zip(to.chunks_exact_mut(32)) {
        place.copy_from_slice(block);
        for word in block.chunks_exact(8) {
            sum += u128::from(u64::from_ne_bytes(word.try_into().expect("eight bytes")));
        }
    }
    sum + copy_rest(from.chunks_exact(32).remainder(), to)
}

/// The same as compilers put it into vector registers: words of 32 bits into four sums of 64.
pub(crate) fn in_vectors(from: &[u8], to: &mut [u8]) -> u128 {
    let mut sums = [0_u64; 4];
    for (block, place) in from.chunks_exact(16).zip(to.chunks_exact_mut(16)) {
        place.copy_from_slice(block);
        for (sum, word) in sums.iter_mut().zip(block.chunks_exact(4)) {
            *sum += u64::from(u32::from_ne_bytes(word.try_into().expect("four bytes")));
        }
    }
    sums.into_iter().map(u128::from).sum::<u128>()
        + copy_rest(from.chunks_exact(16).remainder(), to)
}

/// The same of the few bytes that are left, to the end of the others.
fn copy_rest(rest: &[u8], to: &mut [u8]) -> u128 {
    let done = to.len() - rest.len();
    to[done..].copy_from_slice(rest);
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    let words = last.chunks_exact(8).filter_map(|word| word.first_chunk());
    words.map(|word| u128::from(u64::from_ne_bytes(*word))).sum()
}

/// Adds the carries in: the checksum, but of bytes that are all zero.
pub(crate) fn fold(sum: u128) -> u16 {
    !u16::from_be_bytes(((sum % 0xffff) as u16).to_ne_bytes())
}
