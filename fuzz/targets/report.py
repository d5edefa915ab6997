"""What the page of `report` reads of a benchmark beside its rows: settings, landscapes, conversations.

An input is `{"settings": settings.json, "targets": targets.json, "episodes": [lines of episodes.jsonl]}`.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from autollmresearch.benchmark.record import episode_line, targets_text
from autollmresearch.benchmark.runner import COLUMNS
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.policy import Candidate, Proposal
from autollmresearch.report.benchmark import benchmark_run
from autollmresearch.report.page import data_text
from fuzz.scratch import put, scratch
from fuzz.suites import saved
from llmconfig_gym.suite import Suite

if TYPE_CHECKING:
    import pandas as pd

RUNS, LONGEST = 20_000, 9000
WORDS = (b'"axes":', b'"at":', b'"labels":', b'"log":', b'"layer":', b'"best":', b'"cheaper":', b'"turns":')


@cache
def _played() -> tuple[pd.DataFrame, bytes]:
    """The rows of a benchmark of one method on `fuzz/two`, and what it keeps beside them."""
    import pandas as pd

    suite = Suite.load(saved("reported"))
    e = suite.experiment("fuzz/two")
    configs = [e.pool.config(i) for i in (0, 1)]
    said = [Proposal(c, "So.", prompt="What?", mean=0.5, sd=0.1, candidates=(Candidate(c, 0.5),)) for c in configs]
    turns = tuple(Turn(p, e.tell(c), 0.5, 0.1) for p, c in zip(said, configs, strict=True))
    line = json.loads(episode_line("analyst", "full", Trajectory(e.id, 2, 0, turns)))
    numbers = dict.fromkeys(COLUMNS, 0.5)
    text = {"method": "analyst", "suite": "fuzz", "task": e.task, "experiment": e.id, "protocol": "full"}
    rows = [
        {**numbers, **text, "seed": seed, "trial": t, "config": json.dumps(configs[t - 1]), "outcome": "measured"}
        for seed in (0, 1)
        for t in (1, 2)
    ]
    settings = {"suites": ["fuzz"], "methods": ["analyst"], "budget": 2, "seeds": 2, "level": "high"}
    kept: dict[str, Any] = {
        "settings": {"settings": settings, "version": "0.1.0", "digest": "0" * 64},
        "targets": json.loads(targets_text(BenchmarkSettings(level="high"), [suite])),
        "episodes": [line],
    }
    return pd.DataFrame(rows)[list(COLUMNS)], json.dumps(kept).encode()


def seeds() -> list[bytes]:
    return [_played()[1]]


def read(data: bytes) -> object:
    try:
        kept = json.loads(data)
        settings, targets, lines = (kept[k] for k in ("settings", "targets", "episodes"))
        episodes = "".join(json.dumps(line) + "\n" for line in lines)
        files = {"settings.json": json.dumps(settings), "targets.json": json.dumps(targets), "episodes.jsonl": episodes}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    for name, text in files.items():
        put(f"report/{name}", text.encode())
    return data_text({"runs": [benchmark_run(scratch() / "report", _played()[0])]})
