//! A message of one stream as it was collected: interim heads, head, content, trailers and how it ended.

use super::fields::{self, Fields};
use crate::suite::harness::End;

/// How one direction of a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// END_STREAM came.
    Whole,
    /// RST_STREAM came, with this code.
    Reset(u32),
    /// GOAWAY with an error came.
    GoAway(u32),
    /// The connection ended, or nothing came any more.
    Cut(End),
}

/// A request or a response.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub stream: u32,
    /// Heads of 1xx answers.
    pub interim: Vec<Fields>,
    /// Pseudo-fields included. Empty when no head came.
    pub fields: Fields,
    pub body: Vec<u8>,
    /// Bytes of each DATA frame.
    pub pieces: Vec<usize>,
    pub trailers: Option<Fields>,
    pub ending: Ending,
}

/// Of a long body its beginning only.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(60)]).into_owned();
        let pieces = &self.pieces[..self.pieces.len().min(20)];
        f.debug_struct("Message")
            .field("stream", &self.stream)
            .field("interim", &self.interim)
            .field("fields", &self.fields)
            .field("body", &(self.body.len(), body))
            .field("pieces", &pieces)
            .field("trailers", &self.trailers)
            .field("ending", &self.ending)
            .finish()
    }
}

impl Message {
    /// Nothing yet.
    pub fn of(stream: u32) -> Self {
        let (interim, fields, body, pieces) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { stream, interim, fields, body, pieces, trailers: None, ending: Ending::Whole }
    }

    /// The value of a field that may stand once only; pseudo-fields have their colon.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        fields::one(&self.fields, name)
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The status of a response; 0 when no head came.
    #[track_caller]
    pub fn status(&self) -> u16 {
        self.field(":status").map_or(0, |status| status.parse().expect("a status of digits"))
    }

    /// The statuses of the interim heads.
    #[track_caller]
    pub fn interim_statuses(&self) -> Vec<u16> {
        let status = |fields: &Fields| fields::one(fields, ":status")?.parse().ok();
        self.interim.iter().map(|fields| status(fields).expect("a status of digits")).collect()
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A value of the trailers.
    #[track_caller]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        fields::one(self.trailers.as_ref()?, name)
    }

    /// Status and content of a response that is whole.
    #[track_caller]
    pub fn whole(&self) -> (u16, String) {
        assert_eq!(self.ending, Ending::Whole, "{self:?}");
        (self.status(), self.text())
    }

    /// Asserts that this is an answer made by the gateway itself: JSON shape, type, request id.
    #[track_caller]
    pub fn assert_failure(&self, status: u16) -> &Self {
        assert_eq!(self.whole().0, status, "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/json"), "{self:?}");
        let json: serde_json::Value = serde_json::from_slice(&self.body).expect("a failure body is JSON");
        let id = json["error"]["request_id"].as_str();
        assert!(id.is_some() && id == self.field("x-request-id"), "{self:?}");
        self
    }
}
