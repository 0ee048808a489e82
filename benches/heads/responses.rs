//! Five heads of responses as real servers send them; names and ids are made up.

/// Name and bytes of each head.
pub const RESPONSES: [(&str, &str); 5] =
    [("minimal 200", MINIMAL), ("JSON 200", JSON), ("event stream 200", STREAM), ("429", LIMITED), ("page 200", PAGE)];

const MINIMAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

const JSON: &str = "HTTP/1.1 200 OK\r\n\
Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
Content-Type: application/json\r\n\
Content-Length: 1024\r\n\
Connection: keep-alive\r\n\
openai-organization: org-0123456789\r\n\
openai-processing-ms: 512\r\n\
openai-version: 2020-10-01\r\n\
x-ratelimit-limit-requests: 10000\r\n\
x-ratelimit-remaining-requests: 9999\r\n\
x-request-id: req_0123456789abcdef0123456789abcdef\r\n\
Server: upstream\r\n\r\n";

const STREAM: &str = "HTTP/1.1 200 OK\r\n\
Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
Content-Type: text/event-stream; charset=utf-8\r\n\
Transfer-Encoding: chunked\r\n\
Connection: keep-alive\r\n\
Cache-Control: no-cache\r\n\
anthropic-ratelimit-requests-limit: 4000\r\n\
anthropic-ratelimit-requests-remaining: 3999\r\n\
anthropic-ratelimit-requests-reset: 2026-11-23T10:00:01Z\r\n\
anthropic-ratelimit-tokens-limit: 400000\r\n\
anthropic-ratelimit-tokens-remaining: 399000\r\n\
anthropic-ratelimit-tokens-reset: 2026-11-23T10:00:01Z\r\n\
request-id: req_011CVabcdefghijklmnopqrs\r\n\
strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n\
via: 1.1 edge.example.net\r\n\
Server: upstream\r\n\
X-Robots-Tag: none\r\n\r\n";

const LIMITED: &str = "HTTP/1.1 429 Too Many Requests\r\n\
Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
Content-Type: application/json\r\n\
Content-Length: 214\r\n\
Retry-After: 2\r\n\
x-should-retry: true\r\n\
request-id: req_011CVabcdefghijklmnopqrs\r\n\
Server: upstream\r\n\r\n";

const PAGE: &str = "HTTP/1.1 200 OK\r\n\
Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
Content-Type: text/html; charset=utf-8\r\n\
Content-Length: 48213\r\n\
Connection: keep-alive\r\n\
Cache-Control: private, max-age=0, must-revalidate\r\n\
ETag: \"5f2b-61c3a9d2b4e80\"\r\n\
Last-Modified: Sun, 22 Nov 2026 21:14:05 GMT\r\n\
Vary: Accept-Encoding, Cookie\r\n\
Set-Cookie: session=0123456789abcdef0123456789abcdef; Path=/; HttpOnly; Secure; SameSite=Lax\r\n\
Set-Cookie: theme=dark; Path=/; Max-Age=31536000\r\n\
Content-Security-Policy: default-src 'self'; img-src 'self' data: https://cdn.example.com; frame-ancestors 'none'\r\n\
X-Content-Type-Options: nosniff\r\n\
X-Frame-Options: DENY\r\n\
Referrer-Policy: strict-origin-when-cross-origin\r\n\
Accept-Ranges: bytes\r\n\
Server: upstream\r\n\r\n";
