//! What an accepted configuration means: defaults, overrides, routes, secrets, warnings, arbitrary input.

use proptest::prelude::*;
use rustls::pki_types::ServerName;

use super::*;
use crate::bounds;
use crate::http::RequestHead;
use crate::log::{AccessFormat, LogOptions};
use crate::plan::{AccessLog, DriverChoice};
use crate::proxy::route::Rewrite;
use crate::proxy::service::{ExpectPolicy, ForwardedPolicy};
use crate::upstream::Protocol;

fn plan(text: &str) -> Plan {
    match load_text(text) {
        Ok(loaded) => loaded.plan,
        Err(errors) => panic!("{errors}"),
    }
}

/// The route of `GET path` on a host.
fn route<'p>(plan: &'p Plan, host: &str, path: &str) -> Option<&'p crate::proxy::route::Route> {
    let head = RequestHead::default();
    plan.service.router.find(host.as_bytes(), path.as_bytes(), &head).map(std::convert::AsRef::as_ref)
}

#[test]
fn what_is_not_written_is_the_default() {
    let plan = plan(&with("", ""));
    let start = &plan.start;
    assert_eq!(start.cores, Cores::All);
    assert_eq!(start.driver, DriverChoice::Auto);
    assert_eq!(start.admin, Some("127.0.0.1:9901".parse().unwrap()));
    assert_eq!(start.connections_max, None);
    assert_eq!(start.access_log, AccessLog::Stdout);
    assert_eq!(start.log, LogOptions::of(AccessFormat::Json));
    assert_eq!(plan.drain_ms, 30_000);
    let service = &plan.service;
    assert_eq!((service.forwarded, service.expect), (ForwardedPolicy::XForwarded, ExpectPolicy::Answer));
    assert_eq!(&*service.via, "ringway");
    assert!(service.trusted_peers.is_empty());
    assert_eq!(service.limits.head_bytes, bounds::HEAD_BYTES_DEFAULT);
    assert_eq!(service.limits.request_line_bytes, bounds::REQUEST_LINE_BYTES_DEFAULT);
    assert_eq!(service.limits.fields, bounds::FIELDS_DEFAULT);
    let listener = &plan.listeners[0];
    assert!(listener.tls.is_none() && !listener.proxy_protocol);
    let times = (listener.idle_ms, listener.head_ms, listener.body_ms, listener.send_ms, listener.handshake_ms);
    assert_eq!(times, (75_000, 10_000, 30_000, 30_000, 10_000));
    assert_eq!((listener.http2, listener.http2_streams), (true, bounds::HTTP2_STREAMS_DEFAULT));
    let upstream = &service.upstreams[0];
    assert_eq!(&*upstream.name, "api");
    assert_eq!((&upstream.host, upstream.protocol), (&None, Protocol::Auto));
    let times = (upstream.connect_ms, upstream.read_ms, upstream.send_ms, upstream.idle_ms);
    assert_eq!(times, (3_000, 30_000, 30_000, 60_000));
    assert_eq!(upstream.pool_idle_max, bounds::POOL_IDLE_DEFAULT);
    assert_eq!(&*upstream.endpoints[0].authority, "127.0.0.1:9000");
    assert_eq!(upstream.endpoints[0].addresses, ["127.0.0.1:9000".parse().unwrap()]);
    assert!(upstream.endpoints[0].tls.is_none());
    let route = route(&plan, "any.example", "/any/path").unwrap();
    assert_eq!((&*route.name, route.upstream, &route.rewrite), ("/", 0, &None));
    assert_eq!((route.body_bytes_max, route.connect_ms, route.read_ms), (bounds::BODY_BYTES_DEFAULT, 3_000, 30_000));
}

