use super::phase::Evictable;

/// Rings of nodes that know their neighbours, so that any of them can be taken out at once: the buckets of the
/// wheel, the lists of evictable flows, the endpoints that have some.
///
/// A ring is closed by the node that owns it, which is alone where the ring is empty. All nodes are numbers of one
/// kind, so that flows and endpoints can stand in one bucket and a node need not know which ring it is in.
pub(super) trait Rings {
    fn links(&self, node: Node) -> Links;
    fn links_mut(&mut self, node: Node) -> Option<&mut Links>;

    #[inline]
    fn is_alone(&self, node: Node) -> bool {
        self.links(node).next == node
    }

    /// The node that is longest in a ring.
    #[inline]
    fn first(&self, ring: Node) -> Option<Node> {
        let first = self.links(ring).next;
        (first != ring).then_some(first)
    }

    #[inline]
    fn unlink(&mut self, node: Node) {
        let Links { previous, next } = self.links(node);
        if let Some(links) = self.links_mut(previous) {
            links.next = next;
        }
        if let Some(links) = self.links_mut(next) {
            links.previous = previous;
        }
        if let Some(links) = self.links_mut(node) {
            *links = Links::alone(node);
        }
    }

    /// Makes a node that is alone the last of a ring.
    #[inline]
    fn push(&mut self, ring: Node, node: Node) {
        let last = self.links(ring).previous;
        if let Some(links) = self.links_mut(node) {
            *links = Links { previous: last, next: ring };
        }
        if let Some(links) = self.links_mut(last) {
            links.next = node;
        }
        if let Some(links) = self.links_mut(ring) {
            links.previous = node;
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Links {
    previous: Node,
    next: Node,
}

impl Links {
    pub(super) const fn alone(node: Node) -> Self {
        Self { previous: node, next: node }
    }

    #[inline]
    pub(super) const fn next(self) -> Node {
        self.next
    }
}

/// A kind in the upper three bits and a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Node(u32);

/// What a node is.
pub(super) enum Place {
    /// The flow in a slot.
    Flow(u32),
    /// Owns a bucket of the wheel.
    Bucket(u32),
    /// Owns the ring of endpoints that have evictable flows.
    Donors,
    /// An endpoint's place in that ring.
    Donor(u32),
    /// Owns an endpoint's evictable flows of one kind, least recently used first.
    Idle(u32, Evictable),
    /// Stands in the wheel for the first of those.
    Timer(u32, Evictable),
}

const KIND: u32 = 29;
const NUMBER: u32 = (1 << KIND) - 1;

/// One more than the highest number of a slot.
pub(super) const MAX_FLOWS: usize = 1 << 28;
/// The same of endpoints, whose numbers have a kind of flow beside them.
pub(super) const MAX_ENDPOINTS: usize = 1 << 26;

impl From<Place> for Node {
    #[inline]
    fn from(place: Place) -> Self {
        Self(match place {
            Place::Flow(slot) => slot,
            Place::Bucket(bucket) => 1 << KIND | bucket,
            Place::Donors => 2 << KIND,
            Place::Donor(account) => 3 << KIND | account,
            Place::Idle(account, kind) => 4 << KIND | account << 2 | kind as u32,
            Place::Timer(account, kind) => 5 << KIND | account << 2 | kind as u32,
        })
    }
}

impl Node {
    #[inline]
    pub(super) const fn place(self) -> Place {
        let number = self.0 & NUMBER;
        let kind = match number & 3 {
            0 => Evictable::HalfOpen,
            1 => Evictable::Closed,
            _ => Evictable::Unanswered,
        };
        match self.0 >> KIND {
            0 => Place::Flow(number),
            1 => Place::Bucket(number),
            2 => Place::Donors,
            3 => Place::Donor(number),
            4 => Place::Idle(number >> 2, kind),
            _ => Place::Timer(number >> 2, kind),
        }
    }
}
