#!/usr/bin/env python3
"""A rate limit of ringway beside nginx's limit_req, in one run: how many it admits, and what it costs.

Admitted: 100 r/s, burst 200, nodelay, one address, asked at a steady pace over several connections (ringway on all cores)
for --seconds; ideal is 201 + 100 per second. What was admitted is what the origin's clients got a 200 for.
Cost: CPU time per request of one worker with a limit that lets everything pass, less the same without it; runs are
interleaved, the figure is the difference of medians.
Needs on the PATH: nginx, wrk, taskset. Loopback only.

    cargo build --release && python3 benches/load/limit.py [--seconds 30] [--pace 800] [--cost-seconds 2] [--repeats 3]
"""
import argparse, http.client, pathlib, statistics, tempfile, threading, time

import compare

RATE, BURST = 100, 200
# So high that nothing is refused.
WIDE = 1_000_000


def ringway(folder, origin_port, rate, burst, cores="1"):
    tables = (f'[[limit]]\nname = "per-address"\nrate = "{rate}/s"\nburst = {burst}\n[limits]\nevery_route = ["per-address"]\n'
              if rate else "")
    port = compare.free_port()
    path = folder / f"ringway{port}.toml"
    path.write_text(f'[server]\ncores = {cores}\nadmin = "off"\n[log]\naccess = "off"\n[[listener]]\naddress = "127.0.0.1:{port}"\n'
                    f'[[upstream]]\nname = "origin"\nendpoints = ["http://127.0.0.1:{origin_port}"]\n'
                    f'[[route]]\nupstream = "origin"\n{tables}')
    command = [compare.RINGWAY, "run", "--config", path]
    return compare.Process(command, "0" if cores == "1" else "0-1023", port), port


def nginx(folder, origin_port, rate, burst, workers=1):
    port = compare.free_port()
    zone = f"limit_req_zone $binary_remote_addr zone=z:10m rate={rate}r/s; limit_req_status 429;" if rate else ""
    limit = f"limit_req zone=z burst={burst} nodelay;" if rate else ""
    body = (f"{zone} upstream up {{ server 127.0.0.1:{origin_port}; keepalive 128; keepalive_requests 1000000000; }} "
            f"server {{ listen 127.0.0.1:{port}; location / {{ {limit} proxy_pass http://up; proxy_http_version 1.1; "
            "proxy_set_header Connection ''; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }")
    return compare.nginx(folder, f"limit{port}", 0, port, body), port


def pace(port, per_second, seconds, counts):
    """One connection that asks at this pace; statuses are counted."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    begun = time.monotonic()
    asked = 0
    while (now := time.monotonic() - begun) < seconds:
        if now * per_second < asked:
            time.sleep(min(asked / per_second - now, seconds - now))
            continue
        client.request("GET", "/1k")
        response = client.getresponse()
        response.read()
        counts[response.status] = counts.get(response.status, 0) + 1
        asked += 1
    client.close()


def admitted(port, per_second, seconds, connections=8):
    each = [{} for _ in range(connections)]
    threads = [threading.Thread(target=pace, args=(port, per_second / connections, seconds, counts)) for counts in each]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    total = lambda status: sum(counts.get(status, 0) for counts in each)
    return total(200), sum(sum(counts.values()) for counts in each), took


def count(folder, origin_port, options):
    for name, start in (("ringway", lambda: ringway(folder, origin_port, RATE, BURST, '"all"')),
                        ("nginx", lambda: nginx(folder, origin_port, RATE, BURST))):
        process, port = start()
        passed, asked, took = admitted(port, options.pace, options.seconds)
        process.stop()
        ideal = BURST + 1 + RATE * took
        print(f"{name:8} {passed} of {asked} admitted in {took:.2f} s; ideal {ideal:.0f}, {100 * (passed / ideal - 1):+.2f} %", flush=True)


def cost(folder, origin_port, options):
    rows = {"ringway": ringway, "nginx": nginx}
    figures = {}
    for _ in range(options.repeats):
        for name, start in rows.items():
            for rate in (0, WIDE):
                process, port = start(folder, origin_port, rate, WIDE)
                compare.wrk(port, False, "1k", 1, 16)
                before = process.cpu_s()
                requests, bad, _ = compare.wrk(port, False, "1k", options.cost_seconds, 16)
                figures.setdefault((name, rate), []).append(1e6 * (process.cpu_s() - before) / max(1, requests))
                assert bad == 0, f"{name} refused {bad}"
                process.stop()
    for name in rows:
        without, limited = (statistics.median(figures[name, rate]) for rate in (0, WIDE))
        print(f"{name:8} {without:.2f} us of CPU per request, with a limit {limited:.2f}: {limited - without:+.2f}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--pace", type=float, default=800, help="requests per second that are asked")
    options.add_argument("--cost-seconds", type=int, default=2, help="0: only what is admitted")
    options.add_argument("--repeats", type=int, default=3)
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        back, origin_port = compare.origin(folder)
        count(folder, origin_port, options)
        if options.cost_seconds:
            cost(folder, origin_port, options)
        back.stop()


if __name__ == "__main__":
    main()
