//! Vectors for each transformation, and properties that hold for all.
//!
//! Vectors say what rules rely on: the escapes of ModSecurity's manual, and the odd ends of each (a mark at the end of the
//! value, too few digits, full-width forms).

use proptest::prelude::*;

use super::*;

const ALL: [Transform; 31] = [
    Transform::Base64Decode,
    Transform::Base64DecodeExt,
    Transform::Base64Encode,
    Transform::CmdLine,
    Transform::CompressWhitespace,
    Transform::CssDecode,
    Transform::EscapeSeqDecode,
    Transform::HexDecode,
    Transform::HexEncode,
    Transform::HtmlEntityDecode,
    Transform::JsDecode,
    Transform::Length,
    Transform::Lowercase,
    Transform::Md5,
    Transform::NormalizePath,
    Transform::NormalizePathWin,
    Transform::RemoveComments,
    Transform::RemoveCommentsChar,
    Transform::RemoveNulls,
    Transform::RemoveWhitespace,
    Transform::ReplaceComments,
    Transform::ReplaceNulls,
    Transform::Sha1,
    Transform::Trim,
    Transform::TrimLeft,
    Transform::TrimRight,
    Transform::Uppercase,
    Transform::UrlDecode,
    Transform::UrlDecodeUni,
    Transform::UrlEncode,
    Transform::Utf8ToUnicode,
];

fn transformed(transform: Transform, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if apply(transform, input, &mut out) { out } else { input.to_vec() }
}

fn check(transform: Transform, table: &[(&[u8], &[u8])]) {
    for (input, expected) in table {
        let found = transformed(transform, input);
        let (input, found) = (input.escape_ascii(), found.escape_ascii().to_string());
        assert_eq!(found, expected.escape_ascii().to_string(), "{transform:?} of {input}");
    }
}

#[test]
fn urls_are_decoded_and_encoded() {
    check(
        Transform::UrlDecode,
        &[
            (b"a%20b+c", b"a b c"),
            (b"%41%4a%5A", b"AJZ"),
            (b"%", b"%"),
            (b"%4", b"%4"),
            (b"%zz%u0041", b"%zz%u0041"),
            (b"%%41", b"%A"),
            (b"%00", b"\0"),
        ],
    );
    check(
        Transform::UrlDecodeUni,
        &[
            (b"%u0041%U0061", b"Aa"),
            (b"%uff1cscript%uFF1E", b"<script>"),
            (b"%u2215", b"\x15"),
            (b"%u00e9", b"\xe9"),
            (b"%u004", b"%u004"),
            (b"%u%41", b"%uA"),
            (b"%uff00%uff5f", b"\x00\x5f"),
        ],
    );
    check(Transform::UrlEncode, &[(b"a b*/\xff", b"a+b*%2f%ff"), (b"abc", b"abc")]);
}

