use std::collections::HashMap;

use crate::flow::{FlowKey, FragmentKey, PacketFlow, Part, Relation};

/// Numbers the flows of a capture in the order of their first packets, from 1.
///
/// A flow is what has the same endpoint and ends: where ports are used again, it keeps its number. A later fragment has the
/// number of its first, where that came before.
///
/// ```
/// use gwlb_geneve::engine::{Engine, Settings};
/// use gwlb_geneve::runtime::{FlowNumbers, Replay};
///
/// let mut engine = Engine::new(Settings::default(), || ())?;
/// let mut numbers = FlowNumbers::default();
/// Replay::open("tests/captures/overlapping-tenants.pcapng")?.run(&mut engine, |packet| {
///     let number = packet.flow().and_then(|flow| numbers.number(&flow));
///     println!("{}: flow {number:?}", packet.number);
/// })?;
/// assert_eq!(numbers.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FlowNumbers {
    flows: HashMap<FlowKey, usize>,
    fragments: HashMap<FragmentKey, usize>,
    most: usize,
}

impl Default for FlowNumbers {
    /// With room for [`MOST`](Self::MOST) flows.
    fn default() -> Self {
        Self::with_room(Self::MOST)
    }
}

impl FlowNumbers {
    /// Flows that have numbers by default, so that no capture can use up the memory.
    pub const MOST: usize = 1 << 20;

    /// With room for `most` flows, and as many datagrams in fragments.
    pub fn with_room(most: usize) -> Self {
        Self { flows: HashMap::new(), fragments: HashMap::new(), most }
    }

    /// How many flows have a number.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether no flow has a number yet.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// The number of a packet's flow, which is a new one where it has none; `None` where there is no room for that.
    pub fn number(&mut self, packet: &PacketFlow) -> Option<usize> {
        if let Part::Later(key) = packet.part {
            if let Some(number) = self.fragments.get(&key) {
                return Some(*number);
            }
        }
        let next = self.flows.len().saturating_add(1);
        let number = match self.flows.get(&packet.key) {
            Some(number) => *number,
            None if next > self.most => return None,
            None => *self.flows.entry(packet.key).or_insert(next),
        };
        if let (Part::First(key), Relation::Own) = (packet.part, packet.relation) {
            let has_room = self.fragments.len() < self.most;
            if has_room || self.fragments.contains_key(&key) {
                self.fragments.insert(key, number);
            }
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::Replay;
    use super::*;
    use crate::engine::{Engine, Settings};

    fn numbers(capture: &str, room: usize) -> (Vec<Option<usize>>, FlowNumbers) {
        let mut engine = Engine::new(Settings::default(), || ()).unwrap();
        let (mut numbers, mut found) = (FlowNumbers::with_room(room), Vec::new());
        let path = format!("{}/tests/captures/{capture}", env!("CARGO_MANIFEST_DIR"));
        Replay::open(path)
            .unwrap()
            .run(&mut engine, |packet| {
                found.push(packet.flow().and_then(|flow| numbers.number(&flow)));
            })
            .unwrap();
        (found, numbers)
    }

    #[test]
    fn both_directions_and_fragments_have_one_number() {
        let (found, numbers) = numbers("ipv4-tcp.pcapng", 8);
        assert!(found.iter().all(|number| *number == Some(1)), "{found:?}");
        assert!(!numbers.is_empty());
        // First, middle, last; a last one ahead of its first, and that; the same as at first in IPv6.
        let (found, _) = self::numbers("fragments.pcapng", 8);
        assert_eq!(found, [1, 1, 1, 2, 1, 3, 3, 3].map(Some));
    }

    #[test]
    fn there_is_no_more_than_room() {
        let (found, numbers) = numbers("overlapping-tenants.pcapng", 1);
        assert_eq!(numbers.len(), 1);
        assert!(found.contains(&Some(1)) && found.contains(&None), "{found:?}");
    }
}
