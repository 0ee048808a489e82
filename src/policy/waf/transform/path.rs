//! `normalizePath`, `normalizePathWin`: a path without doubled slashes, `.` and `..`.
//!
//! As text: no file is looked at, and nothing is said about whether the path exists. Not the same as the normal form that
//! routes and cache keys use: this one keeps `..` in front of a relative path.

use memchr::memchr_iter;

/// Whether a quick look says that the path is normal: no empty part, none that begins with a dot and is one or two long.
pub fn is_normal(input: &[u8]) -> bool {
    let is_odd =
        |rest: &[u8]| matches!(rest, [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]);
    let first_is_odd = input.first() != Some(&b'/') && is_odd(input);
    !first_is_odd && memchr_iter(b'/', input).all(|at| !is_odd(input.get(at + 1..).unwrap_or_default()))
}

/// `..` in front of a relative path is kept; a slash at the end is kept.
pub fn normalize(input: &[u8], out: &mut Vec<u8>) {
    let is_absolute = input.first() == Some(&b'/');
    if is_absolute {
        out.push(b'/');
    }
    // Where the parts begin that a `..` can take back; what is in front of `floor` stays.
    let mut floor = out.len();
    for part in input.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." if out.len() > floor => {
                let kept = out.get(floor..).unwrap_or_default();
                let at = memchr::memrchr(b'/', kept).unwrap_or(0);
                out.truncate(floor + at);
                continue;
            }
            b".." if is_absolute => continue,
            _ => {}
        }
        if !matches!(out.last(), None | Some(b'/')) {
            out.push(b'/');
        }
        out.extend_from_slice(part);
        if part == b".." {
            out.push(b'/');
            floor = out.len();
        }
    }
    let ends_open = input.last() == Some(&b'/');
    match out.last() {
        Some(b'/') if !ends_open && out.len() > 1 => out.truncate(out.len() - 1),
        Some(byte) if ends_open && *byte != b'/' => out.push(b'/'),
        _ => {}
    }
}

/// Backslashes are slashes first.
pub fn normalize_windows(input: &[u8], out: &mut Vec<u8>) {
    let slashes: Vec<u8> = input.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    normalize(&slashes, out);
}
