//! Strings in Huffman code (RFC 7541 §5.2, Appendix B), read only.
//!
//! The code is canonical: the lengths of Appendix B and the order of the symbols say every code word. One look into a
//! table of 11 bits gives up to two symbols; the rare words that are longer are found by their length.

use super::DecodeError;

/// Bits that the table of short words is looked up with.
const LOOK_BITS: u32 = 11;
const LOOK_ENTRIES: usize = 1 << LOOK_BITS;
/// Bits of the longest word.
const WORD_BITS_MAX: usize = 30;
/// Symbols: all bytes, and the end of a string, which must not appear (§5.2).
const SYMBOLS: usize = 257;
const END: u16 = 256;
/// Bits of the shortest word: a string grows by at most 8/5.
const WORD_BITS_MIN: usize = 5;

/// What the next 11 bits begin with.
#[derive(Clone, Copy)]
struct Look {
    /// One or two symbols; the second may be of no meaning.
    symbols: [u8; 2],
    /// Bits of the first symbol; 0 = its word is longer than 11 bits.
    first_bits: u8,
    /// Bits of all symbols.
    all_bits: u8,
}

impl Look {
    /// How many symbols there are.
    #[inline]
    fn count(self) -> usize {
        1 + usize::from(self.all_bits > self.first_bits)
    }
}

static LOOKS: [Look; LOOK_ENTRIES] = looks();
static WORDS: Words = words();

/// Words by their length.
struct Words {
    /// Symbols in the order of their words.
    symbols: [u16; SYMBOLS],
    /// For each length: the first word that is too large for it, moved to the top of 32 bits.
    end: [u64; WORD_BITS_MAX + 1],
    /// For each length: its first word.
    first: [u32; WORD_BITS_MAX + 1],
    /// For each length: where its symbols begin.
    offset: [u16; WORD_BITS_MAX + 1],
}

/// Decodes a whole string into the front of `scratch`, which is made long enough, and gives that front.
///
/// [`DecodeError::Huffman`] = the string holds the end symbol, or its padding is longer than 7 bits or not all ones.
pub(super) fn decode<'a>(input: &[u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], DecodeError> {
    // One more, because two symbols are always stored together.
    let room = input.len() * 8 / WORD_BITS_MIN + 2;
    if scratch.len() < room {
        scratch.resize(room, 0);
    }
    let mut bits = Bits { rest: input, ahead: 0, valid: 0 };
    let written = decode_bulk(&mut bits, scratch)?;
    let written = decode_tail(&mut bits, scratch, written)?;
    scratch.get(..written).ok_or(DecodeError::Huffman)
}

/// What is still to be read.
struct Bits<'a> {
    /// Bytes of which at least one bit is not among the valid ones.
    rest: &'a [u8],
    /// The next bits, first at the top. Below the valid ones stand zeros or the bits that will follow.
    ahead: u64,
    /// How many bits of `ahead` count.
    valid: u32,
}

impl Bits<'_> {
    /// Makes at least 56 bits valid. False = fewer than eight bytes are left.
    #[inline]
    fn fill(&mut self) -> bool {
        let Some(word) = self.rest.first_chunk() else { return false };
        self.ahead |= u64::from_be_bytes(*word) >> self.valid;
        let bytes = (63 - self.valid) / 8;
        self.rest = self.rest.get(bytes as usize..).unwrap_or_default();
        self.valid += bytes * 8;
        true
    }

    /// Makes as many bits valid as there are, up to 57 and more.
    fn fill_bytewise(&mut self) {
        while let Some((byte, after)) = self.rest.split_first()
            && self.valid <= 56
        {
            self.ahead |= u64::from(*byte) << (56 - self.valid);
            self.valid += 8;
            self.rest = after;
        }
    }

    #[inline]
    fn look(&self) -> Look {
        LOOKS[(self.ahead >> (64 - LOOK_BITS)) as usize]
    }

    #[inline]
    fn skip(&mut self, bits: u8) {
        self.ahead <<= bits;
        self.valid -= u32::from(bits);
    }
}

