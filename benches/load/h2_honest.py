#!/usr/bin/env python3
"""Honest HTTP/2 clients in open loop: a request per connection each 10 ms, sent when it is due and not when the one before
is answered, with the time from sending to the last byte of each answer.

Runs on core 1 under SCHED_FIFO (else with what priority it gets), so that what shares the core with it is not measured
too; `late_us` says how far behind its own plan it was. Even connections ask for a cached object, odd ones for a proxied
one. Prints one JSON object: a list of figures, one for each window of time that was asked for.

    python3 h2_honest.py PORT START:END [START:END ...]     (seconds of CLOCK_MONOTONIC)
"""
import argparse, gc, heapq, json, os, select, time

from h2_frames import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE, RST_STREAM,
                       SETTINGS, WINDOW_MAX, Frames, Wire, frame, head, settings, window_update)

PATHS, BODY_BYTES = ("/cached/1k", "/1k"), 1_024
LOST_S = 1.0


class Client:
    """A connection with its requests under way. `samples`: (when sent, seconds or None where it failed, lateness,
    path)."""

    def __init__(self, port, tls, path, samples):
        self.port, self.tls, self.path, self.block, self.samples = port, tls, path, head(path, tls), samples
        self.wire = None

    def open(self):
        self.wire, self.frames, self.stream, self.under_way, self.out = Wire(self.port, self.tls), Frames(), 1, {}, b""
        hello = settings((INITIAL_WINDOW_SIZE, WINDOW_MAX)) + window_update(0, WINDOW_MAX - 65_535)
        self.wire.send_all(PREFACE + hello, 2)

    def fail(self):
        """The connection is gone: all that is under way has failed, a new one is opened with the next request."""
        for sent, _, late in self.under_way.values():
            self.samples.append((sent, None, late, self.path))
        self.wire.close()
        self.wire, self.under_way = None, {}

    def flush(self):
        if self.out:
            self.out = self.out[self.wire.send(self.out):]

    def ask(self, due):
        now = time.monotonic()
        try:
            if self.wire is None:
                self.open()
            self.under_way[self.stream] = [now, 0, now - due]
            self.out += frame(HEADERS, END_HEADERS | END_STREAM, self.stream, self.block)
            self.stream += 2
            self.flush()
        except OSError:
            if self.wire is None:
                self.samples.append((now, None, now - due, self.path))
            else:
                self.fail()

    def take(self):
        try:
            got, now = self.wire.receive(), time.monotonic()
            if got is None:
                return self.fail()
            for kind, flags, stream, payload in self.frames.feed(got):
                if kind == GOAWAY:
                    return self.fail()
                self.on_frame(kind, flags, stream, payload, now)
            self.flush()
        except OSError:
            self.fail()

    def on_frame(self, kind, flags, stream, payload, now):
        if kind == SETTINGS and not flags & ACK:
            self.out += frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.out += frame(PING, ACK, 0, payload)
        elif stream in self.under_way:
            request = self.under_way[stream]
            request[1] += len(payload) if kind == DATA else 0
            if kind == RST_STREAM or flags & END_STREAM and kind in (DATA, HEADERS):
                good = kind != RST_STREAM and request[1] == BODY_BYTES
                self.samples.append((request[0], now - request[0] if good else None, request[2], self.path))
                del self.under_way[stream]


def run(port, tls, connections, interval, end):
    samples = []
    clients = [Client(port, tls, PATHS[n % len(PATHS)], samples) for n in range(connections)]
    start = time.monotonic() + 0.02
    plan = [(start + n * interval / connections, n) for n in range(connections)]
    while True:
        due, number = plan[0]
        now = time.monotonic()
        if now >= end + LOST_S or now >= end and not any(client.under_way for client in clients if client.wire):
            break
        if now >= due and now < end:
            heapq.heapreplace(plan, (due + interval, number))
            clients[number].ask(due)
            continue
        ready = select.select([client.wire for client in clients if client.wire], [], [], max(0, due - now) if now < end else 0.01)[0]
        for wire in ready:
            next(client for client in clients if client.wire is wire).take()
    for client in clients:
        if client.wire:
            client.fail()
    return samples


def percentile(sorted_values, part):
    return sorted_values[min(len(sorted_values) - 1, int(part * len(sorted_values)))] if sorted_values else None


def figures(samples, start, end):
    ours = [sample for sample in samples if start <= sample[0] < end]
    times = sorted(1e6 * took for _, took, _, _ in ours if took is not None)
    late = sorted(1e6 * late for _, _, late, _ in ours)
    by_path = {path: percentile(sorted(1e6 * took for _, took, _, of in ours if took is not None and of == path), 0.99) for path in PATHS}
    return dict(requests=len(ours), failed=len(ours) - len(times), p50_us=percentile(times, 0.5), p90_us=percentile(times, 0.9),
                p99_us=percentile(times, 0.99), max_us=times[-1] if times else None, late_us=percentile(late, 0.99), p99_us_by_path=by_path)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("port", type=int)
    options.add_argument("windows", nargs="+", help="START:END")
    options.add_argument("--tls", action="store_true")
    options.add_argument("--connections", type=int, default=20)
    options.add_argument("--interval-ms", type=float, default=10)
    options = options.parse_args()
    windows = [tuple(map(float, window.split(":"))) for window in options.windows]
    os.sched_setaffinity(0, {1})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except PermissionError:
        pass
    gc.disable()
    samples = run(options.port, options.tls, options.connections, options.interval_ms / 1_000, max(end for _, end in windows))
    print(json.dumps([figures(samples, *window) for window in windows]))


if __name__ == "__main__":
    main()
