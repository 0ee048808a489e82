//! Five heads as real clients send them; the credentials are made up.

/// Name and bytes of each head.
pub const REQUESTS: [(&str, &str); 5] = [
    ("minimal GET", MINIMAL),
    ("GET with 8 fields", GET_8),
    ("POST with 20 fields", POST_20),
    ("SDK POST", SDK),
    ("browser GET", BROWSER),
];

const MINIMAL: &str = "GET /v1/models HTTP/1.1\r\nHost: api.example.com\r\n\r\n";

const GET_8: &str = "GET /v1/files/file-abc123?after=2026-01-01&limit=20 HTTP/1.1\r\n\
Host: api.example.com\r\n\
User-Agent: curl/8.5.0\r\n\
Accept: application/json\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Authorization: Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyz\r\n\
Cache-Control: no-cache\r\n\
Connection: keep-alive\r\n\
X-Request-Id: 7b0c2f7e-3a52-4b2f-9f0e-0d8c1a4ef0a1\r\n\r\n";

const POST_20: &str = "POST /v1/messages HTTP/1.1\r\n\
Host: api.example.com\r\n\
User-Agent: internal-agent/3.14 (linux; x86_64)\r\n\
Accept: text/event-stream\r\n\
Accept-Encoding: gzip, deflate\r\n\
Accept-Language: en\r\n\
Content-Type: application/json\r\n\
Content-Length: 18342\r\n\
x-api-key: sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n\
anthropic-version: 2023-06-01\r\n\
anthropic-beta: prompt-caching-2024-07-31,output-128k-2025-02-19\r\n\
X-Request-Id: req_01HZX3W5Y9F7K2M4N6P8Q0R2T4\r\n\
X-Forwarded-For: 203.0.113.7, 10.0.3.21\r\n\
X-Forwarded-Proto: https\r\n\
X-Forwarded-Host: api.example.com\r\n\
X-Real-IP: 203.0.113.7\r\n\
Via: 1.1 edge-7.example.net\r\n\
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
tracestate: vendor=t61rcWkgMzE\r\n\
Cookie: session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl; theme=dark; _ga=GA1.2.1234567890.1700000000\r\n\
Connection: keep-alive\r\n\r\n";

const SDK: &str = "POST /v1/chat/completions HTTP/1.1\r\n\
Host: api.example.com\r\n\
Accept-Encoding: gzip, deflate\r\n\
Connection: keep-alive\r\n\
Accept: application/json\r\n\
Content-Type: application/json\r\n\
User-Agent: OpenAI/Python 1.55.3\r\n\
X-Stainless-Lang: python\r\n\
X-Stainless-Package-Version: 1.55.3\r\n\
X-Stainless-OS: Linux\r\n\
X-Stainless-Arch: x64\r\n\
X-Stainless-Runtime: CPython\r\n\
X-Stainless-Runtime-Version: 3.12.3\r\n\
Authorization: Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyz\r\n\
X-Stainless-Async: false\r\n\
x-stainless-retry-count: 0\r\n\
Content-Length: 312\r\n\r\n";

const BROWSER: &str = "GET /dashboard/usage?project=proj_abc&range=30d HTTP/1.1\r\n\
Host: console.example.com\r\n\
Connection: keep-alive\r\n\
Cache-Control: max-age=0\r\n\
sec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-User: ?1\r\n\
Sec-Fetch-Dest: document\r\n\
Referer: https://console.example.com/dashboard\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Cookie: _ga=GA1.2.1234567890.1700000000; session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl; csrf=0123456789abcdef0123456789abcdef; theme=dark; tz=Europe%2FBerlin\r\n\r\n";
