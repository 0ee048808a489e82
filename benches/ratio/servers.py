#!/usr/bin/env python3
"""Hit ratio of Redis, Memcached and ringway's cache: the same requests, the same bytes of memory, real servers.

    apt-get install redis-server memcached
    python3 benches/ratio/servers.py [--seeds 3] [--only PART-OF-A-TRACE]

Get, and set what is not there. Redis runs with maxmemory and allkeys-lru, then allkeys-lfu, else with its defaults and
without persistence; Memcached with -m; ringway's cache by `cargo bench --bench hit_ratio -- --replay`, which stores every
answer with its head as the gateway does. Every server has a process of its own, on loopback, on a port that the system
chose. Printed is the mean over the seeds, beside the largest resident size (VmHWM) and the objects at the end.
"""
import argparse, bisect, itertools, pathlib, random, re, socket, subprocess, sys, tempfile, time

MIB = 1 << 20
ROOT = pathlib.Path(__file__).resolve().parents[2]


def uniform(seed, keys, requests):
    numbers = random.Random(seed)
    return [numbers.randint(1, keys) for _ in range(requests)]


def zipf(seed, keys, requests, exponent):
    numbers = random.Random(seed)
    sums = list(itertools.accumulate(rank ** -exponent for rank in range(1, keys + 1)))
    return [bisect.bisect(sums, numbers.random() * sums[-1]) for _ in range(requests)]


# What an answer and its key have in the gateway beyond `obj_N` and the body: the other parts of the key, field lines.
KEY_MORE, HEAD = 62, 97

# Name, MiB of memory, bytes of a body, whether the rivals hold the head and the longer key too, keys asked for. 1,000
# values of 1 KB would be less than what Redis uses when it is empty: either the values are larger (62,900 bytes: below a
# size class of everybody's allocator) or the keys are more.
TRACES = [
    ("article: 1,000 keys, 10,000 requests, 62,900 B, half", 30, 62_900, False, lambda seed: uniform(seed, 1_000, 10_000)),
    ("article: 1,000 keys, 100,000 requests, 62,900 B, half", 30, 62_900, False, lambda seed: uniform(seed, 1_000, 100_000)),
    ("article: 1,000 keys, 100,000 requests, 62,900 B, all", 62, 62_900, False, lambda seed: uniform(seed, 1_000, 100_000)),
    ("uniform: 62,900 keys, 629,000 requests, 1,000 B, half", 30, 1_000, False, lambda seed: uniform(seed, 62_900, 629_000)),
    ("the same, whole answers", 30, 1_000, True, lambda seed: uniform(seed, 62_900, 629_000)),
    ("Zipf 0.9: 100,000 keys, 500,000 requests, 1,000 B, a tenth", 10, 1_000, False, lambda seed: zipf(seed, 100_000, 500_000, 0.9)),
    ("the same, whole answers", 10, 1_000, True, lambda seed: zipf(seed, 100_000, 500_000, 0.9)),
    ("Zipf 0.9: 100,000 keys, 500,000 requests, 1,000 B, a third", 32, 1_000, False, lambda seed: zipf(seed, 100_000, 500_000, 0.9)),
    ("the same, whole answers", 32, 1_000, True, lambda seed: zipf(seed, 100_000, 500_000, 0.9)),
    ("Zipf 0.9: 10,000 keys, 100,000 requests, 10,000 B, a tenth", 10, 10_000, False, lambda seed: zipf(seed, 10_000, 100_000, 0.9)),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server's process and one connection to it."""

    def __init__(self, command, port):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 5)
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"error: {command[0]} does not serve: {self.process.stderr.read().decode()}")
                time.sleep(0.02)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 17)

    def line(self):
        return self.file.readline().rstrip(b"\r\n")

    def peak_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1])

    def stop(self):
        self.file.close()
        self.socket.close()
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()


class Redis(Server):
    def __init__(self, memory, policy):
        port = free_port()
        super().__init__(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                          "--maxmemory", str(memory), "--maxmemory-policy", policy], port)

    def get(self, key):
        self.socket.sendall(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key))
        header = self.line()
        if header == b"$-1":
            return False
        if not header.startswith(b"$"):
            sys.exit(f"error: redis: {header!r}")
        self.file.read(int(header[1:]) + 2)
        return True

    def set(self, key, value):
        self.socket.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(value), value))
        return self.line() == b"+OK"

    def objects(self):
        self.socket.sendall(b"*1\r\n$6\r\nDBSIZE\r\n")
        return int(self.line()[1:])


class Memcached(Server):
    def __init__(self, memory):
        port = free_port()
        super().__init__(["memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(port), "-U", "0",
                          "-m", str(memory // MIB)], port)

    def get(self, key):
        self.socket.sendall(b"get %b\r\n" % key)
        header = self.line()
        if header == b"END":
            return False
        if not header.startswith(b"VALUE"):
            sys.exit(f"error: memcached: {header!r}")
        self.file.read(int(header.split()[3]) + 2)
        return self.line() == b"END"

    def set(self, key, value):
        self.socket.sendall(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value))
        return self.line() == b"STORED"

    def objects(self):
        self.socket.sendall(b"stats\r\n")
        count = 0
        while (line := self.line()) != b"END":
            if line.startswith(b"STAT curr_items "):
                count = int(line.split()[2])
        return count


def run_server(server, keys, size, whole):
    hits = refused = 0
    value, prefix = b"x" * (size + HEAD * whole), b"k" * (KEY_MORE * whole)
    for key in keys:
        name = b"%bobj_%d" % (prefix, key)
        if server.get(name):
            hits += 1
        elif not server.set(name, value):
            refused += 1
    figures = hits / len(keys), server.objects(), server.peak_kib(), refused
    server.stop()
    return figures


def run_ringway(folder, memory, keys, size):
    file = folder / "trace"
    file.write_text("".join(f"{key} {size}\n" for key in keys))
    command = ["cargo", "bench", "--quiet", "--bench", "hit_ratio", "--", "--replay", str(file), "--bytes", str(memory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = re.search(r"asks (\d+) hits (\d+) objects (\d+) charged \d+ peak_kib (\d+)", done.stdout)
    if not found:
        sys.exit(f"error: {' '.join(command)}: {done.stdout}{done.stderr}")
    asks, hits, objects, peak = map(int, found.groups())
    return hits / asks, objects, peak, 0


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--only", default="", help="part of a trace's name")
    options = options.parse_args()
    print("| trace | MiB | server | hits % | objects | peak RSS MiB | refused |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, mib, size, whole, make in TRACES:
            if options.only not in name:
                continue
            memory = mib * MIB
            servers = [
                ("Redis allkeys-lru", lambda keys: run_server(Redis(memory, "allkeys-lru"), keys, size, whole)),
                ("Redis allkeys-lfu", lambda keys: run_server(Redis(memory, "allkeys-lfu"), keys, size, whole)),
                ("Memcached", lambda keys: run_server(Memcached(memory), keys, size, whole)),
                ("ringway", lambda keys: run_ringway(folder, memory, keys, size)),
            ]
            for server, run in servers:
                runs = [run(make(seed)) for seed in range(1, options.seeds + 1)]
                ratio, objects, peak, refused = (sum(column) / len(runs) for column in zip(*runs))
                print(f"| {name} | {mib} | {server} | {100 * ratio:.2f} | {objects:.0f} | {peak / 1024:.1f} | {refused:.0f} |",
                      flush=True)


if __name__ == "__main__":
    main()
