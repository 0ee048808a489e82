//! What one peer may do to a connection, and how often: every defence against floods stands in this file.
//!
//! A budget is a bucket: it holds what may come at once, and fills up again with time. Who overdraws one is no client
//! that is worth serving: the connection ends with ENHANCE_YOUR_CALM. Numbers are far above what browsers, SDKs and
//! gRPC do, and far below what makes neighbours wait. Keeps no streams and writes no frames.

use super::frame::ErrorCode;
use crate::stats::Reason;

/// What is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// RST_STREAM of a client in front of the answer. Rapid reset (CVE-2023-44487): each open and reset costs an exchange begun for nothing.
    /// A page that is left cancels some hundred requests at once, and not again in the next second.
    Reset,
    /// A stream that the peer made us reset. MadeYouReset (CVE-2025-8671): the same, by breaking a rule of the stream.
    OwnReset,
    /// A head larger than one may be: it is decoded all the same, and answered.
    Head,
    /// A frame that carries nothing: DATA or HEADERS of no bytes, types that nobody knows (CVE-2019-9518).
    Empty,
    /// SETTINGS and their acknowledgements: each is answered, and may resize windows and tables (CVE-2019-9515).
    Settings,
    /// PING: each is answered (CVE-2019-9512). Who measures bandwidth sends one per round trip as long as DATA comes (gRPC
    /// does): each frame of DATA that went out earns one.
    Ping,
    /// PRIORITY and PRIORITY_UPDATE: read and forgotten (CVE-2019-9513). RST_STREAM behind the beginning of an answer, too:
    /// what was done for the stream was not done for nothing.
    Priority,
    /// WINDOW_UPDATE. Each frame of DATA that went out earns some: clients answer each with two.
    Window,
}

/// A bucket: bytes of state, no clock.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    filled_ms: u64,
}

/// Most and refill per second of each item, in the order of [`Item`].
const TERMS: [(u32, u32); ITEMS] =
    [(200, 50), (150, 10), (50, 5), (200, 20), (100, 10), (1_000, 500), (1_000, 200), (2_000, 1_000)];
const ITEMS: usize = 8;
/// What one frame of DATA earns.
const EARNINGS: [(Item, u32); 2] = [(Item::Window, 4), (Item::Ping, 1)];
/// A stream that is given up, or made to be, in what came together with its request counts as so many: its peer cannot
/// have changed its mind. Clients that cancel at once are there, but not by the dozen.
pub const HASTE: u32 = 2;
/// Frames of one field block. CONTINUATION flood (2024): blocks without an end. A head fits four full frames.
pub const BLOCK_FRAMES_MAX: usize = 16;

/// Why a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub code: ErrorCode,
    pub reason: Reason,
    /// What happened, as one name.
    pub detail: &'static str,
}

impl End {
    /// The peer broke a rule of the protocol.
    pub const fn broken(code: ErrorCode, detail: &'static str) -> Self {
        Self { code, reason: Reason::Http2Protocol, detail }
    }

    /// The peer overdrew a budget.
    pub const fn calm(reason: Reason, detail: &'static str) -> Self {
        Self { code: ErrorCode::EnhanceYourCalm, reason, detail }
    }
}

/// The budgets of one connection. About 120 bytes.
#[derive(Debug)]
pub struct Budget {
    buckets: [Bucket; ITEMS],
}

impl Budget {
    /// All buckets are full.
    pub fn new(now_ms: u64) -> Self {
        Self { buckets: TERMS.map(|(most, _)| Bucket { left: most, filled_ms: now_ms }) }
    }

    /// Pays for one.
    ///
    /// # Errors
    /// The bucket is empty.
    pub fn spend(&mut self, item: Item, now_ms: u64) -> Result<(), End> {
        self.charge(item, 1, now_ms)
    }

    /// Pays for one that counts as `cost`.
    ///
    /// # Errors
    /// There is not so much in the bucket.
    pub fn charge(&mut self, item: Item, cost: u32, now_ms: u64) -> Result<(), End> {
        let index = item as usize;
        let (Some(bucket), Some((most, refill))) = (self.buckets.get_mut(index), TERMS.get(index)) else {
            return Ok(());
        };
        if bucket.left < cost {
            let gained = now_ms.saturating_sub(bucket.filled_ms).saturating_mul(u64::from(*refill)) / 1_000;
            bucket.left = u32::try_from(gained).unwrap_or(u32::MAX).saturating_add(bucket.left).min(*most);
            bucket.filled_ms = now_ms;
        }
        bucket.left = bucket.left.checked_sub(cost).ok_or(overdrawn(item))?;
        Ok(())
    }

    /// A frame of DATA went out.
    #[inline]
    pub fn earn(&mut self) {
        for (item, earnings) in EARNINGS {
            if let (Some(bucket), Some((most, _))) = (self.buckets.get_mut(item as usize), TERMS.get(item as usize)) {
                bucket.left = (bucket.left + earnings).min(*most);
            }
        }
    }
}

fn overdrawn(item: Item) -> End {
    match item {
        Item::Reset => End::calm(Reason::Http2RapidReset, "streams_reset"),
        Item::OwnReset => End::calm(Reason::Http2MadeYouReset, "streams_made_reset"),
        Item::Head => End::calm(Reason::Http2Headers, "heads_too_large"),
        Item::Empty => End::calm(Reason::Http2Empty, "empty_frames"),
        Item::Settings => End::calm(Reason::Http2Settings, "settings"),
        Item::Ping => End::calm(Reason::Http2Ping, "pings"),
        Item::Priority => End::calm(Reason::Http2Priority, "priorities"),
        Item::Window => End::calm(Reason::Http2Window, "window_updates"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_spent_and_fills_again_with_time() {
        let mut budget = Budget::new(1_000);
        for _ in 0..200 {
            budget.spend(Item::Reset, 1_000).expect("as many at once");
        }
        let end = budget.spend(Item::Reset, 1_000).expect_err("and no more");
        assert_eq!((end.code, end.reason), (ErrorCode::EnhanceYourCalm, Reason::Http2RapidReset));
        assert!(budget.spend(Item::Reset, 1_019).is_err());
        budget.spend(Item::Reset, 1_039).expect("one in 20 ms");
        assert!(budget.spend(Item::Reset, 1_040).is_err());
        budget.spend(Item::Ping, 1_000).expect("each has its own");
        for _ in 0..200 {
            budget.spend(Item::Reset, 60_000).expect("full again");
        }
        assert!(budget.spend(Item::Reset, 60_000).is_err(), "and not more than full");
    }

    #[test]
    fn data_that_went_out_earns_window_updates_and_pings() {
        let mut budget = Budget::new(0);
        for _ in 0..2_000 {
            budget.spend(Item::Window, 0).expect("the beginning");
        }
        assert!(budget.spend(Item::Window, 0).is_err());
        budget.earn();
        for _ in 0..4 {
            budget.spend(Item::Window, 0).expect("earned");
        }
        assert!(budget.spend(Item::Window, 0).is_err());
        for _ in 0..3_000 {
            budget.earn();
            budget.spend(Item::Ping, 0).expect("one for each");
        }
    }
}