#[test]
fn the_server_section_is_taken_over() {
    let plan = plan(&with(
        "server",
        "cores = \"0-1,3\"\ndriver = \"epoll\"\ndrain = \"1500us\"\nadmin = \"off\"\nconnections_max = 0x10\n\
         trusted_peers = [\"127.0.0.1/8\", \"::1\", \"10.1.2.3\"]\nforwarded = \"both\"\nexpect = \"forward\"\n\
         via = \"edge:8080\"\nlimits = { head = 4096, fields = 7, body = \"1MB\" }\n\
         [log]\naccess = \"logs/a.log\"\nformat = \"combined\"",
    ));
    assert_eq!(plan.start.cores, Cores::List(vec![0, 1, 3]));
    assert_eq!(plan.start.driver, DriverChoice::Epoll);
    assert_eq!(plan.drain_ms, 2, "parts of a millisecond are rounded up");
    assert_eq!(plan.start.admin, None);
    assert_eq!(plan.start.connections_max, Some(16));
    assert_eq!(plan.start.access_log, AccessLog::File("logs/a.log".into()));
    assert_eq!(plan.start.log.format, AccessFormat::Combined);
    let service = &plan.service;
    let peers: Vec<String> = service.trusted_peers.iter().map(|net| net.to_string()).collect();
    assert_eq!(peers, ["127.0.0.0/8", "::1/128", "10.1.2.3/32"]);
    assert!(service.trusts("::ffff:127.9.9.9".parse().unwrap()) && !service.trusts("10.1.2.4".parse().unwrap()));
    assert_eq!((service.forwarded, service.expect), (ForwardedPolicy::Both, ExpectPolicy::Forward));
    assert_eq!(&*service.via, "edge:8080");
    let limits = &service.limits;
    assert_eq!((limits.head_bytes, limits.request_line_bytes, limits.fields), (4096, 4096, 7));
    assert_eq!(route(&plan, "a", "/").unwrap().body_bytes_max, 1_000_000);
}

#[test]
fn cores_are_counted_or_listed() {
    for (text, cores) in [
        ("all", Cores::All),
        ("4", Cores::Count(4)),
        ("3-3", Cores::List(vec![3])),
        ("0-3,6", Cores::List(vec![0, 1, 2, 3, 6])),
        ("6, 1", Cores::List(vec![6, 1])),
    ] {
        assert_eq!(parse_cores(text), Ok(cores), "{text}");
    }
    for text in ["", "0", "-", "1-", "-1", "1,,2", "a", "1-2-3", "99999", "+1", "+1,2", "99999999999999999999"] {
        assert!(parse_cores(text).is_err(), "{text}");
    }
}

#[test]
fn routes_are_matched_rewritten_and_timed() {
    let plan = plan(&with(
        "route",
        "host = \"*.Example.com\"\npath = \"/v1\"\nbody_max = 10\nread_timeout = \"5s\"\nstrip_prefix = \"/v1\"\n\
         replace_prefix = \"/v2\"\n[[route]]\nname = \"exact\"\nexact = \"/health\"\nupstream = \"api\"\n\
         replace_prefix = \"/up\"\nconnect_timeout = \"1s\"\n[[route]]\npath = \"/q/r\"\nstrip_prefix = \"/q\"\n\
         upstream = \"api\"",
    ));
    let first = route(&plan, "a.example.COM:443", "/v1/x").unwrap();
    assert_eq!((&*first.name, first.body_bytes_max), ("*.example.com/v1", 10));
    assert_eq!((first.connect_ms, first.read_ms), (3_000, 5_000));
    assert_eq!(first.rewrite, Some(Rewrite { strip: "/v1".into(), replace: "/v2".into() }));
    assert!(route(&plan, "a.example.com", "/v1beta").is_none());
    assert!(route(&plan, "other.org", "/v1").is_none());
    let exact = route(&plan, "other.org", "/health").unwrap();
    assert_eq!((&*exact.name, exact.connect_ms), ("exact", 1_000));
    assert_eq!(exact.rewrite, Some(Rewrite { strip: "/health".into(), replace: "/up".into() }));
    let stripped = route(&plan, "other.org", "/q/r").unwrap();
    assert_eq!(stripped.rewrite, Some(Rewrite { strip: "/q".into(), replace: "".into() }));
}

