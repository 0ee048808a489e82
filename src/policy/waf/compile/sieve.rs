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
const FOLD: u64 = 0x2020_2020_2020_2020;
/// An odd multiplier that spreads windows (2^32 / golden ratio).
const SPREAD: u32 = 0x9E37_79B1;
/// Words of the bitmap of windows of four bytes: 16 KiB, so that it stays near, and with some thousands of windows a few
/// in a hundred positions are looked at twice.
const WORDS_FOUR: usize = 2048;
/// Words of the bitmaps of shorter windows, of which there are few: 4 KiB each.
const WORDS_SHORT: usize = 512;
/// What a window of three and of two bytes is of one of four.
const THREE_BYTES: u32 = 0x00ff_ffff;
const TWO_BYTES: u32 = 0x0000_ffff;

/// The prefilter of a rule set.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    four: Map<WORDS_FOUR>,
    three: Map<WORDS_SHORT>,
    two: Map<WORDS_SHORT>,
    /// Gates by literals of a single byte: bytes in either case, and where their gates stand in `gates`.
    ones: Box<[(u8, u32, u32)]>,
    /// Every how many positions a value is looked at: 4, 2 or 1, as the shortest literal allows. A literal then has as many
    /// windows, side by side, and one of them stands at such a position.
    stride: usize,
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
    gates_start: u32,
    gates_end: u32,
}

/// A bitmap over windows of one width, and what is behind each bit. Empty: no window has this width.
#[derive(Clone, Debug, Default)]
struct Map<const WORDS: usize> {
    bits: Option<Box<[u64; WORDS]>>,
    /// Where the slots of each half word of `bits` begin in `slots`; one more at the end.
    starts: Box<[u32]>,
    slots: Box<[Slot]>,
}

