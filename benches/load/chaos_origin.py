"""The origin of chaos.py: bodies that prove themselves, and failures of every kind. Several processes share one port.

A resource is a number; its path says how it behaves. A body is one line of JSON and filler that follows from that line.
"""
import asyncio, hashlib, json, random, re, socket, struct, time

NAMES, TAGS, GROUPS = 600, 7, 10
FIRST_LINE_BYTES_MAX = 400


def is_lenient(name):
    return name % 3 == 0


def is_stream(name):
    return name % 11 == 1


def varies(name):
    return name % 5 == 2


def folder(name):
    return f"{'/lenient' if is_lenient(name) else '/strict'}/g{name % GROUPS}/"


def path(name):
    return f"{folder(name)}{'stream' if is_stream(name) else 'page'}-{name}?n={name}"


def name_of(path):
    return int(path.rsplit("=", 1)[1])


def max_age(name):
    return 2 + name % 3


def size_of(name, made):
    draw = random.Random(f"{name % 50}/{made % 7}")
    return round(300 * (1000 ** draw.random())) if name % 50 else 5_000_000


def filler(line, length):
    """Bytes that follow from the line."""
    block = hashlib.sha256(line).digest() * 32 # 1 KB; each next one begins elsewhere
    return b"".join(block[i % 31 :] + block[: i % 31] for i in range(length // len(block) + 1))[:length]


def page(name, made, language):
    """A body whose every byte follows from its resource, the moment and the language."""
    size = size_of(name, made)
    line = json.dumps({"name": name, "made": made, "size": size, "language": language}).encode() + b"\n"
    rest = filler(line, max(0, size - len(line) - 65))
    return line + hashlib.sha256(line + rest).hexdigest().encode() + b"\n" + rest


def check_page(body, name):
    """What is wrong with a whole body; None = nothing. Returns also its first line."""
    line, found, rest = body.partition(b"\n")
    try:
        told = json.loads(line)
    except ValueError:
        return f"no first line: {line[:80]!r}", None
    if not found or told["name"] != name:
        return f"the body of {told['name']}", told
    digest, _, rest = rest.partition(b"\n")
    if hashlib.sha256(line + b"\n" + rest).hexdigest().encode() != digest:
        return f"the checksum does not match: {len(body)} bytes of {told}", told
    if page(name, told["made"], told["language"]) != body:
        return f"other bytes than were made: {len(body)} of {told}", told
    return None, told


def events(name, made, language, flawed):
    for n in range(6):
        told = {"name": name, "made": made, "language": language, "flawed": flawed, "n": n}
        yield f"data: {json.dumps(told)}\n\n".encode()
    if not flawed:
        yield b"data: [DONE]\n\n"


def check_stream(body, name):
    """As check_page, of a stream that ended properly. Flawed ones lack their end, and say so."""
    first = body.partition(b"\n\n")[0]
    try:
        told = json.loads(first[6:])
    except ValueError:
        return f"no first event: {first[:80]!r}", None
    if told["name"] != name:
        return f"the stream of {told['name']}", told
    if b"".join(events(name, told["made"], told["language"], told["flawed"])) != body:
        return f"other events than were made: {body[:200]!r}", told
    return None, told


class Gone(Exception):
    pass


def reset(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise Gone


FAILURES = (("none", 860), ("error", 30), ("no answer", 6), ("reset", 15), ("reset within", 20), ("close within", 20), ("stall", 6),
            ("slow", 20), ("no store", 10), ("until close", 10), ("garbage", 3))


async def send_body(writer, pieces, chunked, failure, draw):
    pieces = list(pieces)
    if failure in ("reset within", "close within", "stall"):
        total = b"".join(pieces)
        pieces = [total[: draw.randrange(len(total))]]
    for piece in pieces:
        if piece:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
        if failure == "slow" or (len(pieces) > 1 and draw.random() < 0.5):
            await asyncio.sleep(0.02)
    if failure == "reset within":
        await asyncio.sleep(draw.choice((0, 0.01)))
        reset(writer)
    if failure == "close within":
        raise Gone
    if failure == "stall":
        await asyncio.sleep(3)
        raise Gone
    if chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    if failure == "until close":
        raise Gone


async def answer(method, target, fields, writer, draw):
    name, made = name_of(target), time.monotonic_ns()
    language = fields.get(b"x-language", b"").decode() if varies(name) else None
    failure = draw.choices([f[0] for f in FAILURES], [f[1] for f in FAILURES])[0]
    if method == b"POST":
        failure = "none"
    if failure == "reset":
        reset(writer)
    if failure == "no answer":
        await asyncio.sleep(3)
        raise Gone
    if failure == "garbage":
        writer.write(b"HTTP/1.1 2OO what\r\nnonsense\r\n\r\n")
        raise Gone
    if failure == "error":
        text = b"an error\n"
        writer.write(b"HTTP/1.1 %d Error\r\nContent-Length: %d\r\n\r\n%s" % (draw.choice((500, 502, 503, 429)), len(text), text))
        return await writer.drain()
    if draw.random() < 0.1:
        await asyncio.sleep(draw.random() * 0.1)
    control = "no-store" if failure == "no store" else f"max-age={max_age(name)}"
    common = f"Cache-Control: {control}\r\nX-Checked: {made}\r\nSurrogate-Key: tag{name % TAGS} other\r\n"
    if varies(name):
        common += "Vary: X-Language\r\n"
    given = fields.get(b"if-none-match")
    known = re.fullmatch(rb'"(\d+)/(.*)"', given) if given and draw.random() < 0.6 else None
    if known and known[2].decode() == str(language):
        writer.write(f"HTTP/1.1 304 Not Modified\r\nETag: {given.decode()}\r\n{common}\r\n".encode())
        return await writer.drain()
    if method == b"POST":
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Checked: {made}\r\n\r\nok\n".encode())
        return await writer.drain()
    if is_stream(name):
        flawed = draw.random() < 0.1
        pieces, length, kind = list(events(name, made, language, flawed)), None, "text/event-stream"
    else:
        whole = page(name, made, language)
        pieces, length, kind = [whole], len(whole), "text/plain"
        if failure == "slow":
            step = len(whole) // 20 + 1
            pieces = [whole[i : i + step] for i in range(0, len(whole), step)]
    chunked = failure != "until close" and (length is None or draw.random() < 0.4)
    framing = "Transfer-Encoding: chunked" if chunked else "Connection: close" if failure == "until close" else f"Content-Length: {length}"
    if length is None and not chunked:
        framing = "Connection: close"
    etag = "" if is_stream(name) else f"ETag: \"{made}/{language}\"\r\n"
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{framing}\r\n{etag}{common}\r\n".encode())
    if method != b"HEAD":
        await send_body(writer, pieces, chunked, failure, draw)
    elif failure == "until close":
        raise Gone


async def connection(reader, writer, draw):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].split(b"\r\n")
            method, target, _ = first.split(b" ")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
            if length := int(fields.get(b"content-length", 0)):
                await reader.readexactly(length)
            await answer(method, target.decode(), fields, writer, draw)
    except (Gone, OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def serve(port, seed):
    """Serves until it is ended."""
    draw = random.Random(seed)

    async def run():
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(("127.0.0.1", port))
            server = await asyncio.start_server(lambda r, w: connection(r, w, draw), sock=listener, backlog=1024)
            await server.serve_forever()

    asyncio.run(run())
