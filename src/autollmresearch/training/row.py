"""A trajectory as a row of GRPO: what was read first, all that follows, and which of that the agent wrote."""

from __future__ import annotations

from dataclasses import dataclass

from autollmresearch.episode import Trajectory


@dataclass(frozen=True)
class Row:
    """A trajectory as TRL has it: `completion` is all that follows the first prompt, `own` what the agent wrote of it.

    `own` and `logprobs` have one entry per token of `completion`; a log-probability is 0 where the agent did not write.
    """

    prompt: list[int]
    completion: list[int]
    own: list[bool]
    logprobs: list[float]


def row(trajectory: Trajectory, longest: int) -> Row:
    """A trajectory as a row of at most `longest` tokens; what is beyond is cut off and teaches nothing.

    A trajectory without a written token keeps the last one it read as a completion that is not the agent's: TRL wants
    one.

    Raises:
        ValueError: its policy does not work on tokens.
    """
    ids, own, logprobs = trajectory.ids()[:longest], trajectory.own()[:longest], trajectory.logprobs()[:longest]
    if len(ids) < 2:
        raise ValueError(f"a trajectory on {trajectory.experiment} has no tokens; only language models are reinforced")
    start = min(own.index(True) if True in own else len(ids), len(ids) - 1)
    return Row(ids[:start], ids[start:], own[start:], logprobs[start:])
