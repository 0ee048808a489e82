//! Each file of `examples/` is accepted, and says what its comments promise.

use super::*;
use crate::cache::policy::BodyKey;
use crate::control::callers::store::{Wish, change};
use crate::policy::auth::Key;
use crate::upstream::Protocol;

/// Loads an example as if it stood in `folder`, where its certificates may be.
fn example(folder: &Path, name: &str) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let env = |name: &str| Some(format!("value of {name}"));
    match parse(&text, &folder.join(name), &Keep::new().unwrap(), &env) {
        Ok(loaded) => loaded,
        Err(errors) => panic!("{errors}"),
    }
}

#[test]
fn every_example_is_tested_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| name.to_string_lossy().ends_with(".toml"));
    names.sort();
    assert_eq!(
        names,
        [
            "cache.toml",
            "callers.toml",
            "full.toml",
            "http2.toml",
            "limits.toml",
            "llm.toml",
            "minimal.toml",
            "tls.toml"
        ]
    );
}

#[test]
fn minimal() {
    let loaded = example(Path::new(""), "minimal.toml");
    assert_eq!((loaded.plan.service.router.len(), loaded.warnings.len()), (1, 0));
}

#[test]
fn llm() {
    let loaded = example(Path::new(""), "llm.toml");
    assert_eq!((loaded.plan.service.router.len(), loaded.warnings.len()), (3, 0));
    let service = &loaded.plan.service;
    let head = crate::http::RequestHead::default();
    let route = service.router.find(b"gateway", b"/anthropic/v1/messages", &head).unwrap();
    assert_eq!(&*service.upstreams[route.upstream].name, "anthropic");
    assert_eq!(route.request.brings().next(), Some(("x-api-key", &"value of ANTHROPIC_API_KEY".into())));
    let mut path = Vec::new();
    route.rewrite.as_ref().unwrap().apply(b"/anthropic/v1/messages", &mut path);
    assert_eq!(path, b"/v1/messages");
    assert_eq!(route.read_ms, 300_000);
}

#[test]
fn cache() {
    let loaded = example(Path::new(""), "cache.toml");
    assert_eq!((loaded.plan.service.router.len(), &*loaded.warnings), (3, &[][..]));
    let head = |method: &str| {
        let mut head = crate::http::RequestHead::default();
        let text = format!("{method} / HTTP/1.1\r\nHost: g\r\n\r\n");
        crate::h1::RequestParser::default().parse(text.as_bytes(), &Default::default(), &mut head).unwrap();
        head
    };
    let policy = |method: &str, path: &str| {
        let route = loaded.plan.service.router.find(b"g", path.as_bytes(), &head(method)).unwrap();
        route.cache.as_deref()
    };
    let models = policy("GET", "/v1/models").unwrap();
    assert_eq!((models.ttl_ms(200), models.ttl_ms(500), models.refresh_ahead_percent), (Some(3_600_000), Some(0), 10));
    let completions = policy("POST", "/v1/chat/completions").unwrap();
    assert!(completions.post && completions.merge && completions.key.caller);
    assert_eq!(completions.key.body, BodyKey::Json { except: ["user".into()].into() });
    assert!(policy("POST", "/v1/embeddings").is_none());
}

#[test]
fn limits() {
    let loaded = example(Path::new(""), "limits.toml");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let service = &loaded.plan.service;
    let route = service.router.find(b"g", b"/v1/chat", &crate::http::RequestHead::default()).unwrap();
    let names: Vec<&str> = route.screen.limits.iter().map(|limit| &*limit.name).collect();
    assert_eq!(names, ["per-address", "at-once", "slow-lane"]);
    let rate = route.screen.limits[0].rate.unwrap();
    assert_eq!((rate.interval_ns(), rate.quota()), (10_000_000, 201));
    assert!(loaded.plan.listeners[0].arrivals.is_some());
}

#[test]
fn callers() {
    let folder = tempfile::tempdir().unwrap();
    let wish = Wish { name: "ci".to_owned(), limits: vec!["per-key".to_owned()], ..Wish::default() };
    let made = change(&folder.path().join("callers.json"), true, |store| store.create(wish, 0)).unwrap();
    let loaded = example(folder.path(), "callers.toml");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let service = &loaded.plan.service;
    let asks = |path: &[u8]| service.router.find(b"g", path, &Default::default()).unwrap().screen.callers;
    assert!(asks(b"/v1/models") && !asks(b"/status"));
    let caller = service.callers.find(&Key::parse(made.text.as_bytes()).unwrap(), 0).unwrap();
    assert_eq!(caller.limits().len(), 1);
}

