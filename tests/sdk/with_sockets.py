"""WebSocket by a library on both sides, wrk, idle connections, and that nothing is left of all checks before."""
import asyncio
import os
import re
import resource
import socket
import subprocess
import urllib.parse

import websockets
from support import check, equal, holds, until
from websockets.asyncio.client import connect

IDLE = 9500
IDLE_KIB_MAX = 1.25


@check("websockets: text, 1 MiB of bytes, fragments, ping, subprotocol and close code pass, plain and TLS")
def websocket(world):
    async def talk(url, context):
        async with connect(url, ssl=context, subprotocols=["echo.v1"], max_size=16 << 20) as client:
            equal(client.subprotocol, "echo.v1", "subprotocol")
            for message in ("hello", "", "ü" * 1000, b"", os.urandom(1 << 20)):
                await client.send(message)
                equal(await client.recv(), message, "echo")
            await client.send(["in ", "three ", "fragments"])
            equal(await client.recv(), "in three fragments", "fragments")
            await asyncio.wait_for(await client.ping(), 5)
            for number in range(500):
                await client.send(str(number))
            equal([await client.recv() for _ in range(500)], [str(n) for n in range(500)], "500 without waiting")
            await client.send("bye")
            try:
                await asyncio.wait_for(client.recv(), 5)
                holds(False, "the connection ends")
            except websockets.ConnectionClosed as error:
                equal((error.rcvd.code, error.rcvd.reason), (4001, "as you wish"), "close")

    for base, context in ((world.plain, None), (world.tls, world.trust())):
        url = base.replace("http", "ws", 1) + "/echo"
        asyncio.run(asyncio.wait_for(talk(url, context), 20))


@check("websockets: an origin that does not speak it answers for itself, and no tunnel is made")
def no_websocket(world):
    async def talk():
        try:
            async with connect(world.plain.replace("http", "ws", 1) + "/v1/models"):
                holds(False, "there is no WebSocket at /v1/models")
        except websockets.InvalidStatus as error:
            equal(error.response.status_code, 200, "the origin's answer to a GET")

    asyncio.run(asyncio.wait_for(talk(), 10))


@check("wrk: 2 s with 64 connections, plain and TLS, without an error or a status beside 2xx")
def load(world):
    rates = []
    for name, base in (("plain", world.plain), ("tls", world.tls)):
        line = ["wrk", "--threads", "1", "--connections", "64", "--duration", "2s", f"{base}/v1/models"]
        said = subprocess.run(line, capture_output=True, text=True, check=True, timeout=20).stdout
        found = re.search(r"(\d+) requests in", said)
        holds(found and int(found[1]) > 100, f"requests were answered: {said}")
        holds("Socket errors" not in said and "Non-2xx" not in said, f"{name}: {said}")
        rates.append(f"{name} {found[1]} requests")
    return ", ".join(rates) + " (the mock's and wrk's speed too, no measure of the gateway)"


def exchange(client):
    client.sendall(b"GET /v1/models/gpt-mock HTTP/1.1\r\nhost: idle.test\r\n\r\n")
    got = b""
    while not got.endswith(b"}"):
        part = client.recv(4096)
        holds(part, "the gateway keeps the connection")
        got += part
    holds(got.startswith(b"HTTP/1.1 200 "), f"answered with 200: {got[:60]!r}")


@check(f"sockets: {IDLE} idle keep-alive connections cost at most {IDLE_KIB_MAX} KiB each and all are still served")
def idle(world):
    # The bound is of the release build; others are larger.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = IDLE if hard == resource.RLIM_INFINITY else min(IDLE, hard // 2 - 400)
    url = urllib.parse.urlsplit(world.plain)
    until(2, "the checks before have closed theirs", lambda: world.metric("ringway_connections_open") == 0)
    before = world.rss_kib()
    clients = []
    try:
        for _ in range(count):
            client = socket.create_connection((url.hostname, url.port), 5)
            exchange(client)
            clients.append(client)
        each = (world.rss_kib() - before) / count
        equal(world.metric("ringway_connections_open"), count, "open connections by the gateway's count")
        for client in clients:
            exchange(client)
        with socket.create_connection((url.hostname, url.port), 5) as late:
            exchange(late)
    finally:
        for client in clients:
            client.close()
    holds(each <= IDLE_KIB_MAX, f"{each:.2f} KiB each (VmRSS from {before} KiB)")
    fewer = "" if count == IDLE else f" ({hard} open files allow no more)"
    return f"{count} connections{fewer}, {each:.2f} KiB each, then a second request on each"


@check("all: when the clients have left, the gateway has no connection open and the origin no exchange running")
def left(world):
    until(2, "no open connections", lambda: world.metric("ringway_connections_open") == 0)
    until(2, "nothing in progress", lambda: world.stats()["in_progress"] == 0)
    equal(world.metric("ringway_panics_total"), 0, "panics")
