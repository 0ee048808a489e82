//! Properties of a whole connection that hold for all bytes and all owners, as functions that fuzzers and the bounded
//! smoke on stable both call.
//!
//! [`connection`] reads its bytes as a program: what a peer sends, right or wrong, and what an owner does meanwhile.
//! [`pair`] reads them as the course of exchanges between a client and a server of ours, both honest. Each panics where
//! a property breaks. Not part of the public surface.

mod message;
mod outgoing;
mod pair;
mod program;
mod single;
mod wire;

pub use pair::pair;

use crate::h2::connection::Role;

/// Runs a program against a server or a client; however its bytes are cut, the same comes out.
pub fn connection(data: &[u8]) {
    let data = data.get(..2_048).unwrap_or(data);
    let Some((choice, program)) = data.split_first() else { return };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client { scheme: b"https" } };
    let whole = single::run(role, single::Cuts::None, program);
    assert_eq!(single::run(role, single::Cuts::EachByte, program), whole, "byte by byte");
    let pieces = single::Cuts::Pieces(usize::from(choice >> 1).max(2));
    assert_eq!(single::run(role, pieces, program), whole, "in pieces");
}
