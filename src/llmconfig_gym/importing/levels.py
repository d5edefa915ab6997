"""The split of imported experiments into low, medium and high, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.experiment import LEVELS, Level
from llmconfig_gym.files import is_file_name
from llmconfig_gym.importing.units import short_quantity

_MAX_ID = 80


def split_levels(count: int, said: Mapping[Level, int] | None = None) -> list[Level]:
    """The levels of `count` experiments, cheapest first.

    The dearest third is high, the third below it medium, the rest low; of two, one is low and one high; one is high.

    Args:
        count: how many experiments there are, at least 1.
        said: how many of each level the user wants.

    Raises:
        ImportProblem: the user's numbers do not add up to `count`, or leave no high experiment.
    """
    third = count // 3
    sizes: dict[Level, int] = {"low": count - 2 * third, "medium": third, "high": third}
    if count < 3:
        sizes = {"low": count - 1, "medium": 0, "high": 1}
    if said is not None:
        sizes = {level: said.get(level, 0) for level in LEVELS}
        if min(sizes.values()) < 0 or sum(sizes.values()) != count or sizes["high"] < 1:
            found = ", ".join(f"{level}={n}" for level, n in sizes.items())
            raise ImportProblem(
                f"--levels {found}: expected numbers that add up to {count} experiments, at least one high"
            )
    return [level for level in LEVELS for _ in range(sizes[level])]


def parse_levels(text: str) -> dict[Level, int]:
    """What `--levels low=6,medium=4,high=7` says.

    Raises:
        ImportProblem: it says nothing of the kind.
    """
    result: dict[Level, int] = {}
    for part in text.split(","):
        name, _, count = (p.strip() for p in part.partition("="))
        level = next((known for known in LEVELS if known == name), None)
        if level is None or level in result or not re.fullmatch("[0-9]{1,9}", count):
            raise ImportProblem(f"--levels {text}: expected how many experiments each, such as low=6,medium=4,high=7")
        result[level] = int(count)
    return result


def experiment_ids(suite: str, fidelities: Sequence[Mapping[str, float | str]]) -> list[str]:
    """One id per fidelity, `suite/N215M-tokens100B`: safe as a file name, and distinct even where case is not."""
    result: list[str] = []
    taken: set[str] = set()
    for values in fidelities:
        text = "-".join(f"{k}{short_quantity(v) if not isinstance(v, str) else '_' + v}" for k, v in values.items())
        safe = re.sub(r"[^A-Za-z0-9._+-]+", "_", text)[:_MAX_ID].strip("._+-") or "all"
        safe = safe if is_file_name(safe) else f"at-{safe}"
        name, n = safe, 1
        while name.lower() in taken:
            n += 1
            name = f"{safe}-{n}"
        taken.add(name.lower())
        result.append(f"{suite}/{name}")
    return result
