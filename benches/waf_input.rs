//! Speed of taking a request apart for the firewall: a chat completion of 1 KiB in JSON, a form, and a GET.
//!
//! Goal: at most 3 µs for the JSON, head and body, from a warm core. Nothing is judged here.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::RequestHead;
use ringway::policy::waf::input::{HeadView, Input};

const HEAD: &str = "Host: api.example\r\nUser-Agent: client/1.30 python/3.12\r\nAccept: application/json\r\n\
    Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nAuthorization: Bearer sk-0123456789\r\n";

fn json() -> String {
    let turn = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
    let turns = [
        turn(
            "system",
            "You are a patient assistant. Answer in whole sentences, and say when you do not know something.",
        ),
        turn(
            "user",
            "Please explain how a heat pump works, and why it gives more heat than it takes electricity.\\nBe brief.",
        ),
        turn(
            "assistant",
            "It moves heat instead of making it: a fluid boils at a low temperature outside, is compressed, and condenses inside. \\\"Moving\\\" takes less work than \\\"making\\\".",
        ),
        turn(
            "user",
            "And when it is very cold outside? Compare minus ten degrees with plus ten degrees, with numbers, for a house of 120 square metres, and add what a gas boiler would take. Then say which questions I should ask the firm that is to build it in, what it may cost, and how loud the part outside is allowed to be at night where the neighbours sleep with open windows; \\\"quiet\\\" is no answer, give decibels.",
        ),
    ];
    format!(
        r#"{{"model":"m-1-large","temperature":0.7,"top_p":0.95,"max_tokens":512,"stream":true,"user":"u-4711","messages":[{}]}}"#,
        turns.join(",")
    )
}

fn waf_input(criterion: &mut Criterion) {
    let json = json();
    let form = "name=Joe+Doe&mail=joe%40example.org&text=hello%2C+this+is+a+message&".repeat(15);
    for (name, line, content_type, body) in [
        ("json", "POST /v1/chat/completions", "application/json", json.as_str()),
        ("form", "POST /contact?from=menu", "application/x-www-form-urlencoded", form.as_str()),
        ("get", "GET /search?q=heat+pump&page=2&lang=en", "text/plain", ""),
    ] {
        let text =
            format!("{line} HTTP/1.1\r\n{HEAD}Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut head = RequestHead::default();
        let parsed = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
        assert!(parsed.is_ok());
        let (client, server) = (([192, 0, 2, 7], 4711).into(), Some(([192, 0, 2, 1], 443).into()));
        let view =
            HeadView { head: &head, client, server, unix_ms: 1_700_000_000_000, request_id: b"0123456789abcdef" };
        let mut group = criterion.benchmark_group("waf_input");
        group.throughput(Throughput::Bytes((text.len() + body.len()) as u64));
        let mut input = Input::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                input.clear();
                input.read_head(black_box(&view));
                input.read_body(black_box(body.as_bytes()), None, true, false);
                black_box(&input);
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = waf_input
}
criterion_main!(benches);
