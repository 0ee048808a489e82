//! Malformed and tricky requests (RFC 9112): each gets its answer, and the origin sees what a strict reader sees.
//!
//! The table stands in `malformed/table.rs`; rows that are long are made here.

#[rustfmt::skip] // a row stays a line
mod table;

use std::time::Duration;

use super::harness::referee::{self, Ending};
use super::harness::*;
use table::Row;

/// A row with its bytes made.
struct Case {
    name: String,
    bytes: Vec<u8>,
    answers: &'static str,
    origin: Vec<String>,
}

impl Case {
    fn of((name, bytes, answers, origin): &Row, group: &str) -> Self {
        let bytes = if group == "chunks" { [table::CHUNKED_HEAD, bytes].concat() } else { bytes.to_vec() };
        Self::made(format!("{group}: {name}"), bytes, answers, origin)
    }

    fn made(name: impl Into<String>, bytes: impl Into<Vec<u8>>, answers: &'static str, origin: &[&str]) -> Self {
        let origin = origin.iter().map(|&o| o.to_owned()).collect();
        Self { name: name.into(), bytes: bytes.into(), answers, origin }
    }
}

/// Every row, the long ones included.
fn cases() -> Vec<Case> {
    let groups: [(&str, &[Row]); 10] = [
        ("request line", table::REQUEST_LINE),
        ("versions", table::VERSIONS),
        ("lines", table::LINES),
        ("fields", table::FIELDS),
        ("host", table::HOST),
        ("length", table::LENGTH),
        ("coding", table::CODING),
        ("chunks", table::CHUNKS),
        ("pipelines", table::PIPELINES),
        ("refused alone", table::REFUSED_ALONE),
    ];
    let rows = groups.iter().flat_map(|(group, rows)| rows.iter().map(move |row| Case::of(row, group)));
    rows.chain(long_cases()).collect()
}

/// Rows whose bytes are many.
fn long_cases() -> Vec<Case> {
    let head = |fields: &str| format!("GET /a HTTP/1.1\r\nHost: t\r\n{fields}\r\n");
    let many = |count: usize, value: usize| -> String {
        (0..count).map(|i| format!("X-{i}: {}\r\n", "v".repeat(value))).collect()
    };
    let chunked = |rest: String| [table::CHUNKED_HEAD, rest.as_bytes()].concat();
    let (long, longer) = ("a".repeat(7_000), "a".repeat(9_000));
    let seen_long: &str = Box::leak(format!("GET /{long}").into_boxed_str());
    vec![
        Case::made(
            "long: target below the limit",
            format!("GET /{long} HTTP/1.1\r\nHost: t\r\n\r\n"),
            "200",
            &[seen_long],
        ),
        Case::made("long: target", format!("GET /{longer} HTTP/1.1\r\nHost: t\r\n\r\n"), "414", &[]),
        Case::made("long: target without an end", format!("GET /{longer}"), "414", &[]),
        Case::made("long: method", format!("{longer} /a HTTP/1.1\r\nHost: t\r\n\r\n"), "400|414|431|501", &[]),
        Case::made("long: field below the limit", head(&format!("X: {longer}\r\n")), "200", &["GET /a"]),
        Case::made("long: field", head(&format!("X: {longer}{longer}\r\n")), "431", &[]),
        Case::made("long: field without an end", format!("GET /a HTTP/1.1\r\nX: {longer}{longer}"), "431", &[]),
        Case::made("long: field name", head(&format!("{longer}{longer}: x\r\n")), "431", &[]),
        Case::made("long: as many fields as allowed", head(&many(99, 1)), "200", &["GET /a"]),
        Case::made("long: one field too many", head(&many(100, 1)), "431", &[]),
        Case::made("long: many fields", head(&many(1_000, 1)), "431", &[]),
        Case::made("long: fields that are too much together", head(&many(90, 200)), "431", &[]),
        Case::made("long: chunk extension", chunked(format!("2;{}\r\nhi\r\n0\r\n\r\n", "x".repeat(400))), "400", &[]),
        Case::made("long: chunk extension without an end", chunked(format!("2;{longer}")), "400", &[]),
        Case::made(
            "long: chunk size of zeros",
            chunked(format!("{}2\r\nhi\r\n0\r\n\r\n", "0".repeat(300))),
            "400",
            &[],
        ),
        Case::made("long: trailer", chunked(format!("0\r\nX: {longer}\r\n\r\n")), "400|431", &[]),
        Case::made(
            "long: many chunks beyond the limit",
            chunked("1000\r\n".to_owned() + &"x".repeat(4_096) + "\r\n")
                .into_iter()
                .chain(format!("1000\r\n{}\r\n", "y".repeat(4_096)).repeat(16).into_bytes())
                .collect::<Vec<_>>(),
            "413",
            &[],
        ),
    ]
}

/// How the bytes of a row are cut into writes.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    Whole,
    Bytes,
}

fn send(client: &mut Connection, bytes: &[u8], cut: Cut) {
    let piece = match cut {
        Cut::Whole => bytes.len(),
        Cut::Bytes if bytes.len() < 600 => 1,
        Cut::Bytes => 997,
    };
    for piece in bytes.chunks(piece.max(1)) {
        // A gateway that has refused may close before all is written: the answer decides, not the write.
        if client.try_send(piece).is_err() {
            return;
        }
    }
}

/// The next final answer.
fn answer(client: &mut Connection) -> Result<Response, End> {
    loop {
        let response = Response::of(client.try_head()?);
        let response = client.finish_response(response, false);
        if response.status >= 200 {
            return Ok(response);
        }
    }
}

