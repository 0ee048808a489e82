//! Rules as they were written: what the reader of SecLang makes, and what the compiler takes.
//!
//! Closed vocabularies, no behaviour. Names are those of SecLang (ModSecurity reference manual, v2 and v3).

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;

/// Where a directive stands.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file as it was named.
    pub file: Arc<str>,
    /// The first line of the directive, from 1.
    pub line: u32,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Everything that was read, in the order in which it counts.
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub items: Vec<Item>,
}

/// One directive that the compiler sees. Directives that change other rules (`SecRuleRemoveById`, `SecRuleUpdate…`) hold
/// for rules before and after them.
#[derive(Clone, Debug)]
pub enum Item {
    /// `SecRule` with its chain, or `SecAction` (whose one link has no test).
    Rule(Rule),
    /// `SecMarker`: where `skipAfter` goes on.
    Marker(Box<str>),
    /// `SecRuleEngine`; the last one counts.
    Engine(Mode),
    /// `SecRequestBodyAccess`; the last one counts.
    BodyAccess(bool),
    /// `SecRuleRemoveById` (ranges, both ends included).
    RemoveById(Vec<(u64, u64)>),
    /// `SecRuleRemoveByTag`, `SecRuleRemoveByMsg`: a pattern.
    RemoveByTag(Box<str>),
    RemoveByMsg(Box<str>),
    /// `SecRuleUpdateTargetById` and its kin.
    UpdateTargets {
        of: Selection,
        targets: Vec<Target>,
    },
}

/// Which rules are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    Id(u64, u64),
    Tag(Box<str>),
    Msg(Box<str>),
}

/// Whether rules block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    On,
    /// Rules are judged and noted, nothing is blocked.
    DetectionOnly,
    Off,
}

/// One rule: the actions that hold for the whole chain, and its links. All links must match.
#[derive(Clone, Debug)]
pub struct Rule {
    pub place: Place,
    /// Phase after `SecDefaultAction` was looked up: 1 to 5. 1 = head, 2 = body; later ones are not judged.
    pub phase: u8,
    /// `SecDefaultAction` of the phase is already put in: `block` has become what it stands for.
    pub actions: RuleActions,
    /// At least one. Of a `SecAction`: exactly one, without a test.
    pub links: Vec<Link>,
}

/// What a rule does as a whole: written at the first link of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleActions {
    /// 0 = none was given.
    pub id: u64,
    pub disposition: Disposition,
    /// `status:`; 403 where none is given.
    pub status: Option<u16>,
    pub msg: Option<Text>,
    pub tags: Vec<Text>,
    pub severity: Option<u8>,
    pub rev: Option<Box<str>>,
    pub ver: Option<Box<str>>,
    /// `log` / `nolog`, after the default action.
    pub log: bool,
    /// `auditlog` / `noauditlog`: kept for `check`; there is no audit log apart from the access log.
    pub auditlog: bool,
    /// `skipAfter:`.
    pub skip_after: Option<Box<str>>,
    /// `skip:`: how many rules behind this one are left out.
    pub skip: u32,
}

/// What a match leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// `pass`: the next rule.
    #[default]
    Pass,
    /// `deny`, or `block` under a default action that denies.
    Deny,
    /// `drop`: the connection is closed without an answer.
    Drop,
    /// `allow`, `allow:phase`, `allow:request`.
    Allow(AllowScope),
}

/// How much of the rest `allow` leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowScope {
    /// All phases.
    Everything,
    /// The rest of this phase.
    Phase,
    /// The rest of the request's phases (the same as all of them here).
    Request,
}

/// One link of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    pub place: Place,
    /// `None`: always matches (`SecAction`).
    pub test: Option<Test>,
    /// In the order written; done when this link matches (`setvar` of the last link when the whole chain does).
    pub effects: Vec<Effect>,
    /// `capture`: TX.0 to TX.9 are set by the operator.
    pub capture: bool,
    /// `multiMatch`: the operator is asked after each transformation that changed something, too.
    pub multi_match: bool,
    pub logdata: Option<Text>,
}

/// What a link asks.
#[derive(Clone, Debug)]
pub struct Test {
    pub targets: Vec<Target>,
    pub operator: Operator,
    /// `!@…`
    pub negated: bool,
    /// After `t:none` and the default action.
    pub transforms: Vec<Transform>,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub variable: Variable,
    pub selector: Selector,
    pub how: How,
}

/// How a target is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Each of its values.
    Values,
    /// `&`: how many there are.
    Count,
    /// `!`: left out of what other targets of the same link give.
    Excluded,
}

