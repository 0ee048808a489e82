//! Whether a stream of events came to its own end.

/// What a stream came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamVerdict {
    /// It said that it is over, and nothing came after that.
    Ended,
    /// It just stopped, or its protocol has no end that could be seen.
    Unfinished,
    /// It said that something went wrong.
    Error,
}

/// Looks for the end of a stream of events while its bytes pass.
#[derive(Clone, Debug, Default)]
pub struct StreamEnd {}

impl StreamEnd {
    /// Takes the next bytes of the body, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// What the stream came to, if these were all its bytes.
    pub fn verdict(&self) -> StreamVerdict {
        StreamVerdict::Unfinished
    }
}
