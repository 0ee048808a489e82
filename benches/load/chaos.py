#!/usr/bin/env python3
"""Everything at once: clients that leave, origins that fail, purges, reloads and evictions, at load on all cores.

Every body names its resource, the moment at which the origin made it and its own SHA-256, and every byte of it follows
from those, so that wrong, mixed and cut bodies are seen, parts (206) too. The moments of one machine's monotonic clock
are compared over all processes: what was purged, or invalidated by a POST, must not be served to a request that begins
after that call has returned; what is stale, or flawed, must not be served later either. Each request must end within a
bound, whatever happens. At the end nothing may be left: no flight, no follower, no object after a purge of everything,
descriptors and memory as before.

    cargo build --release && python3 benches/load/chaos.py [--seconds 600] [--seed N]

The origin's and the clients' sides are in chaos_origin.py and chaos_client.py.
"""
import argparse, collections, json, mmap, multiprocessing, pathlib, random, signal, subprocess, sys, tempfile, time, urllib.error, urllib.request

import chaos_client, chaos_origin, churn, compare
from chaos_origin import GROUPS, NAMES, TAGS

CLIENTS, ORIGINS = 3, 2
MEMORY_MIB = 16
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
read_timeout = "1s"
pool = 64
[[route]]
name = "lenient"
path = "/lenient"
upstream = "origin"
[route.response]
set = {{ x-plan = "{number}" }}
[route.cache]
wait = "3s"
stale_while_revalidate = "4s"
stale_if_error = "8s"
refresh_ahead = 30
unwanted = "{unwanted}"
[[route]]
name = "strict"
path = "/"
upstream = "origin"
[route.response]
set = {{ x-plan = "{number}" }}
[route.cache]
wait = "3s"
hit_for_miss = "{hit_for_miss}"
unwanted = "{unwanted}"
jitter = {jitter}
min_uses = {min_uses}
object_max = "{object_max}"
"""


class Floors:
    """For each resource the moment before which nothing may be served that was made: one row per writer."""

    def __init__(self, writers):
        self.writers = writers
        self.memory = mmap.mmap(-1, 8 * 2 * NAMES * writers) # anonymous and shared with children
        self.cells = memoryview(self.memory).cast("q")

    def raise_to(self, writer, names, moment, soft=False):
        for name in names:
            at = (writer * 2 + soft) * NAMES + name
            self.cells[at] = max(self.cells[at], moment)

    def of(self, name, soft=False):
        return max(self.cells[(w * 2 + soft) * NAMES + name] for w in range(self.writers))


class Gateway:
    def __init__(self, folder, origin, driver):
        self.port, self.admin, self.origin = compare.free_port(), compare.free_port(), origin
        self.path, self.number = folder / "chaos.toml", 0
        self.write(random.Random(0))
        self.child = subprocess.Popen([compare.RINGWAY, "run", "--config", self.path, "--driver", driver],
                                      stdout=subprocess.DEVNULL, stderr=open(folder / "gateway.log", "w"))
        compare.wait_for(self.port)
        compare.wait_for(self.admin)

    def write(self, draw):
        self.number += 1
        self.path.write_text(CONFIG.format(
            port=self.port, admin=self.admin, origin=self.origin, memory=MEMORY_MIB, number=self.number,
            hit_for_miss=draw.choice(("100ms", "1s")), unwanted=draw.choice(("stop", "finish")), jitter=draw.choice((0, 30)),
            min_uses=draw.choice((1, 1, 2)), object_max=draw.choice(("1MiB", "2MiB", "4MiB"))))

    def reload(self, draw):
        self.write(draw)
        self.child.send_signal(signal.SIGHUP)

    def call(self, path, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin}{path}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()


PURGES = {} # when each began: what it was


def purge_once(gateway, draw, floors):
    """One purge; when it has returned, its floor is in force. The purger is writer 0."""
    soft, kind = draw.random() < 0.3, draw.choices(("url", "tag", "prefix", "all", "version"), (60, 20, 10, 5, 5))[0]
    name = draw.randrange(NAMES)
    before = time.monotonic_ns()
    if kind == "url":
        concerned = [name]
        gateway.call("/cache/purge", {"url": f"http://chaos.example{chaos_origin.path(name)}", "soft": soft})
    elif kind == "tag":
        concerned = [n for n in range(NAMES) if n % TAGS == name % TAGS]
        gateway.call("/cache/purge", {"tag": f"tag{name % TAGS}", "soft": soft})
    elif kind == "prefix":
        concerned = [n for n in range(NAMES) if chaos_origin.folder(n) == chaos_origin.folder(name)]
        gateway.call("/cache/purge", {"prefix": f"http://chaos.example{chaos_origin.folder(name)}", "soft": soft})
    elif kind == "all":
        concerned = range(NAMES)
        gateway.call("/cache/purge", {"all": True, "soft": soft})
    else:
        soft, lenient = False, chaos_origin.is_lenient(name)
        concerned = [n for n in range(NAMES) if chaos_origin.is_lenient(n) == lenient]
        gateway.call("/cache/version", {"route": "lenient" if lenient else "strict"})
    floors.raise_to(0, concerned, before, soft)
    PURGES[before] = f"{'soft ' if soft else ''}{kind}"
    return PURGES[before]


def disturb(gateway, draw, floors, deadline, counts):
    """Purges and reloads until the time is over."""
    samples, reloaded = [], time.monotonic()
    while time.monotonic() < deadline:
        counts[f"purge {purge_once(gateway, draw, floors)}"] += 1
        if time.monotonic() > reloaded + 1.5:
            reloaded = time.monotonic()
            gateway.reload(draw)
            counts["reload"] += 1
            samples.append(dict(churn.gauges(gateway.admin), rss_kib=churn.rss_kib(gateway.child.pid), at=reloaded))
        if gateway.child.poll() is not None:
            sys.exit(f"FAILED: the gateway ended with {gateway.child.returncode}")
        time.sleep(draw.expovariate(20))
    return samples


LOAD = """math.randomseed({seed})
local paths = {{ {paths} }}
request = function() return wrk.format("GET", paths[math.random(1, #paths)], {{ Host = "chaos.example" }}) end
"""


def settle(gateway, floors):
    """Waits until nothing is in progress, purges everything, and says what is left."""
    for _ in range(100):
        left = churn.gauges(gateway.admin)
        if not any(left[name] for name in ("ringway_flights_active", "ringway_followers_active")):
            break
        time.sleep(0.2)
    active = {name: left[name] for name in ("ringway_flights_active", "ringway_followers_active")}
    gateway.call("/cache/purge", {"all": True})
    time.sleep(8)
    return active, churn.gauges(gateway.admin)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=600)
    options.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options.add_argument("--driver", default="auto")
    options.add_argument("--no-load", action="store_true", help="without wrk beside: only requests that are checked")
    options.add_argument("--json", type=pathlib.Path)
    options = options.parse_args()
    print(f"seed {options.seed}", flush=True)
    origin, context = compare.free_port(), multiprocessing.get_context("fork")
    floors, results = Floors(1 + CLIENTS), context.SimpleQueue()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        folder = pathlib.Path(folder)
        origins = [context.Process(target=chaos_origin.serve, args=(origin, options.seed * 100 + n), daemon=True) for n in range(ORIGINS)]
        for process in origins:
            process.start()
        compare.wait_for(origin)
        gateway = Gateway(folder, origin, options.driver)
        load = None
        try:
            # A little of everything first, so that what is compared at the end has been allocated.
            chaos_client.warm(gateway.port)
            time.sleep(1)
            start, start_rss = churn.gauges(gateway.admin), churn.rss_kib(gateway.child.pid)
            deadline = time.monotonic() + options.seconds
            clients = [context.Process(target=chaos_client.drive, args=(gateway.port, 1 + n, options.seed * 100 + 50 + n, deadline, floors, results))
                       for n in range(CLIENTS)]
            for process in clients:
                process.start()
            if not options.no_load:
                script = folder / "load.lua"
                script.write_text(LOAD.format(seed=options.seed, paths=", ".join(f'"{chaos_origin.path(n)}"' for n in range(NAMES))))
                load = subprocess.Popen(["wrk", "-t1", "-c24", f"-d{options.seconds}s", "--timeout", "20s", "-s", script,
                                         f"http://127.0.0.1:{gateway.port}/"], stdout=subprocess.PIPE, text=True)
            counts = collections.Counter()
            samples = disturb(gateway, random.Random(options.seed), floors, deadline, counts)
            outcomes = [results.get() for _ in clients]
            for process in clients:
                process.join()
            said = load.communicate()[0] if load else ""
            active, left = settle(gateway, floors)
            left_rss = churn.rss_kib(gateway.child.pid)
            log = (folder / "gateway.log").read_text()
        finally:
            if load and load.poll() is None:
                load.kill()
            gateway.child.terminate()
            gateway.child.wait()
            for process in origins:
                process.terminate()
    report(options, counts, outcomes, said, (start, start_rss), (active, left, left_rss), samples, log)


def report(options, counts, outcomes, said, start, end, samples, log):
    (start, start_rss), (active, left, left_rss) = start, end
    seen, wrong = collections.Counter(), []
    for outcome in outcomes:
        seen.update(outcome["seen"])
        wrong += [f"{text} [{PURGES.get(purge, 'post')}]" if purge else text for text, purge in outcome["wrong"]]
    print("disturbed:", ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))
    print("checked:", ", ".join(f"{n} {name}" for name, n in sorted(seen.items())))
    print("beside:", " ".join(said.split("\n")[-6:]).strip())
    longest = max(outcome["longest"] for outcome in outcomes)
    print(f"longest time of a request that was read at full speed: {longest:.2f} s")
    print(f"cache: hits {left['hit']:.0f}, misses {left['miss']:.0f}, merged {left['merged']:.0f}, passed {left['pass']:.0f}, "
          f"evicted {left['ringway_cache_evicted_total']:.0f}; charged at most {max(s['ringway_cache_bytes'] for s in samples) / 2**20:.1f} MiB of {MEMORY_MIB}")
    print(f"VmRSS {start_rss / 1024:.1f} MiB at the start, at most {max(s['rss_kib'] for s in samples) / 1024:.1f}, {left_rss / 1024:.1f} at the end")
    print(f"descriptors {start['process_open_fds']:.0f} at the start, {left['process_open_fds']:.0f} at the end, of them idle upstream connections "
          f"{start['ringway_upstream_connections_idle']:.0f}, {left['ringway_upstream_connections_idle']:.0f}; client connections "
          f"{start['ringway_connections_open']:.0f}, {left['ringway_connections_open']:.0f}")
    print(f"left: {active}, {left['ringway_cache_objects']:.0f} objects, {left['ringway_cache_bytes']:.0f} bytes, panics {left['ringway_panics_total']:.0f}")
    unusual = [line for line in log.splitlines() if any(word in line.lower() for word in ("error", "panic"))]
    print("log:", collections.Counter(line.split(":")[0][:80] for line in unusual).most_common(5))
    wrong += [f"{name} is {n:.0f} at the end" for name, n in active.items() if n]
    wrong += [f"{left[name]:.0f} {name} at the end" for name in ("ringway_cache_objects", "ringway_panics_total") if left[name]]
    if left["ringway_cache_bytes"] > 65536:
        wrong.append(f"{left['ringway_cache_bytes']:.0f} bytes charged at the end")
    pooled = [figures["process_open_fds"] - figures["ringway_upstream_connections_idle"] for figures in (start, left)]
    if pooled[1] > pooled[0] + 4:
        wrong.append(f"{pooled[1]:.0f} descriptors at the end beside idle upstream connections, {pooled[0]:.0f} at the start")
    if left_rss > start_rss + 1.25 * MEMORY_MIB * 1024 + 16 * 1024:
        wrong.append(f"VmRSS {left_rss} KiB at the end")
    if options.json:
        options.json.write_text(json.dumps(dict(seed=options.seed, seconds=options.seconds, counts=counts, seen=seen, wrong=wrong, samples=samples,
                                                start=start, left=left, start_rss=start_rss, left_rss=left_rss), indent=0))
    for text in wrong[:40]:
        print(f"FAILED {text}")
    print(f"{len(wrong)} failures")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
