use core::net::Ipv4Addr;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::netlink::Netlink;

/// Where frames go on their way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) interface: u32,
    /// The hardware addresses: one's own, and that of the next machine.
    pub(super) from: [u8; 6],
    pub(super) to: [u8; 6],
    /// The longest IP packet.
    pub(super) mtu: usize,
    /// Whether the kernel should have a datagram to send by itself, so that it asks the neighbour whether it is still there.
    pub(super) wants_probe: bool,
}

/// A local address and one to send to.
pub(super) type Ends = (Ipv4Addr, Ipv4Addr);

/// One worker's view of the next hops. What it does not know it asks for once; a thread of its own finds out, and looks
/// again every few seconds.
#[derive(Debug)]
pub(super) struct NextHops {
    shared: Arc<Shared>,
    seen: u64,
    hops: HashMap<Ends, Option<Hop>>,
    last: Option<(Ends, Hop)>,
}

#[derive(Debug)]
struct Shared {
    /// Grows with each change of the table.
    generation: AtomicU64,
    state: Mutex<State>,
    asked: Condvar,
}

#[derive(Debug)]
struct State {
    hops: HashMap<Ends, Option<Hop>>,
    is_new: bool,
    users: usize,
}

/// How often is looked again.
const REFRESH: Duration = Duration::from_secs(2);
/// After an address was asked for, the kernel is about to resolve it.
const SOON: Duration = Duration::from_millis(20);
/// More than any load balancer has nodes. Beyond that all is forgotten and asked for again.
const MOST: usize = 1_024;

impl NextHops {
    /// In the network namespace of the thread that calls.
    pub(super) fn start() -> io::Result<Self> {
        let netlink = Netlink::open()?;
        let state = State { hops: HashMap::new(), is_new: false, users: 1 };
        let shared = Arc::new(Shared {
            generation: AtomicU64::new(0),
            state: Mutex::new(state),
            asked: Condvar::new(),
        });
        let resolver = Arc::clone(&shared);
        thread::Builder::new()
            .name("gwlb-next-hop".into())
            .spawn(move || resolver.resolve(netlink))?;
        Ok(Self { shared, seen: 0, hops: HashMap::new(), last: None })
    }

    /// Takes over what has become known since: whether anything has.
    pub(super) fn refresh(&mut self) -> bool {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation == self.seen {
            return false;
        }
        self.seen = generation;
        self.hops.clone_from(&self.shared.lock().hops);
        self.last = None;
        true
    }

    /// The next hop between two addresses, if it is known and not to be probed now.
    #[inline]
    pub(super) fn find(&mut self, ends: Ends) -> Option<&Hop> {
        if !matches!(self.last, Some((last, _)) if last == ends) {
            self.last = Some((ends, self.look_up(ends)?));
        }
        self.last.as_ref().map(|(_, hop)| hop)
    }

    fn look_up(&mut self, ends: Ends) -> Option<Hop> {
        match self.hops.get_mut(&ends) {
            Some(Some(hop)) if hop.wants_probe => {
                hop.wants_probe = false;
                None
            }
            Some(hop) => *hop,
            None => {
                if self.hops.len() >= MOST {
                    self.hops.clear();
                }
                self.hops.insert(ends, None);
                self.shared.ask(ends);
                None
            }
        }
    }

    /// Leaves a hop alone until the next time that all are looked at.
    pub(super) fn avoid(&mut self, ends: Ends) {
        self.last = None;
        self.hops.insert(ends, None);
        self.shared.lock().hops.insert(ends, None);
    }

    /// The interfaces that there are hops on.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = u32> {
        self.hops.values().flatten().map(|hop| hop.interface)
    }
}

impl Clone for NextHops {
    fn clone(&self) -> Self {
        let mut state = self.shared.lock();
        state.users = state.users.saturating_add(1);
        drop(state);
        let shared = Arc::clone(&self.shared);
        Self { shared, seen: self.seen, hops: self.hops.clone(), last: None }
    }
}

impl Drop for NextHops {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.users = state.users.saturating_sub(1);
        self.shared.asked.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, ends: Ends) {
        let mut state = self.lock();
        if state.hops.len() >= MOST {
            state.hops.clear();
        }
        state.hops.entry(ends).or_insert(None);
        state.is_new = true;
        self.asked.notify_one();
    }

    /// Until nobody wants to know any more.
    fn resolve(&self, mut netlink: Netlink) {
        let mut state = self.lock();
        let mut wait = REFRESH;
        while state.users > 0 {
            if !state.is_new {
                state = self.wait(state, wait);
            }
            let was_new = core::mem::take(&mut state.is_new);
            let asked: Vec<_> = state.hops.keys().copied().collect();
            drop(state);
            let found: Vec<_> = asked
                .into_iter()
                .map(|ends| (ends, hop(&mut netlink, ends).unwrap_or_default()))
                .collect();
            state = self.lock();
            let mut changed = false;
            for (ends, hop) in found {
                let known = state.hops.get_mut(&ends);
                // A hop to be probed is news each time, or it would be probed only once.
                if let Some(known) = known.filter(|known| {
                    **known != hop || hop.is_some_and(|hop| hop.wants_probe) || was_new
                }) {
                    *known = hop;
                    changed = true;
                }
            }
            // What was asked for is mostly being resolved at this very moment.
            let soon = was_new && state.hops.values().any(Option::is_none);
            wait = if soon { SOON } else { REFRESH };
            if changed {
                self.generation.fetch_add(1, Ordering::Release);
            }
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, wait: Duration) -> MutexGuard<'a, State> {
        let waited = self.asked.wait_timeout(state, wait);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// As the kernel would send it.
fn hop(netlink: &mut Netlink, (from, to): Ends) -> io::Result<Option<Hop>> {
    let Some(route) = netlink.route(from, to)? else { return Ok(None) };
    let Some(neighbour) = netlink.neighbour(route)? else { return Ok(None) };
    let Some(interface) = netlink.interface(route.interface)? else { return Ok(None) };
    let hop = interface.ethernet.filter(|_| interface.is_up).map(|address| Hop {
        interface: route.interface,
        from: address,
        to: neighbour.address,
        mtu: usize::try_from(interface.mtu).unwrap_or(0),
        wants_probe: !neighbour.is_fresh,
    });
    Ok(hop)
}
