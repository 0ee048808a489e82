//! RFC 9113 and RFC 7541 section by section, in the order of h2spec: what the gateway says to each frame that comes.
//!
//! The rows stand in `conformance/`. Each is played on a connection of its own; a row that leaves the connection alive is
//! followed by a request that has to be answered, and what a row must not let through never reaches the origin.

#[rustfmt::skip] // a row stays a line
mod connection;
#[rustfmt::skip]
mod frames;
#[rustfmt::skip]
mod messages;
#[rustfmt::skip]
mod hpack;
mod preface;
mod windows;

use super::*;

/// What a row sends, on a connection whose SETTINGS are exchanged.
pub type Play = fn(&mut H2);
/// A row: section and name, what is sent, what has to come.
pub type Row = (&'static str, Play, Wanted);

/// What has to come of a row.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// GOAWAY with one of these codes, then the end of the connection (RFC 9113 §5.4.1).
    Connection(&'static [u32]),
    /// RST_STREAM of stream 1 with one of these codes (§5.4.2); the connection lives.
    Stream(&'static [u32]),
    /// Either of the two.
    Either(&'static [u32]),
    /// Stream 1 is answered with 4xx or reset with PROTOCOL_ERROR (§8.1.1), and the origin sees nothing of it.
    Malformed,
    /// The same, or with 501 or 405: what is never served.
    MalformedOrUnserved,
    /// Stream 1 is answered with 200.
    Answered,
    /// The same, and the connection may end behind it.
    AnsweredLast,
    /// The connection lives.
    Alive,
    /// Either an error with one of these codes, or stream 1 is answered: RFC 9113 leaves it open.
    Lenient(&'static [u32]),
    /// What the row itself has seen is all.
    Done,
}

/// The stream on which a row that leaves the connection alive is followed by another request.
const FENCE: u32 = 1_001;

/// A whole GET on stream 1.
pub fn whole() -> Frame {
    Frame::headers(1, fields::request("GET", "/row", &[]), true)
}

/// The head of a POST on stream 1.
pub fn head() -> Frame {
    Frame::headers(1, fields::request("POST", "/row", &[]), false)
}

/// Plays rows one after the other through one gateway and lists everything that is wrong.
pub fn play(rows: &[Row]) {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut wrong = Vec::new();
    for (name, send, wanted) in rows {
        // What a row before this one has let through is its own failure.
        drop(origin.take_requests());
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut client = H2::connect(&gateway);
            client.wire.tcp().set_read_timeout(Some(Duration::from_secs(2))).expect("read timeout");
            send(&mut client);
            judge(&mut client, *wanted, &origin)
        }));
        match played {
            Ok(Ok(())) => {}
            Ok(Err(why)) => wrong.push(format!("{name}: {why}")),
            Err(panicked) => wrong.push(format!("{name}: {}", said(&*panicked))),
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// What a panic said.
pub fn said(panicked: &(dyn std::any::Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().cloned();
    text.or_else(|| panicked.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

fn judge(client: &mut H2, wanted: Wanted, origin: &Serving) -> Result<(), String> {
    let lives = match wanted {
        Wanted::Connection(codes) => error(client, &[], codes)?,
        Wanted::Stream(codes) => error(client, codes, &[])?,
        Wanted::Either(codes) => error(client, codes, codes)?,
        Wanted::Malformed => refused(client, &[])?,
        Wanted::MalformedOrUnserved => refused(client, &[501])?,
        Wanted::Answered => answered(client)?,
        Wanted::AnsweredLast => !answered(client)?,
        Wanted::Lenient(codes) => error(client, codes, codes).or_else(|why| answered(client).map_err(|_| why))?,
        Wanted::Alive => true,
        Wanted::Done => false,
    };
    if lives {
        client.get(FENCE, "/fence");
        let fence = client.message(FENCE);
        if (fence.ending, fence.status()) != (Ending::Whole, 200) {
            return Err(format!("the connection does not live on: {fence:?}"));
        }
    }
    let seen: Vec<String> = origin.take_requests().iter().map(|request| request.brief()).collect();
    if matches!(wanted, Wanted::Malformed | Wanted::MalformedOrUnserved) && seen != ["GET /fence"] {
        return Err(format!("the origin saw {seen:?}"));
    }
    Ok(())
}

/// An error comes with one of these codes; whether the connection lives. An answer of stream 1 in its place is kept.
fn error(client: &mut H2, on_stream: &[u32], on_connection: &[u32]) -> Result<bool, String> {
    let fits = |f: &Frame| match f.kind {
        RST_STREAM => f.stream == 1,
        GOAWAY => f.number() != NO_ERROR,
        _ => f.stream == 1 && f.ends(),
    };
    let frame = client.try_peek(fits).map_err(|end| format!("{end:?} instead of an error; {}", client.kept_brief()))?;
    match frame.kind {
        RST_STREAM if on_stream.contains(&frame.number()) => Ok(true),
        GOAWAY if on_connection.contains(&frame.number()) => {
            client.expect_end();
            Ok(false)
        }
        RST_STREAM => Err(format!("RST_STREAM {} where {on_stream:?} was expected", frame.number())),
        GOAWAY => Err(format!("GOAWAY {} where {on_connection:?} was expected", frame.number())),
        _ => Err("an answer instead of an error".to_owned()),
    }
}

/// Stream 1 is refused with 4xx, one of these statuses, or as malformed; true.
fn refused(client: &mut H2, also: &[u16]) -> Result<bool, String> {
    let answer = client.message(1);
    let refused = match answer.ending {
        Ending::Whole => (400..500).contains(&answer.status()) || also.contains(&answer.status()),
        Ending::Reset(code) => code == PROTOCOL_ERROR,
        Ending::GoAway(_) | Ending::Cut(_) => false,
    };
    if refused { Ok(true) } else { Err(format!("not refused: {answer:?}")) }
}

/// Stream 1 is answered with 200; true.
fn answered(client: &mut H2) -> Result<bool, String> {
    let answer = client.message(1);
    match (answer.ending, answer.status()) {
        (Ending::Whole, 200) => Ok(true),
        _ => Err(format!("not answered: {answer:?}")),
    }
}

/// Each row has a name of its own, and there are no fewer than h2spec has.
#[test]
fn the_tables_are_complete() {
    let tables = [
        connection::STARTING,
        connection::STREAM_STATES,
        connection::STREAM_NUMBERS,
        connection::ERRORS,
        frames::FORMAT,
        frames::DATA_AND_HEADERS,
        frames::CONTROL,
        frames::SETTINGS_AND_WINDOWS,
        messages::REQUESTS,
        messages::MALFORMED,
        hpack::BLOCKS,
    ];
    let mut names: Vec<&str> = tables.iter().flat_map(|rows| rows.iter().map(|(name, ..)| *name)).collect();
    assert!(names.len() >= 146, "{} rows", names.len());
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "each row has a name of its own");
}

/// RFC 9113 §2 to §3: frames of every type are taken.
#[test]
fn section_3_starting() {
    play(connection::STARTING);
}

/// §5.1: what comes on a stream that is idle, half closed or closed.
#[test]
fn section_5_1_states_of_streams() {
    play(connection::STREAM_STATES);
}

/// §5.1.1, §5.3: numbers of streams, and what they depend on.
#[test]
fn section_5_1_numbers_of_streams() {
    play(connection::STREAM_NUMBERS);
}

/// §5.4, §5.5, §7: errors, codes and extensions.
#[test]
fn section_5_4_errors_and_extensions() {
    play(connection::ERRORS);
}

/// §4: the form of frames, their sizes, and field blocks.
#[test]
fn section_4_form_of_frames() {
    play(frames::FORMAT);
}

/// §6.1, §6.2, §6.10: DATA, HEADERS, CONTINUATION.
#[test]
fn section_6_1_data_and_headers() {
    play(frames::DATA_AND_HEADERS);
}

/// §6.3, §6.4, §6.6, §6.7, §6.8: PRIORITY, RST_STREAM, PUSH_PROMISE, PING, GOAWAY.
#[test]
fn section_6_3_control_frames() {
    play(frames::CONTROL);
}

/// §6.5, §6.9: SETTINGS and WINDOW_UPDATE.
#[test]
fn section_6_5_settings_and_windows() {
    play(frames::SETTINGS_AND_WINDOWS);
}

/// §8.1, §8.5: requests of every shape.
#[test]
fn section_8_requests() {
    play(messages::REQUESTS);
}

/// §8.1.1, §8.2, §8.3: requests that are malformed.
#[test]
fn section_8_malformed_requests() {
    play(messages::MALFORMED);
}

/// RFC 7541: field blocks, whole and broken.
#[test]
fn rfc_7541_field_blocks() {
    play(hpack::BLOCKS);
}
