//! Anthropic's shapes: models, and messages whole and as a sequence of named events.
//!
//! Pure rendering: an event is a function of the reply and its position. Never waits, counts or refuses.

use serde_json::{Value, json};

use super::reply::Reply;
use super::text;

/// Events before the first token: message_start, content_block_start, ping.
pub const EVENTS_BEFORE: usize = 3;
/// Events after the last token: content_block_stop, message_delta, message_stop.
const EVENTS_AFTER: usize = 3;

/// One model, as `/v1/models/{id}` shows it.
pub fn model(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": "2023-11-14T22:13:20Z"})
}

/// The list of models, in one page.
pub fn models(ids: &[String]) -> Value {
    json!({
        "data": ids.iter().map(|id| model(id)).collect::<Vec<_>>(),
        "has_more": false,
        "first_id": ids.first(),
        "last_id": ids.last(),
    })
}

/// A message in one piece.
pub fn whole(reply: &Reply) -> Value {
    let content = json!([{"type": "text", "text": text::text(reply.tokens)}]);
    message(reply, content, json!(stop_reason(reply)), reply.tokens)
}

/// Name and data of each event of a stream, in order.
pub fn event(reply: &Reply, index: usize) -> Option<(&'static str, String)> {
    let end = EVENTS_BEFORE + reply.tokens;
    let data = match index {
        0 => json!({"type": "message_start", "message": message(reply, json!([]), Value::Null, 1)}),
        1 => json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        2 => json!({"type": "ping"}),
        i if i < end => json!({
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text::token(i - EVENTS_BEFORE)},
        }),
        i if i == end => json!({"type": "content_block_stop", "index": 0}),
        i if i == end + 1 => json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(reply), "stop_sequence": null},
            "usage": {"output_tokens": reply.tokens},
        }),
        i if i == end + 2 => json!({"type": "message_stop"}),
        _ => return None,
    };
    Some((name(index, end), data.to_string()))
}

/// How many events [`event`] has.
pub fn event_count(reply: &Reply) -> usize {
    EVENTS_BEFORE + reply.tokens + EVENTS_AFTER
}

fn name(index: usize, end: usize) -> &'static str {
    match index {
        0 => "message_start",
        1 => "content_block_start",
        2 => "ping",
        i if i < end => "content_block_delta",
        i if i == end => "content_block_stop",
        i if i == end + 1 => "message_delta",
        _ => "message_stop",
    }
}

fn stop_reason(reply: &Reply) -> &'static str {
    if reply.limited { "max_tokens" } else { "end_turn" }
}

fn message(reply: &Reply, content: Value, stop_reason: Value, output_tokens: usize) -> Value {
    json!({
        "id": format!("msg_mock{:08}", reply.number),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": reply.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::reply::Kind;
    use super::*;

    #[test]
    fn a_stream_has_the_documented_sequence_and_each_name_is_its_type() {
        let reply = Reply {
            kind: Kind::Message,
            number: 1,
            created: 1,
            model: "claude-mock".to_owned(),
            prompt_tokens: 3,
            tokens: 2,
            limited: true,
            stream: true,
            usage_chunk: false,
        };
        let all: Vec<_> = (0..).map_while(|index| event(&reply, index)).collect();
        assert_eq!(all.len(), event_count(&reply));
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let expected = "message_start content_block_start ping content_block_delta content_block_delta \
                        content_block_stop message_delta message_stop";
        assert_eq!(names.join(" "), expected);
        let data: Vec<Value> = all.iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
        assert!(data.iter().zip(&names).all(|(data, name)| data["type"] == *name));
        assert_eq!(data[0]["message"]["usage"]["input_tokens"], 3);
        assert_eq!(data[6]["usage"]["output_tokens"], 2);
        assert_eq!(data[6]["delta"]["stop_reason"], "max_tokens");
        assert_eq!(whole(&reply)["content"][0]["text"], "This answer");
    }
}