#[test]
fn secrets_come_from_environment_and_files_and_stay_in_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.txt"), "open sesame\r\n").unwrap();
    let text = with(
        "route",
        "headers = { X-Env = \"env:KEY\" }\n[route.request]\nset = { X-Key = \"file:key.txt\", host = \"h\" }\n\
         add = { x-plain = \"a b\" }\nremove = [\"Cookie\"]\n[route.response]\nset = { x = \"\" }",
    );
    let loaded = load_in(folder.path(), &text).unwrap();
    assert_eq!(loaded.files, [folder.path().join("key.txt")]);
    assert!(!format!("{loaded:?}").contains("sesame"));
    let mut head = RequestHead::default();
    assert!(loaded.plan.service.router.find(b"h", b"/", &head).is_none(), "the header is missing");
    let bytes = b"GET / HTTP/1.1\r\nhost: h\r\nx-env: sesame\r\n\r\n";
    let mut parser = crate::h1::RequestParser::default();
    parser.parse(bytes, &loaded.plan.service.limits, &mut head).unwrap();
    let route = loaded.plan.service.router.find(b"h", b"/", &head).unwrap();
    let brought: Vec<_> = route.request.brings().map(|(name, value)| (name, value.expose())).collect();
    assert_eq!(brought, [("X-Key", &b"open sesame"[..]), ("host", b"h"), ("x-plain", b"a b")]);
    assert_eq!(route.request.remove, ["cookie".into()]);
    assert_eq!(route.response.brings().collect::<Vec<_>>(), [("x", &"".into())]);
}

#[test]
fn upstreams_that_trust_alike_share_their_tls_settings() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "ca", &["ca.example"]);
    let tls = |name: &str, extra: &str| {
        format!(
            "\n[[upstream]]\nname = \"{name}\"\nendpoints = [\"https://10.0.0.1\", \"https://[::1]:8443\"]\n{extra}\n"
        )
    };
    let text = with("upstream", "pool = 0\nhost = \"API.example:81\"")
        + &tls("a", "ca = \"ca.pem\"\nsni = \"A.example\"")
        + &tls("b", "ca = \"ca.pem\"")
        + &tls("c", "insecure = true");
    let loaded = load_in(folder.path(), &text).unwrap();
    let upstreams = &loaded.plan.service.upstreams;
    assert_eq!((upstreams[0].pool_idle_max, upstreams[0].host.as_deref()), (0, Some("api.example:81")));
    let of = |index: usize| upstreams[index].endpoints[0].tls.as_ref().unwrap();
    assert_eq!(of(1).server_name, ServerName::try_from("a.example").unwrap());
    assert_eq!(of(2).server_name, ServerName::try_from("10.0.0.1").unwrap());
    assert!(Arc::ptr_eq(&of(1).config, &of(2).config) && of(1).identity == of(2).identity);
    assert_ne!(of(2).identity, of(3).identity);
    assert_eq!(upstreams[1].endpoints[0].addresses, ["10.0.0.1:443".parse().unwrap()]);
    assert_eq!(upstreams[1].endpoints[1].addresses, ["[::1]:8443".parse().unwrap()]);
    assert_eq!(loaded.files, [folder.path().join("ca.pem")]);
    // A change of the file's content is another identity: connections verified by the old one are not used again.
    let before = of(1).identity.clone();
    write_pair(folder.path(), "ca", &["ca.example"]);
    let again = load_in(folder.path(), &text).unwrap();
    assert_ne!(again.plan.service.upstreams[1].endpoints[0].tls.as_ref().unwrap().identity, before);
}

