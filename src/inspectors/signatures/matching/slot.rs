use alloc::boxed::Box;
use alloc::vec::Vec;

use super::super::{Condition, PortSet, Transform};
use super::choice::Choice;
use super::prefilter::{Places, Prefilter};
use super::program::View;
use crate::packet::Ports;

/// The rules that look at one kind of bytes.
#[derive(Debug, Default)]
pub(in super::super) struct Slot {
    /// Patterns that may be anywhere.
    anywhere: Option<Prefilter>,
    /// Patterns that have to end within so many bytes from the first.
    beginning: Option<(Prefilter, usize)>,
    /// Patterns of rules that are for few ports, and all of these.
    of_ports: Option<(Prefilter, PortSet)>,
    /// Rules without a pattern to look for.
    pub(in super::super) always: Box<[u32]>,
    /// The same, and what packets have to be like for them.
    pub(in super::super) alike: Box<[(Condition, u32)]>,
}

/// Bytes that patterns are looked for in.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Sight<'a> {
    pub(in super::super) view: View<'a>,
    /// So many of them were looked at before.
    pub(in super::super) seen: usize,
    /// The ports of those who talk, whoever sent it.
    pub(in super::super) ports: Option<Ports>,
}

impl<'a> Sight<'a> {
    /// Of a buffer that is there from its first byte.
    pub(in super::super) const fn of(bytes: &'a [u8], ports: Option<Ports>) -> Self {
        Self { view: View { bytes, base: 0 }, seen: 0, ports }
    }
}

impl Slot {
    /// Whether rules look at these bytes at all.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.prefilters().next().is_none() && self.always.is_empty() && self.alike.is_empty()
    }

    /// Whether rules may look at what comes from byte number `next` on.
    pub(in super::super) fn asks(&self, next: u64, ports: Option<Ports>) -> bool {
        !self.always.is_empty()
            || self.anywhere.is_some()
            || self.beginning.as_ref().is_some_and(|(_, reach)| left_of(*reach, next) > 0)
            || self.of_ports.as_ref().is_some_and(|(_, few)| are_of(few, ports))
    }

    /// All that patterns are looked for with.
    pub(in super::super) fn prefilters(&self) -> impl Iterator<Item = &Prefilter> {
        let beginning = self.beginning.as_ref().map(|(prefilter, _)| prefilter);
        let of_ports = self.of_ports.as_ref().map(|(prefilter, _)| prefilter);
        self.anywhere.iter().chain(beginning).chain(of_ports)
    }

    /// So many bytes before new ones are looked at again, as a pattern may begin there.
    pub(in super::super) fn overlap(&self) -> usize {
        self.prefilters().map(Prefilter::overlap).max().unwrap_or(0)
    }

    /// As much of a buffer as has to be transformed to find all patterns that may be in it.
    pub(in super::super) fn reached<'a>(
        &self,
        bytes: &'a [u8],
        transforms: &[Transform],
    ) -> &'a [u8] {
        let is_near = self.anywhere.is_none() && self.of_ports.is_none();
        match &self.beginning {
            Some((_, reach)) if is_near && transforms.iter().all(Transform::keeps_places) => {
                bytes.get(..*reach).unwrap_or(bytes)
            }
            _ => bytes,
        }
    }

    /// Gives the rules whose pattern is there and ends behind what was seen before, and where that ends last; a rule may be given more than
    /// once.
    #[inline]
    pub(in super::super) fn scan(
        &self,
        sight: Sight<'_>,
        places: &mut Places,
        mut give: impl FnMut(u32, usize),
    ) {
        let Sight { view: View { bytes, base }, seen, ports } = sight;
        if bytes.len() <= seen {
            return;
        }
        if let Some(prefilter) = &self.anywhere {
            prefilter.scan(bytes, seen, places, &mut give);
        }
        if let Some((prefilter, reach)) = &self.beginning {
            let reached = bytes.get(..left_of(*reach, base)).unwrap_or(bytes);
            prefilter.scan(reached, seen, places, &mut give);
        }
        if let Some((prefilter, few)) = &self.of_ports {
            if are_of(few, ports) {
                prefilter.scan(bytes, seen, places, &mut give);
            }
        }
    }
}

/// How many bytes from number `base` on are within reach.
fn left_of(reach: usize, base: u64) -> usize {
    usize::try_from(base).map_or(0, |base| reach.saturating_sub(base))
}

/// Whether rules for these ports may be for those who talk. Where it is not known they are.
fn are_of(few: &PortSet, ports: Option<Ports>) -> bool {
    ports.is_none_or(|ports| few.contains(ports.source) || few.contains(ports.destination))
}

/// A rule, and what it is found by.
pub(super) struct Sought {
    pub(super) rule: u32,
    /// The pattern; without one it is always asked.
    pub(super) choice: Option<Choice>,
    /// The ports that it is for, in each surrounding; none where that are many.
    pub(super) few: Vec<PortSet>,
    /// Without a pattern, what packets have to be like.
    pub(super) condition: Option<Condition>,
}

/// What becomes a [`Slot`].
#[derive(Default)]
pub(super) struct Gathered {
    anywhere: Patterns,
    beginning: Patterns,
    reach: usize,
    of_ports: Patterns,
    few: Vec<(u16, u16)>,
    always: Vec<u32>,
    alike: Vec<(Condition, u32)>,
}

