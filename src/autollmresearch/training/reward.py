"""Advantages: how much better than its group a trajectory did.

The reward itself is the environment's: `Trajectory.reward` is the sum of its turns' rewards,
`r = 1 - sum_t (y_t - y_best) / (T (y_worst - y_best))`, in which a duplicate, invalid or missing turn counts as
`y_worst` (llmconfig_gym/env.py). GRPO (Shao et al., arXiv 2402.03300, section 4.1.2) compares the G trajectories of one
sample: `A_i = (r_i - mean(r)) / (std(r) + eps)`, and every token the agent wrote in trajectory i carries A_i.

The trainer computes the same inside TRL, in float32; this is the float64 statement of it that the oracle (oracle.py)
and the tests use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from llmconfig_gym.parameter import FloatArray

Scale: TypeAlias = Literal["group", "batch", "none"]

EPS = 1e-4
"""Added to the standard deviation; fixed in TRL, so fixed here."""


def advantages(rewards: Sequence[float] | FloatArray, group: int, scale: Scale = "group") -> FloatArray:
    """Advantages [n] of `rewards` [n], `group` trajectories of one sample after another.

    Args:
        rewards: one per trajectory; a whole number of groups.
        group: trajectories per sample, at least 2.
        scale: what the difference from the group's mean is divided by: the group's standard deviation as in the paper
            (with Bessel's correction, as TRL has it), the whole batch's, or nothing (Liu et al., arXiv 2503.20783:
            dividing favours samples on which all trajectories do nearly the same).

    Raises:
        ValueError: `group` is below 2 or does not divide the number of rewards.
    """
    r = np.asarray(rewards, dtype=np.float64)
    if group < 2 or len(r) % group:
        raise ValueError(f"{len(r)} rewards do not make whole groups of {group}; a group has at least 2 trajectories")
    groups = r.reshape(-1, group)
    centred = groups - groups.mean(axis=1, keepdims=True)
    # The mean of equal rewards can miss them by one rounding, which eps would blow up: equal rewards have no advantage.
    centred[np.ptp(groups, axis=1) == 0] = 0.0
    if scale == "group":
        centred = centred / (groups.std(axis=1, ddof=1, keepdims=True) + EPS)
    elif scale == "batch":
        centred = centred / (r.std(ddof=1) + EPS)
    result: FloatArray = centred.reshape(-1)
    return result
