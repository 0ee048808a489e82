#!/usr/bin/env python3
"""CPU time per request of ringway beside its peers, on this machine, in one run.

The proxy under test runs one worker on core 0; the load generator (wrk, for HTTP/2 h2load with 16 connections of 16
streams) and the origin (nginx, a static file) share core 1. Runs are interleaved (A B A B ...), the figure is (user + system time of the proxy's processes) / requests,
the result is a ratio of medians. All do the same work: the peers set the forwarding fields, Via, Age and the request id
that ringway sets by itself, where they can. Proxied rows are beside nginx, of HTTP/2 beside HAProxy too; cached rows
beside nginx (proxy_cache on tmpfs), HAProxy (its cache) and Varnish (malloc), those of them that are installed.
h2-... rows are over TLS, h2c-... rows in clear by prior knowledge; ...-to-h2-... rows have an origin that speaks HTTP/2
in clear. Who does not speak HTTP/2 is named and left out of the row.
Needs on the PATH: nginx, wrk, taskset, openssl; h2load for HTTP/2; haproxy and varnishd where they are to be compared.
Loopback only.

    cargo build --release && python3 benches/load/compare.py [--seconds 3] [--repeats 3] [row ...]
"""
import argparse, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

import h2_frames

ROOT = pathlib.Path(__file__).resolve().parents[2]
RINGWAY = pathlib.Path(os.environ.get("RINGWAY", ROOT / "target/release/ringway"))
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.01)
    sys.exit(f"error: nothing listens on port {port}")


class NotSpoken(Exception):
    """A peer that cannot do what a row asks for, and why."""


class Process:
    """A server started here, ended here, with the CPU time of itself and its children."""
    own_session = False  # for those who give priorities: sessions may be scheduled as groups

    def __init__(self, command, core, port):
        self.child = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, start_new_session=self.own_session)
        wait_for(port)

    def pids(self):
        found, queue = [], [self.child.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                queue += [int(p) for p in task.read_text().split()]
        return found

    def cpu_s(self):
        total = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def rss_kib(self):
        return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{p}/status").read_text())[1]) for p in self.pids())

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()


NGINX_HEAD = """daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log /dev/null crit;
events {{ worker_connections 16384; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/{name}b; proxy_temp_path {dir}/{name}p;
fastcgi_temp_path {dir}/{name}f; uwsgi_temp_path {dir}/{name}u; scgi_temp_path {dir}/{name}s; """


def nginx(folder, name, core, port, body):
    path = folder / f"{name}.conf"
    path.write_text(NGINX_HEAD.format(dir=folder, name=name) + body + "}")
    return Process(["nginx", "-p", folder, "-c", path], core, port)


def origin(folder, h2=False):
    port = free_port()
    for name, size in (("1k", 1024), ("64k", 65536)):
        (folder / name).write_bytes(b"x" * size)
    body = f"server {{ listen 127.0.0.1:{port}{' http2' if h2 else ''}; root {folder}; add_header Cache-Control max-age=3600; location / {{ }} }}"
    return nginx(folder, "origin", 1, port, body), port


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)


def start_nginx(folder, origin_port, tls, cached, more="", h2=False):
    port = free_port()
    listen = f"listen 127.0.0.1:{port}" + (" ssl" if tls else "") + (" http2" if h2 else "")
    certs = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;" if tls else ""
    cache = (f"proxy_cache_path {folder}/cache{port} levels=1:2 keys_zone=c{port}:16m max_size=1g inactive=1h use_temp_path=off; "
             f"proxy_cache c{port}; proxy_cache_valid 200 1h; proxy_cache_lock on; {more}") if cached else ""
    body = (f"{cache} upstream up {{ server 127.0.0.1:{origin_port}; keepalive 128; keepalive_requests 1000000000; }} server {{ {listen}; {certs} "
            "location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ''; "
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; "
            "proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Request-Id $request_id; proxy_set_header Via '1.1 nginx'; "
            "add_header X-Request-Id $request_id; add_header Via '1.1 nginx'; "
            f"{'add_header Cache-Status $upstream_cache_status;' if cached else ''} }} }}")
    return nginx(folder, f"nginx{port}", 0, port, body), port


def start_nginx_tuned(folder, origin_port, tls, cached, h2=False):
    """The quickest of five ways that were tried: a hit opens no file, and no body takes two writes. sendfile is slower
    here, and with tcp_nopush, as Debian's nginx.conf has both, 64 KB stall for 40 ms each."""
    return start_nginx(folder, origin_port, tls, cached, "open_file_cache max=10000; output_buffers 2 128k; ", h2)


HAPROXY_CACHE = """http-request cache-use c
    http-response cache-store c"""
HAPROXY_FIELDS = """option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Request-Id %[unique-id]
    http-request set-header Via "1.1 haproxy\""""


