//! What was written about callers: `[callers]`, credentials of upstreams, address lists.
//!
//! Each value is checked by itself; what they mean together is decided by `calling.rs`.

use crate::base::secret::Secret;
use ipnet::IpNet;

use super::problems::{At, Place};
use super::raw::secret;
use super::reader::Table;
use super::values;

/// `[callers]`
#[derive(Debug, Default)]
pub(super) struct RawCallers {
    pub store: Option<At<String>>,
}

/// `callers`, `allow` and `deny`, of `[server]` or of a route.
#[derive(Debug, Default)]
pub(super) struct RawAccess {
    /// Whether a key of the house is needed.
    pub callers: Option<At<bool>>,
    pub allow: Option<At<Vec<At<IpNet>>>>,
    pub deny: Option<At<Vec<At<IpNet>>>>,
}

/// `credential` of an upstream.
#[derive(Debug, Default)]
pub(super) struct RawCredential {
    pub place: Place,
    pub bearer: Option<At<Secret>>,
    pub basic: Option<RawBasic>,
    pub header: Option<RawHeader>,
    pub none: Option<At<bool>>,
}

/// `credential.basic`
#[derive(Debug, Default)]
pub(super) struct RawBasic {
    pub user: Option<At<String>>,
    pub password: Option<At<Secret>>,
}

/// `credential.header`
#[derive(Debug, Default)]
pub(super) struct RawHeader {
    pub name: Option<At<String>>,
    pub value: Option<At<Secret>>,
}

/// Reads `[callers]`.
pub(super) fn callers(t: &mut Table<'_>) -> RawCallers {
    RawCallers { store: t.required("store", "add store = \"callers.json\"", values::file_name) }
}

/// Reads the keys that `[server]` and routes have in common.
pub(super) fn access(t: &mut Table<'_>) -> RawAccess {
    RawAccess {
        callers: t.parsed("callers", |text| values::choice(text, &[("required", true), ("open", false)])),
        allow: t.list("allow", values::network),
        deny: t.list("deny", values::network),
    }
}

/// Reads `credential`.
pub(super) fn credential(t: &mut Table<'_>) -> RawCredential {
    RawCredential {
        place: t.place(),
        bearer: t.parsed("bearer", |text| Ok(secret(text))),
        basic: t.table("basic", |t| RawBasic {
            user: t.required("user", "add user = \"NAME\"", values::any),
            password: t.required("password", "add password = \"env:NAME\"", |text| Ok(secret(text))),
        }),
        header: t.table("header", |t| RawHeader {
            name: t.required("name", "add name = \"x-api-key\"", values::any),
            value: t.required("value", "add value = \"env:NAME\"", |text| Ok(secret(text))),
        }),
        none: t.boolean("none"),
    }
}
