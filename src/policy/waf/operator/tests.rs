//! Operators as rules use them, and properties that hold for all of them.
//!
//! Patterns of the core rule set are read from where its package puts them; without the package that test has nothing to
//! say.

use proptest::prelude::*;

use super::super::model::{Operator, Text};
use super::*;

fn rx(pattern: &str) -> Matcher {
    compile(&Operator::Rx(pattern.into())).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn is_match(pattern: &str, value: &[u8]) -> bool {
    rx(pattern).matches(value, b"", None)
}

#[test]
fn patterns_mean_what_pcre_means() {
    let table: &[(&str, &[u8], bool)] = &[
        ("a.b", b"a\nb", true),
        ("a$", b"a\n", false),
        ("^b", b"a\nb", false),
        ("(?m)^b", b"a\nb", true),
        ("(?m)a$", b"a\nb", true),
        ("(?-s)a.b", b"a\nb", false),
        ("(?i)abc", b"xABCx", true),
        ("a(?i)b|c", b"C", true),
        ("(?i:a)b", b"Ab", true),
        ("(?i:a)b", b"AB", false),
        (r"\x5c\x2F", b"\\/", true),
        (r"\x{41}\101\cA\e", b"AA\x01\x1b", true),
        (r"[\x00-\x1f]", b"\t", true),
        ("[]a]", b"]", true),
        ("[^]a]", b"]", false),
        ("[a-]", b"-", true),
        (r"[\w-.]", b"-", true),
        (r"[\d\-x]", b"-", true),
        ("[[:alpha:]_]+$", b"az_", true),
        ("[[:^digit:]]", b"1", false),
        ("[[a]", b"[", true),
        ("a{,3}", b"a{,3}", true),
        ("a{2}", b"aa", true),
        ("^a{2,3}$", b"aaaa", false),
        ("x{y}", b"x{y}", true),
        ("{", b"{", true),
        ("]}", b"]}", true),
        (r"\Q.*\E+", b".**", true),
        (r"\h\v", b"\xa0\x85", true),
        (r"\R$", b"\r\n", true),
        (r"a\z", b"a\n", false),
        (r"a\Z", b"a\n", true),
        (r"\/\'\y", b"/'y", true),
        ("a++b", b"aab", true),
        ("a++ab", b"aab", false),
        (r"^x;\s*+[^c]", b"x; c", false),
        (r"^x;\s*+[^c]", b"x; d", true),
        ("(?i)a*+$", b"bAa", true),
        ("(?>a|ab)c", b"ac", true),
        ("(?x) a b # c\n c", b"abc", true),
        ("(?#note)a", b"a", true),
        ("(?<name>a)(?P<other>b)(?'third'c)", b"abc", true),
        ("暴力", "使用暴力。".as_bytes(), true),
        ("[暴力]{3}", "暴".as_bytes(), true),
        (r"\bfoo\b", b"a foo.", true),
        (r"\Boo\b", b"foo", true),
        (r"[\b]", b"\x08", true),
        (r"\s", b"\x0b", true),
        ("[^a]", b"\xff", true),
        ("a|", b"", true),
        ("", b"anything", true),
    ];
    for (pattern, value, expected) in table {
        assert_eq!(is_match(pattern, value), *expected, "{pattern} {}", value.escape_ascii());
    }
}

#[test]
fn what_cannot_be_taken_is_named() {
    for (pattern, named) in [
        (r"(a)\1", "back-reference"),
        (r"\k<n>", "back-reference"),
        ("(?R)", "recursion"),
        ("(?(1)a|b)", "condition"),
        ("(*SKIP)a", "verb"),
        (r"\p{L}", "Unicode property"),
        (r"\x{100}", "above ff"),
        ("(a", "without its `)`"),
        ("a)", "without its `(`"),
        ("[a", "without its `]`"),
        ("*a", "nothing to repeat"),
        ("a**", "quantifier of a quantifier"),
        ("a{1001}", "count above"),
        ("a{3,2}", "out of order"),
        ("[b-a]", "out of order"),
        ("[[:nope:]]", "POSIX"),
        ("a\\", "backslash at the end"),
        ("(?:(?:(?:[^a]{1000}){1000}){1000}){1000}", "too large"),
        ("x^%{tx.a}", "macro"),
    ] {
        match compile(&Operator::Rx(pattern.into())) {
            Ok(_) => panic!("{pattern} was taken"),
            Err(error) => assert!(error.to_string().contains(named), "{pattern}: {error}"),
        }
    }
    let deep = "(".repeat(5_000) + &")".repeat(5_000);
    assert!(compile(&Operator::Rx(deep.into())).is_err());
}

#[test]
fn groups_are_captured_and_forgotten() {
    let matcher = rx("(a+)(x)?(b)");
    let mut captures = Captures::default();
    let value = b"-aab-";
    assert!(matcher.matches(value, b"", Some(&mut captures)));
    assert_eq!(captures.get(0, value), Some(&b"aab"[..]));
    assert_eq!(captures.get(1, value), Some(&b"aa"[..]));
    assert_eq!(captures.get(2, value), None);
    assert_eq!(captures.get(3, value), Some(&b"b"[..]));
    assert_eq!(captures.len(), 4);
    assert!(!matcher.matches(b"ccc", b"", Some(&mut captures)));
    assert!(captures.is_empty());
    let many = rx("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)");
    assert!(many.matches(b"abcdefghijk", b"", Some(&mut captures)));
    assert_eq!((captures.len(), captures.get(9, b"abcdefghijk")), (GROUPS, Some(&b"i"[..])));
}

#[test]
fn a_macro_between_anchors_is_alternatives_of_text() {
    let matcher = rx("^%{tx.Charsets}$");
    let operand = matcher.operand().map(|text| format!("{text:?}")).unwrap();
    assert!(operand.contains("Tx") && operand.contains("charsets"), "{operand}");
    let charsets = b"utf-8|iso-8859-1|windows-1252";
    for (value, expected) in
        [("utf-8", true), ("utf-8x", true), ("xutf-8", false), ("windows-1252", true), ("koi8-r", false)]
    {
        assert_eq!(matcher.matches(value.as_bytes(), charsets, None), expected, "{value}");
    }
    assert!(rx("^%{tx.one}$").matches(b"1", b"1", None));
    assert!(!rx("^%{tx.one}$").matches(b"12", b"1", None));
}

#[test]
fn texts_are_compared() {
    let text = Text::literal("Admin");
    let table: [(Operator, &str, bool); 10] = [
        (Operator::Contains(text.clone()), "xAdminx", true),
        (Operator::Contains(text.clone()), "admin", false),
        (Operator::ContainsWord(text.clone()), "xAdmin", false),
        (Operator::BeginsWith(text.clone()), "Admins", true),
        (Operator::EndsWith(text.clone()), "sysAdmin", true),
        (Operator::StrEq(text.clone()), "Admin", true),
        (Operator::Within(text.clone()), "dmi", true),
        (Operator::Within(text), "dmx", false),
        (Operator::Ge(Text::literal("10")), "10abc", true),
        (Operator::Lt(Text::literal("10")), "-1", true),
    ];
    for (operator, value, expected) in table {
        let matcher = compile(&operator).unwrap();
        assert_eq!(matcher.operand(), None);
        assert_eq!(matcher.matches(value.as_bytes(), b"", None), expected, "{operator:?} {value}");
    }
}

#[test]
fn phrases_are_found_in_any_case_and_captured() {
    let phrases: Vec<Box<[u8]>> = [&b"sqlmap"[..], b"Nikto", b""].iter().map(|phrase| (*phrase).into()).collect();
    let matcher = compile(&Operator::Pm(phrases.into())).unwrap();
    let mut captures = Captures::default();
    let value = b"Mozilla NIKTO";
    assert!(matcher.matches(value, b"", Some(&mut captures)));
    assert_eq!(captures.get(0, value), Some(&b"NIKTO"[..]));
    assert!(matcher.is_its_literals());
    assert_eq!(matcher.literals().map(|literals| literals.len()), Some(2));
    let none = compile(&Operator::Pm(Vec::new().into())).unwrap();
    assert!(!none.matches(b"", b"", None) && none.literals().is_none() && !none.is_its_literals());
}

#[test]
fn injections_are_seen() {
    let sqli = compile(&Operator::DetectSqli).unwrap();
    let mut captures = Captures::default();
    assert!(sqli.matches(b"1' OR '1'='1", b"", Some(&mut captures)));
    assert_eq!(captures.get(0, b""), Some(&b"s&sos"[..]));
    assert!(!sqli.matches(b"What is the capital of France?", b"", None));
    let xss = compile(&Operator::DetectXss).unwrap();
    for value in ["<script>alert(1)</script>", "\" onerror=alert(1) x=\"", "' style=a", "<!doctype x"] {
        assert!(xss.matches(value.as_bytes(), b"", None), "{value}");
    }
    assert!(!xss.matches(b"1 < 2 and b = c", b"", None));
}

#[test]
fn a_row_of_empty_tags_does_not_run_the_stack_out() {
    let xss = compile(&Operator::DetectXss).unwrap();
    assert!(xss.matches(&b"</>".repeat(1_000_000), b"", None));
    for n in 0..32 {
        xss.matches(&b"</>".repeat(n), b"", None);
    }
}

#[test]
fn words_of_many_parts_take_linear_time() {
    let sqli = compile(&Operator::DetectSqli).unwrap();
    // Without words divided each of these would take minutes.
    for text in ["or.", "like`", "x...."] {
        sqli.matches(&text.repeat(30_000).into_bytes(), b"", None);
    }
    let attack = format!("1' or '{}'='x' union select 1 --", "a.".repeat(40));
    assert!(sqli.matches(attack.as_bytes(), b"", None));
    let harmless = format!("see {} for more", "a.example".repeat(40));
    assert!(!sqli.matches(harmless.as_bytes(), b"", None));
}

#[test]
fn every_pattern_of_the_core_rule_set_is_taken() {
    let mut refused = Vec::new();
    let mut count = 0;
    for (id, pattern) in core_rule_set() {
        count += 1;
        if let Err(error) = compile(&Operator::Rx(pattern.as_str().into())) {
            refused.push((id, error.to_string()));
        }
    }
    // The one with a back-reference.
    assert!(refused.iter().all(|(id, _)| id == "942130"), "{refused:?} of {count}");
}

/// `@rx` of the rule set where it is installed: (rule, pattern).
fn core_rule_set() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(folder) = std::fs::read_dir("/usr/share/modsecurity-crs/rules") else { return found };
    for file in folder.flatten().filter(|file| file.file_name().to_string_lossy().starts_with("REQUEST")) {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default().replace("\\\n", "");
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("SecRule ")) {
            let id = line.split("id:").nth(1).and_then(|rest| rest.get(..6)).unwrap_or("chain").to_owned();
            let Some(start) = line.find("\"@rx ").or_else(|| line.find("\"!@rx ")) else { continue };
            let rest = line.get(start + 1..).unwrap_or_default().split_once("@rx ").map_or("", |(_, rest)| rest);
            let mut pattern = String::new();
            let mut bytes = rest.chars().peekable();
            while let Some(byte) = bytes.next() {
                match (byte, bytes.peek()) {
                    ('\\', Some('"')) => pattern.extend(bytes.next()),
                    ('"', _) => break,
                    ('\\', Some('\\')) => {
                        bytes.next();
                        pattern.push_str("\\\\");
                    }
                    _ => pattern.push(byte),
                }
            }
            found.push((id, pattern));
        }
    }
    found
}

