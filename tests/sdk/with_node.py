"""Node's own HTTP/2 client and its fetch: with_node.mjs is what they do, here it is said and run."""
import json
import os
import pathlib
import subprocess

from support import Failed, check

SCRIPT = pathlib.Path(__file__).with_name("with_node.mjs")


def node(world, name):
    """One check of the script. It says what it found in its last line, and why it failed on stderr."""
    told = {"ways": world.ways(), "mock": world.mock, "plain": world.plain, "tls": world.tls, "ca": str(world.ca)}
    line = ["node", "--no-warnings", SCRIPT, name, json.dumps(told)]
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(world.ca)}
    done = subprocess.run(line, capture_output=True, text=True, timeout=30, env=environment)
    if done.returncode != 0:
        raise Failed(done.stderr[-2000:].strip() or f"exit code {done.returncode}")
    return done.stdout.strip()


def register(name, statement):
    check(f"node: {statement}", http1=False, http2=True)(lambda world: node(world, name))


register("requests", "GET, HEAD, POST, a 404 and PING on one session")
register("stream", "6 tokens sent 50 ms apart come one by one")
register("parallel", "50 streams of one session run side by side, all whole")
register("upload", "8 MiB go up whole, with and without a Content-Length")
register("trailers", "trailers go both ways, and the origin learns that the client takes them")
register("left", "a stream closed in its middle is missed by the origin within 1 s; its session goes on")
register("cut", "a stream that the origin cuts is reset, never ended; its session goes on")
register("paused", "a stream that is not read holds up no other of its session, and is whole when it is read")
register("websocket", "a WebSocket by extended CONNECT (RFC 8441): text, 1 MiB, ping, close code, other streams beside")
register("fetched", "fetch with allowH2: a completion, a stream, 50 at once, a body of 8 MiB")
