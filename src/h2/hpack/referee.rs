//! Our decoder and encoder against an independent implementation, on random dialogues. A test module: it owns no
//! behaviour.

use proptest::prelude::*;
use proptest::sample::select;

use super::{DecodeError, Decoder, Encoder, fuzz, huffman, integer};
use crate::http::FieldId;

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

const NAMES: [&str; 18] = [
    "content-type",
    "date",
    "server",
    "set-cookie",
    "content-length",
    "accept-encoding",
    "authorization",
    "cache-status",
    "x-request-id",
    "x-forwarded-for",
    "access-control-allow-origin",
    "x-team-key",
    "Via",
    "X-Mixed-Case",
    ":authority",
    ":path",
    ":method",
    ":scheme",
];
const VALUES: [&str; 9] =
    ["", "1", "text/html", "gzip, deflate", "GET", "/", "https", "/v1/messages", "Mon, 23 Nov 2026 10:00:00 GMT"];

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(&VALUES[..]).prop_map(|value| value.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..60),
        1 => (0..6_000_usize).prop_map(|bytes| vec![b'v'; bytes]),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec()),
        1 => "[a-z-]{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

/// A step of a dialogue that our encoder writes.
#[derive(Clone, Debug)]
enum Step {
    TableBytesMax(usize),
    Status(u16),
    Line(Vec<u8>, Vec<u8>),
    Block,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => select(&[0, 40, 200, 1_000, 4_096, 1 << 20][..]).prop_map(Step::TableBytesMax),
        1 => (100..600_u16).prop_map(Step::Status),
        12 => (name(), text()).prop_map(|(name, value)| Step::Line(name, value)),
        3 => Just(Step::Block),
    ]
}

/// Writes one line the way a caller does; gives it as it must come back.
fn write(encoder: &mut Encoder, out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let pseudo = [&b":authority"[..], b":path", b":method", b":scheme"];
    match pseudo.into_iter().find(|known| *known == name) {
        Some(known) => encoder.pseudo(out, known, value),
        None => encoder.field(out, FieldId::of(name), name, value),
    }
    (name.to_ascii_lowercase(), value.to_vec())
}

fn ours(decoder: &mut Decoder, block: &[u8]) -> (Result<(), DecodeError>, Lines) {
    let mut lines = Lines::new();
    let verdict = decoder.decode(block, |line| {
        assert_eq!(line.id, FieldId::of(line.name));
        lines.push((line.name.to_vec(), line.value.to_vec()));
    });
    decoder.validate();
    (verdict, lines)
}

/// A line or a change of size in one of all its forms.
#[derive(Clone, Debug)]
enum Form {
    Indexed(usize),
    /// Pattern and prefix bits, index of the name or the name, value; whether these are in Huffman code.
    Literal((u8, u32), Result<usize, Vec<u8>>, Vec<u8>, [bool; 2]),
    SizeUpdate(usize),
    Raw(Vec<u8>),
}

fn form() -> impl Strategy<Value = Form> {
    let kind = select(&[(0x00, 4), (0x10, 4), (0x40, 6), (0x40, 6), (0x40, 6)][..]);
    let index = prop_oneof![8 => 1..=63_usize, 1 => 60..80_usize, 1 => Just(0)];
    let named = prop_oneof![(1..=64_usize).prop_map(Ok), name().prop_map(Err)];
    prop_oneof![
        40 => index.prop_map(Form::Indexed),
        60 => (kind, named, text(), any::<[bool; 2]>()).prop_map(|(k, n, v, h)| Form::Literal(k, n, v, h)),
        2 => (0..5_000_usize).prop_map(Form::SizeUpdate),
        1 => prop::collection::vec(any::<u8>(), 0..8).prop_map(Form::Raw),
    ]
}

fn write_text(out: &mut Vec<u8>, text: &[u8], in_code: bool) {
    let mut code = Vec::new();
    if in_code {
        huffman::encode(text, &mut code);
    }
    let (pattern, text) = if in_code { (0x80, &code[..]) } else { (0, text) };
    integer::write(out, pattern, 7, text.len());
    out.extend_from_slice(text);
}

fn write_form(out: &mut Vec<u8>, form: &Form) {
    match form {
        Form::Indexed(index) => integer::write(out, 0x80, 7, *index),
        Form::SizeUpdate(bytes) => integer::write(out, 0x20, 5, *bytes),
        Form::Raw(bytes) => out.extend_from_slice(bytes),
        Form::Literal((pattern, prefix_bits), name, value, in_code) => {
            integer::write(out, *pattern, *prefix_bits, name.clone().unwrap_or(0));
            if let Err(name) = name {
                write_text(out, name, in_code[0]);
            }
            write_text(out, value, in_code[1]);
        }
    }
}

