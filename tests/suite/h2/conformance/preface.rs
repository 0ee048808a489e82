//! RFC 9113 §3: how a connection begins, in clear and over TLS, and who is not taken for HTTP/2.

use std::sync::Arc;

use super::*;
use crate::suite::harness::wire::Wire;

/// Bytes that are no preface, or no SETTINGS behind one, end the connection; the origin sees nothing.
#[test]
fn section_3_4_a_bad_preface_ends_the_connection() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let request = Frame::headers(1, fields::request("GET", "/smuggled", &[]), true);
    let behind = |frames: &[Frame]| [PREFACE, &together(frames)].concat();
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("no SM", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec()),
        ("no empty line", b"PRI * HTTP/2.0\r\nSM: x\r\n\r\n".to_vec()),
        ("another version", b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n".to_vec()),
        ("lower case", b"pri * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("as HTTP/1.1 with fields", b"PRI * HTTP/1.1\r\nHost: t\r\n\r\nSM\r\n\r\n".to_vec()),
        ("bytes in front", [b"x", PREFACE, &together(&[Frame::settings(&[]), request.clone()])].concat()),
        ("frames without a preface", together(&[Frame::settings(&[]), request.clone()])),
        ("no SETTINGS but HEADERS", behind(std::slice::from_ref(&request))),
        ("no SETTINGS but PING", behind(&[Frame::ping(1), Frame::settings(&[]), request.clone()])),
        ("no SETTINGS but ACK", behind(&[Frame::settings_ack(), Frame::settings(&[]), request.clone()])),
        ("no SETTINGS but WINDOW_UPDATE", behind(&[Frame::window_update(0, 9), Frame::settings(&[])])),
        ("no SETTINGS but an unknown type", behind(&[Frame::new(0x55, 0, 0, []), Frame::settings(&[])])),
        ("HTTP/1.1 behind the preface", [PREFACE, b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"].concat()),
        ("the preface twice", [PREFACE, PREFACE].concat()),
    ];
    for (name, bytes) in rows {
        let mut client = gateway.client();
        // A gateway that has refused may close before all is written.
        drop(client.try_send(&bytes));
        let (answer, end) = client.rest();
        assert_ne!(end, End::Silent, "{name}: the connection should have been closed");
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.starts_with("HTTP/1.1 200"), "{name}: {text}");
        assert_eq!(gateway.get("/fence").status, 200, "{name}: the gateway serves on");
        let seen: Vec<String> = origin.take_requests().iter().map(|request| request.brief()).collect();
        assert_eq!(seen, ["GET /fence"], "{name}");
    }
}

/// A connection that begins with frames that are wrong gets GOAWAY with PROTOCOL_ERROR.
#[test]
fn section_3_4_settings_come_first() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut client = H2::raw(gateway.client());
    client.wire.send([PREFACE, &Frame::ping(1).bytes()].concat());
    client.expect_goaway(&[PROTOCOL_ERROR]);
}

/// The server says its SETTINGS first, and what it allows is what the project says.
#[test]
fn section_3_4_the_server_says_its_settings() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let client = H2::connect(&gateway);
    let said = |number| client.settings.get(&number).copied();
    assert!(said(MAX_CONCURRENT_STREAMS).is_some_and(|streams| streams >= 100), "{:?}", client.settings);
    assert!(said(ENABLE_PUSH).unwrap_or(0) == 0, "RFC 9113 §6.5.2: a server never allows pushes");
    assert_eq!(said(ENABLE_CONNECT_PROTOCOL), Some(1), "RFC 8441 §3");
    assert!(said(MAX_HEADER_LIST_SIZE).is_some_and(|bytes| bytes >= 16_384), "{:?}", client.settings);
    assert!(said(MAX_FRAME_SIZE).unwrap_or(16_384) == 16_384, "the sizes of the tables count on it");
}

/// Preface, SETTINGS and a request pass in one write, and byte by byte.
#[test]
fn section_3_4_the_preface_may_be_cut_anywhere() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let request = Frame::headers(1, fields::request("GET", "/a", &[]), true);
    let bytes = [PREFACE, &together(&[Frame::settings(&[]), request])].concat();
    for piece in [bytes.len(), 1, 5, 24] {
        let mut client = H2::raw(gateway.client());
        bytes.chunks(piece).for_each(|piece| client.wire.send(piece));
        client.expect_settings();
        assert_eq!(client.message(1).whole(), (200, "GET /a".to_owned()), "pieces of {piece}");
    }
}

