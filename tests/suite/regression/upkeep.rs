//! What is changed while the gateway runs, and what it tells meanwhile: certificates and edits each in their own time,
//! users by name and never by password.

use std::sync::Arc;

use super::*;

/// Whether the listener shows this certificate to somebody who never resumes a session.
fn shows(gateway: &Gateway, trusting: &rustls::ClientConfig, pair: &tls::Pair) -> bool {
    let mut config = trusting.clone();
    config.resumption = rustls::client::Resumption::disabled();
    let connection = tls::connect(gateway.address(), "t.test", &Arc::new(config));
    connection.is_ok_and(|connection| tls::shown(&connection) == pair.der())
}

/// `proxy` takes up a changed pair as `run` does. (It watched no file.)
#[test]
fn proxy_takes_up_a_changed_pair() {
    let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
    let first = authority.pair(&["t.test"]);
    let (cert, key) = first.write(dir.path(), "t");
    let to = ["--to", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let gateway = Gateway::proxy(&[&to[..], &["--tls-cert", text(&cert), "--tls-key", text(&key)]].concat());
    let trusting = authority.client();
    assert!(shows(&gateway, &trusting, &first));
    let next = authority.pair(&["t.test"]);
    next.write(dir.path(), "t");
    eventually("the new certificate is shown", || shows(&gateway, &trusting, &next));
    gateway.stop();
}

/// A changed certificate is taken up alone: an edit of the configuration that is not finished waits for SIGHUP, be it good
/// or bad. (The edit was taken along, or kept the certificate out.)
#[test]
fn a_changed_certificate_takes_no_edit_along() {
    let (one, two) = (Origin::new().serve(|_| ok("one")), Origin::new().serve(|_| ok("two")));
    let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
    let (lines, trusting) = secure(&authority, &dir);
    let port = ReservedPort::new();
    let config = |origin: &Serving| Config::to(origin).address(port.address).listener(&lines);
    let gateway = config(&one).start_in(dir);
    let asked = || {
        let mut client = tls::connect(gateway.address(), "t.test", &trusting).expect("a handshake");
        client.send(get("/"));
        client.read_response().text()
    };
    for edit in [config(&two).toml(), config(&two).toml() + "\nhalf an ed"] {
        gateway.write_config(&edit);
        let next = authority.pair(&["t.test"]);
        next.write(gateway.dir.path(), "t");
        eventually("the new certificate is shown", || shows(&gateway, &trusting, &next));
        assert_eq!(asked(), "one");
    }
    assert!(gateway.reload(&config(&two).toml()).0);
    eventually("the edit is in force", || asked() == "two");
    gateway.stop();
}

/// The user in the log is that of Basic credentials; no password is in any output, whatever comes of the exchange.
#[test]
fn the_log_names_users_and_no_passwords() {
    let credentials = ["YWxpY2U6U0VLUkVUMQ==", "c2stbGl2ZS0wMTIzNDU2Nzg5U0VLUkVUOlNFS1JFVDI=", "U0VLUkVUMw=="];
    for format in ["json", "combined", "sanitized"] {
        let origin = Origin::new();
        let log = format!("access = \"stdout\"\nformat = \"{format}\"");
        let gateway = Config::to(&origin).path("path = \"/served\"").log(&log).start();
        // alice:SEKRET1, a key as the user, and no user at all.
        for (number, credentials) in credentials.iter().enumerate() {
            let mut client = gateway.client();
            for (path, bad) in [("served", ""), ("none", ""), ("refused", "x : y\r\n")] {
                let head =
                    format!("GET /{path}/{number} HTTP/1.1\r\nhost: t\r\nauthorization: Basic {credentials}\r\n");
                client.send(format!("{head}{bad}\r\n"));
                if path == "served" {
                    let mut peer = origin.accept();
                    let seen = peer.read_request();
                    assert_eq!(seen.field("authorization"), Some(format!("Basic {credentials}").as_str()));
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
                }
                client.read_response();
                let line = gateway.out.wait(&format!("/{path}/{number}"));
                let named = match format {
                    "json" => line.contains("\"user\":\"alice\""),
                    _ => line.split(' ').nth(2) == Some("alice") || line.split(' ').nth(1) == Some("alice"),
                };
                assert_eq!(named, number == 0, "{line}");
            }
        }
        let metrics = gateway.admin("/metrics").text();
        let everything = format!("{}{}{metrics}", gateway.out.all().join("\n"), gateway.err.all().join("\n"));
        for secret in ["SEKRET", "U0VLUkVU", "YWxpY2U6", "c2stbGl2"] {
            assert!(!everything.contains(secret), "{format}: {everything}");
        }
    }
}
