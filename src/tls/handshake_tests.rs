//! A client and a server of this module against each other, in memory: versions, certificates, names, resumption,
//! application protocols, and the failures of each with its name.

use super::testing::*;
use super::*;

#[test]
fn both_versions_and_both_kinds_of_keys_carry_bytes_both_ways() {
    for files in [fixtures("ec.crt", "ec-sec1.key"), fixtures("rsa.crt", "rsa-pkcs1.key")] {
        let tls = serving(&[files], &[]);
        for (versions, version) in [(TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")] {
            let (mut client, mut server) = connected(&trusting(versions, &[]), "ec.test", tls.per_core());
            assert_eq!((client.protocol_version(), server.protocol_version()), (Some(version), Some(version)));
            assert_eq!(server.server_name(), Some("ec.test"));
            assert_eq!((client.server_name(), client.alpn(), server.alpn()), (None, None, None));
            write(&mut client, b"ping");
            write(&mut server, b"pong");
            shake(&mut client, &mut server).unwrap();
            assert_eq!(plaintext(&mut server, 9), (b"ping".to_vec(), PlainRead::Empty));
            assert_eq!(plaintext(&mut client, 9), (b"pong".to_vec(), PlainRead::Empty));
        }
    }
}

#[test]
fn the_client_checks_the_certificate_against_the_ca_file_and_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let (files, other) = (ecdsa(dir.path(), "a", &["a.test"]), ecdsa(dir.path(), "b", &["b.test"]));
    let tls = serving(std::slice::from_ref(&files), &[]);
    let trust = |ca: &CertificateFiles| {
        client_config(&ClientTlsOptions { ca: Some(ca.cert.clone()), ..ClientTlsOptions::default() }).unwrap()
    };
    connected(&trust(&files), "a.test", tls.per_core());
    for (ca, name, failure) in
        [(&other, "a.test", TlsFailure::CertificateUntrusted), (&files, "b.test", TlsFailure::CertificateName)]
    {
        let (mut client, mut server) = pair(&trust(ca), name, tls.per_core());
        assert_eq!(shake(&mut client, &mut server), Err(Failed::Client(failure)));
        // The client's alert is a named failure of the server, and stays one.
        let refused = server.feed(&ciphertext(&mut client));
        assert!(matches!(refused, Err(TlsFailure::AlertReceived(_))), "{refused:?}");
        assert_eq!(server.feed(b"x"), refused);
    }
}

#[test]
fn an_address_is_verified_but_not_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let files = ecdsa(dir.path(), "a", &["::1", "127.0.0.1"]);
    assert_eq!(load_pair(&files).unwrap().names, [] as [String; 0]);
    let tls = serving(std::slice::from_ref(&files), &[]);
    let options = ClientTlsOptions { ca: Some(files.cert), ..ClientTlsOptions::default() };
    let trust = client_config(&options).unwrap();
    let (_, server) = connected(&trust, "[::1]", tls.per_core());
    assert_eq!(server.server_name(), None);
    let (mut client, mut server) = pair(&trust, "127.0.0.2", tls.per_core());
    assert_eq!(shake(&mut client, &mut server), Err(Failed::Client(TlsFailure::CertificateName)));
}

#[test]
fn a_handshake_begun_by_somebody_else_is_carried_on() {
    let tls = serving(&[fixtures("ec.crt", "ec-sec1.key")], &[]);
    let name = verified_name("ec.test").unwrap();
    let mut other = rustls::ClientConnection::new(trusting(TLS13, &[]), name).unwrap();
    let (mut server, mut flight) = (Records::server(tls.per_core()).unwrap(), Vec::new());
    other.write_tls(&mut flight).unwrap();
    server.feed(&flight).unwrap();
    let mut client = Records::client(other);
    client.feed(&ciphertext(&mut server)).unwrap();
    shake(&mut client, &mut server).unwrap();
    write(&mut server, b"hello");
    shake(&mut client, &mut server).unwrap();
    assert_eq!(plaintext(&mut client, 9), (b"hello".to_vec(), PlainRead::Empty));
}

