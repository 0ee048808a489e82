//! Secrets planted in requests and in the configuration, errors driven in every way, every output searched.

use std::fmt::Write as _;

use super::harness::*;

/// Part of every secret, in clear or as base64 has it: nothing else contains it.
const PLANTED: [&str; 2] = ["SEKRET", "U0VLUkVU"];

/// A request that carries a secret wherever one is usual.
fn laden(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path}?api_key=SEKRETa&sig=sk-SEKRETb&x=1 HTTP/1.1\r\nhost: t\r\nauthorization: Bearer SEKRETc\r\n\
         x-api-key: SEKRETd\r\ncookie: session=SEKRETe\r\nproxy-authorization: Basic U0VLUkVUZg==\r\n\
         referer: http://u:SEKRETg@t/?password=SEKRETh\r\nuser-agent: app Bearer SEKRETi\r\nx-account: SEKRETj\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn origin() -> Serving {
    Origin::new().serve(|request: &Request| {
        if request.target.starts_with("/bad") {
            return b"HTTP/1.1 200 SEKRETo\r\nx: \0SEKRETp\r\n\r\n".to_vec();
        }
        let fields = "Cache-Control: public, max-age=600\r\nSet-Cookie: id=SEKRETq";
        format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 2\r\n\r\nok").into_bytes()
    })
}

fn config(origin: &Serving, format: &str, folder: &tempfile::TempDir) -> Config {
    let snapshot = folder.path().join("cache.snapshot");
    Config::to(origin)
        .log(&format!("format = {format:?}\nredact = {{ headers = [\"x-account\"] }}"))
        .log("headers = [\"authorization\", \"cookie\", \"x-api-key\", \"proxy-authorization\", \"x-account\", \"x-key\"]")
        .log("response_headers = [\"set-cookie\", \"x-mine\"]")
        .cache("post = true\nkey = [\"path\", \"query\", \"caller\", \"body\"]\nset_cookie = \"strip\"")
        .more("[route.request]\nset = { x-key = \"SEKRETk\" }\n[route.response]\nset = { x-mine-token = \"SEKRETl\" }")
        .more(&format!("[cache]\nhook_secret = \"SEKRETm-and-more\"\nsnapshot = {:?}", text(&snapshot)))
}

/// No output shows a planted secret: access log in each format, events, metrics, admin API, error answers, snapshot.
#[test]
fn no_output_shows_a_secret() {
    for format in ["json", "sanitized", "combined"] {
        let (origin, folder) = (origin(), tempfile::TempDir::new().expect("a scratch folder"));
        let config = config(&origin, format, &folder);
        let gateway = config.start();
        let mut seen = String::new();
        let ask = |request: &str| {
            let mut client = gateway.client();
            client.send(request);
            client.read_response()
        };
        for (method, path, body) in
            [("GET", "/plain", ""), ("POST", "/body", "{\"password\":\"SEKRETn\"}"), ("TRACE", "/trace", "")]
        {
            let response = ask(&laden(method, path, body));
            if response.status != 200 {
                seen += &response.text();
            }
        }
        // Refused before and after it was understood, and by the upstream's fault.
        let broken = [
            laden("GET", "/a/../b", ""),
            laden("GET", "/bad", ""),
            laden("GET", "/head", "").replace("host: t", "ho st: SEKRETr"),
            laden("GET", "/host", "").replace("host: t", "host: t\r\nhost: SEKRETs"),
            laden("POST", "/framing", "x").replace("content-length: 1", "content-length: SEKRETt"),
            laden("SEKRETu\x01", "/method", ""),
        ];
        for request in &broken {
            let response = ask(request);
            assert!(response.status >= 400, "{request}: {}", response.status);
            write!(seen, "{:?} {}", response.head, response.text()).expect("a string takes everything");
        }
        for path in ["/metrics", "/cache/keys", "/cache/keys?limit=100", "/cache/stats", "/health", "/ready"] {
            seen += &gateway.admin(path).text();
        }
        let hook = gateway.admin_post_with("/hooks/purge", "x-ringway-signature: sha256=SEKRETv\r\n", "{\"all\":true}");
        seen += &hook.text();
        // A reload that fails at the place of a secret, and one whose whole file is not TOML.
        for wrong in ["set = { x-key = \"SEKRETk\\n\" }", "set = { x-key = \"SEKRETk }"] {
            let (taken, line) = gateway.reload(&config.toml().replace("set = { x-key = \"SEKRETk\" }", wrong));
            assert!(!taken, "{line}");
        }
        let (out, err) = (gateway.out.clone(), gateway.err.clone());
        gateway.stop();
        seen += &(out.whole() + &err.whole());
        assert!(seen.contains("/plain") && seen.contains("ringway_requests_total"), "outputs were looked at");
        no_secret(format, &seen);
        let snapshot = std::fs::read(folder.path().join("cache.snapshot")).expect("a snapshot");
        no_secret("the snapshot", &String::from_utf8_lossy(&snapshot));
        // The origin got all of it, but for the proxy's own credential, and the gateway's own.
        let asked = origin.take_requests();
        assert_eq!(asked[0].field("authorization"), Some("Bearer SEKRETc"));
        assert_eq!(asked[0].field("x-key"), Some("SEKRETk"));
    }
}

#[track_caller]
fn no_secret(place: &str, text: &str) {
    for planted in PLANTED {
        let at = text.find(planted).map(|at| text.get(at.saturating_sub(200)..at + 20).unwrap_or(planted));
        assert_eq!(at, None, "{place}");
    }
}

/// `check` names what is wrong with a secret, and where, without showing it: literal, from the environment, from a file,
/// a key of TLS.
#[test]
fn checking_a_configuration_shows_no_secret() {
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let write = |name: &str, content: &str| std::fs::write(dir.path().join(name), content).expect("a scratch file");
    write("key.txt", "SEKRET\u{1}key\n");
    write("cert.pem", "-----BEGIN CERTIFICATE-----\nSEKRETcert\n-----END CERTIFICATE-----\n");
    write("tls.key", "-----BEGIN PRIVATE KEY-----\nSEKRETtls\n-----END PRIVATE KEY-----\n");
    let config = Config::to(&"http://127.0.0.1:9")
        .listener("tls = [{ cert = \"cert.pem\", key = \"tls.key\" }]")
        .route("headers = { x = \" SEKRETa\", y = \"env:PLANTED_SECRET\" }")
        .more(
            "[route.request]\nset = { a = \"file:key.txt\", b = \"SEKRET\\r\\n\" }\n[cache]\nhook_secret = \"SEKRET\"",
        );
    write("gateway.toml", &config.toml());
    let file = dir.path().join("gateway.toml");
    let mut command = gateway::command(&["check", "--config", text(&file)]);
    let done = command.env("PLANTED_SECRET", "SEKRET\n").output().expect("it runs");
    let shown = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(!done.status.success());
    for place in ["headers.x", "headers.y", "set.a", "set.b", "hook_secret", "tls"] {
        assert!(shown.contains(place), "{place} in {shown}");
    }
    no_secret("check", &shown);
}
