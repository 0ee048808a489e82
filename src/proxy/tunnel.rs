//! A tunnel: bytes both ways after `101`, until both sides have ended, or one has and the other dawdles.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::core::Core;
use super::transfer::{Sink, Source, Traffic, TransferError, transfer};
use crate::base::clock;
use crate::bounds;
use crate::h1::{BodyDecoder, BodyEncoder, BodyLength};
use crate::net::{Input, ReadError, Stream, Timer, Until, Wait};

/// One end of a tunnel.
pub struct Side<'a> {
    pub stream: &'a Stream,
    /// What came before the tunnel was there.
    pub input: &'a mut Input,
    /// For the direction that reads from this side.
    pub timer: &'a Timer,
}

/// One direction.
struct Way<'a> {
    core: &'a Core,
    from: Side<'a>,
    to: &'a Stream,
    send_ms: u64,
    traffic: Traffic<'a>,
}

/// Copies both ways; `pending` goes to the near side first. Returns the bytes that went up and down.
pub async fn tunnel(core: &Core, near: Side<'_>, far: Side<'_>, pending: &mut Vec<u8>, send_ms: u64) -> (u64, u64) {
    let last_ms = Cell::new(clock::now_ms());
    let (up_bytes, down_bytes) = (Cell::new(0), Cell::new(0));
    let mut nothing = core.buffers.small();
    let patience = core.deadlines.timer();
    {
        let (near_stream, far_stream) = (near.stream, far.stream);
        let traffic = |bytes| Traffic { last_ms: &last_ms, bytes };
        let up = Way { core, from: near, to: far_stream, send_ms, traffic: traffic(&up_bytes) };
        let down = Way { core, from: far, to: near_stream, send_ms, traffic: traffic(&down_bytes) };
        let (mut up, mut down) = (pin!(up.copy(&mut nothing)), pin!(down.copy(pending)));
        let first = std::future::poll_fn(|context| match up.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready((true, ended)),
            Poll::Pending => down.as_mut().poll(context).map(|ended| (false, ended)),
        });
        let rest = Rest { timer: &patience, send_ms, last_ms: &last_ms };
        match first.await {
            (_, Ended::Broken) => {}
            (true, Ended::Properly) => rest.of(down).await,
            (false, Ended::Properly) => rest.of(up).await,
        }
    }
    core.buffers.give(nothing);
    (up_bytes.get(), down_bytes.get())
}

/// What the other side is given when one has ended: it may say what it still has to say, but a peer that ignores the end
/// does not hold two connections for ever.
struct Rest<'a> {
    timer: &'a Timer,
    send_ms: u64,
    last_ms: &'a Cell<u64>,
}

impl Rest<'_> {
    async fn of(self, mut way: Pin<&mut impl Future<Output = Ended>>) {
        loop {
            let since_ms = clock::now_ms();
            let wait = Wait { timer: self.timer, deadline_ms: since_ms + self.send_ms, until: Until::Deadline };
            if wait.bound(way.as_mut()).await.is_ok() || self.last_ms.get() < since_ms {
                return;
            }
        }
    }
}

/// How a direction ended.
enum Ended {
    Properly,
    /// The connection broke or was silent for too long: the other direction is of no use either.
    Broken,
}

impl Way<'_> {
    /// Copies raw bytes until the source ends, then ends the sink.
    async fn copy(self, pending: &mut Vec<u8>) -> Ended {
        let Self { core, from, to, send_ms, traffic } = self;
        let mut decoder = BodyDecoder::new(BodyLength::UntilClose);
        let mut source = Source {
            stream: from.stream,
            input: from.input,
            decoder: &mut decoder,
            timer: from.timer,
            timeout_ms: bounds::TUNNEL_IDLE_MS,
            until: Until::Deadline,
            allowance: u64::MAX,
            edits: None,
        };
        let mut sink = Sink {
            stream: to,
            pending,
            encoder: BodyEncoder::UntilClose,
            timer: from.timer,
            timeout_ms: send_ms,
            sent: 0,
            touched: false,
            last: false,
            traffic: Some(traffic),
        };
        loop {
            match transfer(&mut source, &mut sink, &core.buffers).await {
                // Silent here, but alive the other way.
                Err(TransferError::Source(ReadError::Expired))
                    if !from.timer.is_over() && clock::now_ms() < traffic.last_ms.get() + bounds::TUNNEL_IDLE_MS => {}
                Ok(()) => {
                    to.shutdown();
                    return Ended::Properly;
                }
                Err(_) => return Ended::Broken,
            }
        }
    }
}
