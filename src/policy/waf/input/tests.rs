//! Requests taken apart: what each variable holds, and that no bytes do harm. The referee of JSON is serde_json.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;
use crate::h1::{HeadLimits, Parsed, RequestParser};

fn head_of(text: &[u8]) -> RequestHead {
    let mut head = RequestHead::default();
    let parsed = RequestParser::default().parse(text, &HeadLimits::default(), &mut head).unwrap();
    assert!(matches!(parsed, Parsed::Complete { .. }), "a whole head");
    head
}

fn read_head(input: &mut Input, head: &RequestHead) {
    let view = HeadView {
        head,
        client: "192.0.2.7:4711".parse().unwrap(),
        server: Some("[2001:db8::1]:443".parse().unwrap()),
        unix_ms: 1_700_000_000_123,
        request_id: b"r-1",
    };
    input.clear();
    input.read_head(&view);
}

/// A request with this type and body, taken apart.
fn posted(content_type: &str, body: &[u8]) -> Input {
    posted_part(content_type, body, true)
}

fn posted_part(content_type: &str, body: &[u8], whole: bool) -> Input {
    let mut input = Input::default();
    let head = head_of(format!("POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\n\r\n").as_bytes());
    read_head(&mut input, &head);
    input.read_body(body, None, whole, false);
    input
}

fn got(target: &str, more: &str) -> Input {
    let mut input = Input::default();
    let head = head_of(format!("GET {target} HTTP/1.1\r\nHost: h.example:8080\r\n{more}\r\n").as_bytes());
    read_head(&mut input, &head);
    input
}

/// `name=value` of all entries, divided by blanks.
fn shown(input: &Input, variable: Variable) -> String {
    let mut out = String::new();
    for entry in input.entries(variable) {
        let (name, value) = (input.bytes(entry.name), input.bytes(entry.value));
        let gap = if out.is_empty() { "" } else { " " };
        write!(out, "{gap}{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)).unwrap();
    }
    out
}

fn single(input: &Input, variable: Variable) -> Option<String> {
    match input.entries(variable) {
        [] => None,
        [entry] => Some(String::from_utf8_lossy(input.bytes(entry.value)).into_owned()),
        more => panic!("{} has {} entries", variable_name(variable), more.len()),
    }
}

fn leaves(input: &Input, variable: Variable) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entry = |entry: &Entry| (input.bytes(entry.name).to_vec(), input.bytes(entry.value).to_vec());
    input.entries(variable).iter().map(entry).collect()
}

#[test]
fn the_target_gives_its_parts() {
    let input = got("/a%20b/c.php?q=1%202&r", "");
    for (variable, expected) in [
        (Variable::RequestUri, "/a%20b/c.php?q=1%202&r"),
        (Variable::RequestUriRaw, "/a%20b/c.php?q=1%202&r"),
        (Variable::RequestFilename, "/a%20b/c.php"),
        (Variable::RequestBasename, "c.php"),
        (Variable::QueryString, "q=1%202&r"),
        (Variable::RequestLine, "GET /a%20b/c.php?q=1%202&r HTTP/1.1"),
        (Variable::RequestMethod, "GET"),
        (Variable::RequestProtocol, "HTTP/1.1"),
        (Variable::ServerName, "h.example"),
        (Variable::ServerPort, "443"),
        (Variable::ServerAddr, "2001:db8::1"),
        (Variable::RemoteAddr, "192.0.2.7"),
        (Variable::RemotePort, "4711"),
        (Variable::TimeEpoch, "1700000000"),
        (Variable::UniqueId, "r-1"),
        (Variable::ReqbodyError, "0"),
        (Variable::ReqbodyProcessor, ""),
        (Variable::ArgsCombinedSize, "5"),
        (Variable::UrlencodedError, "0"),
    ] {
        assert_eq!(single(&input, variable).as_deref(), Some(expected), "{}", variable_name(variable));
    }
    assert_eq!(shown(&input, Variable::Args), "q=1 2 r=");
    assert_eq!(shown(&input, Variable::ArgsGetNames), "q=q r=r");
    assert!(input.entries(Variable::ArgsPost).is_empty() && input.entries(Variable::Tx).is_empty());
}

