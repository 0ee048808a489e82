//! The habits that a machine can hold: import ranks, lengths, banned calls, docs in front. Each check is shown to fail.
//!
//! The checks read source text with comments, strings and test modules blanked out. They know Rust well enough for this
//! project and no other.

use std::path::Path;

/// Rank of each module; an import goes to a strictly lower one (`docs/architecture.md`).
const RANKS: &[(&str, u8)] = &[
    ("base", 0),
    ("bounds", 0),
    ("http", 1),
    ("stats", 1),
    ("log", 1),
    ("h1", 2),
    ("h2", 2),
    ("tls", 2),
    ("cache", 3),
    ("net", 3),
    ("policy", 3),
    ("upstream", 4),
    ("proxy", 5),
    ("front", 6),
    ("order", 7),
    ("plan", 7),
    ("control", 8),
    ("worker", 8),
    ("args", 9),
    ("gateway", 9),
    ("main", 9),
];

/// Imports between modules of one rank that stand by themselves: bounds names nothing, an order carries a plan.
const BESIDE: &[(&str, &str)] = &[("base", "bounds"), ("order", "plan")];

/// What is not called, where it is allowed (prefixes of paths), and what to do instead.
const BANNED: &[(&str, &[&str], &str)] = &[
    ("Instant::now", &["src/base/clock.rs"], "ask base::clock, or take `now` as an argument"),
    ("SystemTime", &["src/base/clock.rs"], "ask base::clock"),
    ("thread::sleep", CONTROL, "a core never blocks: use a deadline"),
    ("std::fs", FILES, "a core never reads files: control does and hands over what is in them"),
    ("File::open", FILES, "a core never reads files"),
    ("to_socket_addrs", CONTROL, "a core is told addresses: control resolves names"),
    ("println!", CONTROL, "a core writes through the log"),
    ("eprintln!", CONTROL, "a core writes through the log"),
    ("Mutex", CONTROL, "cores share nothing that is locked"),
    ("RwLock", CONTROL, "cores share nothing that is locked"),
    ("unbounded", &[], "every queue has a bound"),
    ("monoio", RUNTIME, "only the listed modules name the runtime, so that it can be replaced"),
    ("tokio", CONTROL, "tokio lives on the control thread"),
    (".unwrap()", &[], "return an error, or expect(\"… because …\") for a local invariant"),
    ("panic!", &[], "return an error"),
    ("unreachable!", &["src/h1/fuzz.rs", "src/h2/fuzz/"], "return an error, or shape the types so that it cannot be"),
    ("todo!", &[], "nothing half done lands"),
    ("unimplemented!", &[], "nothing half done lands"),
    ("dbg!", &[], "no debug prints"),
    ("mem::forget", &[], "nothing is leaked on purpose"),
    ("process::exit", &["src/main.rs"], "the end of the process is main's"),
    (".expose()", EXPOSING, "a secret stays in its type: only the listed files may read one"),
];

/// Control plane and process: one ordinary thread, where blocking hurts nobody.
const CONTROL: &[&str] =
    &["src/control/", "src/main.rs", "src/args.rs", "src/gateway.rs", "src/log/writer.rs", "src/log/sink.rs"];
/// Who may read files: the control plane, and the loader of certificates and
/// the figures of the process, which only control asks for.
const FILES: &[&str] = &[
    "src/control/",
    "src/main.rs",
    "src/args.rs",
    "src/gateway.rs",
    "src/log/writer.rs",
    "src/log/sink.rs",
    "src/tls/certificate.rs",
    "src/tls/client.rs",
    "src/stats/process.rs",
];
/// Who may name the runtime of a core.
const RUNTIME: &[&str] =
    &["src/net/", "src/front/", "src/upstream/", "src/worker.rs", "src/worker/", "src/base/buf.rs"];
/// Who may read a secret: where it goes to the wire, is compared, computed with or parsed. None of them writes to a log.
const EXPOSING: &[&str] = &[
    "src/base/secret.rs",
    "src/control/admin/signature.rs",
    "src/control/config/calling.rs",
    "src/control/config/fields.rs",
    "src/control/config/mod.rs",
    "src/proxy/headers.rs",
    "src/tls/certificate.rs",
];
/// Who may write `unsafe`.
const UNSAFE: &[&str] = &["src/h1/scan.rs", "src/net/dial.rs", "src/net/ready.rs"];

const LINES_MAX: usize = 800;

/// Source text with comments, strings and characters blanked out; lines stay where they are.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let blank = |out: &mut String, part: &str| out.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    while at < bytes.len() {
        let rest = &text[at..];
        let end = at
            + match bytes[at] {
                b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                b'r' if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
                b'"' => string(rest),
                b'\'' => character(rest).unwrap_or(0),
                _ => 0,
            };
        if end > at {
            blank(&mut out, &text[at..end]);
            at = end;
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// Length of a string literal.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of a raw string literal, where one starts here.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.bytes().take_while(|b| *b == b'#').count();
    let inner = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inner.find(&end).map_or(rest.len(), |at| 2 + hashes + at + end.len()))
}

