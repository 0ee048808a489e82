//! Tables of exchanges with a cache in the middle: what a client asks, what the origin answers, what the client sees.
//!
//! A step is three texts, their parts apart by `|`. `@` stands for the path of the row, `{-10}` for the date ten seconds
//! before the row began.
//!
//! * Request: `METHOD [TARGET [VERSION]]`, field lines, `=body`. The target is `@` and Host is `t` unless said; `!Host`
//!   leaves it out. `...` in front: again and again until what is expected is seen, the origin asked or not.
//! * Origin: empty = it is not asked; `x` = it closes whenever it is asked; else a status, field lines, trailers (`^Name: value`)
//!   and a body: `=` with a length, `+` as chunks, `<` until the close, `!` with a length that it does not reach, `-` as
//!   chunks without the last one. `?` in front: it may be asked or not. ` && ` between two answers: it is asked twice.
//! * Expected: a status and words, then `Name: value`, `Name` (is there), `!Name` (is not), `Name~part`, `Name>=number`,
//!   `Name<=number`, `=body`, `*part of the body`; with `>` in front the same of the request that the origin got, where
//!   `method` and `target` are names too. Words: see [`Status::check`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use super::config::Config;
use super::gateway::Gateway;
use super::message::{Head, Request, Response};
use super::origin::{Origin, Reply, Serving};
use super::wire::Connection;
use super::{WAIT, eventually, now_ms, pause, unix_ms};

/// Request, origin, expected.
pub type Step = (&'static str, &'static str, &'static str);
/// A name, with the section of the RFC where there is one, and its steps.
pub type Row = (&'static str, &'static [Step]);

/// A row with its texts made.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub steps: Vec<[String; 3]>,
}

impl Case {
    /// A row whose texts are made by the test.
    pub fn made(name: impl Into<String>, steps: &[[&str; 3]]) -> Self {
        Self { name: name.into(), steps: steps.iter().map(|step| step.map(str::to_owned)).collect() }
    }

    /// Rows of a table.
    pub fn all(rows: &[Row]) -> Vec<Self> {
        let step = |step: &Step| [step.0, step.1, step.2].map(str::to_owned);
        rows.iter().map(|row| Self { name: row.0.to_owned(), steps: row.1.iter().map(step).collect() }).collect()
    }
}

/// A gateway in front of an origin that follows the steps.
pub struct Stage {
    pub gateway: Gateway,
    pub origin: Serving,
    /// What the origin answers at the moment, made from the step: one after the other, the last one again and again.
    answers: Arc<Mutex<VecDeque<String>>>,
}

/// One row on the stage.
struct Play<'a> {
    stage: &'a Stage,
    path: String,
    unix_s: i64,
    client: Option<Connection>,
}

impl Stage {
    /// A stage whose route has these lines in its `[route.cache]`.
    #[track_caller]
    pub fn new(cache: &str) -> Self {
        Self::with(|config| config.cache(cache))
    }

    /// A stage with another configuration.
    #[track_caller]
    pub fn with(config: impl Fn(Config) -> Config) -> Self {
        let answers = Arc::new(Mutex::new(VecDeque::from([String::new()])));
        let shared = Arc::clone(&answers);
        let origin = Origin::new().serve(move |request: &Request| {
            let mut answers = shared.lock().expect("no panic while answering");
            let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            reply(&answer.unwrap_or_default(), request)
        });
        let gateway = config(Config::to(&origin)).start();
        Self { gateway, origin, answers }
    }

    /// Plays every row, each on a path and a connection of its own, and fails with all that went wrong.
    #[track_caller]
    pub fn play(&self, cases: &[Case]) {
        let mut failed = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.play_one(number, case)));
            match played {
                Ok(Ok(())) => {}
                Ok(Err(why)) => failed.push(format!("{}: {why}", case.name)),
                Err(_) => failed.push(format!("{}: a message was cut or not a strict one, see above", case.name)),
            }
        }
        let count = (failed.len(), cases.len());
        assert!(failed.is_empty(), "{} of {} rows fail:\n{}", count.0, count.1, failed.join("\n"));
    }

    fn play_one(&self, number: usize, case: &Case) -> Result<(), String> {
        let unix_s = i64::try_from(unix_ms() / 1_000).expect("a date of our time");
        let mut play = Play { stage: self, path: format!("/r{number}"), unix_s, client: None };
        // What a row before this one has left behind is not of this row.
        self.origin.take_requests();
        for (index, [request, origin, expected]) in case.steps.iter().enumerate() {
            let texts = [request, origin, expected].map(|text| play.fill_in(text));
            play.step(&texts).map_err(|why| format!("step {} ({request}): {why}", index + 1))?;
        }
        Ok(())
    }

    fn set_answer(&self, answer: &str) {
        let answers = answer.split(" && ").map(str::to_owned).collect();
        *self.answers.lock().expect("no panic while answering") = answers;
    }
}