/// Patterns to make strings from: those that the generator of proptest reads too.
const GENERATORS: [&str; 12] = [
    r"union[ \t\n]{1,3}select",
    r"(sleep|benchmark|waitfor) ?\(",
    r"[ '/](on[a-z]{1,4}|style)=",
    r"a?b?c{2,3}(de|fg)+h*",
    r"(x|yy|zzz){2}[0-9]{3}",
    r"java\.lang\.(runtime|processbuilder)",
    r"[;|&]{1,2}(cat|ls|id)[ <>]",
    r"((a|bc)d?){1,2}e[f-k]l",
    r"(?:ab|cd)?(?:ef|gh)",
    r"[a-z]{2}xyz|q[b-z ]r",
    r"(foo){2,4}(bar)?",
    r"%[0-9a-f]{2}(%00|\.\.)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_match_contains_a_literal_and_the_bytes(
        (pattern, text, around) in (0..GENERATORS.len()).prop_flat_map(|n| {
            let pattern = GENERATORS[n];
            let text = proptest::string::bytes_regex(pattern).unwrap();
            (Just(pattern), text, any::<(Vec<u8>, Vec<u8>)>())
        }),
        upper in any::<bool>(),
    ) {
        let mut value = [around.0, text, around.1].concat();
        let matcher = if upper {
            value.make_ascii_uppercase();
            rx(&format!("(?i){pattern}"))
        } else {
            rx(pattern)
        };
        prop_assert!(matcher.matches(&value, b"", None), "{} {}", pattern, value.escape_ascii());
        let lower = value.to_ascii_lowercase();
        let literals = matcher.literals().unwrap();
        prop_assert!(literals.iter().any(|literal| memchr::memmem::find(&lower, literal).is_some()));
        prop_assert!(matcher.bytes().iter().all(|set| value.iter().any(|byte| set.contains(*byte))));
    }

    #[test]
    fn any_text_is_a_pattern_or_an_error(pattern in r"[ab()\[\]{}|*+?^$.\\:=!<>0-9dwsbQEi-]{0,24}", value in any::<Vec<u8>>()) {
        let Ok(matcher) = compile(&Operator::Rx(pattern.as_str().into())) else { return Ok(()) };
        let matched = matcher.matches(&value, b"", None);
        let mut captures = Captures::default();
        prop_assert_eq!(matcher.matches(&value, b"", Some(&mut captures)), matched);
        let lower = value.to_ascii_lowercase();
        let has = matcher.literals().map(|literals| literals.iter().any(|l| memchr::memmem::find(&lower, l).is_some()));
        if matched {
            prop_assert!(has != Some(false), "{}", pattern);
            prop_assert!(matcher.bytes().iter().all(|set| value.iter().any(|byte| set.contains(*byte))));
        } else if matcher.is_its_literals() {
            prop_assert_eq!(has, Some(false), "{}", pattern);
        }
    }

    #[test]
    fn both_engines_agree(pattern in r"(\^|)[ab(]{0,3}(a|b|ab?|[ab]\*|\(a\|b\)\+|\\b|\.){0,4}(\$|)", value in "[ab .]{0,12}") {
        let Ok(node) = pattern::parse(pattern.as_bytes()) else { return Ok(()) };
        let looking = pattern::Looking::new(&node).unwrap();
        prop_assert_eq!(looking.is_match(value.as_bytes()), is_match(&pattern, value.as_bytes()), "{} {}", pattern, value);
    }

    #[test]
    fn libinjection_takes_any_bytes(value in any::<Vec<u8>>(), text in "[ '\"`/*<>=a-c1;(){},.@#%\\\\!&|$\\[\\]-]{0,40}") {
        for value in [value.as_slice(), text.as_bytes()] {
            let is_xss = libinjectionrs::detect_xss(value).is_injection();
            prop_assert_eq!(injection::is_xss(value), is_xss, "{}", value.escape_ascii());
            injection::is_sqli(value, None);
        }
    }
}
