use std::fs::File;
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::UdpSettings;
use super::sys::{self, Receiver};
use crate::transport::{Wake, Waker};

/// How a worker waits for datagrams.
#[derive(Debug)]
pub(super) struct Waiting {
    longest: Duration,
    busy: Duration,
    sleep: Sleep,
}

#[derive(Debug)]
enum Sleep {
    /// In the call that receives: a single worker has nothing else to wait for. The value is how long the socket waits now.
    InReceive(Duration),
    /// For the socket or the event.
    InPoll(Arc<Event>),
}

#[derive(Debug)]
struct Event(File);

impl Waiting {
    pub(super) fn alone(settings: &UdpSettings) -> Self {
        Self::with(settings, Sleep::InReceive(Duration::ZERO))
    }

    pub(super) fn among_others(settings: &UdpSettings) -> io::Result<Self> {
        let event = Event(File::from(sys::event()?));
        Ok(Self::with(settings, Sleep::InPoll(Arc::new(event))))
    }

    fn with(settings: &UdpSettings, sleep: Sleep) -> Self {
        let longest = settings.longest_wait.min(UdpSettings::LONGEST_WAIT);
        Self { longest, busy: settings.busy_poll, sleep }
    }

    pub(super) fn waker(&self) -> Waker {
        match &self.sleep {
            Sleep::InReceive(_) => Waker::default(),
            Sleep::InPoll(event) => Waker::new(Arc::clone(event)),
        }
    }

    /// Messages that were received: none if there were none in time, or if the worker was woken.
    pub(super) fn receive(
        &mut self,
        receiver: &mut Receiver,
        socket: &UdpSocket,
        wait: Duration,
    ) -> io::Result<usize> {
        let mut wait = wait.min(self.longest);
        let mut take = |flags| match receiver.receive(socket.as_fd(), flags) {
            Err(error) if !is_over(&error) => Ok(0),
            taken => taken,
        };
        let busy = self.busy.min(wait);
        if !busy.is_zero() {
            let until = Instant::now().checked_add(busy);
            loop {
                let taken = take(libc::MSG_DONTWAIT)?;
                if taken > 0 {
                    return Ok(taken);
                }
                if until.is_none_or(|until| Instant::now() >= until) {
                    break;
                }
                core::hint::spin_loop();
            }
            wait = wait.saturating_sub(busy);
        }
        match &mut self.sleep {
            _ if wait.is_zero() => take(libc::MSG_DONTWAIT),
            Sleep::InReceive(set) => {
                let wait = rounded(wait, self.longest);
                if *set != wait {
                    socket.set_read_timeout(Some(wait))?;
                    *set = wait;
                }
                take(libc::MSG_WAITFORONE)
            }
            Sleep::InPoll(event) => {
                let taken = take(libc::MSG_DONTWAIT)?;
                if taken > 0 {
                    return Ok(taken);
                }
                let ready = match sys::wait_readable([socket.as_fd(), event.0.as_fd()], wait) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
                    ready => ready?,
                };
                let [has_datagrams, is_woken] = ready;
                if is_woken {
                    event.clear();
                }
                if has_datagrams { take(libc::MSG_DONTWAIT) } else { Ok(0) }
            }
        }
    }
}

impl Event {
    fn clear(&self) {
        // It cannot fail but by being clear already.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl Wake for Arc<Event> {
    fn wake(&self) {
        // It cannot fail but by being as full as a counter can be, which wakes too.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }
}

/// One of a few waits, no longer than this one, but for those below a millisecond, which the kernel's clock does not know:
/// so the socket need not be told another with each burst.
fn rounded(wait: Duration, longest: Duration) -> Duration {
    if wait >= longest {
        return longest.max(Duration::from_micros(1));
    }
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(1_u64.wrapping_shl(millis.ilog2()))
}

/// Whether a socket is no good any more.
fn is_over(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        None | Some(libc::EBADF | libc::ENOTSOCK | libc::EINVAL | libc::EFAULT | libc::EOPNOTSUPP)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_one_of_few() {
        let longest = Duration::from_millis(100);
        let of = |micros| rounded(Duration::from_micros(micros), longest).as_millis();
        assert_eq!(
            [1, 999, 1_000, 1_999, 2_000, 63_999, 64_000, 99_999, 100_000, 1 << 40].map(of),
            [1, 1, 1, 1, 2, 32, 64, 64, 100, 100]
        );
    }
}
