//! For each mistake: the line, the column, and what is said about it.

use super::*;

/// Section, the extra line, and how each error begins, in the order shown.
pub(super) type Case = (&'static str, &'static str, &'static [&'static str]);

pub(super) fn check_all(cases: &[Case]) {
    for (section, extra, expected) in cases {
        let shown = match load_text(&with(section, extra)) {
            Err(errors) => errors.to_string(),
            Ok(_) => panic!("accepted: {section} {extra}"),
        };
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{section} {extra}:\n{shown}");
        for (line, expected) in lines.iter().zip(*expected) {
            let line = line.strip_prefix("c.toml:").unwrap();
            assert!(line.starts_with(expected), "{section} {extra}:\n{line}\n{expected}");
        }
    }
}

#[test]
fn the_frame_of_these_tests_is_accepted() {
    assert!(load_text(&with("", "")).is_ok());
}

#[test]
fn server() {
    check_all(&[
        ("server", "cors = 1", &["2:1: server.cors: is not a known key; did you mean `cores`?"]),
        ("server", "xyzzy = 1", &["2:1: server.xyzzy: is not a known key; known are cores, driver, drain, admin, "]),
        ("server", "cores = 0", &["2:9: server.cores: 0 is out of range; write a count from 1 to 8192"]),
        ("server", "cores = -1", &["2:9: server.cores: is negative or too large; write a count such as 4, or"]),
        ("server", "cores = true", &["2:9: server.cores: is true or false, but must be a count such as 4, or"]),
        ("server", "cores = \"a\"", &["2:9: server.cores: \"a\" is not a list of cores; write all, a count"]),
        ("server", "cores = \"3-1\"", &["2:9: server.cores: the range 3-1 runs backwards; "]),
        ("server", "cores = \"0-2,2\"", &["2:9: server.cores: core 2 is listed twice; list each core once"]),
        ("server", "cores = \"0-9999\"", &["2:9: server.cores: core 9999 does not exist; "]),
        ("server", "driver = \"epol\"", &["2:10: server.driver: \"epol\" is not a known value; did you mean `epoll`?"]),
        ("server", "driver = 1", &["2:10: server.driver: is a whole number, but must be a string; write it in quotes"]),
        (
            "server",
            "drain = \"5\"",
            &["2:9: server.drain: \"5\" is not a duration: it has no unit; write a number and"],
        ),
        ("server", "drain = \"0s\"", &["2:9: server.drain: is zero; a time-out cannot be switched off; write"]),
        ("server", "drain = 5", &["2:9: server.drain: is a whole number, but must be a string; write it in quotes"]),
        ("server", "admin = \"localhost:1\"", &["2:9: server.admin: \"localhost:1\" is not an address with a port; "]),
        (
            "server",
            "admin = \":9901\"",
            &["2:9: server.admin: \":9901\" is not an address with a port; write 127.0.0.1:9901, or 0.0.0.0:9901"],
        ),
        ("server", "connections_max = 0", &["2:19: server.connections_max: 0 is out of range; write a whole number"]),
        ("server", "connections_max = 10000001", &["2:19: server.connections_max: 10000001 is out of range; "]),
        ("server", "connections_max = \"1\"", &["2:19: server.connections_max: is a string; write a whole number"]),
        ("server", "connections_max = 99999999999999999999", &["2:19: server.connections_max: is negative or too"]),
        (
            "server",
            "trusted_peers = [\"10.0.0.0/8\", \"10.0.0.0/33\", 1, \"::1\"]",
            &[
                "2:32: server.trusted_peers[1]: \"10.0.0.0/33\" is not a range of addresses; write 10.0.0.0/8",
                "2:47: server.trusted_peers[2]: is a whole number, but must be a string; write it in quotes",
            ],
        ),
        ("server", "trusted_peers = \"::1\"", &["2:17: server.trusted_peers: is a string, but must be a list of"]),
        (
            "server",
            "forwarded = \"x\"",
            &["2:13: server.forwarded: \"x\" is not a known value; known are x-forwarded, "],
        ),
        ("server", "expect = \"Answer\"", &["2:10: server.expect: \"Answer\" is not a known value; did you mean"]),
        ("server", "via = \"a b\"", &["2:7: server.via: \"a b\" cannot stand in Via; write a word such as ringway"]),
    ]);
}

