//! How variables are called in rules, notes and the log.
//!
//! Names only: which of them exist is said by the model, what they hold by the readers beside this file.

use super::super::model::Variable;

/// The name of a variable, as rules write it.
pub fn variable_name(variable: Variable) -> &'static str {
    match variable {
        Variable::Args => "ARGS",
        Variable::ArgsGet => "ARGS_GET",
        Variable::ArgsPost => "ARGS_POST",
        Variable::ArgsNames => "ARGS_NAMES",
        Variable::ArgsGetNames => "ARGS_GET_NAMES",
        Variable::ArgsPostNames => "ARGS_POST_NAMES",
        Variable::ArgsCombinedSize => "ARGS_COMBINED_SIZE",
        Variable::Duration => "DURATION",
        Variable::Files => "FILES",
        Variable::FilesNames => "FILES_NAMES",
        Variable::FilesSizes => "FILES_SIZES",
        Variable::FilesCombinedSize => "FILES_COMBINED_SIZE",
        Variable::Json => "JSON",
        Variable::MatchedVar => "MATCHED_VAR",
        Variable::MatchedVarName => "MATCHED_VAR_NAME",
        Variable::MatchedVars => "MATCHED_VARS",
        Variable::MatchedVarsNames => "MATCHED_VARS_NAMES",
        Variable::RemoteAddr => "REMOTE_ADDR",
        Variable::RemotePort => "REMOTE_PORT",
        Variable::Rule => "RULE",
        Variable::ServerAddr => "SERVER_ADDR",
        Variable::ServerName => "SERVER_NAME",
        Variable::ServerPort => "SERVER_PORT",
        Variable::TimeEpoch => "TIME_EPOCH",
        Variable::Tx => "TX",
        Variable::UniqueId => "UNIQUE_ID",
        Variable::XmlText => "XML:/*",
        Variable::XmlAttributes => "XML://@*",
        of_request => request_name(of_request),
    }
}

fn request_name(variable: Variable) -> &'static str {
    match variable {
        Variable::MultipartStrictError => "MULTIPART_STRICT_ERROR",
        Variable::MultipartUnmatchedBoundary => "MULTIPART_UNMATCHED_BOUNDARY",
        Variable::MultipartPartHeaders => "MULTIPART_PART_HEADERS",
        Variable::QueryString => "QUERY_STRING",
        Variable::ReqbodyError => "REQBODY_ERROR",
        Variable::ReqbodyErrorMsg => "REQBODY_ERROR_MSG",
        Variable::ReqbodyProcessor => "REQBODY_PROCESSOR",
        Variable::RequestBasename => "REQUEST_BASENAME",
        Variable::RequestBody => "REQUEST_BODY",
        Variable::RequestBodyLength => "REQUEST_BODY_LENGTH",
        Variable::RequestCookies => "REQUEST_COOKIES",
        Variable::RequestCookiesNames => "REQUEST_COOKIES_NAMES",
        Variable::RequestFilename => "REQUEST_FILENAME",
        Variable::RequestHeaders => "REQUEST_HEADERS",
        Variable::RequestHeadersNames => "REQUEST_HEADERS_NAMES",
        Variable::RequestLine => "REQUEST_LINE",
        Variable::RequestMethod => "REQUEST_METHOD",
        Variable::RequestProtocol => "REQUEST_PROTOCOL",
        Variable::RequestUri => "REQUEST_URI",
        Variable::RequestUriRaw => "REQUEST_URI_RAW",
        Variable::UrlencodedError => "URLENCODED_ERROR",
        _ => "",
    }
}
