"""How long a proposal takes in a live study, on one core: the shipped agent, each way it answers, beside the analyst.

    python benchmarks/proposal_speed.py [--policies NAME ...] [--repeats N] [--format table|json]

The study is that of docs/live.md: seven cheap runs, a real learning rate and a grid of batch sizes, so some two
thousand candidates, of which an agent that scores weighs those the analyst expects most of. Three trials are proposed
and told. Times are CPU seconds of this process with one thread (other work on the machine does not count), medians of
the repeats. Imports do not count; reading the model, once per process, stands apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from statistics import median

from tabulate import tabulate
from threadpoolctl import threadpool_limits

from autollmresearch.live.ask import Question, make_spec
from autollmresearch.live.propose import propose
from autollmresearch.live.spec import Spec
from autollmresearch.live.trial import LiveTrial
from autollmresearch.policies.agent import _load

GOAL = 2.0
"""Seconds that a proposal may take."""
POLICIES = ("analyst", "researcher-mini", "researcher-mini:decode=sample", "researcher-mini:decode=greedy")
RUNS = """run,N,tokens,lr,batch_size,val_loss
a,25M,5e8,1e-4,64,3.91
b,25M,5e8,1e-3,128,3.52
c,25M,5e8,1e-2,64,3.80
d,100M,2B,1e-4,64,3.55
e,100M,2B,1e-3,128,3.21
f,100M,2B,3e-3,64,3.28
g,100M,2B,1e-2,128,inf
"""
SPACE = """parameters:
  - {kind: real, name: lr, low: 1e-5, high: 1e-2, log: true}
  - {kind: grid, name: batch_size, levels: [64, 128, 256, 512], log: true}
"""
TOLD = (2.8, 2.75, 2.77)
"""What the trials give."""


def study(policy: str) -> Spec:
    """The study of docs/live.md, of which this policy decides."""
    with tempfile.TemporaryDirectory() as place:
        runs, space = Path(place) / "runs.csv", Path(place) / "space.yaml"
        runs.write_text(RUNS)
        space.write_text(SPACE)
        return make_spec(Question(runs, "N=7e9,tokens=2e10", space, budget=len(TOLD), policy=policy))[0]


def timed(spec: Spec) -> list[float]:
    """CPU seconds of each proposal of a study."""
    trials: list[LiveTrial] = []
    seconds = []
    for number, value in enumerate(TOLD):
        start = time.process_time()
        proposal, config = propose(spec, trials)
        seconds.append(time.process_time() - start)
        trials.append(LiveTrial(number, "complete", config, value, proposal.reasoning))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the proposals of a live study on one core.")
    parser.add_argument("--policies", nargs="+", default=POLICIES, metavar="NAME", help="who proposes")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of which the median counts (default: 3)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="output format (default: table)")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error("--repeats must be at least 1")
    with threadpool_limits(1):
        import torch

        torch.set_num_threads(1)
        result = {}
        for policy in args.policies:
            spec = study(policy)
            propose(spec)  # imports
            _load.cache_clear()
            cold = timed(spec)[0]
            rounds = [timed(spec) for _ in range(args.repeats)]
            trials = [median(times) for times in zip(*rounds, strict=True)]
            result[policy] = {"reading": max(0.0, cold - trials[0]), "proposals": trials}
    worst = max(max(r["proposals"]) for r in result.values())
    machine = {"python": platform.python_version(), "machine": platform.machine(), "load": round(os.getloadavg()[0], 1)}
    if args.format == "json":
        print(json.dumps({"repeats": args.repeats, **machine, "seconds": result, "met": worst < GOAL}))
        return
    print(", ".join(f"{k} {v}" for k, v in machine.items()) + f"; CPU seconds of one core, median of {args.repeats}\n")
    headers = ("policy", "reading the model", *(f"trial {i + 1}" for i in range(len(TOLD))))
    rows = [(p, *(f"{s:.2f}" for s in (r["reading"], *r["proposals"]))) for p, r in result.items()]
    print(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))
    print(f"\ngoal: under {GOAL:g} s each: {'met' if worst < GOAL else 'NOT MET'}")


if __name__ == "__main__":
    main()
