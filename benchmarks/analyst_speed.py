"""How long a proposal of the analyst takes as the known runs grow, beside two Gaussian processes on the same runs.

    python benchmarks/analyst_speed.py [--format table|json] [--repeats N] [--most N]

Runs are made up: learning rate x batch size at four cheaper fidelities, a valley that moves as a power law, some
noise, 2 % blow-ups, and a target of 500 candidates. Times are CPU seconds of one core (other work on the machine does
not count), the median of the repeats, each on runs drawn anew, from the problem to the proposal. The peers are
`pooled-gp`, which keeps 800 runs at random, and scikit-learn's exact GaussianProcessRegressor with a fixed kernel, up
to 5,000 runs: its time grows with the cube. The exponent is the slope of log time over log runs from 2,000 runs on;
n log n would be about 1.1 there. Ten runs are timed too, as in `metered:10`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import State
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Real
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

SIZES = (10, 100, 500, 2_000, 5_000, 10_000, 30_000, 100_000)
FROM = 2_000
"""Runs from which the exponent is fitted, and at which the goal holds."""
GOAL = 1.0
"""Seconds that a proposal may take on `FROM` runs."""
EXACT = 5_000
"""Most runs that the exact process is asked to take."""
SPACE = Space((Real("lr", 1e-4, 1e-1, log=True), Real("batch_size", 1e4, 1e7, log=True, unit="tokens")))


def problem(count: int, seed: int) -> Problem:
    """`count` cheaper runs at four fidelities, and a target of 500 candidates."""
    rng = np.random.default_rng(seed)
    cheaper = []
    for part, n in enumerate((1e7, 2e7, 4e7, 8e7)):
        rows = max(count // 4 + (part < count % 4), 1)
        pool = draw(rows, rng)
        lr, batch = (np.log2(pool.columns[k]) for k in SPACE.names)
        distance = ((lr + 8 + 0.4 * np.log2(n / 1e7)) / 3) ** 2 + ((batch - 18) / 4) ** 2
        losses = 3 * (n / 1e7) ** -0.07 * np.exp(0.1 * (np.sqrt(1 + distance) - 1)) + 0.003 * rng.standard_normal(rows)
        losses[rng.random(rows) < 0.02] = 10.0
        cheaper.append(CheapRuns(fidelity(n), pool, losses, {}))
    return Problem("pretraining", fidelity(3e8), Metric("loss", "minimize"), draw(500, rng), tuple(cheaper), 3, 1.25)


def draw(rows: int, rng: np.random.Generator) -> Pool:
    """Configurations drawn uniformly in the logarithms."""
    ends = {p.name: np.log((p.low, p.high)) for p in SPACE.parameters if isinstance(p, Real)}
    return Pool(SPACE, {name: np.exp(rng.uniform(*map(float, e), size=rows)) for name, e in ends.items()})


def fidelity(n: float) -> Fidelity:
    """Twenty tokens per parameter."""
    return Fidelity({"parameters": n, "tokens": 20 * n}, 120 * n * n)


def policy(name: str) -> Callable[[Problem], object]:
    """One proposal of a method."""
    made = make_policy(name)
    return lambda p: made.propose([State(p)])


def exact_process(p: Problem) -> object:
    """scikit-learn's exact process on all runs, with fidelity as a feature and a fixed kernel; the least mean."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel

    sizes = [np.full((len(r.losses), 1), float(r.fidelity.values["parameters"])) for r in p.cheaper]
    x = np.hstack([np.concatenate([r.pool.encoded for r in p.cheaper]), np.log10(np.concatenate(sizes))])
    y = np.minimum(np.concatenate([r.losses for r in p.cheaper]), 4.0)
    kernel = Matern([0.5, 0.5, 2.0], nu=2.5) + WhiteKernel(1e-3)
    model = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(x, y)
    here = np.full((len(p.pool), 1), np.log10(float(p.fidelity.values["parameters"])))
    return int(np.argmin(model.predict(np.hstack([p.pool.encoded, here]))))


METHODS: dict[str, tuple[Callable[[Problem], object], int]] = {
    "analyst": (policy("analyst"), 10**9),
    "pooled-gp (800 runs)": (policy("pooled-gp"), 10**9),
    "scikit-learn, exact": (exact_process, EXACT),
}


def timed(work: Callable[[Problem], object], count: int, repeats: int) -> float:
    """Median CPU seconds of `work` on problems of this many runs."""
    seconds = []
    for seed in range(repeats):
        p = problem(count, seed)
        start = time.process_time()
        work(p)
        seconds.append(time.process_time() - start)
    return median(seconds)


def exponent(times: dict[int, float]) -> float | None:
    """Slope of log time over log runs from `FROM` runs on; None with fewer than two sizes."""
    points = [(np.log(n), np.log(t)) for n, t in times.items() if n >= FROM]
    return float(np.polyfit(*np.array(points).T, 1)[0]) if len(points) > 1 else None


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a proposal of the analyst and of two peers as runs grow.")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="output format (default: table)")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of which the median counts (default: 3)")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="largest number of runs (default: 100000)")
    args = parser.parse_args()
    if args.repeats < 1 or args.most < 1:
        parser.error("--repeats and --most must be at least 1")
    sizes = [n for n in SIZES if n <= args.most]
    with threadpool_limits(1):
        for work, _ in METHODS.values():
            work(problem(100, 0))  # imports do not count
        times = {
            name: {n: timed(work, n, args.repeats) for n in sizes if n <= most}
            for name, (work, most) in METHODS.items()
        }
    exponents = {name: exponent(t) for name, t in times.items()}
    met = None if FROM not in sizes else times["analyst"][FROM] < GOAL
    machine = {"python": platform.python_version(), "machine": platform.machine(), "load": round(os.getloadavg()[0], 1)}
    if args.format == "json":
        print(json.dumps({"repeats": args.repeats, **machine, "seconds": times, "exponents": exponents, "met": met}))
        return
    rows = [
        (
            name,
            *(f"{t[n]:.3f}" if n in t else "-" for n in sizes),
            "-" if (e := exponents[name]) is None else f"{e:.2f}",
        )
        for name, t in times.items()
    ]
    print(", ".join(f"{k} {v}" for k, v in machine.items()) + f"; CPU seconds of one core, median of {args.repeats}\n")
    headers = ("method", *(f"{n:,}" for n in sizes), f"exponent from {FROM:,}")
    print(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))
    if met is not None:
        print(f"\ngoal: under {GOAL:g} s on {FROM:,} runs: {'met' if met else 'NOT MET'}")


if __name__ == "__main__":
    main()
