#!/usr/bin/env python3
"""CPU time per request of ringway beside its peers, on this machine, in one run.

The proxy under test runs one worker on core 0; the load generator (wrk) and the origin (nginx, a static file) share
core 1. Runs are interleaved (A B A B ...), the figure is (user + system time of the proxy's processes) / requests,
the result is a ratio of medians. All do the same work: the peers set the forwarding fields, Via, Age and the request id
that ringway sets by itself, where they can. Proxied rows are beside nginx; cached rows beside nginx (proxy_cache on
tmpfs), HAProxy (its cache) and Varnish (malloc), those of them that are installed.
Needs on the PATH: nginx, wrk, taskset, openssl; haproxy and varnishd where they are to be compared. Loopback only.

    cargo build --release && python3 benches/load/compare.py [--seconds 3] [--repeats 3] [row ...]
"""
import argparse, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RINGWAY = ROOT / "target/release/ringway"
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


class Process:
    """A server started here, ended here, with the CPU time of itself and its children."""

    def __init__(self, command, core, port, **kwargs):
        self.child = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, **kwargs)
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
    return Process(["nginx", "-p", folder, "-c", path], core, port, preexec_fn=None)


def origin(folder):
    port = free_port()
    for name, size in (("1k", 1024), ("64k", 65536)):
        (folder / name).write_bytes(b"x" * size)
    body = f"server {{ listen 127.0.0.1:{port}; root {folder}; add_header Cache-Control max-age=3600; location / {{ }} }}"
    return nginx(folder, "origin", 1, port, body), port


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)


def start_nginx(folder, origin_port, tls, cached, more=""):
    port = free_port()
    listen = f"listen 127.0.0.1:{port}" + (" ssl" if tls else "")
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


def start_nginx_tuned(folder, origin_port, tls, cached):
    """The quickest of five ways that were tried: a hit opens no file, and no body takes two writes. sendfile is slower
    here, and with tcp_nopush, as Debian's nginx.conf has both, 64 KB stall for 40 ms each."""
    return start_nginx(folder, origin_port, tls, cached, "open_file_cache max=10000; output_buffers 2 128k; ")


def start_haproxy(folder, origin_port, tls, cached):
    port = free_port()
    path = folder / f"haproxy{port}.cfg"
    if tls:
        (folder / "both.pem").write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
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
    bind 127.0.0.1:{port} {f'ssl crt {folder}/both.pem' if tls else ''}
    unique-id-format %[uuid()]
    http-request cache-use c
    http-response cache-store c
    http-after-response set-header X-Request-Id %[unique-id]
    http-after-response set-header Via "1.1 haproxy"
    default_backend b
backend b
    http-reuse always
    server o 127.0.0.1:{origin_port}
""")
    return Process(["haproxy", "-db", "-f", path], 0, port), port


def start_varnish(folder, origin_port, tls, cached):
    port = free_port()
    command = ["varnishd", "-F", "-j", "none", "-n", folder / f"varnish{port}", "-a", f"127.0.0.1:{port}",
               "-b", f"127.0.0.1:{origin_port}", "-s", "malloc,256M", "-t", "3600"]
    return Process(command, 0, port), port


def start_ringway(folder, origin_port, tls, cached=False, extra="", admin="off", tables=""):
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
[[route]]
path = "/"
upstream = "origin"
{'[route.cache]' if cached else ''}
""")
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


PLAIN, CACHES = ("nginx", "ringway"), ("nginx", "nginx-tuned", "haproxy", "varnish", "ringway")
START = {"nginx": start_nginx, "nginx-tuned": start_nginx_tuned, "haproxy": start_haproxy, "varnish": start_varnish,
         "ringway": start_ringway}
BINARY = {"nginx": "nginx", "nginx-tuned": "nginx", "haproxy": "haproxy", "varnish": "varnishd", "ringway": RINGWAY}
VERSION = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"], "varnish": ["varnishd", "-V"], "ringway": [RINGWAY, "--version"]}


def row(path, peers=PLAIN, tls=False, close=False, connections=64):
    return dict(tls=tls, path=path, connections=connections, close=close, peers=peers)


ROWS = {
    "h1-proxied-1k": row("1k"),
    "h1-proxied-64k": row("64k"),
    "tls-proxied-1k": row("1k", tls=True),
    "tls-handshake": row("1k", tls=True, close=True),
    "h1-cached-1k": row("1k", CACHES),
    "h1-cached-64k": row("64k", CACHES),
    "tls-cached-1k": row("1k", ("nginx", "nginx-tuned", "haproxy", "ringway"), tls=True),
}


def measure(row, seconds, repeats, folder):
    back, origin_port = origin(folder)
    cached = row["peers"] != PLAIN
    names = [name for name in row["peers"] if shutil.which(BINARY[name])]
    peers = {name: START[name](folder, origin_port, row["tls"], cached) for name in names}
    figures = {name: [] for name in peers}
    for name, (_, port) in peers.items():
        wrk(port, row["tls"], row["path"], 1, row["connections"], row["close"])
    for _ in range(repeats):
        for name, (process, port) in peers.items():
            before, origin_before = process.cpu_s(), back.cpu_s()
            requests, bad, errors = wrk(port, row["tls"], row["path"], seconds, row["connections"], row["close"])
            spent = process.cpu_s() - before
            if bad or requests == 0:
                print(f"warning: {name}: {bad} bad answers of {requests} {errors}", file=sys.stderr)
            if cached and back.cpu_s() - origin_before > 0.05:
                print(f"warning: {name} asks the origin where it should not", file=sys.stderr)
            figures[name].append((1e6 * spent / max(requests, 1), requests / seconds))
    for process, _ in peers.values():
        process.stop()
    back.stop()
    return figures


def print_row(name, figures):
    cpu = {peer: statistics.median(f[0] for f in runs) for peer, runs in figures.items()}
    rate = {peer: statistics.median(f[1] for f in runs) for peer, runs in figures.items()}
    for peer in figures:
        ratio = f"{cpu['ringway'] / cpu[peer]:.2f}" if peer != "ringway" else ""
        print(f"| {name} | {peer} | {cpu[peer]:.1f} | {ratio} | {rate[peer]:.0f} |", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--json", type=pathlib.Path, help="write the raw figures there")
    options.add_argument("--folder", type=pathlib.Path, default="/dev/shm", help="tmpfs, so that no peer waits for a disk")
    options.add_argument("rows", nargs="*", default=list(ROWS))
    options = options.parse_args()
    for tool in ("nginx", "wrk", "taskset", "openssl"):
        if not shutil.which(tool):
            sys.exit(f"error: {tool} is missing: apt-get install nginx-light wrk util-linux openssl")
    if not RINGWAY.exists():
        sys.exit("error: target/release/ringway is missing: cargo build --release")
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
