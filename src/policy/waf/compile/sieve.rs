//! One pass over a value that tells which links may match it: the prefilter of the firewall.
//!
//! Every gated link names literals of which at least one must be in a value it matches ([`Matcher::literals`]). The sieve
//! takes from each literal its rarest window of four bytes (three, two for short ones), marks it in a small bitmap, and
//! asks that bitmap at every position of a value; only where it says yes the literals behind it are compared. Nothing is
//! missed, ASCII case is disregarded, and what it finds is exact: a gate is set if and only if one of its literals is there.
//! Independent loads instead of an automaton's chain of them make it a fraction of a nanosecond a byte.
//!
//! [`Matcher::literals`]: super::super::operator::Matcher::literals

use std::collections::HashMap;

/// Sets bit 5 of every byte: letters lose their case. Other bytes fall together, too, which a comparison sorts out.
const FOLD: u32 = 0x2020_2020;
/// An odd multiplier that spreads windows (2^32 / golden ratio).
const SPREAD: u32 = 0x9E37_79B1;
/// Bits of a bitmap per window in it, so that a few in a hundred positions of ordinary text are looked at twice.
const BITS_PER_WINDOW: usize = 32;
/// log2 of the bits of the smallest and the largest bitmap: 512 bytes, 16 KiB.
const BITS_LOG_MIN: u32 = 12;
const BITS_LOG_MAX: u32 = 17;

/// The prefilter of a rule set.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    four: Map,
    three: Map,
    two: Map,
    /// Gates by literals of a single byte: bytes in either case, and where their gates stand in `gates`.
    ones: Box<[(u8, u32, u32)]>,
    /// All literals, in lower case, one behind the other.
    pool: Box<[u8]>,
    entries: Box<[Entry]>,
    /// Gates of the entries.
    gates: Box<[u32]>,
}

/// One literal.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    start: u32,
    end: u32,
    /// Where its window begins in it.
    window: u32,
    gates_start: u32,
    gates_end: u32,
}

/// A bitmap over windows of one width, and the entries behind each bit.
#[derive(Clone, Debug, Default)]
struct Map {
    /// 32 − log2 of the bits.
    shift: u32,
    bits: Box<[u64]>,
    /// Bits set in front of each word of `bits`.
    rank: Box<[u32]>,
    /// Where the entries of the n-th set bit begin in `order`; one more at the end.
    starts: Box<[u32]>,
    /// The window itself, and its entry.
    order: Box<[(u32, u32)]>,
}

/// Whether literals like these can gate a link: none is empty.
pub fn can_gate(literals: &[Box<[u8]>]) -> bool {
    !literals.is_empty() && literals.iter().all(|literal| !literal.is_empty())
}

impl Sieve {
    /// A sieve of the literals of each gate; gates are numbered from 0.
    pub fn new(gates: &[Vec<Box<[u8]>>]) -> Self {
        let mut of: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
        for (gate, literals) in (0_u32..).zip(gates) {
            for literal in literals {
                let holders = of.entry(literal.to_ascii_lowercase()).or_default();
                if holders.last() != Some(&gate) {
                    holders.push(gate);
                }
            }
        }
        let mut literals: Vec<_> = of.into_iter().collect();
        literals.sort();
        let (mut pool, mut entries, mut all) = (Vec::new(), Vec::new(), Vec::new());
        let mut windows: [Vec<(u32, u32)>; 3] = Default::default();
        let mut ones = Vec::new();
        for (literal, holders) in &literals {
            if let [byte] = **literal {
                let start = all.len() as u32;
                all.extend_from_slice(holders);
                ones.push((byte, start, all.len() as u32));
                if byte.is_ascii_lowercase() {
                    ones.push((byte.to_ascii_uppercase(), start, all.len() as u32));
                }
            }
        }
        literals.retain(|(literal, _)| literal.len() > 1);
        for (index, (literal, holders)) in (0_u32..).zip(&literals) {
            let width = literal.len().min(4);
            let window = rarest(literal, width);
            let (start, gates_start) = (pool.len() as u32, all.len() as u32);
            pool.extend_from_slice(literal);
            all.extend_from_slice(holders);
            entries.push(Entry {
                start,
                end: pool.len() as u32,
                window: window as u32,
                gates_start,
                gates_end: all.len() as u32,
            });
            if let Some(kind) = windows.get_mut(4 - width) {
                kind.push((word(literal.get(window..).unwrap_or_default(), width), index));
            }
        }
        let [four, three, two] = windows.map(|windows| Map::new(&windows));
        Self { four, three, two, ones: ones.into(), pool: pool.into(), entries: entries.into(), gates: all.into() }
    }

