use super::panel::contained;
use super::state::{Inspection, Refused, Whom};
use super::{Datagram, Disposition, Engine, Event, EventKind, Outcome, Output};
use crate::flow::{FlowId, Part, Relation};
use crate::gwlb::Envelope;
use crate::inspect::{
    CloseReason, Exception, Inspector, Interest, ParsedPacket, Reason, Rewriter, Treatment,
};
use crate::packet::PacketMut;

/// What is to be changed in a datagram once its burst is judged: until then nobody may touch it.
pub(super) struct Edit<P> {
    /// Its place in the burst.
    pub(super) number: usize,
    pub(super) id: FlowId,
    /// The most that a SYN may announce.
    pub(super) clamp: Option<u16>,
    pub(super) plan: Option<P>,
}

/// Whether a rewriter may have it: the flow's own, whole, and not in a tunnel.
pub(super) fn is_rewritable(packet: &ParsedPacket<'_>) -> bool {
    packet.depth == 0 && packet.flow.relation == Relation::Own && packet.flow.part == Part::Whole
}

/// What came of an edit.
enum Edited {
    Changed,
    Unchanged,
    Impossible,
    Panicked,
}

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Makes the changes that were planned for these datagrams, the first of them the burst's number `start`.
    pub(super) fn edit_all(
        &mut self,
        start: usize,
        datagrams: &mut [Datagram<'_>],
        output: &mut Output,
    ) {
        if I::INTEREST.intersects(Interest::IN_ORDER) && self.has_patches() {
            self.patch_all(start, datagrams, output);
        }
        let mut edits = core::mem::take(&mut self.edits);
        for edit in edits.drain(..) {
            let Edit { number, id, .. } = edit;
            let Some(datagram) = datagrams.get_mut(number.wrapping_sub(start)) else { continue };
            match self.edit(datagram, edit) {
                Edited::Changed => {
                    if let Some(outcome) = output.outcomes.get_mut(number) {
                        outcome.disposition = Disposition::ForwardEdited;
                    }
                }
                Edited::Unchanged => {}
                Edited::Impossible => self.not_edited(number, datagram, output),
                Edited::Panicked => self.edit_panicked(number, datagram, id, output),
            }
        }
        self.edits = edits;
    }

    fn edit(&mut self, datagram: &mut Datagram<'_>, edit: Edit<R::Plan>) -> Edited {
        let Ok(envelope) = Envelope::parse(datagram.payload(), &self.settings.profile) else {
            return Edited::Impossible;
        };
        let start = envelope.header().len();
        self.before.clear();
        self.before.extend_from_slice(datagram.payload());
        let was_edited = datagram.is_edited();
        let (rewriter, before) = (&mut self.rewriter, &self.before);
        let (buffer, len) = datagram.edit();
        let edited = contained(|| {
            let Some(inner) = buffer.get_mut(start..) else { return Edited::Impossible };
            let Ok(mut packet) = PacketMut::parse(inner) else { return Edited::Impossible };
            let had = packet.bytes().len();
            if let Some(plan) = edit.plan {
                if rewriter.rewrite(plan, &mut packet).is_err() {
                    return Edited::Impossible;
                }
            }
            if let Some(most) = edit.clamp {
                packet.clamp_mss(most);
            }
            let has = packet.bytes().len();
            if has != had {
                // What was behind the packet is not sent with it: it may have been overwritten.
                *len = start.saturating_add(has);
            }
            let is_changed = buffer.get(..*len) != Some(before.as_slice());
            if is_changed { Edited::Changed } else { Edited::Unchanged }
        })
        .unwrap_or(Edited::Panicked);
        if !matches!(edited, Edited::Changed) {
            *len = before.len();
            if let Some(place) = buffer.get_mut(..before.len()) {
                place.copy_from_slice(before);
            }
            datagram.set_edited(was_edited);
        }
        edited
    }

    /// Nobody knows what a packet means that was not changed as planned.
    #[cold]
    pub(super) fn not_edited(&self, number: usize, datagram: &Datagram<'_>, output: &mut Output) {
        let refused = Outcome::refused(Disposition::Drop, Reason::new("rewrite-failed"));
        let envelope = Envelope::parse(datagram.payload(), &self.settings.profile).ok();
        let refused = self.or_would(refused, envelope.map(|envelope| envelope.endpoint()));
        replace(number, datagram, refused, output);
    }

    #[cold]
    fn edit_panicked(
        &mut self,
        number: usize,
        datagram: &Datagram<'_>,
        id: FlowId,
        output: &mut Output,
    ) {
        const CLASS: Exception = Exception::InspectorPanic;

        self.panel.panics = self.panel.panics.saturating_add(1);
        let envelope = Envelope::parse(datagram.payload(), &self.settings.profile).ok();
        let endpoint = envelope.map(|envelope| envelope.endpoint());
        let mut treatment = self.exception(CLASS, endpoint);
        if self.fails_closed(id) {
            treatment = self.settings.policy_of(endpoint).failing_closed(CLASS);
        }
        if let (Some(endpoint), Some(flow)) = (endpoint, self.table.flow(id)) {
            let what = EventKind::Exception(CLASS, treatment);
            let (datagram, flow) = (Some(number), *flow.key());
            output.events.push(Event { datagram, endpoint, flow, what });
        }
        let (now, reason) = (datagram.time(), Reason::new(CLASS.name()));
        let to = match treatment {
            Treatment::Pass => Inspection::Bypassed,
            _ => Inspection::Refused(Refused::new(self.reasons.id(reason), Whom::Nobody, now)),
        };
        self.settle_flow(now, id, to, CloseReason::Failed, output);
        let settled = self.settle(CLASS, treatment, reason, endpoint);
        replace(number, datagram, settled, output);
    }
}

/// Another outcome for a datagram, which may have been edited before.
fn replace(number: usize, datagram: &Datagram<'_>, mut with: Outcome, output: &mut Output) {
    if with.disposition == Disposition::Forward && datagram.is_edited() {
        with.disposition = Disposition::ForwardEdited;
    }
    if let Some(outcome) = output.outcomes.get_mut(number) {
        *outcome = with;
    }
}
