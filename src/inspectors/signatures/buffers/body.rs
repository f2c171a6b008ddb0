use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashMap;

use super::{Compression, Inflate};
use crate::gwlb::EndpointId;

/// The bytes that the flows of a worker may hold together, and those of each endpoint.
#[derive(Debug)]
pub(in super::super) struct Pool {
    all: Arc<Measure>,
    most_of_endpoint: usize,
    endpoints: HashMap<EndpointId, Arc<Portion>>,
    /// With so many endpoints, those without flows are forgotten.
    crowd: usize,
}

/// What the flows of an endpoint have of a pool.
#[derive(Debug)]
pub(in super::super) struct Portion {
    own: Measure,
    all: Arc<Measure>,
}

#[derive(Debug)]
struct Measure {
    used: AtomicUsize,
    most: usize,
}

/// Why there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Full {
    /// All flows have as much as they may have together.
    All,
    /// Those of this endpoint do.
    Endpoint,
}

impl Pool {
    const FEW_ENDPOINTS: usize = 64;

    pub(in super::super) fn new(most: usize, most_of_endpoint: usize) -> Self {
        Self {
            all: Arc::new(Measure::new(most)),
            most_of_endpoint,
            endpoints: HashMap::new(),
            crowd: Self::FEW_ENDPOINTS,
        }
    }

    /// Bytes that are held now.
    pub(in super::super) fn used(&self) -> usize {
        self.all.used.load(Ordering::Relaxed)
    }

    /// What the flows of an endpoint have of it.
    pub(in super::super) fn of(&mut self, endpoint: EndpointId) -> Arc<Portion> {
        if let Some(portion) = self.endpoints.get(&endpoint) {
            return Arc::clone(portion);
        }
        if self.endpoints.len() >= self.crowd {
            self.endpoints.retain(|_, portion| Arc::strong_count(portion) > 1);
            self.crowd = self.endpoints.len().saturating_mul(2).max(Self::FEW_ENDPOINTS);
        }
        let own = Measure::new(self.most_of_endpoint);
        let portion = Arc::new(Portion { own, all: Arc::clone(&self.all) });
        self.endpoints.insert(endpoint, Arc::clone(&portion));
        portion
    }
}

impl Portion {
    /// Nothing of it yet.
    pub(in super::super) fn share(self: &Arc<Self>) -> Share {
        Share { portion: Arc::clone(self), bytes: 0 }
    }
}

impl Measure {
    const fn new(most: usize) -> Self {
        Self { used: AtomicUsize::new(0), most }
    }

    fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let is_there = before.saturating_add(bytes) <= self.most;
        if !is_there {
            self.give(bytes);
        }
        is_there
    }

    fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What somebody has of a portion. It goes back when this is dropped.
#[derive(Debug)]
pub(in super::super) struct Share {
    portion: Arc<Portion>,
    bytes: usize,
}

impl Share {
    /// Takes as much as to have `bytes`, or gives back what is more. Where there is not as much left, all stays as it is.
    pub(in super::super) fn set(&mut self, bytes: usize) -> Result<(), Full> {
        let Portion { own, all } = &*self.portion;
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            if !own.take(more) {
                return Err(Full::Endpoint);
            }
            if !all.take(more) {
                own.give(more);
                return Err(Full::All);
            }
            self.bytes = bytes;
        } else {
            self.give_all_but(bytes);
        }
        Ok(())
    }

    /// Gives back what is more than `bytes`.
    pub(in super::super) fn give_all_but(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.portion.own.give(less);
            self.portion.all.give(less);
            self.bytes = bytes;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_all_but(0);
    }
}

/// A body as far as it has come: up to a bound, and inflated where that is asked for.
#[derive(Debug)]
pub(in super::super) struct Body {
    bytes: Vec<u8>,
    inflate: Option<Inflate>,
    most: usize,
    is_whole: bool,
    is_broken: bool,
    share: Share,
}

impl Body {
    /// One of at most so many bytes, of a share that has none yet.
    pub(in super::super) fn new(
        compression: Option<Compression>,
        most: usize,
        mut share: Share,
    ) -> Result<Self, Full> {
        let inflate = match compression {
            Some(compression) => {
                share.set(Inflate::BYTES)?;
                Some(Inflate::new(compression))
            }
            None => None,
        };
        Ok(Self { bytes: Vec::new(), inflate, most, is_whole: false, is_broken: false, share })
    }

