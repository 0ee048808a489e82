//! Buffers of one core: two sizes, kept free up to a bound, handed out cleared.
//!
//! An idle connection holds none of them: whoever waits for bytes gives its buffer back first.

use std::cell::RefCell;
use std::rc::Rc;

use crate::bounds;

/// Free buffers of one core. Small ones have [`bounds::BUFFER_BYTES`], large ones [`bounds::BUFFER_BYTES_LARGE`].
#[derive(Default)]
pub struct BufferPool {
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
}

impl BufferPool {
    /// An empty pool.
    pub fn new() -> Rc<Self> {
        Rc::new(Self::default())
    }

    /// An empty buffer with room for [`bounds::BUFFER_BYTES`].
    pub fn small(&self) -> Vec<u8> {
        let free = self.small.borrow_mut().pop();
        free.unwrap_or_else(|| Vec::with_capacity(bounds::BUFFER_BYTES))
    }

    /// An empty buffer with room for [`bounds::BUFFER_BYTES_LARGE`].
    pub fn large(&self) -> Vec<u8> {
        let free = self.large.borrow_mut().pop();
        free.unwrap_or_else(|| Vec::with_capacity(bounds::BUFFER_BYTES_LARGE))
    }

    /// Takes a buffer back; one of an odd size, or beyond the bound of free ones, is freed.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let (free, most) = match buffer.capacity() {
            bounds::BUFFER_BYTES => (&self.small, bounds::BUFFERS_FREE_MAX),
            bounds::BUFFER_BYTES_LARGE => (&self.large, bounds::BUFFERS_LARGE_FREE_MAX),
            _ => return,
        };
        let mut free = free.borrow_mut();
        if free.len() < most {
            buffer.clear();
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_cleared_and_an_odd_one_is_freed() {
        let pool = BufferPool::new();
        let mut buffer = pool.small();
        buffer.extend_from_slice(b"secret");
        pool.give(buffer);
        assert_eq!(pool.small.borrow().len(), 1);
        assert!(pool.small().is_empty());
        pool.give(Vec::with_capacity(77));
        assert_eq!(pool.small.borrow().len(), 0);
        for _ in 0..bounds::BUFFERS_LARGE_FREE_MAX + 5 {
            pool.give(Vec::with_capacity(bounds::BUFFER_BYTES_LARGE));
        }
        assert_eq!(pool.large.borrow().len(), bounds::BUFFERS_LARGE_FREE_MAX);
    }
}
