//! What the mock says and how it counts: words, tokens and embeddings, all of them functions of the request alone.
//!
//! Never random: a test may compute the expected text, usage and vectors. One word is one token.

use serde_json::Value;

use crate::base::rand::Random;

/// The text that every answer is cut from, repeated as often as needed.
const WORDS: [&str; 40] = [
    "This",
    "answer",
    "was",
    "made",
    "up",
    "by",
    "a",
    "mock;",
    "it",
    "is",
    "the",
    "same",
    "for",
    "every",
    "question,",
    "so",
    "that",
    "what",
    "arrives",
    "can",
    "be",
    "compared",
    "with",
    "what",
    "was",
    "sent,",
    "word",
    "by",
    "word,",
    "and",
    "it",
    "begins",
    "again",
    "when",
    "more",
    "words",
    "are",
    "asked",
    "for.",
    "\n\n",
];

/// The dimensions of an embedding when the request names none.
pub const DIMENSIONS_DEFAULT: usize = 1_536;
/// The most dimensions that a request may ask for.
pub const DIMENSIONS_MAX: usize = 4_096;

/// The text of token number `index`, with the blank that parts it from the one before.
pub fn token(index: usize) -> String {
    let word = WORDS[index % WORDS.len()];
    match index {
        0 => word.to_owned(),
        _ if word.starts_with('\n') || WORDS[(index - 1) % WORDS.len()].starts_with('\n') => word.to_owned(),
        _ => format!(" {word}"),
    }
}

/// The first `tokens` tokens, joined.
pub fn text(tokens: usize) -> String {
    (0..tokens).map(token).collect()
}

/// Tokens of a prompt: the words of every text in it, and one for each number (a prompt may be token identifiers).
/// Of an object only `content` and `text` count, so roles, images and tool descriptions are free.
pub fn count(prompt: &Value) -> u64 {
    match prompt {
        Value::String(text) => text.split_whitespace().count() as u64,
        Value::Number(_) => 1,
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => ["content", "text"].iter().filter_map(|name| fields.get(*name)).map(count).sum(),
        Value::Null | Value::Bool(_) => 0,
    }
}

/// A vector of length one that depends on the input only.
pub fn embedding(input: &Value, dimensions: usize) -> Vec<f32> {
    // FNV-1a: equal inputs give equal vectors, in every run and on every machine.
    let seed = input
        .to_string()
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    let random = Random::seeded(seed);
    let raw: Vec<f64> = (0..dimensions).map(|_| random.below(2_000_001) as f64 / 1_000_000.0 - 1.0).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    raw.iter().map(|x| (x / length) as f32).collect()
}

/// A vector as OpenAI's `encoding_format: base64` wants it: little-endian 32-bit floats, then base64 (RFC 4648 §4).
pub fn base64(vector: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| bits << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4u32 {
            let letter = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i as usize <= group.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_is_the_same_every_time_and_its_tokens_join_to_it() {
        assert_eq!(text(3), "This answer was");
        assert_eq!(text(0), "");
        let long = text(100);
        assert!(long.contains("for.\n\nThis"), "{long}");
        assert_eq!(long, (0..100).map(token).collect::<String>());
    }

    #[test]
    fn prompts_are_counted_by_words() {
        assert_eq!(count(&json!("one two  three\n")), 3);
        assert_eq!(count(&json!([{"role": "user", "content": "one two"}, {"role": "user", "content": "three"}])), 3);
        assert_eq!(
            count(&json!([{"content": [{"type": "text", "text": "a b"}, {"type": "image", "source": "x y"}]}])),
            2
        );
        assert_eq!(count(&json!([17, 18, 19])), 3);
        assert_eq!(count(&json!(null)), 0);
    }

    #[test]
    fn an_embedding_has_length_one_and_depends_on_its_input() {
        let vector = embedding(&json!("hello"), 64);
        let length: f32 = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-4);
        assert_eq!(vector, embedding(&json!("hello"), 64));
        assert_ne!(vector, embedding(&json!("hallo"), 64));
    }

    #[test]
    fn vectors_are_base64_of_little_endian_floats() {
        assert_eq!(base64(&[]), "");
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(base64(&[1.0, -2.5, 0.0]), "AACAPwAAIMAAAAAA");
    }
}