#[test]
fn limits_and_log() {
    check_all(&[
        (
            "server",
            "limits = 3",
            &["2:10: server.limits: is a whole number, but must be a table; write [server.limits], "],
        ),
        ("server", "limits = { head = \"61KiB\" }", &["2:19: server.limits.head: is too large; write at most 60KiB"]),
        ("server", "limits = { head = 1 }", &["2:19: server.limits.head: is too small; write at least 256"]),
        ("server", "limits = { head = \"8KB\" }", &["2:19: server.limits.head: \"8KB\" is not a size: its unit is"]),
        (
            "server",
            "limits = { head = \"1KiB\", request_line = \"2KiB\" }",
            &["2:42: server.limits.request_line: is larger than the whole head may be (1024 bytes); make it smaller"],
        ),
        ("server", "limits = { fields = 257 }", &["2:21: server.limits.fields: 257 is out of range; write a whole"]),
        ("server", "limits = { body = 0 }", &["2:19: server.limits.body: is too small; write at least 1"]),
        (
            "server",
            "[log]\nformat = \"xml\"\naccess=\"\"",
            &[
                "3:10: log.format: \"xml\" is not a known value; known are json, sanitized, combined",
                "4:8: log.access: is empty; write the path of a file",
            ],
        ),
        (
            "server",
            "[server.overload]\ntarget = \"4ms\"",
            &["3:10: server.overload.target: is shorter than 5ms; write a"],
        ),
        ("server", "[[log]]", &["2:1: log: is a list, but must be a table; write [log], with single brackets"]),
        ("server", "[lgo]", &["2:2: lgo: is not a known key; did you mean `log`?"]),
    ]);
}

#[test]
fn listeners() {
    check_all(&[
        (
            "listener",
            "idle_timout = \"1s\"",
            &["5:1: listener[0].idle_timout: is not a known key; did you mean `idle_timeout`?"],
        ),
        ("listener", "proxy_protocol = \"yes\"", &["5:18: listener[0].proxy_protocol: is a string, but must be true"]),
        ("listener", "http2 = \"off\"", &["5:9: listener[0].http2: is a string, but must be true or false; write it"]),
        (
            "listener",
            "http2_streams = 0\n[[listener]]\naddress = \"127.0.0.1:0\"\nhttp2_streams = 1001",
            &[
                "5:17: listener[0].http2_streams: 0 is out of range; write a whole number from 1 to 1000",
                "8:17: listener[1].http2_streams: 1001 is out of range; write a whole number from 1 to 1000",
            ],
        ),
        ("listener", "http2_streams = \"9\"", &["5:17: listener[0].http2_streams: is a string; write a whole number"]),
        (
            "listener",
            "[listener.tls]",
            &["5:1: listener[0].tls: is a table, but must be an array of tables; write [[listener.tls]]"],
        ),
        (
            "listener",
            "[[listener.tls]]",
            &[
                "5:1: listener[0].tls[0].cert: is missing; add cert = \"FILE.pem\"",
                "5:1: listener[0].tls[0].key: is missing; add key = \"FILE.key\"",
            ],
        ),
        (
            "listener",
            "[[listener.tls]]\ncert = \"no.pem\"\nkey = \"no.key\"\nnames = [\"a b\", \"10.0.0.1\"]",
            &[
                "6:8: listener[0].tls[0].cert: cannot read no.pem: No such file or directory",
                "7:7: listener[0].tls[0].key: cannot read no.key: No such file or directory",
                "8:10: listener[0].tls[0].names[0]: \"a b\" is not a host name; write a name such as",
                "8:17: listener[0].tls[0].names[1]: \"10.0.0.1\" is an address; names in TLS are host names",
            ],
        ),
        (
            "listener",
            "[[listener]]\naddress = \"8080\"\n[[listener]]",
            &[
                "6:11: listener[1].address: \"8080\" is not an address with a port; write 127.0.0.1:8080, or 0.0.0.0:8080",
                "7:1: listener[2].address: is missing; add address = \"127.0.0.1:8080\"",
            ],
        ),
        (
            "listener",
            "[[listener]]\naddress = \"127.0.0.1:9901\"\n[[listener]]\naddress = \"[::]:1\"\n[[listener]]\naddress = \"[::]:1\"",
            &[
                "6:11: listener[1].address: the admin listener (`admin` in [server]) has this address too; ",
                "10:11: listener[3].address: another listener has this address too; give each its own port",
            ],
        ),
    ]);
}

