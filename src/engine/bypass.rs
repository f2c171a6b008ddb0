//! The panic switch: everything passes, and nobody looks at it.

use super::intake::Malformed;
use super::state::State;
use super::{Datagram, Engine, Outcome, Output};
use crate::gwlb::Envelope;
use crate::inspect::{Exception, Inspector, Reason, Rewriter};

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Lets everything pass, or no longer. Said again, it changes nothing.
    ///
    /// What comes in an envelope of the [profile](super::Settings::profile) is then forwarded as it is, whatever is in
    /// it: its flow is not looked for, no inspector is asked, nothing is edited and nothing answered. It is counted as
    /// [`bypassed`](super::Counters::bypassed). What is in no such envelope belongs to nobody and is treated as ever.
    ///
    /// Afterwards flows go on as if their inspectors had been [reloaded](super::Flows::Reopen): those that the engine knew before are
    /// opened anew, as ones whose beginning was not seen, and where their bytes are is learnt anew; refused ones stay refused.
    /// Those that began meanwhile are [midstream](Exception::Midstream), and so are those that were idle for too long as
    /// far as the engine could see.
    pub const fn bypass(&mut self, on: bool) {
        if self.is_bypassed && !on {
            self.panel.epoch = self.panel.epoch.wrapping_add(1);
            self.panel.blind_until = Some(self.panel.epoch);
        }
        self.is_bypassed = on;
    }

    /// Whether everything passes.
    pub const fn is_bypassed(&self) -> bool {
        self.is_bypassed
    }

    /// The outcomes for a burst that nobody looks at.
    #[cold]
    pub(super) fn pass_all(&mut self, burst: &[Datagram<'_>], output: &mut Output) {
        output.clear();
        for datagram in burst {
            let outcome = match Envelope::parse(datagram.payload(), &self.settings.profile) {
                Ok(_) => {
                    self.counters.bypassed = self.counters.bypassed.wrapping_add(1);
                    Outcome::FORWARD
                }
                Err(error) => self.malformed(&Malformed {
                    exception: Exception::MalformedEnvelope,
                    reason: Reason::new(error.reason()),
                    endpoint: None,
                }),
            };
            output.outcomes.push(outcome);
        }
        self.account(output);
    }
}

impl<F> State<F> {
    /// Forgets where the bytes of the flow are, if they went on unseen since it was last opened. `epoch` is the present one.
    pub(super) const fn wake(&mut self, epoch: u8, blind_until: Option<u8>) {
        if let Some(end) = blind_until {
            if epoch.wrapping_sub(self.epoch) > epoch.wrapping_sub(end) {
                self.forget_sequence();
            }
        }
    }
}
