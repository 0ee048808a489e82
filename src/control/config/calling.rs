//! Callers in the plan: who may come, which keys there are, and what upstreams are sent in their place.
//!
//! Reads the store of keys and secrets of upstreams; no error shows one.

use base64::Engine as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::fields::{self, Change, Side};
use super::limiting::Limiting;
use super::problems::{At, Place};
use super::raw::{RawConfig, RawRoute, RawUpstream};
use super::raw_callers::{RawAccess, RawCredential};
use super::resolve::{Context, items, or};
use super::routes::resolved;
use crate::base::secret::Secret;
use crate::control::callers::store::{Store, StoredKey};
use crate::http::FieldId;
use crate::policy::auth::{AccessRule, AddressSet, Callers, key};
use crate::policy::limit::Limit;
use crate::proxy::route::{Matcher, Route};
use crate::proxy::screen::Screen;
use crate::upstream::{Credential, UpstreamOptions};

/// What routes of the whole gateway have in common.
pub(super) struct House {
    access: Option<Arc<AccessRule>>,
    callers: bool,
}

/// `callers`, `allow` and `deny` of `[server]`.
pub(super) fn house(raw: &RawAccess, context: &Context<'_>) -> House {
    House { access: rule(raw, context), callers: or(&raw.callers, false) }
}

/// What the requests of a route must pass.
pub(super) fn screen(raw: &RawRoute, house: &House, context: &Context<'_>) -> Screen {
    let own = rule(&raw.access, context);
    Screen {
        access: house.access.iter().cloned().chain(own).collect(),
        callers: or(&raw.access.callers, house.callers),
        ..Screen::default()
    }
}

fn rule(raw: &RawAccess, context: &Context<'_>) -> Option<Arc<AccessRule>> {
    let problems = context.problems;
    if let Some(allow) = raw.allow.as_ref().filter(|list| list.is_empty() && !problems.any_under(&list.place.path)) {
        problems.error(&allow.place, "is empty", "leave it out to admit everybody who is not denied");
    }
    let set = |list| AddressSet::new(items(list).iter().map(|range| range.value));
    let rule = AccessRule { allow: set(&raw.allow), deny: set(&raw.deny) };
    (!rule.is_open()).then(|| Arc::new(rule))
}

/// The callers of the store, and where it is.
pub(super) fn callers(
    raw: &RawConfig,
    limiting: &Limiting<'_>,
    context: &Context<'_>,
) -> (Arc<Callers>, Option<PathBuf>) {
    let Some(written) = raw.callers.as_ref().and_then(|callers| callers.store.as_ref()) else {
        return (Arc::default(), None);
    };
    let path = context.path(written);
    if !context.reads(&path) {
        return (Arc::default(), Some(path));
    }
    let read = Store::read(&path).and_then(|store| {
        let callers = store.callers(|key| limits(key, limiting, &written.place, context))?;
        Ok((store, callers))
    });
    let callers = match read {
        Err(why) => {
            let hint = format!("make one with: ringway key create --store {} --name NAME", path.display());
            context.problems.error(&written.place, format!("{} {why}", path.display()), hint);
            Arc::default()
        }
        Ok((keys, callers)) => {
            warn_of_unknown_routes(&keys, raw, &written.place, context);
            Arc::new(callers)
        }
    };
    (callers, Some(path))
}

/// The limits that a key has; of a name that no limit has it is warned, and the key goes on without.
fn limits(key: &StoredKey, limiting: &Limiting<'_>, place: &Place, context: &Context<'_>) -> Box<[Arc<Limit>]> {
    let mut limits: Vec<Arc<Limit>> = Vec::with_capacity(key.limits.len());
    for name in &key.limits {
        match limiting.named(name) {
            Some(limit) if !limits.iter().any(|other| Arc::ptr_eq(other, &limit)) => limits.push(limit),
            // Twice, or a limit whose own problem is noted.
            Some(_) => {}
            None if limiting.is_known(name) => {}
            None => {
                let what = format!("the key {:?} has the limit {name:?}, and there is none of that name", key.name);
                context.problems.warn(place, what, "add [[limit]] with this name, or make another key");
            }
        }
    }
    limits.into()
}

/// Only written names are known here, which are the ones that a key can well name.
fn warn_of_unknown_routes(store: &Store, raw: &RawConfig, place: &Place, context: &Context<'_>) {
    let is_known = |name: &String| raw.routes.iter().any(|route| route.name.as_ref().is_some_and(|n| n.value == *name));
    for key in &store.keys {
        for route in key.routes.iter().filter(|route| !is_known(route)) {
            let what = format!("the key {:?} may use the route {route:?}, and none has that name", key.name);
            context.problems.warn(place, what, "give the route its `name`, or make another key");
        }
    }
}

