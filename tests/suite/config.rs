//! The configuration file: what is refused, how it is said, and that all of it is said at once.

use super::harness::*;

/// Runs `ringway check` on a file with this text.
fn check(toml: &str) -> gateway::Failed {
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, toml).expect("a file in the scratch folder");
    run(&["check", "--config", text(&file)])
}

fn base() -> Config {
    Config::to(&"http://127.0.0.1:9")
}

/// The number of the first line that contains this text, as errors say it.
#[track_caller]
fn line_of(toml: &str, part: &str) -> String {
    let at = toml.lines().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} is not in {toml}"));
    format!("{}:", at + 1)
}

/// A good file is `ok`, exit 0, and nothing is on stderr.
#[test]
fn a_good_file_is_ok() {
    let checked = check(&base().toml());
    assert!(checked.out.starts_with("ok"), "{checked:?}");
    assert_eq!((checked.code, checked.err.trim()), (Some(0), ""));
}

/// Every key of the reference is taken.
#[test]
fn every_key_is_taken() {
    let config = base()
        .server("cores = 1\ndriver = \"auto\"\ndrain = \"30s\"\nconnections_max = 1000\ntrusted_peers = [\"127.0.0.0/8\", \"::1/128\"]")
        .server("forwarded = \"both\"\nexpect = \"answer\"\nvia = \"edge\"")
        .limits("head = \"16KiB\"\nrequest_line = \"8KiB\"\nfields = 100\nbody = \"64MiB\"")
        .log("access = \"off\"\nformat = \"combined\"")
        .listener("idle_timeout = \"75s\"\nhead_timeout = \"10s\"\nbody_timeout = \"30s\"\nsend_timeout = \"30s\"")
        .listener("handshake_timeout = \"10s\"\nproxy_protocol = false")
        .upstream("host = \"api.example.com\"\nsni = \"api.example.com\"\ninsecure = false\nconnect_timeout = \"3s\"")
        .upstream("read_timeout = \"30s\"\nsend_timeout = \"30s\"\nidle_timeout = \"60s\"\npool = 128")
        .path("path = \"/v1\"")
        .route("host = \"*.example.com\"\nmethods = [\"GET\", \"POST\"]\nheaders = { \"x-env\" = \"blue\" }")
        .route("strip_prefix = \"/v1\"\nreplace_prefix = \"/v2\"\nbody_max = \"8MiB\"\nconnect_timeout = \"1s\"\nread_timeout = \"5s\"")
        .route("[route.request]\nset = { \"x-a\" = \"1\" }\nadd = { \"x-b\" = \"2\" }\nremove = [\"x-c\"]")
        .route("[route.response]\nset = {}\nadd = {}\nremove = []");
    let checked = check(&config.toml());
    assert_eq!(checked.code, Some(0), "{}", checked.err);
}

/// Numbers, lists and ranges say which cores to use.
#[test]
fn cores_are_a_number_or_a_list() {
    for good in ["1", "\"0\"", "\"0-0\"", "\"0,0-1\""] {
        let checked = check(&base().server(&format!("cores = {good}")).toml());
        assert!(checked.code == Some(0) || checked.err.contains("core"), "{good}: {}", checked.err);
    }
    for bad in ["0", "-1", "\"\"", "\"x\"", "\"3-1\"", "\"0-\"", "\"99999\"", "true", "1.5"] {
        let checked = check(&base().server(&format!("cores = {bad}")).toml());
        assert_eq!(checked.code, Some(1), "{bad}");
        assert!(checked.err.contains("cores"), "{bad}: {}", checked.err);
    }
}

/// One mistake and the words that its error must hold.
struct Mistake {
    toml: String,
    /// Part of the line that the error points to; empty where the mistake is not in one line.
    line: &'static str,
    words: &'static [&'static str],
}