#[test]
fn an_absolute_target_loses_its_authority() {
    let input = got("http://h.example:8080/x/y?z", "");
    assert_eq!(single(&input, Variable::RequestUri).unwrap(), "/x/y?z");
    assert_eq!(single(&input, Variable::RequestUriRaw).unwrap(), "http://h.example:8080/x/y?z");
    assert_eq!(single(&input, Variable::RequestBasename).unwrap(), "y");
    let bare = got("http://h.example:8080?z=1", "");
    assert_eq!(single(&bare, Variable::RequestUri).unwrap(), "/?z=1");
    assert_eq!(single(&bare, Variable::QueryString).unwrap(), "z=1");
    assert_eq!(shown(&bare, Variable::ArgsGet), "z=1");
    assert_eq!(single(&bare, Variable::RequestFilename).unwrap(), "/");
}

#[test]
fn fields_and_cookies_are_divided() {
    let input = got("/", "Cookie: a=1; b=x=y;c\r\nX-One: v\r\ncookie:  d=4;; \r\n");
    assert_eq!(shown(&input, Variable::RequestCookies), "a=1 b=x=y c= d=4");
    assert_eq!(shown(&input, Variable::RequestCookiesNames), "a=a b=b c=c d=d");
    assert!(shown(&input, Variable::RequestHeaders).contains("X-One=v"));
    assert!(shown(&input, Variable::RequestHeadersNames).contains("X-One=X-One"));
    let many = "k=v;".repeat(COOKIES_MAX + 5);
    let input = got("/", &format!("Cookie: {many}\r\n"));
    assert_eq!(input.entries(Variable::RequestCookies).len(), COOKIES_MAX);
    let last = input.entries(Variable::RequestCookies).last().unwrap();
    assert_eq!(input.bytes(last.value).len(), 4 * 6 - 2, "the rest stands in the last one");
}

#[test]
fn forms_are_decoded_once_and_broken_escapes_stay() {
    let input = posted("application/x-www-form-urlencoded; charset=utf-8", b"a=1+2&b%3D=%2541&&c=%zz%4&d");
    assert_eq!(shown(&input, Variable::ArgsPost), "a=1 2 b==%41 c=%zz%4 d=");
    assert_eq!(single(&input, Variable::UrlencodedError).unwrap(), "1");
    assert_eq!(single(&input, Variable::ReqbodyProcessor).unwrap(), "URLENCODED");
    assert_eq!(single(&input, Variable::RequestBody).unwrap(), "a=1+2&b%3D=%2541&&c=%zz%4&d");
    assert_eq!(single(&input, Variable::RequestBodyLength).unwrap(), "27");
}

#[test]
fn too_many_arguments_are_an_error_and_the_last_one_holds_the_rest() {
    let body = "a=b&".repeat(ARGS_MAX) + "evil=1";
    let input = posted("application/x-www-form-urlencoded", body.as_bytes());
    assert_eq!(input.entries(Variable::Args).len(), ARGS_MAX);
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "1");
    assert_eq!(single(&input, Variable::ReqbodyErrorMsg).unwrap(), "too many arguments");
    assert!(shown(&input, Variable::Args).ends_with("b&evil=1"));
    let body = format!("[{}\"evil\"]", "\"1\",".repeat(ARGS_MAX));
    let input = posted("application/json", body.as_bytes());
    assert_eq!(input.entries(Variable::Args).len(), ARGS_MAX);
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "1");
    assert!(shown(&input, Variable::Args).ends_with("\"evil\"]"));
}