impl Play<'_> {
    /// Path and dates put in.
    fn fill_in(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out += before;
            match after.split_once('}').and_then(|(number, after)| Some((number.parse::<i64>().ok()?, after))) {
                Some((seconds, after)) => {
                    let unix_s = u64::try_from(self.unix_s + seconds).expect("a date of our time");
                    out += &httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_s));
                    rest = after;
                }
                None => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        (out + rest).replace('@', &self.path)
    }

    fn step(&mut self, [request, origin, expected]: &[String; 3]) -> Result<(), String> {
        let Some(request) = request.strip_prefix("...") else {
            return self.step_once(request, origin, expected);
        };
        self.stage.set_answer(origin.trim_start_matches('?'));
        let start = now_ms();
        loop {
            let seen = self.exchange(request);
            let verdict = check(expected, &seen, &[]);
            if verdict.is_ok() || now_ms() - start > WAIT.as_millis() as u64 {
                return verdict;
            }
            pause();
        }
    }

    fn step_once(&mut self, request: &str, origin: &str, expected: &str) -> Result<(), String> {
        self.stage.set_answer(origin.trim_start_matches('?'));
        let seen = self.exchange(request);
        let mut asked = self.stage.origin.take_requests();
        let must = !origin.is_empty() && !origin.starts_with('?');
        if must && asked.is_empty() {
            // A refresh in the background.
            eventually("the origin is asked", || {
                asked = self.stage.origin.take_requests();
                !asked.is_empty()
            });
        }
        let (least, most) = match (origin, origin.matches(" && ").count()) {
            ("", _) => (0, 0),
            ("x", _) => (0, usize::MAX),
            (_, 0) => (0, 1),
            (_, more) => (more + 1, more + 1),
        };
        if asked.len() < least || asked.len() > most {
            let asked: Vec<String> = asked.iter().map(Request::brief).collect();
            return Err(format!("the origin was asked {asked:?}; the client saw {}", brief(&seen)));
        }
        check(expected, &seen, &asked)
    }

    /// One request and its answer, on the connection of the row as long as it lasts.
    fn exchange(&mut self, spec: &str) -> Response {
        let (bytes, to_head) = request_bytes(spec, &self.path);
        let mut client = self.client.take().unwrap_or_else(|| self.stage.gateway.client());
        client.send(bytes);
        let head = client.read_response_head();
        let response = client.finish_response(head, to_head);
        if !response.says_close() && response.body.cut.is_none() {
            self.client = Some(client);
        }
        response
    }
}

/// The bytes of a request, and whether it is HEAD.
fn request_bytes(spec: &str, path: &str) -> (String, bool) {
    let mut parts = spec.split('|');
    let mut line = parts.next().unwrap_or_default().split(' ');
    let method = line.next().unwrap_or_default();
    let (target, version) = (line.next().unwrap_or(path), line.next().unwrap_or("HTTP/1.1"));
    let (mut host, mut fields, mut body) = ("Host: t\r\n", String::new(), "");
    for part in parts {
        if let Some(text) = part.strip_prefix('=') {
            body = text;
            continue;
        }
        if part.starts_with("Host:") || part == "!Host" {
            host = "";
        }
        if part != "!Host" {
            fields += &format!("{part}\r\n");
        }
    }
    if !body.is_empty() {
        fields += &format!("Content-Length: {}\r\n", body.len());
    }
    (format!("{method} {target} {version}\r\n{host}{fields}\r\n{body}"), method == "HEAD")
}

/// The answer of the origin.
fn reply(spec: &str, request: &Request) -> Reply {
    if spec == "x" {
        return Reply { bytes: Vec::new(), close: true };
    }
    if spec.is_empty() {
        let bytes = b"HTTP/1.1 599 Unexpected\r\nContent-Length: 10\r\n\r\nunexpected".to_vec();
        return Reply { bytes, close: false };
    }
    let mut parts = spec.split('|');
    let status = parts.next().unwrap_or_default();
    let (mut fields, mut trailers, mut body) = (String::new(), String::new(), "=");
    for part in parts {
        if part.starts_with(['=', '+', '<', '!', '-']) {
            body = part;
        } else if let Some(trailer) = part.strip_prefix('^') {
            trailers += &format!("{trailer}\r\n");
        } else {
            fields += &format!("{part}\r\n");
        }
    }
    let (kind, text) = body.split_at(1);
    let chunk = if text.is_empty() { String::new() } else { format!("{:x}\r\n{text}\r\n", text.len()) };
    let (framing, mut body) = match kind {
        "=" => (format!("Content-Length: {}", text.len()), text.to_owned()),
        "!" => (format!("Content-Length: {}", text.len() + 10), text.to_owned()),
        "+" => ("Transfer-Encoding: chunked".to_owned(), format!("{chunk}0\r\n{trailers}\r\n")),
        "-" => ("Transfer-Encoding: chunked".to_owned(), chunk),
        _ => ("Connection: close".to_owned(), text.to_owned()),
    };
    let bodiless = status == "304" || status == "204";
    if bodiless || request.method == "HEAD" {
        body.clear();
    }
    let framing = if bodiless { String::new() } else { format!("{framing}\r\n") };
    let bytes = format!("HTTP/1.1 {status} Said\r\n{fields}{framing}\r\n{body}").into_bytes();
    Reply { bytes, close: matches!(kind, "<" | "!" | "-") }
}

