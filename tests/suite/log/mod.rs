//! The access log: chosen fields and headers, sampling, rotation, syslog.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use super::harness::*;

fn answering() -> Serving {
    Origin::new().serve(|request: &Request| {
        let status = if request.target.contains("broken") { "500 Internal Server Error" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\nX-Rest: 7\r\nSet-Cookie: id=SEKRET\r\nContent-Length: 1\r\n\r\nx").into_bytes()
    })
}

fn ask(gateway: &Gateway, path: &str, fields: &str) -> u16 {
    let mut client = gateway.client();
    client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n{fields}connection: close\r\n\r\n"));
    client.read_response().status
}

/// A JSON line has the chosen fields in their order, and the chosen headers of both heads without their secrets.
#[test]
fn fields_and_headers_are_chosen() {
    let origin = answering();
    let config = Config::to(&origin)
        .log("fields = [\"status\", \"path\"]\nheaders = [\"X-Team\", \"authorization\", \"x-account\"]")
        .log("response_headers = [\"x-rest\", \"set-cookie\", \"x-request-id\"]")
        .log("redact = { headers = [\"x-account\"], query = [\"account\"] }");
    let gateway = config.start();
    let fields = "x-team: a\r\nauthorization: Bearer SEKRET\r\nx-account: SEKRET\r\n";
    assert_eq!(ask(&gateway, "/chosen?account=SEKRET&b=1", fields), 200);
    let line = gateway.out.wait("/chosen");
    let start = "{\"status\":200,\"path\":\"/chosen?account=***&b=1\",\"headers\":{\"x-team\":\"a\",\
                 \"authorization\":\"***\",\"x-account\":\"***\"},\"response_headers\":{\"x-rest\":\"7\",\
                 \"set-cookie\":\"***\",\"x-request-id\":\"";
    assert!(line.starts_with(start), "{line}");
}

/// Headers of responses are those that were sent, whoever made the response: the cache at once, the cache in its own
/// time, the gateway itself.
#[test]
fn headers_of_every_kind_of_response_are_shown() {
    let origin = Origin::new()
        .serve(|_| b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nX-Rest: 7\r\nContent-Length: 1\r\n\r\nx".to_vec());
    let config = Config::to(&origin).cache("").path("path = \"/a\"").log("response_headers = [\"x-rest\", \"age\"]");
    let gateway = config.start();
    let rest = |line: &serde_json::Value| line["response_headers"]["x-rest"].as_str().map(str::to_owned);
    for path in ["/a/1", "/a/1?again"] {
        assert_eq!(ask(&gateway, path, ""), 200);
        assert_eq!(rest(&gateway.access_of(path)).as_deref(), Some("7"));
    }
    let mut client = gateway.client();
    client.send(get("/a/1"));
    assert_eq!(client.read_response().status, 200);
    eventually("the hit has its line", || {
        gateway.access().iter().any(|line| line["cache"] == "hit" && rest(line).as_deref() == Some("7"))
    });
    assert_eq!(ask(&gateway, "/none", ""), 404);
    assert_eq!(gateway.access_of("/none")["response_headers"], serde_json::json!({}));
}

/// Of what went well a share is written, and what is left out is counted; errors and refusals have their line.
#[test]
fn a_sample_has_all_errors() {
    let origin = answering();
    let gateway = Config::to(&origin).path("path = \"/a\"").log("sample = 0").start();
    for _ in 0..20 {
        assert_eq!(ask(&gateway, "/a/fine", ""), 200);
    }
    assert_eq!((ask(&gateway, "/a/broken", ""), ask(&gateway, "/none", "")), (500, 404));
    assert_eq!(gateway.access_of("/a/broken")["status"], 500);
    assert_eq!(gateway.access_of("/none")["reason"], "no_route");
    gateway.expect_metric("ringway_log_lines_sampled_out_total", &[], 20.0);
    assert!(gateway.out.all().iter().all(|line| !line.contains("/a/fine")));
}

/// What was slow has its line, and a list of statuses may be shorter than the usual one.
#[test]
fn slow_exchanges_are_written_and_statuses_are_chosen() {
    let origin = answering();
    let gateway = Config::to(&origin).log("sample = 0\nslow = \"1ms\"\nalways = [\"5xx\"]").start();
    let origin = Origin::new();
    let slow = Config::to(&origin).log("sample = 0\nslow = \"1ms\"").start();
    let mut client = slow.client();
    client.send(get("/slow"));
    let (mut peer, _) = origin.accept_request();
    origin::pace(5);
    peer.send(ok("x"));
    assert_eq!(client.read_response().status, 200);
    assert_eq!(slow.access_of("/slow")["status"], 200);
    assert_eq!(ask(&gateway, "/broken", ""), 500);
    assert_eq!(gateway.access_of("/broken")["status"], 500);
}

/// Under load, a log that is moved and opened again three times has every line once.
#[test]
fn rotation_loses_nothing_and_doubles_nothing() {
    let origin = answering();
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let file = dir.path().join("access.log");
    let gateway = Config::to(&origin).log(&format!("access = {:?}", text(&file))).start();
    let mut client = gateway.client();
    let mut asked = 0;
    for turn in 0..3 {
        for _ in 0..100 {
            client.send(get(&format!("/turn/{asked}")));
            assert_eq!(client.read_response().status, 200);
            asked += 1;
        }
        std::fs::rename(&file, dir.path().join(format!("access.log.{turn}"))).expect("a file of the test");
        gateway.signal(rustix::process::Signal::USR1);
        eventually("the file is there again", || file.exists());
    }
    drop(client);
    gateway.stop();
    let files = std::fs::read_dir(dir.path()).expect("a folder of the test").map(|entry| entry.expect("a file").path());
    let all: String = files.map(|path| std::fs::read_to_string(path).expect("lines")).collect();
    for number in 0..asked {
        assert_eq!(all.matches(&format!("/turn/{number}\"")).count(), 1, "/turn/{number}");
    }
    assert_eq!(all.lines().count(), asked);
}

/// Lines go to a syslog server over UDP, one in a datagram, and to the socket of the machine.
#[test]
fn lines_go_to_syslog() {
    let origin = answering();
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    server.set_read_timeout(Some(WAIT)).expect("a time-out");
    let address = server.local_addr().expect("an address");
    let gateway = Config::to(&origin).log(&format!("access = \"syslog:udp:{address}\"")).start();
    assert_eq!(ask(&gateway, "/by-udp", ""), 200);
    let mut bytes = [0; 4096];
    let length = server.recv(&mut bytes).expect("a datagram");
    let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
    assert!(message.starts_with("<190>1 20") && message.contains(" ringway "), "{message}");
    let json = message.split_once(" access - ").expect("a message").1;
    let json: serde_json::Value = serde_json::from_str(json).expect("one line of JSON");
    assert_eq!(json["path"], "/by-udp");

    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let path = dir.path().join("socket");
    let server = UnixDatagram::bind(&path).expect("a socket");
    server.set_read_timeout(Some(WAIT)).expect("a time-out");
    let config = Config::to(&origin).log(&format!("access = \"syslog:{}\"\nformat = \"sanitized\"", text(&path)));
    let gateway = config.start();
    assert_eq!(ask(&gateway, "/by-socket", ""), 200);
    let length = server.recv(&mut bytes).expect("a datagram");
    let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
    assert!(message.starts_with("<190>") && message.ends_with("\"-\" \"***\""), "{message}");
    // A server that is gone loses lines, which are counted; the gateway goes on.
    drop(server);
    assert_eq!(ask(&gateway, "/lost", ""), 200);
    gateway.expect_metric("ringway_log_lines_lost_total", &[], 1.0);
}
