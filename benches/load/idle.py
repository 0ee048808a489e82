#!/usr/bin/env python3
"""Memory of idle keep-alive connections: VmRSS of ringway before and after N connections that have each made a request.

    cargo build --release && python3 benches/load/idle.py [--connections 9500] [--half-sent] [--driver auto]
"""
import argparse, pathlib, resource, socket, sys, tempfile

import compare

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), 5)
    client.settimeout(5)
    return client


def exchange(client):
    client.sendall(b"GET /1k HTTP/1.1\r\nHost: t\r\n\r\n")
    got = b""
    while len(got.partition(b"\r\n\r\n")[2]) < 1024:
        part = client.recv(65536)
        if not part:
            sys.exit("error: the gateway closed a connection")
        got += part
    if not got.startswith(b"HTTP/1.1 200"):
        sys.exit(f"error: {got[:80]!r}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--connections", type=int, default=9500)
    options.add_argument("--half-sent", action="store_true", help="each connection then sends half a head")
    options.add_argument("--driver", default="auto")
    options = options.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        back, origin_port = compare.origin(folder)
        extra = f'connections_max = {options.connections + 100}\ndriver = "{options.driver}"'
        gateway, port = compare.start_ringway(folder, origin_port, False, extra=extra)
        warm = connect(port)
        for _ in range(1000):
            exchange(warm)
        before = gateway.rss_kib()
        clients = []
        for _ in range(options.connections):
            client = connect(port)
            exchange(client)
            if options.half_sent:
                client.sendall(b"GET /1k HTTP/1.1\r\nHost: half-sent.example\r\nUser-Agent: slow")
            clients.append(client)
        after = gateway.rss_kib()
        if options.half_sent:
            exchange(warm)
        else:
            for client in clients[:: max(1, len(clients) // 100)]:
                exchange(client)
        exchange(connect(port))
        print(f"{options.connections} connections: VmRSS {before} -> {after} KiB, "
              f"{(after - before) / options.connections:.2f} KiB each; still serving")
        gateway.stop()
        back.stop()


if __name__ == "__main__":
    main()
