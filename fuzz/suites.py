"""A small suite on disk, with every kind of parameter; targets replace a file in copies of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from fuzz.scratch import scratch
from fuzz.targets.action import experiment
from llmconfig_gym.suite import Card, Suite


@cache
def saved(place: str) -> Path:
    """Where it is; it has the experiments `fuzz/one` and `fuzz/two`."""
    path = scratch() / place
    two = replace(experiment(), id="fuzz/two", level="high", noise=0.1, clip=1.5)
    Suite.of("fuzz", Card("made to be broken", notes=("a note",)), [experiment(), two]).save(path)
    return path
