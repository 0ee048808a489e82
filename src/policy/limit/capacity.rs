//! How many may be in progress at once where there is one count and no key: requests to an upstream, requests that wait
//! for their time.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

use crossbeam_utils::CachePadded;

/// A count over all cores. Lives as long as the name it belongs to, over reloads too.
#[derive(Debug, Default)]
pub struct Crowd(CachePadded<AtomicU64>);

/// A count and how far it may go.
#[derive(Clone, Debug)]
pub struct Capacity {
    pub most: u64,
    pub crowd: Arc<Crowd>,
}

/// One in a [`Crowd`]; leaves it when dropped, however that comes about.
#[derive(Debug)]
pub struct Member(Arc<Crowd>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Release);
    }
}

impl Capacity {
    /// Takes a place; `None` = all are taken.
    pub fn enter(&self) -> Option<Member> {
        let raised = self.crowd.0.fetch_update(AcqRel, Relaxed, |count| (count < self.most).then_some(count + 1));
        raised.ok().map(|_| Member(Arc::clone(&self.crowd)))
    }

    /// How many there are now.
    pub fn count(&self) -> u64 {
        self.crowd.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_and_left() {
        let capacity = Capacity { most: 2, crowd: Arc::default() };
        let (one, two) = (capacity.enter(), capacity.enter());
        assert!(one.is_some() && two.is_some() && capacity.enter().is_none());
        let smaller = Capacity { most: 1, ..capacity.clone() };
        drop(one);
        assert!(smaller.enter().is_none(), "a reload has made it smaller");
        assert!(capacity.enter().is_some());
        drop(two);
        assert_eq!(capacity.count(), 0);
    }
}