    /// Adds a piece. Nothing is added behind the bound, or where there is no room: then it is as whole as it gets.
    pub(in super::super) fn add(&mut self, piece: &[u8], is_last: bool) -> Result<(), Full> {
        if self.is_whole {
            return Ok(());
        }
        let room = self.most.saturating_sub(self.bytes.len());
        // What a piece inflates to is not known before. Of what is as it was sent the length counts: its vector is at most twice as large.
        let growth = if self.inflate.is_some() { room } else { piece.len().min(room) };
        let inflate = if self.inflate.is_some() { Inflate::BYTES } else { 0 };
        let wanted = self.bytes.len().saturating_add(growth).saturating_add(inflate);
        if let Err(full) = self.share.set(wanted) {
            self.end();
            return Err(full);
        }
        let goes_on = match &mut self.inflate {
            Some(inflate) => inflate.feed(piece, &mut self.bytes, self.most),
            None => {
                self.bytes.extend_from_slice(piece.get(..growth).unwrap_or(piece));
                piece.len() < room
            }
        };
        if is_last || !goes_on {
            self.end();
        } else {
            self.share.give_all_but(self.bytes.capacity().saturating_add(inflate));
        }
        Ok(())
    }

    /// Nothing is to be added any more.
    pub(in super::super) fn end(&mut self) {
        self.is_whole = true;
        self.is_broken |= self.inflate.take().is_some_and(|inflate| inflate.is_broken());
        self.share.give_all_but(self.bytes.capacity());
    }

    pub(in super::super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(in super::super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether there was something in it that could not be inflated.
    pub(in super::super) fn is_broken(&self) -> bool {
        self.is_broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(pool: &mut Pool, endpoint: u64) -> Body {
        Body::new(None, 10, pool.of(EndpointId(endpoint)).share()).unwrap()
    }

    #[test]
    fn a_body_ends_at_its_bound_and_gives_back_what_it_had() {
        let mut pool = Pool::new(1_000, 1_000);
        let mut body = body(&mut pool, 1);
        assert_eq!(body.add(b"1234", false), Ok(()));
        assert_eq!((body.bytes(), body.is_whole(), pool.used()), (&b"1234"[..], false, 4));
        assert_eq!(body.add(b"5678901", false), Ok(()));
        assert_eq!((body.bytes(), body.is_whole(), pool.used()), (&b"1234567890"[..], true, 10));
        assert_eq!(body.add(b"more", true), Ok(()));
        assert_eq!(body.bytes().len(), 10);
        drop(body);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn an_inflated_body_counts_as_much_as_it_takes() {
        let compressed = miniz_oxide::deflate::compress_to_vec(&[b'a'; 9_000], 6);
        for most in [100, 5_000, 10_000, 1 << 16] {
            let mut pool = Pool::new(1 << 20, 1 << 20);
            let share = pool.of(EndpointId(1)).share();
            let mut body = Body::new(Some(Compression::Deflate), most, share).unwrap();
            for piece in compressed.chunks(2) {
                assert_eq!(body.add(piece, false), Ok(()));
                let state = if body.is_whole() { 0 } else { Inflate::BYTES };
                let taken = body.bytes.capacity();
                assert_eq!(pool.used(), taken + state);
                assert!(taken <= most, "{taken} of {most}");
            }
            assert_eq!(body.bytes().len(), most.min(9_000));
        }
    }

    #[test]
    fn where_there_is_no_room_a_body_ends() {
        let mut pool = Pool::new(6, 6);
        let (mut one, mut other) = (body(&mut pool, 1), body(&mut pool, 2));
        assert_eq!(one.add(b"1234", false), Ok(()));
        assert_eq!(other.add(b"123", false), Err(Full::All));
        assert!(!one.is_whole() && other.is_whole() && other.bytes().is_empty());
        let inflated = Body::new(Some(Compression::Gzip), 10, pool.of(EndpointId(1)).share());
        assert_eq!(inflated.err(), Some(Full::Endpoint));
        assert_eq!(pool.used(), 4);
    }

    #[test]
    fn an_endpoint_has_no_more_than_its_share_also_when_it_was_refused_before() {
        let mut pool = Pool::new(8, 5);
        let (mut one, mut same, mut other) =
            (body(&mut pool, 1), body(&mut pool, 1), body(&mut pool, 2));
        assert_eq!(one.add(b"1234", false), Ok(()));
        assert_eq!(same.add(b"56", false), Err(Full::Endpoint));
        assert_eq!(other.add(b"1234", false), Ok(()));
        // The other one has as much of its share left, but there is no more of the whole.
        assert_eq!(other.add(b"5", false), Err(Full::All));
        assert_eq!(pool.used(), 8);
        drop((one, same, other));
        for endpoint in [1, 2] {
            assert_eq!(body(&mut pool, endpoint).add(b"12345", false), Ok(()));
        }
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn endpoints_without_flows_are_forgotten() {
        let mut pool = Pool::new(1_000, 4);
        let mut kept = body(&mut pool, 0);
        assert_eq!(kept.add(b"123", false), Ok(()));
        for endpoint in 1..10_000 {
            assert_eq!(body(&mut pool, endpoint).add(b"1234", false), Ok(()));
        }
        assert!(pool.endpoints.len() <= Pool::FEW_ENDPOINTS);
        // That with a flow has still what it had.
        assert_eq!(body(&mut pool, 0).add(b"45", false), Err(Full::Endpoint));
    }
}
