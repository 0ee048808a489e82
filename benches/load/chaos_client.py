"""The clients of chaos.py: they ask in every way, leave in every way, and check whatever arrives as a whole."""
import asyncio, collections, random, socket, time

import chaos_origin
from chaos_origin import NAMES

CONNECTIONS = 24
# The gateway's own bounds add up: two waits of 3 s, two fetches of 1 s, one more past the cache.
BOUND_S = 15
SLACK_NS = 3_000_000_000
STATUSES = {"GET": {200, 429, 500, 502, 503, 504}, "HEAD": {200, 429, 500, 502, 503, 504}, "POST": {200, 502, 503, 504}}


class Broken(Exception):
    """The response did not come to its proper end: nobody could take it for whole."""


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body


async def read_answer(reader, method, pause):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, OSError) as error:
        raise Broken("no head") from error
    first, *lines = head[:-4].split(b"\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    status = int(first.split(b" ")[1])
    body = bytearray()
    try:
        if method == "HEAD" or status in (204, 304):
            pass
        elif b"chunked" in fields.get(b"transfer-encoding", b""):
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
                await pause()
            await reader.readexactly(2)
        elif b"content-length" in fields:
            left = int(fields[b"content-length"])
            while left:
                piece = await reader.read(min(left, 65536))
                if not piece:
                    raise Broken("within")
                body += piece
                left -= len(piece)
                await pause()
        else:
            body += await reader.read()
    except (asyncio.IncompleteReadError, OSError, ValueError) as error:
        raise Broken("within") from error
    return Answer(status, fields, bytes(body))


class Driver:
    def __init__(self, port, writer, seed, deadline, floors):
        self.port, self.row, self.draw, self.deadline, self.floors = port, writer, random.Random(seed), deadline, floors
        self.seen, self.wrong, self.longest = collections.Counter(), [], 0.0

    def fail(self, text, purge=0):
        """`purge`: when that began which the failure is about."""
        self.wrong.append((text, purge))

    async def connection(self):
        """Requests on one connection after the other."""
        reader = writer = None
        while time.monotonic() < self.deadline:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 17)
            keep = False
            try:
                keep = await self.exchange(reader, writer)
            except (Broken, OSError) as error:
                self.seen[f"broken: {error}" if isinstance(error, Broken) else "broken: sending"] += 1
            if not keep:
                writer.transport.abort()
                writer = None
        if writer:
            writer.transport.abort()

    async def exchange(self, reader, writer):
        draw = self.draw
        # Half of the requests are for few resources, so that many are for the same at once.
        name = draw.randrange(NAMES) if draw.random() < 0.5 else draw.randrange(20)
        way = draw.choices(("whole", "leave", "slow", "range", "head", "post", "condition", "no cache"), (80, 5, 1, 4, 3, 2, 3, 2))[0]
        language = draw.choice(("de", "en", "fr"))
        method = {"head": "HEAD", "post": "POST"}.get(way, "GET")
        lines = [f"{method} {chaos_origin.path(name)} HTTP/1.1", "Host: chaos.example", f"X-Language: {language}"]
        part = None
        if way == "range":
            part = (draw.randrange(2000), draw.choice((None, draw.randrange(2000, 4000))))
            lines.append(f"Range: bytes={part[0]}-{'' if part[1] is None else part[1]}")
        elif way == "condition":
            lines.append('If-None-Match: "none"')
        elif way == "no cache":
            lines.append("Cache-Control: no-cache")
        elif way == "post":
            lines.append("Content-Length: 4")
        hard, soft = self.floors.of(name), self.floors.of(name, soft=True)
        sent = time.monotonic_ns()
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + ("body" if way == "post" else "")).encode())
        if way == "leave":
            await asyncio.sleep(draw.choice((0, 0, 0.001, 0.01, 0.1)))
            if draw.random() < 0.5:
                await asyncio.wait_for(reader.read(draw.randrange(1, 100_000)), BOUND_S)
            self.seen["left"] += 1
            return False

        async def pause():
            if way == "slow":
                await asyncio.sleep(0.01)

        try:
            answer = await asyncio.wait_for(read_answer(reader, method, pause), BOUND_S)
        except (asyncio.TimeoutError, TimeoutError):
            self.fail(f"stuck: {method} {chaos_origin.path(name)} ({way}) had not ended after {BOUND_S} s")
            return False
        if way != "slow":
            self.longest = max(self.longest, (time.monotonic_ns() - sent) / 1e9)
        self.seen[f"{way} {answer.status}"] += 1
        if way == "post" and answer.status == 200:
            # Its answer is here, so whatever was made before it was sent is over.
            self.floors.raise_to(self.row, [name], sent)
        self.check(name, way, method, language, part, answer, sent, hard, soft)
        return answer.fields.get(b"connection", b"").lower() != b"close"

    def check(self, name, way, method, language, part, answer, sent, hard, soft):
        where = f"{method} {chaos_origin.path(name)} ({way}), {answer.status}, {answer.fields.get(b'cache-status', b'').decode()}"
        allowed = STATUSES[method] | ({206, 416} if way == "range" else set())
        if answer.status not in allowed:
            return self.fail(f"status: {where}")
        if answer.status not in (200, 206) or way == "post" or method == "HEAD":
            return None
        if answer.status == 206:
            problem, told = self.check_part(name, part, language, answer)
        else:
            problem, told = (chaos_origin.check_stream if chaos_origin.is_stream(name) else chaos_origin.check_page)(answer.body, name)
        if problem:
            return self.fail(f"bytes: {where}: {problem}")
        if chaos_origin.varies(name) and told["language"] != language:
            return self.fail(f"variant: {where}: {told['language']} for {language}")
        made, checked = told["made"], int(answer.fields.get(b"x-checked", 0))
        etag = answer.fields.get(b"etag", b"").strip(b'"').split(b"/")[0]
        if etag and int(etag) != made:
            return self.fail(f"mixed: {where}: head of {int(etag)}, body of {made}")
        if made < hard:
            return self.fail(f"purged: {where}: made {(hard - made) / 1e6:.1f} ms before a purge that returned before it was asked for "
                             f"(asked {(sent - hard) / 1e6:.1f} ms after the purge began)", hard)
        lenient = chaos_origin.is_lenient(name)
        if "fwd-status=304" in where:
            # Confirmed for this very request; where there was no room for the head that says so, under its former one.
            checked = max(checked, sent)
        if checked < soft and not lenient:
            return self.fail(f"softly purged: {where}: checked {(soft - checked) / 1e6:.1f} ms before, asked {(sent - soft) / 1e6:.1f} ms after it began", soft)
        bound = (chaos_origin.max_age(name) + (12 if lenient else 0)) * 1_000_000_000 + SLACK_NS
        if sent > checked + bound:
            return self.fail(f"stale: {where}: checked {(sent - checked) / 1e9:.1f} s before")
        if told.get("flawed") and sent > made + SLACK_NS:
            return self.fail(f"flawed: {where}: made {(sent - made) / 1e9:.1f} s before")
        self.seen["bodies right"] += 1
        return None

    def check_part(self, name, part, language, answer):
        """A part proves itself by the whole, which its validator names."""
        if chaos_origin.is_stream(name):
            # Nothing confirms a stream, so it was made when it was last checked; a flawed one has no parts.
            told = {"made": int(answer.fields[b"x-checked"]), "language": language if chaos_origin.varies(name) else None}
            whole = b"".join(chaos_origin.events(name, told["made"], told["language"], False))
        else:
            etag = answer.fields.get(b"etag", b"").strip(b'"').split(b"/")
            if len(etag) != 2:
                return "a part without a validator", None
            told = {"made": int(etag[0]), "language": None if etag[1] == b"None" else etag[1].decode()}
            whole = chaos_origin.page(name, told["made"], told["language"])
        last = len(whole) - 1 if part[1] is None else min(part[1], len(whole) - 1)
        if answer.body != whole[part[0] : last + 1] or answer.fields.get(b"content-range") != f"bytes {part[0]}-{last}/{len(whole)}".encode():
            return f"not the part {part} of {len(whole)}: {len(answer.body)} bytes, {answer.fields.get(b'content-range')}", told
        return None, told


def drive(port, writer, seed, deadline, floors, results):
    """Asks until the time is over, then says what was seen."""
    driver = Driver(port, writer, seed, deadline, floors)

    async def run():
        await asyncio.gather(*(driver.connection() for _ in range(CONNECTIONS)))

    try:
        asyncio.run(run())
    except Exception as error: # the parent waits for the outcome whatever happens here
        driver.fail(f"a client ended: {error!r}")
    results.put(dict(seen=dict(driver.seen), wrong=driver.wrong, longest=driver.longest))


def warm(port):
    """A few requests of each kind."""
    for name in range(60):
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(f"GET {chaos_origin.path(name)} HTTP/1.1\r\nHost: chaos.example\r\nConnection: close\r\n\r\n".encode())
            while client.recv(65536):
                pass
