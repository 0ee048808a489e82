//! The OWASP Core Rule Set in the real executable: the table of cases that the library is judged by
//! (`tests/core_rule_set.rs`), asked over connections. Needs Debian's `modsecurity-crs`; without it the tests say so.

use std::collections::BTreeMap;
use std::path::Path;

use super::crs_cases::{self, Case, Expected};
use super::h2::H2;
use super::harness::*;

const RULES: &str = "/usr/share/modsecurity-crs/rules";
const SETUP: &str = "/etc/modsecurity/crs/crs-setup.conf";

/// Rules whose requests we refuse ourselves, before the score is asked for.
const REFUSED_EARLIER: &[u64] = &[911_100, 920_100, 920_280, 920_290, 920_430, 920_450, 920_620, 930_100];
/// Rules that are not taken: see `tests/core_rule_set.rs`.
const NOT_TAKEN: &[u64] = &[942_130];
/// Rules that warn or notice: what they give does not reach the score that blocks.
const TOO_LIGHT: &[u64] = &[
    920_190, 920_200, 920_201, 920_210, 920_220, 920_230, 920_240, 920_280, 920_300, 920_320, 920_330, 920_340,
    920_350, 942_110, 942_420, 942_421, 942_431, 942_460,
];

/// A gateway as `examples/waf/crs.toml` describes it, blocking; the client's address, which the PROXY protocol gives,
/// says at which paranoia level: 198.51.100.1 to 198.51.100.4.
fn guarded(origin: &Serving) -> Option<Gateway> {
    if !Path::new(RULES).exists() || !Path::new(SETUP).exists() {
        eprintln!("modsecurity-crs is not installed: no case was judged");
        return None;
    }
    let mut rules = format!("SecRuleEngine On\nInclude {SETUP}\n");
    for level in 1..=4 {
        rules += &format!(
            "SecRule REMOTE_ADDR \"@ipMatch 198.51.100.{level}\" \
             \"id:{level},phase:1,nolog,pass,t:none,setvar:tx.paranoia_level={level}\"\n"
        );
    }
    // Named, so that it is not compiled in vain first; the example leaves it out by `skip_unsupported`.
    rules += &format!("Include {RULES}/*.conf\nSecRuleRemoveById 942130\n");
    let table =
        format!("[[waf]]\nname = \"crs\"\nskip_unsupported = true\ndecompress = true\nrules = '''\n{rules}'''\n");
    let bare = Config::to(origin).listener("proxy_protocol = true");
    let gateway = bare.start();
    // Some seconds of an executable that is not optimised, on a machine that has other work: a reload may take longer
    // than a start.
    let first = gateway.err.all().len();
    gateway.write_config(&bare.route("waf = \"crs\"").more(&table).toml());
    gateway.signal(rustix::process::Signal::HUP);
    let is_verdict = |line: &str| line.contains("reloaded") || line.contains("reload refused");
    let verdict = (0..6).find_map(|_| gateway.err.wait_from(first, is_verdict));
    assert!(verdict.as_ref().is_some_and(|line| !line.contains("refused")), "{verdict:?}");
    Some(gateway)
}

fn client(gateway: &Gateway, level: u8) -> Connection {
    let mut client = gateway.client();
    client.send(format!("PROXY TCP4 198.51.100.{level} 127.0.0.1 4711 80\r\n"));
    client
}

fn wanted(case: &Case) -> impl Iterator<Item = u64> {
    case.expected.iter().filter_map(|expected| match expected {
        Expected::Matches(id) => Some(*id),
        Expected::MatchesNot(_) | Expected::Clean => None,
    })
}

fn expects_any(case: &Case, rules: &[u64]) -> bool {
    wanted(case).any(|id| rules.contains(&id))
}

