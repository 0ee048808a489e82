//! Operators: `@name operand`, `!@name operand`, or a pattern alone, with the files that some of them name.

use std::sync::Arc;

use ipnet::IpNet;

use super::macros::{self, Unknown};
use super::{DataFiles, Fault, fault, unsupported};
use crate::policy::waf::model::{Operator, Text};

/// The operator and whether it is negated.
///
/// # Errors
/// There is no such operator, or it cannot be asked with that operand.
pub(super) fn operator(written: &str, files: &mut DataFiles<'_>) -> Result<(Operator, bool), Fault> {
    let text = written.trim();
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let Some(named) = text.strip_prefix('@') else {
        return Ok((Operator::Rx(text.into()), negated));
    };
    let (name, operand) = named.split_at(named.find(char::is_whitespace).unwrap_or(named.len()));
    Ok((of(name, operand.trim(), files)?, negated))
}

fn of(name: &str, operand: &str, files: &mut DataFiles<'_>) -> Result<Operator, Fault> {
    let text = || macros::text(operand, Unknown::Refused);
    Ok(match name.to_ascii_lowercase().as_str() {
        "rx" => Operator::Rx(operand.into()),
        // A search for the same bytes, however it is done.
        "contains" | "strmatch" => Operator::Contains(text()?),
        "containsword" => Operator::ContainsWord(text()?),
        "beginswith" => Operator::BeginsWith(text()?),
        "endswith" => Operator::EndsWith(text()?),
        "streq" => Operator::StrEq(text()?),
        "within" => Operator::Within(text()?),
        "pm" => Operator::Pm(phrases(name, operand)?),
        "pmf" | "pmfromfile" => Operator::Pm(phrases_of_files(name, operand, files)?),
        "eq" => Operator::Eq(number(name, text()?)?),
        "ge" => Operator::Ge(number(name, text()?)?),
        "gt" => Operator::Gt(number(name, text()?)?),
        "le" => Operator::Le(number(name, text()?)?),
        "lt" => Operator::Lt(number(name, text()?)?),
        "ipmatch" => Operator::IpMatch(networks(name, operand.split(','))?.into()),
        "ipmatchf" | "ipmatchfromfile" => Operator::IpMatch(networks_of_files(name, operand, files)?),
        "detectsqli" => Operator::DetectSqli,
        "detectxss" => Operator::DetectXss,
        "validatebyterange" => Operator::ValidateByteRange(Box::new(byte_range(name, operand)?)),
        "validateurlencoding" => Operator::ValidateUrlEncoding,
        "validateutf8encoding" => Operator::ValidateUtf8Encoding,
        "unconditionalmatch" => Operator::UnconditionalMatch,
        "nomatch" => Operator::NoMatch,
        other => return Err(unknown(name, other)),
    })
}

fn unknown(name: &str, lower: &str) -> Fault {
    let construct = format!("@{name}");
    match lower {
        "rbl" | "gsblookup" => unsupported(construct, "asks another server about each request", "remove the rule"),
        "geolookup" => unsupported(construct, "needs a database of places", "remove the rule, or use @ipMatchFromFile"),
        "inspectfile" | "fuzzyhash" => {
            unsupported(construct, "works on uploaded files, which are not kept", "remove the rule")
        }
        "rsub" | "verifycc" | "verifycpf" | "verifyssn" | "verifysvnr" | "validatedtd" | "validatehash"
        | "validateschema" | "rxglobal" => unsupported(construct, "is not supported", "remove the rule, or use @rx"),
        _ => fault(
            construct,
            "is not an operator",
            "docs/waf.md lists the operators; a pattern that begins with @ is written @rx @…",
        ),
    }
}

/// Numbers are compared; a text in the place of one is 0, as ModSecurity has it, and never meant.
fn number(name: &str, text: Text) -> Result<Text, Fault> {
    match text.as_literal() {
        Some(literal) if literal.trim().parse::<i64>().is_err() => {
            let what = format!("compares numbers, and {literal:?} is none");
            Err(fault(format!("@{name}"), what, "write a whole number, or use @streq"))
        }
        _ => Ok(text),
    }
}

/// Phrases of `@pm`, separated by white space; `|41 42|` in a phrase stands for bytes.
fn phrases(name: &str, operand: &str) -> Result<Arc<[Box<[u8]>]>, Fault> {
    let mut phrases = Vec::new();
    let mut phrase = Vec::new();
    let mut in_hex = false;
    let mut digits = String::new();
    for c in operand.chars().chain(std::iter::once(' ')) {
        match c {
            '|' => {
                in_hex = !in_hex;
                phrase.extend(hex(name, &std::mem::take(&mut digits))?);
            }
            c if in_hex && !c.is_whitespace() => digits.push(c),
            c if in_hex && c.is_whitespace() => {}
            c if c.is_whitespace() => {
                if !phrase.is_empty() {
                    phrases.push(std::mem::take(&mut phrase).into_boxed_slice());
                }
            }
            c => phrase.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if in_hex {
        return Err(fault(format!("@{name}"), "a part in hexadecimal digits has no second |", "close it with |"));
    }
    not_empty(name, phrases)
}

fn hex(name: &str, digits: &str) -> Result<Vec<u8>, Fault> {
    let wrong =
        || fault(format!("@{name}"), format!("|{digits}| is not bytes in hexadecimal digits"), "write pairs of digits");
    if !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let pairs = digits.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)).collect()
}

fn not_empty(name: &str, phrases: Vec<Box<[u8]>>) -> Result<Arc<[Box<[u8]>]>, Fault> {
    if phrases.is_empty() {
        return Err(fault(format!("@{name}"), "has no phrases", "write at least one"));
    }
    Ok(phrases.into())
}

