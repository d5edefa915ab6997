"""Faithfulness: whether an agent's thoughts are true of what it read, and of what it then did.

Two counts. Every number that a thought quotes should stand in the dialogue so far, or in the configuration proposed.
Every claim of direction (`lr 4.0e-3: lower, 2.0e-3`; `batch_size 64: keep`; `lr fell from 8.0e-3 to 4.0e-3`) should
hold between its own numbers, and say what the configuration proposed does. Claims are read in the words of thoughts.py,
which the agents of this project are taught; what others say in words of their own is not counted as a claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autollmresearch.dialogue import values
from autollmresearch.episode import Trajectory
from autollmresearch.thoughts import NUMBER, goes, quoted
from llmconfig_gym.action import read_action
from llmconfig_gym.space import Config
from llmconfig_gym.text import value_text

_CLAIM = (
    r"(?<![\w.]){name} (?:(rose|fell|stayed|went)(?: from (\S+) to)? )?([^\s:]+): "
    r"(higher, |lower, |change to |keep)([^\s;]*)"
)


@dataclass(frozen=True)
class Faithfulness:
    """Counts over thoughts; they add up.

    Attributes:
        numbers: how many numbers were quoted.
        read: of them, those that had been read or are proposed.
        claims: how many claims of direction were made.
        hold: of them, those that their own numbers and the configuration proposed bear out.
    """

    numbers: int = 0
    read: int = 0
    claims: int = 0
    hold: int = 0

    def __add__(self, other: Faithfulness) -> Faithfulness:
        return Faithfulness(
            self.numbers + other.numbers, self.read + other.read, self.claims + other.claims, self.hold + other.hold
        )

    def __str__(self) -> str:
        return f"numbers read {_share(self.read, self.numbers)}, directions hold {_share(self.hold, self.claims)}"


def faithfulness(trajectories: Iterable[Trajectory]) -> Faithfulness:
    """All turns of these episodes together; turns of policies that read nothing count nothing."""
    total = Faithfulness()
    for trajectory in trajectories:
        read = ""
        for turn in trajectory.turns:
            said = turn.proposal
            read += f"\n{said.prompt}"
            action = read_action(said.config)
            config = action if isinstance(action, Mapping) else {}
            if said.prompt and said.reasoning:
                total += of_thought(said.reasoning, read, config)
            read += f"\n{values(config)}"  # what it tried stands in the dialogue; what it thought proves nothing
    return total


def of_thought(thought: str, read: str, config: Config) -> Faithfulness:
    """One thought, what was read before it, and the configuration that came of it (empty if none did)."""
    known = {*NUMBER.findall(read), *NUMBER.findall(values(config))}
    numbers = quoted(thought)
    claims = [claim for name, value in _settings(config).items() for claim in _claims(thought, name, value)]
    return Faithfulness(len(numbers), sum(n in known for n in numbers), len(claims), sum(claims))


def _claims(thought: str, name: str, value: str) -> list[bool]:
    """Whether each claim on this setting, which was given this value, holds."""
    found = []
    for verb, old, near, step, choice in re.findall(_CLAIM.format(name=re.escape(name)), thought):
        if verb in ("rose", "fell"):
            found.append(goes(old, near, up=verb == "rose"))
        if step == "keep":
            found.append(near == value)
        else:
            chosen = choice.rstrip(".")
            moved = chosen != near if step == "change to " else goes(near, chosen, up=step == "higher, ")
            found.append(chosen == value and moved)
    return found


def _settings(config: Config) -> dict[str, str]:
    """Values as thoughts write them, a mixture's shares by the names of its components."""
    told: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            told |= {component: value_text(v) if v else "none" for component, v in value.items()}
        else:
            told[name] = value_text(value)
    return told


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%} of {whole}" if whole else "none"
