//! Lines: from the text of a rule file to directives and their words.
//!
//! Quoting is that of Apache's configuration, which rule sets are written for: in quotes `\"` is a quote and `\\` is a
//! backslash, and any other backslash stays. Knows no directive.

use super::{Fault, fault};

/// A directive: physical lines joined where one ends with a backslash.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The first physical line, from 1.
    pub number: u32,
    pub text: String,
}

/// The directives of a text, and the lines that a comment's backslash took away though they look like directives.
pub(super) fn directives(text: &str) -> (Vec<Line>, Vec<u32>) {
    let mut lines = Vec::new();
    let mut swallowed = Vec::new();
    let mut physical = (1u32..).zip(text.strip_prefix('\u{feff}').unwrap_or(text).lines());
    while let Some((number, first)) = physical.next() {
        let mut joined = String::new();
        let mut part = first;
        let comment = first.trim_start().starts_with('#');
        while let Some(head) = part.strip_suffix('\\') {
            joined.push_str(head);
            let Some((next_number, next)) = physical.next() else {
                part = "";
                break;
            };
            if comment && looks_like_directive(next) {
                swallowed.push(next_number);
            }
            part = next;
        }
        joined.push_str(part);
        if !comment && !joined.trim().is_empty() {
            lines.push(Line { number, text: joined.trim().to_owned() });
        }
    }
    (lines, swallowed)
}

fn looks_like_directive(line: &str) -> bool {
    let line = line.trim_start();
    ["Sec", "Include"].iter().any(|word| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
}

/// The words of a directive, without their quotes.
///
/// # Errors
/// A quote is not closed, or closed in the middle of a word.
pub(super) fn words(text: &str) -> Result<Vec<String>, Fault> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            '"' | '\'' => quoted(rest.get(1..).unwrap_or_default(), first)?,
            _ => plain(rest),
        };
        words.push(word);
        rest = behind.trim_start();
    }
    Ok(words)
}

/// The text up to the closing quote, and what is behind it.
fn quoted(text: &str, quote: char) -> Result<(String, &str), Fault> {
    let mut word = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next_if(|(_, next)| *next == '\\' || *next == quote) {
                Some((_, escaped)) => word.push(escaped),
                None => word.push('\\'),
            },
            c if c == quote => {
                let behind = text.get(at + 1..).unwrap_or_default();
                if behind.starts_with(|c: char| !c.is_whitespace()) {
                    let what = format!("text follows a closing quote: {}", start_of(behind));
                    return Err(fault("quotes", what, "write \\\" for a quote inside of quotes"));
                }
                return Ok((word, behind));
            }
            c => word.push(c),
        }
    }
    let what = format!("the quote is not closed in front of {}", start_of(text));
    Err(fault("quotes", what, "close it, or end the line with a backslash when the rule goes on below"))
}

/// The text up to white space outside of single quotes (`ARGS:'/a b/'`).
fn plain(text: &str) -> (String, &str) {
    let mut inside = false;
    let mut last = ' ';
    let end = text.char_indices().find(|(_, c)| {
        if *c == '\'' && (inside || last == ':') {
            inside = !inside;
        }
        last = *c;
        c.is_whitespace() && !inside
    });
    let (word, behind) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    (word.to_owned(), behind)
}

/// Enough of a text to find it.
fn start_of(text: &str) -> String {
    let start: String = text.chars().take(24).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(u32, String)> {
        directives(text).0.into_iter().map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn lines_are_joined_and_comments_left_out() {
        let text = "\u{feff}# a comment\n\n  SecRule A \\\n   \"b\" \\\r\n  c\r\n#x \\\n#y\nSecMarker END";
        assert_eq!(texts(text), [(3, "SecRule A    \"b\"   c".to_owned()), (8, "SecMarker END".to_owned())]);
        assert_eq!(texts("a \\"), [(1, "a".to_owned())]);
    }

    #[test]
    fn a_comment_that_swallows_a_rule_is_told() {
        let (lines, swallowed) = directives("# old: \\\nSecRule ARGS x \"id:1\"\n# fine \\\n # more\n");
        assert_eq!((lines.len(), swallowed), (0, vec![2]));
    }

    #[test]
    fn words_lose_their_quotes() {
        for (text, wanted) in [
            (
                r#"SecRule ARGS|!ARGS:a "@rx a\"b\d\\" 'id:1,msg:x'"#,
                &["SecRule", "ARGS|!ARGS:a", r#"@rx a"b\d\"#, "id:1,msg:x"][..],
            ),
            (r"&TX:'/WEB ATTACK/' x", &["&TX:'/WEB ATTACK/'", "x"]),
            (r#""" b"#, &["", "b"]),
            (r#""it's" 'say "x"'"#, &["it's", r#"say "x""#]),
            ("", &[]),
        ] {
            assert_eq!(words(text).unwrap(), wanted, "{text}");
        }
        assert!(words(r#"a "b"#).unwrap_err().what.contains("not closed"));
        assert!(words(r#"a "b"c""#).unwrap_err().what.contains("follows a closing quote"));
    }
}