/// A literal's window with what follows it in the literal, up to eight bytes, folded.
#[derive(Clone, Copy, Debug)]
struct Slot {
    bytes: u64,
    /// The bytes of `bytes` that count.
    mask: u64,
    entry: u32,
    /// Where it begins in its literal.
    window: u32,
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
        let mut windows: [Vec<Slot>; 3] = Default::default();
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
        let stride = stride(literals.iter().map(|(literal, _)| literal.len()).min());
        for (index, (literal, holders)) in (0_u32..).zip(&literals) {
            let width = literal.len().min(4);
            let (start, gates_start) = (pool.len() as u32, all.len() as u32);
            pool.extend_from_slice(literal);
            all.extend_from_slice(holders);
            let (end, gates_end) = (pool.len() as u32, all.len() as u32);
            entries.push(Entry { start, end, gates_start, gates_end });
            let first = rarest(literal, width, stride);
            for window in first..first + stride {
                let rest = literal.get(window..).unwrap_or_default();
                let mask = u64::MAX >> (64 - 8 * rest.len().clamp(1, 8));
                let slot = Slot { bytes: eight(rest) & mask, mask, entry: index, window: window as u32 };
                if let Some(kind) = windows.get_mut(4 - width) {
                    kind.push(slot);
                }
            }
        }
        let [four, three, two] = &windows;
        let (four, three, two) = (Map::new(four, u32::MAX), Map::new(three, THREE_BYTES), Map::new(two, TWO_BYTES));
        Self {
            four,
            three,
            two,
            ones: ones.into(),
            stride,
            pool: pool.into(),
            entries: entries.into(),
            gates: all.into(),
        }
    }

    /// Sets in `row` the bit of every gate one of whose literals is in `value`. `row` holds a bit for each gate.
    pub fn scan(&self, value: &[u8], row: &mut [u64]) {
        match (&self.four.bits, &self.three.bits, &self.two.bits) {
            (None, None, None) => {}
            (Some(_), None, None) => match self.stride {
                4 => self.scan_with::<4, false, false>(value, row),
                2 => self.scan_with::<2, false, false>(value, row),
                _ => self.scan_with::<1, false, false>(value, row),
            },
            (_, Some(_), None) => self.scan_with::<1, true, false>(value, row),
            (_, None, Some(_)) => self.scan_with::<1, false, true>(value, row),
            (_, Some(_), Some(_)) => self.scan_with::<1, true, true>(value, row),
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

    /// Four positions at a time: their bits are fetched without waiting for each other, and one branch asks all of them.
    fn scan_with<const STRIDE: usize, const THREE: bool, const TWO: bool>(&self, value: &[u8], row: &mut [u64]) {
        let four = self.four.bits.as_deref().unwrap_or(&[0; WORDS_FOUR]);
        let three = self.three.bits.as_deref().unwrap_or(&[0; WORDS_SHORT]);
        let two = self.two.bits.as_deref().unwrap_or(&[0; WORDS_SHORT]);
        let seen = |bytes: &[u8], nth: usize| {
            let from = nth * STRIDE;
            let window = [bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]];
            let word = u32::from_le_bytes(window) | FOLD as u32;
            let mut seen = bit(four, word);
            if THREE {
                seen |= bit(three, word & THREE_BYTES);
            }
            if TWO {
                seen |= bit(two, word & TWO_BYTES);
            }
            (seen & 1) << nth
        };
        let mut at = 0;
        while let Some(bytes) = value.get(at..at + 3 * STRIDE + 4) {
            let found = seen(bytes, 0) | seen(bytes, 1) | seen(bytes, 2) | seen(bytes, 3);
            if found != 0 {
                self.look::<STRIDE, THREE, TWO>(value, at, found, row);
            }
            at += 4 * STRIDE;
        }
        // What is behind the end is taken for blanks; the comparison sorts it out.
        let left = value.len().saturating_sub(at);
        self.look::<1, THREE, TWO>(value, at, (1 << left) - 1, row);
    }

    /// Looks closer at the positions from `at` on, `STRIDE` apart, whose bits are set in `found`.
    #[inline(never)]
    fn look<const STRIDE: usize, const THREE: bool, const TWO: bool>(
        &self,
        value: &[u8],
        at: usize,
        found: u64,
        row: &mut [u64],
    ) {
        let mut left = found;
        while left != 0 {
            let at = at + left.trailing_zeros() as usize * STRIDE;
            left &= left - 1;
            let bytes = eight(value.get(at..).unwrap_or_default());
            self.compare(self.four.behind(bytes as u32), bytes, value, at, row);
            if THREE {
                self.compare(self.three.behind(bytes as u32 & THREE_BYTES), bytes, value, at, row);
            }
            if TWO {
                self.compare(self.two.behind(bytes as u32 & TWO_BYTES), bytes, value, at, row);
            }
        }
    }

    /// Compares the literals behind a bit with the value around `at`.
    #[inline(always)]
    fn compare(&self, slots: &[Slot], bytes: u64, value: &[u8], at: usize, row: &mut [u64]) {
        for slot in slots.iter().filter(|slot| bytes & slot.mask == slot.bytes) {
            let Some(entry) = self.entries.get(slot.entry as usize) else { continue };
            let gates = self.gates.get(entry.gates_start as usize..entry.gates_end as usize).unwrap_or_default();
            if gates.iter().all(|&gate| row.get(gate as usize / 64).is_some_and(|word| word >> (gate % 64) & 1 == 1)) {
                continue;
            }
            let Some(literal) = self.pool.get(entry.start as usize..entry.end as usize) else { continue };
            let Some(start) = at.checked_sub(slot.window as usize) else { continue };
            if value.get(start..start + literal.len()).is_some_and(|found| found.eq_ignore_ascii_case(literal)) {
                open(gates, row);
            }
        }
    }
}

impl<const WORDS: usize> Map<WORDS> {
    /// A map of slots whose windows are `width` of their first four bytes.
    fn new(slots: &[Slot], width: u32) -> Self {
        if slots.is_empty() {
            return Self::default();
        }
        let mut by_bit: Vec<_> = slots.iter().map(|slot| (place::<WORDS>(slot.bytes as u32 & width), slot)).collect();
        by_bit.sort_by_key(|(bit, slot)| (*bit, slot.entry));
        let mut bits = Box::new([0_u64; WORDS]);
        let mut starts = vec![0_u32; WORDS * 2 + 1];
        for &(bit, _) in &by_bit {
            bits[bit / 64] |= 1 << (bit % 64);
            starts[bit / 32 + 1] += 1;
        }
        let mut before = 0;
        for start in &mut starts {
            before += *start;
            *start = before;
        }
        let slots = by_bit.iter().map(|(_, slot)| **slot).collect();
        Self { bits: Some(bits), starts: starts.into(), slots }
    }