#[test]
fn expired_certificates_load_but_clients_refuse_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["old.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 9, 9);
    let key = rcgen::KeyPair::generate().unwrap();
    let files = CertificateFiles {
        cert: dir.path().join("old.crt"),
        key: dir.path().join("old.key"),
        names: vec!["OLD.test.".to_owned()],
    };
    std::fs::write(&files.cert, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let pair_of_files = load_pair(&files).unwrap();
    assert_eq!(pair_of_files.not_after_unix_s, Some(999_993_600));
    assert_eq!(pair_of_files.names, ["old.test"]);
    let trust = client_config(&ClientTlsOptions { ca: Some(files.cert.clone()), ..ClientTlsOptions::default() });
    let (mut client, mut server) = pair(&trust.unwrap(), "old.test", serving(&[files], &[]).per_core());
    assert_eq!(shake(&mut client, &mut server), Err(Failed::Client(TlsFailure::CertificateExpired)));
}

#[test]
fn a_client_gets_the_certificate_of_the_kind_it_can_verify() {
    let twins = [fixtures("ec.crt", "ec-pkcs8.key"), fixtures("rsa.crt", "rsa-pkcs8.key")];
    let tls = serving(&twins, &[]);
    assert_eq!(tls.warnings(), [] as [String; 0]);
    let suite_of = |name: &str, suites: fn(&rustls::SupportedCipherSuite) -> bool| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites.retain(suites);
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_protocol_versions(TLS12).unwrap().dangerous();
        let trust =
            builder.with_custom_certificate_verifier(Arc::new(client::TrustAnybody::new())).with_no_client_auth();
        let (mut client, mut server) = pair(&Arc::new(trust), name, tls.per_core());
        shake(&mut client, &mut server).map(|()| client.peer_certificate().unwrap().to_vec())
    };
    let der = |name| certificate::load_chain(&fixture(name)).unwrap()[0].to_vec();
    let rsa_only = |s: &rustls::SupportedCipherSuite| format!("{:?}", s.suite()).contains("ECDHE_RSA");
    let any = |_: &rustls::SupportedCipherSuite| true;
    assert_eq!(suite_of("twin.test", any), Ok(der("ec.crt")));
    assert_eq!(suite_of("TWIN.test", rsa_only), Ok(der("rsa.crt")));
    assert_eq!(suite_of("ec.test", rsa_only), Err(Failed::Server(TlsFailure::NoSharedCipher)));
}

#[test]
fn a_session_resumes_on_another_core_and_after_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ticketer().unwrap();
    let tls = serving_with(&[ecdsa(dir.path(), "a", &["a.test"])], &[], Arc::clone(&keys));
    let reloaded = serving_with(&[ecdsa(dir.path(), "b", &["a.test"])], &[], keys);
    for versions in [TLS12, TLS13] {
        let client = trusting(versions, &[]);
        for (config, resumed) in
            [(tls.per_core(), false), (tls.per_core(), true), (reloaded.per_core(), true), (tls.per_core(), true)]
        {
            let (mut client, mut server) = connected(&client, "a.test", config);
            assert_eq!((client.resumed(), server.resumed()), (Some(resumed), Some(resumed)), "{versions:?}");
            // The ticket came with what was pumped; the connection works.
            write(&mut client, b"x");
            shake(&mut client, &mut server).unwrap();
            assert_eq!(plaintext(&mut server, 9).0, b"x");
        }
        let stranger = serving(&[ecdsa(dir.path(), "c", &["a.test"])], &[]);
        let (client, _) = connected(&client, "a.test", stranger.per_core());
        assert_eq!(client.resumed(), Some(false), "other keys open no ticket");
    }
}

