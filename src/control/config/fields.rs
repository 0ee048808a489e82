//! Header names and values of a configuration: which may be written, and secrets that stand elsewhere.
//!
//! A value may be `env:NAME` or `file:PATH`. What those resolve to is never put into an error or a `Debug` output.

use std::path::{Path, PathBuf};

use super::problems::{Fault, fault};
use super::values::{is_token_byte, quoted};
use crate::base::secret::Secret;

/// Bytes of a file that holds a secret.
const SECRET_BYTES_MAX: u64 = 32 * 1024;

/// Where a value comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source<'s> {
    /// The value itself.
    Literal(&'s Secret),
    Environment(&'s str),
    File(PathBuf),
}

/// What `env:` or `file:` in front of a value mean.
pub(super) fn source<'s>(written: &'s Secret, base_dir: &Path) -> Source<'s> {
    let text = std::str::from_utf8(written.expose()).unwrap_or_default();
    match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
        (Some(name), _) => Source::Environment(name),
        (_, Some(path)) => Source::File(base_dir.join(path)),
        _ => Source::Literal(written),
    }
}

/// The value of an environment variable.
pub(super) fn from_environment(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Secret, Fault> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(fault("names no environment variable", "write env:NAME"));
    }
    match env(name) {
        Some(value) if value.is_empty() => {
            Err(fault(format!("the environment variable {} is empty", quoted(name)), "set it before the start"))
        }
        Some(value) => Ok(value.into()),
        None => Err(fault(format!("the environment variable {} is not set", quoted(name)), "set it before the start")),
    }
}

/// The content of a file without its final line end.
pub(super) fn from_file(path: &Path) -> Result<Secret, Fault> {
    const HINT: &str = "write file:PATH of a readable text file with one line";
    let shown = path.display();
    let cannot = |e: std::io::Error| fault(format!("cannot read {shown}: {e}"), HINT);
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    if size > SECRET_BYTES_MAX {
        return Err(fault(format!("{shown} is larger than {SECRET_BYTES_MAX} bytes"), HINT));
    }
    let mut text = std::fs::read_to_string(path).map_err(cannot)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    match text.is_empty() {
        true => Err(fault(format!("{shown} is empty"), HINT)),
        false => Ok(text.into()),
    }
}

/// A field name (RFC 9110 §5.1).
pub(super) fn field_name(name: &str) -> Result<(), Fault> {
    match !name.is_empty() && name.len() <= 256 && name.bytes().all(is_token_byte) {
        true => Ok(()),
        false => Err(fault(
            format!("{} is not a header name", quoted(name)),
            "write letters, digits and hyphens, such as x-team",
        )),
    }
}

/// A field value (RFC 9110 §5.5). The value is not repeated in the fault.
pub(super) fn field_value(value: &Secret) -> Result<(), Fault> {
    let value = value.expose();
    if value.iter().any(|b| matches!(b, b'\r' | b'\n')) {
        return Err(fault("the value has a line break", "write it in one line: a header is one line"));
    }
    if value.iter().any(|b| *b != b'\t' && b.is_ascii_control()) {
        return Err(fault("the value has a control character", "remove it"));
    }
    if [value.first(), value.last()].iter().any(|end| matches!(end, Some(b' ' | b'\t'))) {
        return Err(fault("the value begins or ends with a blank", "remove it: it would not be sent"));
    }
    Ok(())
}

/// Which head an edit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// How an edit changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set,
    Add,
    Remove,
}

/// Refuses edits of fields that the gateway itself must write, with the reason.
pub(super) fn may_edit(name: &str, side: Side, change: Change) -> Result<(), Fault> {
    let lower = name.to_ascii_lowercase();
    let reason = match lower.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "upgrade" => {
            "it belongs to one connection (RFC 9110 §7.6.1) and is written by the gateway for each side"
        }
        "transfer-encoding" | "content-length" | "trailer" => {
            "it says where the body ends (RFC 9112 §6) and is written by the gateway"
        }
        "host" if side == Side::Request && change != Change::Set => {
            "a request has exactly one Host (RFC 9112 §3.2); `set` may change it"
        }
        "expect" if side == Side::Request => "it is decided by `expect` in [server] (RFC 9110 §10.1.1)",
        _ => return Ok(()),
    };
    Err(fault(format!("{} cannot be edited", quoted(name)), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_checked() {
        assert!(field_name("x-team").is_ok());
        for name in ["", "a b", "a:", "ä", "a\r\n", "(a)"] {
            assert!(field_name(name).is_err(), "{name:?}");
        }
        for value in ["", "a b", "a\tb", "Bearer sk-1", "käse"] {
            assert!(field_value(&value.into()).is_ok(), "{value:?}");
        }
        for value in ["sesame\r\nx: y", "sesame\n", "sesame\0", " sesame", "sesame\t", "\x7fsesame"] {
            let fault = field_value(&value.into()).unwrap_err();
            assert!(!format!("{fault:?}").contains("sesame"), "{value:?}");
        }
    }

    #[test]
    fn fields_of_framing_and_of_connections_cannot_be_edited() {
        for name in ["Connection", "transfer-encoding", "Content-Length", "TE", "Trailer", "upgrade", "keep-alive"] {
            for side in [Side::Request, Side::Response] {
                for change in [Change::Set, Change::Add, Change::Remove] {
                    assert!(may_edit(name, side, change).unwrap_err().hint.contains("RFC 91"), "{name}");
                }
            }
        }
        assert!(may_edit("host", Side::Request, Change::Set).is_ok());
        assert!(may_edit("Host", Side::Request, Change::Remove).is_err());
        assert!(may_edit("authorization", Side::Request, Change::Set).is_ok());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let dir = Path::new("/etc/x");
        let (env, file, literal) = ("env:KEY".into(), "file:a/key".into(), Secret::from("Bearer env:KEY"));
        assert_eq!(source(&env, dir), Source::Environment("KEY"));
        assert_eq!(source(&file, dir), Source::File(PathBuf::from("/etc/x/a/key")));
        assert_eq!(source(&literal, dir), Source::Literal(&literal));
        assert_eq!(format!("{:?}", source(&literal, dir)), "Literal(Secret(***))");
    }
}
