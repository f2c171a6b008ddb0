use alloc::vec::Vec;

/// The bytes that may still be buffered by all sessions together.
///
/// A session takes from it what it has to gather, and gives it back when the message is whole, or with
/// [`Session::close`](super::Session::close).
#[derive(Debug)]
pub struct Room {
    left: usize,
    /// What those at hand may have and have, of those who share it.
    most_of_share: usize,
    share: usize,
}

impl Room {
    /// For this many bytes.
    pub const fn new(bytes: usize) -> Self {
        Self::shared(bytes, usize::MAX)
    }

    /// For this many bytes, of which nobody who shares it has more than `most_of_share`.
    pub const fn shared(bytes: usize, most_of_share: usize) -> Self {
        Self { left: bytes, most_of_share, share: 0 }
    }

    /// From now on `share` are the bytes that those at hand have, 0 at first; those before had what is there then. A session
    /// is only ever fed and closed with the share that it began with.
    #[inline]
    pub const fn exchange(&mut self, share: &mut usize) {
        core::mem::swap(&mut self.share, share);
    }

    /// How many bytes are left.
    #[inline]
    pub const fn left(&self) -> usize {
        self.left
    }

    const fn take(&mut self, bytes: usize) -> bool {
        let share = self.share.saturating_add(bytes);
        match self.left.checked_sub(bytes) {
            Some(left) if share <= self.most_of_share => {
                (self.left, self.share) = (left, share);
                true
            }
            _ => false,
        }
    }

    const fn give_back(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes);
        self.share = self.share.saturating_sub(bytes);
    }
}

/// Bytes of a message that is not whole yet. Whoever has one gives its bytes back before it is dropped.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// What was taken from the room: the capacity, as far as it was asked for.
    taken: usize,
}

/// There is no room for more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Buffer {
    /// Heads are mostly some hundred bytes: so little is lost where one is, and few steps lead to a large one.
    const SMALLEST: usize = 512;

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Grows by doubling, so that appending costs linear time whatever the pieces are.
    pub(super) fn append(&mut self, more: &[u8], room: &mut Room) -> Result<(), NoRoom> {
        let needed = self.bytes.len().saturating_add(more.len());
        if needed > self.taken {
            let doubled = needed.max(self.taken.saturating_mul(2)).max(Self::SMALLEST);
            // Where there is not room for twice as much there may be for what is needed.
            if !self.grow(doubled, room) && !self.grow(needed, room) {
                return Err(NoRoom);
            }
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// Empties it and gives its memory back.
    pub(super) fn release(&mut self, room: &mut Room) {
        room.give_back(core::mem::take(&mut self.taken));
        self.bytes = Vec::new();
    }

    fn grow(&mut self, capacity: usize, room: &mut Room) -> bool {
        let more = capacity.saturating_sub(self.taken);
        if !room.take(more) {
            return false;
        }
        let is_there =
            self.bytes.try_reserve_exact(capacity.saturating_sub(self.bytes.len())).is_ok();
        if is_there {
            self.taken = capacity;
        } else {
            room.give_back(more);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_buffer_holds_is_missing_in_the_room_until_it_is_released() {
        let mut room = Room::new(2_000);
        let mut buffer = Buffer::default();
        for _ in 0..600 {
            buffer.append(b"x", &mut room).unwrap();
        }
        assert_eq!((buffer.len(), room.left()), (600, 2_000 - 1_024));
        assert_eq!(buffer.bytes.capacity(), 1_024);
        buffer.release(&mut room);
        assert_eq!((buffer.len(), room.left(), buffer.bytes.capacity()), (0, 2_000, 0));
    }

    #[test]
    fn nobody_has_more_than_a_share() {
        let (mut room, mut other) = (Room::shared(2_000, 1_000), 0);
        let (mut first, mut second) = (Buffer::default(), Buffer::default());
        first.append(&[0; 1_000], &mut room).unwrap();
        assert_eq!(second.append(&[0; 1], &mut room), Err(NoRoom));
        room.exchange(&mut other);
        second.append(&[0; 1_000], &mut room).unwrap();
        assert_eq!(room.left(), 0);
        second.release(&mut room);
        room.exchange(&mut other);
        first.release(&mut room);
        assert_eq!((room.left(), room.share, other), (2_000, 0, 0));
    }

    #[test]
    fn the_last_of_the_room_can_be_used_and_no_more() {
        let mut room = Room::new(600);
        let mut buffer = Buffer::default();
        buffer.append(&[0; 512], &mut room).unwrap();
        buffer.append(&[0; 88], &mut room).unwrap();
        assert_eq!(buffer.append(&[0; 1], &mut room), Err(NoRoom));
        assert_eq!((buffer.len(), room.left()), (600, 0));
    }
}