#[test]
fn upstreams() {
    check_all(&[
        ("upstream", "host = \"a/b\"", &["9:8: upstream[0].host: is not a host; write a host and perhaps a port"]),
        ("upstream", "sni = \"-\"", &["9:7: upstream[0].sni: \"-\" is not a host name; write a name such as"]),
        ("upstream", "pool = 65537", &["9:8: upstream[0].pool: 65537 is out of range; write a whole number from 0"]),
        ("upstream", "read_timeout = \"0ms\"", &["9:16: upstream[0].read_timeout: is zero; "]),
        (
            "upstream",
            "[[upstream]]",
            &[
                "9:1: upstream[1].endpoints: is missing; add endpoints = [\"https://api.example.com\"]",
                "9:1: upstream[1].name: is missing; add name = \"api\"",
            ],
        ),
        (
            "upstream",
            "[[upstream]]\nname = \"api\"\nendpoints = []",
            &[
                "10:8: upstream[1].name: another upstream has the name \"api\"; give each its own",
                "11:13: upstream[1].endpoints: is empty; write at least one, such as \"https://api.example.com\"",
            ],
        ),
        (
            "upstream",
            "[[upstream]]\nname = \"\"\nendpoints = [\"a\", \"http://u:sesame@h\"]",
            &[
                "10:8: upstream[1].name: is empty; write 1 to 64 letters, digits and signs, no blanks or quotes",
                "11:14: upstream[1].endpoints[0]: is not a URL: it has no scheme; write http://HOST:PORT or",
                "11:19: upstream[1].endpoints[1]: has a user or password; set `authorization` in the route's",
            ],
        ),
        (
            "upstream",
            "[[upstream]]\nname = \"b\"\nendpoints = [\"https://a\"]\nca = \"no.pem\"",
            &["12:6: upstream[1].ca: cannot read no.pem: No such file or directory"],
        ),
    ]);
}

#[test]
fn protocols_of_upstreams() {
    check_all(&[
        (
            "upstream",
            "protocol = \"http2\"",
            &["9:12: upstream[0].protocol: \"http2\" is not a known value; known are auto, h1, h2, h2c"],
        ),
        (
            "upstream",
            "protocol = 2",
            &["9:12: upstream[0].protocol: is a whole number, but must be a string; write it"],
        ),
        (
            "upstream",
            "protocol = \"h2\"",
            &[
                "8:14: upstream[0].endpoints[0]: is http://, but protocol = \"h2\" is over TLS; write https://, or protocol = \"h2c\"",
            ],
        ),
        (
            "upstream",
            "[[upstream]]\nname = \"b\"\nendpoints = [\"https://10.0.0.1\", \"http://a\", \"https://b\"]\nprotocol = \"h2c\"\n\
             [[upstream]]\nname = \"c\"\nendpoints = [\"https://10.0.0.1\", \"http://a\"]\nprotocol = \"h2\"",
            &[
                "11:14: upstream[1].endpoints[0]: is https://, but protocol = \"h2c\" is in clear; write http://, or",
                "11:46: upstream[1].endpoints[2]: is https://, but protocol = \"h2c\" is in clear; write http://, or",
                "15:34: upstream[2].endpoints[1]: is http://, but protocol = \"h2\" is over TLS; write https://, or",
            ],
        ),
    ]);
}

#[test]
fn routes() {
    check_all(&[
        ("route", "upstrem = 1", &["12:1: route[0].upstrem: is not a known key; did you mean `upstream`?"]),
        ("route", "path = \"v1\"", &["12:8: route[0].path: \"v1\" does not begin with /; write a path such as /v1"]),
        ("route", "exact = \"v1\"", &["12:9: route[0].exact: \"v1\" does not begin with /; write a path such as /v1"]),
        (
            "route",
            "path = \"/a\"\nexact = \"/b\"",
            &["13:9: route[0].exact: `path` is there too; write `path` (a prefix)"],
        ),
        ("route", "path = \"/a?b\"", &["12:8: route[0].path: \"/a?b\" has a query or fragment; routes look at"]),
        (
            "route",
            "path = \"/a/%2e./b\"",
            &["12:8: route[0].path: \"/a/%2e./b\" has a . or .. segment; write the path"],
        ),
        ("route", "path = \"/é\"", &["12:8: route[0].path: \"/é\" has characters that no request path has; write it"]),
        (
            "route",
            "methods = [\"get\", \"G T\", \"CONNECT\", \"PURGE\"]",
            &[
                "12:12: route[0].methods[0]: \"get\" is no method; methods are case-sensitive, did you mean GET?",
                "12:19: route[0].methods[1]: \"G T\" is not a method; write a word such as GET",
                "12:26: route[0].methods[2]: CONNECT is always refused; leave it out",
            ],
        ),
        ("route", "methods = []", &["12:11: route[0].methods: is empty; leave it out to serve any method"]),
        ("route", "host = \"*\"", &["12:8: route[0].host: \"*\" is not a host pattern; leave `host` out to serve any"]),
        ("route", "host = \"a:80\"", &["12:8: route[0].host: \"a:80\" has a port; write the host alone: any port"]),
        ("route", "host = \"*.*.a\"", &["12:8: route[0].host: \"*.a\" is not a host name; write a name such as"]),
        (
            "route",
            "strip_prefix = \"/v1\"",
            &["12:16: route[0].strip_prefix: is not a prefix of the route's path \"/\"; "],
        ),
        (
            "route",
            "path = \"/v1beta\"\nstrip_prefix = \"/v1\"",
            &["13:16: route[0].strip_prefix: is not a prefix of the route's path \"/v1beta\"; write the route's path"],
        ),
        ("route", "replace_prefix = \"v2\"", &["12:18: route[0].replace_prefix: \"v2\" does not begin with /; "]),
        ("route", "body_max = \"x\"", &["12:12: route[0].body_max: \"x\" is not a size: it does not begin with"]),
        ("route", "connect_timeout = \"1\"", &["12:19: route[0].connect_timeout: \"1\" is not a duration: it has no"]),
        (
            "route",
            "name = \"a\"\n[[route]]\nupstream = \"apo\"\nname = \"a\"\n[[route]]\n[[route]]\nname = \"b c\"\nupstream = 1",
            &[
                "14:12: route[1].upstream: there is no upstream \"apo\"; did you mean `api`?",
                "15:8: route[1].name: another route has the name \"a\"; give each its own",
                "16:1: route[2].upstream: is missing; add upstream = \"NAME\"",
                "18:8: route[3].name: \"b c\" is not a name; write 1 to 64 letters",
                "19:12: route[3].upstream: is a whole number, but must be a string; write it in quotes",
            ],
        ),
    ]);
}

