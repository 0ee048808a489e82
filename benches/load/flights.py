#!/usr/bin/env python3
"""Identical streaming calls at the same time: one call upstream, and nobody waits for another without need.

mock-llm behind a gateway on all cores, whose routes cache POST by JSON body. In each round so many clients, connected
before, send the same `"stream": true` call at once. Rounds of these kinds, taken in turns:

    merged     the answer is stored: exactly 1 request upstream, every client gets the same whole stream, and its first
               event at most 5 ms after the first client's
    late       half of the clients come when the stream is half over: still 1 request, the same bytes, nothing missing
    refused    the answer (503) may not be stored: when that is known all go on side by side, so all is over after the
               time of two answers, not of so many; upstream sees all
    known      the same call again: the gateway knows now that it need not wait, all is over after one answer's time
    unstored   as refused, with a stream that its origin forbids to reuse (Cache-Control: no-cache)
    unstored2  as known, for that stream

    cargo build --release && python3 benches/load/flights.py [--clients 200] [--rounds 10]
"""
import argparse, json, pathlib, select, socket, statistics, subprocess, sys, tempfile, time, urllib.request

import compare

LATENCY_MS, TOKENS, DELAY_MS = 300, 40, 10
CONFIG = """[server]
admin = "127.0.0.1:{admin}"
[log]
access = "off"
[[listener]]
address = "127.0.0.1:{port}"
[[upstream]]
name = "mock"
endpoints = ["http://127.0.0.1:{origin}"]
pool = 1024
[[route]]
name = "respectful"
path = "/respectful"
strip_prefix = "/respectful"
upstream = "mock"
[route.cache]
post = true
key = ["host", "path", "body-json"]
[[route]]
path = "/"
upstream = "mock"
[route.cache]
post = true
key = ["host", "path", "body-json"]
origin = "override"
[route.cache.ttl]
200 = "10m"
any = "0s"
"""


def fetch(url, **kwargs):
    with urllib.request.urlopen(urllib.request.Request(url, **kwargs), timeout=10) as answer:
        return answer.read()


def upstream_requests(origin):
    return json.loads(fetch(f"http://127.0.0.1:{origin}/__stats"))["requests"].get("POST /v1/chat/completions", 0)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def begin(self, request):
        self.bytes, self.first, self.sent, self.over, self.error = b"", None, time.perf_counter(), None, None
        self.socket.send(request)

    def take(self):
        """Reads once; True = this response is over."""
        now = time.perf_counter()
        try:
            got = self.socket.recv(1 << 16)
        except BlockingIOError:
            return False
        if not got:
            self.error, self.over = "closed", now
            return True
        self.bytes += got
        head, found, body = self.bytes.partition(b"\r\n\r\n")
        if found and body and self.first is None:
            self.first = now
        # A stream ends with the last chunk, an error with its length, a stored stream with either.
        whole = self.bytes.endswith(b"\r\n0\r\n\r\n") if b"ransfer-" in head and found else self.has_length(head, found, body)
        if whole:
            self.over = now
        return whole

    @staticmethod
    def has_length(head, found, body):
        for line in head.lower().split(b"\r\n"):
            if found and line.startswith(b"content-length:"):
                return len(body) >= int(line.split(b":")[1])
        return False

    def content(self):
        head, _, body = self.bytes.partition(b"\r\n\r\n")
        if b"ransfer-" not in head:
            return body
        out = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            out, body = out + body[: int(size, 16)], body[int(size, 16) + 2 :]
        return out


def run(clients, request, late_by=0.0):
    """Sends by all, by the second half later; returns when all are over."""
    poll = select.epoll()
    waiting = {}
    for client in clients:
        poll.register(client.socket, select.EPOLLIN)
        waiting[client.socket.fileno()] = client
    early = clients if not late_by else clients[::2]
    for client in early:
        client.begin(request)
    begun = time.perf_counter()
    pending = [] if not late_by else clients[1::2]
    while waiting:
        if pending and time.perf_counter() >= begun + late_by:
            for client in pending:
                client.begin(request)
            pending = []
        for number, _ in poll.poll(0.005 if pending else 10):
            client = waiting.get(number)
            if client and client.take():
                poll.unregister(number)
                del waiting[number]
        if time.perf_counter() > begun + 120:
            sys.exit(f"error: {len(waiting)} clients still wait after 120 s")
    poll.close()


KINDS = ("merged", "late", "refused", "known", "unstored", "unstored2")


