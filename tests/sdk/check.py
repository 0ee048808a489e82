"""Real clients against a running gateway: one line per check, exit code 1 if any does not hold.

Started by tests/sdk/run, which starts and ends the processes. The checks are in with_curl, with_sdks, with_streams,
with_http2, with_node and with_sockets; the first line of each says what must hold. Most are made over HTTP/1.1 and
again over HTTP/2.
"""
import argparse
import dataclasses
import pathlib
import sys
import time
import traceback

import support
# Imported for the checks that they register, in the order of their running.
import with_curl, with_sdks, with_streams, with_http2, with_node, with_sockets


def main():
    options = argparse.ArgumentParser(description=__doc__)
    for name in ("plain", "tls", "mock", "admin"):
        options.add_argument(f"--{name}", required=True)
    options.add_argument("--pid", type=int, required=True)
    options.add_argument("--folder", type=pathlib.Path, required=True)
    options.add_argument("--only", default="", help="checks whose statement contains this")
    options = vars(options.parse_args())
    only = options.pop("only")
    chosen = [one for one in support.CHECKS if only in one[0]]
    world = support.World(**options)
    failed = 0
    for statement, function, http2 in chosen:
        begun = time.monotonic()
        try:
            detail = function(dataclasses.replace(world, http2=http2))
            word = "ok  "
        except Exception as error:
            failed += 1
            word, detail = "FAIL", f"{type(error).__name__}: {error}"
            if not isinstance(error, support.Failed):
                traceback.print_exc()
        took = time.monotonic() - begun
        print(f"{word} {took:5.1f} s  {statement}{f': {detail}' if detail else ''}", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} checks hold")
    sys.exit(1 if failed or not chosen else 0)


if __name__ == "__main__":
    main()