#[test]
fn escapes_of_languages_are_decoded() {
    check(
        Transform::JsDecode,
        &[
            (br"\u0041\uff1c\x42\103", b"A<BC"),
            (br"\n\t\v\a\b\f\r", b"\n\t\x0b\x07\x08\x0c\r"),
            (br#"\'\"\\\?\/"#, br#"'"\?/"#),
            (br"\u004\xg", b"u004xg"),
            (br"\477\7\0", b"\x277\x07\x00"),
            (br"end\", br"end\"),
        ],
    );
    check(
        Transform::CssDecode,
        &[
            (br"\65\6c s\000061x", b"elsax"),
            (b"ja\\vascript", b"javascript"),
            (b"a\\\nb", b"ab"),
            (br"\ff1c\0ff1cz", b"<<z"),
            (br"\41 \41  x", b"AA x"),
            (br"end\", b"end"),
            (br"\1234567", b"\x567"),
        ],
    );
    check(
        Transform::EscapeSeqDecode,
        &[
            (br"\a\b\f\n\r\t\v\\\?", b"\x07\x08\x0c\n\r\t\x0b\\?"),
            (br"\x41\X42\103\0", b"ABC\0"),
            (br"\xg\z", b"xgz"),
            (br"end\", br"end\"),
        ],
    );
    check(
        Transform::HtmlEntityDecode,
        &[
            (b"&lt;b&GT;&quot&amp;&nbsp;", b"<b>\"&\xa0"),
            (b"&#65;&#x42;&#X43&#068", b"ABCD"),
            (b"&#;&#x;&;&foo;&", b"&#;&#x;&;&foo;&"),
            (b"&ltb", b"&ltb"),
            (b"&amp;lt;", b"&lt;"),
        ],
    );
}

#[test]
fn text_is_simplified() {
    check(
        Transform::CmdLine,
        &[
            (b"C^Md.exe \"/c\"", b"cmd.exe/c"),
            (b"cat ,;\t /etc (x)", b"cat/etc(x)"),
            (b"a,b;c  d", b"a b c d"),
            (b"'' \\ ", b" "),
        ],
    );
    check(
        Transform::CompressWhitespace,
        &[
            (b"a \t\n b", b"a b"),
            (b"a\tb", b"a b"),
            (b"a \xa0b\xc2\xa0c", b"a b c"),
            ("你 好".as_bytes(), "你 好".as_bytes()),
            ("你好  x".as_bytes(), "你好 x".as_bytes()),
        ],
    );
    check(Transform::RemoveWhitespace, &[(b" a\t\xa0b \n", b"ab"), ("你 好".as_bytes(), "你好".as_bytes())]);
    check(Transform::Trim, &[(b" \ta b\n ", b"a b"), (b"  ", b"")]);
    check(Transform::TrimLeft, &[(b" a ", b"a ")]);
    check(Transform::TrimRight, &[(b" a ", b" a")]);
    check(Transform::Lowercase, &[("AbÄ".as_bytes(), "abÄ".as_bytes())]);
    check(Transform::Uppercase, &[(b"aB1", b"AB1")]);
    check(Transform::RemoveNulls, &[(b"a\0b\0", b"ab")]);
    check(Transform::ReplaceNulls, &[(b"a\0b", b"a b")]);
    check(Transform::Length, &[(b"", b"0"), (b"abcdefghijkl", b"12")]);
}

#[test]
fn comments_are_found() {
    check(
        Transform::ReplaceComments,
        &[(b"a/*x*/b/**/c", b"a b c"), (b"a/*b", b"a "), (b"*/a", b"*/a"), (b"/*/a*/b", b" b")],
    );
    check(
        Transform::RemoveComments,
        &[
            (b"un/**/ion<!-- x -->y", b"uniony"),
            (b"a--b", b"a"),
            (b"a#b", b"a"),
            (b"a/*b", b"a "),
            (b"a<!--b", b"a "),
            (b"a - b * c", b"a - b * c"),
        ],
    );
    check(Transform::RemoveCommentsChar, &[(b"a/*b*/c<!--d-->e--f#g", b"abcdefg"), (b"a-b<c", b"a-b<c")]);
}

#[test]
fn paths_are_normal() {
    let table: &[(&[u8], &[u8])] = &[
        (b"/foo/bar/baz", b"/foo/bar/baz"),
        (b"x", b"x"),
        (b".", b""),
        (b"./", b""),
        (b"./..", b".."),
        (b"./../", b"../"),
        (b"..", b".."),
        (b"../", b"../"),
        (b"../.", b".."),
        (b"../../", b"../../"),
        (b"/dir/foo//bar", b"/dir/foo/bar"),
        (b"dir/../foo", b"foo"),
        (b"dir/../../foo", b"../foo"),
        (b"dir/./.././../../foo/bar/.", b"../../foo/bar"),
        (b"dir/./.././../../foo/bar/./", b"../../foo/bar/"),
        (b"dir/./.././../../foo/bar/..", b"../../foo"),
        (b"dir/./.././../../foo/bar/../", b"../../foo/"),
        (b"/../a", b"/a"),
        (b"/a/..", b"/"),
        (b"/", b"/"),
        (b"//", b"/"),
        (b"/a/../../b", b"/b"),
        (b".hidden/..file", b".hidden/..file"),
        (b"a/b/", b"a/b/"),
    ];
    check(Transform::NormalizePath, table);
    check(Transform::NormalizePathWin, &[(b"a\\..\\b/\\c", b"b/c"), (b"\\etc\\passwd", b"/etc/passwd")]);
}

#[test]
fn codes_are_decoded_and_encoded() {
    check(
        Transform::Base64Decode,
        &[(b"aGVsbG8=", b"hello"), (b"aGVsbG8", b"hello"), (b"aGVs*bG8=", b"hel"), (b"=", b"")],
    );
    check(Transform::Base64DecodeExt, &[(b"aG.Vs*bG8=", b"hello"), (b"P.HNjcmlwdD4=", b"<script>")]);
    check(Transform::Base64Encode, &[(b"hello", b"aGVsbG8=")]);
    check(Transform::HexDecode, &[(b"48656C6c6f", b"Hello"), (b"414", b"A"), (b"41zz42", b"A")]);
    check(Transform::HexEncode, &[(b"\x00\xffA", b"00ff41")]);
    check(
        Transform::Utf8ToUnicode,
        &[
            ("a暴é😀".as_bytes(), b"a%u66b4%u00e9%u1f600"),
            (b"\xff\xc0\xaf", b"\xff\xc0\xaf"),
            ("\u{10ffff}".as_bytes(), b"%u10ffff"),
        ],
    );
}

#[test]
fn digests_are_those_of_the_standards() {
    let hex = |transform, input: &[u8]| {
        let mut out = Vec::new();
        encode::hex_encode(&transformed(transform, input), &mut out);
        String::from_utf8(out).unwrap()
    };
    // RFC 1321, appendix A.5.
    assert_eq!(hex(Transform::Md5, b""), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(hex(Transform::Md5, b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    let digits = "12345678901234567890123456789012345678901234567890123456789012345678901234567890";
    assert_eq!(hex(Transform::Md5, digits.as_bytes()), "57edf4a22be3c955ac49da2e2107b67a");
    assert_eq!(hex(Transform::Sha1, b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn unchanged_is_said_exactly_where_it_is_so(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in r"[ \t\n%+u0-9a-fA-Fx\\/.&#;*<!>\-\x00\x{a0}你]{0,60}",
    ) {
        for input in [bytes.as_slice(), text.as_bytes()] {
            for transform in ALL {
                let mut out = Vec::new();
                let changed = apply(transform, input, &mut out);
                let mut whole = Vec::new();
                carry_out(transform, input, &mut whole);
                prop_assert_eq!(changed, whole != input, "{:?} {}", transform, input.escape_ascii());
                prop_assert!(!changed || out == whole);
            }
        }
    }

    #[test]
    fn a_second_time_changes_nothing(text in r"[ \t\n\\/.a-cA-C*\-#\x00\x{a0}]{0,40}") {
        for transform in [
            Transform::CompressWhitespace,
            Transform::Lowercase,
            Transform::NormalizePath,
            Transform::NormalizePathWin,
            Transform::RemoveNulls,
            Transform::RemoveWhitespace,
            Transform::ReplaceComments,
            Transform::ReplaceNulls,
            Transform::Trim,
            Transform::TrimLeft,
            Transform::TrimRight,
            Transform::Uppercase,
        ] {
            let once = transformed(transform, text.as_bytes());
            let twice = transformed(transform, &once);
            let (once, twice) = (once.escape_ascii().to_string(), twice.escape_ascii().to_string());
            prop_assert_eq!(once, twice, "{:?} {}", transform, text);
        }
    }

    #[test]
    fn what_was_encoded_is_decoded(bytes in any::<Vec<u8>>()) {
        for (encode, decode) in [
            (Transform::UrlEncode, Transform::UrlDecode),
            (Transform::HexEncode, Transform::HexDecode),
            (Transform::Base64Encode, Transform::Base64Decode),
        ] {
            prop_assert_eq!(transformed(decode, &transformed(encode, &bytes)), bytes.as_slice());
        }
    }
}
