//! The dynamic table (RFC 7541 §2.3.2, §4), one for each direction of a connection.
//!
//! The text of all entries lies in one buffer, oldest first; a row per entry says where. Adding puts text at the end,
//! evicting moves the beginning, and what was evicted is swept off the front when the room is needed: in the steady
//! state nothing is allocated. Costs nothing while empty, and at most twice its size plus 16 bytes per entry.

use std::collections::VecDeque;

use super::FieldLine;
use crate::http::FieldId;

/// What an entry counts besides its text (§4.1).
pub(super) const ENTRY_OVERHEAD: usize = 32;
/// Bytes of the first buffer for text.
const TEXT_BYTES_FIRST: usize = 512;

/// Entries in the order in which they came, bounded by the sum of their sizes.
pub(super) struct Table {
    /// Text of the entries. Invariant: `start <= text.len()`; what lies before `start` is evicted.
    text: Vec<u8>,
    start: usize,
    /// Oldest in front. Invariant: their texts lie one behind the other from `start` to the end of `text`.
    rows: VecDeque<Row>,
    /// Sum of the sizes of the entries. Invariant: `size <= size_max`.
    size: usize,
    size_max: usize,
    /// Entries ever added, modulo 2^32.
    added: u32,
}

/// Where the text of an entry lies.
struct Row {
    at: u32,
    name_bytes: u32,
    value_bytes: u32,
    id: FieldId,
}

impl Row {
    fn text_bytes(&self) -> usize {
        self.name_bytes as usize + self.value_bytes as usize
    }

    fn size(&self) -> usize {
        self.text_bytes() + ENTRY_OVERHEAD
    }
}

impl Table {
    /// An empty table of at most so many bytes.
    pub(super) fn new(size_max: usize) -> Self {
        Self { text: Vec::new(), start: 0, rows: VecDeque::new(), size: 0, size_max, added: 0 }
    }

    /// The most bytes that the entries may sum up to.
    pub(super) fn size_max(&self) -> usize {
        self.size_max
    }

    /// How many entries were ever added, modulo 2^32; also the number of the newest.
    pub(super) fn added(&self) -> u32 {
        self.added
    }

    /// How many entries came after the one with this number. `None` = it is gone, or was never there.
    ///
    /// Numbers begin at 1. They wrap: after 2^32 entries an old number may name another entry.
    #[inline]
    pub(super) fn age(&self, number: u32) -> Option<usize> {
        let age = self.added.wrapping_sub(number) as usize;
        (age < self.rows.len()).then_some(age)
    }

    /// The entry after which `age` others came; 0 is the newest.
    #[inline]
    pub(super) fn get(&self, age: usize) -> Option<FieldLine<'_>> {
        let row = self.rows.get(self.rows.len().checked_sub(age + 1)?)?;
        let (name, behind) = self.text.get(row.at as usize..)?.split_at_checked(row.name_bytes as usize)?;
        Some(FieldLine { id: row.id, name, value: behind.get(..row.value_bytes as usize)? })
    }

    /// Changes the bound; entries that no longer fit are evicted (§4.3).
    pub(super) fn resize(&mut self, size_max: usize) {
        self.size_max = size_max;
        self.evict(size_max);
    }

    /// Adds an entry, evicting older ones. What is larger than the whole table empties it (§4.4).
    pub(super) fn add(&mut self, id: FieldId, name: &[u8], value: &[u8]) {
        let text_bytes = name.len() + value.len();
        let size = text_bytes + ENTRY_OVERHEAD;
        let Some(rest_max) = self.size_max.checked_sub(size) else { return self.evict(0) };
        self.evict(rest_max);
        self.make_room(text_bytes);
        // No entry is larger than its table, whose bound is a few KiB: 32 bits hold every place.
        let row =
            Row { at: self.text.len() as u32, name_bytes: name.len() as u32, value_bytes: value.len() as u32, id };
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.rows.push_back(row);
        self.size += size;
        self.added = self.added.wrapping_add(1);
    }

    /// Evicts the oldest until the rest sums up to at most `size_max`.
    fn evict(&mut self, size_max: usize) {
        while self.size > size_max {
            let Some(row) = self.rows.pop_front() else { break };
            self.size -= row.size();
            self.start += row.text_bytes();
        }
    }

    /// Sees to it that so many bytes fit behind the text, without allocating where evicted text can give way.
    fn make_room(&mut self, bytes: usize) {
        let wanted = self.text.len() + bytes;
        if wanted <= self.text.capacity() {
            return;
        }
        // Moving at most as much as is thrown away keeps the cost per added byte constant.
        let live = self.text.len() - self.start;
        if self.start >= live && live + bytes <= self.text.capacity() {
            return self.sweep();
        }
        self.text.reserve_exact(wanted.next_power_of_two().max(TEXT_BYTES_FIRST) - self.text.len());
    }

    /// Throws evicted text away.
    fn sweep(&mut self) {
        self.text.drain(..self.start);
        for row in &mut self.rows {
            row.at -= self.start as u32;
        }
        self.start = 0;
    }

    /// Recounts everything and gives the size; for fuzzers and tests.
    pub(super) fn validate(&self) -> usize {
        assert!(self.size <= self.size_max, "the table is larger than it may be");
        assert_eq!(self.rows.iter().map(Row::size).sum::<usize>(), self.size, "sizes sum up");
        let mut at = self.start;
        for row in &self.rows {
            assert_eq!(row.at as usize, at, "texts lie one behind the other");
            at += row.text_bytes();
        }
        assert_eq!(at, self.text.len(), "no text is nobody's");
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(table: &Table) -> Vec<String> {
        (0..).map_while(|age| table.get(age)).map(|line| String::from_utf8_lossy(line.name).into_owned()).collect()
    }

    #[test]
    fn the_oldest_goes_when_the_newest_does_not_fit() {
        let mut table = Table::new(100);
        table.add(FieldId::Other, b"a", b"1");
        table.add(FieldId::Other, b"b", b"2");
        table.validate();
        assert_eq!(names(&table), ["b", "a"]);
        assert_eq!((table.age(1), table.age(2), table.age(3), table.age(0)), (Some(1), Some(0), None, None));
        table.add(FieldId::Other, b"c", b"3");
        table.validate();
        assert_eq!(names(&table), ["c", "b"]);
        assert_eq!((table.age(1), table.age(2), table.age(3)), (None, Some(1), Some(0)));
        table.resize(40);
        table.validate();
        assert_eq!(names(&table), ["c"]);
        table.add(FieldId::Other, b"larger", b"than the table");
        table.validate();
        assert!(names(&table).is_empty());
    }

    #[test]
    fn a_table_in_its_steady_state_allocates_no_more() {
        let mut table = Table::new(super::super::TABLE_BYTES_DEFAULT);
        let add = |table: &mut Table, round: usize| {
            table.add(FieldId::Other, b"x-name", format!("{round:0width$}", width = 8 + round * 7 % 90).as_bytes());
            table.validate();
        };
        (0..500).for_each(|round| add(&mut table, round));
        let capacities = (table.text.capacity(), table.rows.capacity());
        (500..3_000).for_each(|round| add(&mut table, round));
        assert_eq!((table.text.capacity(), table.rows.capacity()), capacities);
        assert!(capacities.0 <= 2 * super::super::TABLE_BYTES_DEFAULT);
    }
}
