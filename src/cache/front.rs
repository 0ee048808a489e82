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
    /// Status line and fields as this core's service sends them.
    pub rendered: OnceCell<Box<[u8]>>,
}

impl Kept {
    /// A handle that stands at `sequence`.
    pub fn new(object: Arc<Object>, content: Arc<Content>, sequence: u64) -> Rc<Self> {
        Rc::new(Self { object, content, checked: Cell::new(sequence), rendered: OnceCell::new() })
    }
}

/// The handles of one core.
#[derive(Default)]
pub struct Front {
    kept: RefCell<AHashMap<Box<[u8]>, Rc<Kept>>>,
}

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

    /// Keeps a handle. When there are too many, all are dropped: the table gives the hot ones back at their next hit.
    pub fn keep(&self, key: &[u8], handle: &Rc<Kept>) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= bounds::FRONT_OBJECTS_MAX {
            kept.clear();
        }
        kept.insert(key.into(), Rc::clone(handle));
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