/// Decodes as long as the next bits are enough for any look; what is left is for [`decode_tail`].
fn decode_bulk(bits: &mut Bits<'_>, out: &mut [u8]) -> Result<usize, DecodeError> {
    let mut written = 0;
    loop {
        if !bits.fill() {
            bits.fill_bytewise();
        }
        // Where it is not empty, 56 bits and more are valid: every round gets on.
        let is_last = bits.rest.is_empty();
        while bits.valid >= LOOK_BITS {
            let look = bits.look();
            if look.first_bits == 0 {
                if bits.valid < WORD_BITS_MAX as u32 {
                    break;
                }
                let (symbol, long) = long_word(bits.ahead)?;
                bits.skip(long);
                *out.get_mut(written).ok_or(DecodeError::Huffman)? = symbol;
                written += 1;
                continue;
            }
            bits.skip(look.all_bits);
            *out.get_mut(written..).and_then(<[u8]>::first_chunk_mut).ok_or(DecodeError::Huffman)? = look.symbols;
            written += look.count();
        }
        if is_last {
            return Ok(written);
        }
    }
}

/// Decodes symbol by symbol to the end, and judges the padding.
fn decode_tail(bits: &mut Bits<'_>, out: &mut [u8], mut written: usize) -> Result<usize, DecodeError> {
    loop {
        bits.fill_bytewise();
        let look = bits.look();
        let (symbol, word_bits) = match look.first_bits {
            0 => match long_word(bits.ahead) {
                Err(_) if bits.valid >= WORD_BITS_MAX as u32 => return Err(DecodeError::Huffman),
                // Not enough bits to say that this is the end symbol.
                Err(_) => break,
                Ok(word) => word,
            },
            first_bits => (look.symbols[0], first_bits),
        };
        if u32::from(word_bits) > bits.valid {
            break;
        }
        bits.skip(word_bits);
        *out.get_mut(written).ok_or(DecodeError::Huffman)? = symbol;
        written += 1;
    }
    // What is left is the beginning of the end symbol, and no whole byte (§5.2).
    let padded = bits.valid < 8 && bits.ahead | (u64::MAX >> bits.valid) == u64::MAX;
    if padded { Ok(written) } else { Err(DecodeError::Huffman) }
}

/// The symbol of a word of more than 11 bits at the top of `ahead`, and the bits of the word.
#[cold]
fn long_word(ahead: u64) -> Result<(u8, u8), DecodeError> {
    let top = ahead >> 32;
    for bits in LOOK_BITS as usize + 1..=WORD_BITS_MAX {
        if top < WORDS.end[bits] {
            let nth = (top >> (32 - bits)) as usize - WORDS.first[bits] as usize;
            let symbol = WORDS.symbols.get(usize::from(WORDS.offset[bits]) + nth).ok_or(DecodeError::Huffman)?;
            let symbol = u8::try_from(*symbol).map_err(|_| DecodeError::Huffman)?;
            return Ok((symbol, bits as u8));
        }
    }
    Err(DecodeError::Huffman)
}

/// Bits of the word of each symbol (Appendix B).
#[rustfmt::skip]
const WORD_BITS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const fn words() -> Words {
    let mut words = Words {
        symbols: [END; SYMBOLS],
        end: [0; WORD_BITS_MAX + 1],
        first: [0; WORD_BITS_MAX + 1],
        offset: [0; WORD_BITS_MAX + 1],
    };
    let (mut word, mut nth) = (0_u64, 0);
    let mut bits = 1;
    while bits <= WORD_BITS_MAX {
        word <<= 1;
        words.first[bits] = word as u32;
        words.offset[bits] = nth as u16;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if WORD_BITS[symbol] as usize == bits {
                words.symbols[nth] = symbol as u16;
                nth += 1;
                word += 1;
            }
            symbol += 1;
        }
        words.end[bits] = word << (32 - bits);
        bits += 1;
    }
    assert!(word == 1 << WORD_BITS_MAX, "the code is complete: every row of bits begins with a word");
    words
}

