//! Failure → response, counter and log: one table for everything that can go wrong in an exchange.
//!
//! A failure is a [`Reason`]; what the client is told follows from it here and nowhere else.

use crate::h1::Reject;
use crate::stats::Reason;
use crate::upstream::client::UpstreamError;

/// What went wrong, and the detail for the client where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// Name of the rule that the request broke.
    pub detail: Option<&'static str>,
}

/// What the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code; 499 is never sent, it is for the log of an exchange whose client has left.
    pub status: u16,
    /// The `type` in the JSON body: coarse, in the words LLM clients know.
    pub kind: &'static str,
    pub message: &'static str,
}

impl Failure {
    /// Whether nobody is there to be answered, or nobody is to be.
    pub fn is_silent(self) -> bool {
        matches!(self.answer().status, CLIENT_CLOSED_REQUEST | NO_RESPONSE)
    }

    /// The row of the table.
    pub fn answer(self) -> Answer {
        answer(self.reason)
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None }
    }
}

/// nginx's code for "the client has closed the request": only ever logged.
pub const CLIENT_CLOSED_REQUEST: u16 = 499;
/// nginx's code for "the connection is closed without an answer": only ever logged.
pub const NO_RESPONSE: u16 = 444;

const INVALID: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";
const OVERLOADED: &str = "overloaded_error";
const TIMEOUT: &str = "timeout_error";

#[expect(clippy::too_many_lines, reason = "a table")]
fn answer(reason: Reason) -> Answer {
    let (status, kind, message) = match reason {
        Reason::BadRequest => (400, INVALID, "the request is malformed"),
        Reason::BadFraming => (400, INVALID, "the framing of the request body is ambiguous or malformed"),
        Reason::BadHost => (400, INVALID, "the Host field is missing, repeated or malformed"),
        Reason::NoRoute => (404, "not_found_error", "no route of the gateway covers this request"),
        Reason::MethodNotAllowed => {
            (405, INVALID, "TRACE is not served: its answer would show what the gateway adds to requests")
        }
        Reason::HeadTimeout => (408, TIMEOUT, "the request head did not arrive in time"),
        Reason::BodyTimeout => (408, TIMEOUT, "the request body did not arrive in time"),
        Reason::BodyTooLarge => (413, "request_too_large", "the request body is larger than this route allows"),
        Reason::TargetTooLong => (414, INVALID, "the request target is too long"),
        Reason::HeadTooLarge => (431, INVALID, "the request head is too large"),
        Reason::TooManyFields => (431, INVALID, "the request has too many header fields"),
        Reason::ConnectRefused => (501, INVALID, "CONNECT is not supported: this is no forward proxy"),
        Reason::TransferCodingUnknown => (501, INVALID, "the request uses an unsupported transfer coding"),
        Reason::VersionUnsupported => (505, INVALID, "this version of HTTP is not supported here"),
        Reason::UpstreamConnectRefused => (502, UPSTREAM, "the upstream refused the connection"),
        Reason::UpstreamUnreachable => (502, UPSTREAM, "the upstream cannot be reached"),
        Reason::UpstreamTls => (502, UPSTREAM, "no secure connection to the upstream could be made"),
        Reason::UpstreamReset => (502, UPSTREAM, "the upstream broke the connection"),
        Reason::UpstreamClosedEarly => (502, UPSTREAM, "the upstream closed the connection before it answered"),
        Reason::UpstreamBadResponse => (502, UPSTREAM, "the upstream sent a malformed response"),
        Reason::UpstreamTruncated => (502, UPSTREAM, "the upstream's response ended early"),
        Reason::UpstreamStatus => (502, UPSTREAM, "the upstream failed"),
        Reason::OnlyIfCached => (504, TIMEOUT, "the request asks for a stored answer only, and there is none"),
        Reason::AccessDenied => (403, "permission_error", "this address may not use this route"),
        Reason::CallerMissing => {
            (401, "authentication_error", "a key is needed: send Authorization: Bearer KEY or x-api-key: KEY")
        }
        Reason::CallerUnknown => (401, "authentication_error", "the key is unknown, revoked or expired"),
        Reason::CallerDenied => (403, "permission_error", "the key may not do this"),
        Reason::RateLimited => (429, "rate_limit_error", "too many requests"),
        Reason::InFlightLimited => (429, "rate_limit_error", "too many requests at once"),
        Reason::UpstreamBusy => (503, OVERLOADED, "too many requests to the upstream at once"),
        Reason::WafDenied => (403, "permission_error", "the request was denied by a rule"),
        Reason::WafDropped => (NO_RESPONSE, "permission_error", "the connection was closed by a rule"),
        Reason::WafBodyTooLarge => (413, "request_too_large", "the request body is larger than what is inspected here"),
        Reason::Overload => (503, OVERLOADED, "the gateway is overloaded"),
        Reason::InFlightBytes => (503, OVERLOADED, "the gateway holds too many request bodies"),
        Reason::NoEndpoint => (503, OVERLOADED, "no endpoint of the upstream is available"),
        Reason::Draining => (503, OVERLOADED, "the gateway is shutting down"),
        Reason::UpstreamConnectTimeout => (504, TIMEOUT, "the upstream did not accept the connection in time"),
        Reason::UpstreamReadTimeout => (504, TIMEOUT, "the upstream did not answer in time"),
        Reason::UpstreamWriteTimeout => (504, TIMEOUT, "the upstream did not take the request in time"),
        Reason::ClientGone
        | Reason::ClientReset
        | Reason::ClientTruncated
        | Reason::SendTimeout
        | Reason::IdleTimeout
        | Reason::ConnectionLimit
        | Reason::ConnectionRate
        | Reason::HandshakeFailed
        | Reason::HandshakeTimeout
        | Reason::HandshakeOverload
        | Reason::ProxyProtocolBad
        | Reason::Http2Protocol
        | Reason::Http2Compression
        | Reason::Http2Stream
        | Reason::Http2RapidReset
        | Reason::Http2MadeYouReset
        | Reason::Http2Continuation
        | Reason::Http2Empty
        | Reason::Http2Settings
        | Reason::Http2Ping
        | Reason::Http2Priority
        | Reason::Http2Window
        | Reason::Http2Headers
        | Reason::Http2Settling
        | Reason::Http2Stalled => (CLIENT_CLOSED_REQUEST, "client_error", "the client has left"),
        Reason::Panic | Reason::Internal => (500, "api_error", "the gateway failed; its log tells more"),
    };
    Answer { status, kind, message }
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        let reason = match reject {
            Reject::TargetTooLong => Reason::TargetTooLong,
            Reject::HeadTooLarge => Reason::HeadTooLarge,
            Reject::TooManyFields => Reason::TooManyFields,
            Reject::VersionUnsupported => Reason::VersionUnsupported,
            Reject::ConnectRefused => Reason::ConnectRefused,
            Reject::TransferCodingUnknown => Reason::TransferCodingUnknown,
            Reject::HostMissing | Reject::HostDuplicate | Reject::HostBad | Reject::HostDisagrees => Reason::BadHost,
            Reject::LengthBad
            | Reject::LengthDuplicate
            | Reject::LengthWithTransferEncoding
            | Reject::TransferCodingNotFinal
            | Reject::TransferEncodingInHttp10
            | Reject::ChunkSizeBad
            | Reject::ChunkSizeOverflow
            | Reject::ChunkLineTooLong
            | Reject::ChunkEndBad
            | Reject::TrailerBad
            | Reject::TrailerTooLarge => Reason::BadFraming,
            _ => Reason::BadRequest,
        };
        Self { reason, detail: Some(reject.name()) }
    }
}

