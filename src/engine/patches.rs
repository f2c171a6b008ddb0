use alloc::vec::Vec;
use core::ops::Range;

use super::{Datagram, Disposition, Engine, Output};
use crate::gwlb::Envelope;
use crate::inspect::{Inspector, Rewriter};
use crate::packet::PacketMut;
use crate::stream;

/// Bytes that are to be written over those of datagrams, once their burst is judged: segments that say for a second time, and
/// otherwise, what was forwarded before.
#[derive(Debug, Default)]
pub(super) struct Patches {
    planned: Vec<Patch>,
    bytes: Vec<u8>,
}

/// The whole payload of one datagram's segment, as it is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    /// The datagram's place in the burst.
    number: usize,
    start: usize,
    end: usize,
}

impl Patch {
    const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl Patches {
    /// Plans to write `edits` over a payload.
    #[cold]
    pub(super) fn plan(
        &mut self,
        number: usize,
        payload: &[u8],
        edits: stream::Edits<'_>,
    ) -> Option<Patch> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        for stream::Edit { at, bytes } in edits {
            let place = self.bytes.get_mut(start..)?.get_mut(at..)?.get_mut(..bytes.len())?;
            place.copy_from_slice(bytes);
        }
        let patch = Patch { number, start, end: self.bytes.len() };
        self.planned.push(patch);
        Some(patch)
    }

    /// The payload as it is to be.
    pub(super) fn bytes(&self, patch: Patch) -> Option<&[u8]> {
        self.bytes.get(patch.range())
    }
}

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Writes what was planned into these datagrams, the first of them the burst's number `start`.
    #[cold]
    pub(super) fn patch_all(
        &mut self,
        start: usize,
        datagrams: &mut [Datagram<'_>],
        output: &mut Output,
    ) {
        let mut patches = core::mem::take(&mut self.patches);
        for patch in &patches.planned {
            let Some(datagram) = datagrams.get_mut(patch.number.wrapping_sub(start)) else {
                continue;
            };
            let Some(outcome) = output.outcomes.get_mut(patch.number) else { continue };
            let Some(bytes) = patches.bytes(*patch) else { continue };
            if !outcome.disposition.is_forward() {
                continue;
            }
            match self.write_over(datagram, bytes) {
                Some(()) => outcome.disposition = Disposition::ForwardEdited,
                None => self.not_edited(patch.number, datagram, output),
            }
        }
        patches.planned.clear();
        patches.bytes.clear();
        self.patches = patches;
    }

    fn write_over(&self, datagram: &mut Datagram<'_>, bytes: &[u8]) -> Option<()> {
        let envelope = Envelope::parse(datagram.payload(), &self.settings.profile).ok()?;
        let start = envelope.header().len();
        let (buffer, _) = datagram.edit();
        let mut packet = PacketMut::parse(buffer.get_mut(start..)?).ok()?;
        packet.replace(0..bytes.len(), bytes).ok()
    }

    /// Whether there is anything to be written.
    #[inline]
    pub(super) fn has_patches(&self) -> bool {
        !self.patches.planned.is_empty()
    }
}