/// Length of a character literal, where this is one and no lifetime.
fn character(rest: &str) -> Option<usize> {
    let inner = &rest[1..];
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map(|at| at + 4);
    }
    let c = inner.chars().next()?;
    inner[c.len_utf8()..].starts_with('\'').then_some(c.len_utf8() + 2)
}

/// Code without what stands behind `#[cfg(test)]`, be it a module in place or one item.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]").or_else(|| rest.find("#[cfg(all(test")) {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = item_end(item);
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out + rest
}

/// Where an item ends: at its semicolon, or at the brace that closes it.
fn item_end(item: &str) -> usize {
    let mut depth = 0;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// A word with nothing of a name on either side; parts that are not letters match as they are.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part) && word.starts_with(part);
        let after = line[at + word.len()..].chars().next().is_some_and(part) && word.ends_with(part);
        !before && !after
    })
}

fn allowed(path: &str, list: &[&str]) -> bool {
    list.iter().any(|prefix| path.starts_with(prefix))
}

fn module_of(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

fn rank_of(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

/// First names of a path: `x::y` gives `x`, `{a, b::c, d::{e, f}}` gives `a b d`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = Vec::new();
    let (mut depth, mut start) = (1, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (c == ',' && depth == 1) {
            names.push(name(group[start..at].trim()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Imports that go up or sideways, by `crate::`, by `ringway::` or by climbing out with `super::`.
fn check_ranks(path: &str, code: &str) -> Vec<String> {
    let own = module_of(path);
    if own == "lib" {
        return Vec::new();
    }
    let Some(rank) = rank_of(own) else { return vec![format!("{path}: module {own} has no rank in tidy.rs")] };
    let joined = code.replace(['\n', ' '], "");
    let mut wrong = Vec::new();
    for root in ["crate::", "ringway::"] {
        for (at, _) in joined.match_indices(root) {
            for name in first_names(&joined[at + root.len()..]) {
                let beside = BESIDE.contains(&(own, name.as_str()));
                let fine = name == own || beside || rank_of(&name).is_some_and(|other| other < rank);
                // main.rs and its parts form the executable: they are one crate of their own.
                let part_of_main = root == "crate::" && rank == 9;
                // Macros and items of the crate's root have no rank: there should be none.
                if !fine && !part_of_main {
                    wrong.push(format!("{path}: {own} (rank {rank}) may not import {name}: imports go down"));
                }
            }
        }
    }
    let depth = path.trim_end_matches("/mod.rs").matches('/').count();
    for (at, _) in joined.match_indices("super::") {
        if joined[..at].ends_with("super::") {
            continue;
        }
        let climbs = joined[at..].split("super::").take_while(|part| part.is_empty()).count();
        if climbs >= depth && rank < 9 {
            wrong.push(format!("{path}: `super::` climbs out of module {own}: name what is imported by `crate::`"));
        }
    }
    wrong
}

/// Banned calls and `unsafe` outside of their places.
fn check_bans(path: &str, code: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for (word, places, instead) in BANNED {
            if has_word(line, word) && !allowed(path, places) {
                wrong.push(format!("{path}:{}: {word}: {instead}", number + 1));
            }
        }
        if has_word(line, "unsafe") && !allowed(path, UNSAFE) {
            wrong.push(format!("{path}:{}: unsafe: only {UNSAFE:?} may", number + 1));
        }
    }
    wrong
}

/// What concerns the text itself: its first line, its length, marks of unfinished work, code in comments.
fn check_text(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//!") {
        wrong.push(format!("{path}:1: starts with `//!`: what it owns, what it must never do"));
    }
    if text.lines().count() > LINES_MAX {
        wrong.push(format!("{path}: {} lines, {LINES_MAX} at most: split it by concept", text.lines().count()));
    }
    for (number, line) in text.lines().enumerate() {
        if UNFINISHED.iter().any(|mark| has_word(line, mark)) {
            wrong.push(format!("{path}:{}: unfinished work is an issue, not a comment", number + 1));
        }
        if line.trim_start().strip_prefix("// ").is_some_and(is_code) {
            wrong.push(format!("{path}:{}: code in a comment: delete it, history keeps it", number + 1));
        }
    }
    wrong
}

const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Whether a comment reads like a statement.
fn is_code(comment: &str) -> bool {
    let comment = comment.trim();
    let starts = ["let ", "use ", "pub fn ", "fn ", "if let ", "match ", "return ", "#["];
    let ends = comment.ends_with(';') || comment.ends_with(") {") || comment.ends_with("},");
    ends && (comment.contains('(') || comment.contains('=') || starts.iter().any(|start| comment.starts_with(start)))
}

/// Tests of the suite whose first line does not say what must hold.
fn check_tests(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let tests = lines.iter().enumerate().filter(|(_, line)| **line == "#[test]");
    let said = |at: usize| {
        at > 0 && lines[..at].iter().rev().find(|l| !l.starts_with("#[")).is_some_and(|l| l.starts_with("///"))
    };
    tests
        .filter(|(at, _)| !said(*at))
        .map(|(at, _)| format!("{path}:{}: a test says first what must hold", at + 1))
        .collect()
}

fn check_source(path: &str, text: &str) -> Vec<String> {
    let code = without_tests(&code_of(text));
    let mut wrong = check_text(path, text);
    wrong.extend(check_ranks(path, &code));
    wrong.extend(check_bans(path, &code));
    wrong
}

/// Where the modules that a file declares behind `#[cfg(test)]` stand: `x` for `x.rs` and what is below `x/`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    };
    let code = code_of(text);
    let declared = code.split("#[cfg(test)]").skip(1).filter_map(|item| {
        let item = item.trim_start();
        let item = item.strip_prefix("pub(crate) ").or(item.strip_prefix("pub ")).unwrap_or(item);
        item.strip_prefix("mod ")?.split_once(';').map(|(name, _)| name.trim()).filter(|name| !name.contains(' '))
    });
    declared.map(|name| format!("{folder}/{name}")).collect()
}

/// Whether a file belongs to one of these modules.
fn is_below(path: &str, modules: &[String]) -> bool {
    modules.iter().any(|m| path.strip_prefix(m.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')))
}

/// Every Rust file below a folder, with its path from the root of the project.
fn files(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file is text");
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                found.push((name, text));
            }
        }
    }
    found.sort();
    found
}

/// The sources keep the rules.
#[test]
fn sources_are_tidy() {
    let sources = files("src");
    assert!(sources.len() > 10, "the sources are found");
    // Files of tests alone are bound by their lengths, not by ranks and bans.
    let tests: Vec<String> = sources.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let check = |(path, text): &(String, String)| {
        if is_below(path, &tests) { check_text(path, text) } else { check_source(path, text) }
    };
    let wrong: Vec<String> = sources.iter().flat_map(check).collect();
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

/// The tests keep those rules that are theirs.
#[test]
fn tests_are_tidy() {
    let sources = files("tests");
    let texts = sources.iter().flat_map(|(path, text)| check_text(path, text));
    let suite = sources.iter().filter(|(path, _)| path.starts_with("tests/suite/"));
    let wrong: Vec<String> = texts.chain(suite.flat_map(|(path, text)| check_tests(path, text))).collect();
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every module of the library has a rank, and every rank is that of a module that exists.
#[test]
fn ranks_and_modules_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (module, _) in RANKS {
        let exists = root.join(format!("{module}.rs")).exists() || root.join(module).join("mod.rs").exists();
        assert!(exists, "{module} is in the table but not in src");
    }
}

/// The list of files with `unsafe` is short and holds no file that has none.
#[test]
fn the_list_of_unsafe_files_is_true() {
    assert!(UNSAFE.len() <= 4);
    for (path, text) in files("src").iter().filter(|(path, _)| UNSAFE.contains(&path.as_str())) {
        assert!(
            code_of(text).lines().any(|line| has_word(line, "unsafe")),
            "{path} has no unsafe any more: take it off the list"
        );
    }
}

/// The list of files that read secrets is short and holds no file that reads none.
#[test]
fn the_list_of_files_that_read_secrets_is_true() {
    let sources = files("src");
    for path in EXPOSING {
        let text = sources.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str()).unwrap_or_default();
        let reads = code_of(text).contains(".expose()") || code_of(text).contains("fn expose(");
        assert!(reads, "{path} reads no secret any more: take it off the list");
    }
}

/// The length of functions is clippy's business, at 70 lines, denied.
#[test]
fn clippy_counts_the_lines_of_functions() {
    let read = |name: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a file of the project")
    };
    assert!(read("clippy.toml").contains("too-many-lines-threshold = 70"));
    let manifest = read("Cargo.toml");
    for lint in ["too_many_lines = \"deny\"", "undocumented_unsafe_blocks = \"deny\"", "unsafe_code = \"deny\""] {
        assert!(manifest.contains(lint), "{lint}");
    }
    let exceptions = files("src").iter().map(|(_, text)| text.matches("clippy::too_many_lines").count()).sum::<usize>();
    assert!(exceptions <= 3, "{exceptions} functions are excepted; three at most");
}

#[cfg(test)]
mod planted {
    use super::*;

    #[track_caller]
    fn finds(path: &str, text: &str, part: &str) {
        let wrong = check_source(path, &format!("//! Planted.\n{text}\n"));
        assert!(wrong.iter().any(|w| w.contains(part)), "{part:?} is not found in {text:?}: {wrong:?}");
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        let wrong = check_source(path, &format!("//! Planted.\n{text}\n"));
        assert!(wrong.is_empty(), "{text:?}: {wrong:?}");
    }

    /// Imports that go up, sideways or out are found in every form.
    #[test]
    fn upward_imports_are_found() {
        finds("src/h1/body.rs", "use crate::net::Stream;", "may not import net");
        finds("src/h1/body.rs", "use crate::tls;", "may not import tls");
        finds("src/h1/body.rs", "use crate::{base, http::{Method, Version}, proxy};", "may not import proxy");
        finds("src/h1/body.rs", "use crate::{\n    base::clock,\n    front::accept,\n};", "may not import front");
        finds("src/h1/body.rs", "fn f() { crate::worker::run() }", "may not import worker");
        finds("src/h1/body.rs", "use super::super::net::Stream;", "climbs out");
        finds("src/stats.rs", "use super::net;", "climbs out");
        finds("src/h1/mod.rs", "use super::tls;", "climbs out");
        finds("src/plan.rs", "use crate::order;", "may not import order");
        finds("src/newcomer.rs", "", "has no rank");
        passes(
            "src/h1/body.rs",
            "use crate::{base, bounds, http::{Method, Version}};\nuse super::Reject;\nuse crate::h1::x;",
        );
        passes("src/main.rs", "use ringway::control;\nuse crate::args;");
        passes("src/h1/body.rs", "// crate::net is above\nconst A: &str = \"crate::net\";");
    }

    /// Banned calls are found outside of their places, and not in comments, strings or tests.
    #[test]
    fn banned_calls_are_found() {
        for (word, _, _) in BANNED {
            finds("src/h1/body.rs", &format!("fn f() {{ x{word}(); {word}(); }}"), word);
            passes(
                "src/h1/body.rs",
                &format!("/// Never {word}.\nconst A: &str = \"{word}\"; const B: &str = r#\"\"{word}\"#;"),
            );
        }
        finds("src/net/listen.rs", "unsafe { f() }", "unsafe");
        passes("src/h1/scan.rs", "#![expect(unsafe_code)]\nfn f() { unsafe { g() } }");
        passes("src/net/listen.rs", "use monoio::net::TcpListener;");
        passes("src/base/clock.rs", "fn now() { Instant::now(); }");
        passes(
            "src/h1/body.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { h().unwrap(); }\n}\n#[cfg(test)]\nmod more;\n",
        );
        finds("src/h1/body.rs", "#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn f() { h().unwrap(); }", ".unwrap()");
        finds(
            "src/h1/body.rs",
            "const Q: char = '\"'; fn f() { h().unwrap(); } const R: char = '\\''; // \"",
            ".unwrap()",
        );
        passes("src/h1/body.rs", "fn unsafe_name(x: unbounded_thing, my_unsafe: u8) {}");
    }

    /// Only files that are declared behind `#[cfg(test)]` count as tests.
    #[test]
    fn files_of_tests_are_known() {
        let modules =
            test_modules("src/h1/mod.rs", "mod a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\nmod c {\n    mod d;\n}\n");
        assert_eq!(modules, ["src/h1/b"]);
        assert!(is_below("src/h1/b.rs", &modules) && is_below("src/h1/b/x.rs", &modules));
        assert!(!is_below("src/h1/bb.rs", &modules) && !is_below("src/h1/a.rs", &modules));
        assert_eq!(test_modules("src/h1/body.rs", "#[cfg(test)]\npub(crate) mod tests;"), ["src/h1/body/tests"]);
    }

    /// Files without a head, too long, or with unfinished work are found.
    #[test]
    fn untidy_texts_are_found() {
        let no_head = check_source("src/h1/body.rs", "fn f() {}\n");
        assert!(no_head.iter().any(|w| w.contains("starts with")));
        finds("src/h1/body.rs", &"\n".repeat(LINES_MAX), "lines");
        for mark in UNFINISHED {
            finds("src/h1/body.rs", &format!("// {mark}: later"), "unfinished");
        }
        finds("src/h1/body.rs", "    // let x = f(1);", "code in a comment");
        finds("src/h1/body.rs", "    // self.write(bytes)?;", "code in a comment");
        passes("src/h1/body.rs", "    // The head is kept; the body is not.\n    // See f(x): it is enough.");
        assert_eq!(check_tests("t.rs", "/// Holds.\n#[test]\nfn a() {}\n#[test]\nfn b() {}").len(), 1);
    }
}