fn mistakes() -> Vec<Mistake> {
    let at = |config: Config, line, words| Mistake { toml: config.toml(), line, words };
    vec![
        at(base().server("coers = 1"), "coers", &["coers", "did you mean", "cores"]),
        at(base().limits("feilds = 1"), "feilds", &["did you mean", "fields"]),
        at(base().listener("idle_timeot = \"1s\""), "idle_timeot", &["did you mean", "idle_timeout"]),
        at(base().upstream("connect_timout = \"1s\""), "connect_timout", &["did you mean", "connect_timeout"]),
        at(base().route("metods = []"), "metods", &["did you mean", "methods"]),
        at(base().more("[sever]\ncores = 1"), "[sever]", &["sever", "did you mean", "server"]),
        at(base().server("drain = \"3 parsecs\""), "parsecs", &["drain", "3 parsecs"]),
        at(base().server("drain = 30"), "drain = 30", &["drain"]),
        at(base().server("driver = \"kqueue\""), "kqueue", &["kqueue", "io_uring", "epoll"]),
        at(base().server("expect = \"perhaps\""), "perhaps", &["answer", "forward"]),
        at(base().server("forwarded = \"maybe\""), "maybe", &["x-forwarded", "off"]),
        at(base().server("trusted_peers = [\"300.0.0.0/8\"]"), "300.0", &["300.0.0.0/8"]),
        at(base().server("via = \"two words\""), "two words", &["via"]),
        at(base().limits("head = \"16 elephants\""), "elephants", &["16 elephants"]),
        at(base().limits("head = \"10MiB\""), "10MiB", &["head"]),
        at(base().limits("fields = 100000"), "100000", &["fields"]),
        at(base().log("format = \"xml\""), "xml", &["json", "combined"]),
        at(base().address("nowhere"), "nowhere", &["nowhere", "address"]),
        at(base().address("127.0.0.1:99999"), "99999", &["99999"]),
        at(base().listener("proxy_protocol = \"yes\""), "proxy_protocol", &["proxy_protocol"]),
        at(Config::to(&"127.0.0.1:9000"), "endpoints", &["endpoints", "http"]),
        at(Config::to(&"ftp://127.0.0.1"), "endpoints", &["ftp"]),
        at(Config::to(&"http://127.0.0.1:9/path"), "endpoints", &["endpoints", "path"]),
        at(Config::to_all(&[]), "endpoints", &["endpoints"]),
        at(base().upstream("pool = -1"), "pool", &["pool"]),
        at(Config::to(&"https://127.0.0.1:9").upstream("ca = \"missing-ca.pem\""), "missing-ca", &["missing-ca.pem"]),
        at(base().route("upstream = \"twice\""), "twice", &[]),
        at(base().path("path = \"v1\""), "\"v1\"", &["path", "/"]),
        at(base().path("path = \"/a\"\nexact = \"/b\""), "", &["path", "exact"]),
        at(base().route("methods = [\"G T\"]"), "G T", &["G T"]),
        at(base().route("body_max = \"-1\""), "body_max", &["body_max"]),
        at(base().path("path = \"/a\"").route("strip_prefix = \"/b\""), "/b", &["strip_prefix"]),
        at(base().route("[route.request]\nset = { \"x y\" = \"1\" }"), "x y", &["x y"]),
        at(base().route("[route.request]\nset = { \"x-a\" = \"1\\n2\" }"), "x-a", &["x-a"]),
        at(
            base().route("[route.request]\nset = { \"content-length\" = \"1\" }"),
            "content-length",
            &["content-length"],
        ),
        at(
            base().route("[route.request]\nset = { a = \"env:RINGWAY_NO_SUCH_VARIABLE\" }"),
            "NO_SUCH",
            &["RINGWAY_NO_SUCH_VARIABLE"],
        ),
        at(base().route("[route.request]\nset = { a = \"file:/no/such/file\" }"), "/no/such", &["/no/such/file"]),
        at(
            base().more("[[route]]\nname = \"b\"\npath = \"/b\"\nupstream = \"orgin\""),
            "orgin",
            &["orgin", "did you mean", "origin"],
        ),
        at(base().more("[[upstream]]\nname = \"origin\"\nendpoints = [\"http://127.0.0.1:1\"]"), "", &["origin"]),
        at(base().listener("[[listener.tls]]\ncert = \"no.pem\"\nkey = \"no.key\""), "no.pem", &["no.pem"]),
        at(base().listener("[[listener.tls]]\ncert = \"no.pem\""), "", &["key"]),
        Mistake { toml: "[server\ncores = 1".to_owned(), line: "[server", words: &[] },
        Mistake { toml: String::new(), line: "", words: &["listener"] },
    ]
}