    /// Sets in `row` the bit of every gate one of whose literals is in `value`. `row` holds a bit for each gate.
    pub fn scan(&self, value: &[u8], row: &mut [u64]) {
        match (self.three.bits.is_empty(), self.two.bits.is_empty()) {
            (true, true) => self.scan_with::<false, false>(value, row),
            (false, true) => self.scan_with::<true, false>(value, row),
            (true, false) => self.scan_with::<false, true>(value, row),
            (false, false) => self.scan_with::<true, true>(value, row),
        }
        if !self.ones.is_empty() {
            self.scan_ones(value, row);
        }
    }

    /// Single bytes: which there are, then whose they are.
    fn scan_ones(&self, value: &[u8], row: &mut [u64]) {
        let mut there = [false; 256];
        for &byte in value {
            there[usize::from(byte)] = true;
        }
        for &(byte, start, end) in &self.ones {
            if there[usize::from(byte)] {
                open(self.gates.get(start as usize..end as usize).unwrap_or_default(), row);
            }
        }
    }

    fn scan_with<const THREE: bool, const TWO: bool>(&self, value: &[u8], row: &mut [u64]) {
        let has_four = !self.four.bits.is_empty();
        for (at, window) in value.windows(4).enumerate() {
            let word = u32::from_le_bytes([window[0], window[1], window[2], window[3]]) | FOLD;
            if has_four && self.four.has(word) {
                self.compare(&self.four, word, value, at, row);
            }
            if THREE && self.three.has(word & 0x00ff_ffff) {
                self.compare(&self.three, word & 0x00ff_ffff, value, at, row);
            }
            if TWO && self.two.has(word & 0xffff) {
                self.compare(&self.two, word & 0xffff, value, at, row);
            }
        }
        if THREE || TWO {
            self.scan_tail(value, row);
        }
    }

    /// The last three positions: there are no four bytes left for a window.
    #[cold]
    #[inline(never)]
    fn scan_tail(&self, value: &[u8], row: &mut [u64]) {
        for at in value.len().saturating_sub(3)..value.len() {
            let rest = value.get(at..).unwrap_or_default();
            for (map, width) in [(&self.three, 3), (&self.two, 2)] {
                if rest.len() >= width && !map.bits.is_empty() && map.has(word(rest, width)) {
                    self.compare(map, word(rest, width), value, at, row);
                }
            }
        }
    }

    /// Compares the literals behind a bit with the value around `at`.
    #[inline(never)]
    fn compare(&self, map: &Map, word: u32, value: &[u8], at: usize, row: &mut [u64]) {
        for &(window, index) in map.behind(word) {
            if window != word {
                continue;
            }
            let Some(entry) = self.entries.get(index as usize) else { continue };
            let Some(literal) = self.pool.get(entry.start as usize..entry.end as usize) else { continue };
            let Some(start) = at.checked_sub(entry.window as usize) else { continue };
            let Some(found) = value.get(start..start + literal.len()) else { continue };
            if found.eq_ignore_ascii_case(literal) {
                open(self.gates.get(entry.gates_start as usize..entry.gates_end as usize).unwrap_or_default(), row);
            }
        }
    }
}

impl Map {
    fn new(windows: &[(u32, u32)]) -> Self {
        if windows.is_empty() {
            return Self::default();
        }
        let wanted = (windows.len() * BITS_PER_WINDOW).next_power_of_two().ilog2();
        let log = wanted.clamp(BITS_LOG_MIN, BITS_LOG_MAX);
        let shift = 32 - log;
        let mut by_bit: Vec<_> = windows.iter().map(|&(word, entry)| (place(word, shift), word, entry)).collect();
        by_bit.sort_unstable();
        let mut bits = vec![0_u64; 1 << (log - 6)];
        let (mut starts, mut order, mut last) = (Vec::new(), Vec::new(), None);
        for &(bit, word, entry) in &by_bit {
            if last != Some(bit) {
                starts.push(order.len() as u32);
                last = Some(bit);
            }
            if let Some(word) = bits.get_mut(bit as usize / 64) {
                *word |= 1 << (bit % 64);
            }
            order.push((word, entry));
        }
        starts.push(order.len() as u32);
        let mut rank = Vec::with_capacity(bits.len());
        let mut before = 0;
        for word in &bits {
            rank.push(before);
            before += word.count_ones();
        }
        Self { shift, bits: bits.into(), rank: rank.into(), starts: starts.into(), order: order.into() }
    }

