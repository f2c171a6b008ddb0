use core::ptr::NonNull;
use std::alloc::{self, Layout, handle_alloc_error};

/// An array on the heap that the kernel is told to write to.
///
/// What is told, and kept from call to call, are pointers from [`at`](Self::at). They stay valid because nothing here
/// makes a reference to the array but for as long as a borrow of this lasts, and during a system call there is none.
/// Large arrays are not touched before they are used.
#[derive(Debug)]
pub(super) struct Memory<T: Plain> {
    start: NonNull<T>,
    len: usize,
}

/// Types of which any bytes are a value, all zero bytes among them.
///
/// # Safety
///
/// That must be true, and dropping one must do nothing.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: any bytes are an integer.
unsafe impl Plain for u8 {}
// SAFETY: integers and raw pointers in C layout, of which any bytes are a value; to follow such a pointer is what takes
// unsafe code.
unsafe impl Plain for libc::mmsghdr {}
// SAFETY: an integer and a raw pointer.
unsafe impl Plain for libc::iovec {}
// SAFETY: integers.
unsafe impl Plain for libc::sockaddr_in {}
// SAFETY: integers.
unsafe impl<const N: usize> Plain for [u64; N] {}

// SAFETY: it owns what it points to, as a `Box<[T]>` does, and plain values may move between threads: the raw pointers
// among them are used by nobody but the owner of all the arrays that they point into.
unsafe impl<T: Plain> Send for Memory<T> {}

impl<T: Plain> Memory<T> {
    /// All zero. `len` is at least one.
    pub(super) fn zeroed(len: usize) -> Self {
        let len = len.max(1);
        let layout = Self::layout(len);
        // SAFETY: the layout is not of size zero, since neither `len` nor any plain type in use is.
        let start = unsafe { alloc::alloc_zeroed(layout) };
        let start = NonNull::new(start.cast()).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, len }
    }

    /// A pointer to element `index`, with the right to access the whole array, for the kernel to use.
    pub(super) fn at(&self, index: usize) -> *mut T {
        assert!(index < self.len, "an element of the array");
        // SAFETY: it stays within the array, as was just checked.
        unsafe { self.start.as_ptr().add(index) }
    }

    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: all `len` elements are initialised, and live as long as the borrow. The kernel writes to them only in calls
        // that take their owner by `&mut`.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and the borrow is the only one.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    fn layout(len: usize) -> Layout {
        match Layout::array::<T>(len) {
            Ok(layout) => layout,
            Err(_) => handle_alloc_error(Layout::new::<T>()),
        }
    }
}

impl<T: Plain> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nothing refers to it any more: borrows have ended, and the kernel keeps no
        // pointers after a call.
        unsafe { alloc::dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) };
    }
}