/// Says what is wrong with how a mistake is reported; nothing when all is well.
fn misreported(Mistake { toml, line, words }: &Mistake) -> Option<String> {
    let checked = check(toml);
    let place = if line.is_empty() { String::new() } else { format!("gateway.toml:{}", line_of(toml, line)) };
    let missing: Vec<&&str> = words.iter().filter(|word| !checked.err.contains(**word)).collect();
    let clean = checked.err.contains("error") && !checked.err.contains("panicked");
    let well = checked.code == Some(1) && checked.err.contains(&place) && missing.is_empty() && clean;
    let why =
        || format!("{line:?}: exit {:?}, place {place:?}, missing {missing:?} in:\n{}", checked.code, checked.err);
    (!well).then(why)
}

/// Every mistake is refused with exit 1, an error that names file, line and column, and what is wrong.
#[test]
fn mistakes_are_named_with_their_place() {
    let mistakes = mistakes();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let check = |part| scope.spawn(move || <[Mistake]>::iter(part).filter_map(misreported).collect::<Vec<_>>());
        let parts: Vec<_> = mistakes.chunks(11).map(check).collect();
        parts.into_iter().flat_map(|part| part.join().expect("no panic while checking")).collect()
    });
    assert!(wrong.is_empty(), "{} mistakes:\n{}", wrong.len(), wrong.join("\n"));
}

/// All mistakes of a file are said at once.
#[test]
fn all_mistakes_are_said_at_once() {
    let config = base().server("coers = 1\ndrain = \"soon\"").limits("head = \"much\"").upstream("pool = -1");
    let toml = config.route("methods = [\"G T\"]").toml();
    let checked = check(&toml);
    assert_eq!(checked.code, Some(1));
    for part in ["coers", "soon", "much", "pool", "G T"] {
        assert!(checked.err.contains(&format!("gateway.toml:{}", line_of(&toml, part))), "{part} in:\n{}", checked.err);
    }
}

/// `run` refuses a bad file as `check` does, and does not get ready.
#[test]
fn run_refuses_what_check_refuses() {
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let failed = Gateway::try_start_in(dir, &base().server("coers = 1").toml()).err().expect("a bad file");
    assert_eq!(failed.code, Some(1));
    assert!(failed.err.contains("coers") && failed.out.is_empty(), "{failed:?}");
}

/// A secret never appears in an error.
#[test]
fn errors_tell_no_secrets() {
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "top\u{1}secret-value").expect("a file in the scratch folder");
    let lines = format!("[route.request]\nset = {{ authorization = {:?} }}", format!("file:{}", text(&secret)));
    let checked = check(&base().route(&lines).toml());
    assert_eq!(checked.code, Some(1), "a control byte cannot stand in a field");
    assert!(!checked.err.contains("secret-value"), "{}", checked.err);
}

/// Each file under `examples/` is good; the files it names are made for the test.
#[test]
fn examples_are_good() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = std::fs::read_dir(&folder).expect("the folder of examples");
    let files: Vec<_> =
        entries.map(|e| e.expect("an entry").path()).filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    assert!(!files.is_empty());
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let authority = Authority::new();
    let (cert, key) = authority.pair(&["example.com", "localhost"]).write(dir.path(), "example");
    let ca = authority.write(dir.path());
    let store = dir.path().join("callers.json");
    let made = run(&["key", "create", "--store", text(&store), "--name", "ci", "--limit", "per-key"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    for file in files {
        let mut toml = std::fs::read_to_string(&file).expect("an example");
        let mut command = gateway::command(&["check", "--config", text(&dir.path().join("example.toml"))]);
        for line in toml.clone().lines().filter(|line| !line.trim_start().starts_with('#')) {
            for (name, made) in [("cert = \"", &cert), ("key = \"", &key), ("ca = \"", &ca)] {
                if line.trim_start().starts_with(name) {
                    toml = toml.replace(line, &format!("{}{:?}", name.trim_end_matches('"'), text(made)));
                }
            }
            for (_, rest) in line.match_indices("file:").map(|(at, _)| line.split_at(at + 5)) {
                let name = rest.split('"').next().unwrap_or_default();
                if !name.starts_with('/') {
                    std::fs::write(dir.path().join(name), "value").expect("a file in the scratch folder");
                }
            }
            for (_, rest) in line.match_indices("env:").map(|(at, _)| line.split_at(at + 4)) {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                command.env(&rest[..end], "a value of some length");
            }
        }
        std::fs::write(dir.path().join("example.toml"), &toml).expect("a file in the scratch folder");
        let output = command.output().expect("the executable runs");
        assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    }
}