#[test]
fn tls() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    std::fs::create_dir(&certs).unwrap();
    for (name, host) in
        [("api.example.com", "api.example.com"), ("internal", "old.example.com"), ("company-ca", "ca.example.com")]
    {
        write_pair(&certs, name, &[host]);
    }
    let loaded = example(folder.path(), "tls.toml");
    assert!(loaded.plan.listeners[0].tls.is_some());
    assert_eq!(loaded.files.len(), 5);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn http2() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    std::fs::create_dir(&certs).unwrap();
    write_pair(&certs, "api.example.com", &["api.example.com"]);
    let loaded = example(folder.path(), "http2.toml");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let listeners: Vec<_> = loaded.plan.listeners.iter().map(|l| (l.tls.is_some(), l.http2, l.http2_streams)).collect();
    assert_eq!(listeners, [(true, true, 256), (false, true, 128), (false, false, 128)]);
    let protocols: Vec<_> = loaded.plan.service.upstreams.iter().map(|upstream| upstream.protocol).collect();
    assert_eq!(protocols, [Protocol::H2c, Protocol::Auto, Protocol::H1]);
}

#[test]
fn full() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "server", &["server.example.com"]);
    write_pair(folder.path(), "ca", &["ca.example.com"]);
    std::fs::write(folder.path().join("team.txt"), "blue\n").unwrap();
    std::fs::write(folder.path().join("callers.json"), r#"{"version":1,"keys":[]}"#).unwrap();
    let loaded = example(folder.path(), "full.toml");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.files.len(), 5);
}

#[test]
fn full_has_every_key_and_its_defaults_are_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/full.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let problems = Problems::default();
    // The one key whose default depends on the machine is there as a comment.
    let raw = read_raw(&text.replace("\n# connections_max", "\nconnections_max"), &problems).unwrap();
    assert!(!problems.any());
    // Keys that were not written are `None` in the raw form.
    assert!(!format!("{:?} {:?} {:?}", raw.server, raw.log, raw.cache).contains("None"));
    assert!(!format!("{:?} {:?}", raw.listeners[0], raw.listeners[1].tls).contains("None"));
    let none = format!("{:?}", raw.upstreams[0]).matches("None").count();
    assert_eq!(none, 3, "a credential is of one kind");
    assert!(raw.callers.is_some());
    assert!(!format!("{:?} {:?}", raw.limit_table, raw.limits[0]).contains("None"));
    assert_eq!(format!("{:?}", raw.routes[0]).matches("None").count(), 3, "only `exact` and two of the cache");
    let cache = |index: usize| raw.routes[index].cache.as_ref().unwrap();
    assert!(cache(1).query_only.is_some() && cache(2).query_except.is_some());
    assert!(raw.routes[3].exact.is_some());
    let edits = [&raw.routes[0].request, &raw.routes[0].response];
    assert!(edits.iter().all(|edits| !edits.set.is_empty() && !edits.add.is_empty() && edits.remove.is_some()));

    // Without every line that says "default", the meaning is the same.
    let shorter: String = text
        .lines()
        .filter(|l| !l.contains("# default;") && !l.contains("# default, "))
        .fold(String::new(), |all, l| all + l + "\n");
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "server", &["server.example.com"]);
    write_pair(folder.path(), "ca", &["ca.example.com"]);
    std::fs::write(folder.path().join("team.txt"), "blue\n").unwrap();
    std::fs::write(folder.path().join("callers.json"), r#"{"version":1,"keys":[]}"#).unwrap();
    let [long, short] = [text, shorter].map(|text| {
        let env = |_: &str| Some("x".repeat(16));
        parse(&text, &folder.path().join("c.toml"), &Keep::new().unwrap(), &env).unwrap().plan
    });
    assert_eq!(long.start, short.start);
    assert_eq!(long.drain_ms, short.drain_ms);
    assert_eq!(format!("{:?}", long.purge_hook), format!("{:?}", short.purge_hook));
    let cached = |plan: &Plan| {
        let mut head = crate::http::RequestHead::default();
        let text = b"POST / HTTP/1.1\r\nHost: h\r\nX-Env: blue\r\n\r\n";
        crate::h1::RequestParser::default().parse(text, &plan.service.limits, &mut head).unwrap();
        let route = plan.service.router.find(b"example.com", b"/v1", &head).unwrap();
        format!("{:?}", route.cache.as_ref().unwrap())
    };
    assert_eq!(cached(&long), cached(&short));
    let listener = |plan: &Plan| {
        let l = &plan.listeners[0];
        let times = [l.idle_ms, l.head_ms, l.body_ms, l.send_ms, l.handshake_ms];
        (times, l.proxy_protocol, l.http2, l.http2_streams)
    };
    assert_eq!(listener(&long), listener(&short));
    let service = |plan: &Plan| {
        let s = &plan.service;
        let upstream = &s.upstreams[0];
        let times = [upstream.connect_ms, upstream.read_ms, upstream.send_ms, upstream.idle_ms];
        (
            format!(
                "{:?} {:?} {:?} {:?} {} {:?}",
                s.limits, s.trusted_peers, s.forwarded, s.expect, s.via, s.client_address
            ),
            times,
            (upstream.pool_idle_max, upstream.protocol),
        )
    };
    assert_eq!(service(&long), service(&short));
}
