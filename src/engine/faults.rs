use core::time::Duration;
use std::panic::resume_unwind;

/// What is to go wrong, so that it can be seen what the policies make of it.
///
/// Panics are raised without a message on the standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// There is no room for a new flow.
    pub flow_table_full: bool,
    /// There is no room to follow the bytes of another connection.
    pub stream_memory_full: bool,
    /// There is no room for a new datagram in fragments.
    pub fragment_memory_full: bool,
    /// The inspectors panic when they are asked about a packet, after they were asked about so many more: 0 is the
    /// next.
    pub panic_after: Option<u64>,
    /// After they were asked about so many more packets, the inspectors take so much longer for one. Nobody waits: the
    /// [`Budget`](super::Budget) is told so.
    pub delay_after: Option<(u64, Duration)>,
}

impl Faults {
    /// Called for each packet that inspectors are asked about: panics, or gives the delay.
    pub(super) fn strike(&mut self) -> Duration {
        match self.panic_after.map(|left| left.checked_sub(1)) {
            None => {}
            Some(Some(left)) => self.panic_after = Some(left),
            Some(None) => {
                self.panic_after = None;
                resume_unwind(alloc::boxed::Box::new("a fault was asked for"));
            }
        }
        match self.delay_after.map(|(left, delay)| (left.checked_sub(1), delay)) {
            None => Duration::ZERO,
            Some((Some(left), delay)) => {
                self.delay_after = Some((left, delay));
                Duration::ZERO
            }
            Some((None, delay)) => {
                self.delay_after = None;
                delay
            }
        }
    }
}
