"""What only HTTP/2 has, many streams of one connection: curl, h2load, and httpx without an SDK around it.

That the other checks hold over HTTP/2 too is said where they are.
"""
import asyncio
import json
import re
import subprocess
import time

import httpx
from support import check, equal, holds
from with_curl import CHAT, command, curl, large, post, ways_kept
from with_sdks import TEXT

CHAT_PATH = "/v1/chat/completions"
STREAM = {**CHAT, "stream": True}
MANY = 100


@check("curl: 20 requests at once (--parallel) take one connection, and not the time of 20", http1=False, http2=True)
def parallel(world):
    for name, base in ways_kept(world):
        transfers = ["--output", "/dev/null", f"{base}{CHAT_PATH}"] * 20
        line = command(world, "--parallel", "--parallel-max", "20", *post(CHAT, "x-mock-latency: 200ms"),
                       "--write-out", "%{http_version} %{http_code} %{num_connects}\n", *transfers)
        begun = time.monotonic()
        done = subprocess.run(line, capture_output=True, text=True)
        took = time.monotonic() - begun
        answers = done.stdout.splitlines()
        equal([one[:5] for one in answers], ["2 200"] * 20, f"versions and statuses, {name} {done.stderr}")
        equal(sum(int(one[6:]) for one in answers), 1, f"connections, {name}")
        holds(took < 2, f"{name}: took {took:.1f} s; one after the other they take 4")


@check("curl: --http2 in clear offers an upgrade to h2c; it is left, and answered in HTTP/1.1")
def upgrade(world):
    got = curl(world, "--http2", f"{world.plain}/v1/models")
    equal((got.version, got.status, got.interim), ("HTTP/1.1", 200, []), "answer")
    equal(got.body, curl(world, f"{world.mock}/v1/models").body, "body")


@check("h2load: 2 s with 16 connections of 16 streams each, without an error", http1=False, http2=True)
def load(world):
    rates = []
    for name, base in (("h2c", world.plain), ("h2", world.tls)):
        line = ["h2load", "--threads", "1", "--clients", "16", "--max-concurrent-streams", "16", "--duration", "2",
                f"{base}/v1/models"]
        said = subprocess.run(line, capture_output=True, text=True, check=True, timeout=20).stdout
        requests = re.search(r"requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) t", said)
        holds(requests, f"{name}: {said}")
        done, succeeded, *others = map(int, requests.groups())
        equal((succeeded, others), (done, [0, 0, 0]), f"{name}: done, and neither failed, errored nor timed out")
        holds(done > 100 and f"status codes: {done} 2xx, 0 3xx, 0 4xx, 0 5xx" in said, f"{name}: {said}")
        holds(f"Application protocol: {name}\n" in said, f"{name} is spoken: {said}")
        rates.append(f"{name} {done} requests")
    return ", ".join(rates) + " (the mock's and h2load's speed too, no measure of the gateway)"


def texts(lines):
    """The text of each event of a stream, of which `lines` are the lines."""
    events = [line.removeprefix("data: ") for line in lines if line]
    equal(events[-1], "[DONE]", "the last event")
    return "".join(json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1])


@check("httpx: GET, HEAD, POST, 8 MiB with and without a length, a 429 and a stream on one client", http1=False,
       http2=True)
def requests(world):
    body, words = large()
    for name, base in world.ways():
        with httpx.Client(**world.httpx(base)) as client:
            got = client.get(f"{base}/v1/models")
            equal((got.status_code, got.content), (200, httpx.get(f"{world.mock}/v1/models").content), f"GET, {name}")
            fields = client.head(f"{base}/v1/models").headers
            equal(fields["content-length"], str(len(got.content)), f"length by HEAD, {name}")
            got = client.post(f"{base}{CHAT_PATH}", json=CHAT)
            equal(got.json()["choices"][0]["message"]["content"], TEXT, f"POST, {name}")
            for content in (body, (body[at:at + 100_000] for at in range(0, len(body), 100_000))):
                got = client.post(f"{base}{CHAT_PATH}", content=content, headers={"content-type": "application/json"})
                equal(got.json()["usage"]["prompt_tokens"], words, f"tokens counted, {name}")
            got = client.post(f"{base}{CHAT_PATH}", json=CHAT, headers={"x-mock-status": "429"})
            equal((got.status_code, "retry-after" in got.headers), (429, True), f"429, {name}")
            with client.stream("POST", f"{base}{CHAT_PATH}", json=STREAM) as got:
                equal(texts(got.iter_lines()), TEXT, f"stream, {name}")


@check(f"httpx: {MANY} streams at once on one client take one connection and are all whole", http1=False, http2=True)
def many(world):
    async def run(base):
        async with httpx.AsyncClient(**world.httpx(base, awaited=True)) as client:
            async def one():
                async with client.stream("POST", f"{base}{CHAT_PATH}", json=STREAM, timeout=20) as got:
                    stream = got.extensions["network_stream"]
                    port = stream.get_extra_info("client_addr")[1]
                    return texts([line async for line in got.aiter_lines()]), port

            return await asyncio.gather(*(one() for _ in range(MANY)))

    for name, base in world.ways():
        got = asyncio.run(run(base))
        equal({text for text, _ in got}, {TEXT}, f"texts, {name}")
        equal(len({port for _, port in got}), 1, f"connections, {name}")