#[test]
fn json_has_both_kinds_of_names() {
    let body = br#" {"model":"m","messages":[{"role":"user","content":"\u66b4\u529b \ud83d\ude00\n"}],"n":-1.5e3,"s":true,"x":null,"e":{},"l":[]} "#;
    let input = posted("application/json", body);
    assert_eq!(
        shown(&input, Variable::Args),
        "json.model=m json.messages.array_0.role=user json.messages.array_0.content=暴力 😀\n json.n=-1.5e3 json.s=true json.x=null json.e= json.l="
    );
    assert_eq!(
        shown(&input, Variable::Json),
        "model=m messages.0.role=user messages.0.content=暴力 😀\n n=-1.5e3 s=true x=null e= l="
    );
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
    assert_eq!(single(&input, Variable::ReqbodyProcessor).unwrap(), "JSON");
    assert_eq!(single(&input, Variable::RequestBody).unwrap().as_bytes(), body);
    let input = posted("application/vnd.api+json", b"[[1,[\"x\"]],2]");
    assert_eq!(
        shown(&input, Variable::ArgsPost),
        "json.array_0.array_0=1 json.array_0.array_1.array_0=x json.array_1=2"
    );
    assert_eq!(shown(&input, Variable::Json), "0.0=1 0.1.0=x 1=2");
    assert_eq!(shown(&posted("text/json", b"\"bare\""), Variable::Json), "=bare");
    assert_eq!(shown(&posted("application/json", br#""\ud800x""#), Variable::Json), "=\u{fffd}x");
}

#[test]
fn json_under_another_type_is_seen_by_its_paths() {
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "", "application/octet-stream"] {
        let input = posted(content_type, b" {\"prompt\": \"\\u0070\"}");
        assert_eq!(shown(&input, Variable::Json), "prompt=p");
        assert!(shown(&input, Variable::Args).ends_with("json.prompt=p"), "{content_type}");
        assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
    }
    for content_type in ["multipart/form-data; boundary=B", "text/xml"] {
        let input = posted(content_type, b"{\"prompt\": \"p\"}");
        assert_eq!(shown(&input, Variable::Args), "json.prompt=p");
        assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "1");
    }
    assert_eq!(single(&posted("text/plain", b" <a>t</a>"), Variable::XmlText).as_deref(), Some(" t"));
    assert_eq!(shown(&posted("application/json x", b"{\"a\":1}"), Variable::ReqbodyProcessor), "=JSON");
}

#[test]
fn json_in_wide_characters_is_seen() {
    let text = "{\"a\":\"<暴😀\"}";
    let narrow: Vec<u16> = text.encode_utf16().collect();
    let wide: Vec<u32> = text.chars().map(u32::from).collect();
    for body in [
        narrow.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>(),
        narrow.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        [0xfeff].iter().chain(&narrow).flat_map(|unit| unit.to_le_bytes()).collect(),
        [0xfeff].iter().chain(&narrow).flat_map(|unit| unit.to_be_bytes()).collect(),
        wide.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        wide.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        [0xfeff].iter().chain(&wide).flat_map(|unit| unit.to_le_bytes()).collect(),
        [0xfeff].iter().chain(&wide).flat_map(|unit| unit.to_be_bytes()).collect(),
        ["\u{feff}", text].concat().into_bytes(),
    ] {
        for content_type in ["application/json", "text/plain"] {
            let input = posted(content_type, &body);
            assert_eq!(shown(&input, Variable::Args), "json.a=<暴😀", "{content_type} {body:?}");
            assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
        }
    }
}

#[test]
fn what_lenient_servers_forgive_is_read_on_behind() {
    for body in [
        "{\"x\":NaN,\"a\":\"e\\u0076il\"}",
        "{\"x\":[-Infinity,0x1F,+1,],\"a\":\"evil\",}",
        "{/* \" */\"x\":1,// \"\n\"a\":\"evil\"}",
        "{\"x\":\"\t\\q\\\"\",\"a\":\"evil\"}",
        "{\"x\":007,\"a\":\"evil\"}",
    ] {
        let input = posted("application/json", body.as_bytes());
        assert!(shown(&input, Variable::Json).ends_with("a=evil"), "{}", shown(&input, Variable::Json));
        assert!(shown(&input, Variable::Args).ends_with("json.a=evil"));
        assert_eq!(single(&input, Variable::ReqbodyErrorMsg).as_deref(), Some("not JSON"), "{body}");
    }
    let deep = format!("{}\"e\\u0076il\"", "[".repeat(DEPTH_MAX + 1));
    let long = format!("{{\"{}\":\"e\\u0076il\"}}", "k".repeat(JSON_NAME_BYTES_MAX));
    for body in ["{a:'x',\"b\":\"e\\u0076il\"}", "{\"a\":1} {\"b\":\"e\\u0076il\"}", &deep, &long] {
        let input = posted("application/json", body.as_bytes());
        assert!(leaves(&input, Variable::Args).iter().any(|(_, value)| value == b"evil"), "{body}");
        let whole = leaves(&input, Variable::Args).pop().unwrap().1;
        assert!(whole.windows(6).any(|part| part == b"\"evil\""), "{body}");
        assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "1", "{body}");
    }
}