/// The lines of files, without empty ones and comments.
fn phrases_of_files(name: &str, operand: &str, files: &mut DataFiles<'_>) -> Result<Arc<[Box<[u8]>]>, Fault> {
    let mut phrases: Vec<Box<[u8]>> = Vec::new();
    for file in data_files(name, operand, files)? {
        phrases.extend(lines(&file).map(Into::into));
    }
    not_empty(name, phrases)
}

/// The contents of each file that an operand names.
fn data_files(name: &str, operand: &str, files: &mut DataFiles<'_>) -> Result<Vec<Vec<u8>>, Fault> {
    if operand.is_empty() {
        return Err(fault(format!("@{name}"), "names no file", "write the path of one"));
    }
    let mut contents = Vec::new();
    for path in operand.split_whitespace() {
        if path.contains("://") {
            return Err(unsupported(
                format!("@{name}"),
                "takes no addresses of other servers",
                "keep the list in a file",
            ));
        }
        let read = files.read(path).map_err(|e| fault(format!("@{name} {path}"), e, "check the path"))?;
        if read.is_empty() {
            return Err(fault(format!("@{name} {path}"), "there is no such file", "check the path"));
        }
        contents.extend(read.into_iter().map(|(_, bytes)| bytes));
    }
    Ok(contents)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

fn networks<'t>(name: &str, list: impl Iterator<Item = &'t str>) -> Result<Vec<IpNet>, Fault> {
    let one = |text: &str| {
        let text = text.trim();
        let net = text
            .parse::<IpNet>()
            .ok()
            .or_else(|| text.parse().ok().map(|address: std::net::IpAddr| IpNet::from(address)));
        net.ok_or_else(|| {
            fault(format!("@{name}"), format!("{text:?} is not an address or a network"), "write such as 192.0.2.0/24")
        })
    };
    list.map(one).collect()
}

fn networks_of_files(name: &str, operand: &str, files: &mut DataFiles<'_>) -> Result<Arc<[IpNet]>, Fault> {
    let mut all = Vec::new();
    for file in data_files(name, operand, files)? {
        let text = String::from_utf8_lossy(&file).into_owned();
        all.extend(networks(
            name,
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')),
        )?);
    }
    Ok(all.into())
}

/// `1-255`, `9,10,13,32-126`.
fn byte_range(name: &str, operand: &str) -> Result<[u64; 4], Fault> {
    let mut bits = [0u64; 4];
    for part in operand.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let bounds = from.trim().parse::<u8>().ok().zip(to.trim().parse::<u8>().ok()).filter(|(from, to)| from <= to);
        let Some((from, to)) = bounds else {
            let what = format!("{part:?} is not a range of bytes");
            return Err(fault(format!("@{name}"), what, "write such as 32-126,9,10"));
        };
        for byte in from..=to {
            if let Some(word) = bits.get_mut(usize::from(byte >> 6)) {
                *word |= 1 << (byte & 63);
            }
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn read(written: &str) -> Result<(Operator, bool), Fault> {
        let mut none = |_: &str, _: &str| Ok(Vec::new());
        operator(written, &mut DataFiles { files: &mut none, from: "r.conf".into() })
    }

    #[test]
    fn operators_by_name_and_patterns_without() {
        let literal = Text::literal;
        for (written, wanted, negated) in [
            ("^a b$", Operator::Rx("^a b$".into()), false),
            ("!^$", Operator::Rx("^$".into()), true),
            ("! @rx  x", Operator::Rx("x".into()), true),
            ("@StrEq a b", Operator::StrEq(literal("a b")), false),
            ("@strmatch x", Operator::Contains(literal("x")), false),
            ("@detectXSS", Operator::DetectXss, false),
            ("!@lt 1", Operator::Lt(literal("1")), true),
            (
                "@ipMatch 10.0.0.0/8, ::1",
                Operator::IpMatch(["10.0.0.0/8", "::1/128"].map(|n| n.parse().unwrap()).into()),
                false,
            ),
            ("@pm a A|42 43|C  暴", Operator::Pm([&b"a"[..], b"ABCC", "暴".as_bytes()].map(Box::from).into()), false),
            ("@validateByteRange 0,64-65,255", Operator::ValidateByteRange(Box::new([1, 3, 0, 1 << 63])), false),
        ] {
            assert_eq!(read(written).unwrap(), (wanted, negated), "{written}");
        }
        assert!(matches!(read("@eq %{tx.n}").unwrap().0, Operator::Eq(text) if text.as_literal().is_none()));
    }

    #[test]
    fn operands_that_an_operator_cannot_have() {
        for (written, construct, kind) in [
            ("@pm", "@pm", Kind::Malformed),
            ("@pm a|4", "@pm", Kind::Malformed),
            ("@pm a|4g|", "@pm", Kind::Malformed),
            ("@pmFromFile", "@pmFromFile", Kind::Malformed),
            ("@pmFromFile no.data", "@pmFromFile no.data", Kind::Malformed),
            ("@pmFromFile https://x/y", "@pmFromFile", Kind::Unsupported),
            ("@ipMatch 10.0.0.0/40", "@ipMatch", Kind::Malformed),
            ("@validateByteRange 5-1", "@validateByteRange", Kind::Malformed),
            ("@validateByteRange 256", "@validateByteRange", Kind::Malformed),
            ("@rbl x", "@rbl", Kind::Unsupported),
            ("@contains %{geo.x}", "%{geo.x}", Kind::Unsupported),
        ] {
            let fault = read(written).unwrap_err();
            assert_eq!((fault.construct.as_str(), fault.kind), (construct, kind), "{written}");
        }
    }
}
