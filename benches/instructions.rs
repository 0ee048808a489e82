//! Work to be counted in instructions instead of time: what a noisy machine cannot blur.
//!
//! Goal: with `NAME ROUNDS` as arguments, runs one piece of work that often and nothing else, so that the difference of
//! two callgrind runs is the work alone; `benches/load/instructions.py` does that. Without them it lists the names.
//!
//! Non-goal: caches and branches; instructions are not time.

use std::hint::black_box;

use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::RequestHead;

mod heads;
mod tables;

fn main() {
    // Cargo passes `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [name, rounds] = arguments.as_slice() else { return names().iter().for_each(|name| println!("{name}")) };
    let rounds = rounds.parse().expect("ROUNDS is a number");
    let (kind, rest) = name.split_once('/').expect("NAME is one of the list");
    match kind {
        "ringway" => parse(text(rest), rounds),
        "httparse" => parse_theirs(text(rest), rounds),
        _ => find(kind.parse().expect("the number of routes"), rest, rounds),
    }
}

fn names() -> Vec<String> {
    let heads = heads::REQUESTS.iter().flat_map(|(name, _)| [format!("ringway/{name}"), format!("httparse/{name}")]);
    let tables = tables::SIZES.iter().flat_map(|size| tables::QUESTIONS.map(|(name, ..)| format!("{size}/{name}")));
    heads.chain(tables).collect()
}

fn text(name: &str) -> &'static [u8] {
    heads::REQUESTS.iter().find(|(known, _)| *known == name).expect("a head of that name").1.as_bytes()
}

fn parse(text: &[u8], rounds: usize) {
    let (limits, mut head) = (HeadLimits::default(), RequestHead::default());
    for _ in 0..rounds {
        assert!(RequestParser::default().parse(black_box(text), &limits, &mut head).is_ok());
        black_box(&head);
    }
}

fn parse_theirs(text: &[u8], rounds: usize) {
    for _ in 0..rounds {
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut slots);
        assert!(request.parse(black_box(text)).is_ok());
        black_box(&request);
    }
}

fn find(size: usize, name: &str, rounds: usize) {
    let (_, asked, path) = tables::QUESTIONS.into_iter().find(|(known, ..)| *known == name).expect("a question");
    let (router, head) = (tables::table(asked, size), tables::head());
    black_box(tables::filler(0));
    for _ in 0..rounds {
        let found = router.find(black_box(tables::HOST.as_bytes()), black_box(path.as_bytes()), &head);
        black_box(found.is_some());
    }
}
