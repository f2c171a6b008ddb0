//! Memory that is about to be used. Here, and not beside the memory, as it takes unsafe code.
#![allow(unsafe_code, reason = "a hint to the processor, by intrinsics or in assembly")]

/// What a cache takes in at a time, on most processors.
const LINE: usize = 64;
/// The most that is asked for of a value.
const MOST: usize = 4 * LINE;

/// Asks the processor to bring a value into its cache, and does not wait for it.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    let start = core::ptr::from_ref(value).cast::<u8>();
    let len = size_of::<T>().min(MOST);
    for at in (0..len).step_by(LINE) {
        line(start.wrapping_add(at));
    }
    // It may begin anywhere in a line.
    line(start.wrapping_add(len.saturating_sub(1)));
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn line(at: *const u8) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    // SAFETY: the instruction is a hint: it reads and writes nothing that a program could see and raises no fault, whatever the
    // address. It is part of SSE, which all processors of this architecture have.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn line(at: *const u8) {
    // SAFETY: the instruction is a hint: it reads and writes nothing that a program could see and raises no fault, whatever the
    // address. It is in the base instruction set, touches no flags and no stack.
    unsafe {
        core::arch::asm!(
            "prfm pldl1keep, [{at}]",
            at = in(reg) at,
            options(nostack, preserves_flags, readonly)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Would catch: a pointer that is followed.
    #[test]
    fn any_address_may_be_asked_for() {
        line(core::ptr::null());
        line(core::ptr::without_provenance(usize::MAX));
        prefetch(&[0_u8; 1_000]);
        prefetch(&());
    }
}
