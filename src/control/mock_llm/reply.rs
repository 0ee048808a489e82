//! A completion as it was asked for: read from the request once, then rendered by `openai` or `anthropic`.
//!
//! Owns the checks of the request's JSON. Never renders and never waits.

use serde_json::Value;

use super::failure::Refusal;
use super::options::Behaviour;
use super::text;

/// Which of the three completion endpoints was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// OpenAI's `/v1/chat/completions`.
    Chat,
    /// OpenAI's `/v1/completions`.
    Completion,
    /// Anthropic's `/v1/messages`.
    Message,
}

/// Everything that an answer is rendered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Which shape it takes.
    pub kind: Kind,
    /// Number of the answer, unique in a run; becomes its identifier.
    pub number: u64,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// As the request named it.
    pub model: String,
    /// See [`text::count`].
    pub prompt_tokens: u64,
    /// Length of the answer.
    pub tokens: usize,
    /// Whether the request's limit made it shorter.
    pub limited: bool,
    /// Whether it is sent as events.
    pub stream: bool,
    /// Whether OpenAI's stream ends with a usage chunk (`stream_options.include_usage`).
    pub usage_chunk: bool,
}

impl Reply {
    /// Checks a request and plans its answer.
    ///
    /// # Errors
    /// A 400 that names the field, as the vendor would.
    pub fn plan(kind: Kind, body: &Value, behaviour: &Behaviour, number: u64, created: u64) -> Result<Self, Refusal> {
        let prompt = match kind {
            Kind::Chat | Kind::Message => "messages",
            Kind::Completion => "prompt",
        };
        let fields = body.as_object().ok_or_else(|| Refusal::bad_request("the body is not a JSON object", None))?;
        let model = model(body)?;
        let asked = match (kind, fields.get(prompt)) {
            (_, None) => return Err(missing(prompt)),
            (Kind::Chat | Kind::Message, Some(messages)) if messages.as_array().is_none_or(Vec::is_empty) => {
                return Err(Refusal::bad_request("messages: a list with at least one message is wanted", Some(prompt)));
            }
            (_, Some(asked)) => asked,
        };
        let max = match kind {
            Kind::Chat => limit(body, "max_completion_tokens")?.or(limit(body, "max_tokens")?),
            Kind::Completion => limit(body, "max_tokens")?,
            Kind::Message => Some(limit(body, "max_tokens")?.ok_or_else(|| missing("max_tokens"))?),
        };
        let tokens = behaviour.tokens.min(max.unwrap_or(usize::MAX));
        Ok(Self {
            kind,
            number,
            created,
            model: model.to_owned(),
            prompt_tokens: text::count(asked) + fields.get("system").map_or(0, text::count),
            tokens,
            limited: tokens < behaviour.tokens,
            stream: fields.get("stream").and_then(Value::as_bool).unwrap_or(false),
            usage_chunk: body.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

/// The request's model.
///
/// # Errors
/// A 400 if there is none.
pub fn model(body: &Value) -> Result<&str, Refusal> {
    body.get("model").and_then(Value::as_str).ok_or_else(|| missing("model"))
}

/// A 400 for a field that must be there.
pub fn missing(field: &'static str) -> Refusal {
    Refusal::bad_request(format!("{field}: Field required"), Some(field))
}

fn limit(body: &Value, field: &'static str) -> Result<Option<usize>, Refusal> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(tokens) if tokens > 0 => Ok(Some(usize::try_from(tokens).unwrap_or(usize::MAX))),
            _ => Err(Refusal::bad_request(format!("{field}: a whole number above 0 is wanted"), Some(field))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::MockOptions;
    use super::*;
    use crate::base::rand::Random;
    use axum::http::HeaderMap;
    use serde_json::json;

    fn plan(kind: Kind, body: &Value) -> Result<Reply, Refusal> {
        let options = MockOptions { tokens: 8, ..MockOptions::default() };
        let behaviour = Behaviour::of(&options, &Random::seeded(1), &HeaderMap::new()).unwrap();
        Reply::plan(kind, body, &behaviour, 1, 0)
    }

    #[test]
    fn a_complete_request_is_planned() {
        let body = json!({
            "model": "m", "messages": [{"role": "user", "content": "one two"}], "system": "be brief", "max_tokens": 5,
            "stream": true, "stream_options": {"include_usage": true}
        });
        let reply = plan(Kind::Message, &body).unwrap();
        assert_eq!((reply.prompt_tokens, reply.tokens, reply.limited), (4, 5, true));
        assert!(reply.stream && reply.usage_chunk);
        let reply = plan(Kind::Completion, &json!({"model": "m", "prompt": "one"})).unwrap();
        assert_eq!((reply.prompt_tokens, reply.tokens, reply.limited, reply.stream), (1, 8, false, false));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let messages = json!([{"role": "user", "content": "x"}]);
        for (kind, body, param) in [
            (Kind::Chat, json!({"messages": messages}), Some("model")),
            (Kind::Chat, json!({"model": "m"}), Some("messages")),
            (Kind::Chat, json!({"model": "m", "messages": []}), Some("messages")),
            (Kind::Chat, json!({"model": "m", "messages": messages, "max_tokens": 0}), Some("max_tokens")),
            (Kind::Message, json!({"model": "m", "messages": messages}), Some("max_tokens")),
            (Kind::Completion, json!({"model": "m"}), Some("prompt")),
            (Kind::Chat, json!([1]), None),
        ] {
            assert_eq!(plan(kind, &body).unwrap_err().param, param, "{body}");
        }
    }
}
