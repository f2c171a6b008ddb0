use alloc::boxed::Box;
use alloc::vec::Vec;

/// The inspectors in force and those that they replaced, as long as flows go on under them.
pub(super) struct Generations<I> {
    /// A flow names its generation by its place here.
    places: Vec<Option<Generation<I>>>,
    current: u8,
}

/// Makes the inspectors of a generation, anew after a panic.
pub(super) type Make<I> = Box<dyn FnMut() -> I + Send>;

struct Generation<I> {
    inspector: I,
    make: Make<I>,
    /// How many flows its inspectors look at.
    flows: u64,
}

impl<I> Generations<I> {
    /// How many there can be at a time.
    pub(super) const MOST: usize = super::MAX_GENERATIONS;

    pub(super) fn new(inspector: I, make: Make<I>) -> Self {
        let first = Generation { inspector, make, flows: 0 };
        Self { places: Vec::from([Some(first)]), current: 0 }
    }

    #[inline]
    pub(super) const fn current(&self) -> u8 {
        self.current
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.iter().flatten().count()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u8) -> Option<&mut I> {
        Some(&mut self.place_mut(number)?.inspector)
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.places.len() < Self::MOST || self.places.iter().any(Option::is_none)
    }

    /// Puts another one in force. Without room nothing changes.
    pub(super) fn replace(&mut self, inspector: I, make: Make<I>) {
        let new = Some(Generation { inspector, make, flows: 0 });
        let free = self.places.iter().position(Option::is_none);
        let number = free.unwrap_or(self.places.len());
        let Some(number) = u8::try_from(number).ok().filter(|_| self.has_room()) else { return };
        let old = core::mem::replace(&mut self.current, number);
        match self.places.get_mut(usize::from(number)) {
            Some(place) => *place = new,
            None => self.places.push(new),
        }
        self.retire(old);
    }

    pub(super) fn opened(&mut self, number: u8) {
        if let Some(generation) = self.place_mut(number) {
            generation.flows = generation.flows.saturating_add(1);
        }
    }

    pub(super) fn closed(&mut self, number: u8) {
        if let Some(generation) = self.place_mut(number) {
            generation.flows = generation.flows.saturating_sub(1);
        }
        self.retire(number);
    }

    /// The one that makes a new inspector, and the inspector that it made.
    pub(super) fn maker(&mut self, number: u8) -> Option<(&mut Make<I>, &mut I)> {
        let generation = self.place_mut(number)?;
        Some((&mut generation.make, &mut generation.inspector))
    }

    fn retire(&mut self, number: u8) {
        if number == self.current {
            return;
        }
        if let Some(place) = self.places.get_mut(usize::from(number)) {
            if place.as_ref().is_some_and(|generation| generation.flows == 0) {
                *place = None;
            }
        }
    }

    #[inline]
    fn place_mut(&mut self, number: u8) -> Option<&mut Generation<I>> {
        self.places.get_mut(usize::from(number))?.as_mut()
    }
}
