//! Placeholder of the table: a map without eviction, so that what works on a cache can be compiled. Replaced at the merge.

use std::sync::Arc;

use super::account::{Account, Charge};
use super::key::KeyHash;
use super::ledger::Standing;
use super::life::State;
use super::object::Object;

/// The stored answers of the process.
#[derive(Debug)]
pub struct Cache {
    salt: [u8; 32],
    account: Arc<Account>,
    map: papaya::HashMap<u128, Arc<Object>>,
}

impl Cache {
    /// An empty one.
    pub fn new(capacity: u64, salt: [u8; 32]) -> Arc<Self> {
        Arc::new(Self { salt, account: Account::new(capacity), map: papaya::HashMap::new() })
    }

    /// What its hashes are made with.
    pub fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// Its bytes.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Takes so many bytes.
    pub fn charge(&self, bytes: u64) -> Option<Charge> {
        self.account.charge(bytes)
    }

    /// Puts where nothing alive stands.
    ///
    /// # Errors
    /// Who stands there.
    pub fn place(&self, hash: KeyHash, object: &Arc<Object>) -> Result<(), Arc<Object>> {
        let map = self.map.pin();
        match map.get(&hash.0) {
            Some(there) if there.life.state() != State::Dead => Err(Arc::clone(there)),
            _ => {
                map.insert(hash.0, Arc::clone(object));
                Ok(())
            }
        }
    }

    /// Puts.
    pub fn replace(&self, hash: KeyHash, object: &Arc<Object>) {
        if let Some(former) = self.map.pin().insert(hash.0, Arc::clone(object)) {
            former.kill();
        }
    }

    /// Lets a complete object into the queues.
    pub fn admit(&self, _hash: KeyHash, _object: &Arc<Object>) {}

    /// Number of the last purge.
    pub fn sequence(&self) -> u64 {
        0
    }

    /// What the purges say.
    pub fn standing(&self, object: &Object, _tags: &[u64]) -> Standing {
        if object.life.is_soft() { Standing::Soft } else { Standing::Good }
    }

    /// Every object that is alive.
    pub fn for_each(&self, mut visit: impl FnMut(KeyHash, &Arc<Object>)) {
        for (hash, object) in &self.map.pin() {
            if object.life.state() != State::Dead {
                visit(KeyHash(*hash), object);
            }
        }
    }
}
