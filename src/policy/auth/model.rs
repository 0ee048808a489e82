//! Models: which one a request asks, and whether a key may ask it.
//!
//! Pure. Upstreams differ in how they read a request, so this must not be cleverer than any of them: what could be read
//! in two ways is refused, and where a request names several models, all must be allowed. Never shows a name.

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// Names of models: `*` stands for any characters, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// Why a request may not be asked, as a detail of the refusal.
pub type Why = &'static str;

/// The model is not one of the key's.
pub const NOT_ALLOWED: Why = "model_not_allowed";
/// The request names no model.
pub const MISSING: Why = "model_missing";
/// The request names one in more than one way.
pub const AMBIGUOUS: Why = "model_ambiguous";
/// The body is no JSON object, so nobody can tell.
pub const NOT_JSON: Why = "model_unknown_body_is_not_json";

/// Segments of a path behind which the name of a model stands, in lower case.
const BEFORE_A_MODEL: [&str; 4] = ["models", "model", "engines", "deployments"];
/// What vendors write behind the name, after a colon. Only these are taken off: other names have colons of their own.
const VERBS: [&str; 13] = [
    "asyncbatchembedcontent",
    "batchembedcontents",
    "batchgeneratecontent",
    "bidigeneratecontent",
    "computetokens",
    "counttokens",
    "embedcontent",
    "generatecontent",
    "predict",
    "predictlongrunning",
    "rawpredict",
    "streamgeneratecontent",
    "streamrawpredict",
];

impl Pattern {
    /// The pattern of this text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the name fits, letter by letter.
    pub fn fits(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut of_name) = (0, 0);
        // Where the last star was, and what it has taken up to: the only thing that may have to be tried again.
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = name.get(of_name) {
            match (pattern.get(at), star) {
                (Some(b'*'), _) => {
                    star = Some((at, of_name));
                    at += 1;
                }
                (Some(wanted), _) if wanted == byte => (at, of_name) = (at + 1, of_name + 1),
                (_, Some((place, taken))) => {
                    star = Some((place, taken + 1));
                    (at, of_name) = (place + 1, taken + 1);
                }
                (_, None) => return false,
            }
        }
        pattern.get(at..).is_none_or(|rest| rest.iter().all(|b| *b == b'*'))
    }
}

/// Whether one of the patterns fits.
pub fn allows(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(name))
}

/// Whether path or query name a model; all that they name are allowed.
///
/// # Errors
/// One of them is not, or is not text.
pub fn judge_target(patterns: &[Pattern], path: &[u8], query: Option<&[u8]>) -> Result<bool, Why> {
    let mut named = false;
    let mut before = false;
    let mut segments = path.split(|b| *b == b'/').filter(|segment| !segment.is_empty()).peekable();
    while let Some(segment) = segments.next() {
        let segment = decoded(segment, false).ok_or(AMBIGUOUS)?;
        let bare = if segments.peek().is_none() { without_verb(&segment) } else { &segment };
        // Who is told to generate, embed or predict is a model, whatever stands before it (tunedModels/NAME:predict).
        if before || bare.len() < segment.len() {
            named = true;
            judge(patterns, bare)?;
        }
        // A slash that is encoded may be read as one: what is behind it would be another segment. Parameters of a
        // segment (RFC 3986 §3.3) are no part of its name to some.
        let tail = segment.rsplit('/').next().unwrap_or_default();
        let tail = tail.split(';').next().unwrap_or_default();
        before = BEFORE_A_MODEL.iter().any(|word| word.eq_ignore_ascii_case(tail));
    }
    Ok(judge_pairs(patterns, query.unwrap_or_default())? || named)
}

/// Whether one of these `name=value` names a model; all that do are allowed.
fn judge_pairs(patterns: &[Pattern], pairs: &[u8]) -> Result<bool, Why> {
    let mut named = false;
    for pair in pairs.split(|b| matches!(b, b'&' | b';')) {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = pair.split_at(equals);
        // Others may read a name that is badly encoded, and read it as this one.
        if decoded(name, true).ok_or(AMBIGUOUS)?.trim().eq_ignore_ascii_case("model") {
            named = true;
            judge(patterns, &decoded(value.get(1..).unwrap_or_default(), true).ok_or(AMBIGUOUS)?)?;
        }
    }
    Ok(named)
}