    /// The slots near the bit of a window; none where it is not set.
    #[inline(always)]
    fn behind(&self, window: u32) -> &[Slot] {
        let place = place::<WORDS>(window);
        if self.bits.as_ref().is_none_or(|bits| bits[place / 64] >> (place % 64) & 1 == 0) {
            return &[];
        }
        let (Some(&start), Some(&end)) = (self.starts.get(place / 32), self.starts.get(place / 32 + 1)) else {
            return &[];
        };
        self.slots.get(start as usize..end as usize).unwrap_or_default()
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

/// The bit of a window; what is above it is not cleared.
#[inline]
fn bit<const WORDS: usize>(bits: &[u64; WORDS], window: u32) -> u64 {
    let place = place::<WORDS>(window);
    bits[place / 64] >> (place % 64)
}

/// Below `WORDS * 64`, because the shift leaves that many bits.
#[inline]
fn place<const WORDS: usize>(window: u32) -> usize {
    (window.wrapping_mul(SPREAD) >> (26 - WORDS.ilog2())) as usize
}

/// The first eight bytes, folded; blanks where there are fewer.
#[inline]
fn eight(bytes: &[u8]) -> u64 {
    if let Some(bytes) = bytes.first_chunk::<8>() {
        return u64::from_le_bytes(*bytes) | FOLD;
    }
    let mut eight = [0_u8; 8];
    for (to, from) in eight.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(eight) | FOLD
}

/// Pairs of letters that prose is made of, most of all in English.
const PAIRS: &str = "th he in er an re nd on en at ou ed ha to or it is hi es ng as st ar le te se me of nt ti al io ec \
    de ve ro ri om co ne ea ra ce li ch ll be ma si ur wh us el ta la et no so am pl mp ee ge il ho";

/// The positions that can be left out when the shortest literal has `shortest` bytes: a literal of 4 + n − 1 bytes holds n
/// windows.
fn stride(shortest: Option<usize>) -> usize {
    match shortest {
        None | Some(0..=4) => 1,
        Some(5 | 6) => 2,
        Some(_) => 4,
    }
}

/// Where the `count` windows that ordinary requests hold least often begin in a literal.
fn rarest(literal: &[u8], width: usize, count: usize) -> usize {
    let common = |pair: &[u8]| PAIRS.as_bytes().chunks(3).any(|known| known.get(..2) == Some(pair));
    let cost = |window: &[u8]| {
        let pairs = window.windows(2).filter(|pair| common(pair)).count() as u32;
        window.iter().map(|&byte| commonness(byte)).sum::<u32>() + 3 * pairs
    };
    let costs = |windows: &[u8]| windows.windows(width).map(cost).sum::<u32>();
    literal.windows(width + count - 1).enumerate().min_by_key(|(_, windows)| costs(windows)).map_or(0, |(at, _)| at)
}

/// How common a byte is in prose, JSON and header fields, roughly: logarithms of its share.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b' ' | b'e' => 10,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 9,
        b'h' | b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'"' => 8,
        b'f' | b'g' | b'w' | b'y' | b'b' | b',' | b'.' | b':' => 7,
        b'v' | b'k' | b'0'..=b'9' | b'=' | b'-' => 6,
        b'x' | b'j' | b'q' | b'z' | b'{' | b'}' | b'/' | b'_' | 0x80.. => 5,
        b';' | b'[' | b']' | b'\'' | b'(' | b')' => 3,
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
            shortest in 1_usize..9,
            gates in proptest::collection::vec(
                proptest::collection::vec("[a-cA-C@`\\[{ 暴]{1,9}", 1..4), 1..90),
            value in "[a-cA-C@`\\[{ 暴]{0,40}",
        ) {
            let gates: Vec<Vec<Box<[u8]>>> = gates
                .into_iter()
                .map(|literals| literals.into_iter().filter(|text| text.len() >= shortest))
                .map(|literals| literals.map(|text| text.into_bytes().into()).collect())
                .collect();
            for (gate, set) in gates.iter().zip(found(&gates, value.as_bytes())) {
                prop_assert_eq!(set, gate.iter().any(|literal| holds(value.as_bytes(), literal)));
            }
        }
    }
}
