//! The store while the gateway runs: keys come and go by commands and by the admin API, without a restart or a signal.

use super::*;

fn counts(gateway: &Gateway, key: &str) -> bool {
    outcome(gateway, &get_with("/", &[("x-api-key", key)])).0 == 200
}

/// What commands do to the store is in force soon; a broken store changes nothing and the log says so.
#[test]
fn commands_take_effect_while_the_gateway_runs() {
    let origin = Origin::new().serve(|_| ok("in"));
    let keys = Keys::new();
    let first = keys.create("first", &[]);
    let config = keys.config(&origin);
    let gateway = config.start_in(keys.dir);
    let dir = gateway.dir.path();
    assert!(counts(&gateway, &first));
    let second = key_command(dir, "create", &["--name", "second"]);
    eventually("the second key counts", || counts(&gateway, &second));
    let renewed = key_command(dir, "rotate", &["second", "--grace", "0s"]);
    eventually("the renewed key counts", || counts(&gateway, &renewed));
    assert!(!counts(&gateway, &second), "the former secret is over");
    key_command(dir, "revoke", &["first"]);
    eventually("the first key is gone", || !counts(&gateway, &first));
    let path = dir.join("callers.json");
    let good = std::fs::read(&path).expect("the store");
    std::fs::write(&path, "broken").expect("the store is ours");
    let line = gateway.err.wait("callers.store");
    assert!(line.contains("no store of keys"), "{line}");
    assert!(counts(&gateway, &renewed), "the former keys serve on");
    std::fs::write(&path, good).expect("the store is ours");
    let list = key_command(dir, "list", &["--json"]);
    assert!(list.contains("second") && !list.contains(&renewed[16..]) && !list.contains("sha256"));
}

/// The admin API makes a key, shows all without secrets, and takes one away.
#[test]
fn the_admin_api_makes_and_revokes_keys() {
    let origin = Origin::new().serve(|_| ok("in"));
    let keys = Keys::new();
    keys.create("first", &[]);
    let config = keys.config(&origin);
    let gateway = config.start_in(keys.dir);
    let made = gateway.admin_post("/callers", r#"{"name":"api","expires":"1h","routes":["all"]}"#);
    let key = made["key"].as_str().expect("the key, this once").to_owned();
    eventually("the key counts", || counts(&gateway, &key));
    let list = gateway.admin("/callers").text();
    assert!(list.contains("\"api\"") && list.contains("\"first\"") && !list.contains(&key[16..]), "{list}");
    assert!(!list.contains("sha256"));
    let again = gateway.admin_post_with("/callers", "", r#"{"name":"api"}"#);
    assert_eq!(again.status, 400, "{}", again.text());
    assert_eq!(gateway.admin_post_with("/callers", "origin: http://x\r\n", r#"{"name":"p"}"#).status, 403);
    let delete = |id: &str| {
        let mut client = connect(gateway.ready.admin.expect("an admin listener"));
        client.send(format!("DELETE /callers/{id} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"));
        client.read_response().status
    };
    let id = made["id"].as_str().expect("an id");
    assert_eq!((delete(id), delete(id)), (200, 404));
    eventually("the key is gone", || !counts(&gateway, &key));
}

/// What cannot work is an error of `check`, with its place.
#[test]
fn check_refuses_what_cannot_work() {
    let keys = Keys::new();
    keys.create("ci", &["--route", "gone"]);
    let checked = |config: &Config| {
        let file = keys.dir.path().join("gateway.toml");
        std::fs::write(&file, config.toml()).expect("a file in the scratch folder");
        let ended = run(&["check", "--config", file.to_str().expect("a path of text")]);
        (ended.code, ended.err)
    };
    let endpoint = "http://127.0.0.1:9";
    let (code, err) = checked(&keys.config(&endpoint));
    assert!(code == Some(0) && err.contains("the route \"gone\""), "{err}");
    let required = || Config::to(&endpoint).route("callers = \"required\"");
    let store = "[callers]\nstore = \"callers.json\"";
    for (config, said) in [
        (required().upstream("credential = { none = true }"), "needs a store of keys"),
        (required().more(store), "has no credential"),
        (Config::to(&endpoint).more("[callers]\nstore = \"missing.json\""), "ringway key create"),
        (Config::to(&endpoint).upstream("credential = { bearer = \"env:RINGWAY_NOT_SET\" }"), "is not set"),
        (Config::to(&endpoint).upstream("credential = { }"), "not one kind"),
        (Config::to(&endpoint).upstream("credential = { bearer = \"a\", none = true }"), "not one kind"),
        (Config::to(&endpoint).upstream("credential = { header = { name = \"te\", value = \"x\" } }"), "te"),
        (Config::to(&endpoint).route("allow = []"), "is empty"),
    ] {
        let (code, err) = checked(&config);
        assert!(code == Some(1) && err.contains(said), "{said}: {err}");
    }
    let with_set = required().more(&format!("[route.request]\nset = {{ authorization = \"x\" }}\n{store}"));
    assert_eq!(checked(&with_set).0, Some(0));
}
