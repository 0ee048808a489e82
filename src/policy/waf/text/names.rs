//! Names: the words of SecLang for variables, transformations, severities and phases, as tables.
//!
//! Words are compared without regard to case. Several words may mean the same: versions of ModSecurity differ.

use crate::policy::waf::model::{Transform, Variable};

/// What a variable's name may be followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A single value.
    Single,
    /// Members, of which a selector takes some.
    Collection,
}

use Shape::{Collection, Single};

/// Variables by name. `XML` is not here: its selector decides which variable it is.
const VARIABLES: &[(&str, Variable, Shape)] = &[
    ("ARGS", Variable::Args, Collection),
    ("ARGS_GET", Variable::ArgsGet, Collection),
    ("ARGS_POST", Variable::ArgsPost, Collection),
    ("ARGS_NAMES", Variable::ArgsNames, Collection),
    ("ARGS_GET_NAMES", Variable::ArgsGetNames, Collection),
    ("ARGS_POST_NAMES", Variable::ArgsPostNames, Collection),
    ("ARGS_COMBINED_SIZE", Variable::ArgsCombinedSize, Single),
    ("DURATION", Variable::Duration, Single),
    ("FILES", Variable::Files, Collection),
    ("FILES_NAMES", Variable::FilesNames, Collection),
    ("FILES_SIZES", Variable::FilesSizes, Collection),
    ("FILES_COMBINED_SIZE", Variable::FilesCombinedSize, Single),
    ("JSON", Variable::Json, Collection),
    ("MATCHED_VAR", Variable::MatchedVar, Single),
    ("MATCHED_VAR_NAME", Variable::MatchedVarName, Single),
    ("MATCHED_VARS", Variable::MatchedVars, Collection),
    ("MATCHED_VARS_NAMES", Variable::MatchedVarsNames, Collection),
    ("MULTIPART_FILENAME", Variable::Files, Collection),
    ("MULTIPART_NAME", Variable::FilesNames, Collection),
    ("MULTIPART_STRICT_ERROR", Variable::MultipartStrictError, Single),
    ("MULTIPART_UNMATCHED_BOUNDARY", Variable::MultipartUnmatchedBoundary, Single),
    ("MULTIPART_PART_HEADERS", Variable::MultipartPartHeaders, Collection),
    ("QUERY_STRING", Variable::QueryString, Single),
    ("REMOTE_ADDR", Variable::RemoteAddr, Single),
    // Names of clients are not looked up; then ModSecurity gives the address, too.
    ("REMOTE_HOST", Variable::RemoteAddr, Single),
    ("REMOTE_PORT", Variable::RemotePort, Single),
    ("REQBODY_ERROR", Variable::ReqbodyError, Single),
    ("REQBODY_ERROR_MSG", Variable::ReqbodyErrorMsg, Single),
    ("REQBODY_PROCESSOR_ERROR", Variable::ReqbodyError, Single),
    ("REQBODY_PROCESSOR_ERROR_MSG", Variable::ReqbodyErrorMsg, Single),
    ("REQBODY_PROCESSOR", Variable::ReqbodyProcessor, Single),
    ("REQUEST_BASENAME", Variable::RequestBasename, Single),
    ("REQUEST_BODY", Variable::RequestBody, Single),
    ("REQUEST_BODY_LENGTH", Variable::RequestBodyLength, Single),
    ("REQUEST_COOKIES", Variable::RequestCookies, Collection),
    ("REQUEST_COOKIES_NAMES", Variable::RequestCookiesNames, Collection),
    ("REQUEST_FILENAME", Variable::RequestFilename, Single),
    ("REQUEST_HEADERS", Variable::RequestHeaders, Collection),
    ("REQUEST_HEADERS_NAMES", Variable::RequestHeadersNames, Collection),
    ("REQUEST_LINE", Variable::RequestLine, Single),
    ("REQUEST_METHOD", Variable::RequestMethod, Single),
    ("REQUEST_PROTOCOL", Variable::RequestProtocol, Single),
    ("REQUEST_URI", Variable::RequestUri, Single),
    ("REQUEST_URI_RAW", Variable::RequestUriRaw, Single),
    ("RULE", Variable::Rule, Collection),
    ("SERVER_ADDR", Variable::ServerAddr, Single),
    ("SERVER_NAME", Variable::ServerName, Single),
    ("SERVER_PORT", Variable::ServerPort, Single),
    ("TIME_EPOCH", Variable::TimeEpoch, Single),
    ("TX", Variable::Tx, Collection),
    ("UNIQUE_ID", Variable::UniqueId, Single),
    ("URLENCODED_ERROR", Variable::UrlencodedError, Single),
];

