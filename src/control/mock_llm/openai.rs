//! OpenAI's shapes: models, chat and text completions whole and in chunks, embeddings.
//!
//! Pure rendering: a chunk is a function of the reply and its position. Never waits, counts or refuses.

use serde_json::{Value, json};

use super::reply::{Kind, Reply};
use super::text;

/// Owner and creation date that every model is listed with; 2023-11-14, so that lists compare equal between runs.
const MODEL_CREATED: u64 = 1_700_000_000;
const FINGERPRINT: &str = "fp_mock";

/// One model, as `/v1/models/{id}` shows it.
pub fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": MODEL_CREATED, "owned_by": "mock"})
}

/// The list of models.
pub fn models(ids: &[String]) -> Value {
    json!({"object": "list", "data": ids.iter().map(|id| model(id)).collect::<Vec<_>>()})
}

/// A completion in one piece.
pub fn whole(reply: &Reply) -> Value {
    let text = text::text(reply.tokens);
    let choice = match reply.kind {
        Kind::Completion => json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish_reason(reply)}),
        _ => json!({
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
            "logprobs": null,
            "finish_reason": finish_reason(reply),
        }),
    };
    json!({
        "id": id(reply),
        "object": if reply.kind == Kind::Completion { "text_completion" } else { "chat.completion" },
        "created": reply.created,
        "model": reply.model,
        "system_fingerprint": FINGERPRINT,
        "choices": [choice],
        "usage": usage(reply),
    })
}

/// The data of each event of a stream, in order: for chat a chunk with the role, then one per token, one with the
/// reason of the end, the usage if it was asked for, and `[DONE]`. A text completion begins with its first token.
pub fn event(reply: &Reply, index: usize) -> Option<String> {
    let tokens_from = events_before(reply.kind);
    let end = tokens_from + reply.tokens;
    let choice = match index {
        0 if tokens_from == 1 => json!([part(reply, json!({"role": "assistant", "content": ""}), Value::Null)]),
        i if i < end => json!([part(reply, piece(reply.kind, &text::token(i - tokens_from)), Value::Null)]),
        i if i == end => json!([part(reply, piece_last(reply.kind), json!(finish_reason(reply)))]),
        i if reply.usage_chunk && i == end + 1 => json!([]),
        i if i == event_count(reply) - 1 => return Some("[DONE]".to_owned()),
        _ => return None,
    };
    let mut chunk = json!({
        "id": id(reply),
        "object": if reply.kind == Kind::Chat { "chat.completion.chunk" } else { "text_completion" },
        "created": reply.created,
        "model": reply.model,
        "system_fingerprint": FINGERPRINT,
        "choices": choice,
    });
    if reply.usage_chunk {
        chunk["usage"] = if index == end + 1 { usage(reply) } else { Value::Null };
    }
    Some(chunk.to_string())
}

/// Events before the first token: chat begins with the role.
pub fn events_before(kind: Kind) -> usize {
    usize::from(kind == Kind::Chat)
}

/// How many events [`event`] has.
pub fn event_count(reply: &Reply) -> usize {
    events_before(reply.kind) + reply.tokens + 1 + usize::from(reply.usage_chunk) + 1
}

/// The answer of `/v1/embeddings`: a vector for each input.
pub fn embeddings(model: &str, inputs: &[Value], dimensions: usize, base64: bool) -> Value {
    let tokens: u64 = inputs.iter().map(text::count).sum();
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = text::embedding(input, dimensions);
        let vector = if base64 { json!(text::base64(&vector)) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": vector})
    });
    json!({
        "object": "list",
        "data": data.collect::<Vec<_>>(),
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

fn id(reply: &Reply) -> String {
    let prefix = if reply.kind == Kind::Chat { "chatcmpl" } else { "cmpl" };
    format!("{prefix}-mock{:08}", reply.number)
}

fn finish_reason(reply: &Reply) -> &'static str {
    if reply.limited { "length" } else { "stop" }
}

fn usage(reply: &Reply) -> Value {
    json!({
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.tokens,
        "total_tokens": reply.prompt_tokens + reply.tokens as u64,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

/// A choice of a chunk: chat nests the piece as `delta`, text completions have it at the top.
fn part(reply: &Reply, piece: Value, finish_reason: Value) -> Value {
    match reply.kind {
        Kind::Completion => json!({"index": 0, "text": piece, "logprobs": null, "finish_reason": finish_reason}),
        _ => json!({"index": 0, "delta": piece, "logprobs": null, "finish_reason": finish_reason}),
    }
}

fn piece(kind: Kind, token: &str) -> Value {
    if kind == Kind::Completion { json!(token) } else { json!({"content": token}) }
}

fn piece_last(kind: Kind) -> Value {
    if kind == Kind::Completion { json!("") } else { json!({}) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(kind: Kind, usage_chunk: bool) -> Reply {
        let model = "gpt-mock".to_owned();
        Reply {
            kind,
            number: 7,
            created: 1,
            model,
            prompt_tokens: 3,
            tokens: 4,
            limited: false,
            stream: true,
            usage_chunk,
        }
    }

    fn events(reply: &Reply) -> Vec<String> {
        let all: Vec<String> = (0..).map_while(|index| event(reply, index)).collect();
        assert_eq!(all.len(), event_count(reply));
        assert_eq!(all.last().unwrap(), "[DONE]");
        all
    }

    #[test]
    fn a_chat_stream_is_role_tokens_reason_usage_and_done() {
        let reply = reply(Kind::Chat, true);
        let all = events(&reply);
        let chunks: Vec<Value> = all[..all.len() - 1].iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        assert!(chunks[0]["usage"].is_null() && chunks[0].get("usage").is_some());
        let joined: String =
            chunks.iter().filter_map(|c| c.pointer("/choices/0/delta/content")?.as_str()).collect::<String>();
        assert_eq!(joined, whole(&reply)["choices"][0]["message"]["content"]);
        assert_eq!(chunks[5]["choices"][0]["finish_reason"], "stop");
        assert_eq!(chunks[6]["choices"], json!([]));
        assert_eq!(chunks[6]["usage"]["total_tokens"], 7);
    }

    #[test]
    fn a_text_stream_has_no_role_and_no_usage_unless_asked() {
        let reply = reply(Kind::Completion, false);
        let all = events(&reply);
        assert_eq!(all.len(), 6);
        let first: Value = serde_json::from_str(&all[0]).unwrap();
        assert_eq!(first["choices"][0]["text"], "This");
        assert_eq!(first["object"], "text_completion");
        assert!(first.get("usage").is_none());
    }

    #[test]
    fn embeddings_come_in_both_encodings() {
        let inputs = [json!("one two"), json!("three")];
        let floats = embeddings("m", &inputs, 8, false);
        assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 8);
        assert_eq!(floats["usage"]["prompt_tokens"], 3);
        assert_eq!(embeddings("m", &inputs, 8, true)["data"][0]["embedding"].as_str().unwrap().len(), 44);
    }
}
