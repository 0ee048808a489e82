//! Caller: who asks, and whether that key may use the route and the model.
//!
//! Never shows a key. The key itself goes no further than this: what is sent upstream has the house's credential in its
//! place, see `headers`.

use crate::base::clock;
use crate::bounds;
use crate::h1;
use crate::http::{FieldId, Method, RequestHead};
use crate::policy::auth::callers::Refused;
use crate::policy::auth::key::{self, Presented};
use crate::policy::auth::{Caller, model};
use crate::proxy::core::{Core, CoreService};
use crate::proxy::exchange::{Client, Exchange, Refusal};
use crate::proxy::failure::Failure;
use crate::proxy::gather::gather;
use crate::proxy::route::Route;
use crate::stats::Reason;

/// Finds the caller of a request.
///
/// # Errors
/// There is no key that counts, or it may not do this, as far as the head tells.
pub fn identify<'s>(
    service: &'s CoreService,
    route: &'s Route,
    client: &Client<'_>,
    exchange: &mut Exchange<'s>,
) -> Result<Asked<'s>, Failure> {
    if !route.screen.callers {
        return Ok(Asked::Allowed);
    }
    let caller = match known(service, client) {
        Ok(caller) => caller,
        Err(failure) => {
            exchange.refusal = Some(Box::new(challenge(failure.reason)));
            return Err(failure);
        }
    };
    note(caller, exchange);
    may_ask(caller, route, client)
}

/// As [`identify`], for a request without a body; `false` = it takes the usual way, which says why.
pub fn identify_at_once<'s>(
    service: &'s CoreService,
    route: &'s Route,
    client: &Client<'_>,
    exchange: &mut Exchange<'s>,
) -> bool {
    if !route.screen.callers {
        return true;
    }
    let Ok(caller) = known(service, client) else { return false };
    note(caller, exchange);
    matches!(may_ask(caller, route, client), Ok(Asked::Allowed))
}

fn note<'s>(caller: &'s Caller, exchange: &mut Exchange<'s>) {
    exchange.caller = Some(caller.name());
    exchange.caller_limits = caller.limits();
}

/// Whose key the request carries.
fn known<'s>(service: &'s CoreService, client: &Client<'_>) -> Result<&'s Caller, Failure> {
    let key = match key::presented(client.head) {
        Presented::Nothing => return Err(Reason::CallerMissing.into()),
        Presented::Foreign => return Err(Reason::CallerUnknown.into()),
        Presented::Key(key) => key,
    };
    service.shared.callers.find(&key, clock::unix_ms()).map_err(|refused| Failure {
        reason: Reason::CallerUnknown,
        detail: match refused {
            Refused::Unknown => None,
            Refused::Expired => Some("key_expired"),
            Refused::Disabled => Some("key_disabled"),
        },
    })
}

/// RFC 9110 §11.6.1: a 401 says how to do better; the parameter is that of RFC 6750 §3.1.
fn challenge(reason: Reason) -> Refusal {
    let value = if reason == Reason::CallerMissing { "Bearer" } else { "Bearer error=\"invalid_token\"" };
    Refusal { fields: vec![("WWW-Authenticate", value.to_owned())], ..Refusal::default() }
}

/// What a request may be asked for, as far as its head tells.
pub enum Asked<'s> {
    Allowed,
    /// The body has a say too; `named` = the target names an allowed model already.
    SeeBody {
        caller: &'s Caller,
        named: bool,
    },
}

fn denied(detail: &'static str) -> Failure {
    Failure { reason: Reason::CallerDenied, detail: Some(detail) }
}

fn may_ask<'s>(caller: &'s Caller, route: &Route, client: &Client<'_>) -> Result<Asked<'s>, Failure> {
    if !caller.may_use(&route.name) {
        return Err(denied("route_not_allowed"));
    }
    if caller.models().is_empty() {
        return Ok(Asked::Allowed);
    }
    let target = h1::target_parts(client.head);
    let named = model::judge_target(caller.models(), target.path, target.query).map_err(denied)?;
    if !client.framing.body.is_empty() {
        return Ok(Asked::SeeBody { caller, named });
    }
    // Looking around asks no model; what changes something, or opens a line for more, must say which.
    let looks = matches!(client.head.method, Method::Get | Method::Head | Method::Options | Method::Delete);
    if named || (looks && !client.framing.upgrade) { Ok(Asked::Allowed) } else { Err(denied(model::MISSING)) }
}

/// Whether the body names models that the caller may ask, and one at all.
///
/// # Errors
/// It does not, or it could not be read.
pub async fn judge_body(
    core: &Core,
    caller: &Caller,
    route: &Route,
    client: &mut Client<'_>,
    named: bool,
) -> Result<(), Failure> {
    let most = bounds::MODEL_BODY_BYTES_MAX;
    if !gather(core, most, route.body_bytes_max, client).await? {
        return Err(denied("model_unknown_body_too_large"));
    }
    let body = client.body.as_ref().map(|body| &*body.read).unwrap_or_default();
    match model::judge_body(caller.models(), body, is_form(client.head)).map_err(denied)? || named {
        true => Ok(()),
        false => Err(denied(model::MISSING)),
    }
}

/// Whether the upstream may read the body as a form (x-www-form-urlencoded).
fn is_form(head: &RequestHead) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let is_one = |value: &[u8]| memchr::memmem::find(&value.to_ascii_lowercase(), FORM).is_some();
    head.fields().any(|field| field.id == FieldId::ContentType && is_one(field.value))
}
