//! Reads the cases of `crs_cases/*.txt` (format: `crs_cases/README.md`) and makes requests of them.
//!
//! Knows no rules and no gateway: the same table is run against the library and against the real executable.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A request and what the rule set must say of it.
pub struct Case {
    /// File and line, for messages.
    pub place: String,
    pub name: String,
    pub expected: Vec<Expected>,
    /// The paranoia level, 1 to 4.
    pub level: u8,
    pub request: Request,
}

/// What must hold of the rules that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Matches(u64),
    MatchesNot(u64),
    /// No rule with a severity matched, and the request passes.
    Clean,
}

/// A request as bytes would carry it.
pub struct Request {
    pub method: String,
    pub target: Vec<u8>,
    /// `1.1`
    pub version: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The head, empty line included.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} ", self.method).into_bytes();
        head.extend_from_slice(&self.target);
        head.extend_from_slice(format!(" HTTP/{}\r\n", self.version).as_bytes());
        for (name, value) in &self.fields {
            head.extend_from_slice(format!("{name}: ").as_bytes());
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    fn set(&mut self, name: &str, value: Vec<u8>) {
        match self.fields.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    fn without(&mut self, name: &str) {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    fn post(&mut self, content_type: &str, body: Vec<u8>) {
        self.method = "POST".to_owned();
        self.set("Content-Type", content_type.into());
        self.set("Content-Length", body.len().to_string().into_bytes());
        self.body = body;
    }
}

/// A case of one's own that posts a body; nothing is expected of it.
#[allow(dead_code, reason = "each test takes its own part")]
pub fn posted(content_type: &str, body: Vec<u8>) -> Case {
    let mut request = request_of("get /", "");
    request.post(content_type, body);
    Case { place: String::new(), name: String::new(), expected: Vec::new(), level: 1, request }
}

/// The same with a body of JSON.
#[allow(dead_code, reason = "each test takes its own part")]
pub fn json(body: &serde_json::Value) -> Case {
    posted("application/json", body.to_string().into_bytes())
}

/// The request of a case once more.
#[allow(dead_code, reason = "each test takes its own part")]
pub fn again(case: &Case) -> Case {
    let mut copy = posted("", Vec::new());
    copy.request.method.clone_from(&case.request.method);
    copy.request.fields.clone_from(&case.request.fields);
    copy.request.body.clone_from(&case.request.body);
    copy
}

/// All cases, file by file.
pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/screening/crs_cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    files.sort();
    files.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let file = path.file_name().unwrap().to_string_lossy();
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(more) = line.strip_prefix("  ") {
            add(&mut cases.last_mut().expect("a case stands above").request, more, &place);
            continue;
        }
        let mut parts = line.splitn(3, " | ");
        let (Some(expected), Some(name), Some(request)) = (parts.next(), parts.next(), parts.next()) else {
            panic!("{place}: not a case: {line}");
        };
        let (expected, level) = expected.split_once('@').unwrap_or((expected, "1"));
        let expected = expected.split(' ').map(|word| expectation(word, &place)).collect();
        let level = level.parse().unwrap_or_else(|_| panic!("{place}: no level: {level}"));
        let request = request_of(request, &place);
        cases.push(Case { place, name: name.to_owned(), expected, level, request });
    }
    cases
}

fn expectation(word: &str, place: &str) -> Expected {
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{place}: no rule: {text}"));
    match word.strip_prefix('!') {
        _ if word == "clean" => Expected::Clean,
        Some(rule) => Expected::MatchesNot(number(rule)),
        None => Expected::Matches(number(word)),
    }
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0";

fn request_of(text: &str, place: &str) -> Request {
    let (kind, value) = text.split_once(' ').unwrap_or((text, ""));
    let fields = [("Host", "shop.example"), ("User-Agent", BROWSER), ("Accept", "*/*")];
    let mut request = Request {
        method: "GET".to_owned(),
        target: b"/".to_vec(),
        version: "1.1".to_owned(),
        fields: fields.map(|(name, value)| (name.to_owned(), value.into())).into(),
        body: Vec::new(),
    };
    match kind {
        "arg" => request.target = format!("/?q={}", percent(&unescaped(value))).into_bytes(),
        "field" => {
            let body = format!("q={}", percent(&unescaped(value))).into_bytes();
            request.post("application/x-www-form-urlencoded", body);
        }
        "prompt" => {
            let said = String::from_utf8(unescaped(value)).unwrap();
            let body = serde_json::json!({ "model": "m-1", "messages": [{ "role": "user", "content": said }] });
            request.post("application/json", body.to_string().into_bytes());
        }
        "cookie" => request.set("Cookie", value.into()),
        "agent" => request.set("User-Agent", value.into()),
        "referer" => request.set("Referer", value.into()),
        "get" => request.target = unescaped(value),
        "post" => {
            request.post("", Vec::new());
            request.without("Content-Type");
            request.target = unescaped(value);
        }
        "method" => {
            let (method, target) = value.split_once(' ').unwrap_or_else(|| panic!("{place}: method and target"));
            (request.method, request.target) = (method.to_owned(), target.into());
        }
        "form" => request.post("application/x-www-form-urlencoded", unescaped(value)),
        "json" => request.post("application/json", value.into()),
        "xml" => request.post("text/xml", unescaped(value)),
        "multipart" => request.post("multipart/form-data; boundary=B0undary", unescaped(value)),
        other => panic!("{place}: no such request: {other}"),
    }
    request
}

/// What a line that belongs to the case above adds.
fn add(request: &mut Request, line: &str, place: &str) {
    let (what, value) = line.split_once(' ').unwrap_or((line, ""));
    match what {
        "http" => request.version = value.to_owned(),
        "without" => request.without(value),
        "header" | "more" => {
            let (name, value) = value.split_once(':').unwrap_or_else(|| panic!("{place}: name and value"));
            let value = unescaped(value.trim_start());
            match what {
                "header" => request.set(name, value),
                _ => request.fields.push((name.to_owned(), value)),
            }
        }
        other => panic!("{place}: nothing to add: {other}"),
    }
}

/// `\r`, `\n`, `\t`, `\\` and `\xHH` become bytes.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let (byte, used) = match (byte, after) {
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b't', ..]) => (b'\t', 1),
            (b'\\', [b'\\', ..]) => (b'\\', 1),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), 3)
            }
            (byte, _) => (*byte, 0),
        };
        out.push(byte);
        rest = &after[used..];
    }
    out
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(*byte)),
            other => write!(out, "%{other:02X}").unwrap(),
        }
        out
    })
}
