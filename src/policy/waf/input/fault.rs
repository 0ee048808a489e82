//! Why a body could not be read as what it says it is: the texts of REQBODY_ERROR_MSG.
//!
//! A closed list of fixed texts: nothing of a body ever becomes part of one, since they are shown in the log.

/// What is wrong with a body. It says nothing of its content, so that it may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The body ends in the middle: no fault of a body that was cut for inspection.
    Incomplete,
    ContentTypeTwice,
    JsonSyntax,
    JsonNameTooLong,
    TooDeep,
    TooManyArgs,
    MultipartBoundary,
    MultipartHeader,
    TooManyParts,
    XmlSyntax,
}

impl Fault {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Incomplete => "the body ends too early",
            Self::ContentTypeTwice => "more than one Content-Type",
            Self::JsonSyntax => "not JSON",
            Self::JsonNameTooLong => "the path of a JSON field is too long",
            Self::TooDeep => "nested too deeply",
            Self::TooManyArgs => "too many arguments",
            Self::MultipartBoundary => "multipart without a usable boundary",
            Self::MultipartHeader => "multipart: a part whose header cannot be read",
            Self::TooManyParts => "too many parts",
            Self::XmlSyntax => "not XML",
        }
    }
}
