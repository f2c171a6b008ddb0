//! What waits to be written: a bounded queue between those who must not wait and a thread that may.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Whole records, one behind the other, of at most so many bytes together.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Bytes that may wait.
    most: usize,
    /// Whether who finds no room waits for it.
    is_lossless: bool,
    queue: Mutex<Queue>,
    /// There is something to write.
    filled: Condvar,
    /// There is room again.
    emptied: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// No more will come.
    is_closed: bool,
}

/// Records are gathered so long before they are written, unless there are many.
const GATHER: Duration = Duration::from_millis(50);

impl Backlog {
    pub(super) fn new(most: usize, is_lossless: bool) -> Self {
        let queue = Queue { bytes: Vec::with_capacity(most), ..Queue::default() };
        Self {
            most,
            is_lossless,
            queue: Mutex::new(queue),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Queues a record, or counts that it found no room.
    pub(super) fn give(&self, record: &[u8]) {
        let mut queue = self.lock();
        loop {
            let len = queue.bytes.len().saturating_add(record.len());
            // One that could never be queued is lost in any case.
            let may_wait = self.is_lossless && !queue.bytes.is_empty();
            if queue.is_closed || (len > self.most && !may_wait) {
                drop(queue);
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if len <= self.most {
                break;
            }
            queue = self.emptied.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let half = self.most / 2;
        let before = queue.bytes.len();
        queue.bytes.extend_from_slice(record);
        let is_due = before == 0 || (before < half && queue.bytes.len() >= half);
        drop(queue);
        if is_due {
            self.filled.notify_one();
        }
    }

    /// Waits for records, and exchanges them for `bytes`, which is empty; `false` where no more will come. For one thread.
    pub(super) fn take(&self, bytes: &mut Vec<u8>) -> bool {
        let mut queue = self.lock();
        while queue.bytes.is_empty() && !queue.is_closed {
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.bytes.len() < self.most / 2 && !queue.is_closed {
            let waited = self.filled.wait_timeout(queue, GATHER);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        core::mem::swap(&mut queue.bytes, bytes);
        drop(queue);
        self.emptied.notify_all();
        !bytes.is_empty()
    }

    /// What comes from now on is dropped.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_one();
        self.emptied.notify_all();
    }

    /// Records that found no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let backlog = Backlog::new(10, false);
        backlog.give(b"12345678");
        backlog.give(b"123");
        backlog.give(b"12");
        backlog.give(b"longer than the queue");
        assert_eq!(backlog.dropped(), 2);
        let mut bytes = Vec::new();
        assert!(backlog.take(&mut bytes));
        assert_eq!(bytes, b"1234567812");
        bytes.clear();
        backlog.give(b"1");
        backlog.close();
        backlog.give(b"too late");
        assert!(backlog.take(&mut bytes));
        assert_eq!(bytes, b"1");
        bytes.clear();
        assert!(!backlog.take(&mut bytes));
        assert_eq!(backlog.dropped(), 3);
    }

    #[test]
    fn nothing_is_lost_where_nothing_may_be() {
        let backlog = Arc::new(Backlog::new(64, true));
        let its = Arc::clone(&backlog);
        let taken = std::thread::spawn(move || {
            let (mut all, mut bytes) = (Vec::new(), Vec::new());
            while its.take(&mut bytes) {
                all.append(&mut bytes);
            }
            all
        });
        let mut expected = Vec::new();
        for number in 0..1_000_u32 {
            let record = format!("record {number}\n");
            backlog.give(record.as_bytes());
            expected.extend_from_slice(record.as_bytes());
        }
        backlog.close();
        assert_eq!(taken.join().unwrap(), expected);
        assert_eq!(backlog.dropped(), 0);
    }
}
