//! Memory that a request with a body takes in the firewall: none once it is warm, and the body is not copied before it is
//! judged where it is at hand.

use std::io::Write as _;
use std::rc::Rc;

use ringway::base::clock;
use ringway::net::Input;
use ringway::policy::waf::compile::RuleSet;
use ringway::policy::waf::guard::{Guard, Over, RuleCounters, Terms};
use ringway::policy::waf::text::{Source, read};
use ringway::proxy::Client;
use ringway::proxy::exchange::{Exchange, Progress, RequestBody};
use ringway::proxy::screen::{Screen, screen};

use super::*;

/// The two chained rules that everybody begins with.
const WORDS: &str = "SecRule REQUEST_URI \"@contains /v1/completions\" \
    \"id:1001,phase:2,deny,status:403,msg:'Abusive prompt detected',chain\"\n\
    SecRule REQUEST_BODY \"@rx (dangerous|harmful|暴力)\" \"t:lowercase,t:urlDecode\"\n";

/// Fifty rules of the usual kinds, none of which matches what is asked here.
fn fifty() -> String {
    let rule = |number: usize| match number % 5 {
        0 => {
            format!("SecRule ARGS \"@rx (?i)word{number}\\s+from\" \"id:{number},phase:2,deny,t:none,t:urlDecodeUni\"")
        }
        1 => format!(
            "SecRule REQUEST_HEADERS:User-Agent \"@pm scan{number} probe{number}\" \"id:{number},phase:1,deny\""
        ),
        2 => format!(
            "SecRule ARGS|REQUEST_COOKIES \"@contains ../{number}\" \"id:{number},phase:2,deny,t:normalizePath\""
        ),
        3 => format!("SecRule JSON:prompt \"@rx ^ignore {number}\" \"id:{number},phase:2,deny,t:lowercase\""),
        _ => format!("SecRule REQUEST_BODY \"@beginsWith <x{number}\" \"id:{number},phase:2,deny,t:htmlEntityDecode\""),
    };
    (1..=50).map(|number| rule(number) + "\n").collect()
}

fn guarded(path: &str, text: &str) -> (Matcher, Route) {
    let loaded = read(&[Source { name: Arc::from("test"), text }], &mut |_, _| Err("there are no files".to_owned()));
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let rules = RuleSet::compile(loaded.document).expect("rules that can be taken");
    let terms = Terms { inspect_bytes: 128 * 1024, over: Over::Partial, decompress: false };
    let guard = Guard::new("test".into(), &rules, 1, terms, RuleCounters::new(1..=2_000, 1, None));
    let (matcher, plain) = route(path, None, Edits::default(), Edits::default());
    (matcher, Route { screen: Screen { waf: Some(Arc::new(guard)), ..Screen::default() }, ..plain })
}

/// A POST of 1 KB that honest clients send.
fn post(path: &str) -> (String, String) {
    let prose = "Explain to a new colleague what is copied and how both sides stay alike. ".repeat(12);
    let mut body = format!("{{\"model\":\"gpt-4o-mini\",\"max_tokens\":100,\"prompt\":\"{prose}");
    body.truncate(1_022);
    body += "\"}";
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: OpenAI/Python 1.54.3\r\nAuthorization: Bearer x\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head, body)
}

/// Allocations of the screen for this POST, whose body is at hand.
async fn screened(core: &Rc<Core>, path: &str) -> u64 {
    let (near, mut far) = stored::pair();
    let (text, body) = post(path);
    far.write_all(body.as_bytes()).expect("room for a body");
    let mut input = Input::eager();
    while input.unread().len() < body.len() {
        input.try_fill(&near, &core.buffers).expect("the body");
    }
    let mut head = core.take_request_head();
    let parsed = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert_eq!(parsed, Ok(Parsed::Complete { head_bytes: text.len() }));
    let framing = h1::request_framing(&head).expect("a framing");
    let (timer, progress) = (core.deadlines.timer(), Progress::default());
    let address = "192.0.2.7:41234".parse().expect("an address");
    let read = Vec::new();
    let mut client = Client {
        stream: &near,
        head: &head,
        framing,
        peer: Peer { address, socket: address, tls: false },
        timer: &timer,
        body_ms: 1_000,
        send_ms: 1_000,
        body: Some(RequestBody { input: &mut input, decoder: BodyDecoder::new(framing.body), read }),
        progress: &progress,
        started_us: clock::now_us(),
    };
    let service = core.service();
    let mut exchange = Exchange::begin(core, &service.shared, &client);
    let route = service.shared.router.find(b"a", path.as_bytes(), &head).expect("a route");
    let before = ALLOCATIONS.with(Cell::get);
    let passed = screen(core, &service, route, &mut client, &mut exchange).await;
    let count = ALLOCATIONS.with(Cell::get) - before;
    assert!(passed.is_ok() && exchange.rule.is_none());
    let kept = client.body.as_ref().map(|body| (body.read.len(), body.at_hand().len()));
    assert_eq!(kept, Some((0, body.len())), "it is judged where it lies");
    drop(exchange);
    core.give_request_head(head);
    input.discard(&core.buffers);
    count
}

pub async fn judging_allocates_nothing() {
    let plain = route("/", None, Edits::default(), Edits::default());
    let words = guarded("/v1/completions", WORDS);
    let fifty = guarded("/v1/fifty", &fifty());
    let router = Router::compile(vec![plain, words, fifty]);
    let core = Rc::new(Core::new(Parts::alone(Arc::new(Service { router, ..Service::default() }))));
    for path in ["/v1/plain", "/v1/completions", "/v1/fifty"] {
        let cold = screened(&core, path).await;
        screened(&core, path).await;
        for _ in 0..20 {
            assert_eq!(screened(&core, path).await, 0, "{path}, cold: {cold}");
        }
    }
}