#[test]
fn an_upstreams_protocol_decides_what_is_offered_and_what_connections_are_shared() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "ca", &["ca.example"]);
    let of = |name: &str, scheme: &str, protocol: &str| {
        format!(
            "\n[[upstream]]\nname = \"{name}\"\nendpoints = [\"https://10.0.0.1\", \"{scheme}://10.0.0.2\"]\n\
             ca = \"ca.pem\"\nprotocol = \"{protocol}\"\n"
        )
    };
    let text = with("upstream", "protocol = \"h2c\"")
        + &of("a", "http", "auto")
        + &of("b", "http", "h1")
        + &of("c", "https", "h2")
        + &of("d", "https", "auto");
    let plan = load_in(folder.path(), &text).unwrap().plan;
    let upstreams = &plan.service.upstreams;
    let protocols: Vec<Protocol> = upstreams.iter().map(|upstream| upstream.protocol).collect();
    assert_eq!(protocols, [Protocol::H2c, Protocol::Auto, Protocol::H1, Protocol::H2, Protocol::Auto]);
    assert!(upstreams[0].endpoints[0].tls.is_none() && upstreams[1].endpoints[1].tls.is_none());
    let tls = |index: usize| upstreams[index].endpoints[0].tls.as_ref().unwrap();
    let (h1, h2) = (b"http/1.1".to_vec(), b"h2".to_vec());
    assert_eq!(tls(1).config.alpn_protocols, [h2.clone(), h1.clone()]);
    assert_eq!(tls(2).config.alpn_protocols, std::slice::from_ref(&h1));
    assert_eq!(tls(3).config.alpn_protocols, [h2]);
    for index in 1..5 {
        assert_eq!(tls(index).config_h1.alpn_protocols, std::slice::from_ref(&h1), "{index}");
        assert!(Arc::ptr_eq(&tls(index).config_h1, &tls(2).config), "one trust: {index}");
    }
    // Connections are shared where trust and ALPN are the same, and only there.
    assert!(Arc::ptr_eq(&tls(1).config, &tls(4).config));
    let identities: std::collections::BTreeSet<&str> = (1..5).map(|index| &*tls(index).identity).collect();
    assert_eq!((identities.len(), &tls(1).identity), (3, &tls(4).identity));
}

#[test]
fn a_listener_offers_http2_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "a", &["a.example.com"]);
    let tls = "\n[[listener.tls]]\ncert = \"a.pem\"\nkey = \"a.key\"";
    for (extra, offered, streams) in [
        ("", &["h2", "http/1.1", "http/1.0"][..], 128),
        ("http2 = true\nhttp2_streams = 1000", &["h2", "http/1.1", "http/1.0"], 1_000),
        ("http2 = false", &["http/1.1", "http/1.0"], 128),
    ] {
        let plan = load_in(folder.path(), &with("listener", &format!("{extra}{tls}"))).unwrap().plan;
        let listener = &plan.listeners[0];
        assert_eq!((listener.http2, listener.http2_streams), (extra != "http2 = false", streams), "{extra}");
        let config = listener.tls.as_ref().unwrap().per_core();
        let names: Vec<_> = config.alpn_protocols.iter().map(|name| String::from_utf8_lossy(name)).collect();
        assert_eq!(names, offered, "{extra}");
    }
}

#[test]
fn what_is_odd_but_works_is_a_warning_with_its_position() {
    for (section, extra, expected) in [
        ("server", "admin = \"0.0.0.0:0\"", "c.toml:2:9: server.admin: the admin listener is reachable"),
        ("upstream", "insecure = true", "c.toml:9:12: upstream[0].insecure: has no effect: no endpoint is https://"),
        ("upstream", "sni = \"a\"", "c.toml:9:7: upstream[0].sni: has no effect: no endpoint is https://"),
        (
            "upstream",
            "[[upstream]]\nname = \"b\"\nendpoints = [\"https://10.0.0.1\"]\ninsecure = true\n[[route]]\n\
             path = \"/b\"\nupstream = \"b\"",
            "c.toml:12:12: upstream[1].insecure: certificates of this upstream are not verified",
        ),
        (
            "listener",
            "http2 = false\nhttp2_streams = 9",
            "c.toml:6:17: listener[0].http2_streams: has no effect: http2 = false",
        ),
        (
            "upstream",
            "[[upstream]]\nname = \"b\"\nendpoints = [\"http://10.0.0.1\"]",
            "c.toml:10:8: upstream[1].name: no route leads to the upstream \"b\"",
        ),
        (
            "route",
            "path = \"/\"\n[[route]]\nupstream = \"api\"",
            "c.toml:13:1: route[1]: is never taken: route[0] matches the same requests and comes first",
        ),
    ] {
        let warnings = load_text(&with(section, extra)).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{extra}: {warnings:?}");
        assert!(warnings[0].starts_with(expected), "{extra}: {warnings:?}");
    }
}

