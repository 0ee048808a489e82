//! The retry rule: when a request may be sent once more. One pure function.
//!
//! It must never let a call that may have had an effect happen twice.

use crate::http::Method;

/// How far an attempt had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No byte of the request was taken by the socket.
    NothingSent,
    /// The upstream has said that it did not and will not process it (RFC 9113 §8.7).
    NotProcessed,
    /// Some of the request may have reached the upstream; nothing came back.
    Sent,
    /// Something of a response came.
    ResponseBegun,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The upstream closed or reset the connection.
    Closed,
    /// It kept silent, or sent what is not HTTP: asking again would not help, or cost as much again.
    Other,
}

/// Whether the request may go out again on a fresh connection (RFC 9110 §9.2.2).
///
/// `elsewhere` = the failed connection was a reused one, or there is another address to ask: a fresh connection that the
/// only address has just closed would meet the same end.
pub fn may_send_again(method: Method, progress: Progress, ending: Ending, elsewhere: bool) -> bool {
    match (progress, ending) {
        (_, Ending::Other) | (Progress::ResponseBegun, _) => false,
        (Progress::NotProcessed, Ending::Closed) => true,
        (Progress::NothingSent, Ending::Closed) => elsewhere,
        (Progress::Sent, Ending::Closed) => elsewhere && method.is_idempotent(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_processed_goes_out_again_whatever_it_is_and_wherever_to() {
        for method in [Method::Post, Method::Get, Method::Other] {
            assert!(may_send_again(method, Progress::NotProcessed, Ending::Closed, false));
        }
    }

    #[test]
    fn a_post_goes_out_again_only_if_nothing_was_sent() {
        assert!(may_send_again(Method::Post, Progress::NothingSent, Ending::Closed, true));
        assert!(!may_send_again(Method::Post, Progress::Sent, Ending::Closed, true));
        assert!(!may_send_again(Method::Other, Progress::Sent, Ending::Closed, true));
        assert!(may_send_again(Method::Get, Progress::Sent, Ending::Closed, true));
        assert!(!may_send_again(Method::Get, Progress::Sent, Ending::Other, true));
        assert!(!may_send_again(Method::Get, Progress::ResponseBegun, Ending::Closed, true));
        assert!(!may_send_again(Method::Get, Progress::Sent, Ending::Closed, false));
    }
}
