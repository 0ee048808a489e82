#!/usr/bin/env python3
"""CPU time per cached hit by the number of stored objects: does a full cache cost more than an empty one?

Two gateways run side by side, one that holds 1,000 answers of 1 KB and one that holds a million, both filled through
the gateway with distinct URLs. Four patterns, interleaved, each uniformly random:

    few       the 1,000 URLs of the gateway that holds nothing else
    same      the first 1,000 URLs of the million, stored one after the other
    spread    1,000 URLs out of the million, stored far from each other
    all       the million

`same` and `spread` against `few` say what the size of the table costs; `all` adds that no processor keeps a gigabyte of
answers in its caches. Method as in compare.py: one worker on core 0, wrk on core 1, user + system time / requests.

    cargo build --release && python3 benches/load/objects.py [--objects 1000000] [--seconds 3] [--repeats 5]
"""
import argparse, json, os, pathlib, statistics, sys, tempfile, urllib.request

import compare

FILL = """local n = {first}
request = function() n = n + 1; return wrk.format(nil, "/o?n=" .. (n % {objects})) end
"""
HIT = """math.randomseed({seed})
request = function() return wrk.format(nil, "/o?n=" .. (math.random(0, {choices} - 1) * {stride})) end
"""


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    sys.exit(f"error: no metric {name}")


def outcome(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(l.rsplit(" ", 1)[1]) for l in lines if l.startswith("ringway_cache_requests_total") and f'outcome="{name}"' in l)


def fill(folder, gateway, objects):
    """Asks for every URL until all are stored."""
    _, port, admin = gateway
    script = folder / "fill.lua"
    for attempt in range(40):
        if metric(admin, "ringway_cache_objects") >= objects:
            return
        script.write_text(FILL.format(first=attempt * 7919, objects=objects))
        compare.wrk(port, False, "", max(2, min(20, objects // 50_000)), 64, script=[script])
    print(f"warning: only {metric(admin, 'ringway_cache_objects'):.0f} of {objects} are stored", file=sys.stderr)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--objects", type=int, default=1_000_000)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--json", type=pathlib.Path, help="write the raw figures there")
    options = options.parse_args()
    raw, processes = {}, []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        folder = pathlib.Path(folder)
        os.chmod(folder, 0o755)
        origin_port = compare.free_port()
        body = (f"server {{ listen 127.0.0.1:{origin_port}; add_header Cache-Control max-age=86400; "
                f"location / {{ default_type text/plain; return 200 '{'x' * 1024}'; }} }}")
        processes.append(compare.nginx(folder, "origin", 1, origin_port, body))
        gateways = {}
        for name, objects in (("few", 1000), ("many", options.objects)):
            admin = compare.free_port()
            process, port = compare.start_ringway(folder, origin_port, False, True, admin=f"127.0.0.1:{admin}",
                                                  tables='[cache]\nmemory = "6GiB"\n')
            processes.append(process)
            gateways[name] = (process, port, admin)
            before = process.rss_kib()
            fill(folder, gateways[name], objects)
            stored = metric(admin, "ringway_cache_objects")
            print(f"{name}: {stored:.0f} objects, {metric(admin, 'ringway_cache_bytes') / stored:.0f} bytes each by the account, "
                  f"{1024 * (process.rss_kib() - before) / stored:.0f} by VmRSS", flush=True)
        patterns = {"few": ("few", 1000, 1), "same": ("many", 1000, 1), "spread": ("many", 1000, options.objects // 1000),
                    "all": ("many", options.objects, 1)}
        for turn in range(options.repeats + 1):
            for name, (gateway, choices, stride) in patterns.items():
                process, port, admin = gateways[gateway]
                script = folder / "hit.lua"
                script.write_text(HIT.format(seed=turn * 100 + len(name), choices=choices, stride=stride))
                cpu, misses = process.cpu_s(), outcome(admin, "miss")
                requests, bad, errors = compare.wrk(port, False, "", options.seconds, 64, script=[script])
                spent = process.cpu_s() - cpu
                if bad or errors or outcome(admin, "miss") > misses:
                    print(f"warning: {name}: {bad} bad, {outcome(admin, 'miss') - misses:.0f} misses {errors}", file=sys.stderr)
                if turn > 0: # the first turn warms
                    raw.setdefault(name, []).append((1e6 * spent / requests, requests / options.seconds))
        for process in processes:
            process.stop()
    cpu = {name: statistics.median(f[0] for f in runs) for name, runs in raw.items()}
    print("| pattern | us/req | / few | req/s |\n|---|---|---|---|")
    for name, runs in raw.items():
        print(f"| {name} | {cpu[name]:.2f} | {cpu[name] / cpu['few']:.2f} | {statistics.median(f[1] for f in runs):.0f} |")
    if options.json:
        options.json.write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    main()