#[test]
fn loading_resolves_names_and_lists_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, with("", "").replace("127.0.0.1:9000", "localhost:9000")).unwrap();
    let loaded = load(&path, &Keep::new().unwrap()).unwrap();
    assert_eq!((loaded.names, loaded.files), (vec!["localhost".to_owned()], vec![path.clone()]));
    let addresses = &loaded.plan.service.upstreams[0].endpoints[0].addresses;
    assert!(addresses.contains(&"127.0.0.1:9000".parse().unwrap()), "{addresses:?}");
    assert!(resolve_again(&loaded.plan).is_none());
    assert_eq!(check(&path).map(|loaded| loaded.warnings), Ok(Vec::new()));
}

#[test]
fn line_ends_and_a_byte_order_mark_do_not_matter() {
    let text = with("server", "via = \"x\"").replace('\n', "\r\n");
    assert_eq!(&*plan(&text).service.via, "x");
    assert_eq!(&*plan(&format!("\u{feff}{text}")).service.via, "x");
    let text = with("server", "via = 1").replace('\n', "\r\n");
    assert!(load_text(&text).unwrap_err().to_string().starts_with("c.toml:2:7: "));
}

#[test]
fn the_proxy_command_is_one_route_to_one_upstream() {
    let keep = Keep::new().unwrap();
    let arguments = ProxyArguments { to: "http://127.0.0.1:9000".to_owned(), ..ProxyArguments::default() };
    let loaded = proxy_plan(&arguments, &keep).unwrap();
    assert_eq!(loaded.plan.listeners[0].address, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(loaded.plan.start.cores, Cores::All);
    assert_eq!((loaded.plan.start.access_log.clone(), loaded.files.len()), (AccessLog::Stdout, 0));
    let route = route(&loaded.plan, "any", "/v1/models").unwrap();
    assert_eq!((&*route.name, route.upstream), ("all", 0));
    let upstream = &loaded.plan.service.upstreams[0];
    assert_eq!((upstream.endpoints[0].addresses.len(), upstream.protocol), (1, Protocol::Auto));

    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "a", &["localhost"]);
    let arguments = ProxyArguments {
        listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        tls_cert: Some(folder.path().join("a.pem")),
        tls_key: Some(folder.path().join("a.key")),
        admin: Some(AdminChoice::Off),
        access_log: AccessLog::Off,
        ..arguments
    };
    let loaded = proxy_plan(&arguments, &keep).unwrap();
    assert!(loaded.plan.listeners.len() == 2 && loaded.plan.listeners.iter().all(|l| l.tls.is_some() && l.http2));
    assert_eq!((loaded.plan.start.admin, loaded.plan.start.access_log.clone()), (None, AccessLog::Off));
    assert_eq!(loaded.files.len(), 2);

    let arguments = ProxyArguments { to: "api.example.com".to_owned(), tls_key: None, ..arguments };
    let shown = proxy_plan(&arguments, &keep).unwrap_err().to_string();
    assert_eq!(
        shown,
        "command line: --tls-key: is missing; --tls-cert needs the key of the certificate beside it\n\
         command line: --to: is not a URL: it has no scheme; write http://HOST:PORT or https://HOST:PORT"
    );
}

/// Keys of one kind of table, a few of them wrong.
fn keys(header: &str) -> &'static [&'static str] {
    match header {
        "[[listener]]" => &["address", "idle_timeout", "proxy_protocol", "http2", "http2_streams", "tls", "adress"],
        "[[upstream]]" => &["name", "endpoints", "protocol", "host", "sni", "ca", "insecure", "pool", "read_timeout"],
        "[[route]]" => &[
            "name",
            "host",
            "path",
            "exact",
            "methods",
            "headers",
            "upstream",
            "strip_prefix",
            "replace_prefix",
            "body_max",
            "read_timeout",
            "request",
            "response",
            "rewrite",
            "cache",
        ],
        "[cache]" => &["memory", "snapshot", "snapshot_interval", "hook_secret", "hook_window"],
        "[server]" => &["cores", "drain", "admin", "trusted_peers", "via", "limits", "connections_max"],
        _ => &["access", "format", "set", "fields", "headers", "sample", "slow", "always", "redact"],
    }
}

