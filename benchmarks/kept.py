"""The rows behind the tables of README and docs, which are kept in the repository: keep them, show them, check them.

python benchmarks/kept.py keep runs/all     # a benchmark's rows, without what a public table holds, into kept.parquet
python benchmarks/kept.py add runs/more     # the same beside what is there, in place of older rows of its kind
python benchmarks/kept.py tables            # the tables of README.md and docs/benchmark.md
python benchmarks/kept.py pictures          # docs/images: average ranks, and the curves of the README
python benchmarks/kept.py check             # runs a tenth of the embedded suite's rows again and compares
python benchmarks/kept.py check --suite all # of every suite, and one seed where a protocol has no tenth (hours)

`check` exits with 1 where a method's mean regret on a task has moved beyond what the kept seeds say of it.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from autollmresearch.benchmark import leaderboard
from autollmresearch.benchmark.plots import regret_curves, save_ranks
from autollmresearch.benchmark.protocols import Active, parse_protocol
from autollmresearch.benchmark.runner import read_results, run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.benchmark.standing import standings
from autollmresearch.benchmark.summary import method_order, summarize
from autollmresearch.benchmark.tables import digits, overall, share
from llmconfig_gym.files import whole_file

KEPT = Path(__file__).parent / "kept.parquet"

COLUMNS = (
    *("method", "suite", "task", "experiment", "protocol", "seed", "trial"),
    *("simple_regret", "cumulative_regret", "within_noise", "seconds"),
)
"""Neither configurations nor outcomes: those are the public tables', and not ours to give away."""

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DRAWN = ("metered:10", "full")
CURVES = ("random", "gp:startup=3", "copy", "pooled-gp", "analyst", "researcher-mini", "rank-average")
WORDS = dict.fromkeys(leaderboard.WORDS, str)

SHOWN = (1, 3, 5)
SHARE = 0.1
"""Of the kept seeds, how many are run again."""
KEY = ["method", "task", "protocol"]
LEAST = 0.01
"""A mean regret that moved by less has not moved: another machine's rounding may turn a tie."""


