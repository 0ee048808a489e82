//! What the parts of the firewall cost on ordinary values: transformations and operators on 1 KiB of JSON, of English and
//! of Chinese. The pattern set of CRS is read where it is installed, and left out where it is not.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringway::policy::waf::model::{Operator, Transform};
use ringway::policy::waf::operator::{Matcher, compile};
use ringway::policy::waf::transform::apply;

fn json() -> Vec<u8> {
    let message = br#"{"role":"user","content":"Please summarise the quarterly report of the north branch"},"#;
    message.iter().copied().cycle().take(1024).collect()
}

fn prompt() -> Vec<u8> {
    let text = "You are a helpful assistant. It's important that you don't select the wrong option; \
                explain the trade-offs between A and B (e.g. cost = 3), then write 2-3 sentences about \"union rules\". ";
    text.bytes().cycle().take(1024).collect()
}

fn chinese() -> Vec<u8> {
    "请用中文总结下面这篇文章的主要内容，并给出三条建议。".bytes().cycle().take(1024 / 3 * 3).collect()
}

fn transforms(c: &mut Criterion) {
    let mut group = c.benchmark_group("transform");
    group.throughput(Throughput::Bytes(1024));
    let input = json();
    let mut out = Vec::with_capacity(4096);
    for transform in [
        Transform::UrlDecodeUni,
        Transform::HtmlEntityDecode,
        Transform::JsDecode,
        Transform::CssDecode,
        Transform::RemoveNulls,
        Transform::Lowercase,
        Transform::CompressWhitespace,
        Transform::RemoveWhitespace,
        Transform::ReplaceComments,
        Transform::CmdLine,
        Transform::NormalizePath,
        Transform::NormalizePathWin,
        Transform::Utf8ToUnicode,
    ] {
        group.bench_function(format!("{transform:?}"), |b| {
            b.iter(|| {
                out.clear();
                apply(transform, black_box(&input), &mut out)
            });
        });
    }
    group.finish();
}

fn operators(c: &mut Criterion) {
    let mut group = c.benchmark_group("operator");
    group.throughput(Throughput::Bytes(1024));
    let patterns = [
        ("literals", "(?i)ignore previous instructions|jailbreak|developer mode"),
        ("words", r"(?i)\b(?:sleep|benchmark)\s*?\(.*?\)"),
        ("classes", r"(?i)[\s()]case\s*?\(|\)\s*?like\s*?\(|having\s*?[^\s]+\s*?[^\w\s]"),
        ("behind", r"(?<!&amp|&apos|&quot);"),
    ];
    for (name, value) in [("json", json()), ("prompt", prompt()), ("chinese", chinese())] {
        let mut ask = |what: &str, operator: &Operator| {
            let matcher = compile(operator).expect("the operators of this file compile");
            group
                .bench_function(format!("{what} {name}"), |b| b.iter(|| matcher.matches(black_box(&value), b"", None)));
        };
        ask("sqli", &Operator::DetectSqli);
        ask("xss", &Operator::DetectXss);
        for (what, pattern) in patterns {
            ask(what, &Operator::Rx(pattern.into()));
        }
    }
    group.finish();
}

/// All patterns of the rule set on one value, with what must be in a value looked at first, and without.
fn rule_set(c: &mut Criterion) {
    let patterns = crs_patterns();
    if patterns.is_empty() {
        return;
    }
    let mut group = c.benchmark_group("rule set");
    group.sample_size(10);
    group.bench_function("compile", |b| {
        b.iter(|| patterns.iter().filter_map(|pattern| compile(&Operator::Rx(pattern.as_str().into())).ok()).count());
    });
    let matchers: Vec<Matcher> =
        patterns.iter().filter_map(|pattern| compile(&Operator::Rx(pattern.as_str().into())).ok()).collect();
    for (name, value) in [("json", json()), ("prompt", prompt()), ("chinese", chinese())] {
        group.bench_function(format!("all {name}"), |b| {
            b.iter(|| matchers.iter().filter(|matcher| matcher.matches(black_box(&value), b"", None)).count());
        });
    }
    group.finish();
}

fn crs_patterns() -> Vec<String> {
    let Ok(folder) = std::fs::read_dir("/usr/share/modsecurity-crs/rules") else { return Vec::new() };
    let mut patterns = Vec::new();
    for file in folder.flatten().filter(|file| file.file_name().to_string_lossy().starts_with("REQUEST-9")) {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default().replace("\\\n", "");
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("SecRule ARGS")) {
            let Some((_, rest)) = line.split_once("\"@rx ") else { continue };
            if let Some((pattern, _)) = rest.replace("\\\"", "\u{1}").split_once('"') {
                patterns.push(pattern.replace('\u{1}', "\""));
            }
        }
    }
    patterns
}

criterion_group!(benches, transforms, operators, rule_set);
criterion_main!(benches);