/// Values, each right for some key and wrong for the others.
const VALUES: &[&str] = &[
    "1",
    "-1",
    "0.5",
    "true",
    "1979-05-27",
    "\"\"",
    "\"api\"",
    "\"h2c\"",
    "\"/v1\"",
    "\"/\"",
    "\"/v1/\"",
    "\"3s\"",
    "\"64KiB\"",
    "\"127.0.0.1:0\"",
    "\"*.a.example\"",
    "\"env:X\"",
    "\"file:y\"",
    "\"a\\u0000é\"",
    "[]",
    "[1, \"GET\"]",
    "[\"api\"]",
    "[\"https://a.example\", \"http://[::1]:80\"]",
    "[\"10.0.0.0/8\"]",
    "{}",
    "{ x-a = \"env:X\" }",
    "{ X = \"1\", x = \"2\" }",
    "{ set = { te = \"1\", x-b = \"file:y\" }, remove = [\"a\", \"a b\"] }",
    "{ head = 9000, fields = 5 }",
    "{ headers = [\"x-team\"], query = [\"1\", \"account\"] }",
    "[\"time\", \"5xx\", \"x-team\"]",
    "\"0-9,1\"",
    "{ key = [\"path\", \"header:a\", \"body\", \"body-json\"], post = true, query_only = [], origin = \"override\" }",
    "{ authorization = \"shared\", key = [\"caller\"], ttl = { any = \"0s\", 1 = \"\", 200 = 1 }, object_max = \"1TiB\" }",
    "[{ cert = \"a\", key = \"b\" }, { cert = 1 }]",
];

/// Configurations that are TOML, with tables, keys and values mixed up; sometimes complete ones.
fn pieces() -> impl Strategy<Value = String> {
    let repeated = prop::sample::select(vec!["[[listener]]", "[[upstream]]", "[[route]]"]);
    let once = prop::sample::subsequence(vec!["[server]", "[log]", "[cache]"], 0..=3);
    let headers = (once, prop::collection::vec(repeated, 0..8)).prop_map(|(once, repeated)| [once, repeated].concat());
    let table = |header: &'static str| {
        let chosen = prop::sample::subsequence(keys(header), 0..=keys(header).len());
        let value = || prop::sample::select(VALUES);
        (chosen, prop::collection::vec(value(), 16)).prop_map(move |(keys, values)| {
            let lines = keys.iter().zip(values).map(|(key, value)| format!("{key} = {value}\n"));
            format!("{header}\n{}", lines.collect::<String>())
        })
    };
    headers
        .prop_flat_map(move |headers| headers.into_iter().map(table).collect::<Vec<_>>())
        .prop_flat_map(|tables| (Just(tables), any::<bool>()))
        .prop_map(|(tables, complete)| {
            if complete { with("", "") + &tables.concat().replace("[server]", "[serve]") } else { tables.concat() }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_a_configuration_or_errors(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_config(&bytes);
    }

    #[test]
    fn any_pieces_are_a_configuration_or_errors(text in pieces(), cut in any::<prop::sample::Index>()) {
        fuzz_config(text.as_bytes());
        fuzz_config(&text.as_bytes()[..cut.index(text.len() + 1)]);
    }

    #[test]
    fn every_error_has_a_place_in_the_text(text in pieces()) {
        if let Err(errors) = load_text(&text) {
            let lines: Vec<&str> = text.split('\n').collect();
            for error in errors.errors {
                prop_assert!((1..=lines.len()).contains(&error.line), "{}", error);
                prop_assert!((1..=lines[error.line - 1].chars().count() + 1).contains(&error.column), "{}", error);
            }
        }
    }

    #[test]
    fn a_value_check_never_fails_otherwise_than_by_a_fault(text in "\\PC{0,40}") {
        let _ = (values::cores(&text), values::path(&text), values::host_pattern(&text), values::method(&text));
        let _ = (values::network(&text), values::socket_address(&text), values::duration_ms(&text));
        let _ = (endpoint::authority(&text), endpoint::endpoint(&format!("https://{text}")));
        let _ = (cache_values::key_part(&text), cache_values::query_name(&text), cache_values::reason(&text));
        let _ = (cache_values::status(&text), cache_values::lifetime_ms(&text), cache_values::member_name(&text));
        let _ = (values::name(&text), values::via(&text), values::certificate_name(&text), fields::field_value(&text.as_str().into()));
    }
}
