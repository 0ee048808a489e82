//! A set of bytes: what one step of a pattern consumes.
//!
//! Fixed in size and copied, never shared. Names of classes mean what they mean to PCRE in the C locale: ASCII only.
//! What is a character to Unicode is several bytes here.

use std::fmt;

/// A set of bytes, 32 bytes large. Bit N of word N / 64 is byte N.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Class {
    words: [u64; 4],
}

impl Class {
    /// All bytes.
    pub const ALL: Self = Self { words: [u64::MAX; 4] };

    /// The set of one byte.
    pub fn of(byte: u8) -> Self {
        let mut class = Self::default();
        class.insert(byte);
        class
    }

    /// The set of all bytes that `test` takes.
    pub fn by(test: impl Fn(u8) -> bool) -> Self {
        let mut class = Self::default();
        for byte in 0..=u8::MAX {
            if test(byte) {
                class.insert(byte);
            }
        }
        class
    }

    /// `\d`
    pub fn digits() -> Self {
        Self::by(|byte| byte.is_ascii_digit())
    }

    /// `\w`, of ASCII.
    pub fn word() -> Self {
        Self::by(is_word)
    }

    /// `\s`, with the vertical tab as PCRE has it since 8.34.
    pub fn space() -> Self {
        Self::by(is_space)
    }

    /// `\h`, of one byte: tab, space, no-break space.
    pub fn horizontal() -> Self {
        Self::by(|byte| matches!(byte, b'\t' | b' ' | 0xa0))
    }

    /// `\v`, of one byte.
    pub fn vertical() -> Self {
        Self::by(|byte| matches!(byte, 0x0a..=0x0d | 0x85))
    }

    /// The class that POSIX names (`alpha` of `[:alpha:]`), in the C locale.
    pub fn posix(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"alnum" => Self::by(|byte| byte.is_ascii_alphanumeric()),
            b"alpha" => Self::by(|byte| byte.is_ascii_alphabetic()),
            b"ascii" => Self::by(|byte| byte.is_ascii()),
            b"blank" => Self::by(|byte| matches!(byte, b'\t' | b' ')),
            b"cntrl" => Self::by(|byte| byte.is_ascii_control()),
            b"digit" => Self::digits(),
            b"graph" => Self::by(|byte| byte.is_ascii_graphic()),
            b"lower" => Self::by(|byte| byte.is_ascii_lowercase()),
            b"print" => Self::by(|byte| byte.is_ascii_graphic() || byte == b' '),
            b"punct" => Self::by(|byte| byte.is_ascii_punctuation()),
            b"space" => Self::space(),
            b"upper" => Self::by(|byte| byte.is_ascii_uppercase()),
            b"word" => Self::word(),
            b"xdigit" => Self::by(|byte| byte.is_ascii_hexdigit()),
            _ => return None,
        })
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        if let Some(word) = self.words.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    /// Whether the byte is in it.
    pub fn contains(&self, byte: u8) -> bool {
        self.words.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    /// Adds what is in `other`.
    pub fn unite(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(other.words) {
            *word |= other;
        }
    }

    /// What is not in it.
    pub fn negated(&self) -> Self {
        Self { words: self.words.map(|word| !word) }
    }

    /// With both cases of every ASCII letter that is in it in one.
    pub fn folded(&self) -> Self {
        let mut folded = *self;
        for byte in self.bytes() {
            folded.insert(byte.to_ascii_lowercase());
            folded.insert(byte.to_ascii_uppercase());
        }
        folded
    }

    /// How many bytes are in it.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Its bytes, in order.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        let class = *self;
        (0..=u8::MAX).filter(move |byte| class.contains(*byte))
    }

    /// Its bytes as ranges, both ends included, in order.
    pub fn ranges(&self) -> Vec<(u8, u8)> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in self.bytes() {
            match ranges.last_mut() {
                Some(last) if last.1.checked_add(1) == Some(byte) => last.1 = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        ranges
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (start, end) in self.ranges() {
            write!(f, "{}", start.escape_ascii())?;
            if end > start {
                write!(f, "-{}", end.escape_ascii())?;
            }
        }
        f.write_str("]")
    }
}

/// Whether PCRE takes the byte for a part of a word.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether PCRE takes the byte for white space.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0d | b' ')
}
