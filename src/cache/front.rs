//! The front: what one core has served of late, by key bytes. A hit here writes nothing that another core reads.
//!
//! Liveness is one read of the object's life and one of the purge sequence. Dead objects are dropped by the core's sweep,
//! so that what was evicted is not held by a front for longer than that.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use ahash::AHashMap;

use super::object::{Content, Object};
use crate::bounds;

/// A handle of a complete object, with what this core has made of it.
pub struct Kept {
    pub object: Arc<Object>,
    pub content: Arc<Content>,
    /// The purge sequence up to which the object is known to stand.
    pub checked: Cell<u64>,
    rendered: OnceCell<Box<[u8]>>,
    /// Whether the front holds it: worth it to keep what was made of it.
    is_held: Cell<bool>,
}

impl Kept {
    /// A handle that stands at `sequence`.
    pub fn new(object: Arc<Object>, content: Arc<Content>, sequence: u64) -> Rc<Self> {
        let (checked, rendered) = (Cell::new(sequence), OnceCell::new());
        Rc::new(Self { object, content, checked, rendered, is_held: Cell::new(false) })
    }

    /// Where the status line and the fields are, or are to be, as this core's service sends them; `None` = nobody would
    /// read them again.
    pub fn rendered(&self) -> Option<&OnceCell<Box<[u8]>>> {
        self.is_held.get().then_some(&self.rendered)
    }
}

/// The handles of one core.
#[derive(Default)]
pub struct Front {
    kept: RefCell<AHashMap<Box<[u8]>, Rc<Kept>>>,
    /// Hashes of keys that were to be kept of late, each in its place.
    seen: RefCell<Vec<u32>>,
}

/// Places for hashes of keys that were seen once.
const SEEN: usize = 2 * bounds::FRONT_OBJECTS_MAX;

impl Front {
    /// The live object of a key. Who gets it still has to compare [`Kept::checked`] with the purge sequence.
    pub fn find(&self, key: &[u8]) -> Option<Rc<Kept>> {
        let kept = self.kept.borrow();
        let found = kept.get(key)?;
        if !found.object.life.is_usable() {
            return None;
        }
        found.object.touch();
        Some(Rc::clone(found))
    }

    /// Keeps a handle, where its key was seen not long ago: what is asked for once in a while would only push others out
    /// and cost more than it saves. When there are too many, all are dropped: the table gives the hot ones back at their
    /// next hits.
    pub fn keep(&self, key: &[u8], handle: &Rc<Kept>) {
        let mut kept = self.kept.borrow_mut();
        if self.is_first(kept.hasher().hash_one(key)) {
            return;
        }
        if kept.len() >= bounds::FRONT_OBJECTS_MAX {
            kept.clear();
        }
        handle.is_held.set(true);
        kept.insert(key.into(), Rc::clone(handle));
    }

    /// Whether this hash has not been in its place; now it is.
    fn is_first(&self, hash: u64) -> bool {
        let mut seen = self.seen.borrow_mut();
        if seen.is_empty() {
            seen.resize(SEEN, 0);
        }
        // Place and mark are of different bits; the lowest of the mark tells it from an empty place.
        let mark = (hash >> 32) as u32 | 1; // a part of the hash is meant
        let Some(place) = seen.get_mut(hash as usize % SEEN) else { return true };
        std::mem::replace(place, mark) != mark
    }

    /// Forgets the handle of a key.
    pub fn forget(&self, key: &[u8]) {
        self.kept.borrow_mut().remove(key);
    }

    /// Drops what is dead.
    pub fn sweep(&self) {
        let mut kept = self.kept.borrow_mut();
        if !kept.is_empty() {
            kept.retain(|_, handle| handle.object.life.is_usable());
        }
    }

    /// Drops everything: another service renders differently.
    pub fn clear(&self) {
        self.kept.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::Account;
    use super::super::object::Origin;
    use super::*;
    use crate::http::Method;

    #[test]
    fn a_dead_or_softly_purged_object_is_not_found() {
        let account = Account::new(1_000);
        let front = Front::default();
        let object = |key: &[u8]| {
            let origin = Origin { key: key.into(), method: Method::Get, birth: 0, url: 0 };
            let content = Content::HitForMiss { until_ms: 1 };
            Object::complete(origin, content, account.charge(10).expect("room"))
        };
        let keep = |object: &Arc<Object>| {
            let handle = Kept::new(Arc::clone(object), object.content().expect("complete"), 0);
            front.keep(&object.key, &handle);
            assert!(front.find(&object.key).is_none() && handle.rendered().is_none(), "seen for the first time");
            front.keep(&object.key, &handle);
            assert!(handle.rendered().is_some());
        };
        let (dead, soft, live) = (object(b"dead"), object(b"soft"), object(b"live"));
        [&dead, &soft, &live].into_iter().for_each(keep);
        assert!(front.find(b"dead").is_some());
        dead.kill();
        soft.life.soften();
        assert!(front.find(b"dead").is_none() && front.find(b"soft").is_none() && front.find(b"live").is_some());
        drop((dead, soft, live));
        front.sweep();
        assert_eq!(account.used(), 10, "what is dead is let go");
        front.clear();
        assert_eq!(account.used(), 0);
    }
}
