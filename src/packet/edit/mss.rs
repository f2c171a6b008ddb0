use super::{Kind, PacketMut};
use crate::packet::{TcpFlags, TcpOption, TcpSegment};

/// A tunnel takes room from packets; TCP is told by what its SYN announces.
impl PacketMut<'_> {
    /// Lowers the maximum segment size that a TCP SYN announces to `max` bytes, and says whether it did.
    ///
    /// It never raises it and never adds the option (without one the peer sends at most 536 bytes over IPv4 and
    /// 1,220 over IPv6, RFC 9293 §3.7.1). Everything but a SYN or SYN-ACK is left alone, and so are options behind
    /// one that is malformed.
    pub fn clamp_mss(&mut self, max: u16) -> bool {
        let mut clamped = false;
        // Each turn lowers one option, so a segment that repeats it takes as many turns, and one more.
        while let Some(at) = self.mss_above(max) {
            let (before, after) = self.put(at, &max.to_be_bytes());
            self.update_upper(before, after);
            clamped = true;
        }
        clamped
    }

    /// Where the first maximum segment size of more than `max` is.
    fn mss_above(&self, max: u16) -> Option<usize> {
        if self.upper.kind != Kind::Tcp || self.is_authenticated {
            return None;
        }
        let segment = TcpSegment::parse(self.bytes().get(self.upper.at..)?).ok()?;
        if !segment.flags().contains(TcpFlags::SYN) {
            return None;
        }
        let mut options = segment.options();
        while let Some(Ok(option)) = options.next() {
            if matches!(option, TcpOption::MaximumSegmentSize(mss) if mss > max) {
                // Its two bytes are the last before what has not been looked at yet.
                let end = self.upper.payload.0.checked_sub(options.rest().len())?;
                return end.checked_sub(2);
            }
        }
        None
    }
}
