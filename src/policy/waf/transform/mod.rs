//! What is done to a value in front of an operator.
//!
//! Pure, and safe with any bytes. Each transformation first looks, by a search over the bytes that could matter, whether it
//! can change anything; clean text costs that look and no copy. Semantics are those of ModSecurity v2, with what differs
//! said where it does.

mod digest;
mod encode;
mod escape;
mod path;
mod text;
mod url;

use memchr::{memchr, memchr2};

use super::model::Transform;

/// Appends the transformed value to `out`, which is given empty. `false`: the value is unchanged, `out` is to be ignored.
/// `false` is said exactly where the transformed value equals the value.
pub fn apply(transform: Transform, input: &[u8], out: &mut Vec<u8>) -> bool {
    if input.is_empty() && !says_something_of_nothing(transform) || is_clean(transform, input) {
        return false;
    }
    carry_out(transform, input, out);
    out.as_slice() != input
}

fn carry_out(transform: Transform, input: &[u8], out: &mut Vec<u8>) {
    match transform {
        Transform::Base64Decode => encode::base64_decode(input, false, out),
        Transform::Base64DecodeExt => encode::base64_decode(input, true, out),
        Transform::Base64Encode => encode::base64_encode(input, out),
        Transform::CmdLine => text::command_line(input, out),
        Transform::CompressWhitespace => text::compress_whitespace(input, out),
        Transform::CssDecode => escape::css(input, out),
        Transform::EscapeSeqDecode => escape::ansi_c(input, out),
        Transform::HexDecode => encode::hex_decode(input, out),
        Transform::HexEncode => encode::hex_encode(input, out),
        Transform::HtmlEntityDecode => escape::html(input, out),
        Transform::JsDecode => escape::javascript(input, out),
        Transform::Length => out.extend_from_slice(itoa::Buffer::new().format(input.len()).as_bytes()),
        Transform::Lowercase => {
            out.extend_from_slice(input);
            out.make_ascii_lowercase();
        }
        Transform::Uppercase => {
            out.extend_from_slice(input);
            out.make_ascii_uppercase();
        }
        Transform::Md5 => out.extend_from_slice(&digest::md5(input)),
        Transform::Sha1 => digest::sha1(input, out),
        Transform::NormalizePath => path::normalize(input, out),
        Transform::NormalizePathWin => path::normalize_windows(input, out),
        Transform::RemoveComments => text::remove_comments(input, out),
        Transform::RemoveCommentsChar => text::remove_comment_marks(input, out),
        Transform::ReplaceComments => text::replace_comments(input, out),
        Transform::RemoveNulls => out.extend(input.iter().filter(|byte| **byte != 0)),
        Transform::ReplaceNulls => out.extend(input.iter().map(|byte| if *byte == 0 { b' ' } else { *byte })),
        Transform::RemoveWhitespace => text::remove_whitespace(input, out),
        Transform::Trim => out.extend_from_slice(text::trim_right(text::trim_left(input))),
        Transform::TrimLeft => out.extend_from_slice(text::trim_left(input)),
        Transform::TrimRight => out.extend_from_slice(text::trim_right(input)),
        Transform::UrlDecode => url::decode(input, false, out),
        Transform::UrlDecodeUni => url::decode(input, true, out),
        Transform::UrlEncode => url::encode(input, out),
        Transform::Utf8ToUnicode => encode::utf8_to_unicode(input, out),
    }
}

/// Whether a quick look says that nothing will change. It may fail to see it, never the other way.
fn is_clean(transform: Transform, input: &[u8]) -> bool {
    match transform {
        Transform::CssDecode | Transform::EscapeSeqDecode | Transform::JsDecode => memchr(b'\\', input).is_none(),
        Transform::HtmlEntityDecode => memchr(b'&', input).is_none(),
        Transform::UrlDecode | Transform::UrlDecodeUni => memchr2(b'%', b'+', input).is_none(),
        Transform::RemoveNulls | Transform::ReplaceNulls => memchr(0, input).is_none(),
        Transform::Lowercase => !has(input, |byte| byte.is_ascii_uppercase()),
        Transform::Uppercase => !has(input, |byte| byte.is_ascii_lowercase()),
        Transform::Utf8ToUnicode => input.is_ascii(),
        Transform::ReplaceComments => memchr(b'*', input).is_none(),
        Transform::RemoveComments | Transform::RemoveCommentsChar => {
            memchr2(b'*', b'#', input).is_none() && !text::has_two(input, b'-')
        }
        Transform::CompressWhitespace => {
            !has(input, |byte| byte.wrapping_sub(9) < 5) && !text::has_two(input, b' ') && !text::has_no_break(input)
        }
        Transform::RemoveWhitespace => {
            !has(input, |byte| (byte.wrapping_sub(9) < 5) | (byte == b' ')) && !text::has_no_break(input)
        }
        Transform::Trim => !text::is_space_at(input.first()) && !text::is_space_at(input.last()),
        Transform::TrimLeft => !text::is_space_at(input.first()),
        Transform::TrimRight => !text::is_space_at(input.last()),
        Transform::NormalizePath => path::is_normal(input),
        Transform::NormalizePathWin => memchr(b'\\', input).is_none() && path::is_normal(input),
        Transform::Base64Decode
        | Transform::Base64DecodeExt
        | Transform::Base64Encode
        | Transform::CmdLine
        | Transform::HexDecode
        | Transform::HexEncode
        | Transform::Length
        | Transform::Md5
        | Transform::Sha1
        | Transform::UrlEncode => false,
    }
}

/// Whether the transformation makes something of an empty value.
fn says_something_of_nothing(transform: Transform) -> bool {
    matches!(transform, Transform::Length | Transform::Md5 | Transform::Sha1)
}

/// Whether `test` holds for any byte; asked in blocks, so that the compiler can ask many at once.
fn has(input: &[u8], test: impl Fn(u8) -> bool) -> bool {
    input.chunks(128).any(|block| block.iter().fold(false, |found, byte| found | test(*byte)))
}

#[cfg(test)]
mod tests;