/// Plays one case; the error says what was not as it should be.
fn play(gateway: &Gateway, case: &Case, cut: Cut) -> Result<usize, String> {
    let mut client = gateway.client();
    client.tcp().set_read_timeout(Some(Duration::from_secs(2))).expect("read timeout");
    send(&mut client, &case.bytes, cut);
    let mut passed = 0;
    let mut last = None;
    for wanted in case.answers.split(' ') {
        let response = answer(&mut client).map_err(|end| format!("{end:?} where {wanted} was expected"))?;
        let status = response.status.to_string();
        if !wanted.split('|').any(|w| w == status) {
            return Err(format!("{status} where {wanted} was expected: {}", response.text()));
        }
        passed += usize::from(response.status == 200);
        last = Some(response);
    }
    let last = last.ok_or("a row names at least one answer")?;
    if last.status >= 400 {
        last.assert_failure(last.status);
        if !last.says_close() {
            return Err(format!("{} without connection: close", last.status));
        }
    }
    if last.says_close() {
        match client.rest() {
            (bytes, End::Closed) if bytes.is_empty() => {}
            (bytes, end) => {
                return Err(format!("{end:?} with {:?} after the last answer", String::from_utf8_lossy(&bytes)));
            }
        }
    }
    Ok(passed)
}

/// Plays all cases through one gateway and lists everything that is wrong.
fn play_all(cases: &[Case], cut: Cut) {
    let origin = Origin::new().serve(|_| ok("ok"));
    let gateway = Config::to(&origin).limits("body = \"64KiB\"").listener("body_timeout = \"400ms\"").start();
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let played = play(&gateway, case, cut);
        let seen = seen_until_fence(&gateway, &origin, number);
        match played {
            Err(why) => wrong.push(format!("{}: {why}; the origin saw {seen:?}", case.name)),
            // Where a row allows a pass or a refusal, the origin saw as many requests as were passed.
            Ok(passed) if seen != case.origin[..passed.min(case.origin.len())] => {
                wrong.push(format!("{}: the origin saw {seen:?}, not {:?}", case.name, case.origin));
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What the origin saw up to now: a request on a connection of its own marks the border.
fn seen_until_fence(gateway: &Gateway, origin: &Serving, number: usize) -> Vec<String> {
    let fence = format!("/fence/{number}");
    assert_eq!(gateway.get(&fence).status, 200, "the gateway serves on");
    let mut seen: Vec<String> = origin.take_requests().iter().map(|request| request.brief()).collect();
    assert_eq!(seen.pop(), Some(format!("GET {fence}")));
    seen
}

/// Whether the gateway lets the origin see a request that the referee has found.
fn passes(brief: &&String) -> bool {
    !brief.contains(referee::REFUSED_ALONE)
}

/// The table itself is right: an independent strict reader finds the same requests, and refuses where it says so.
#[test]
fn the_table_is_right() {
    let cases = cases();
    assert!(cases.len() >= 150, "{} rows", cases.len());
    for case in &cases {
        let reading = referee::read(&case.bytes);
        let refused = case.answers.rsplit(' ').next().is_some_and(|last| !last.contains("200"));
        if !case.answers.contains("200|") {
            let passed: Vec<&String> = reading.requests.iter().filter(passes).collect();
            assert_eq!(passed, case.origin.iter().collect::<Vec<_>>(), "{}", case.name);
            assert_eq!(reading.ending == Ending::Refused, refused, "{}: {reading:?}", case.name);
        }
        assert!(!case.origin.iter().any(|o| o.starts_with("GET /smuggled")), "{}", case.name);
    }
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "each row has a name of its own");
}

/// Every row gets its answer, and the origin sees exactly the requests that a strict reader sees.
#[test]
fn each_row_gets_its_answer() {
    play_all(&cases(), Cut::Whole);
}

/// The verdict does not depend on where the bytes are cut.
#[test]
fn cutting_the_bytes_changes_nothing() {
    let cases = cases();
    let (one, two) = cases.split_at(cases.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| play_all(one, Cut::Bytes));
        scope.spawn(|| play_all(two, Cut::Bytes));
    });
}

/// A row with a few bytes changed, or two rows in one.
fn mutate(chance: &mut Chance, cases: &[Case]) -> Vec<u8> {
    let mut bytes = cases[chance.below(cases.len())].bytes.clone();
    if chance.below(3) == 0 {
        bytes.extend_from_slice(&cases[chance.below(cases.len())].bytes);
    }
    chance.change(&mut bytes, b"\r\n \t:;,0a5\0\x7f\xff/\"");
    bytes
}

/// Whatever bytes come, the origin sees the requests of a strict reader and no others.
#[test]
fn mutated_rows_agree_with_the_referee() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.bytes.len() < 600).collect();
    let origin = Origin::new().serve(|_| ok("ok"));
    let gateway = Config::to(&origin).limits("body = \"64KiB\"").start();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for number in 0..1_000 {
        let bytes = mutate(&mut chance, &cases);
        let reading = referee::read(&bytes);
        let mut client = gateway.client();
        client.tcp().set_read_timeout(Some(Duration::from_secs(1))).expect("read timeout");
        send(&mut client, &bytes, Cut::Whole);
        let answers = reading.requests.iter().map_while(|_| answer(&mut client).ok()).map(|r| r.status);
        let answers: Vec<u16> = answers.collect();
        let wanted: Vec<String> = reading.requests.iter().filter(passes).cloned().collect();
        let seen = seen_until_fence(&gateway, &origin, number);
        let shown = String::from_utf8_lossy(&bytes);
        assert_eq!(
            seen, wanted,
            "case {number}, answers {answers:?}, the referee says {:?}: {shown:?}",
            reading.ending
        );
        drop(client);
    }
}