    #[inline]
    fn has(&self, word: u32) -> bool {
        let bit = place(word, self.shift);
        self.bits.get(bit as usize / 64).is_some_and(|bits| bits >> (bit % 64) & 1 == 1)
    }

    /// The entries behind the bit of `word`, which is set.
    fn behind(&self, word: u32) -> &[(u32, u32)] {
        let bit = place(word, self.shift);
        let index = bit as usize / 64;
        let below = self.bits.get(index).map_or(0, |bits| (bits & ((1 << (bit % 64)) - 1)).count_ones());
        let nth = (self.rank.get(index).copied().unwrap_or_default() + below) as usize;
        let (Some(&start), Some(&end)) = (self.starts.get(nth), self.starts.get(nth + 1)) else { return &[] };
        self.order.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// Sets the bits of gates.
fn open(gates: &[u32], row: &mut [u64]) {
    for &gate in gates {
        if let Some(word) = row.get_mut(gate as usize / 64) {
            *word |= 1 << (gate % 64);
        }
    }
}

#[inline]
fn place(word: u32, shift: u32) -> u32 {
    word.wrapping_mul(SPREAD) >> shift
}

/// The first `width` bytes, folded, as the scan makes them of a window.
fn word(bytes: &[u8], width: usize) -> u32 {
    let mut four = [0_u8; 4];
    for (to, from) in four.iter_mut().zip(bytes.iter().take(width)) {
        *to = *from;
    }
    let mask = if width >= 4 { u32::MAX } else { (1 << (8 * width)) - 1 };
    (u32::from_le_bytes(four) | FOLD) & mask
}

/// Where the window that ordinary requests hold least often begins in a literal.
fn rarest(literal: &[u8], width: usize) -> usize {
    let cost = |window: &[u8]| window.iter().map(|&byte| commonness(byte)).sum::<u32>();
    literal.windows(width).enumerate().min_by_key(|(_, window)| cost(window)).map_or(0, |(at, _)| at)
}

/// How common a byte is in prose, JSON and header fields, roughly: logarithms of its share.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b' ' | b'e' => 10,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 9,
        b'h' | b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'"' => 8,
        b'f' | b'g' | b'w' | b'y' | b'b' | b',' | b'.' | b':' | b'/' | b'-' => 7,
        b'v' | b'k' | b'0'..=b'9' | b'_' | b'=' => 6,
        b'x' | b'j' | b'q' | b'z' | b'{' | b'}' | b';' | b'[' | b']' | b'\'' => 4,
        0x80.. => 5,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(gates: &[Vec<Box<[u8]>>], value: &[u8]) -> Vec<bool> {
        let mut row = vec![0; gates.len().div_ceil(64)];
        Sieve::new(gates).scan(value, &mut row);
        (0..gates.len()).map(|gate| row[gate / 64] >> (gate % 64) & 1 == 1).collect()
    }

    fn holds(value: &[u8], literal: &[u8]) -> bool {
        value.windows(literal.len()).any(|window| window.eq_ignore_ascii_case(literal))
    }

    #[test]
    fn literals_are_found_wherever_they_stand() {
        let gates = [vec![Box::from(&b"union"[..])], vec![Box::from(&b"<?"[..])], vec![Box::from("暴力".as_bytes())]];
        assert_eq!(found(&gates, b"x UNION y"), [true, false, false]);
        assert_eq!(found(&gates, b"<?"), [false, true, false]);
        assert_eq!(found(&gates, "…暴力".as_bytes()), [false, false, true]);
        assert_eq!(found(&gates, b""), [false, false, false]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_gate_is_set_when_and_only_when_a_literal_is_there(
            gates in proptest::collection::vec(
                proptest::collection::vec("[a-cA-C@`\\[{ 暴]{1,6}", 1..4), 1..90),
            value in "[a-cA-C@`\\[{ 暴]{0,40}",
        ) {
            let gates: Vec<Vec<Box<[u8]>>> = gates
                .into_iter()
                .map(|literals| literals.into_iter().map(|text| text.into_bytes().into()).collect())
                .collect();
            for (gate, set) in gates.iter().zip(found(&gates, value.as_bytes())) {
                prop_assert_eq!(set, gate.iter().any(|literal| holds(value.as_bytes(), literal)));
            }
        }
    }
}