const TRANSFORMS: &[(&str, Transform)] = &[
    ("base64Decode", Transform::Base64Decode),
    ("base64DecodeExt", Transform::Base64DecodeExt),
    ("base64Encode", Transform::Base64Encode),
    ("cmdLine", Transform::CmdLine),
    ("compressWhitespace", Transform::CompressWhitespace),
    ("cssDecode", Transform::CssDecode),
    ("escapeSeqDecode", Transform::EscapeSeqDecode),
    ("hexDecode", Transform::HexDecode),
    ("hexEncode", Transform::HexEncode),
    ("htmlEntityDecode", Transform::HtmlEntityDecode),
    ("jsDecode", Transform::JsDecode),
    ("length", Transform::Length),
    ("lowercase", Transform::Lowercase),
    ("md5", Transform::Md5),
    ("normalizePath", Transform::NormalizePath),
    ("normalisePath", Transform::NormalizePath),
    ("normalizePathWin", Transform::NormalizePathWin),
    ("normalisePathWin", Transform::NormalizePathWin),
    ("removeComments", Transform::RemoveComments),
    ("removeCommentsChar", Transform::RemoveCommentsChar),
    ("removeNulls", Transform::RemoveNulls),
    ("removeWhitespace", Transform::RemoveWhitespace),
    ("replaceComments", Transform::ReplaceComments),
    ("replaceNulls", Transform::ReplaceNulls),
    ("sha1", Transform::Sha1),
    ("trim", Transform::Trim),
    ("trimLeft", Transform::TrimLeft),
    ("trimRight", Transform::TrimRight),
    ("uppercase", Transform::Uppercase),
    ("urlDecode", Transform::UrlDecode),
    ("urlDecodeUni", Transform::UrlDecodeUni),
    ("urlEncode", Transform::UrlEncode),
    ("utf8toUnicode", Transform::Utf8ToUnicode),
];

