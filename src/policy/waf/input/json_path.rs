//! Paths of JSON fields as rules write them: `messages.*.content`, `$.prompt`, `input[0]`.
//!
//! Compares texts and allocates nothing; the work is bounded by the product of both lengths.

/// Whether a pattern is this path.
///
/// Members are divided by `.` or stand in brackets; a `$` in front means the document and may be left out; `*` is any one
/// member, `**` any number of them, none included. Names are compared without regard to ASCII case, like those of every
/// other variable. `path` is that of an entry of [`Variable::Json`](super::Variable::Json): `messages.0.content`.
pub fn json_path_matches(pattern: &str, path: &[u8]) -> bool {
    let pattern = pattern.strip_prefix('$').unwrap_or(pattern);
    let pattern = pattern.strip_prefix('.').unwrap_or(pattern);
    let mut want = Members(Some(pattern.as_bytes()));
    let mut have = Members(Some(path));
    // Where to go on when the members behind the last `**` do not fit: it takes one more.
    let mut retry: Option<(Members<'_>, Members<'_>)> = None;
    loop {
        let (mut after_want, mut after_have) = (want, have);
        let fits = match (after_want.next(true), after_have.next(false)) {
            (None, None) => return true,
            (Some(b"**"), _) => {
                retry = Some((after_want, have));
                want = after_want;
                continue;
            }
            (Some(want), Some(have)) => want == b"*" || want.eq_ignore_ascii_case(have),
            _ => false,
        };
        if fits {
            (want, have) = (after_want, after_have);
            continue;
        }
        let Some((behind, from)) = &mut retry else { return false };
        if from.next(false).is_none() {
            return false;
        }
        (want, have) = (*behind, *from);
    }
}

/// What is left of a path; nothing when it has ended.
#[derive(Clone, Copy)]
struct Members<'a>(Option<&'a [u8]>);

impl<'a> Members<'a> {
    /// The next member; brackets divide in patterns only: in a path they are part of a name.
    fn next(&mut self, is_pattern: bool) -> Option<&'a [u8]> {
        let text = self.0?;
        if is_pattern && let Some(inner) = text.strip_prefix(b"[") {
            let end = memchr::memchr(b']', inner).unwrap_or(inner.len());
            let (member, after) = inner.split_at(end);
            let after = after.get(1..).unwrap_or_default();
            self.0 = match after {
                [] => None,
                [b'.', rest @ ..] => Some(rest),
                rest => Some(rest),
            };
            return Some(unquoted(member));
        }
        let end = text.iter().position(|byte| *byte == b'.' || is_pattern && *byte == b'[').unwrap_or(text.len());
        let (member, after) = text.split_at(end);
        self.0 = match after {
            [] => None,
            [b'.', rest @ ..] => Some(rest),
            rest => Some(rest),
        };
        Some(member)
    }
}

fn unquoted(member: &[u8]) -> &[u8] {
    match member {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        bare => bare,
    }
}
