//! Memory that is asked for ahead of its use.

/// What a cache takes in at a time, on most processors.
const LINE: usize = 64;
/// The most that is asked for of a value.
const MOST: usize = 4 * LINE;

/// Has a value brought into the cache, and does not wait for it, as reading it would.
#[inline(always)]
pub(super) fn fetch<T>(value: &T) {
    let start = core::ptr::from_ref(value).cast::<u8>();
    let len = size_of::<T>().min(MOST);
    for at in (0..len).step_by(LINE) {
        branches::prefetch_read_data::<_, 0>(start.wrapping_add(at));
    }
    // It may begin anywhere in a line.
    branches::prefetch_read_data::<_, 0>(start.wrapping_add(len.saturating_sub(1)));
}