/// The body as its head frames it: cases about heads say lengths without a body.
fn framed_body(case: &Case) -> Vec<u8> {
    let value = |wanted: &str| {
        let found = case.request.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let mut body = case.request.body.clone();
    if value("transfer-encoding").is_some() {
        return b"0\r\n\r\n".to_vec();
    }
    let length = value("content-length").and_then(|length| length.parse().ok());
    body.resize(length.unwrap_or(body.len()), b'x');
    body
}

/// Sends the case's request over the level's connection, a new one where the last answer has ended it.
fn ask(gateway: &Gateway, kept: &mut BTreeMap<u8, Connection>, case: &Case) -> Response {
    let mut connection = kept.remove(&case.level).unwrap_or_else(|| client(gateway, case.level));
    connection.send([case.request.head(), framed_body(case)].concat());
    let response = match case.request.method.as_str() {
        "HEAD" => connection.read_response_to_head(),
        _ => connection.read_response(),
    };
    if !response.says_close() {
        kept.insert(case.level, connection);
    }
    response
}

fn echo_head(request: &Request) -> Vec<u8> {
    if request.method == "HEAD" { b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n".to_vec() } else { ok("ok") }
}

/// Each case over a connection, and a sample over HTTP/2: what must match is denied and its rule counted, what is honest
/// reaches the origin.
#[test]
fn every_case_behaves_over_the_wire() {
    let origin = Origin::new().serve(echo_head);
    let Some(gateway) = guarded(&origin) else { return };
    over_http1(&origin, &gateway);
    over_http2(&gateway);
}

fn over_http1(origin: &Serving, gateway: &Gateway) {
    let mut kept = BTreeMap::new();
    let mut counted: BTreeMap<u64, u32> = BTreeMap::new();
    let (mut faults, mut denied) = (Vec::new(), 0);
    for case in crs_cases::all() {
        let status = ask(gateway, &mut kept, &case).status;
        let arrived = origin.take_requests().len();
        let fits = match status {
            _ if expects_any(&case, NOT_TAKEN) => true,
            200 if case.expected.contains(&Expected::Clean) => arrived == 1,
            200 => arrived == 1 && (expects_any(&case, TOO_LIGHT) || wanted(&case).next().is_none()),
            403 => arrived == 0 && !case.expected.contains(&Expected::Clean),
            400..=599 => arrived == 0 && expects_any(&case, REFUSED_EARLIER),
            _ => false,
        };
        if !fits {
            faults.push(format!("{} {}: {status}, {:?}", case.place, case.name, case.expected));
        }
        if matches!(status, 200 | 403) && !expects_any(&case, NOT_TAKEN) {
            wanted(&case).for_each(|id| *counted.entry(id).or_default() += 1);
        }
        denied += u32::from(status == 403);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(denied >= 200, "{denied} were denied");
    gateway.expect_metric("ringway_waf_matches_total", &["rule=\"949110\"", "denied"], f64::from(denied));
    let metrics = gateway.admin("/metrics").text();
    for (rule, least) in counted {
        let label = format!("rule=\"{rule}\"");
        let lines = metrics.lines().filter(|l| l.starts_with("ringway_waf_matches_total") && l.contains(&label));
        let sum: f64 = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        assert!(sum >= f64::from(least), "rule {rule}: {least} requests match, {sum} are counted");
    }
}

/// Streams of one connection: the same verdicts.
fn over_http2(gateway: &Gateway) {
    let sample = |case: &Case| {
        let of_connection =
            |name: &str| matches!(name.to_ascii_lowercase().as_str(), "connection" | "transfer-encoding" | "te");
        let can_be_asked = case.request.version == "1.1"
            && matches!(case.request.method.as_str(), "GET" | "POST")
            && case.request.fields.iter().any(|(name, _)| name == "Host")
            && !case.request.fields.iter().any(|(name, _)| of_connection(name));
        let is_plain =
            case.expected.contains(&Expected::Clean) || wanted(case).any(|id| (930_000..945_000).contains(&id));
        can_be_asked && is_plain && !expects_any(case, NOT_TAKEN) && !expects_any(case, TOO_LIGHT)
    };
    let mut wire = connect(gateway.address());
    wire.send("PROXY TCP4 198.51.100.1 127.0.0.1 4711 80\r\n");
    let mut h2 = H2::client(wire, &[]);
    let cases: Vec<Case> =
        crs_cases::all().into_iter().filter(|case| case.level == 1 && sample(case)).step_by(4).collect();
    assert!(cases.len() >= 50, "{} cases", cases.len());
    for (number, case) in cases.iter().enumerate() {
        let stream = 1 + 2 * u32::try_from(number).expect("a small number");
        let request = &case.request;
        let mut fields = vec![
            (b":method".to_vec(), request.method.clone().into_bytes()),
            (b":scheme".to_vec(), b"http".to_vec()),
            (b":authority".to_vec(), b"shop.example".to_vec()),
            (b":path".to_vec(), request.target.clone()),
        ];
        let others = request.fields.iter().filter(|(name, _)| name != "Host");
        fields.extend(others.map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value.clone())));
        h2.headers(stream, &fields, request.body.is_empty());
        if !request.body.is_empty() {
            h2.body(stream, &request.body, true);
        }
        let expected = if case.expected.contains(&Expected::Clean) { 200 } else { 403 };
        assert_eq!(h2.message(stream).whole().0, expected, "{} {}", case.place, case.name);
    }
}
