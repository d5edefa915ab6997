"""Runs the fuzz targets in one process at a time, in slices, until each has had its inputs; goes on where it stopped.

Each slice is a process of its own: a crash of a C library ends a slice, not the campaign. What a slice did is one line
of OUT/log.jsonl: target, inputs, seconds, inputs per second, and the input that broke it, if one did. Interesting
inputs are kept in OUT/corpus/TARGET, inputs that broke a reader in OUT/crashes. Exit code 1 if there are any of those.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from fuzz.mutate import mutate, mutate_json
from fuzz.targets import NAMES, target

ROOT = Path(__file__).parents[1]
INSTRUMENTED = ["llmconfig_gym", "autollmresearch", "yaml"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of {', '.join(NAMES)} (all)")
    parser.add_argument(
        "--out", type=Path, required=True, help="directory for corpora, crashes and the log; not in the repository"
    )
    parser.add_argument("--runs", type=int, help="inputs of each target, in place of its own number")
    parser.add_argument("--slice", type=float, default=45.0, metavar="SECONDS", help="longest time of one slice (45)")
    parser.add_argument(
        "--one", metavar="FILE", type=Path, help="read this input with the one target named, outside of atheris"
    )
    parser.add_argument("--table", action="store_true", help="only print what the log of --out says, as a table")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)  # a slice: this many inputs
    args = parser.parse_args()
    names = args.targets or list(NAMES)
    if unknown := sorted({*names} - {*NAMES}):
        parser.error(f"no target is called {unknown[0]}; there are {', '.join(NAMES)}")
    if args.table:
        print(table(args.out))
        return 0
    if args.one is not None:
        target(names[0]).read(args.one.read_bytes())
        return 0
    if args.inside is not None:
        _fuzz(names[0], args.out, args.inside, args.slice)
        return 0
    return campaign(names, args.out, args.runs, args.slice)


def campaign(names: list[str], out: Path, runs: int | None, longest: float) -> int:
    """Slices of every target in turn until each has had its inputs. Returns 1 if any input broke a reader, else 0."""
    (out / "crashes").mkdir(parents=True, exist_ok=True)
    while left := _left(names, out, runs):
        for name, count in left.items():
            print(json.dumps(_slice(name, out, count, longest)), flush=True)
    done = _done(out)
    broken = sorted(p.name for p in (out / "crashes").iterdir())
    print(
        json.dumps({"inputs": sum(done[n] for n in names), "targets": {n: done[n] for n in names}, "crashes": broken})
    )
    return 1 if broken else 0


def table(out: Path) -> str:
    """What a campaign's log says, in Markdown: inputs of each target, per second, and slices that one of them ended."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0])
    for entry in _log(out):
        for name in (entry["target"], "all"):
            for i, more in enumerate((entry["inputs"], entry["seconds"], int("broke" in entry))):
                sums[name][i] += more
    rows = [
        f"| {name} | {inputs:,.0f} | {inputs / seconds:,.0f} | {broke:.0f} |"
        for name, (inputs, seconds, broke) in sorted(sums.items(), key=lambda s: -s[1][0])
    ]
    return "\n".join(["| target | inputs | per second | slices broken |", "|---|---|---|---|", *rows])


def _log(out: Path) -> list[dict[str, Any]]:
    path = out / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _done(out: Path) -> dict[str, int]:
    """Inputs of each target so far."""
    done: dict[str, int] = defaultdict(int)
    for entry in _log(out):
        done[entry["target"]] += entry["inputs"]
    return done


def _left(names: list[str], out: Path, runs: int | None) -> dict[str, int]:
    done = _done(out)
    left = {n: (runs or target(n).RUNS) - done[n] for n in names}
    return {n: count for n, count in left.items() if count > 0}


def _slice(name: str, out: Path, count: int, longest: float) -> dict[str, object]:
    """One process of atheris; its entry in the log."""
    command = [
        sys.executable,
        "-m",
        "fuzz.run",
        name,
        "--out",
        str(out),
        "--inside",
        str(count),
        "--slice",
        str(longest),
    ]
    started = time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.monotonic() - started
    said = ended.stderr.decode(errors="replace")
    counted = re.search(r"number_of_executed_units:\s*(\d+)", said)
    seen = [int(n) for n in re.findall(r"^#(\d+)\s", said, re.MULTILINE)]
    inputs = int(counted[1]) if counted else max(seen, default=0)
    entry: dict[str, object] = {"target": name, "inputs": inputs, "seconds": round(seconds, 1)}
    entry["per_second"] = round(inputs / max(seconds, 1e-9))
    if ended.returncode:
        entry["broke"] = said.strip()[-3000:]
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")
    return {k: v for k, v in entry.items() if k != "broke"} | ({"broke": True} if ended.returncode else {})


def _fuzz(name: str, out: Path, count: int, longest: float) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        chosen = target(name)
        from autollmresearch.errors import ResearchError
        from llmconfig_gym.errors import GymError
    corpus = out / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(chosen.seeds()):
        (corpus / f"seed-{i}").write_bytes(seed)
    words = out / "corpus" / f"{name}.words"
    words.write_text("".join('"' + "".join(f"\\x{b:02x}" for b in w) + '"\n' for w in chosen.WORDS if w))

    def once(data: bytes) -> None:
        try:
            chosen.read(data)
        except (GymError, ResearchError) as problem:
            str(problem)

    def change(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        how = rng.random()
        if how < 0.5:
            return atheris.Mutate(data, most)
        return (how < 0.8 and mutate_json(data, rng)[:most]) or mutate(data, rng, chosen.WORDS, most)

    flags = [f"-runs={count}", f"-max_total_time={int(longest)}", f"-max_len={chosen.LONGEST}", f"-dict={words}"]
    flags += ["-timeout=60", "-report_slow_units=60", "-rss_limit_mb=3000", "-print_final_stats=1"]
    flags += [f"-artifact_prefix={out}/crashes/{name}-"]
    flags += [f"-seed={random.SystemRandom().randrange(1, 2**31)}"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], once, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