type Patterns = Vec<(Vec<u8>, u32)>;

/// A pattern that has to be within so many bytes is looked for in these alone.
const NEAR: usize = 256;

impl Gathered {
    pub(super) fn add(&mut self, sought: &Sought) {
        let Sought { rule, choice, few, .. } = sought;
        let Some(Choice { bytes, reach, .. }) = choice else { return self.always.push(*rule) };
        let to = match *reach {
            Some(reach) if reach <= NEAR => {
                self.reach = self.reach.max(reach);
                &mut self.beginning
            }
            _ if !few.is_empty() => {
                self.few.extend(few.iter().flat_map(PortSet::ranges));
                &mut self.of_ports
            }
            _ => &mut self.anywhere,
        };
        to.push((bytes.clone(), *rule));
    }

    /// The same of a slot for packets.
    pub(super) fn add_for_packets(&mut self, sought: &Sought) {
        match &sought.condition {
            Some(condition) if sought.choice.is_none() => {
                self.alike.push((*condition, sought.rule));
            }
            _ => self.add(sought),
        }
    }

    pub(super) fn finish(self) -> Slot {
        let mut always = self.always;
        let mut prefilter = |patterns: Patterns| {
            let prefilter = Prefilter::new(&patterns);
            if prefilter.is_none() {
                always.extend(patterns.into_iter().map(|(_, rule)| rule));
            }
            prefilter
        };
        let anywhere = prefilter(self.anywhere);
        let beginning = prefilter(self.beginning).map(|it| (it, self.reach));
        let of_ports = prefilter(self.of_ports).map(|it| (it, PortSet::of(self.few)));
        always.sort_unstable();
        always.dedup();
        Slot { anywhere, beginning, of_ports, always: always.into(), alike: self.alike.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u32; 0] = [];

    fn sought(rule: u32, pattern: &str, reach: Option<usize>, few: &[(u16, u16)]) -> Sought {
        let choice = Choice { group: 0, bytes: pattern.into(), reach };
        let few = if few.is_empty() { Vec::new() } else { vec![PortSet::of(few.to_vec())] };
        Sought { rule, choice: Some(choice), few, condition: None }
    }

    fn slot() -> Slot {
        let mut gathered = Gathered::default();
        for sought in [
            sought(1, "anywhere", None, &[]),
            sought(2, "begin", Some(8), &[]),
            sought(3, "far", Some(NEAR + 1), &[]),
            sought(4, "few", None, &[(80, 81), (443, 443)]),
            Sought { choice: None, ..sought(5, "", None, &[]) },
        ] {
            gathered.add(&sought);
        }
        gathered.finish()
    }

    fn found(slot: &Slot, sight: Sight<'_>) -> Vec<u32> {
        let mut found = Vec::new();
        slot.scan(sight, &mut Places::default(), |rule, _| found.push(rule));
        found.sort_unstable();
        found
    }

    #[test]
    fn patterns_are_found_where_they_can_be() {
        let slot = slot();
        let ports = |source, destination| Some(Ports { source, destination });
        let at = |bytes, base, seen| Sight {
            view: View { bytes, base },
            seen,
            ports: ports(40_000, 80),
        };
        assert_eq!(found(&slot, at(b"begin far anywhere few", 0, 0)), [1, 2, 3, 4]);
        assert_eq!(found(&slot, at(b"...begin", 0, 0)), [2]);
        assert_eq!(found(&slot, at(b"....begin", 0, 0)), NONE);
        assert_eq!(found(&slot, at(b"begin", 3, 0)), [2]);
        assert_eq!(found(&slot, at(b"begin", 4, 0)), NONE);
        assert_eq!(found(&slot, at(b"begin few", 0, 5)), [4]);
        assert_eq!(found(&slot, at(b"begin", u64::MAX, 0)), NONE);
        for (ports, expected) in
            [(None, &[4][..]), (ports(81, 9), &[4]), (ports(9, 443), &[4]), (ports(82, 9), &[])]
        {
            assert_eq!(found(&slot, Sight::of(b"few", ports)), expected, "{ports:?}");
        }
        assert_eq!(*slot.always, [5]);
    }

    #[test]
    fn what_nothing_can_be_in_is_not_asked_about() {
        let mut gathered = Gathered::default();
        gathered.add(&sought(1, "begin", Some(8), &[]));
        gathered.add(&sought(2, "few", None, &[(80, 80)]));
        let slot = gathered.finish();
        let ports = |destination| Some(Ports { source: 40_000, destination });
        let asks = [(7, 9), (8, 9), (8, 80)].map(|(next, port)| slot.asks(next, ports(port)));
        assert_eq!(asks, [true, false, true]);
        assert!(slot.asks(8, None));
    }

    #[test]
    fn only_what_is_reached_is_transformed() {
        let mut gathered = Gathered::default();
        gathered.add(&sought(1, "begin", Some(8), &[]));
        let near = gathered.finish();
        let bytes = &[b'a'; 20][..];
        for (slot, transforms, reached) in [
            (&near, &[Transform::ToLowercase][..], 8),
            (&near, &[Transform::ToLowercase, Transform::StripWhitespace], 20),
            (&slot(), &[Transform::ToLowercase], 20),
        ] {
            assert_eq!(slot.reached(bytes, transforms).len(), reached, "{transforms:?}");
        }
    }
}