def start_haproxy(folder, origin_port, tls, cached, h2=False, origin_h2=False):
    """In clear it knows HTTP/2 by the preface, without being told."""
    port = free_port()
    path = folder / f"haproxy{port}.cfg"
    if tls:
        (folder / "both.pem").write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    bind = f"ssl crt {folder}/both.pem {'alpn h2,http/1.1' if h2 else ''}" if tls else ""
    path.write_text(f"""global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
cache c
    total-max-size 256
    max-object-size 1000000
    max-age 3600
frontend f
    bind 127.0.0.1:{port} {bind}
    unique-id-format %[uuid()]
    {HAPROXY_CACHE if cached else HAPROXY_FIELDS}
    http-after-response set-header X-Request-Id %[unique-id]
    http-after-response set-header Via "1.1 haproxy"
    default_backend b
backend b
    http-reuse always
    server o 127.0.0.1:{origin_port} {'proto h2' if origin_h2 else ''}
""")
    return Process(["haproxy", "-db", "-f", path], 0, port), port


def start_varnish(folder, origin_port, tls, cached):
    port = free_port()
    command = ["varnishd", "-F", "-j", "none", "-n", folder / f"varnish{port}", "-a", f"127.0.0.1:{port}",
               "-b", f"127.0.0.1:{origin_port}", "-s", "malloc,256M", "-t", "3600"]
    return Process(command, 0, port), port


def start_ringway(folder, origin_port, tls, cached=False, extra="", admin="off", tables="", h2=False, origin_h2=False):
    """Speaks HTTP/2 to clients unasked: `h2` is there for the sake of the others."""
    port = free_port()
    certs = f'[[listener.tls]]\ncert = "{folder}/cert.pem"\nkey = "{folder}/key.pem"\n' if tls else ""
    path = folder / f"ringway{port}.toml"
    path.write_text(f"""[server]
cores = 1
admin = "{admin}"
{extra}
[log]
access = "off"
{tables}
[[listener]]
address = "127.0.0.1:{port}"
{certs}
[[upstream]]
name = "origin"
endpoints = ["http://127.0.0.1:{origin_port}"]
{'protocol = "h2c"' if origin_h2 else ''}
[[route]]
path = "/"
upstream = "origin"
{'[route.cache]' if cached else ''}
""")
    said = subprocess.run([RINGWAY, "check", "--config", path], capture_output=True, text=True)
    if said.returncode != 0:
        raise NotSpoken("the configuration is refused: " + " ".join((said.stdout + said.stderr).split()))
    return Process([RINGWAY, "run", "--config", path], 0, port), port