/// Which members of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    All,
    /// One name, compared without regard to case. May hold macros (`TX:%{rule.id}`): then it is decided while judging.
    Name(Text),
    /// `/…/`: names that a pattern matches (PCRE, without regard to case).
    Pattern(Box<str>),
}

/// The variables that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    Args,
    ArgsGet,
    ArgsPost,
    ArgsNames,
    ArgsGetNames,
    ArgsPostNames,
    ArgsCombinedSize,
    /// Milliseconds since the request began.
    Duration,
    /// Names of uploaded files (`filename` of multipart), their fields, their sizes.
    Files,
    FilesNames,
    FilesSizes,
    FilesCombinedSize,
    /// `JSON:path`, an extension: a field of a JSON body by its path; `*` for any member.
    Json,
    MatchedVar,
    MatchedVarName,
    MatchedVars,
    MatchedVarsNames,
    /// Counts that say what was odd about a multipart body (0 or 1).
    MultipartStrictError,
    MultipartUnmatchedBoundary,
    MultipartPartHeaders,
    QueryString,
    RemoteAddr,
    RemotePort,
    /// 1 when the body could not be read as what it says it is.
    ReqbodyError,
    ReqbodyErrorMsg,
    /// URLENCODED, MULTIPART, JSON, XML or empty.
    ReqbodyProcessor,
    RequestBasename,
    RequestBody,
    RequestBodyLength,
    RequestCookies,
    RequestCookiesNames,
    RequestFilename,
    RequestHeaders,
    RequestHeadersNames,
    RequestLine,
    RequestMethod,
    RequestProtocol,
    RequestUri,
    RequestUriRaw,
    /// `%{rule.id}` and the like, in macros.
    Rule,
    ServerAddr,
    ServerName,
    ServerPort,
    /// Seconds since the epoch.
    TimeEpoch,
    Tx,
    UniqueId,
    UrlencodedError,
    /// `XML:/*` (all text) and `XML://@*` (all attribute values).
    XmlText,
    XmlAttributes,
}

/// What is done to a value in front of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transform {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    Md5,
    NormalizePath,
    NormalizePathWin,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    Sha1,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    UrlEncode,
    Utf8ToUnicode,
}

/// What a value is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// A PCRE pattern as written (it may hold macros only where it is a single one; else `%{` is text).
    Rx(Box<str>),
    Contains(Text),
    ContainsWord(Text),
    BeginsWith(Text),
    EndsWith(Text),
    StrEq(Text),
    /// The value is found within the text.
    Within(Text),
    /// Any of these phrases, without regard to case. `@pmFromFile` comes with the lines of its files.
    Pm(Arc<[Box<[u8]>]>),
    Eq(Text),
    Ge(Text),
    Gt(Text),
    Le(Text),
    Lt(Text),
    IpMatch(Arc<[IpNet]>),
    DetectSqli,
    DetectXss,
    /// Bit N of the 256: byte N is allowed. Matches when one is not.
    ValidateByteRange(Box<[u64; 4]>),
    ValidateUrlEncoding,
    ValidateUtf8Encoding,
    UnconditionalMatch,
    NoMatch,
}

/// What a matching link does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    SetVar(SetVar),
    Control(Control),
}

/// `setvar:` of the TX collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetVar {
    /// `tx.name=value`
    Assign { name: Text, value: Text },
    /// `tx.name=+value`, `tx.name=-value`
    Add { name: Text, value: Text, negative: bool },
    /// `!tx.name`
    Remove { name: Text },
}

/// `ctl:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    Engine(Mode),
    RequestBodyAccess(bool),
    /// URLENCODED, MULTIPART, JSON or XML for the body, whatever its type says.
    BodyProcessor(BodyProcessor),
    ForceRequestBodyVariable(bool),
    RemoveById(u64, u64),
    RemoveByTag(Box<str>),
    RemoveByMsg(Box<str>),
    RemoveTargetById {
        from: u64,
        to: u64,
        target: Target,
    },
    RemoveTargetByTag {
        tag: Box<str>,
        target: Target,
    },
    /// Of features that there are none of (`auditEngine`, `auditLogParts`): read and without effect.
    Ignored(Box<str>),
}

/// Who reads a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyProcessor {
    UrlEncoded,
    Multipart,
    Json,
    Xml,
}

/// A text with `%{…}` in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub parts: Box<[Part]>,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Literal(Box<str>),
    /// `%{variable}` or `%{variable.selector}`; the selector in lower case.
    Macro(Variable, Option<Box<str>>),
}

impl Text {
    /// A text without macros.
    pub fn literal(text: &str) -> Self {
        Self { parts: if text.is_empty() { Box::default() } else { Box::new([Part::Literal(text.into())]) } }
    }

    /// The text where it holds no macro.
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
}