#[test]
fn application_protocols_are_agreed_on_in_our_order() {
    let tls = serving(&[fixtures("ec.crt", "ec-sec1.key")], &[b"h2", b"http/1.1"]);
    for (offered, agreed) in [
        (&[&b"http/1.1"[..], b"h2"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[b"spdy/3", b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let (client, server) = connected(&trusting(TLS13, offered), "a.test", tls.per_core());
        assert_eq!((client.alpn(), server.alpn()), (agreed, agreed));
    }
    let (mut client, mut server) = pair(&trusting(TLS13, &[b"smtp"]), "a.test", tls.per_core());
    assert_eq!(shake(&mut client, &mut server), Err(Failed::Server(TlsFailure::NoSharedAlpn)));
    assert_eq!(client.feed(&ciphertext(&mut server)), Err(TlsFailure::AlertReceived(120)));
}

#[test]
fn plain_http_and_other_noise_on_a_tls_port_have_names() {
    let tls = serving(&[fixtures("ec.crt", "ec-sec1.key")], &[]);
    let after = |bytes: &[u8]| {
        let mut server = Records::server(tls.per_core()).unwrap();
        let failure = server.feed(bytes);
        // Some malformed messages rustls ends without an alert.
        assert!(failure != Err(TlsFailure::NotTls) || server.wants_write(), "no alert after {bytes:?}");
        failure
    };
    assert_eq!(after(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(TlsFailure::NotTls));
    assert_eq!(after(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Err(TlsFailure::NotTls));
    assert_eq!(after(b"SSH-2.0-OpenSSH_9.9\r\n"), Err(TlsFailure::NotTls));
    assert_eq!(after(&[0; 64]), Err(TlsFailure::NotTls));
    assert_eq!(after(b"\x16\x03\x01\x00\x05hello"), Err(TlsFailure::BadRecord));
    assert_eq!(after(b"\x15\x03\x03\x00\x02\x02\x28"), Err(TlsFailure::AlertReceived(40)));
    assert_eq!(after(b""), Ok(()));
    assert_eq!(after(b"\x16\x03"), Ok(()), "not enough to tell");
}

#[test]
fn a_changed_record_is_refused_and_the_connection_stays_failed() {
    let tls = serving(&[fixtures("ec.crt", "ec-sec1.key")], &[]);
    for versions in [TLS12, TLS13] {
        let (mut client, mut server) = connected(&trusting(versions, &[]), "a.test", tls.per_core());
        write(&mut client, b"authentic");
        let mut bytes = ciphertext(&mut client);
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(server.feed(&bytes), Err(TlsFailure::BadRecord));
        assert_eq!(server.feed(&[]), Err(TlsFailure::BadRecord));
        assert_eq!(plaintext(&mut server, 9), (Vec::new(), PlainRead::Empty));
        assert_eq!(server.write(&[std::io::IoSlice::new(b"late")]), 0);
        assert!(matches!(client.feed(&ciphertext(&mut server)), Err(TlsFailure::AlertReceived(20))));
    }
}

#[test]
fn a_client_without_a_common_version_is_told_so() {
    // ClientHellos of TLS 1.0 as old libraries send them (RFC 5246 §7.4.1.2): bare, and with signature algorithms.
    let with_algorithms = &[0, 8, 0, 13, 0, 4, 0, 2, 4, 3][..];
    for (extensions, alert) in [(&[][..], 40), (with_algorithms, 70)] {
        let mut hello = vec![0x03, 0x01];
        hello.extend_from_slice(&[7; 32]);
        hello.extend_from_slice(&[0, 0, 2, 0x00, 0x2f, 1, 0]);
        hello.extend_from_slice(extensions);
        let length = u8::try_from(hello.len()).unwrap();
        let record = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat();
        let tls = serving(&[fixtures("ec.crt", "ec-sec1.key")], &[]);
        let mut server = Records::server(tls.per_core()).unwrap();
        assert_eq!(server.feed(&record), Err(TlsFailure::NoSharedVersion));
        assert_eq!(ciphertext(&mut server)[5..], [2, alert]);
    }
}
