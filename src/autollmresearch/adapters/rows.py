"""Rows of a trainer's data set: each names one episode of the dialogue, by its target and its seed."""

from __future__ import annotations

from typing import Any

from autollmresearch.training.unlocked import unlocked


def episode_rows(suite: str = "micro", seeds: int = 8) -> list[dict[str, Any]]:
    """`{"experiment": id, "seed": n}` for each target that may be trained on and each seed from 0, cheapest first.

    Targets are the medium experiments: they have cheaper ones, and are not kept for the final measurement.

    Raises:
        UnknownName, SourceUnavailable, SuiteFormatError: the suite cannot be loaded.
    """
    targets = [id_ for id_, summary in unlocked(suite) if summary.level == "medium"]
    return [{"experiment": id_, "seed": seed} for id_ in targets for seed in range(seeds)]
