//! The command line: commands, their help, what they print and how they exit. Runs once, not per driver.

use std::net::{SocketAddr, TcpListener};

use crate::suite::harness::*;

/// `--version` prints name and version.
#[test]
fn version_is_printed() {
    let done = run(&["--version"]);
    assert_eq!((done.code, done.out.trim()), (Some(0), concat!("ringway ", env!("CARGO_PKG_VERSION"))));
}

/// `--help` names every command and shows examples; each command has a help of its own.
#[test]
fn help_names_every_command() {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for command in ["proxy", "run", "check", "purge", "mock-llm", "demo"] {
        assert!(help.out.contains(command), "{command} in {}", help.out);
        let own = run(&[command, "--help"]);
        assert_eq!(own.code, Some(0), "{command}");
        assert!(own.out.contains("Usage"), "{command}: {}", own.out);
    }
    assert!(help.out.contains("ringway proxy --to"), "an example in {}", help.out);
}

/// Usage errors exit with 2 and say what is wrong on stderr.
#[test]
fn usage_errors_exit_with_2() {
    let cases: &[&[&str]] = &[
        &[],
        &["unknown"],
        &["proxy"],
        &["proxy", "--to"],
        &["proxy", "--to", "http://127.0.0.1:9", "--driver", "kqueue"],
        &["proxy", "--to", "http://127.0.0.1:9", "--unknown"],
        &["run"],
        &["check"],
        &["purge"],
        &["purge", "--all", "--tag", "a"],
        &["purge", "--tag", "a", "--method", "GET"],
        &["purge", "--version-of", "a", "--soft"],
    ];
    for args in cases {
        let done = run(args);
        assert_eq!(done.code, Some(2), "{args:?}: {}", done.err);
        assert!(!done.err.is_empty() && done.out.is_empty(), "{args:?}");
    }
}

/// Errors of what was asked exit with 1 and one line that starts with `error:` and names the thing.
#[test]
fn other_errors_exit_with_1() {
    let cases: &[(&[&str], &str)] = &[
        (&["run", "--config", "/no/such/file.toml"], "/no/such/file.toml"),
        (&["check", "--config", "/no/such/file.toml"], "/no/such/file.toml"),
        (&["purge", "--all", "--admin", "https://127.0.0.1:9"], "http://HOST:PORT"),
        (&["purge", "--all", "--admin", "http://127.0.0.1:1"], "http://127.0.0.1:1"),
        (&["proxy", "--to", "not a url", "--listen", "127.0.0.1:0"], "--to"),
        (&["proxy", "--to", "http://127.0.0.1:9", "--tls-cert", "a.pem"], "--tls-key"),
        (&["proxy", "--to", "ftp://127.0.0.1", "--listen", "127.0.0.1:0"], "ftp"),
        (&["proxy", "--to", "http://127.0.0.1:9", "--listen", "nowhere"], "nowhere"),
        (
            &[
                "proxy",
                "--to",
                "http://127.0.0.1:9",
                "--listen",
                "127.0.0.1:0",
                "--tls-cert",
                "no.pem",
                "--tls-key",
                "no.key",
            ],
            "no.pem",
        ),
        (&["proxy", "--to", "http://127.0.0.1:9", "--listen", "192.0.2.1:80"], "192.0.2.1:80"),
    ];
    for (args, named) in cases {
        let done = run(args);
        // An argument that cannot be read at all may also be called a usage error.
        assert!(matches!(done.code, Some(1 | 2)), "{args:?}: {done:?}");
        assert!(done.err.contains("error:") && done.err.contains(named), "{args:?}: {}", done.err);
        assert!(!done.err.contains("panicked"), "{}", done.err);
    }
}

/// An address that another process holds is an error that names it.
#[test]
fn a_taken_address_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a loopback listener");
    let address = holder.local_addr().expect("an address").to_string();
    let done = run(&["proxy", "--to", "http://127.0.0.1:9", "--listen", &address]);
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains("error:") && done.err.contains(&address), "{}", done.err);
}

/// `proxy` needs no file: what comes to the listener goes to the URL.
#[test]
fn proxy_passes_everything() {
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let gateway = Gateway::proxy(&["--to", &origin.url(), "--listen", "127.0.0.1:0", "--access-log", "off"]);
    assert_eq!(gateway.get("/a?b=c").text(), "GET /a?b=c");
    assert!(gateway.access().is_empty());
    gateway.stop();
}

/// `proxy` listens on several addresses, and the ready line tells them in order.
#[test]
fn proxy_listens_on_several_addresses() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Gateway::proxy(&["--to", &origin.url(), "--listen", "127.0.0.1:0", "--listen", "[::1]:0"]);
    let listen: &[SocketAddr] = &gateway.ready.listen;
    assert!(listen.len() == 2 && listen[0].is_ipv4() && listen[1].is_ipv6(), "{}", gateway.ready.line);
    for address in listen {
        let mut client = connect(*address);
        client.send(get("/"));
        assert_eq!(client.read_response().status, 200);
    }
}

/// `proxy` with a certificate speaks TLS.
#[test]
fn proxy_with_a_certificate_speaks_tls() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
    let (cert, key) = authority.pair(&["t.test"]).write(dir.path(), "t");
    let args = ["--to", &origin.url(), "--listen", "127.0.0.1:0", "--tls-cert", text(&cert), "--tls-key", text(&key)];
    let gateway = Gateway::proxy(&args);
    assert_eq!(gateway.ready.schemes, ["https"]);
    let mut client =
        tls::connect(gateway.address(), "t.test", &std::sync::Arc::new(authority.client())).expect("a handshake");
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
}

