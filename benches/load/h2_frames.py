"""HTTP/2 by hand for the load tools: frames (RFC 9113 §4), heads as literals (RFC 7541 §6), a socket that never blocks.

Knows the words of the protocol and nothing of its rules: what an abuser needs. Heads are written without Huffman and
without the dynamic table; field blocks that are read are not decoded.
"""
import re, select, socket, ssl

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 2, 3, 4
PAYLOAD_BYTES_MAX = 16_384
WINDOW_MAX = 2**31 - 1
CANCEL = 8
ERRORS = ("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
          "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
          "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED")
# Names with an entry in the static table (RFC 7541 appendix A) that the tools use.
STATIC_NAMES = {":authority": 1, ":path": 4, "content-length": 28, "cookie": 32, "user-agent": 58}
GOAWAY_HEADER = re.compile(rb"\x00..\x07\x00\x00\x00\x00\x00", re.S)


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def integer(prefix_bits, first, value):
    """An integer behind the high bits `first` (RFC 7541 §5.1)."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes((first | value,))
    out, value = bytearray((first | most,)), value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes((value,))


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return integer(7, 0, len(value)) + value


def field(name, value, remembered=False):
    """A literal field; `remembered`: with incremental indexing (RFC 7541 §6.2.1), so that it enters the peer's table."""
    index = STATIC_NAMES.get(name, 0)
    start = integer(6, 0x40, index) if remembered else integer(4, 0, index)
    return start + (b"" if index else text(name)) + text(value)


def head(path, tls=False, method="GET", authority="localhost", more=b""):
    """The field block of a request; `more`: further fields, encoded."""
    start = {"GET": b"\x82", "POST": b"\x83"}[method] + (b"\x87" if tls else b"\x86")
    return start + field(":path", path) + field(":authority", authority) + more


class Frames:
    """Cuts what was received into (kind, flags, stream, payload)."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        data, at, found = self.rest + data, 0, []
        while len(data) - at >= 9:
            end = at + 9 + int.from_bytes(data[at:at + 3], "big")
            if end > len(data):
                break
            stream = int.from_bytes(data[at + 5:at + 9], "big") & WINDOW_MAX
            found.append((data[at + 3], data[at + 4], stream, data[at + 9:end]))
            at = end
        self.rest = data[at:]
        return found


def goaway_code(payload):
    code = int.from_bytes(payload[4:8], "big")
    return ERRORS[code] if code < len(ERRORS) else hex(code)


def goaway_in(tail):
    """The name of the error of the last GOAWAY in received bytes, found without cutting them into frames; or None."""
    found = [match.end() for match in GOAWAY_HEADER.finditer(tail)]
    return goaway_code(tail[found[-1]:]) if found and len(tail) >= found[-1] + 8 else None


def tls_context(protocols=("h2",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context


class Wire:
    """A connection to 127.0.0.1, in clear or over TLS with ALPN h2, that takes what it can and never blocks."""

    def __init__(self, port, tls=False, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(5)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.protocol = "h2"
        if tls:
            self.socket = tls_context().wrap_socket(self.socket)
            self.protocol = self.socket.selected_alpn_protocol()
        self.socket.setblocking(False)

    def fileno(self):
        return self.socket.fileno()

    def send(self, data):
        """How many of the bytes were taken; 0 where there is no room. Raises OSError when the connection is gone."""
        try:
            return self.socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def receive(self):
        """What has come; b"" where nothing has, None where nothing will: the peer has closed or reset."""
        try:
            return self.socket.recv(1 << 18) or None
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except OSError:
            return None

    def send_all(self, data, timeout):
        """Sends all, for openings; what comes meanwhile waits. Raises OSError, also when there is no room for long."""
        view = memoryview(data)
        while view:
            sent = self.send(view)
            view = view[sent:]
            if not sent and not select.select([], [self], [], timeout)[1]:
                raise TimeoutError("no room to send")

    def close(self):
        self.socket.close()


def probe(port, tls=False):
    """"" when the server answers the preface with SETTINGS (RFC 9113 §3.4), else what it does instead."""
    try:
        wire = Wire(port, tls)
        if wire.protocol != "h2":
            return "ALPN did not choose h2"
        wire.send_all(PREFACE + settings(), 2)
        got = b""
        while len(got) < 9:
            if not select.select([wire], [], [], 2)[0]:
                return "no answer to the HTTP/2 preface"
            part = wire.receive()
            if part is None:
                return "closed the connection on the HTTP/2 preface"
            got += part
        wire.close()
        return "" if got[3] == SETTINGS else f"answered the HTTP/2 preface with {got[:12]!r}"
    except OSError as error:
        return f"refused HTTP/2: {error}"