#[test]
fn prompts_of_numbers_take_no_places() {
    let numbers = format!("{{\"input\":[{}1],\"user\":\"e\\u0076il\",\"n\":5}}", "1024,".repeat(20_000));
    let input = posted("application/json", numbers.as_bytes());
    assert!(shown(&input, Variable::Args).ends_with("json.user=evil json.n=5"));
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
    assert_eq!(input.entries(Variable::Args).len(), JSON_SCALARS_MAX + 2);
    let strings = format!("[{}\"e\\u0076il\"]", "\"x\",".repeat(ARGS_MAX));
    let input = posted("application/json", strings.as_bytes());
    assert_eq!(input.entries(Variable::Args).len(), ARGS_MAX);
    let last = leaves(&input, Variable::Args).pop().unwrap().1;
    assert!(last.ends_with(b"\"evil\"]"), "what is behind the last place is seen with its escapes undone");
}

#[test]
fn a_part_that_is_a_file_to_some_only_is_an_argument() {
    for (parameters, is_arg) in [
        ("name=a; filename=\"x.txt\"", false),
        ("name=a; filename=\"\"", true),
        ("name=a; filename*=UTF-8''x.txt", true),
        ("name=a; filename=x; filename*=UTF-8''y", false),
        ("name=a; filename*=UTF-8''y; filename=x", false),
        ("name=a; filename=x; filename=y", true),
        ("name=a; filename=x\r\nContent-Disposition: form-data; name=a", true),
    ] {
        let body = format!("--B\r\nContent-Disposition: form-data; {parameters}\r\n\r\nevil\r\n--B--\r\n");
        let input = posted("multipart/form-data; boundary=B", body.as_bytes());
        assert_eq!(shown(&input, Variable::ArgsPost) == "a=evil", is_arg, "{parameters}");
        assert_eq!(input.entries(Variable::Files).len(), 1, "{parameters}");
    }
}

#[test]
fn a_second_type_is_an_error() {
    let mut input = Input::default();
    let head = head_of(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Type: a/b\r\n\r\n");
    read_head(&mut input, &head);
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "1");
}

#[test]
fn what_is_not_json_says_so_and_keeps_what_came_before() {
    for (body, message) in [
        ("{\"a\":\"1\",}", "not JSON"),
        ("{\"a\":\"1\"", "the body ends too early"),
        ("{\"a\":\"1\"}x", "not JSON"),
        ("{\"a\":\"1\",\"b\":01}", "not JSON"),
        ("{\"a\":\"1\",\"b\":\"\t\"}", "not JSON"),
        ("{\"a\":\"1\",\"b\":\"\\x\"}", "not JSON"),
    ] {
        let input = posted("application/json", body.as_bytes());
        assert_eq!(single(&input, Variable::ReqbodyErrorMsg).as_deref(), Some(message), "{body}");
        assert!(shown(&input, Variable::Args).starts_with("json.a=1"), "{body}");
    }
    let deep = "[".repeat(DEPTH_MAX + 1);
    let input = posted("application/json", deep.as_bytes());
    assert_eq!(single(&input, Variable::ReqbodyErrorMsg).unwrap(), "nested too deeply");
    let long = format!("{{\"{}\":1}}", "k".repeat(JSON_NAME_BYTES_MAX));
    let input = posted("application/json", long.as_bytes());
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "1");
}