impl From<&UpstreamError> for Failure {
    fn from(error: &UpstreamError) -> Self {
        use crate::upstream::retry::Progress;
        let bad_response = |detail| Self { reason: Reason::UpstreamBadResponse, detail: Some(detail) };
        let reason = match error {
            UpstreamError::NoEndpoint => Reason::NoEndpoint,
            UpstreamError::ConnectRefused => Reason::UpstreamConnectRefused,
            UpstreamError::ConnectExpired => Reason::UpstreamConnectTimeout,
            UpstreamError::ConnectFailed(_) => Reason::UpstreamUnreachable,
            UpstreamError::Tls(_) => Reason::UpstreamTls,
            UpstreamError::Closed(Progress::ResponseBegun) => Reason::UpstreamBadResponse,
            UpstreamError::Closed(Progress::NotProcessed) => {
                return Self { reason: Reason::UpstreamClosedEarly, detail: Some("not_processed") };
            }
            UpstreamError::Closed(_) => Reason::UpstreamClosedEarly,
            UpstreamError::SendExpired => Reason::UpstreamWriteTimeout,
            UpstreamError::ReadExpired => Reason::UpstreamReadTimeout,
            UpstreamError::Malformed(reject) => return bad_response(reject.name()),
            UpstreamError::StreamReset(_) => Reason::UpstreamReset,
            UpstreamError::StreamMalformed => return bad_response("h2_stream"),
            UpstreamError::NotHttp2 => return bad_response("not_h2"),
            UpstreamError::NoTunnel => return bad_response("no_extended_connect"),
            UpstreamError::ClientGone => Reason::ClientGone,
        };
        reason.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_an_answer_with_a_sensible_status() {
        for reason in Reason::ALL {
            let answer = answer(*reason);
            assert!((400..600).contains(&answer.status), "{reason:?}");
            assert!(!answer.message.is_empty());
        }
        for reject in Reject::ALL {
            let failure = Failure::from(*reject);
            assert!((400..=505).contains(&failure.answer().status), "{reject:?}");
            assert_eq!(failure.detail, Some(reject.name()));
        }
    }
}
