#!/usr/bin/env python3
"""Each abuse of HTTP/2 at full speed from one client against a gateway on one core, while 20 honest clients run.

Per abuse, on a fresh gateway: honest clients alone (that also warms it up), then the same with the abuser beside them.
The gateway has core 0; honest clients (SCHED_FIFO), origin (nginx) and abuser share core 1 and go before each other in
that order; all go before whatever else the machine does. Expected: honest p99 rises less than 3 times and no honest
request fails; VmRSS of the gateway grows by less than 16 MiB; the abuser is cut off: GOAWAY or a closed connection, for
what is held also all its streams reset. Exit status 1 when one is missed. "Other work" is what core 0 did beside the
gateway: where it is much, the times say little; `--repeats` helps. Rows `spin` (a busy loop, no traffic) and
`lawful-load` (h2load, cached answers) show what the machine and a full core do by themselves; they and
`idle-connections` are not judged. What an abuse is: `h2_attacks.py`; how it is sent: `h2_abuser.py`; how the honest ones
measure: `h2_honest.py`.
Needs on the PATH: nginx, taskset, nice, openssl; h2load for `lawful-load`; root for the priorities. Loopback only.

    cargo build --release && python3 benches/load/h2_abuse.py [--tls] [--gateway ringway] [--json FILE] [abuse ...]
"""
import argparse, json, os, pathlib, re, signal, subprocess, sys, tempfile, time, urllib.request

import compare, h2_frames
from h2_abuser import ABUSER_NICE
from h2_attacks import ATTACKS

HERE = pathlib.Path(__file__).resolve().parent
P99_RISE, GROWTH_MIB = 3.0, 16.0
CONTROLS = ("spin", "lawful-load")
# Time limits are short, so that what is held need not be held for long.
CONFIG = """[server]
cores = 1
admin = "127.0.0.1:{admin}"
[log]
access = "off"
[[listener]]
address = "127.0.0.1:{port}"
head_timeout = "5s"
body_timeout = "5s"
send_timeout = "5s"
{tls}
[[upstream]]
name = "origin"
endpoints = ["http://127.0.0.1:{origin}"]
[[route]]
path = "/"
upstream = "origin"
[[route]]
path = "/cached/"
upstream = "origin"
[route.cache]
"""
ORIGIN = """server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; add_header Cache-Control max-age=3600; location / {{ }}
location = /sink {{ proxy_pass http://127.0.0.1:{port}/1k; proxy_method GET; proxy_pass_request_body off; proxy_set_header Content-Length ''; }} }}"""


def start_origin(folder):
    """Static files, and /sink, which waits for the end of a request's body."""
    port = compare.free_port()
    (folder / "cached").mkdir()
    for name, size in (("1k", 1_024), ("200k", 200 * 1_024)):
        for path in (folder / name, folder / "cached" / name):
            path.write_bytes(b"x" * size)
    return compare.nginx(folder, "origin", 1, port, ORIGIN.format(port=port, folder=folder)), port


def start_gateway(name, folder, origin_port, tls, driver):
    """The process, its port and that of its metrics (None where it has none)."""
    if name != "ringway":
        return *compare.START[name](folder, origin_port, tls, True, h2=True), None
    port, admin = compare.free_port(), compare.free_port()
    pair = f'[[listener.tls]]\ncert = "{folder}/cert.pem"\nkey = "{folder}/key.pem"\n' if tls else ""
    path = folder / "ringway.toml"
    path.write_text(CONFIG.format(admin=admin, port=port, tls=pair, origin=origin_port))
    return compare.Process([compare.RINGWAY, "run", "--config", path, "--driver", driver], 0, port), port, admin


def prefer(process, priority):
    """Other work on the machine is not to be measured: this goes before it, every thread, and the session where sessions
    are scheduled as groups (autogroup)."""
    try:
        for pid in process.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                os.setpriority(os.PRIO_PROCESS, int(task.name), priority)
        pathlib.Path(f"/proc/{process.child.pid}/autogroup").write_text(str(priority))
    except OSError:
        pass


