//! What passes in one tunnel is no part of what goes on in another.

use super::turn::Turn;
use super::{Disposition, Engine, Outcome, Output};
use crate::flow::{FlowKey, FlowSeed, Relation};
use crate::inspect::{Inspector, ParsedPacket, Reason, Rewriter};
use crate::packet::FiveTuple;

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// The outcome for a packet in tunnels, by its flow.
    ///
    /// A key holds a few bits of the tunnels only, which anyone can compute. So a flow remembers more of them, and a
    /// packet that comes in other tunnels is dropped: it would have the verdict of somebody else's flow.
    pub(super) fn judge_tunneled(&mut self, turn: &Turn<'_>, output: &mut Output) -> Outcome {
        const REASON: Reason = Reason::new("other-tunnel");

        // An error may come from a router between the ends of the tunnel.
        let carriers = match turn.packet.flow.relation {
            Relation::Own => carriers(turn.packet, &self.settings.seed),
            Relation::IcmpError => None,
        };
        let Some(carriers) = carriers else { return self.judge(turn, None, output) };
        let probe = self.table.probe(&turn.packet.flow.key);
        if let Some(id) = self.table.get(&probe, turn.now) {
            let known = self.table.state_mut(id).map_or(0, |state| state.carriers);
            if known != 0 && known != carriers {
                let refused = Outcome::refused(Disposition::Drop, REASON);
                return self.or_would(refused, Some(turn.endpoint()));
            }
        }
        let outcome = self.judge(turn, Some(&probe), output);
        let probe = self.table.probe(&turn.packet.flow.key);
        if let Some(id) = self.table.get(&probe, turn.now) {
            if let Some(state) = self.table.state_mut(id) {
                state.carriers = carriers;
            }
        }
        outcome
    }
}

/// A hash of the ends of all tunnels around a packet, the same for both directions, and never 0; `None`: there is no tunnel.
///
/// Without GRE keys and VXLAN network identifiers, which may be others in the other direction.
fn carriers(packet: &ParsedPacket<'_>, seed: &FlowSeed) -> Option<u32> {
    let endpoint = packet.flow.key.endpoint();
    let hash = packet.tunneled()?.tunnels().fold(0_u64, |hash, tunnel| {
        let carrier = tunnel.carrier();
        let (addresses, protocol) = (carrier.addresses(), carrier.protocol());
        let (key, _) = FlowKey::new(endpoint, &FiveTuple { addresses, protocol, ports: None });
        hash.rotate_left(17) ^ seed.hash(&key)
    });
    let [a, b, c, d, ..] = hash.to_be_bytes();
    Some(u32::from_be_bytes([a, b, c, d | 1]))
}
