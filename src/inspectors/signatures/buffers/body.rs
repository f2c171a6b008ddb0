use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::{Coding, Inflate};

/// How many bytes flows may hold together.
#[derive(Clone, Debug)]
pub(in super::super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    used: AtomicUsize,
    most: usize,
}

impl Pool {
    pub(in super::super) fn new(most: usize) -> Self {
        Self(Arc::new(Inner { used: AtomicUsize::new(0), most }))
    }

    /// Bytes that are held now.
    pub(in super::super) fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Nothing of it yet.
    pub(in super::super) fn share(&self) -> Share {
        Share { pool: self.clone(), bytes: 0 }
    }
}

/// What somebody has of a pool. It goes back when this is dropped.
#[derive(Debug)]
pub(in super::super) struct Share {
    pool: Pool,
    bytes: usize,
}

impl Share {
    /// Takes as much as to have `bytes`, or gives back what is more; `false` where there is not as much left.
    pub(in super::super) fn set(&mut self, bytes: usize) -> bool {
        let used = &self.pool.0.used;
        if let Some(more) = bytes.checked_sub(self.bytes) {
            let before = used.fetch_add(more, Ordering::Relaxed);
            if more > 0 && before.saturating_add(more) > self.pool.0.most {
                used.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        } else {
            used.fetch_sub(self.bytes.saturating_sub(bytes), Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A body as far as it has come: up to a bound, and inflated where it is compressed.
#[derive(Debug)]
pub(in super::super) struct Body {
    bytes: Vec<u8>,
    inflate: Option<Inflate>,
    most: usize,
    is_whole: bool,
    share: Share,
}

impl Body {
    /// `None` where the pool has no room for it.
    pub(in super::super) fn new(coding: Option<Coding>, most: usize, pool: &Pool) -> Option<Self> {
        let mut share = pool.share();
        let inflate = match coding {
            Some(coding) if share.set(Inflate::BYTES) => Some(Inflate::new(coding)),
            Some(_) => return None,
            None => None,
        };
        Some(Self { bytes: Vec::new(), inflate, most, is_whole: false, share })
    }

    /// Adds a piece. Nothing is added behind the bound: then it is as whole as it gets.
    pub(in super::super) fn add(&mut self, piece: &[u8], is_last: bool) {
        if self.is_whole {
            return;
        }
        let room = self.most.saturating_sub(self.bytes.len());
        // What a piece inflates to is not known before; the growth of a vector doubles it at most.
        let growth = if self.inflate.is_some() { room } else { piece.len().min(room) };
        let inflate = if self.inflate.is_some() { Inflate::BYTES } else { 0 };
        let wanted = self.bytes.len().saturating_add(growth).saturating_add(inflate);
        if !self.share.set(wanted) {
            self.end();
            return;
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
            self.share.set(self.bytes.len().saturating_add(inflate));
        }
    }

    /// Nothing is to be added any more.
    pub(in super::super) fn end(&mut self) {
        self.is_whole = true;
        self.inflate = None;
        self.share.set(self.bytes.len());
    }

    pub(in super::super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(in super::super) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_at_its_bound_and_gives_back_what_it_had() {
        let pool = Pool::new(1_000);
        let mut body = Body::new(None, 10, &pool).unwrap();
        body.add(b"1234", false);
        assert_eq!((body.bytes(), body.is_whole(), pool.used()), (&b"1234"[..], false, 4));
        body.add(b"5678901", false);
        assert_eq!((body.bytes(), body.is_whole(), pool.used()), (&b"1234567890"[..], true, 10));
        body.add(b"more", true);
        assert_eq!(body.bytes().len(), 10);
        drop(body);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn where_there_is_no_room_a_body_ends() {
        let pool = Pool::new(6);
        let (mut one, mut other) =
            (Body::new(None, 10, &pool).unwrap(), Body::new(None, 10, &pool).unwrap());
        one.add(b"1234", false);
        other.add(b"123", false);
        assert!(!one.is_whole() && other.is_whole() && other.bytes().is_empty());
        assert!(Body::new(Some(Coding::Gzip), 10, &pool).is_none());
        assert_eq!(pool.used(), 4);
    }
}
