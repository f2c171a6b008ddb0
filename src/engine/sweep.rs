use super::{Engine, Output};
use crate::Timestamp;
use crate::inspect::{Inspector, Rewriter};

/// So many flows are looked at in one go, at most, to find those whose time is over.
pub(super) const SWEEP: usize = 256;

/// Higher than all steps of the table's time.
pub(super) const NOT_SWEPT: u64 = u64::MAX;

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Ends flows whose time is over before a packet is judged, so that it does not matter when else that is done.
    #[inline]
    pub(super) fn sweep(&mut self, now: Timestamp, output: &mut Output) {
        if self.step_of(now) != self.swept {
            self.sweep_until(now, output);
        }
    }

    #[cold]
    fn sweep_until(&mut self, now: Timestamp, output: &mut Output) {
        let Self { table, panel, .. } = self;
        let events = &mut output.events;
        let looked_at = table.expire(now, SWEEP, &mut |flow| panel.ended(flow, now, events));
        // Where there is more, the next packet goes on: no packet waits for a whole flood to be swept.
        self.swept = NOT_SWEPT;
        if looked_at < SWEEP {
            // The table counts from the first datagram on, and anew from a clock that was set back. Those that find no
            // flow count as well: who looks for the ends of flows may have their time for the latest.
            self.phase = self.table.swept_until().as_nanos();
            self.swept = self.step_of(now);
        }
    }

    /// A number for the step of the table's time-outs, 2^24 ns, that a moment is in.
    #[inline]
    const fn step_of(&self, now: Timestamp) -> u64 {
        now.as_nanos().wrapping_sub(self.phase) >> 24
    }
}