/// The access log of `proxy` goes to a file when one is named.
#[test]
fn proxy_writes_its_log_to_a_file() {
    let origin = Origin::new().serve(|_| ok("x"));
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let file = dir.path().join("access.log");
    let gateway = Gateway::proxy(&["--to", &origin.url(), "--listen", "127.0.0.1:0", "--access-log", text(&file)]);
    assert_eq!(gateway.get("/to-a-file").status, 200);
    gateway.stop();
    let log = std::fs::read_to_string(&file).expect("the access log");
    assert_eq!(log.lines().filter(|line| line.contains("/to-a-file")).count(), 1, "{log}");
}

/// Each driver that is asked for is the one in use, and `auto` finds one.
#[test]
fn drivers_are_chosen() {
    for driver in ["auto", "epoll", driver()] {
        let dir = tempfile::TempDir::new().expect("a scratch folder");
        let args =
            ["proxy", "--to", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--cores", "1", "--driver", driver];
        let gateway = Gateway::proxy_in(dir, &args);
        let used = gateway.ready.part("driver").expect("the driver in the ready line");
        assert!(
            used == driver || (driver == "auto" && (used == "io_uring" || used == "epoll")),
            "{}",
            gateway.ready.line
        );
        assert_eq!(gateway.get("/").status, 502);
    }
}

/// Several cores serve one listener.
#[test]
fn several_cores_serve() {
    let origin = Origin::new().serve(|_| ok("x"));
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let args = ["proxy", "--to", &origin.url(), "--listen", "127.0.0.1:0", "--driver", driver()];
    let gateway = Gateway::proxy_in(dir, &args);
    assert!(gateway.ready.part("cores").is_some_and(|cores| !cores.is_empty()), "{}", gateway.ready.line);
    for _ in 0..30 {
        assert_eq!(gateway.get("/").status, 200);
    }
    gateway.stop();
}

/// The gateway starts within a second.
#[test]
fn starting_takes_less_than_a_second() {
    let before = now_ms();
    let gateway = Gateway::proxy(&["--to", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"]);
    let took = now_ms() - before;
    assert!(took < 1_000, "{took} ms");
    gateway.stop();
}

/// `mock-llm` serves models, a completion and a stream.
#[test]
fn the_mock_serves() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let mut child =
        gateway::command(&["mock-llm", "--listen", &free.to_string()]).spawn().expect("the executable starts");
    eventually("the mock listens", || std::net::TcpStream::connect(free).is_ok());
    let mut client = connect(free);
    client.send(get("/v1/models"));
    assert_eq!(client.read_response().status, 200);
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    client.send(post("/v1/chat/completions", body).replace("host: t", "host: t\r\ncontent-type: application/json"));
    let response = client.read_response();
    assert!(response.status == 200 && response.text().contains("data: [DONE]"), "{}", response.text());
    child.kill().expect("the child is ours");
    child.wait().expect("the child is ours");
}

/// `demo` shows its calls and ends well by itself.
#[test]
fn the_demo_ends_well() {
    let done = run(&["demo"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.contains("/v1/chat/completions"), "{}", done.out);
}

/// `demo --keep` serves on after its calls until SIGINT, and then ends well.
#[test]
fn a_kept_demo_serves_until_sigint() {
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let command = gateway::command(&["demo", "--keep", "--cores", "1", "--driver", driver()]);
    let mut demo = Gateway::spawn_by(dir, command, "serving on at").expect("the demo goes through its calls");
    let url = demo.ready.line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
    let address: SocketAddr = url.and_then(|url| url.parse().ok()).expect("the address of the gateway");
    let mut client = connect(address);
    client.send("GET /v1/models HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    assert!(demo.is_alive());
    demo.signal(rustix::process::Signal::INT);
    assert_eq!(demo.wait_exit(), Some(0), "{:#?}", demo.err.all());
}

/// Where io_uring is refused, as container runtimes do, `auto` serves on epoll and says why; asking for io_uring is an error
/// that names the way out.
#[test]
fn a_refused_io_uring_falls_back_to_epoll() {
    let origin = Origin::new().serve(|_| ok("x"));
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, Config::to(&origin).toml()).expect("a file in the scratch folder");
    let start = |driver: &str| {
        let args = ["run", "--config", text(&file), "--cores", "1", "--driver", driver];
        let dir = tempfile::TempDir::new().expect("a scratch folder");
        gateway::command_without_io_uring(&args).map(|command| Gateway::spawn_by(dir, command, "ready"))
    };
    let Some(started) = start("auto") else {
        eprintln!("note: there is no python3 to set a seccomp filter with; the fallback is not tested");
        return;
    };
    let gateway = started.expect("the gateway starts without io_uring");
    assert_eq!(gateway.ready.part("driver").as_deref(), Some("epoll"), "{}", gateway.ready.line);
    gateway.err.wait("io_uring");
    assert_eq!(gateway.get("/").status, 200);
    gateway.stop();
    let Some(Err(failed)) = start("io_uring") else {
        panic!("io_uring was refused, and yet the gateway started on it")
    };
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.err.contains("error:") && failed.err.contains("--driver epoll"), "{failed:?}");
}
