//! Changes by chance with a fixed start, so that a failure comes back.

/// A generator (xorshift64, Marsaglia 2003); the start may not be 0.
pub struct Chance(pub u64);

impl Chance {
    /// A number from 0 up to and without `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// Changes up to two places: a byte replaced by or put in from `odd`, one taken away, or a piece doubled.
    pub fn change(&mut self, bytes: &mut Vec<u8>, odd: &[u8]) {
        for _ in 0..self.below(3) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] = odd[self.below(odd.len())],
                1 => bytes.insert(at, odd[self.below(odd.len())]),
                2 => drop(bytes.remove(at)),
                _ => {
                    let part = bytes[at..(at + self.below(12)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
    }
}
