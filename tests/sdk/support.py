"""What the checks share: the list of checks, the addresses under test, and what the mock and the gateway tell.

Owns no check. Nothing here talks to anything but loopback.
"""
import dataclasses
import json
import pathlib
import ssl
import statistics
import time
import urllib.request

CHECKS = []


class Failed(Exception):
    """What must hold does not."""


def check(statement, http1=True, http2=False):
    """Registers a function as the check of `statement`; it gets the World and may return a detail to print.

    Made for each version chosen, which is the one that the clients of its World speak.
    """

    def register(function):
        if http1:
            CHECKS.append((statement, function, False))
        if http2:
            CHECKS.append((f"{statement} (HTTP/2)", function, True))
        return function

    return register


def equal(got, wanted, what):
    if got != wanted:
        raise Failed(f"{what}: got {shortened(got)}, wanted {shortened(wanted)}")


def holds(condition, what):
    if not condition:
        raise Failed(what)


def shortened(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def until(seconds, what, condition):
    """Asks every 5 ms until `condition()` is true; what it returned is returned."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.005)


def summary(values, unit):
    """p50, p99 and the largest."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {statistics.median(ordered):.2f} p99 {p99:.2f} max {ordered[-1]:.2f} {unit}", p99


@dataclasses.dataclass
class World:
    """The processes that tests/sdk/run started, and a folder for files."""

    plain: str
    """http:// address of the gateway"""
    tls: str
    """https:// address of the gateway; the certificate is for gateway.test, localhost and 127.0.0.1"""
    mock: str
    """http:// address of the mock behind it"""
    admin: str
    """http:// address of the gateway's admin listener"""
    pid: int
    """of the gateway"""
    folder: pathlib.Path
    """temporary; holds ca.pem"""
    http2: bool = False
    """whether clients speak HTTP/2 to the gateway: by ALPN over TLS, else with prior knowledge"""

    @property
    def ca(self):
        return self.folder / "ca.pem"

    def trust(self):
        return ssl.create_default_context(cafile=self.ca)

    @property
    def version(self):
        return "HTTP/2" if self.http2 else "HTTP/1.1"

    def ways(self):
        """Name and address of each way through the gateway: plain, TLS, and a second gateway reached over TLS.

        The second one is spoken to in HTTP/1.1 under /over-tls and in HTTP/2 under /over-h2.
        """
        if self.http2:
            return [("h2c", self.plain), ("h2", self.tls), ("h2 to h2", f"{self.tls}/over-h2"),
                    ("h2 to tls", f"{self.plain}/over-tls")]
        return [("plain", self.plain), ("tls", self.tls), ("upstream tls", f"{self.plain}/over-tls"),
                ("upstream h2", f"{self.plain}/over-h2")]

    def httpx(self, base, awaited=False):
        """What an httpx client of `base` is made with, an asynchronous one if `awaited`; also httpx2, which SDKs use.

        It fails where an answer comes in another version. The mock itself, asked for comparison, gets HTTP/1.1.
        """
        http2 = self.http2 and base != self.mock

        def spoken(answer):
            equal(answer.http_version, "HTTP/2" if http2 else "HTTP/1.1", f"version at {base}")

        async def spoken_awaited(answer):
            spoken(answer)

        # In clear httpx speaks HTTP/2, with prior knowledge, where it is told of nothing else.
        return {"verify": self.trust(), "http2": http2, "http1": not http2,
                "event_hooks": {"response": [spoken_awaited if awaited else spoken]}}

    def stats(self, base=None):
        """The mock's counters, asked directly unless `base` is the gateway's address."""
        context = self.trust() if (base or "").startswith("https:") else None
        with urllib.request.urlopen(f"{base or self.mock}/__stats", timeout=5, context=context) as answer:
            return json.load(answer)

    def metric(self, name):
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        if not found:
            raise Failed(f"no metric {name}")
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def waited_ms(self):
        """How long the gateway's threads were ready to run and had no core, since they began."""
        tasks = pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[1]) for task in tasks) / 1e6

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])