def core_0_busy_s():
    fields = [int(field) for field in re.search(r"^cpu0 (.*)$", pathlib.Path("/proc/stat").read_text(), re.M)[1].split()]
    return (sum(fields[:3]) + sum(fields[5:8])) / compare.TICK


def counters(admin):
    """Those that may tell of an abuse: the words in their names and labels."""
    if admin is None:
        return {}
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        lines = re.findall(r"^(ringway_\S+) (\S+)$", answer.read().decode(), re.M)
    return {name: float(value) for name, value in lines if re.search("h2|goaway|abuse|calm|panic", name)}


def python(script, *arguments):
    return subprocess.Popen([sys.executable, HERE / script, *map(str, arguments)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, start_new_session=True)


def start_load(name, port, tls, seconds):
    """The abuser, or what stands for it: begins at the first line it is sent."""
    if name in ATTACKS:
        abuser = python("h2_abuser.py", name, port, seconds, *(["--tls"] if tls else []))
        abuser.stdout.readline()
        return abuser
    if name == "spin":
        command = f"exec timeout {seconds} {sys.executable} -c 'while True: pass'"
    else:
        command = f"exec h2load -t1 -c1 -m50 -D{seconds} http{'s' if tls else ''}://127.0.0.1:{port}/cached/1k"
    command = f"echo {ABUSER_NICE} > /proc/self/autogroup; read _; {command}"
    return subprocess.Popen(["taskset", "-c", "1", "nice", "-n", str(ABUSER_NICE), "sh", "-c", command], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)


def until(moment):
    time.sleep(max(0, moment - time.monotonic()))


def trial(name, gateway, port, admin, options):
    """One abuse beside the honest: a dictionary of all that was seen."""
    seconds = options.hold if name in ATTACKS and ATTACKS[name](False).held else options.seconds
    load = start_load(name, port, options.tls, seconds)
    base = time.monotonic() + 1.0
    begin = base + options.seconds + 0.1
    windows = [f"{base}:{base + options.seconds}", f"{begin}:{begin + seconds}"]
    honest = python("h2_honest.py", port, *windows, *(["--tls"] if options.tls else []))
    until(begin - 0.05)
    counted, rss, cpu, busy = counters(admin), gateway.rss_kib(), gateway.cpu_s(), core_0_busy_s()
    until(begin)
    load.stdin.write("\n")
    load.stdin.flush()
    peak = rss
    while time.monotonic() < begin + seconds and gateway.child.poll() is None:
        peak = max(peak, gateway.rss_kib())
        time.sleep(0.02)
    if gateway.child.poll() is not None:
        sys.exit(f"error: the gateway ended during {name}")
    cpu, busy = gateway.cpu_s() - cpu, core_0_busy_s() - busy
    said = load.communicate(timeout=60)[0]
    alone, beside = json.loads(honest.communicate(timeout=60)[0])
    after = counters(admin)
    return dict(alone=alone, beside=beside, abuser=json.loads(said) if name in ATTACKS else None, seconds=seconds,
                growth_mib=(peak - rss) / 1_024, left_mib=(gateway.rss_kib() - rss) / 1_024, core_percent=100 * cpu / seconds,
                other_percent=max(0.0, 100 * (busy - cpu) / seconds),
                counters={name: value - counted.get(name, 0) for name, value in after.items() if value != counted.get(name, 0)})


def misses(name, seen):
    """What was expected and is not so."""
    found, up = [], rise(seen)
    if up is None or up >= P99_RISE:
        found.append("p99")
    if seen["alone"]["failed"] or seen["beside"]["failed"]:
        found.append("honest failed")
    if seen["growth_mib"] >= GROWTH_MIB:
        found.append("memory")
    if seen["abuser"] and seen["abuser"]["first"]["end"] is None:
        found.append("not cut off")
    return found


def shown(value, digits=0):
    return "-" if value is None else f"{value:.{digits}f}"


HEADINGS = ("abuse", "frames/s offered", "connections", "honest p50 us", "p99 us", "rise", "failed", "late p99 us", "growth MiB", "core %", "other work %",
            "cut off by", "frames until", "ms until", "verdict")


def print_trial(name, seen, judged):
    alone, beside, abuser = seen["alone"], seen["beside"], seen["abuser"]
    first = abuser["first"] if abuser else {}
    end = first.get("end") or ("nothing, but no longer read" if first.get("stalled") else "nothing" if abuser else "")
    if first.get("end") and not first["closed"]:
        end += ", left open"
    missed = misses(name, seen)
    verdict = ("MISSED: " + ", ".join(missed) if missed else "ok") if judged else ""
    cells = (name, abuser["frames_per_second"] if abuser else "", f"{abuser['connections']} (+{abuser['refused']} refused)" if abuser else "",
             f"{shown(alone['p50_us'])} -> {shown(beside['p50_us'])}", f"{shown(alone['p99_us'])} -> {shown(beside['p99_us'])}", shown(rise(seen), 1),
             f"{alone['failed'] + beside['failed']} of {alone['requests'] + beside['requests']}", shown(beside["late_us"]),
             f"{seen['growth_mib']:.1f}", f"{seen['core_percent']:.0f}", f"{seen['other_percent']:.0f}", end, first.get("frames", ""),
             shown(first.get("milliseconds"), 1) if abuser else "", verdict)
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    return bool(missed)


def rise(seen):
    alone, beside = seen["alone"]["p99_us"], seen["beside"]["p99_us"]
    return beside / alone if alone and beside else None


def attempts(name, options):
    """As many trials as were asked for; the one with the median rise of the honest p99, and the rises of all."""
    seen = sorted((attempt(name, options) for _ in range(options.repeats)), key=lambda one: rise(one) or float("inf"))
    return dict(seen[(len(seen) - 1) // 2], rises=[rise(one) for one in seen])


def attempt(name, options):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        compare.certificate(folder)
        back, origin_port = start_origin(folder)
        gateway, port, admin = start_gateway(options.gateway, folder, origin_port, options.tls, options.driver)
        try:
            missing = h2_frames.probe(port, options.tls)
            if missing:
                sys.exit(f"error: {options.gateway} does not speak HTTP/2{' over TLS' if options.tls else ' in clear'}: {missing}")
            prefer(gateway, -20)
            prefer(back, -20)
            return trial(name, gateway, port, admin, options)
        finally:
            gateway.stop()
            back.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gateway", choices=("ringway", "nginx", "haproxy"), default="ringway")
    options.add_argument("--tls", action="store_true", help="honest and abuser over TLS; else in clear, by prior knowledge")
    options.add_argument("--seconds", type=int, default=3, help="of the honest alone, and of a flood")
    options.add_argument("--hold", type=int, default=12, help="seconds of an abuse that holds what it has")
    options.add_argument("--repeats", type=int, default=1, help="trials per abuse; the median of the rise counts")
    options.add_argument("--driver", default="auto")
    options.add_argument("--json", type=pathlib.Path, help="write all that was seen there")
    options.add_argument("abuses", nargs="*", metavar="abuse", help=", ".join((*CONTROLS, *ATTACKS)))
    options = options.parse_args()
    names = options.abuses or [*CONTROLS, *ATTACKS]
    unknown = [name for name in names if name not in (*CONTROLS, *ATTACKS)]
    if unknown:
        sys.exit(f"error: not an abuse: {', '.join(unknown)}")
    if options.gateway == "ringway" and not compare.RINGWAY.exists():
        sys.exit(f"error: {compare.RINGWAY} is missing: cargo build --release")
    compare.Process.own_session = True
    # An end from outside ends the servers too, which are in sessions of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended from outside"))
    failed = run(names, options)
    if failed:
        sys.exit(f"missed: {', '.join(failed)}")


def run(names, options):
    """All the abuses, row by row; returns the names of those that missed an expectation."""
    seen, failed = {}, []
    print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS), flush=True)
    for name in names:
        judged = name in ATTACKS and ATTACKS[name](False).judged
        seen[name] = attempts(name, options)
        if print_trial(name, seen[name], judged) and judged:
            failed.append(name)
    for name in names:
        for counter, value in seen[name]["counters"].items():
            print(f"{name}: {counter} +{value:.0f}")
    if options.json:
        options.json.write_text(json.dumps(seen, indent=1))
    return failed


if __name__ == "__main__":
    main()
