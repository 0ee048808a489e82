//! What was written about the firewall: `[[waf]]`, each value checked by itself. What they mean together, and the rules
//! themselves, are read by `firewall.rs`.

use super::problems::{At, Place, fault};
use super::raw::size;
use super::reader::Table;
use super::values;
use crate::bounds;
use crate::policy::waf::guard::Over;
use crate::policy::waf::model::Mode;

/// The name that takes a route out of the firewall of all routes.
pub(super) const OFF: &str = "off";

/// `[[waf]]`
#[derive(Debug, Default)]
pub(super) struct RawWaf {
    pub place: Place,
    pub name: Option<At<String>>,
    /// Paths, which may be patterns.
    pub files: Option<At<Vec<At<String>>>>,
    /// Rules behind those of the files.
    pub rules: Option<At<String>>,
    /// Inner `None` = what `SecRuleEngine` says.
    pub mode: Option<At<Option<Mode>>>,
    pub inspect_bytes: Option<At<u64>>,
    pub over: Option<At<Over>>,
    pub decompress: Option<At<bool>>,
    pub skip_unsupported: Option<At<bool>>,
}

/// Reads `[[waf]]`.
pub(super) fn waf(t: &mut Table<'_>) -> RawWaf {
    let modes =
        [("block", Some(Mode::On)), ("detect", Some(Mode::DetectionOnly)), ("off", Some(Mode::Off)), ("engine", None)];
    let overs = [("allow", Over::Allow), ("deny", Over::Deny), ("partial", Over::Partial)];
    RawWaf {
        place: t.place(),
        name: t.required("name", "add name = \"rules\"", |text| match text {
            OFF => Err(fault("is taken: waf = \"off\" on a route means no firewall", "write another name")),
            text => values::name(text),
        }),
        files: t.list("files", values::file_name),
        rules: t.parsed("rules", values::any),
        mode: t.parsed("mode", |text| values::choice(text, &modes)),
        inspect_bytes: size(t, "inspect_bytes", 1, bounds::WAF_BODY_BYTES_MAX),
        over: t.parsed("over", |text| values::choice(text, &overs)),
        decompress: t.boolean("decompress"),
        skip_unsupported: t.boolean("skip_unsupported"),
    }
}