def call(number, kind):
    fail, path = kind in ("refused", "known"), "/respectful" if kind in ("unstored", "unstored2") else ""
    body = json.dumps({"model": "gpt-mock", "stream": True, "messages": [{"role": "user", "content": f"question {number}"}]})
    fields = "x-mock-status: 503\r\n" if fail else ""
    return (f"POST {path}/v1/chat/completions HTTP/1.1\r\nHost: bench.example\r\nContent-Type: application/json\r\n{fields}"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def measure(kind, clients, number, origin):
    before = upstream_requests(origin)
    began = time.perf_counter()
    run(clients, call(number, kind), LATENCY_MS / 1e3 + TOKENS * DELAY_MS / 2e3 if kind == "late" else 0)
    took = [1e3 * (c.over - c.sent) for c in clients]
    firsts = [c.first for c in clients if c.first]
    early = [c.first for c in (clients[::2] if kind == "late" else clients) if c.first]
    late = [1e3 * (c.first - c.sent) for c in clients[1::2] if c.first]
    return dict(kind=kind, upstream=upstream_requests(origin) - before, bodies=len({c.content() for c in clients}),
                statuses=sorted({c.bytes[9:12].decode() for c in clients}), errors=sum(c.error is not None for c in clients),
                done=sum(c.content().rstrip().endswith(b"data: [DONE]") for c in clients), first_spread_ms=1e3 * (max(early) - min(early)),
                slowest=[c for c in max(clients, key=lambda c: c.over - c.sent).bytes.decode().split("\r\n") if c.startswith("Cache-Status")],
                over_ms=sorted(round(1e3 * (c.over - c.sent)) for c in clients)[:: max(1, len(clients) // 20)],
                late_first_ms=max(late), total_ms=max(took), wall_ms=1e3 * (time.perf_counter() - began), firsts=len(firsts))


def problems(row, clients):
    stream = LATENCY_MS + TOKENS * DELAY_MS
    if row["errors"] or row["firsts"] < clients:
        yield "not every client was answered"
    if row["kind"] in ("merged", "late"):
        if row["upstream"] != 1:
            yield f"{row['upstream']} requests upstream"
        if row["bodies"] != 1 or row["done"] != clients or row["statuses"] != ["200"]:
            yield f"{row['bodies']} different bodies, {row['done']} whole, statuses {row['statuses']}"
        if row["first_spread_ms"] > 5:
            yield f"first events {row['first_spread_ms']:.1f} ms apart"
        if row["kind"] == "late" and row["late_first_ms"] > 50:
            yield f"a late client waited {row['late_first_ms']:.0f} ms for what was there"
        if row["total_ms"] > 2 * stream:
            yield f"took {row['total_ms']:.0f} ms"
    else:
        answers = 2 if row["kind"] in ("refused", "unstored") else 1
        if row["upstream"] != clients:
            yield f"{row['upstream']} requests upstream"
        stream = TOKENS * DELAY_MS if row["kind"].startswith("unstored") else 0
        if row["kind"].startswith("unstored") and row["done"] != clients:
            yield f"{row['done']} whole answers"
        if row["total_ms"] > answers * LATENCY_MS + stream + 250:
            yield f"took {row['total_ms']:.0f} ms: clients wait for each other"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clients", type=int, default=200)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--driver", default="auto")
    options.add_argument("--json", type=pathlib.Path, help="write the raw figures there")
    options = options.parse_args()
    if not compare.RINGWAY.exists():
        sys.exit("error: target/release/ringway is missing: cargo build --release")
    origin, port, admin = compare.free_port(), compare.free_port(), compare.free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "flights.toml"
        config.write_text(CONFIG.format(admin=admin, port=port, origin=origin))
        mock = [compare.RINGWAY, "mock-llm", "--listen", f"127.0.0.1:{origin}", "--latency", f"{LATENCY_MS}ms", "--tokens", str(TOKENS),
                "--chunk-delay", f"{DELAY_MS}ms"]
        gateway = [compare.RINGWAY, "run", "--config", config, "--driver", options.driver]
        started = [subprocess.Popen(list(map(str, c)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for c in (mock, gateway)]
        try:
            for number in (origin, port, admin):
                compare.wait_for(number)
            clients = [Client(port) for _ in range(options.clients)]
            # So many connections to the mock at once overflow its queue of new ones, and a SYN is sent again after 1 s.
            run(clients, call(-1, "merged").replace(b"\r\n\r\n", b"\r\nCache-Control: no-store\r\n\r\n"))
            rows = [measure(kind, clients, 4 * turn + ("merged", "late", "refused", "unstored").index(kind.replace("known", "refused").rstrip("2")), origin)
                    for turn in range(options.rounds) for kind in KINDS]
            metrics = fetch(f"http://127.0.0.1:{admin}/metrics").decode().splitlines()
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()
    wanted = ("ringway_core_requests_total", "ringway_flights_active", "ringway_followers_active", "ringway_driver_info", "ringway_panics_total")
    print("\n".join(line for line in metrics if line.startswith(wanted)))
    failed = 0
    print(f"\n{options.clients} clients, {options.rounds} rounds; latency {LATENCY_MS} ms, {TOKENS} tokens, {DELAY_MS} ms apart")
    print("| kind | requests upstream | first events apart, ms: median | max | late client's first event, ms: max | all over after ms: median | max |")
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        chosen = [row for row in rows if row["kind"] == kind]
        spread, total = [r["first_spread_ms"] for r in chosen], [r["total_ms"] for r in chosen]
        late = f"{max(r['late_first_ms'] for r in chosen):.1f}" if kind == "late" else ""
        spreads = f"{statistics.median(spread):.2f} | {max(spread):.2f}" if kind in ("merged", "late") else " | "
        print(f"| {kind} | {sorted({r['upstream'] for r in chosen})} | {spreads} | {late} | {statistics.median(total):.0f} | {max(total):.0f} |")
        for row in chosen:
            for problem in problems(row, options.clients):
                failed += 1
                print(f"FAILED {kind}: {problem}; slowest: {row['slowest']}, by twentieths: {row['over_ms']}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