def main() -> int:
    """Keep, show or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("keep", "add", "tables", "pictures", "check"))
    parser.add_argument("runs", type=Path, nargs="*", help="for keep and add: directories of finished benchmarks")
    parser.add_argument("--suite", default="micro", help="for check: of which suite, or all")
    args = parser.parse_args()
    if args.what == "keep":
        keep(args.runs)
        return 0
    frame = pd.read_parquet(KEPT)
    if args.what == "add":
        keep(args.runs, frame.astype(WORDS))
        return 0
    if args.what == "tables":
        print("\n\n".join(tables(frame)))
        return 0
    if args.what == "pictures":
        pictures(frame)
        return 0
    if args.suite == "all":
        return max(check(frame, str(suite), least=1) for suite in frame["suite"].unique())
    return check(frame, args.suite)


def keep(runs: list[Path], before: pd.DataFrame | None = None) -> None:
    """Write the rows of these benchmarks into `KEPT`, small, after those `before` that they do not replace."""
    frame = pd.concat([read_results(run)[list(COLUMNS)] for run in runs], ignore_index=True)
    if before is not None:
        kinds = ["method", "suite", "protocol"]
        old = ~pd.MultiIndex.from_frame(before[kinds]).isin(pd.MultiIndex.from_frame(frame[kinds]))
        frame = pd.concat([before[old], frame], ignore_index=True)
    numbers = dict.fromkeys(("simple_regret", "cumulative_regret", "seconds"), "float32")
    words = dict.fromkeys(WORDS, "category")
    frame = frame.astype({**numbers, **words, "seed": "int16", "trial": "int16"})
    with whole_file(KEPT) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")
    print(f"{len(frame):,} rows, {KEPT.stat().st_size / 1e6:.1f} MB: {KEPT}")


def tables(frame: pd.DataFrame) -> Iterator[str]:
    """Regret by group and trial, cumulative regret, and the standing, for each protocol."""
    frame = frame.astype(WORDS)
    several = frame.groupby("suite")["task"].transform("nunique") > 1
    frame = frame.assign(group=frame["suite"].where(~several, frame["suite"] + ", " + frame["task"]))
    groups, suites = list(dict.fromkeys(frame["group"])), list(dict.fromkeys(frame["suite"]))
    for protocol, part in frame.groupby("protocol"):
        methods = method_order(list(part["method"].unique()))
        part = part[part["simple_regret"].notna()]
        served = part.groupby(["suite", "method"])["task"].transform("nunique")
        every = part[(part["group"] != part["suite"]) & (served == part.groupby("suite")["task"].transform("nunique"))]
        part = pd.concat([part, every.assign(group=every["suite"] + ", all")])
        regret = part.pivot_table(index=["method", "group"], columns="trial", values="simple_regret").map(digits)
        noise = part.pivot_table(index=["method", "group"], columns="trial", values="within_noise").map(share)
        last = part[part["trial"] == part["trial"].max()]
        total = last.pivot_table(index=["method", "group"], values="cumulative_regret")["cumulative_regret"].map(digits)
        here = [g for g in (*groups, *(f"{s}, all" for s in suites)) if g in {*part["group"]}]
        active = isinstance(parse_protocol(protocol), Active)
        unit = f"of {part['trial'].max()} parts of B" if active else "trials"
        for title, cells in (
            (
                f"mean simple regret after {' / '.join(map(str, SHOWN))} {unit}",
                regret[list(SHOWN)].agg("/".join, axis=1),
            ),
            (
                f"within one run's standard deviation of the best after {' / '.join(map(str, SHOWN))} {unit}",
                noise[list(SHOWN)].agg(" / ".join, axis=1),
            ),
            (f"mean cumulative regret over {part['trial'].max()} {'parts of B' if active else 'trials'}", total),
        ):
            table = cells.unstack("group").reindex(index=methods, columns=here).astype(object).fillna("n/a")
            table.index = pd.Index([f"`{method}`" for method in methods], name="method")
            yield f"## {protocol}: {title}\n\n{table.to_markdown(disable_numparse=True)}"
    found = list(standings(frame))
    for standing in found:
        table = overall(standing)
        yield f"## {table.title}\n\nCritical difference of ranks {standing.critical:.2f}.\n\n{table.markdown()}"
    passive = [s for s in found if not isinstance(parse_protocol(s.protocol), Active)]
    by_protocol = pd.DataFrame({s.protocol: {p.method: digits(p.regret) for p in s.places} for s in passive})
    by_protocol = by_protocol.fillna("not run")
    order = sorted(by_protocol.columns, key=lambda name: (name == "full", int(name.partition(":")[2] or 0)))
    by_protocol = by_protocol.reindex(index=method_order(list(by_protocol.index)), columns=order)
    by_protocol.index = pd.Index([f"`{method}`" for method in by_protocol.index], name="method")
    yield f"## regret per trial by protocol\n\n{by_protocol.to_markdown(disable_numparse=True)}"


def pictures(frame: pd.DataFrame) -> None:
    """Average ranks under the two protocols that all methods were run under, and regret curves of a few methods."""
    for standing in standings(frame[frame["protocol"].isin(DRAWN)].astype(WORDS)):
        print(save_ranks(standing, IMAGES))
    few = frame[frame["method"].isin(CURVES) & (frame["suite"] == "micro") & (frame["task"] == "pretraining")]
    few = few[few["protocol"] == "metered:10"].astype(WORDS)
    unknown = ("simple_regret_unclipped", "median_regret", "excess_percent", "read_tokens", "written_tokens", "cost")
    (group,) = summarize(few.assign(**dict.fromkeys(unknown, math.nan), outcome="measured", config=""))
    with whole_file(IMAGES / "micro-metered-10.png") as temporary:
        regret_curves(group).savefig(temporary, format="png", dpi=150)
    print(IMAGES / "micro-metered-10.png")


def check(frame: pd.DataFrame, suite: str, least: int = 0) -> int:
    """Run a tenth of the seeds on a suite again, or the `least` where that is more; 1 if a mean has moved."""
    kept = frame[frame["suite"] == suite].astype(WORDS)
    parts = [(part, str(protocol)) for protocol, part in kept.groupby("protocol")]
    seeds = [max(least, round(SHARE * part["seed"].nunique())) for part, _ in parts]
    table = pd.concat([_again(*part, n, suite) for part, n in zip(parts, seeds, strict=True) if n])
    moved = table[~((table["kept"] - table["now"]).abs() <= table["allowed"])]  # what was lost has moved, too
    same = int((table["kept"] - table["now"]).abs().lt(1e-6).sum())
    print(f"{suite}: {len(table)} means, {same} the same, {len(moved)} moved")
    if len(moved):
        print(moved.to_string(float_format=lambda v: f"{v:.4f}"))
    return int(len(moved) > 0)


def _again(kept: pd.DataFrame, protocol: str, seeds: int, suite: str) -> pd.DataFrame:
    """Per method and task: the kept mean over the first seeds, today's, and how far they may differ."""
    methods, budget = tuple(kept["method"].unique()), int(kept["trial"].max())
    settings = BenchmarkSettings((suite,), (protocol,), methods, budget=budget, seeds=seeds)
    with tempfile.TemporaryDirectory() as out:
        rows = run_benchmark(settings, Path(out) / "out", workers=2, progress=sys.stderr.isatty())
    last = kept[kept["trial"] == budget]
    table = {
        "kept": _mean(last[last["seed"] < seeds], budget),
        "now": _mean(rows[rows["trial"] == budget], budget),
        "allowed": _mean(last, budget, "seed").groupby(KEY).std().fillna(0.0).clip(lower=LEAST),
    }
    return pd.DataFrame(table).loc[lambda t: t["kept"].notna() | t["now"].notna()]  # not applicable, then and now


def _mean(rows: pd.DataFrame, budget: int, *also: str) -> pd.Series[float]:
    """Regret per trial, by method, task and protocol."""
    return rows.groupby([*KEY, *also])["cumulative_regret"].mean() / budget


if __name__ == "__main__":
    sys.exit(main())
