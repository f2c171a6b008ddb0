use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering, fence};

use rtrb::{Consumer, Producer, RingBuffer};

use super::directory::Directory;
use crate::Timestamp;
use crate::engine::{Datagram, Settings};
use crate::flow::FlowKey;
use crate::gwlb::{Envelope, Outer};
use crate::inspect::ParsedPacket;
use crate::transport::Waker;

/// A worker's doors to the others. What comes in at the wrong one goes through to its owner.
#[derive(Debug)]
pub(super) struct Port {
    number: usize,
    /// By worker; `None` for oneself.
    doors: Vec<Option<Door>>,
    beds: Arc<[Bed]>,
    directory: Arc<Directory>,
    pub(super) handed_over: u64,
    pub(super) taken_over: u64,
}

/// A datagram on its way to its owner.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) time: Timestamp,
    pub(super) outer: Outer,
    /// Bytes of the payload, behind which there is room.
    pub(super) len: usize,
    pub(super) buffer: Vec<u8>,
}

/// Four rings between two workers: parcels there and back, and their buffers back and there.
#[derive(Debug)]
struct Door {
    out: Producer<Parcel>,
    empty: Consumer<Vec<u8>>,
    come: Consumer<Parcel>,
    emptied: Producer<Vec<u8>>,
    /// How many more buffers may be made.
    unmade: usize,
    /// Whether something went out since the other worker was last woken.
    is_rung: bool,
}

/// Where a worker sleeps. In a cache line of its own: it is written in each idle turn, and read by others.
#[derive(Debug)]
#[repr(align(128))]
struct Bed {
    is_asleep: AtomicBool,
    waker: Waker,
}

/// RFC 7348 §5.
const VXLAN_PORT: u16 = 4789;

impl Port {
    /// Bytes that a payload may grow by.
    const ROOM: usize = 256;

    /// Buffers longer than this are not kept: a jumbo packet in its envelope fits in.
    const KEPT: usize = 9_216;

    /// The ports of as many workers as there are wakers, with rings for so many datagrams.
    pub(super) fn all(wakers: Vec<Waker>, capacity: usize, directory: Arc<Directory>) -> Vec<Self> {
        let beds: Arc<[Bed]> = wakers
            .into_iter()
            .map(|waker| Bed { is_asleep: AtomicBool::new(false), waker })
            .collect();
        let mut ports: Vec<Self> = (0..beds.len())
            .map(|number| Self {
                number,
                doors: beds.iter().map(|_| None).collect(),
                beds: Arc::clone(&beds),
                directory: Arc::clone(&directory),
                handed_over: 0,
                taken_over: 0,
            })
            .collect();
        for a in 0..beds.len() {
            for b in 0..a {
                let (there, here) = Door::pair(capacity);
                for (from, to, door) in [(a, b, there), (b, a, here)] {
                    let doors = ports.get_mut(from).map(|port| &mut port.doors);
                    if let Some(place) = doors.and_then(|doors| doors.get_mut(to)) {
                        *place = Some(door);
                    }
                }
            }
        }
        ports
    }

    /// Which worker else a datagram belongs to; `None`: it stays here, as what cannot be understood does.
    #[inline]
    pub(super) fn other_owner(
        &self,
        payload: &[u8],
        time: Timestamp,
        settings: &Settings,
    ) -> Option<usize> {
        let envelope = Envelope::parse(payload, &settings.profile).ok()?;
        let endpoint = settings.groups.resolve(envelope.endpoint());
        let key = match FlowKey::straight(endpoint, envelope.inner()) {
            // What is in VXLAN is a flow of its own.
            Some((key, _)) if !key.has_port(VXLAN_PORT) => key,
            _ => self.any_key(envelope, time, settings)?,
        };
        let owner = key.owner(self.doors.len());
        // The flows of a worker that has died go on here, each where it comes in.
        let is_other = owner != self.number && !self.is_gone(owner);
        is_other.then_some(owner)
    }

    /// Whether nobody takes what is handed over to that worker any more.
    fn is_gone(&self, owner: usize) -> bool {
        let door = self.doors.get(owner).and_then(Option::as_ref);
        door.is_none_or(|door| door.out.is_abandoned())
    }

