#!/usr/bin/env python3
"""What a firewall costs: CPU time per request of ringway beside nginx with libmodsecurity, in one run.

A JSON body of 1 KB is posted over kept connections and proxied; the proxy under test has core 0, the load generator (wrk)
and the origin share core 1; runs are interleaved, medians count. Rows: no rules, one chained rule over path and body, the
OWASP Core Rule Set at paranoia level 1 as Debian installs it, and (ringway alone) 100 and 500 rules that cannot match.
"Adds" is what the rules cost on top of the same proxy without any.
Needs on the PATH: nginx, wrk, taskset, openssl; libnginx-mod-http-modsecurity and modsecurity-crs for the peer and the
rule set: what is missing is left out. Loopback only.

    cargo build --release && python3 benches/load/waf.py [--seconds 3] [--repeats 3] [--json FILE] [--alone] [rules ...]
"""
import argparse, json, pathlib, statistics, subprocess, sys, tempfile

import compare

MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")
CRS_SETUP, CRS_RULES = pathlib.Path("/etc/modsecurity/crs/crs-setup.conf"), pathlib.Path("/usr/share/modsecurity-crs/rules")
CHAINED = """SecRule REQUEST_URI "@contains /v1/completions" \\
    "id:1001,phase:2,deny,status:403,msg:'Abusive prompt detected',chain"
SecRule REQUEST_BODY "@rx (dangerous|harmful|暴力)" "t:lowercase,t:urlDecode"
"""
ON = "SecRuleEngine On\nSecRequestBodyAccess On\n"
JSON_BODY = ON + """SecRule REQUEST_HEADERS:Content-Type "^application/json" \\
    "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
"""
WORDS = "Explain how a mirror deployment keeps two regions in step and what happens when one of them falls behind for a while "
LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["User-Agent"] = "openai-python/1.54.0"
wrk.headers["Accept"] = "application/json"
wrk.headers["Authorization"] = "Bearer sk-test-0123456789"
wrk.body = [==[BODY]==]
"""


def body():
    """A chat request of 1 KB."""
    text, shell = "", {"model": "gpt-4o-mini", "max_tokens": 100, "temperature": 0.7, "stream": False}
    while True:
        made = json.dumps({**shell, "messages": [{"role": "system", "content": "You are a helpful assistant."},
                                                 {"role": "user", "content": text}]})
        if len(made) >= 1_024:
            return made
        text += WORDS[len(text) % len(WORDS)]


def never(count):
    """Rules that look for words nobody sends, in the body and the arguments."""
    return ON + "".join(f"SecRule REQUEST_BODY|ARGS \"@rx (?:qx{i:03}zzy|frobn{i:03}[a-z]+)\" "
                        f"\"id:{20_000 + i},phase:2,deny,t:lowercase,t:urlDecode,msg:'No {i}'\"\n" for i in range(count))


def rule_files(folder):
    """Name → the file with its rules; None = no rules."""
    texts = {"chained rule": ON + CHAINED, "100 rules": never(100), "500 rules": never(500)}
    if CRS_SETUP.exists() and CRS_RULES.exists():
        texts["CRS, PL 1"] = JSON_BODY + f"Include {CRS_SETUP}\nInclude {CRS_RULES}/*.conf\n"
    files = {"no rules": None}
    for number, (name, text) in enumerate(texts.items()):
        files[name] = folder / f"rules{number}.conf"
        files[name].write_text(text)
    return files


def start_nginx(folder, origin_port, rules):
    port = compare.free_port()
    waf = f"modsecurity on; modsecurity_rules_file {rules};" if rules else ""
    text = (f"{waf} upstream up {{ server 127.0.0.1:{origin_port}; keepalive 128; keepalive_requests 1000000000; }} "
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1; "
            "proxy_set_header Connection ''; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; "
            "proxy_set_header X-Request-Id $request_id; add_header X-Request-Id $request_id; } }")
    path = folder / f"nginx{port}.conf"
    load = f"load_module {MODULE};\n" if rules else ""
    path.write_text(load + compare.NGINX_HEAD.format(dir=folder, name=f"nginx{port}") + text + "}")
    return compare.Process(["nginx", "-p", folder, "-c", path], 0, port), port


def start_ringway(folder, origin_port, rules):
    tables = f'[[waf]]\nname = "w"\nfiles = ["{rules}"]\nskip_unsupported = true\n' if rules else ""
    extra = 'waf = "w"\n' if rules else ""
    return compare.start_ringway(folder, origin_port, False, extra=extra, tables=tables)


def start_origin(folder):
    port = compare.free_port()
    answer = "x" * 1_024
    (folder / "1k").write_text(answer)
    text = f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{answer}'; }} }}"
    return compare.nginx(folder, "origin", 1, port, text), port


def measure(folder, options):
    """(peer, rules) → CPU us per request of each repeat."""
    back, origin_port = start_origin(folder)
    script = folder / "post.lua"
    script.write_text(LUA.replace("BODY", body()))
    files, running = rule_files(folder), {}
    for name, file in files.items():
        if options.rules and name not in (*options.rules, "no rules"):
            continue
        running["ringway", name] = start_ringway(folder, origin_port, file)
        if not options.alone and name not in ("100 rules", "500 rules") and (file is None or MODULE.exists()):
            running["nginx", name] = start_nginx(folder, origin_port, file)
    figures = {which: [] for which in running}
    for repeat in range(options.repeats + 1):
        for which, (process, port) in running.items():
            before = process.cpu_s()
            seconds = options.seconds if repeat else 1
            requests, bad, errors = compare.wrk(port, False, "v1/completions", seconds, 64, script=[script])
            if bad or errors or requests == 0:
                print(f"warning: {which}: {bad} bad answers of {requests} {errors}", file=sys.stderr)
            if repeat:
                figures[which].append(1e6 * (process.cpu_s() - before) / max(requests, 1))
    for process, _ in running.values():
        process.stop()
    back.stop()
    return figures


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--json", type=pathlib.Path, help="write the raw figures there")
    options.add_argument("--alone", action="store_true", help="without the peer")
    options.add_argument("rules", nargs="*", help="chained rule, 100 rules, 500 rules, CRS, PL 1; default: all")
    options = options.parse_args()
    if not compare.RINGWAY.exists():
        sys.exit(f"error: {compare.RINGWAY} is missing: cargo build --release")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        figures = measure(folder, options)
    print("| rules | proxy | CPU us per request | adds |\n|---|---|---|---|")
    for (peer, name), runs in figures.items():
        middle = statistics.median(runs)
        adds = statistics.median(with_rules - plain for with_rules, plain in zip(runs, figures[peer, "no rules"]))
        print(f"| {name} | {peer} | {middle:.1f} | {f'{adds:+.1f}' if name != 'no rules' else ''} |")
    if options.json:
        options.json.write_text(json.dumps({f"{peer}: {name}": runs for (peer, name), runs in figures.items()}, indent=1))
    version = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip()
    print(version)


if __name__ == "__main__":
    main()