/// HTTP/1.1 that begins like the preface stays HTTP/1.1, however it is cut.
#[test]
fn section_3_3_methods_that_begin_like_the_preface() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    for method in ["P", "PR", "PRI", "PROPFIND", "PRINT", "POST", "PUT", "PRI*"] {
        for piece in [1, 3, 1_000] {
            let mut client = gateway.client();
            let request = format!("{method} /a HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
            request.as_bytes().chunks(piece).for_each(|piece| client.send(piece));
            assert_eq!(client.read_response().text(), format!("{method} /a"));
        }
    }
}

/// There is no upgrade to h2c: the request is answered as HTTP/1.1 (RFC 9113 §3.1).
#[test]
fn section_3_1_no_upgrade_to_h2c() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(
        "GET /a HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    let answer = client.read_response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "GET /a"));
}

/// A client that does not finish the preface, or does not send SETTINGS, is cut as one that does not finish a head.
#[test]
fn section_3_4_a_slow_preface_is_cut() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).listener("head_timeout = \"300ms\"").start();
    for bytes in [&PREFACE[..1], &PREFACE[..5], &PREFACE[..23], PREFACE] {
        let mut client = gateway.client();
        let before = now_ms();
        client.send(bytes);
        let (_, end) = client.rest();
        let took = now_ms() - before;
        assert!(end != End::Silent && took < 3_000, "{end:?} after {took} ms, {} bytes", bytes.len());
    }
}

/// A client that never acknowledges SETTINGS is told SETTINGS_TIMEOUT and cut (RFC 9113 §6.5.3).
#[test]
fn section_6_5_3_settings_are_to_be_acknowledged() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).listener("head_timeout = \"300ms\"").start();
    let mut client = H2::raw(gateway.client());
    client.acks = false;
    client.wire.send([PREFACE, &Frame::settings(&[]).bytes()].concat());
    client.expect_settings();
    client.expect_goaway(&[SETTINGS_TIMEOUT]);
    gateway.expect_metric("ringway_failures_total", &["h2_settings_timeout"], 1.0);
}

/// Over TLS h2 is chosen by ALPN before HTTP/1.1, which stays for those who do not offer h2.
#[test]
fn section_3_2_alpn_chooses() {
    let origin = Origin::new().serve(echo);
    let (gateway, authority) = secure(&origin, "");
    for (offered, chosen) in [
        (vec!["h2"], Some("h2")),
        (vec!["http/1.1", "h2"], Some("h2")),
        (vec!["http/1.1"], Some("http/1.1")),
        (vec![], None),
    ] {
        let mut config = authority.client();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut wire = tls::connect(gateway.address(), "t.test", &Arc::new(config)).expect("a handshake");
        let Wire::Client(of_client) = &wire.wire else { panic!("a TLS client") };
        assert_eq!(of_client.conn.alpn_protocol(), chosen.map(str::as_bytes), "{offered:?}");
        if chosen == Some("h2") {
            let mut client = H2::client(wire, &[]);
            client.get(1, "/a");
            assert_eq!(client.message(1).whole(), (200, "GET /a".to_owned()));
        } else {
            wire.send(get("/a"));
            assert_eq!(wire.read_response().text(), "GET /a");
        }
    }
    assert_eq!(origin.take_requests()[0].field("x-forwarded-proto"), Some("https"));
}

/// A client that has chosen h2 by ALPN and speaks HTTP/1.1 is cut.
#[test]
fn section_3_2_what_was_chosen_is_spoken() {
    let origin = Origin::new().serve(echo);
    let (gateway, authority) = secure(&origin, "");
    let mut config = authority.client();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut wire = tls::connect(gateway.address(), "t.test", &Arc::new(config)).expect("a handshake");
    wire.send(get("/smuggled"));
    let (answer, end) = wire.rest();
    assert!(end != End::Silent && !answer.starts_with(b"HTTP/1.1 200"), "{end:?}");
    assert_eq!(origin.take_requests().len(), 0);
}
