//! How the process ends, and what it lives through: nobody who had asked is left without an answer, nobody who has not
//! asked holds it up, and whoever reads its output may stop doing so.

use std::process::Stdio;

use rustix::process::Signal;

use super::*;

/// Requests that were in the accept queue when the end was asked for are answered. (Their connections were reset.)
#[test]
fn a_drain_answers_what_was_in_the_accept_queue() {
    // As long as an answer takes when it is not at hand: a drain that thinks nobody is there would be over by then.
    let origin = Origin::new().serve(|request| {
        origin::pace(60);
        ok(request.brief())
    });
    for proxied in [false, true] {
        let listener = if proxied { "proxy_protocol = true" } else { "" };
        let front = if proxied { "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" } else { "" };
        let mut gateway = Config::to(&origin).listener(listener).start();
        gateway.freeze();
        let mut clients: Vec<Connection> = (0..100).map(|_| gateway.client()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("{front}{}", get(&format!("/{number}"))));
        }
        gateway.signal(Signal::TERM);
        gateway.signal(Signal::CONT);
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.read_response().text(), format!("GET /{number}"), "PROXY protocol: {proxied}");
        }
        assert_eq!(gateway.wait_exit(), Some(0));
    }
}

/// A connection that has not said a word, where TLS or the PROXY protocol would begin, does not hold up a drain, whether it
/// was accepted before or is only then. (The drain waited for the time to shake hands.)
#[test]
fn a_silent_newcomer_does_not_hold_up_a_drain() {
    for queued in [false, true] {
        let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
        let (lines, _) = secure(&authority, &dir);
        let more = "[[listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\nhandshake_timeout = \"20s\"";
        let config = Config::to(&"http://127.0.0.1:9").server("drain = \"20s\"").more(more);
        let mut gateway = config.listener(&format!("handshake_timeout = \"20s\"\n{lines}")).start_in(dir);
        if queued {
            gateway.freeze();
        }
        let mut silent = [connect(gateway.ready.listen[0]), connect(gateway.ready.listen[1])];
        if !queued {
            eventually("both are accepted", || gateway.metric("ringway_connections_open", &[]) == 2.0);
        }
        let before = now_ms();
        gateway.signal(Signal::TERM);
        gateway.signal(Signal::CONT);
        assert_eq!(gateway.wait_exit(), Some(0));
        let took = now_ms() - before;
        assert!(took < 1_500, "{took} ms, in the queue: {queued}");
        silent.iter_mut().for_each(|connection| _ = connection.wait_gone());
    }
}

/// The access line of an exchange that the drain deadline cuts after `begin` has brought it half way.
fn cut_line(begin: impl FnOnce(&mut Connection, &Origin) -> Option<Connection>) -> serde_json::Value {
    let origin = Origin::new();
    let config = Config::to(&origin).server("drain = \"300ms\"").log("access = \"stdout\"\nformat = \"json\"");
    let mut gateway = config.start();
    let mut client = gateway.client();
    let peer = begin(&mut client, &origin);
    let before = now_ms();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(), Some(0));
    let took = now_ms() - before;
    assert!((250..1_500).contains(&took), "{took} ms");
    gateway.out.whole();
    drop(peer);
    let mut lines = gateway.access();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

/// An exchange that the drain deadline cuts is logged with the reason `draining`, be it asked or half answered. (It had no
/// line.)
#[test]
fn cut_exchanges_are_logged() {
    let line = cut_line(|client, origin| {
        client.send(get("/waiting"));
        Some(origin.accept_request().0)
    });
    assert_eq!(line["reason"].as_str(), Some("draining"), "{line}");
    let line = cut_line(|client, origin| {
        client.send(get("/streamed"));
        let (mut peer, _) = origin.accept_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        client.read_response_head();
        client.expect_bytes("half");
        Some(peer)
    });
    assert_eq!((line["reason"].as_str(), line["bytes_sent"].as_u64()), (Some("draining"), Some(4)), "{line}");
    let line = cut_line(|client, _| {
        client.send("GET /head HTTP/1.1\r\nhost: t\r\n");
        client.silent_for(100);
        None
    });
    assert_eq!(line["reason"].as_str(), Some("draining"), "{line}");
}