/// Blocks that begin with changes of size now and then.
fn blocks() -> impl Strategy<Value = Vec<Vec<Form>>> {
    let sizes = prop::collection::vec((0..4_097_usize).prop_map(Form::SizeUpdate), 0..3);
    let sizes = prop_oneof![3 => Just(Vec::new()), 1 => sizes];
    let block = (sizes, prop::collection::vec(form(), 1..8)).prop_map(|(sizes, lines)| [sizes, lines].concat());
    prop::collection::vec(block, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What we write, the referee and we read alike, over many blocks and changes of the table's size.
    #[test]
    fn what_we_write_is_read_by_both(steps in prop::collection::vec(step(), 1..60)) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4_096));
        let mut referee = fluke_hpack::Decoder::new();
        referee.set_max_allowed_table_size(4_096);
        let (mut out, mut lines) = (Vec::new(), Lines::new());
        let mut begun = false;
        for step in steps.iter().chain([&Step::Status(200), &Step::Block]) {
            if !begun && matches!(step, Step::Status(_) | Step::Line(..)) {
                encoder.begin(&mut out);
                begun = true;
            }
            match step {
                // A setting comes between blocks.
                Step::TableBytesMax(bytes) if !begun => encoder.set_table_bytes_max(*bytes),
                Step::TableBytesMax(_) => {}
                Step::Status(status) => {
                    encoder.status(&mut out, *status);
                    lines.push((b":status".to_vec(), status.to_string().into_bytes()));
                }
                Step::Line(name, value) => lines.push(write(&mut encoder, &mut out, name, value)),
                Step::Block => {
                    encoder.validate();
                    prop_assert_eq!(ours(&mut decoder, &out), (Ok(()), lines.clone()));
                    prop_assert_eq!(referee.decode(&out).expect("the referee reads it"), std::mem::take(&mut lines));
                    out.clear();
                    begun = false;
                }
            }
        }
    }

    /// What the referee writes, we read.
    #[test]
    fn what_the_referee_writes_is_read(
        blocks in prop::collection::vec(prop::collection::vec((name(), text()), 0..10), 1..8)
    ) {
        let (mut encoder, mut decoder) = (fluke_hpack::Encoder::new(), Decoder::new(4_096));
        for lines in blocks {
            let block = encoder.encode(lines.iter().map(|(name, value)| (&name[..], &value[..])));
            prop_assert_eq!(ours(&mut decoder, &block), (Ok(()), lines));
        }
    }

    /// Lines in all their forms, right and wrong: both read the same, and what we refuse the referee refuses.
    #[test]
    fn all_forms_are_judged_alike(blocks in blocks()) {
        let (mut decoder, mut referee) = (Decoder::new(4_096), fluke_hpack::Decoder::new());
        referee.set_max_allowed_table_size(4_096);
        for forms in blocks {
            let mut block = Vec::new();
            forms.iter().for_each(|form| write_form(&mut block, form));
            let (verdict, lines) = ours(&mut decoder, &block);
            match verdict {
                Ok(()) => match referee.decode(&block) {
                    Ok(theirs) => prop_assert_eq!(lines, theirs),
                    // A block may consist of nothing else for us; the referee wants a line behind it.
                    Err(fluke_hpack::decoder::DecoderError::SizeUpdateAtEnd) => {}
                    Err(error) => prop_assert!(false, "refused by the referee alone: {error:?}"),
                },
                Err(DecodeError::Index | DecodeError::Huffman) => prop_assert!(referee.decode(&block).is_err()),
                // The referee takes a change of size anywhere, knows no bombs, and gives up on wrong integers by a panic.
                Err(_) => {}
            }
            if verdict.is_err() {
                break;
            }
        }
    }

    /// Arbitrary bytes never make a panic, and the tables keep their bounds.
    #[test]
    fn arbitrary_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::fuzz(&bytes);
    }

    /// Nor do programs of the grammar.
    #[test]
    fn arbitrary_programs_are_harmless(choice in any::<u8>(), blocks in blocks()) {
        let mut program = vec![choice];
        for forms in blocks {
            let mut block = Vec::new();
            forms.iter().for_each(|form| write_form(&mut block, form));
            block.truncate(255);
            program.push(block.len() as u8);
            program.extend(block);
        }
        fuzz::fuzz(&program);
    }
}