#[test]
fn headers() {
    check_all(&[
        (
            "route",
            "headers = { \"a b\" = \"1\", x = 2, X-y = \"1\", x-Y = \"2\" }",
            &[
                "12:13: route[0].headers.a b: \"a b\" is not a header name; write letters, digits and hyphens",
                "12:30: route[0].headers.x: is a whole number, but must be a string; write it in quotes",
                "12:44: route[0].headers.x-Y: is listed twice; names of headers are equal in any case",
            ],
        ),
        (
            "route",
            "request = [\"a\"]",
            &["12:11: route[0].request: is a list, but must be a table; write [route.request]"],
        ),
        (
            "route",
            "request = { sets = {}, remove = \"a\" }",
            &[
                "12:13: route[0].request.sets: is not a known key; did you mean `set`?",
                "12:33: route[0].request.remove: is a string, but must be a list of strings; write",
            ],
        ),
        (
            "route",
            "[route.request]\nset = { connection = \"close\", Host = \"x\" }\nadd = { host = \"a\", te = \"x\" }",
            &[
                "13:9: route[0].request.set.connection: \"connection\" cannot be edited; it belongs to one connection",
                "14:9: route[0].request.add.host: \"host\" cannot be edited; a request has exactly one Host",
                "14:21: route[0].request.add.te: \"te\" cannot be edited; it belongs to one connection",
            ],
        ),
        (
            "route",
            "[route.request]\nremove = [\"Content-Length\", \"a b\", \"expect\"]",
            &[
                "13:11: route[0].request.remove[0]: \"Content-Length\" cannot be edited; it says where the body ends",
                "13:29: route[0].request.remove[1]: \"a b\" is not a header name; ",
                "13:36: route[0].request.remove[2]: \"expect\" cannot be edited; it is decided by `expect` in [server]",
            ],
        ),
        (
            "route",
            "[route.request.set]\na = \"env:NOPE\"\nb = \"env:BROKEN\"\nc = \"env:EMPTY\"\nd = \"file:none\"\ne = \"x\\r\\ny\"\nf = \"env:\"",
            &[
                "13:5: route[0].request.set.a: the environment variable \"NOPE\" is not set; set it before the start",
                "14:5: route[0].request.set.b: the value has a line break; write it in one line",
                "15:5: route[0].request.set.c: the environment variable \"EMPTY\" is empty; set it before",
                "16:5: route[0].request.set.d: cannot read none: No such file or directory",
                "17:5: route[0].request.set.e: the value has a line break; write it in one line",
                "18:5: route[0].request.set.f: names no environment variable; write env:NAME",
            ],
        ),
    ]);
}

#[test]
fn a_syntax_error_stands_alone_with_its_position() {
    check_all(&[
        ("server", "cors = 1\nx = \"abc", &["3:9: invalid basic string, expected `\"`; correct it: this is not TOML"]),
        ("route", "upstream = \"api\"", &["12:1: duplicate key; write each key, and each table, once"]),
        ("server", "[upstream]", &["6:3: duplicate key; write each key, and each table, once"]),
    ]);
}