/// Whether a body names a model; all that it names are allowed. `form` = it says that it is a form: it must be JSON all
/// the same, and is read in both ways.
///
/// # Errors
/// One is not, or the body can be read in more than one way.
pub fn judge_body(patterns: &[Pattern], body: &[u8], form: bool) -> Result<bool, Why> {
    let Members { model, others } = serde_json::from_slice(body).map_err(|_| NOT_JSON)?;
    if form {
        let is_model = |pair: &[u8]| pair.split(|b| *b == b'=').next().is_some_and(names_model);
        if body.split(|b| matches!(b, b'&' | b';')).any(is_model) {
            return Err(AMBIGUOUS);
        }
    }
    others.iter().try_for_each(|name| judge(patterns, name))?;
    match model {
        Model::None => Ok(false),
        Model::Unclear => Err(AMBIGUOUS),
        Model::Named(name) => judge(patterns, &name).map(|()| true),
    }
}

/// Whether the name of a pair is `model`; what is badly encoded is not.
fn names_model(name: &[u8]) -> bool {
    decoded(name, true).is_some_and(|name| name.trim().eq_ignore_ascii_case("model"))
}

fn judge(patterns: &[Pattern], name: &str) -> Result<(), Why> {
    if allows(patterns, name) { Ok(()) } else { Err(NOT_ALLOWED) }
}

fn without_verb(segment: &str) -> &str {
    match segment.rsplit_once(':') {
        Some((name, verb)) if VERBS.iter().any(|known| known.eq_ignore_ascii_case(verb)) => name,
        _ => segment,
    }
}

