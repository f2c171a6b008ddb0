use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::EveSettings;

/// Where records go: a queue of so many bytes, which a thread writes out. Cloned, it is the same queue.
///
/// Who records waits for no disk. A record that finds no room is counted and forgotten, unless the
/// [settings](EveSettings::is_lossless) say that nothing may be lost: then who records writes, too, as soon as there is much.
#[derive(Clone)]
pub struct Eve {
    shared: Arc<Shared>,
}

struct Shared {
    settings: EveSettings,
    queue: Mutex<Queue>,
    /// Locked by who has the queue locked, which is released meanwhile: so pieces are written in their order.
    output: Mutex<Output>,
    /// There is something to write.
    filled: Condvar,
    written: AtomicU64,
    dropped: AtomicU64,
    /// The frames that are judged at the moment; 0 for none.
    frames: [AtomicU64; MOST],
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    records: u64,
    /// The thread waits for something to write.
    is_idle: bool,
    /// No more will come.
    is_closed: bool,
    /// What was queued could not be written.
    has_failed: bool,
    /// Why, until somebody is told.
    error: Option<io::Error>,
}

struct Output {
    write: Box<dyn Write + Send>,
    /// Changes places with what is queued.
    spare: Vec<u8>,
}

/// Bytes that are enough to be written, or half of what may wait. Who writes takes them from the cache of who records; the more
/// they are, the more of them are no longer there.
const ENOUGH: usize = 256 << 10;

/// The same where who records writes.
const ENOUGH_AT_HAND: usize = 64 << 10;

/// Datagrams of a burst whose frames are known.
const MOST: usize = 64;

/// Records are gathered so long before they are written, unless there are many.
const GATHER: Duration = Duration::from_millis(50);

impl Eve {
    /// Begins to write records to `output`, from a thread of its own.
    ///
    /// # Errors
    ///
    /// Where there can be no thread.
    pub fn start<W>(output: W, settings: EveSettings) -> io::Result<(Self, EveWriter)>
    where
        W: Write + Send + 'static,
    {
        let spare = Vec::with_capacity(settings.queue);
        let queue = Queue { bytes: Vec::with_capacity(settings.queue), ..Queue::default() };
        let shared = Arc::new(Shared {
            settings,
            queue: Mutex::new(queue),
            output: Mutex::new(Output { write: Box::new(output), spare }),
            filled: Condvar::new(),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            frames: [const { AtomicU64::new(0) }; MOST],
        });
        let its = Arc::clone(&shared);
        let thread = thread::Builder::new().name("eve".into()).spawn(move || its.write())?;
        Ok((Self { shared: Arc::clone(&shared) }, EveWriter { shared, thread: Some(thread) }))
    }

    /// What is recorded.
    pub fn settings(&self) -> &EveSettings {
        &self.shared.settings
    }

    /// Records that were written.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Records that found no room, or could not be written.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Says which frames of a capture the datagrams of the next burst are, for the records that come of them: the first 64 of a
    /// burst, in its order.
    pub fn at_frames(&self, numbers: impl IntoIterator<Item = u64>) {
        let numbers = numbers.into_iter().chain(core::iter::repeat(0));
        for (place, number) in self.shared.frames.iter().zip(numbers) {
            place.store(number, Ordering::Relaxed);
        }
    }

    /// The frame of the datagram at a place of the burst, if it is known.
    pub(super) fn frame(&self, datagram: Option<usize>) -> Option<u64> {
        let number = self.shared.frames.get(datagram?)?.load(Ordering::Relaxed);
        Some(number).filter(|number| *number > 0)
    }