#[test]
fn missing_sections_are_all_named() {
    let shown = load_text("").unwrap_err().to_string();
    assert_eq!(
        shown,
        "c.toml:1:1: listener: is missing; add [[listener]] with address = \"127.0.0.1:8080\"\n\
         c.toml:1:1: upstream: is missing; add [[upstream]] with name and endpoints\n\
         c.toml:1:1: route: is missing; add [[route]] with upstream = \"NAME\""
    );
    let shown = load_text("listener = []\nupstream = {}\nroute = [1, {}]").unwrap_err().to_string();
    for line in [
        "c.toml:1:12: listener: is empty; add",
        "c.toml:2:12: upstream: is a table, but must be an array of tables; write [[upstream]]",
        "c.toml:3:10: route[0]: is a whole number, but must be a table; write [[route]]",
        "c.toml:3:13: route[1].upstream: is missing; add",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn errors_of_all_kinds_come_at_once_sorted_by_position() {
    // A type error, an unknown key, a bad value, a missing file, a bad reference and a missing key, in one go.
    let text = "[[route]]\nupstream = \"nope\"\nmethods = 7\n[[listener]]\naddress = \"127.0.0.1:0\"\ncolour = 1\n\
                [[listener.tls]]\ncert = \"no.pem\"\nkey = \"no.key\"\n[[upstream]]\nname = \"api\"\n\
                endpoints = [\"ftp://a\"]\n[[upstream]]\nname = \"b\"\n";
    let errors = load_text(text).unwrap_err();
    let places: Vec<(usize, usize, &str)> = errors.errors.iter().map(|e| (e.line, e.column, e.path.as_str())).collect();
    assert_eq!(
        places,
        [
            (2, 12, "route[0].upstream"),
            (3, 11, "route[0].methods"),
            (6, 1, "listener[0].colour"),
            (8, 8, "listener[0].tls[0].cert"),
            (9, 7, "listener[0].tls[0].key"),
            (12, 14, "upstream[0].endpoints[0]"),
            (13, 1, "upstream[1].endpoints"),
        ]
    );
}

#[test]
fn a_bad_pair_is_an_error_at_the_file_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "a", &["a.example.com"]);
    write_pair(folder.path(), "b", &["b.example.com"]);
    std::fs::write(folder.path().join("junk.pem"), "junk").unwrap();
    for (cert, key, place) in [("a.pem", "b.key", "7:7: "), ("junk.pem", "a.key", "6:8: "), ("a.pem", ".", "7:7: ")] {
        let text = with("listener", &format!("[[listener.tls]]\ncert = \"{cert}\"\nkey = \"{key}\""));
        let shown = load_in(folder.path(), &text).unwrap_err().to_string();
        let file = format!("{}:{place}", folder.path().join("c.toml").display());
        assert!(shown.starts_with(&file) && shown.lines().count() == 1, "{cert} {key}: {shown}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    for extra in [
        "set = { a = \"env:BROKEN\" }",
        "set = { a = \"sesame\\n\" }",
        "set = { connection = \"env:KEY\" }",
        "set = { \"a b\" = \"env:KEY\" }",
        "sett = { a = \"sesame\" }",
        "set = { a = [\"sesame\"] }",
        "set = [\"sesame\"]",
        "set = { a = \"sesame }",
    ] {
        let text = with("route", &format!("[route.request]\n{extra}"));
        let errors = load_text(&text).unwrap_err();
        assert!(!format!("{errors} {errors:?}").contains("sesame"), "{extra}: {errors}");
    }
    let problems = Problems::default();
    let raw =
        read_raw(&with("route", "headers = { a = \"sesame\" }\n[route.request]\nset = { a = \"sesame\" }"), &problems);
    let shown = format!("{:?}", raw.unwrap());
    assert!(shown.contains("Secret(***)") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::new().unwrap();
    let missing = folder.path().join("none.toml");
    let shown = load(&missing, &keep).unwrap_err().to_string();
    assert!(shown.starts_with(&format!("{}: cannot be read: No such file", missing.display())), "{shown}");
    let path = folder.path().join("latin.toml");
    std::fs::write(&path, b"[server]\nvia = \"\xe4\"\n").unwrap();
    let shown = load(&path, &keep).unwrap_err().to_string();
    assert_eq!(shown, format!("{}:2:8: is not UTF-8 from here on; save the file as UTF-8", path.display()));
    assert!(check(folder.path()).is_err());
}