    #[cold]
    #[inline(never)]
    fn any_key(
        &self,
        envelope: Envelope<'_>,
        time: Timestamp,
        settings: &Settings,
    ) -> Option<FlowKey> {
        let packet = ParsedPacket::of(envelope, &settings.groups).ok()?;
        Some(self.directory.key(*packet.flow(), time))
    }

    /// Copies a datagram to its owner; `false` where there is no room for it, or nobody to take it.
    pub(super) fn hand_over(&mut self, owner: usize, datagram: &Datagram<'_>) -> bool {
        let Some(Some(door)) = self.doors.get_mut(owner) else { return false };
        let mut buffer = match (door.empty.pop(), door.unmade.checked_sub(1)) {
            (Ok(buffer), _) => buffer,
            (Err(_), Some(unmade)) => {
                door.unmade = unmade;
                Vec::new()
            }
            (Err(_), None) => return false,
        };
        let payload = datagram.payload();
        buffer.clear();
        buffer.extend_from_slice(payload);
        buffer.resize(payload.len().saturating_add(Self::ROOM), 0);
        let (time, outer, len) = (datagram.time(), *datagram.outer(), payload.len());
        // There are no more buffers than places.
        let is_out = door.out.push(Parcel { time, outer, len, buffer }).is_ok();
        door.is_rung |= is_out;
        self.handed_over = self.handed_over.wrapping_add(is_out.into());
        is_out
    }

    /// Wakes those whom something was handed over to and who sleep.
    pub(super) fn wake_owners(&mut self) {
        for (door, bed) in self.doors.iter_mut().zip(self.beds.iter()) {
            let Some(door) = door.as_mut().filter(|door| door.is_rung) else { continue };
            door.is_rung = false;
            // Either this worker sees that the other one sleeps, or that one, which says so before it looks at the
            // rings, sees the parcel.
            fence(Ordering::SeqCst);
            if bed.is_asleep.load(Ordering::Relaxed) {
                bed.waker.wake();
            }
        }
    }

    /// Says that this worker is about to sleep; `false`: it had better not.
    pub(super) fn lie_down(&self) -> bool {
        let Some(bed) = self.beds.get(self.number) else { return true };
        bed.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.doors.iter().flatten().all(|door| door.come.is_empty()) {
            return true;
        }
        self.get_up();
        false
    }

    /// Says that this worker does not sleep.
    pub(super) fn get_up(&self) {
        if let Some(bed) = self.beds.get(self.number) {
            bed.is_asleep.store(false, Ordering::Relaxed);
        }
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.doors.len()
    }

    /// Takes what has come from a worker, `most` of it, as far as `parcels` has none yet.
    pub(super) fn take(&mut self, from: usize, most: usize, parcels: &mut Vec<Parcel>) {
        let Some(Some(door)) = self.doors.get_mut(from) else { return };
        while parcels.len() < most {
            let Ok(parcel) = door.come.pop() else { break };
            self.taken_over = self.taken_over.wrapping_add(1);
            parcels.push(parcel);
        }
    }

    /// Gives the buffers back to that worker.
    pub(super) fn give_back(&mut self, to: usize, parcels: &mut Vec<Parcel>) {
        let Some(Some(door)) = self.doors.get_mut(to) else { return };
        for parcel in parcels.drain(..) {
            let buffer =
                if parcel.buffer.capacity() > Self::KEPT { Vec::new() } else { parcel.buffer };
            // There is a place for each. Who has ended needs none any more.
            let _ = door.emptied.push(buffer);
        }
    }
}

impl Door {
    fn pair(capacity: usize) -> (Self, Self) {
        let ((out_a, come_b), (out_b, come_a)) =
            (RingBuffer::new(capacity), RingBuffer::new(capacity));
        let ((emptied_b, empty_a), (emptied_a, empty_b)) =
            (RingBuffer::new(capacity), RingBuffer::new(capacity));
        let door = |out, empty, come, emptied| Self {
            out,
            empty,
            come,
            emptied,
            unmade: capacity,
            is_rung: false,
        };
        (door(out_a, empty_a, come_a, emptied_a), door(out_b, empty_b, come_b, emptied_b))
    }
}