const fn looks() -> [Look; LOOK_ENTRIES] {
    let single = single_looks(&words());
    let mut looks = single;
    let mut at = 0;
    while at < LOOK_ENTRIES {
        let first = single[at];
        let second = single[(at << first.first_bits) & (LOOK_ENTRIES - 1)];
        let both = first.first_bits + second.first_bits;
        if first.first_bits > 0 && second.first_bits > 0 && both as u32 <= LOOK_BITS {
            looks[at].symbols[1] = second.symbols[0];
            looks[at].all_bits = both;
        }
        at += 1;
    }
    looks
}

/// Entries that know their first symbol only.
const fn single_looks(words: &Words) -> [Look; LOOK_ENTRIES] {
    let mut looks = [Look { symbols: [0; 2], first_bits: 0, all_bits: 0 }; LOOK_ENTRIES];
    let (mut at, mut nth) = (0, 0);
    while nth < SYMBOLS {
        let symbol = words.symbols[nth];
        let bits = WORD_BITS[symbol as usize];
        if bits as u32 > LOOK_BITS {
            break;
        }
        let until = at + (1 << (LOOK_BITS - bits as u32));
        while at < until {
            looks[at] = Look { symbols: [symbol as u8, 0], first_bits: bits, all_bits: bits };
            at += 1;
        }
        nth += 1;
    }
    looks
}

/// Appends a string in Huffman code: a mirror for tests, slow and simple.
#[cfg(test)]
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut bits = String::new();
    for byte in text {
        let length = usize::from(WORD_BITS[usize::from(*byte)]);
        let nth = WORDS.symbols.iter().position(|symbol| *symbol == u16::from(*byte)).expect("every byte has a word");
        let word = WORDS.first[length] as usize + nth - usize::from(WORDS.offset[length]);
        bits.push_str(&format!("{word:0length$b}"));
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    let bytes = bits.as_bytes().chunks(8).map(|byte| std::str::from_utf8(byte).expect("ones and zeros"));
    out.extend(bytes.map(|byte| u8::from_str_radix(byte, 2).expect("eight bits")));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(input: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut scratch = Vec::new();
        decode(input, &mut scratch).map(<[u8]>::to_vec)
    }

    #[test]
    fn every_byte_comes_back_alone_and_among_others() {
        for byte in 0..=255_u8 {
            for text in [vec![byte], vec![byte; 7], [&b"www.exa"[..], &[byte], b"mple.com/aaaaaaaaaaaaaaa"].concat()] {
                let mut code = Vec::new();
                encode(&text, &mut code);
                assert_eq!(decoded(&code).as_deref(), Ok(&text[..]));
            }
        }
        assert_eq!(decoded(b"").as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones() {
        // `0` is 00000, `a` is 00011.
        assert_eq!(decoded(&[0b0000_0111]).as_deref(), Ok(&b"0"[..]));
        for bad in [&[0b0000_0110][..], &[0b0000_0000], &[0b0000_0111, 0xff], &[0xff], &[0xff; 3], &[0b0001_1000]] {
            assert_eq!(decoded(bad), Err(DecodeError::Huffman), "{bad:?}");
        }
    }

    #[test]
    fn the_end_symbol_is_refused_wherever_it_stands() {
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(DecodeError::Huffman));
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xfc, 0x3f, 0, 0, 0, 0, 0, 0, 0]), Err(DecodeError::Huffman));
        assert_eq!(decoded(&[0xff; 40]), Err(DecodeError::Huffman));
        let mut code = Vec::new();
        encode(b"\n\r\x16", &mut code);
        assert_eq!(decoded(&code).as_deref(), Ok(&b"\n\r\x16"[..]), "its neighbours are fine");
    }

    proptest! {
        #[test]
        fn texts_come_back(text in prop::collection::vec(any::<u8>(), 0..200), words in "[ -~]{0,200}") {
            for text in [&text[..], words.as_bytes()] {
                let mut code = Vec::new();
                encode(text, &mut code);
                prop_assert_eq!(decoded(&code), Ok(text.to_vec()));
            }
        }

        #[test]
        fn only_what_was_encoded_is_decoded(code in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(text) = decoded(&code) {
                let mut again = Vec::new();
                encode(&text, &mut again);
                prop_assert_eq!(again, code);
            }
        }
    }
}
