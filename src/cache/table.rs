//! The index of the process: which object stands under a key. Lock-free; knows nothing of bytes, queues and purges.
//!
//! An object that is taken out here is not killed: that is the caller's. Whoever reads the table keeps the removed node
//! for a moment, so a few removed objects per thread are freed late; a dead one is a shell by then.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use papaya::{Compute, Operation};

use super::key::KeyHash;
use super::life::State;
use super::object::Object;

/// Parts of the index: each grows by itself, and a sweep goes from one to the next.
pub const PARTS: usize = 64;
/// Removed nodes that a thread gathers before it frees them: each time costs a system call that stops the other cores,
/// while they wait they hold room that a small cache has not.
const REMOVED_MIN: u64 = 4;
const REMOVED_MAX: u64 = 32;
/// Bytes of capacity per removed node.
const BYTES_PER_REMOVED: u64 = 128 * 1024;

type Map = papaya::HashMap<KeyHash, Arc<Object>, BuildHasherDefault<Uniform>>;

/// Objects by the hash of their key. About 50 bytes per object besides the object.
#[derive(Debug)]
pub struct Table {
    parts: Box<[Map]>,
}

impl Table {
    /// An empty table for a cache of `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let removed = (capacity / BYTES_PER_REMOVED).clamp(REMOVED_MIN, REMOVED_MAX);
        let collector = Arc::new(seize::Collector::new().batch_size(removed as usize));
        let part = |_| {
            let map = papaya::HashMap::<KeyHash, Arc<Object>>::builder().hasher(BuildHasherDefault::default());
            map.shared_collector(Arc::clone(&collector)).build()
        };
        Self { parts: (0..PARTS).map(part).collect() }
    }

    /// Who stands there, dead or alive.
    pub fn get(&self, hash: KeyHash) -> Option<Arc<Object>> {
        self.part(hash).pin().get(&hash).cloned()
    }

    /// Puts an object where nothing alive stands; otherwise returns who does.
    ///
    /// # Errors
    /// The object that stands there, alive.
    pub fn place(&self, hash: KeyHash, object: &Arc<Object>) -> Result<(), Arc<Object>> {
        let map = self.part(hash).pin();
        let placed = map.compute(hash, |standing| match standing {
            Some((_, other)) if other.life.state() != State::Dead => Operation::Abort(Arc::clone(other)),
            _ => Operation::Insert(Arc::clone(object)),
        });
        match placed {
            Compute::Aborted(other) => Err(other),
            _ => Ok(()),
        }
    }

    /// Puts an object and returns who stood there.
    pub fn replace(&self, hash: KeyHash, object: &Arc<Object>) -> Option<Arc<Object>> {
        self.part(hash).pin().insert(hash, Arc::clone(object)).cloned()
    }

    /// Takes this very object out.
    pub fn remove(&self, hash: KeyHash, object: &Arc<Object>) -> bool {
        let map = self.part(hash).pin();
        matches!(map.remove_if(&hash, |_, standing| Arc::ptr_eq(standing, object)), Ok(Some(_)))
    }

    /// Every object of one part, dead or alive.
    pub fn visit(&self, part: usize, mut visit: impl FnMut(KeyHash, &Arc<Object>)) {
        if let Some(map) = self.parts.get(part) {
            map.pin().iter().for_each(|(hash, object)| visit(*hash, object));
        }
    }

    /// Objects, dead and alive.
    pub fn len(&self) -> usize {
        self.parts.iter().map(papaya::HashMap::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees what this thread removed, as far as nobody reads it.
    pub fn flush(&self) {
        if let Some(map) = self.parts.first() {
            papaya::Guard::flush(&map.guard());
        }
    }

    fn part(&self, hash: KeyHash) -> &Map {
        &self.parts[(hash.0 >> 122) as usize % PARTS]
    }
}

/// Takes a key for its own hash: keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uniform(u64);

impl Hasher for Uniform {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}