/// What Cache-Status says of this gateway (RFC 9211).
struct Status(Vec<String>);

impl Status {
    fn of(head: &Head) -> Self {
        let all = head.all("cache-status").join(", ");
        let member = all.split(',').map(str::trim).rfind(|member| member.starts_with("ringway"));
        let parameters = member.unwrap_or_default().split(';').skip(1);
        Self(parameters.map(|parameter| parameter.trim().to_owned()).collect())
    }

    fn has(&self, parameter: &str) -> bool {
        self.0.iter().any(|p| p == parameter)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.0.iter().find_map(|p| p.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    }

    /// A word of an expectation. `hit`: from the cache, fresh; `stale`: from the cache, stale; `miss`: fetched and stored;
    /// `pass`: fetched and not stored; `valid`: confirmed by the origin; `-`: anything; else a parameter as it stands,
    /// with `!` in front one that is not there.
    fn check(&self, word: &str) -> bool {
        let ttl = self.number("ttl");
        match word {
            "hit" => self.has("hit") && ttl.is_some_and(|ttl| ttl >= 0),
            "stale" => self.has("hit") && ttl.is_some_and(|ttl| ttl < 0),
            "miss" => self.has("fwd=uri-miss") && self.has("stored") && !self.has("hit"),
            "pass" => self.0.iter().any(|p| p.starts_with("fwd=")) && !self.has("stored") && !self.has("hit"),
            "valid" => self.has("fwd-status=304"),
            "-" => true,
            _ => match word.strip_prefix('!') {
                Some(absent) => !self.has(absent),
                None => self.has(word),
            },
        }
    }
}

/// What a client saw, in a line.
fn brief(seen: &Response) -> String {
    let fields: Vec<String> = seen.head.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{} [{}] {:?}", seen.status, fields.join("; "), seen.text())
}

/// Judges an answer, and the request that the origin got for it.
fn check(expected: &str, seen: &Response, asked: &[Request]) -> Result<(), String> {
    let mut parts = expected.split('|');
    let mut words = parts.next().unwrap_or_default().split(' ');
    let status = words.next().unwrap_or_default();
    let failed = |what: &str| Err(format!("expected {what}; the client saw {}", brief(seen)));
    if seen.status.to_string() != status {
        return failed(&format!("status {status}"));
    }
    let (says, words) = (Status::of(&seen.head), words.collect::<Vec<_>>());
    let cut = words.contains(&"cut");
    if cut != seen.body.cut.is_some() {
        return failed(if cut { "a body that is cut" } else { "a whole body" });
    }
    if let Some(word) = words.iter().find(|word| **word != "cut" && !says.check(word)) {
        return failed(&format!("{word:?} in Cache-Status"));
    }
    for part in parts {
        let holds = match (part.strip_prefix('>'), asked.last()) {
            (Some(part), Some(request)) => holds(part, &request_fields(request), &request.body.bytes),
            (Some(_), None) => false,
            (None, _) => holds(part, &seen.head.fields, &seen.body.bytes),
        };
        if !holds {
            let asked = asked.last().map(|request| String::from_utf8_lossy(&request.head.raw).into_owned());
            return failed(&format!("{part:?} (the origin got {asked:?})"));
        }
    }
    Ok(())
}

/// Fields of a request, its line as two of them.
fn request_fields(request: &Request) -> Vec<(String, String)> {
    let mut fields = request.head.fields.clone();
    fields.push(("method".to_owned(), request.method.clone()));
    fields.push(("target".to_owned(), request.target.clone()));
    fields
}

/// Whether a part of an expectation holds for a message.
fn holds(part: &str, fields: &[(String, String)], body: &[u8]) -> bool {
    let value = |name: &str| -> Option<String> {
        let named = fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
        let all: Vec<&str> = named.collect();
        (!all.is_empty()).then(|| all.join(", "))
    };
    let number = |name: &str| value(name).and_then(|value| value.parse::<i64>().ok());
    if let Some(text) = part.strip_prefix('=') {
        return body == text.as_bytes();
    }
    if let Some(text) = part.strip_prefix('*') {
        return String::from_utf8_lossy(body).contains(text);
    }
    if let Some(name) = part.strip_prefix('!') {
        return value(name).is_none();
    }
    if let Some((name, least)) = part.split_once(">=") {
        return number(name) >= Some(least.parse().expect("a number in the table"));
    }
    if let Some((name, most)) = part.split_once("<=") {
        return number(name).is_some_and(|number| number <= most.parse().expect("a number in the table"));
    }
    match (part.split_once(": "), part.split_once('~')) {
        (Some((name, text)), _) => value(name).as_deref() == Some(text),
        (None, Some((name, text))) => value(name).is_some_and(|value| value.contains(text)),
        (None, None) => value(part).is_some(),
    }
}