/// `credential` of an upstream; `None` where none is written, or where it is wrong.
pub(super) fn credential(raw: &RawUpstream, context: &Context<'_>) -> Option<Credential> {
    let raw = raw.credential.as_ref()?;
    let RawCredential { place, bearer, basic, header, none } = raw;
    let kinds = [bearer.is_some(), basic.is_some(), header.is_some(), none.is_some()];
    if kinds.iter().filter(|kind| **kind).count() != 1 && !context.problems.any_under(&place.path) {
        let hint = "write { bearer = \"env:NAME\" }, { header = { name = \"x-api-key\", value = \"env:NAME\" } }, \
                    { basic = { user = \"NAME\", password = \"env:NAME\" } } or { none = true }";
        context.problems.error(place, "is not one kind of credential", hint);
        return None;
    }
    if let Some(none) = none {
        if !none.value {
            context.problems.error(&none.place, "says nothing", "leave `credential` out");
        }
        return Some(Credential::Nothing);
    }
    let authorization = |scheme: &str, value: &[u8]| {
        let value = Secret::new([scheme.as_bytes(), value].concat());
        Credential::Field { name: "Authorization".into(), value }
    };
    if let Some(bearer) = bearer {
        return Some(authorization("Bearer ", secret(bearer, context)?.expose()));
    }
    if let Some(basic) = basic {
        let (user, password) = (basic.user.as_ref()?, basic.password.as_ref()?);
        if user.contains(':') {
            context.problems.error(&user.place, "has a colon, which ends the user (RFC 7617 §2)", "");
        }
        let password = secret(password, context)?;
        let pair = Secret::new([user.as_bytes(), b":", password.expose()].concat());
        let pair = Secret::new(base64::engine::general_purpose::STANDARD.encode(pair.expose()));
        return Some(authorization("Basic ", pair.expose()));
    }
    let header = header.as_ref()?;
    let (name, value) = (header.name.as_ref()?, header.value.as_ref()?);
    let checked = fields::field_name(name).and_then(|()| fields::may_edit(name, Side::Request, Change::Add));
    context.problems.keep(&name.place, checked)?;
    Some(Credential::Field { name: name.value.as_str().into(), value: secret(value, context)? })
}

fn secret(value: &At<Secret>, context: &Context<'_>) -> Option<Secret> {
    let text = context.problems.keep(&value.place, resolved(value, context))?;
    context.problems.keep(&value.place, fields::field_value(&text))?;
    if text.is_empty() && context.ticketer.is_some() {
        context.problems.error(&value.place, "is empty", "write env:NAME, file:PATH or the value");
        return None;
    }
    Some(text)
}

/// What only routes, upstreams and callers together get wrong.
pub(super) fn check(
    raw: &RawConfig,
    upstreams: &[UpstreamOptions],
    routes: &[(Matcher, Route)],
    context: &Context<'_>,
) {
    let default = raw.server.access.callers.as_ref();
    let wanted = |route: &RawRoute| route.access.callers.as_ref().or(default).map(|at| (at.value, at.place.clone()));
    for route in &raw.routes {
        let Some((true, place)) = wanted(route) else { continue };
        if raw.callers.is_none() {
            context.problems.error(&place, "needs a store of keys", "add [callers] with store = \"callers.json\"");
        }
        let Some(name) = &route.upstream else { continue };
        let Some(upstream) = raw.upstreams.iter().find(|u| u.name.as_ref().is_some_and(|n| n.value == name.value))
        else {
            continue;
        };
        if upstream.credential.is_none() && !sets_one(route) {
            let what = format!("the client's key stays here, and the upstream {:?} has no credential", name.value);
            let hint = "add credential = { bearer = \"env:NAME\" } to it, or { none = true } if it needs none";
            context.problems.error(&place, what, hint);
        }
    }
    warn_of_open_doors(raw, upstreams, routes, context);
    if let Some(callers) = raw.callers.as_ref().and_then(|callers| callers.store.as_ref())
        && raw.routes.iter().all(|route| !matches!(wanted(route), Some((true, _))))
    {
        let hint = "add callers = \"required\" to [server] or to a [[route]]";
        context.problems.warn(&callers.place, "has no effect: no route asks for a key", hint);
    }
}

/// Whether the route itself sends a credential.
fn sets_one(route: &RawRoute) -> bool {
    let is_one = |name: &str| key::FIELDS.contains(&FieldId::of(name.as_bytes()));
    route.request.set.iter().any(|(name, _)| is_one(name))
}

fn warn_of_open_doors(
    raw: &RawConfig,
    upstreams: &[UpstreamOptions],
    routes: &[(Matcher, Route)],
    context: &Context<'_>,
) {
    for (index, (upstream, raw)) in upstreams.iter().zip(&raw.upstreams).enumerate() {
        let Some(credential) = raw.credential.as_ref() else { continue };
        let lends = upstream.credential.as_ref().is_some_and(|credential| credential.field().is_some());
        let open = routes.iter().find(|(_, route)| route.upstream == index && !route.screen.callers);
        if let Some((_, route)) = open.filter(|_| lends) {
            let what = format!("everybody who reaches the route {:?} uses it: that asks for no key", route.name);
            context.problems.warn(&credential.place, what, "add callers = \"required\" to the route");
        }
    }
}