/// An upload that the drain deadline cuts is logged with the reason `draining`, and its core comes home.
#[test]
fn a_cut_upload_is_logged() {
    let line = cut_line(|client, origin| {
        client.send("POST /uploading HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\nhalf");
        let mut peer = origin.accept();
        peer.read_request_head();
        peer.expect_bytes("half");
        Some(peer)
    });
    assert_eq!((line["reason"].as_str(), line["path"].as_str()), (Some("draining"), Some("/uploading")), "{line}");
}

/// A tunnel that the drain deadline cuts is logged, and its core comes home.
#[test]
fn a_cut_tunnel_is_logged() {
    let line = cut_line(|client, origin| {
        client.send(WEBSOCKET);
        let (mut peer, _) = origin.accept_request();
        peer.send(CONSENT);
        assert_eq!(client.read_response().status, 101);
        Some(peer)
    });
    assert_eq!((line["status"].as_u64(), line["path"].as_str()), (Some(101), Some("/ws")), "{line}");
}

/// A reader of stderr that is stuck stops neither the admin listener nor the end of the process. (Control blocked on it.)
#[test]
fn a_full_stderr_stops_nothing() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, Config::to(&origin).toml()).expect("a file in the scratch folder");
    let mut command = gateway::command(&["run", "--config", text(&file), "--cores", "1", "--driver", driver()]);
    command.stderr(Stdio::from(writer));
    let mut gateway = Gateway::spawn_by(dir, command, "ready").expect("the gateway starts");
    gateway.write_config(&(0..400).fold(String::new(), |bad, number| format!("{bad}unknown_{number} = 1\n")));
    let filled = || rustix::io::ioctl_fionread(&reader).expect("a pipe");
    eventually("the pipe takes no more", || {
        let before = filled();
        gateway.signal(Signal::HUP);
        origin::pace(60);
        before > 0 && before == filled()
    });
    for _ in 0..100 {
        gateway.signal(Signal::HUP);
        origin::pace(3);
    }
    let before = now_ms();
    assert_eq!(gateway.admin("/health").status, 200);
    assert_eq!(gateway.get("/").text(), "x");
    let took = now_ms() - before;
    assert!(took < 500, "{took} ms");
    let before = now_ms();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(), Some(0));
    let took = now_ms() - before;
    assert!(took < 3_000, "{took} ms");
    drop(reader);
}

/// Where stdout leads to nobody (its reader has gone, or it was never open), the gateway serves, drains and ends well.
#[test]
fn a_closed_stdout_stops_nothing() {
    let origin = Origin::new().serve(|_| ok("x"));
    for open in [true, false] {
        let port = ReservedPort::new();
        let dir = tempfile::TempDir::new().expect("a scratch folder");
        let file = dir.path().join("gateway.toml");
        let config = Config::to(&origin).address(port.address).log("access = \"stdout\"");
        std::fs::write(&file, config.toml()).expect("a file in the scratch folder");
        let args = ["run", "--config", text(&file), "--cores", "1", "--driver", driver()];
        let command = if open { gateway::command(&args) } else { without_stdout(&args) };
        let mut gateway = Gateway::spawn_unseen(dir, deaf_stdout(command), port.address);
        for _ in 0..3 {
            assert_eq!(gateway.get("/").text(), "x");
        }
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.wait_exit(), Some(0), "{:#?}", gateway.err.all());
        assert!(!gateway.err.whole().contains("panicked"), "{:#?}", gateway.err.all());
    }
}

/// A command that only prints does not panic where nobody reads.
#[test]
fn printing_to_nobody_is_no_panic() {
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, Config::to(&"http://127.0.0.1:9").toml()).expect("a file in the scratch folder");
    for args in [&["demo"][..], &["check", "--config", text(&file)]] {
        let done = deaf_stdout(gateway::command(args)).output().expect("the executable starts");
        let err = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code().is_some_and(|code| code != 101) && !err.contains("panicked"), "{args:?}: {err}");
    }
}

/// The command with a stdout whose reader has gone.
fn deaf_stdout(mut command: std::process::Command) -> std::process::Command {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.stdout(Stdio::from(writer));
    command
}

/// The executable with these arguments, started by a shell that closes stdout.
fn without_stdout(args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" >&-", env!("CARGO_BIN_EXE_ringway")]).args(args);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}
