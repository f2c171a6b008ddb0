use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::{UdpSettings, sys};
use crate::Timestamp;
use crate::gwlb::Tos;

/// Sees to it that the kernel tells the type of service of datagrams as long as that says something: it costs a control
/// message for each, and load balancers send 0 in all of them.
#[derive(Debug)]
pub(super) struct TypeOfService {
    /// `None` where it is never asked for, or always.
    sample: Option<Duration>,
    /// Buffers with 0, one after the other.
    zeros: usize,
    /// When to ask again, if it is not asked for now.
    again: Option<Timestamp>,
}

/// So many with 0 make it likely that the next one has 0 too.
const ENOUGH: usize = 1_024;

/// Has the kernel tell it, or no longer, with what is received from now on.
pub(super) fn ask(socket: BorrowedFd<'_>, is_asked: bool) -> io::Result<()> {
    sys::set_option(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, is_asked.into())
}

impl TypeOfService {
    /// It must have been [asked](ask) for, if the policy wants it.
    pub(super) fn new(settings: &UdpSettings) -> Self {
        let sample = settings.tos_sample.filter(|_| settings.reply.tos == Tos::Received);
        Self { sample, zeros: 0, again: None }
    }

    /// Takes note of those of a burst that was received `now`.
    #[inline]
    pub(super) fn note(
        &mut self,
        now: Timestamp,
        values: impl Iterator<Item = u8>,
        socket: BorrowedFd<'_>,
    ) {
        let Some(is_asked) = self.next(now, values) else { return };
        if let Err(error) = ask(socket, is_asked) {
            tracing::warn!(%error, "the type of service of datagrams is no longer sampled");
            self.sample = None;
        }
    }

    /// Whether to ask for it from now on, if that changes.
    fn next(&mut self, now: Timestamp, values: impl Iterator<Item = u8>) -> Option<bool> {
        let sample = self.sample?;
        if let Some(again) = self.again {
            // A clock that was set back does not put it off.
            let is_due = now >= again || again.saturating_since(now) > sample;
            return is_due.then(|| {
                self.again = None;
                true
            });
        }
        for value in values {
            self.zeros = if value == 0 { self.zeros.saturating_add(1) } else { 0 };
        }
        (self.zeros >= ENOUGH).then(|| {
            self.again = Some(now.saturating_add(sample));
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(1 << 60).saturating_add(Duration::from_millis(millis))
    }

    #[test]
    fn it_is_sampled_until_it_says_something() {
        let mut tos = TypeOfService::new(&UdpSettings::default());
        let (zeros, mixed) = ([0; 64], [0, 0x28, 0]);
        for millis in 0..15 {
            assert_eq!(tos.next(at(millis), zeros.into_iter()), None);
        }
        assert_eq!(tos.next(at(15), zeros.into_iter()), Some(false));
        // What is not asked for is 0.
        assert_eq!(tos.next(at(500), [0].into_iter()), None);
        assert_eq!(tos.next(at(1_015), [0].into_iter()), Some(true));
        assert_eq!(tos.next(at(1_016), [0].into_iter()), Some(false));
        assert_eq!(tos.next(at(2_016), [0].into_iter()), Some(true));
        assert_eq!(tos.next(at(2_017), mixed.into_iter()), None);
        for millis in 0..15 {
            assert_eq!(tos.next(at(2_100 + millis), zeros.into_iter()), None);
        }
        assert_eq!(tos.next(at(9_000), zeros.into_iter()), Some(false));
        // The clock is set back.
        assert_eq!(tos.next(at(0), [0].into_iter()), Some(true));
    }

    #[test]
    fn it_is_always_asked_for_or_never() {
        let always = UdpSettings { tos_sample: None, ..UdpSettings::default() };
        let mut never = UdpSettings::default();
        never.reply.tos = Tos::Fixed(0);
        for settings in [always, never] {
            let mut tos = TypeOfService::new(&settings);
            assert_eq!(tos.next(at(0), [0; 5_000].into_iter()), None);
        }
    }
}