const SEVERITIES: &[&str] = &["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// Directives that have nothing to act on here: there is no audit log, no temporary file, no rule about responses, no
/// memory of a client, and bounds are those of the configuration.
const WITHOUT_EFFECT: &[&str] = &[
    "SecArgumentsLimit",
    "SecArgumentSeparator",
    "SecAuditEngine",
    "SecAuditLog",
    "SecAuditLog2",
    "SecAuditLogDirMode",
    "SecAuditLogFileMode",
    "SecAuditLogFormat",
    "SecAuditLogParts",
    "SecAuditLogRelevantStatus",
    "SecAuditLogStorageDir",
    "SecAuditLogType",
    "SecCacheTransformations",
    "SecChrootDir",
    "SecCollectionTimeout",
    "SecComponentSignature",
    "SecConnEngine",
    "SecConnReadStateLimit",
    "SecConnWriteStateLimit",
    "SecContentInjection",
    "SecCookieFormat",
    "SecCookieV0Separator",
    "SecDataDir",
    "SecDebugLog",
    "SecDebugLogLevel",
    "SecDisableBackendCompression",
    "SecGeoLookupDb",
    "SecGsbLookupDb",
    "SecGuardianLog",
    "SecHashEngine",
    "SecHashKey",
    "SecHashMethodPm",
    "SecHashMethodRx",
    "SecHashParam",
    "SecHttpBlKey",
    "SecInterceptOnError",
    "SecPcreMatchLimit",
    "SecPcreMatchLimitRecursion",
    "SecReadStateLimit",
    "SecRequestBodyInMemoryLimit",
    "SecRequestBodyJsonDepthLimit",
    "SecRequestBodyLimit",
    "SecRequestBodyLimitAction",
    "SecRequestBodyNoFilesLimit",
    "SecResponseBodyAccess",
    "SecResponseBodyLimit",
    "SecResponseBodyLimitAction",
    "SecResponseBodyMimeType",
    "SecResponseBodyMimeTypesClear",
    "SecRuleInheritance",
    "SecRulePerfTime",
    "SecSensorId",
    "SecServerSignature",
    "SecStatusEngine",
    "SecStreamInBodyInspection",
    "SecStreamOutBodyInspection",
    "SecTmpDir",
    "SecTmpSaveUploadedFiles",
    "SecUnicodeCodePage",
    "SecUnicodeMapFile",
    "SecUploadDir",
    "SecUploadFileLimit",
    "SecUploadFileMode",
    "SecUploadKeepFiles",
    "SecWebAppId",
    "SecWriteStateLimit",
    "SecXmlExternalEntity",
];

/// Collections of ModSecurity that outlive a request.
const PERSISTENT: &[&str] = &["GLOBAL", "IP", "RESOURCE", "SESSION", "USER"];

fn find<T: Copy>(table: impl Iterator<Item = (&'static str, T)>, word: &str) -> Option<T> {
    let mut table = table;
    table.find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, meaning)| meaning)
}

/// A variable other than `XML`.
pub(super) fn variable(word: &str) -> Option<(Variable, Shape)> {
    find(VARIABLES.iter().map(|(name, variable, shape)| (*name, (*variable, *shape))), word)
}

pub(super) fn transform(word: &str) -> Option<Transform> {
    find(TRANSFORMS.iter().copied(), word)
}

/// 0 (emergency) to 7 (debug), by name or number.
pub(super) fn severity(word: &str) -> Option<u8> {
    let by_name = SEVERITIES.iter().position(|name| name.eq_ignore_ascii_case(word));
    let number = by_name.map_or_else(|| word.parse().ok(), |at| u8::try_from(at).ok());
    number.filter(|n| usize::from(*n) < SEVERITIES.len())
}

/// 1 to 5, by name or number.
pub(super) fn phase(word: &str) -> Option<u8> {
    match word.to_ascii_lowercase().as_str() {
        "request" => Some(2),
        "response" => Some(4),
        "logging" => Some(5),
        number => number.parse().ok().filter(|n| (1..=5).contains(n)),
    }
}

/// Whether a directive is one that has nothing to act on.
pub(super) fn is_without_effect(directive: &str) -> bool {
    WITHOUT_EFFECT.iter().any(|name| name.eq_ignore_ascii_case(directive))
}

/// Whether a collection is one that outlives a request.
pub(super) fn is_persistent(collection: &str) -> bool {
    PERSISTENT.iter().any(|name| name.eq_ignore_ascii_case(collection))
}

/// The names of variables, for "did you mean".
pub(super) fn all_variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|(name, ..)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case() {
        assert_eq!(variable("Request_Uri"), Some((Variable::RequestUri, Single)));
        assert_eq!(variable("XML"), None);
        assert_eq!(transform("BASE64DECODE"), Some(Transform::Base64Decode));
        assert_eq!(["critical", "2", "8", "no"].map(severity), [Some(2), Some(2), None, None]);
        assert_eq!(["request", "4", "0", "6", "x"].map(phase), [Some(2), Some(4), None, None, None]);
        assert!(is_without_effect("secauditlog") && !is_without_effect("SecRule"));
        assert!(is_persistent("ip") && !is_persistent("tx"));
    }
}
