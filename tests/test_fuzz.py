"""The fuzz targets without the fuzzer: seeds, changed as `fuzz/mutate.py` does, the same on every machine.

Whatever is read, nothing but the packages' typed errors may come of it. Inputs that broke a reader once are in the
tests of that reader. The campaigns are run with `python -m fuzz.run`; docs/security.md says what they gave.
"""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from fuzz.mutate import mutate, mutate_json
from fuzz.targets import NAMES, target

from autollmresearch.errors import ResearchError
from llmconfig_gym.errors import GymError

MOST, SHARE = 3000, 150
"""Inputs of a target at most, and of how many of a campaign one is tried here."""


@pytest.mark.filterwarnings("ignore")  # other people's libraries, of what is wrong in a file
@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_typed_errors_comes_of_changed_inputs(name: str) -> None:
    chosen = target(name)
    seeds = chosen.seeds()
    assert all(len(seed) <= chosen.LONGEST for seed in seeds)
    rng = random.Random(0)
    typed = 0
    for _ in range(min(MOST, chosen.RUNS // SHARE)):
        data = mutate(rng.choice(seeds), rng, chosen.WORDS, chosen.LONGEST)
        try:
            chosen.read(data)
        except (GymError, ResearchError):
            typed += 1
        except Exception as problem:
            raise AssertionError(f"{name} broke on {data!r}") from problem
    assert typed or name in ("action", "cell", "checkpoint", "names"), "changes that break nothing test nothing"


@pytest.mark.parametrize("name", NAMES)
def test_some_seed_of_every_target_is_read_whole(name: str) -> None:
    chosen = target(name)
    read = 0
    for seed in chosen.seeds():
        with suppress(GymError, ResearchError):
            chosen.read(seed)
            read += 1
    assert read, "what is refused at once never reaches the reader's depths"


def test_changes_reach_into_json_and_stay_within_their_length() -> None:
    rng, seed = random.Random(1), b'{"a": [1, {"b": "text"}], "c": null}'
    changed = {mutate_json(seed, rng) for _ in range(300)}
    assert len(changed) > 150
    assert mutate_json(b"no JSON", rng) == b""
    assert all(len(mutate(seed, rng, (b"word",), 20)) <= 20 for _ in range(300))
