use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::phase::Evictable;

/// Rings of nodes that know their neighbours, so that any of them can be taken out at once: the buckets of the
/// wheel, the lists of evictable flows, the endpoints that have some.
///
/// A ring is closed by the node that owns it, which is alone where the ring is empty. All links stand in one array, a
/// node being its place there: nobody needs to know what the neighbours are, nor which ring a node is in, and no
/// flow's entry is touched when its neighbour comes or goes.
pub(super) struct Rings {
    links: Vec<Links>,
    /// The node of the flow in the first slot.
    flows: u32,
}

#[derive(Clone, Copy)]
struct Links {
    previous: Node,
    next: Node,
}

/// A place among the links: first come the buckets, then the donors, the nodes of each endpoint, and the flows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Node(u32);

/// What waits in the wheel.
pub(super) enum Place {
    /// The flow in a slot.
    Flow(u32),
    /// Stands for the first of an endpoint's evictable flows of one kind.
    Timer(u32, Evictable),
}

/// 69 seconds: a flow of a longer time-out is looked at this often.
pub(super) const BUCKETS: u32 = 4_096;

/// One more than the highest number of a slot.
pub(super) const MAX_FLOWS: usize = 1 << 28;
/// The same of endpoints, which have several nodes each.
pub(super) const MAX_ENDPOINTS: usize = 1 << 26;

const ENDPOINTS: u32 = BUCKETS + 1;
/// A donor, and for each kind a list and its timer.
const NODES_OF_ENDPOINT: u32 = 7;

impl Node {
    /// Owns the ring of endpoints that have evictable flows.
    pub(super) const DONORS: Self = Self(BUCKETS);

    /// Owns a bucket of the wheel.
    #[inline]
    pub(super) const fn bucket(number: u32) -> Self {
        Self(number & (BUCKETS - 1))
    }

    /// An endpoint's place in the ring of donors.
    #[inline]
    pub(super) const fn donor(account: u32) -> Self {
        Self(ENDPOINTS.wrapping_add(account.wrapping_mul(NODES_OF_ENDPOINT)))
    }

    /// Owns an endpoint's evictable flows of one kind, least recently used first.
    #[inline]
    pub(super) const fn idle(account: u32, kind: Evictable) -> Self {
        Self(Self::donor(account).0.wrapping_add(1).wrapping_add(kind as u32))
    }

    /// Stands in the wheel for the first of those.
    #[inline]
    pub(super) const fn timer(account: u32, kind: Evictable) -> Self {
        Self(Self::donor(account).0.wrapping_add(4).wrapping_add(kind as u32))
    }

    /// Whose node this is.
    pub(super) const fn account(self) -> u32 {
        self.0.wrapping_sub(ENDPOINTS) / NODES_OF_ENDPOINT
    }

    #[inline]
    fn place(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Rings {
    pub(super) fn new(flows: usize, endpoints: usize) -> Result<Self, TryReserveError> {
        let mut links = Vec::new();
        links.try_reserve_exact(Self::nodes(flows, endpoints))?;
        let before = Self::nodes(0, endpoints);
        links.extend((0..before).zip(0..).map(|(_, node)| Links::alone(Node(node))));
        Ok(Self { links, flows: u32::try_from(before).unwrap_or(u32::MAX) })
    }

    pub(super) const fn bytes(flows: usize, endpoints: usize) -> usize {
        Self::nodes(flows, endpoints).saturating_mul(size_of::<Links>())
    }

    const fn nodes(flows: usize, endpoints: usize) -> usize {
        endpoints
            .saturating_mul(NODES_OF_ENDPOINT as usize)
            .saturating_add(ENDPOINTS as usize)
            .saturating_add(flows)
    }

    /// Gives a node to the flow in one slot more.
    pub(super) fn grow(&mut self) {
        let node = Node(u32::try_from(self.links.len()).unwrap_or(u32::MAX));
        self.links.push(Links::alone(node));
    }

    /// The node of the flow in a slot.
    #[inline]
    pub(super) const fn flow(&self, slot: u32) -> Node {
        Node(self.flows.wrapping_add(slot))
    }

    /// The slot of the flow that has this node.
    #[inline]
    pub(super) const fn slot(&self, node: Node) -> Option<u32> {
        node.0.checked_sub(self.flows)
    }

    /// What a node in the wheel stands for.
    #[inline]
    pub(super) fn place(&self, node: Node) -> Place {
        if let Some(slot) = self.slot(node) {
            return Place::Flow(slot);
        }
        let account = node.account();
        let is = |kind: &Evictable| node == Node::timer(account, *kind);
        Place::Timer(account, Evictable::ALL.into_iter().find(is).unwrap_or(Evictable::HalfOpen))
    }

    #[inline]
    pub(super) fn is_alone(&self, node: Node) -> bool {
        self.next(node) == node
    }

    /// The node that is longest in a ring.
    #[inline]
    pub(super) fn first(&self, ring: Node) -> Option<Node> {
        let first = self.next(ring);
        (first != ring).then_some(first)
    }

    #[inline]
    pub(super) fn next(&self, node: Node) -> Node {
        self.links.get(node.place()).map_or(node, |links| links.next)
    }

    #[inline]
    pub(super) fn unlink(&mut self, node: Node) {
        let Some(own) = self.links.get_mut(node.place()) else { return };
        let Links { previous, next } = core::mem::replace(own, Links::alone(node));
        if let Some(links) = self.links.get_mut(previous.place()) {
            links.next = next;
        }
        if let Some(links) = self.links.get_mut(next.place()) {
            links.previous = previous;
        }
    }

    /// Makes a node that is alone the last of a ring, and says whether it is the first too.
    #[inline]
    pub(super) fn push(&mut self, ring: Node, node: Node) -> bool {
        let Some(owner) = self.links.get_mut(ring.place()) else { return false };
        let last = core::mem::replace(&mut owner.previous, node);
        if let Some(links) = self.links.get_mut(last.place()) {
            links.next = node;
        }
        if let Some(links) = self.links.get_mut(node.place()) {
            *links = Links { previous: last, next: ring };
        }
        last == ring
    }
}

impl Links {
    const fn alone(node: Node) -> Self {
        Self { previous: node, next: node }
    }
}
