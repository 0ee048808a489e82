#!/usr/bin/env python3
"""Memory of the cache under churn: many times more answers than fit, of 100 B to 5 MB, at full load on all cores.

Clients (wrk) ask for random URLs, sizes spread evenly over the logarithm, half of the requests among few URLs and half
among many, so that there are hits, misses and evictions all the time; a few slow readers hold large answers while these
are evicted. Each second: what the cache has charged, how many objects it has, VmRSS. Fails when the charged bytes pass
the configured memory by more than 5 %, or VmRSS passes 1.25 times it beside what the process had before the load.

    cargo build --release && python3 benches/load/churn.py [--seconds 600] [--memory-mib 256]
"""
import argparse, json, os, pathlib, random, re, socket, subprocess, sys, tempfile, threading, time, urllib.request

import compare

SIZES = 40
SCRIPT = """math.randomseed({seed})
local sizes = {sizes}
request = function()
  local few = math.random() < 0.5
  return wrk.format(nil, "/" .. math.random(1, sizes) .. "?n=" .. math.random(1, few and 20 or 5000))
end
"""
CONFIG = """[server]
admin = "127.0.0.1:{admin}"
[log]
access = "off"
[cache]
memory = "{memory}MiB"
[[listener]]
address = "127.0.0.1:{port}"
[[upstream]]
name = "origin"
endpoints = ["http://127.0.0.1:{origin}"]
[[route]]
path = "/"
upstream = "origin"
[route.cache]
"""


def gauges(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    wanted = ("ringway_cache_bytes", "ringway_cache_objects", "ringway_cache_evicted_total", "process_open_fds", "ringway_flights_active",
              "ringway_followers_active", "ringway_panics_total", "ringway_connections_open",
              "ringway_upstream_connections_idle")
    found = {name: float(re.search(rf"^{name} (\S+)$", text, re.M)[1]) for name in wanted}
    for outcome in ("hit", "miss", "merged", "pass"):
        found[outcome] = sum(map(float, re.findall(rf'ringway_cache_requests_total{{[^}}]*outcome="{outcome}"}} (\S+)', text)))
    return found


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def read_slowly(port, stop, seed):
    """Takes 64 KB ten times a second of the largest answers, and leaves in the middle of every second one."""
    draw = random.Random(seed)
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                client.sendall(f"GET /{SIZES}?n={draw.randint(1, 5000)} HTTP/1.1\r\nHost: churn\r\nConnection: close\r\n\r\n".encode())
                most = draw.choice((500_000, 1 << 30))
                while most > 0 and not stop.is_set():
                    got = client.recv(65536)
                    if not got:
                        break
                    most -= len(got)
                    stop.wait(0.1)
        except OSError:
            pass


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=600)
    options.add_argument("--memory-mib", type=int, default=256)
    options.add_argument("--driver", default="auto")
    options.add_argument("--json", type=pathlib.Path, help="write the samples there")
    options = options.parse_args()
    origin, port, admin = (compare.free_port() for _ in range(3))
    samples, stop = [], threading.Event()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        for n in range(SIZES):
            (folder / str(n + 1)).write_bytes(os.urandom(round(100 * (5e6 / 100) ** (n / (SIZES - 1)))))
        body = (f"sendfile on; server {{ listen 127.0.0.1:{origin} backlog=4096; root {folder}; add_header Cache-Control max-age=86400; "
                "location / { } }")
        back = compare.nginx(folder, "origin", "0,1", origin, body)
        config = folder / "churn.toml"
        config.write_text(CONFIG.format(admin=admin, port=port, origin=origin, memory=options.memory_mib))
        gateway = subprocess.Popen([compare.RINGWAY, "run", "--config", config, "--driver", options.driver], stdout=subprocess.DEVNULL)
        load, readers = None, []
        try:
            compare.wait_for(port)
            compare.wait_for(admin)
            before, base = gauges(admin), rss_kib(gateway.pid)
            script = folder / "churn.lua"
            script.write_text(SCRIPT.format(seed=time.time_ns() % 1_000_000, sizes=SIZES))
            load = subprocess.Popen(["wrk", "-t2", "-c64", f"-d{options.seconds}s", "--timeout", "30s", "-s", script, f"http://127.0.0.1:{port}/"],
                                    stdout=subprocess.PIPE, text=True)
            readers = [threading.Thread(target=read_slowly, args=(port, stop, n)) for n in range(8)]
            for reader in readers:
                reader.start()
            began = time.monotonic()
            while load.poll() is None:
                samples.append(dict(gauges(admin), at=time.monotonic() - began, rss_kib=rss_kib(gateway.pid)))
                time.sleep(1)
            said = load.stdout.read()
            stop.set()
            for reader in readers:
                reader.join()
            time.sleep(2)
            after, rss_after = gauges(admin), rss_kib(gateway.pid)
            request = urllib.request.Request(f"http://127.0.0.1:{admin}/cache/purge", b'{"all": true}', {"Content-Type": "application/json"})
            urllib.request.urlopen(request).read()
            time.sleep(5)
            purged, rss_purged = gauges(admin), rss_kib(gateway.pid)
        finally:
            stop.set()
            if load and load.poll() is None:
                load.kill()
            gateway.terminate()
            gateway.wait()
            back.stop()
    memory = options.memory_mib * 1024 * 1024
    most, rss = max(s["ringway_cache_bytes"] for s in samples), max(s["rss_kib"] for s in samples) * 1024
    print(re.search(r"\d+ requests in.*", said)[0], *re.findall(r"(?:Socket errors|Non-2xx).*", said), sep="; ")
    print(f"hits {after['hit']:.0f}, misses {after['miss']:.0f}, merged {after['merged']:.0f}, evicted {after['ringway_cache_evicted_total']:.0f}")
    print(f"configured {memory / 2**20:.0f} MiB; charged at most {most / 2**20:.1f} MiB = {most / memory:.3f}")
    print(f"VmRSS before {base / 1024:.1f} MiB, at most {rss / 2**20:.1f} MiB = base + {(rss / 1024 - base) / 1024 / options.memory_mib:.3f} x configured; "
          f"after {rss_after / 1024:.1f} MiB, after a purge of everything {rss_purged / 1024:.1f} MiB, {purged['ringway_cache_objects']:.0f} objects, "
          f"{purged['ringway_cache_bytes']:.0f} bytes charged")
    print(f"descriptors {before['process_open_fds']:.0f} before, {after['process_open_fds']:.0f} after; panics {after['ringway_panics_total']:.0f}; "
          f"flights {after['ringway_flights_active']:.0f}, followers {after['ringway_followers_active']:.0f}")
    for at in range(0, len(samples), max(1, len(samples) // 12)):
        s = samples[at]
        print(f"  {s['at']:6.1f} s  {s['ringway_cache_bytes'] / 2**20:7.1f} MiB charged  {s['rss_kib'] / 1024:7.1f} MiB VmRSS  {s['ringway_cache_objects']:.0f} objects")
    if options.json:
        options.json.write_text(json.dumps(dict(base_kib=base, memory=memory, samples=samples, after=after, purged=purged), indent=0))
    failed = [text for text, wrong in (("the charged bytes", most > 1.05 * memory), ("VmRSS", rss > 1.25 * memory + base * 1024),
                                       ("flights or followers", after["ringway_flights_active"] or after["ringway_followers_active"]),
                                       ("panics", after["ringway_panics_total"]), ("objects after the purge", purged["ringway_cache_objects"])) if wrong]
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}")


if __name__ == "__main__":
    main()
