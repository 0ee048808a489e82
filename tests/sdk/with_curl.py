"""curl through the gateway, beside curl straight to the mock where the two must agree."""
import dataclasses
import json
import subprocess
import time

from support import check, equal, holds, until

CHAT = {"model": "gpt-mock", "messages": [{"role": "user", "content": "one two three"}]}
BODY_BYTES = 8 << 20


@dataclasses.dataclass
class Answer:
    version: str
    status: int
    fields: dict
    body: bytes
    said: str
    """what `--verbose` printed"""
    interim: list
    """version and status of each response before the last one"""


def command(world, *arguments):
    return [str(part) for part in ("curl", "--show-error", *options(world, arguments), *arguments)]


def options(world, arguments):
    """What curl is told for each transfer, and again behind `--next`; which version is told by the URL among them."""
    urls = [one for one in arguments if isinstance(one, str) and one.startswith("http")]
    if not world.http2 or urls[0].startswith(world.mock):
        version = "--http1.1"
    else:
        version = "--http2" if urls[0].startswith("https:") else "--http2-prior-knowledge"
    return ["--silent", "--max-time", "20", "--cacert", world.ca, version]


def ways_kept(world):
    """The ways on which curl makes a second request on a connection.

    curl before 8.0 fails at it with any server in clear with prior knowledge (its issue 10634); httpx and Node do not.
    """
    return [(name, base) for name, base in world.ways() if not world.http2 or base.startswith("https:")]


def curl(world, *arguments, feed=None, exit_code=0):
    head, body = world.folder / "curl.head", world.folder / "curl.body"
    head.write_bytes(b"")
    body.write_bytes(b"")
    line = command(world, "--verbose", "--dump-header", head, "--output", body, *arguments)
    done = subprocess.run(line, input=feed, capture_output=True)
    said = done.stderr.decode(errors="replace")
    equal(done.returncode, exit_code, f"exit code of curl ({said[-300:]})")
    heads = [one for one in head.read_text().replace("\r\n", "\n").split("\n\n") if one]
    holds(heads, f"an answer is there ({said[-300:]})")
    first, *lines = heads[-1].split("\n")
    version, status = first.split(" ")[:2]
    fields = {}
    for line in lines:
        name, value = line.split(":", 1)
        fields.setdefault(name.lower(), value.strip())
    interim = [" ".join(one.split("\n")[0].split(" ")[:2]) for one in heads[:-1]]
    return Answer(version, int(status), fields, body.read_bytes(), said, interim)


def post(body, *headers):
    arguments = ["--data-binary", body if isinstance(body, str) else json.dumps(body)]
    for header in ("content-type: application/json", *headers):
        arguments += ["--header", header]
    return arguments


def large():
    """A chat request of 8 MiB, and the tokens that the mock counts in it."""
    empty = len(json.dumps({**CHAT, "messages": [{"role": "user", "content": ""}]}))
    words = (BODY_BYTES - empty) // 8
    body = json.dumps({**CHAT, "messages": [{"role": "user", "content": "sixteen " * words}]})
    return body.encode(), words


def last_fields(world):
    return dict(world.stats()["last_request"]["headers"])


@check("curl: GET through each way has the status and body that the mock sends", http2=True)
def get(world):
    wanted = curl(world, f"{world.mock}/v1/models")
    for name, base in world.ways():
        got = curl(world, f"{base}/v1/models")
        equal((got.status, got.version), (200, world.version), name)
        equal(got.body, wanted.body, f"body, {name}")
        equal(got.fields["content-type"], "application/json", f"type, {name}")


@check("curl: TLS 1.2 and 1.3 with a verified name (SNI), ALPN as asked for; without the CA curl refuses", http2=True)
def tls(world):
    port = world.tls.rsplit(":", 1)[1]
    protocol = "h2" if world.http2 else "http/1.1"
    named = ["--resolve", f"gateway.test:{port}:127.0.0.1", f"https://gateway.test:{port}/v1/models"]
    for version in ("1.2", "1.3"):
        got = curl(world, f"--tlsv{version}", "--tls-max", version, *named)
        equal((got.status, got.version), (200, world.version), f"TLS {version}")
        holds(f"SSL connection using TLSv{version}" in got.said, f"TLS {version} is spoken: {got.said}")
        holds(f"ALPN: server accepted {protocol}" in got.said, f"ALPN {protocol}: {got.said}")
    done = subprocess.run(["curl", "--silent", *named], capture_output=True)
    equal(done.returncode, 60, "exit code of a client without the CA (60: not verified)")


@check("curl: two requests take one connection, a second one that is told to close is closed")
def keep_alive(world):
    for base in (world.plain, world.tls):
        url = f"{base}/v1/models"
        line = command(world, "--write-out", "%{num_connects} ", "--output", "/dev/null", url, "--next",
                       *options(world, [url]), "--header", "connection: close", "--write-out",
                       "%{num_connects} %header{connection}", "--output", "/dev/null", url)
        equal(subprocess.run(line, capture_output=True, text=True).stdout, "1 0 close", base)


@check("curl: HTTP/1.0 gets a body without chunks, whole or as a stream that ends with the connection")
def http_1_0(world):
    for base in (world.plain, world.tls):
        whole = curl(world, "--http1.0", f"{base}/v1/models")
        equal(whole.status, 200, "status")
        equal(whole.body, curl(world, f"{world.mock}/v1/models").body, "body")
        stream = curl(world, "--http1.0", *post({**CHAT, "stream": True}), f"{base}/v1/chat/completions")
        holds("transfer-encoding" not in stream.fields, "no Transfer-Encoding for HTTP/1.0")
        equal(stream.body.count(b"data: "), 15, "events: role, 12 tokens, end, [DONE]")
        holds(stream.body.endswith(b"data: [DONE]\n\n"), "the stream is whole")


