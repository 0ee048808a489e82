//! Gather: a request body that is part of a cache key, or is inspected, is read before the request goes on.

use super::core::Core;
use super::exchange::Client;
use super::failure::Failure;
use super::upload::CONTINUE;
use crate::base::clock;
use crate::h1::BodyLength;
use crate::net::{Filled, ReadError, Until, Wait};
use crate::stats::Reason;

/// Reads the body, at most `most` bytes. `false` = it is larger: what was read goes up before the rest.
///
/// # Errors
/// The client's failure; more than `allowed` bytes, which the route takes at all, are one.
pub async fn gather(core: &Core, most: u64, allowed: u64, client: &mut Client<'_>) -> Result<bool, Failure> {
    match client.framing.body {
        BodyLength::Length(length) if length > most => Ok(false),
        _ => gather_front(core, most, allowed, client).await,
    }
}

/// Reads the body, or its first `most` bytes and some. `false` = it is larger: what was read goes up before the rest.
///
/// # Errors
/// As of [`gather`].
pub async fn gather_front(core: &Core, most: u64, allowed: u64, client: &mut Client<'_>) -> Result<bool, Failure> {
    let Some(body) = &mut client.body else { return Ok(true) };
    let held = &client.progress.held;
    if let BodyLength::Length(length) = client.framing.body {
        held.reach(core, length)?;
    }
    // Its own sending is an answer to the expectation (RFC 9110 §10.1.1): the body is wanted here, whatever is stored.
    if client.framing.expect_continue && body.input.is_empty() && !client.stream.try_send(CONTINUE) {
        return Err(Reason::ClientReset.into());
    }
    while !body.decoder.is_done() {
        if body.input.is_empty() {
            let deadline_ms = clock::now_ms() + client.body_ms;
            let wait = Wait { timer: client.timer, deadline_ms, until: Until::Deadline };
            match body.input.fill(client.stream, &core.buffers, wait).await {
                Ok(Filled::Bytes) => {}
                Ok(Filled::End) => return Err(Reason::ClientTruncated.into()),
                Err(ReadError::Expired) => return Err(Reason::BodyTimeout.into()),
                Err(_) => return Err(Reason::ClientReset.into()),
            }
        }
        let decoded = body.decoder.decode(body.input.unread_mut()).map_err(Failure::from)?;
        body.read.extend_from_slice(body.input.unread().get(..decoded.payload).unwrap_or_default());
        body.input.consume(decoded.consumed);
        held.reach(core, body.read.len() as u64)?;
        if body.read.len() as u64 > allowed {
            return Err(Reason::BodyTooLarge.into());
        }
        if body.read.len() as u64 > most {
            return Ok(false);
        }
    }
    client.framing.body = BodyLength::Length(body.read.len() as u64);
    client.framing.expect_continue = false;
    client.progress.body_bytes.set(body.read.len() as u64);
    client.progress.body_read.set(true);
    Ok(true)
}
