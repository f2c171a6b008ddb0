//! Memory that is asked for ahead of its use.

/// Has a value brought into the cache, and does not wait for it. Where the processor cannot be asked for that, `read` reads
/// something of each line that it stands in, which overlaps less.
#[inline(always)]
pub(super) fn fetch<T>(value: &T, read: impl FnOnce(&T) -> u64) {
    #[cfg(all(feature = "live", any(target_arch = "aarch64", target_arch = "x86_64")))]
    {
        let _ = read;
        crate::transport::prefetch(value);
    }
    #[cfg(not(all(feature = "live", any(target_arch = "aarch64", target_arch = "x86_64"))))]
    core::hint::black_box(read(value));
}
