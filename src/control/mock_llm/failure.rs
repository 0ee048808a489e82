//! Refusals in the shapes that the vendors use for theirs, so that an SDK raises the exception it would raise there.
//!
//! Owns the table status → type and code. Never decides whether a request is refused.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// Whose words an answer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// `{"error":{"message","type","param","code"}}`
    OpenAi,
    /// `{"type":"error","error":{"type","message"}}`
    Anthropic,
}

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400 to 599.
    pub status: StatusCode,
    /// For people.
    pub message: String,
    /// The field of the request that is at fault, if one is.
    pub param: Option<&'static str>,
    /// Value of Retry-After.
    pub retry_after: Option<String>,
}

impl Refusal {
    /// A refusal without further particulars.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, retry_after: None }
    }

    /// A 400, with the field at fault.
    pub fn bad_request(message: impl Into<String>, param: Option<&'static str>) -> Self {
        Self { param, ..Self::new(StatusCode::BAD_REQUEST, message) }
    }

    /// A failure that was asked for or drawn, with the vendor's usual words.
    pub fn staged(status: StatusCode, retry_after: Option<String>) -> Self {
        let message = match status.as_u16() {
            429 => "Rate limit reached. This refusal was staged by the mock.".to_owned(),
            500..=599 => "The server had an error. This failure was staged by the mock.".to_owned(),
            code => format!("Refused with {code}, as the request's x-mock-status asked."),
        };
        Self { retry_after, ..Self::new(status, message) }
    }

    /// The JSON body.
    pub fn body(&self, vendor: Vendor, request_id: &str) -> Value {
        let (openai_type, code, anthropic_type) = kind(self.status.as_u16());
        match vendor {
            Vendor::OpenAi => json!({
                "error": {"message": self.message, "type": openai_type, "param": self.param, "code": code}
            }),
            Vendor::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_type, "message": self.message},
                "request_id": request_id,
            }),
        }
    }
}

/// OpenAI's type and code, and Anthropic's type, for a status.
fn kind(status: u16) -> (&'static str, Option<&'static str>, &'static str) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key"), "authentication_error"),
        403 => ("invalid_request_error", Some("unsupported_country_region_territory"), "permission_error"),
        404 => ("invalid_request_error", Some("not_found"), "not_found_error"),
        413 => ("invalid_request_error", None, "request_too_large"),
        429 => ("requests", Some("rate_limit_exceeded"), "rate_limit_error"),
        529 => ("server_error", Some("overloaded"), "overloaded_error"),
        504 => ("server_error", None, "timeout_error"),
        500..=599 => ("server_error", None, "api_error"),
        _ => ("invalid_request_error", None, "invalid_request_error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendor_gets_its_own_shape() {
        let refusal = Refusal::staged(StatusCode::TOO_MANY_REQUESTS, Some("2".to_owned()));
        let openai = refusal.body(Vendor::OpenAi, "req_1");
        assert_eq!(openai["error"]["code"], "rate_limit_exceeded");
        assert!(openai["error"]["param"].is_null());
        let anthropic = refusal.body(Vendor::Anthropic, "req_1");
        assert_eq!(anthropic["type"], "error");
        assert_eq!(anthropic["error"]["type"], "rate_limit_error");
        assert_eq!(anthropic["request_id"], "req_1");
    }
}
