//! The limits of a key beside those of its route: over both versions, for hits too; and whose address counts.

use super::*;
use crate::suite::h2::{H2, Message};

/// What `one` and `two` refuse is told apart by their names.
const LIMITS: &str = "[[limit]]\nname = \"one\"\nrate = \"1/h\"\nburst = 1\nkey = [\"caller\"]\nheaders = true\n\
                      [[limit]]\nname = \"two\"\nrate = \"1/h\"\nburst = 4\nkey = [\"all\"]\nheaders = true\n\
                      [limits]\nmemory = \"1MiB\"\nevery_route = [\"two\"]";

fn storable() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx".to_vec()
}

fn passed(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric("ringway_limit_requests_total", &[&format!("limit={limit:?}"), "outcome=\"passed\""])
}

fn is_hit(response: &Response) -> bool {
    response.field("cache-status").is_some_and(|status| status.contains("hit"))
}

/// Of two keys the one with a limit is held to it, and what it refuses is charged to nobody; an unknown name is told at
/// load, with key and limit.
#[test]
fn a_limit_of_a_key_counts_for_that_key() {
    let origin = Origin::new().serve(|_| ok("x"));
    let keys = Keys::new();
    let (slow, free) = (keys.create("slow", &["--limit", "one", "--limit", "gone"]), keys.create("free", &[]));
    let config = keys.config(&origin).more(LIMITS);
    let gateway = config.start_in(keys.dir);
    let ask = |key: &str| outcome(&gateway, &get_with("/", &[("x-api-key", key)]));
    let refused = |(status, text): (u16, String), limit: &str| {
        assert!(status == 429 && text.contains(&format!("limit {limit}")), "{status} {text}");
    };
    assert_eq!([ask(&slow).0, ask(&slow).0], [200; 2]);
    for _ in 0..5 {
        refused(ask(&slow), "one");
    }
    assert_eq!((passed(&gateway, "one"), passed(&gateway, "two")), (2.0, 2.0));
    assert_eq!([ask(&free).0, ask(&free).0, ask(&free).0], [200; 3]);
    refused(ask(&free), "two");
    assert_eq!((passed(&gateway, "one"), passed(&gateway, "two")), (2.0, 5.0));
    let said = gateway.err.all().join("\n");
    assert!(said.contains("the key \"slow\" has the limit \"gone\""), "{said}");
}

/// Hits are charged and told like all others, whether they go out at once or not.
#[test]
fn hits_are_charged_to_the_limits_of_a_key() {
    let origin = Origin::new().serve(|_| storable());
    let keys = Keys::new();
    let slow = keys.create("slow", &["--limit", "one"]);
    let config = keys.config(&origin).more(&LIMITS.replace("burst = 1", "burst = 3")).cache("authorization = \"own\"");
    let gateway = config.start_in(keys.dir);
    let ask = |fields: &str| {
        let mut client = gateway.client();
        client.send(format!("GET / HTTP/1.1\r\nhost: t\r\nx-api-key: {slow}\r\n{fields}\r\n"));
        client.read_response()
    };
    for (number, fields) in ["", "", "connection: close\r\n", "range: bytes=0-0\r\n"].into_iter().enumerate() {
        let response = ask(fields);
        assert_eq!((response.status, is_hit(&response)), (if number == 3 { 206 } else { 200 }, number > 0));
        let told = response.head.all("ratelimit");
        let left = [format!("\"two\";r={}", 4 - number), format!("\"one\";r={}", 3 - number)];
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().zip(&left).all(|(told, left)| told.starts_with(left.as_str())), "{told:?} {left:?}");
        assert_eq!(response.head.all("ratelimit-policy").len(), 2);
    }
    let refused = ask("");
    refused.assert_failure(429);
    assert!(refused.text().contains("limit one"), "{}", refused.text());
    assert_eq!((passed(&gateway, "one"), passed(&gateway, "two")), (4.0, 4.0));
}

/// Who follows an answer on its way is told what is left too.
#[test]
fn followers_are_told() {
    let origin = Origin::new();
    let keys = Keys::new();
    let key = keys.create("ci", &[]);
    let config = keys.config(&origin).more(LIMITS).cache("authorization = \"own\"");
    let gateway = config.start_in(keys.dir);
    let mut leader = gateway.client();
    leader.send(get_with("/", &[("x-api-key", &key)]));
    let (mut peer, _) = origin.accept_request();
    let mut follower = gateway.client();
    follower.send(get_with("/", &[("x-api-key", &key)]));
    eventually("both are there", || gateway.metric("ringway_exchanges_active", &[]) == 2.0);
    peer.send(storable());
    for client in [&mut leader, &mut follower] {
        let response = client.read_response();
        let told = response.head.all("ratelimit");
        assert!(told.len() == 1 && told[0].starts_with("\"two\";r="), "{told:?}");
    }
}

/// Over HTTP/2: no key is 401 with a challenge, one request too many is 429 with its fields, a hit is told what is left.
#[test]
fn http2_is_held_to_keys_and_limits() {
    let origin = Origin::new().serve(|_| storable());
    let keys = Keys::new();
    let key = keys.create("slow", &["--limit", "one"]);
    let config = keys.config(&origin).more(LIMITS).cache("authorization = \"own\"");
    let gateway = config.start_in(keys.dir);
    let mut client = H2::connect(&gateway);
    let mut ask = |stream: u32, fields: &[(&str, &str)]| -> Message {
        client.request(stream, "GET", "/", fields, true);
        client.message(stream)
    };
    let stranger = ask(1, &[]);
    stranger.assert_failure(401);
    assert_eq!(stranger.field("www-authenticate"), Some("Bearer"));
    let wrong = ask(3, &[("authorization", "Bearer rw_wrong")]);
    wrong.assert_failure(401);
    assert_eq!(wrong.field("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    let bearer = format!("Bearer {key}");
    for (stream, left) in [(5, 1), (7, 0)] {
        let answer = ask(stream, &[("authorization", &bearer)]);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.all("cache-status").join(", ").contains("hit"), stream == 7, "{:?}", answer.fields);
        let told = answer.all("ratelimit");
        assert!(told.len() == 2 && told[1].starts_with(&format!("\"one\";r={left}")), "{told:?}");
    }
    let refused = ask(9, &[("authorization", &bearer)]);
    refused.assert_failure(429);
    let seconds: u64 = refused.field("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    assert_eq!(refused.field("ratelimit-policy"), Some("\"one\";q=2;w=7200"));
    assert_eq!(refused.field("ratelimit"), Some(&*format!("\"one\";r=0;t={seconds}")));
    assert_eq!(origin.take_requests().len(), 1);
}

/// Behind a proxy that is trusted the client it names is limited, whoever brings the request; a hit as well.
#[test]
fn the_address_of_a_client_behind_proxies_counts() {
    let origin = Origin::new().serve(|_| storable());
    let table = "[[limit]]\nname = \"each\"\nrate = \"1/h\"\nburst = 1\n[limits]\nmemory = \"1MiB\"";
    for (trusted, expected) in [(true, [200, 200, 429, 200]), (false, [200, 200, 429, 429])] {
        let mut config = Config::to(&origin).route("limits = [\"each\"]").more(table).cache("");
        if trusted {
            config = config.server("trusted_peers = [\"127.0.0.0/8\"]\nclient_address = \"x-forwarded-for\"");
        }
        let gateway = config.start();
        let ask = |address: &str| outcome(&gateway, &get_with("/", &[("x-forwarded-for", address)])).0;
        let statuses = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"].map(ask);
        assert_eq!(statuses, expected, "trusted: {trusted}");
    }
}