@check("curl: a chunked upload from stdin (-T -) arrives whole, and chunked", http2=True)
def upload(world):
    body, words = large()
    for name, base in world.ways():
        got = curl(world, "--request", "POST", "--upload-file", "-", "--header", "content-type: application/json",
                   f"{base}/v1/chat/completions", feed=body)
        equal(got.status, 200, name)
        equal(json.loads(got.body)["usage"]["prompt_tokens"], words, f"tokens counted, {name}")
        fields = last_fields(world)
        equal((fields.get("transfer-encoding"), fields.get("content-length")), ("chunked", None), f"framing, {name}")


@check("curl: Expect: 100-continue with 8 MiB gets its 100, then the answer to all of it", http2=True)
def expect(world):
    body, words = large()
    path = world.folder / "large.json"
    path.write_bytes(body)
    for name, base in world.ways():
        before = world.stats()["bytes_received"]
        begun = time.monotonic()
        got = curl(world, *post(f"@{path}", "expect: 100-continue"), f"{base}/v1/chat/completions")
        equal((got.interim, got.status), ([f"{world.version} 100"], 200), name)
        holds(time.monotonic() - begun < 5, "the 100 is not waited for in vain")
        equal(json.loads(got.body)["usage"]["prompt_tokens"], words, f"tokens counted, {name}")
        equal(world.stats()["bytes_received"] - before, len(body), f"bytes at the origin, {name}")


@check("curl: HEAD has the fields of GET and no body, and the connection is usable after it", http2=True)
def head(world):
    for name, base in world.ways():
        wanted = curl(world, f"{base}/v1/models")
        got = curl(world, "--head", f"{base}/v1/models")
        names = ("content-length", "content-type")
        equal([got.fields.get(n) for n in names], [wanted.fields.get(n) for n in names], f"fields, {name}")
        equal(got.status, 200, name)
    for name, base in ways_kept(world):
        url = f"{base}/v1/models"
        got = curl(world, "--head", url, "--next", *options(world, [url]), "--output", world.folder / "after", url)
        holds(" Re-using existing " in got.said, f"the connection is used again, {name}: {got.said}")
        equal((world.folder / "after").read_bytes(), wanted.body, f"body of the GET after it, {name}")


@check("curl: a 429 keeps its status, Retry-After and body; curl --retry waits for it", http2=True)
def too_many(world):
    headers = ("x-mock-status: 429", "x-mock-retry-after: 1")
    for name, base in world.ways():
        got = curl(world, *post(CHAT, *headers), f"{base}/v1/chat/completions")
        equal((got.status, got.fields.get("retry-after")), (429, "1"), name)
        equal(json.loads(got.body)["error"]["code"], "rate_limit_exceeded", f"body, {name}")
    begun = time.monotonic()
    before = world.stats()["requests_total"]
    base = ways_kept(world)[0][1]
    line = command(world, "--retry", "1", *post(CHAT, *headers), f"{base}/v1/chat/completions")
    subprocess.run(line, capture_output=True)
    equal(world.stats()["requests_total"] - before, 2, "requests at the origin: one, and curl's own retry")
    holds(0.9 < time.monotonic() - begun < 3, "curl waits as Retry-After says")


@check("curl: a stream through each way is byte for byte what the mock sends but for its number and date", http2=True)
def stream(world):
    def pieces(base):
        got = curl(world, "--no-buffer", *post({**CHAT, "stream": True}), f"{base}/v1/chat/completions")
        equal(got.fields["content-type"], "text/event-stream", f"type of {base}")
        parts = [part for part in got.body.decode().split("\n\n") if part]
        choices = [json.loads(part.removeprefix("data: "))["choices"] for part in parts[:-1]]
        return choices, parts[-1]

    wanted = pieces(world.mock)
    for name, base in world.ways():
        equal(pieces(base), wanted, name)


@check("curl: a stream that the origin cuts is an error at the client, never a clean end", http2=True)
def cut(world):
    for name, base in world.ways():
        arguments = post({**CHAT, "stream": True}, "x-mock-abort-after: 3")
        # 18: partial file. 56: the TLS session or the connection ended without a proper end. 92: stream reset.
        line = command(world, "--no-buffer", *arguments, f"{base}/v1/chat/completions")
        done = subprocess.run(line, capture_output=True)
        wanted = (92,) if world.http2 else (18, 56)
        holds(done.returncode in wanted, f"{name}: exit code {done.returncode} is one of {wanted}")
        equal(done.stdout.count(b"data: "), 3, f"events before the cut, {name}")


@check("curl: a path that the API does not know keeps the origin's 404 and its body", http2=True)
def not_found(world):
    got = curl(world, f"{world.plain}/v1/nothing")
    equal(got.status, 404, "status")
    equal(json.loads(got.body)["error"]["code"], "not_found", "the origin's own body")


@check("curl: killed in the middle of a stream, it is missed by the origin within 1 s", http2=True)
def killed(world):
    waits = []
    for name, base in world.ways():
        before = world.stats()["streams"]["aborted_by_client"]
        arguments = post({**CHAT, "stream": True}, "x-mock-tokens: 10000", "x-mock-chunk-delay: 10ms")
        client = subprocess.Popen(command(world, "--no-buffer", *arguments, f"{base}/v1/chat/completions"),
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        client.stdout.readline()
        client.kill()
        gone = time.monotonic()
        client.wait()
        client.stdout.close()
        until(1, f"the origin's stream ends ({name})",
              lambda: world.stats()["streams"]["aborted_by_client"] == before + 1)
        waits.append(f"{name} {1e3 * (time.monotonic() - gone):.0f} ms")
    return ", ".join(waits)