/// Percent-decoded text (RFC 3986 §2.1); `None` where it is not UTF-8 or not well encoded.
fn decoded(text: &[u8], plus_is_blank: bool) -> Option<Cow<'_, str>> {
    let plain = memchr::memchr(b'%', text).is_none() && !(plus_is_blank && text.contains(&b'+'));
    if plain {
        return std::str::from_utf8(text).ok().map(Cow::Borrowed);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'%' => {
                let (digits, behind) = rest.split_first_chunk::<2>()?;
                let digit = |at: u8| char::from(at).to_digit(16);
                out.push(u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?);
                rest = behind;
            }
            b'+' if plus_is_blank => out.push(b' '),
            byte => out.push(*byte),
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// What a body says about the model.
enum Model {
    None,
    Named(String),
    /// Twice, in another spelling, or not as a text: upstreams do not agree on what that means.
    Unclear,
}

/// The members of a JSON object that count here.
struct Members {
    model: Model,
    /// Of `models`, in which routers of models take what is asked where `model` does not answer.
    others: Vec<String>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let (mut model, mut others) = (Model::None, Vec::new());
        while let Some(name) = map.next_key::<Text>()? {
            if name.0.eq_ignore_ascii_case("models") {
                match map.next_value::<serde_json::Value>()? {
                    serde_json::Value::Array(values) if values.iter().all(serde_json::Value::is_string) => {
                        others.extend(values.iter().filter_map(|value| value.as_str().map(str::to_owned)));
                    }
                    _ => model = Model::Unclear,
                }
                continue;
            }
            if !name.0.eq_ignore_ascii_case("model") {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            // Some parsers take a member in any case, and of two the last one, some the first.
            let value = map.next_value::<serde_json::Value>()?;
            model = match (model, value) {
                (Model::None, serde_json::Value::String(value)) if name.0 == "model" => Model::Named(value),
                _ => Model::Unclear,
            };
        }
        Ok(Members { model, others })
    }
}

/// A text, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(text)).collect()
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, fits) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("*", "", true),
            ("*", "a/b", true),
            ("", "", true),
            ("", "a", false),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "gpt-mini-mini", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("gpt-4o", "GPT-4o", false),
        ] {
            assert_eq!(Pattern::new(pattern).fits(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_body_must_name_one_allowed_model_in_one_way() {
        let allowed = patterns(&["gpt-4o*", "claude"]);
        for (body, verdict) in [
            (r#"{"model":"gpt-4o-mini"}"#, Ok(true)),
            (r#"{"x":{"model":"no"},"messages":[{"model":"no"}],"mod\u0065l":"cl\u0061ude"}"#, Ok(true)),
            (r#"{"model":"gpt-3"}"#, Err(NOT_ALLOWED)),
            (r#"{"messages":[]}"#, Ok(false)),
            (r#"{"model":"claude","model":"claude"}"#, Err(AMBIGUOUS)),
            (r#"{"model":"claude","Model":"gpt-3"}"#, Err(AMBIGUOUS)),
            (r#"{"MODEL":"claude"}"#, Err(AMBIGUOUS)),
            (r#"{"model":["claude"]}"#, Err(AMBIGUOUS)),
            (r#"{"model":null}"#, Err(AMBIGUOUS)),
            (r#"["claude"]"#, Err(NOT_JSON)),
            (r#"{"model":"claude"} x"#, Err(NOT_JSON)),
            (r#"{"model":"claude""#, Err(NOT_JSON)),
            ("\u{feff}{\"model\":\"claude\"}", Err(NOT_JSON)),
            ("model=claude", Err(NOT_JSON)),
            ("", Err(NOT_JSON)),
            (r#"{"models":["gpt-4o","claude"]}"#, Ok(false)),
            (r#"{"model":"claude","models":["gpt-3"]}"#, Err(NOT_ALLOWED)),
            (r#"{"models":["gpt-3"],"model":"claude"}"#, Err(NOT_ALLOWED)),
            (r#"{"model":"claude","Models":"gpt-3"}"#, Err(AMBIGUOUS)),
            (r#"{"models":[["gpt-3"]],"model":"claude"}"#, Err(AMBIGUOUS)),
        ] {
            assert_eq!(judge_body(&allowed, body.as_bytes(), false), verdict, "{body}");
        }
        for (body, verdict) in [
            (r#"{"model":"claude","prompt":"a & b; c=d 100%"}"#, Ok(true)),
            (r#"{"model":"claude","x":"&model=gpt-3&"}"#, Err(AMBIGUOUS)),
            (r#"{"model":"claude","x":";mod%65l=gpt-3;"}"#, Err(AMBIGUOUS)),
            ("model=claude", Err(NOT_JSON)),
        ] {
            assert_eq!(judge_body(&allowed, body.as_bytes(), true), verdict, "{body}");
        }
        let deep = format!("{{\"a\":{}{},\"model\":\"claude\"}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(judge_body(&allowed, deep.as_bytes(), false), Ok(true), "depth costs no stack");
        let deep = format!("{{\"model\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(judge_body(&allowed, deep.as_bytes(), false).is_err());
    }

    #[test]
    fn a_model_in_the_target_must_be_allowed() {
        let allowed = patterns(&["gemini-pro", "ft:gpt:org", "a/b"]);
        for (path, query, verdict) in [
            ("/v1/chat/completions", None, Ok(false)),
            ("/v1/models", None, Ok(false)),
            ("/v1/models/gemini-pro", None, Ok(true)),
            ("/v1/models/ft:gpt:org", None, Ok(true)),
            ("/v1/models/gemini-pro:other", None, Err(NOT_ALLOWED)),
            ("/v1beta/models/gemini-pro:generateContent", None, Ok(true)),
            ("/v1beta/models/gemini-ultra:generateContent", None, Err(NOT_ALLOWED)),
            ("/v1/models/a%2Fb", None, Ok(true)),
            ("/v1/%6dodels/other", None, Err(NOT_ALLOWED)),
            ("/v1//Models//other", None, Err(NOT_ALLOWED)),
            ("/v1/x%2Fmodels/other", None, Err(NOT_ALLOWED)),
            ("/v1/models/%zz", None, Err(AMBIGUOUS)),
            ("/openai/deployments/other/chat/completions", None, Err(NOT_ALLOWED)),
            ("/v1/models/gemini-pro/models/other", None, Err(NOT_ALLOWED)),
            ("/v1/realtime", Some("model=gemini-pro"), Ok(true)),
            ("/v1/realtime", Some("a=b&mod%65l=ft:gpt%3Aorg"), Ok(true)),
            ("/v1/realtime", Some("model=gemini-pro&model=other"), Err(NOT_ALLOWED)),
            ("/v1/realtime", Some("model"), Err(NOT_ALLOWED)),
            ("/v1/realtime", Some("%20model=other"), Err(NOT_ALLOWED)),
            ("/v1/realtime", Some("mod%u0065l=gemini-pro"), Err(AMBIGUOUS)),
            ("/v1beta/tunedModels/other:generateContent", None, Err(NOT_ALLOWED)),
            ("/v1/endpoints/gemini-pro:predict", None, Ok(true)),
            ("/v1/models;a=b/other", None, Err(NOT_ALLOWED)),
        ] {
            assert_eq!(judge_target(&allowed, path.as_bytes(), query.map(str::as_bytes)), verdict, "{path} {query:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// A name fits the pattern that is made by putting stars for parts of it; no bytes are a surprise.
        #[test]
        fn stars_fit_what_they_were_put_for(parts in proptest::collection::vec("[ab]{0,3}", 1..6), any in ".{0,12}") {
            let name = parts.concat();
            let starred = parts.iter().enumerate().map(|(i, part)| if i % 2 == 0 { part.as_str() } else { "*" });
            prop_assert!(Pattern::new(&starred.collect::<String>()).fits(&name));
            let _ = judge_body(&patterns(&["*"]), any.as_bytes(), true);
            let _ = judge_target(&patterns(&["*"]), any.as_bytes(), Some(any.as_bytes()));
        }
    }
}