def wrk(port, tls, path, seconds, connections, close=False, script=()):
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    if close:
        command += ["-H", "Connection: close"]
    for word in script:
        command += ["-s", word]
    text = subprocess.run([*command, f"http{'s' if tls else ''}://127.0.0.1:{port}/{path}"], capture_output=True, text=True).stdout
    requests = int(re.search(r"(\d+) requests in", text)[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: (.*)", text)
    return requests, int(bad[1]) if bad else 0, errors[1] if errors else ""


def h2load(port, tls, path, seconds, connections=16, streams=16):
    command = ["taskset", "-c", "1", "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}",
               f"http{'s' if tls else ''}://127.0.0.1:{port}/{path}"]
    text = subprocess.run(command, capture_output=True, text=True).stdout
    done, good, failed, errored, late = map(int, re.search(
        r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text).groups())
    statuses = re.search(r"status codes: (\d+) 2xx, (.*)", text)
    bad = max(done - good, done - int(statuses[1]))
    return good, bad, f"({failed} failed, {errored} errored, {late} too late; {statuses[2]})" if bad else ""


PLAIN, CACHES = ("nginx", "ringway"), ("nginx", "nginx-tuned", "haproxy", "varnish", "ringway")
START = {"nginx": start_nginx, "nginx-tuned": start_nginx_tuned, "haproxy": start_haproxy, "varnish": start_varnish,
         "ringway": start_ringway}
BINARY = {"nginx": "nginx", "nginx-tuned": "nginx", "haproxy": "haproxy", "varnish": "varnishd", "ringway": RINGWAY}
VERSION = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"], "varnish": ["varnishd", "-V"], "ringway": [RINGWAY, "--version"]}


def row(path, peers=PLAIN, tls=False, close=False, connections=64, cached=False, h2=False, origin_h2=False):
    return dict(tls=tls, path=path, connections=connections, close=close, peers=peers, cached=cached, h2=h2,
                origin_h2=origin_h2)


H2_CACHES, H2_PROXIES, H2_CLIENTS = ("nginx", "nginx-tuned", "haproxy", "ringway"), ("nginx", "haproxy", "ringway"), ("haproxy", "ringway")
ROWS = {
    "h1-proxied-1k": row("1k"),
    "h1-proxied-64k": row("64k"),
    "tls-proxied-1k": row("1k", tls=True),
    "tls-handshake": row("1k", tls=True, close=True),
    "h1-cached-1k": row("1k", CACHES, cached=True),
    "h1-cached-64k": row("64k", CACHES, cached=True),
    "tls-cached-1k": row("1k", H2_CACHES, tls=True, cached=True),
    "h2-cached-1k": row("1k", H2_CACHES, tls=True, cached=True, h2=True),
    "h2-cached-64k": row("64k", H2_CACHES, tls=True, cached=True, h2=True),
    "h2-proxied-1k": row("1k", H2_PROXIES, tls=True, h2=True),
    "h2c-cached-1k": row("1k", H2_CACHES, cached=True, h2=True),
    "h2c-proxied-1k": row("1k", H2_PROXIES, h2=True),
    "h1-to-h2-1k": row("1k", H2_CLIENTS, origin_h2=True),
    "h2-to-h2-1k": row("1k", H2_CLIENTS, tls=True, h2=True, origin_h2=True),
}


def start(name, row, folder, origin_port):
    """Starts one peer. Raises NotSpoken where it cannot do the row's work."""
    more = {"origin_h2": True} if row["origin_h2"] else {}
    if row["h2"] and name != "varnish":
        more["h2"] = True
    process, port = START[name](folder, origin_port, row["tls"], row["cached"], **more)
    missing = h2_frames.probe(port, row["tls"]) if row["h2"] else ""
    if missing:
        process.stop()
        raise NotSpoken(missing)
    return process, port


def load(row, port, seconds):
    if row["h2"]:
        return h2load(port, row["tls"], row["path"], seconds)
    return wrk(port, row["tls"], row["path"], seconds, row["connections"], row["close"])


def measure(row, seconds, repeats, folder):
    """Per peer the pairs (CPU us per request, requests per second) of each repeat; or a text: why there are none."""
    back, origin_port = origin(folder, row["origin_h2"])
    peers, figures = {}, {}
    for name in row["peers"]:
        if not shutil.which(BINARY[name]):
            continue
        try:
            peers[name], figures[name] = start(name, row, folder, origin_port), []
        except NotSpoken as error:
            figures[name] = str(error)
    for _, port in peers.values():
        load(row, port, 1)
    for _ in range(repeats):
        for name, (process, port) in peers.items():
            before, origin_before = process.cpu_s(), back.cpu_s()
            requests, bad, errors = load(row, port, seconds)
            spent = process.cpu_s() - before
            if bad or requests == 0:
                print(f"warning: {name}: {bad} bad answers of {requests} {errors}", file=sys.stderr)
            if row["cached"] and back.cpu_s() - origin_before > 0.05:
                print(f"warning: {name} asks the origin where it should not", file=sys.stderr)
            figures[name].append((1e6 * spent / max(requests, 1), requests / seconds))
    for process, _ in peers.values():
        process.stop()
    back.stop()
    return figures


def print_row(name, figures):
    measured = {peer: runs for peer, runs in figures.items() if not isinstance(runs, str)}
    cpu = {peer: statistics.median(f[0] for f in runs) for peer, runs in measured.items()}
    rate = {peer: statistics.median(f[1] for f in runs) for peer, runs in measured.items()}
    for peer in figures:
        if peer not in measured:
            print(f"| {name} | {peer} | - | | {figures[peer]} |", flush=True)
            continue
        ratio = f"{cpu['ringway'] / cpu[peer]:.2f}" if peer != "ringway" and "ringway" in cpu else ""
        print(f"| {name} | {peer} | {cpu[peer]:.1f} | {ratio} | {rate[peer]:.0f} |", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--json", type=pathlib.Path, help="write the raw figures there")
    options.add_argument("--folder", type=pathlib.Path, default="/dev/shm", help="tmpfs, so that no peer waits for a disk")
    options.add_argument("rows", nargs="*", default=list(ROWS), metavar="row", help=", ".join(ROWS))
    options = options.parse_args()
    for tool in ("nginx", "wrk", "taskset", "openssl"):
        if not shutil.which(tool):
            sys.exit(f"error: {tool} is missing: apt-get install nginx-light wrk util-linux openssl")
    if any(ROWS[name]["h2"] for name in options.rows) and not shutil.which("h2load"):
        sys.exit("error: h2load is missing: apt-get install nghttp2-client")
    if not RINGWAY.exists():
        sys.exit(f"error: {RINGWAY} is missing: cargo build --release")
    raw = {}
    for name in VERSION:
        if shutil.which(BINARY[name]):
            said = subprocess.run(list(map(str, VERSION[name])), capture_output=True, text=True)
            print(f"{name}: {(said.stdout + said.stderr).splitlines()[0]}")
    print("| row | peer | us/req | ringway / peer | req/s |")
    print("|---|---|---|---|---|")
    for name in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            folder = pathlib.Path(folder)
            os.chmod(folder, 0o755)
            certificate(folder)
            figures = measure(ROWS[name], options.seconds, options.repeats, folder)
        raw[name] = figures
        print_row(name, figures)
    if options.json:
        options.json.write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    main()