    /// Queues whole lines.
    pub(super) fn give(&self, lines: &[u8]) {
        let Shared { settings, filled, dropped, .. } = &*self.shared;
        let mut queue = self.shared.lock();
        let has_room = |queue: &Queue| {
            queue.bytes.len().saturating_add(lines.len()) <= settings.queue
                && !queue.has_failed
                && !queue.is_closed
        };
        if settings.is_lossless && !queue.bytes.is_empty() && !has_room(&queue) {
            queue = self.shared.write_out(queue);
        }
        if !has_room(&queue) {
            dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = queue.bytes.len();
        queue.bytes.extend_from_slice(lines);
        queue.records = queue.records.saturating_add(1);
        let after = queue.bytes.len();
        if settings.is_lossless && after >= settings.enough().min(ENOUGH_AT_HAND) {
            drop(self.shared.write_out(queue));
            return;
        }
        let enough = settings.enough();
        let is_due = queue.is_idle || (before < enough && after >= enough);
        queue.is_idle = false;
        drop(queue);
        if is_due {
            filled.notify_one();
        }
    }
}

impl EveSettings {
    fn enough(&self) -> usize {
        ENOUGH.min(self.queue / 2)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until no more will come.
    fn write(&self) {
        let mut queue = self.lock();
        while !queue.has_failed {
            while queue.bytes.is_empty() && !queue.is_closed {
                queue.is_idle = true;
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.is_idle = false;
            if queue.bytes.len() < self.settings.enough() && !queue.is_closed {
                let waited = self.filled.wait_timeout(queue, GATHER);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if queue.bytes.is_empty() && queue.is_closed {
                break;
            }
            queue = self.write_out(queue);
        }
    }

    /// Writes what is queued. The queue is not locked meanwhile.
    fn write_out<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Output { write, spare } = &mut *output;
        core::mem::swap(&mut queue.bytes, spare);
        let records = core::mem::take(&mut queue.records);
        let had_failed = queue.has_failed;
        drop(queue);
        let result = match had_failed {
            true => Err(io::ErrorKind::Other.into()),
            false => write.write_all(spare).and_then(|()| write.flush()),
        };
        spare.clear();
        drop(output);
        let mut queue = self.lock();
        match result {
            Ok(()) => _ = self.written.fetch_add(records, Ordering::Relaxed),
            Err(error) => {
                // The first one tells why.
                queue.error = queue.error.take().or(Some(error).filter(|_| !queue.has_failed));
                queue.has_failed = true;
                let lost = records.saturating_add(core::mem::take(&mut queue.records));
                queue.bytes.clear();
                self.dropped.fetch_add(lost, Ordering::Relaxed);
            }
        }
        queue
    }
}

impl fmt::Debug for Eve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eve")
            .field("settings", self.settings())
            .field("written", &self.written())
            .field("dropped", &self.dropped())
            .finish()
    }
}

/// The thread that writes records. Dropped, it writes what is queued and ends.
pub struct EveWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl EveWriter {
    /// Writes what is queued. Records that come after are counted as dropped.
    ///
    /// # Errors
    ///
    /// The one that kept records from being written.
    pub fn finish(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.shared.lock().is_closed = true;
        self.shared.filled.notify_one();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            return Err(io::Error::other("the thread that writes records has panicked"));
        }
        self.shared.lock().error.take().map_or(Ok(()), Err)
    }
}

impl Drop for EveWriter {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl fmt::Debug for EveWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EveWriter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes what is written, each piece only once it is let.
    struct Slow(mpsc::Sender<Vec<u8>>, mpsc::Receiver<()>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            let _ = self.1.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let (written, pieces) = mpsc::channel();
        let (go_on, may) = mpsc::channel();
        let settings = EveSettings { queue: 10, ..EveSettings::default() };
        let (eve, writer) = Eve::start(Slow(written, may), settings).unwrap();
        eve.give(b"12345678\n");
        assert_eq!(pieces.recv().unwrap(), b"12345678\n");
        // The disk is busy: ten bytes more, and no eleventh.
        eve.give(b"1234\n");
        eve.give(b"1234\n");
        eve.give(b"\n");
        eve.give(b"longer than the queue\n");
        assert_eq!(eve.dropped(), 2);
        drop(go_on);
        writer.finish().unwrap();
        assert_eq!(pieces.iter().next().unwrap(), b"1234\n1234\n");
        assert_eq!((eve.written(), eve.dropped()), (3, 2));
        eve.give(b"too late\n");
        assert_eq!(eve.dropped(), 3);
    }

    #[test]
    fn nothing_is_lost_where_nothing_may_be() {
        let (written, pieces) = mpsc::channel();
        let (go_on, may) = mpsc::channel();
        drop(go_on);
        let settings = EveSettings { queue: 64, is_lossless: true, ..EveSettings::default() };
        let (eve, writer) = Eve::start(Slow(written, may), settings).unwrap();
        let mut expected = Vec::new();
        for number in 0..1_000 {
            let line = format!("record {number}\n");
            eve.give(line.as_bytes());
            expected.extend_from_slice(line.as_bytes());
        }
        writer.finish().unwrap();
        assert_eq!(pieces.iter().flatten().collect::<Vec<_>>(), expected);
        assert_eq!((eve.written(), eve.dropped()), (1_000, 0));
    }

    #[test]
    fn a_full_disk_is_told_and_stops_nobody() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let settings = EveSettings { queue: 8, is_lossless: true, ..EveSettings::default() };
        let (eve, writer) = Eve::start(Full, settings).unwrap();
        for _ in 0..100 {
            eve.give(b"record\n");
        }
        let error = writer.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!((eve.written(), eve.dropped()), (0, 100));
    }
}