#[test]
fn a_cut_body_gives_what_there_is_without_an_error() {
    let input = posted_part("application/json", b"{\"a\":1,\"b\":\"xy", false);
    assert_eq!(shown(&input, Variable::ArgsPost), "json.a=1 json.b=xy");
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
    let input = posted_part("multipart/form-data; boundary=B", &MULTIPART[..90], false);
    assert_eq!(shown(&input, Variable::ArgsPost), "a=one");
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
    let input = posted_part("text/xml", b"<a b='c'>te", false);
    assert_eq!(single(&input, Variable::XmlText).unwrap(), "te");
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
}

const MULTIPART: &[u8] = b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--B\r\n\
    Content-Disposition: form-data; name=\"f\"; filename=\"x\\\".php\"\r\nContent-Type: text/plain\r\n\r\n<?php\r\n?>\r\n--B--\r\n";

#[test]
fn multipart_gives_arguments_and_files() {
    let input = posted("multipart/form-data; boundary=B", MULTIPART);
    assert_eq!(shown(&input, Variable::ArgsPost), "a=one");
    assert_eq!(shown(&input, Variable::Files), "f=x\".php");
    assert_eq!(shown(&input, Variable::FilesNames), "f=f");
    assert_eq!(shown(&input, Variable::FilesSizes), "f=9");
    assert_eq!(single(&input, Variable::FilesCombinedSize).unwrap(), "9");
    assert!(shown(&input, Variable::MultipartPartHeaders).contains("f=Content-Type: text/plain"));
    for variable in [Variable::MultipartStrictError, Variable::MultipartUnmatchedBoundary, Variable::ReqbodyError] {
        assert_eq!(single(&input, variable).unwrap(), "0", "{}", variable_name(variable));
    }
    assert_eq!(single(&input, Variable::RequestBody), None);
}

#[test]
fn odd_multipart_is_named() {
    let disposition = "Content-Disposition: form-data; name=a";
    for (body, strict, unmatched, error) in [
        (format!("--B\n{disposition}\n\nx\n--B--\n"), "1", "0", "0"),
        (format!("before\r\n--B\r\n{disposition}\r\n\r\nx\r\n--B--\r\n"), "1", "0", "0"),
        (format!("--B\r\n{disposition}\r\n\r\nx\r\n--B--\r\nbehind"), "1", "0", "0"),
        (format!("--B\r\n{disposition}\r\n\r\nx\r\n--BB\r\n\r\n--B--\r\n"), "0", "1", "0"),
        (format!("--B\r\n{disposition}\r\n\r\nx\r\n-- B\r\n\r\n--B--\r\n"), "0", "1", "0"),
        (format!("--B\r\n{disposition}\r\n\r\nx\r\n-----BEGIN\r\n--B--\r\n"), "0", "0", "0"),
        (format!("--B\r\n{disposition}\r\n\r\nx\r\n"), "0", "0", "1"),
        (format!("--B\r\n{disposition}; name=b\r\n\r\nx\r\n--B--\r\n"), "1", "0", "1"),
        ("--B\r\nX: y\r\n\r\nx\r\n--B--\r\n".to_owned(), "1", "0", "1"),
        ("nothing".to_owned(), "0", "0", "1"),
    ] {
        let input = posted("multipart/form-data; boundary=B", body.as_bytes());
        let value = |variable| single(&input, variable).unwrap();
        assert_eq!(value(Variable::MultipartStrictError), strict, "{body}");
        assert_eq!(value(Variable::MultipartUnmatchedBoundary), unmatched, "{body}");
        assert_eq!(value(Variable::ReqbodyError), error, "{body}");
        if body != "nothing" {
            assert!(shown(&input, Variable::ArgsPost).contains("=x"), "{body}");
        }
    }
    let input = posted("multipart/form-data", MULTIPART);
    assert_eq!(single(&input, Variable::MultipartStrictError).unwrap(), "1");
    assert!(single(&input, Variable::RequestBody).is_some(), "what cannot be divided is shown");
}

