#!/usr/bin/env python3
"""Instructions per call of what `benches/instructions.rs` runs, counted by valgrind's callgrind.

Each figure is the difference of two runs (1,000 and 11,000 calls) divided by 10,000: start and warm-up cancel out.
Needs on the PATH: cargo, valgrind.

    python3 benches/load/instructions.py [part of a name ...]
"""
import json, pathlib, re, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FEW, MANY = 1_000, 11_000


def executable():
    command = ["cargo", "bench", "--no-run", "--bench", "instructions", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = [message for message in map(json.loads, lines) if message.get("target", {}).get("name") == "instructions"]
    return built[-1]["executable"]


def instructions(program, name, rounds, folder):
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program, name, str(rounds)]
    said = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
    return int(re.search(r"Collected : (\d+)", said).group(1))


def main():
    program = executable()
    names = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    wanted = [name for name in names if not sys.argv[1:] or any(part in name for part in sys.argv[1:])]
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            few, many = (instructions(program, name, rounds, folder) for rounds in (FEW, MANY))
            print(f"{name:32} {(many - few) / (MANY - FEW):10.1f}", flush=True)


if __name__ == "__main__":
    main()
