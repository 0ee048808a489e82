#!/usr/bin/env python3
"""Instructions per call of what `benches/instructions.rs` runs, and per HTTP/2 request of what `benches/h2_referee.rs` runs,
counted by valgrind's callgrind.

Each figure is the difference of two runs (1,000 and 11,000 calls, or 20 and 220 times 256 requests) divided by what lies
between: start and warm-up cancel out. What is built is what was asked for: names of HTTP/2 begin with h2/.
Needs on the PATH: cargo, valgrind.

    python3 benches/load/instructions.py [part of a name ...]
"""
import json, pathlib, re, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Per bench: what its names begin with here, how it is asked for them, the rounds of the two runs, calls per round.
BENCHES = {"instructions": ("", [], 1_000, 11_000, 1), "h2_referee": ("h2/", ["names"], 20, 220, 256)}


def executable(bench):
    command = ["cargo", "bench", "--no-run", "--bench", bench, "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = [message for message in map(json.loads, lines) if message.get("target", {}).get("name") == bench]
    return built[-1]["executable"]


def instructions(program, name, rounds, folder):
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program, name, str(rounds)]
    said = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
    return int(re.search(r"Collected : (\d+)", said).group(1))


def main():
    parts = sys.argv[1:]
    of_h2 = [part.startswith("h2") for part in parts]
    wanted = [bench for bench in BENCHES if not parts or any(of_h2 if bench == "h2_referee" else [not one for one in of_h2])]
    with tempfile.TemporaryDirectory() as folder:
        for bench in wanted:
            prefix, asked, few, many, calls = BENCHES[bench]
            program = executable(bench)
            for name in subprocess.run([program, *asked], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
                if parts and not any(part in prefix + name for part in parts):
                    continue
                low, high = (instructions(program, name, rounds, folder) for rounds in (few, many))
                print(f"{prefix + name:32} {(high - low) / (many - few) / calls:10.1f}", flush=True)


if __name__ == "__main__":
    main()