#[test]
fn xml_gives_text_and_attributes() {
    let body = b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e \"x>]\">]><a b='1 &lt; 2'>t&amp;<c d=\"&#x41;\"/><![CDATA[<&amp;]]><!-- no -->&e;</a>\n";
    let input = posted("application/xml", body);
    assert_eq!(single(&input, Variable::XmlText).unwrap(), "t&<&amp;&e;\n");
    assert_eq!(shown(&input, Variable::XmlAttributes), "b=1 < 2 d=A");
    assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
    for broken in ["<a><b></a></b>", "<a", "no", "<a b>x</a>", "<a b=c/>", "<a/><b>"] {
        let input = posted("text/xml", broken.as_bytes());
        assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "1", "{broken}");
    }
}

#[test]
fn a_rule_may_choose_who_reads() {
    let mut input = Input::default();
    let head = head_of(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n\r\n");
    read_head(&mut input, &head);
    input.read_body(b"a=1", Some(BodyProcessor::UrlEncoded), true, false);
    assert_eq!(shown(&input, Variable::Args), "a=1");
    assert_eq!(single(&input, Variable::ReqbodyProcessor).unwrap(), "URLENCODED");
    read_head(&mut input, &head);
    input.read_body(b"", None, true, false);
    assert_eq!(single(&input, Variable::RequestBody), None);
    assert_eq!(single(&input, Variable::RequestBodyLength).unwrap(), "0");
}

#[test]
fn a_large_request_does_not_hold_its_memory() {
    let mut input = posted("text/plain", &vec![b'x'; 2 * KEPT_BYTES_MAX]);
    input.clear();
    assert!(input.arena.memory_bytes() <= KEPT_BYTES_MAX);
    let mut input = posted("text/plain", &[b'x'; 5000]);
    input.clear();
    assert!(input.arena.memory_bytes() >= 5000, "a usual one leaves its memory to the next");
}

#[test]
fn paths_are_matched() {
    for (pattern, path, expected) in [
        ("prompt", "prompt", true),
        ("$.prompt", "Prompt", true),
        ("prompt", "prompt.0", false),
        ("messages.*.content", "messages.12.content", true),
        ("messages[*].content", "messages.12.content", true),
        ("$.messages[0]['content']", "messages.0.content", true),
        ("messages[0]", "messages.1", false),
        ("messages.*.content", "messages.content", false),
        ("**", "a.b.c", true),
        ("messages.**", "messages.0.content.1.text", true),
        ("**.text", "messages.0.content.1.text", true),
        ("**.text", "text", true),
        ("messages.**.text", "messages.0.text.no", false),
        ("**.a.**.b", "x.a.a.y.b", true),
        ("input[0]", "input.0", true),
        ("[0].x", "0.x", true),
        ("", "", true),
        ("$", "", true),
        ("a", "", false),
        ("a.", "a.", true),
    ] {
        assert_eq!(json_path_matches(pattern, path.as_bytes()), expected, "{pattern} {path}");
    }
}

/// What the referee finds in a document: paths and values, in order.
fn walk(value: &Value, path: &str, out: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(members) if members.is_empty() => out.push((path.as_bytes().to_vec(), Vec::new())),
        Value::Array(list) if list.is_empty() => out.push((path.as_bytes().to_vec(), Vec::new())),
        Value::Object(members) => members.iter().for_each(|(key, value)| walk(value, &below(key), out)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, value)| walk(value, &below(&n.to_string()), out)),
        Value::String(text) => out.push((path.as_bytes().to_vec(), text.as_bytes().to_vec())),
        other => out.push((path.as_bytes().to_vec(), other.to_string().into_bytes())),
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        "[\"\\\\/\u{8}\n\t\u{1}暴力😀a]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(("[a-z\"\\\\\n暴]{1,6}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "[\\[\\]{}\",:0-9eE.+\\-\\\\untrfalsd \u{1}]{0,60}".prop_map(String::into_bytes),
        "([<>/a\"'=&;! \\[\\]?#x-]|<a>|</a>|<!--|-->|<!\\[CDATA\\[|\\]\\]>){0,40}".prop_map(String::into_bytes),
        "(--B|--|B|\r\n|\n|\r|\"|;|name=|filename=|Content-Disposition: form-data|:| |x){0,40}"
            .prop_map(String::into_bytes),
        "[a-c=&%+0-9]{0,60}".prop_map(String::into_bytes),
    ]
}

const ALL: &[Variable] = &[
    Variable::Args,
    Variable::ArgsNames,
    Variable::RequestHeaders,
    Variable::Files,
    Variable::FilesNames,
    Variable::FilesSizes,
    Variable::MultipartPartHeaders,
    Variable::Json,
    Variable::XmlAttributes,
    Variable::XmlText,
    Variable::RequestBody,
    Variable::ReqbodyError,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_body_is_safe_and_spans_are_valid(body in bodies(), whole in any::<bool>(), forced in 0usize..5) {
        let forced = [None, Some(BodyProcessor::UrlEncoded), Some(BodyProcessor::Multipart), Some(BodyProcessor::Json),
            Some(BodyProcessor::Xml)][forced];
        let mut input = Input::default();
        let head = head_of(b"POST /?q HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=B\r\n\r\n");
        read_head(&mut input, &head);
        input.read_body(&body, forced, whole, true);
        for variable in ALL {
            for entry in input.entries(*variable) {
                for span in [entry.name, entry.value] {
                    prop_assert!(span.start <= span.end && span.end <= input.arena.end());
                    prop_assert_eq!(input.bytes(span).len(), span.len());
                }
            }
        }
        prop_assert_eq!(input.bytes(input.entries(Variable::RequestBody).first().map_or(Span::default(), |e| e.value)), &body[..]);
    }

    #[test]
    fn any_query_and_cookie_is_safe(query in "[!-\"$-~]{0,80}", cookie in "[ -~]{0,80}") {
        let input = got(&format!("/?{query}"), &format!("Cookie: {cookie}\r\n"));
        prop_assert_eq!(single(&input, Variable::QueryString).unwrap(), query);
    }

    #[test]
    fn json_is_read_as_the_referee_reads_it(value in document(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut expected = Vec::new();
        walk(&value, "", &mut expected);
        if value == serde_json::json!({}) || value == serde_json::json!([]) {
            expected.clear();
        }
        let input = posted("application/json", text.as_bytes());
        prop_assert_eq!(leaves(&input, Variable::Json), expected);
        prop_assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
        prop_assert_eq!(input.entries(Variable::Args).len(), input.entries(Variable::Json).len());
    }

    #[test]
    fn what_is_json_is_decided_as_the_referee_does(
        text in "[\\[\\]{}\",:0-9eE.+\\-\\\\untrfalsd \u{1}]{1,30}|[\\[{]{0,3}(\"a\"|1|-0.5e9|true|null|:|,|\\]|\\}| ){0,12}"
    ) {
        let referee = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        let input = posted("application/json", text.as_bytes());
        prop_assert_eq!(single(&input, Variable::ReqbodyError).unwrap() == "0", referee || text.is_empty(), "{}", text);
    }

    #[test]
    fn forms_come_back_as_they_were(pairs in proptest::collection::vec((".{1,8}", ".{0,12}"), 0..8)) {
        let encode = |text: &str| text.bytes().fold(String::new(), |mut out, byte| {
            match byte {
                b' ' => out.push('+'),
                b'a'..=b'z' => out.push(char::from(byte)),
                other => write!(out, "%{other:02X}").unwrap(),
            }
            out
        });
        let body: Vec<String> = pairs.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        let input = posted("application/x-www-form-urlencoded", body.join("&").as_bytes());
        let expected: Vec<_> = pairs.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        prop_assert_eq!(leaves(&input, Variable::ArgsPost), expected);
        prop_assert_eq!(single(&input, Variable::UrlencodedError).unwrap(), "0");
    }

    #[test]
    fn a_cut_anywhere_is_no_error(value in document(), cut in any::<proptest::sample::Index>()) {
        let text = serde_json::to_string(&value).unwrap();
        let body = &text.as_bytes()[..cut.index(text.len())];
        let input = posted_part("application/json", body, false);
        prop_assert_eq!(single(&input, Variable::ReqbodyError).unwrap(), "0");
    }
}
