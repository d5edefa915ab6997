"""NAP's network: a transformer that reads the trials and says how good every configuration is, and how worth trying.

Tokens are trials (a configuration and its outcome) and configurations (without one). Every token attends to the trials
alone, so that configurations do not disturb each other and their order does not matter (Maraval et al. 2023).
Spaces differ between problems: a configuration is told by what the cheaper experiments' processes say of it, and where
it lies by the covariance with the trials, whose logarithm is added to the attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

HEADS = 4
"""Of the attention; each learns how much the covariance counts."""

BUCKETS = 10
"""Outcomes are predicted as one of so many equal parts of the regret from none to the median's."""

INPUTS = 8
"""What a token holds: four numbers of the cheaper experiments, turn, budget, whether it is a trial, its outcome."""

Network: TypeAlias = "Mapping[str, Tensor]"


def drawn(rng: np.random.Generator, width: int, layers: int) -> dict[str, Tensor]:
    """A network before training (He et al. 2015; both heads small). Float32."""
    import torch

    def matrix(n: int, m: int, scale: float = 1.0) -> Tensor:
        values = scale * rng.standard_normal((n, m)) / np.sqrt(n)
        return torch.tensor(values, dtype=torch.float32, requires_grad=True)

    network = {"inputs": matrix(INPUTS, width), "score": matrix(width, 1, 0.1), "outcome": matrix(width, BUCKETS, 0.1)}
    for i in range(layers):
        network |= {f"{name}{i}": matrix(width, width, s) for name, s in (("q", 1), ("k", 1), ("v", 1), ("out", 0.3))}
        network |= {f"up{i}": matrix(width, 2 * width, 1.4), f"down{i}": matrix(2 * width, width, 0.3)}
        network[f"bias{i}"] = torch.zeros(2 * width, requires_grad=True)
        network[f"none{i}"] = matrix(1, width)
        network[f"near{i}"] = torch.ones(HEADS, requires_grad=True)
    return network


def look(
    network: Network, cheap: Tensor, told: Tensor, outcomes: Tensor, cross: Tensor, within: Tensor, *, budget: float
) -> tuple[Tensor, Tensor]:
    """What it says of every configuration of a batch of problems that have had n trials each.

    Args:
        cheap: [batch, pool, 4] see `baselines.metabo.Prior`.
        told, outcomes: [batch, n] rows of the trials, and their standardised losses.
        cross, within: [batch, pool, n] and [batch, n, n] covariances of the pool and of the trials with the trials.
        budget: trials in all; it and the turn count in tens.

    Returns:
        Scores [batch, pool], and logits of the outcome [batch, pool, BUCKETS].
    """
    import torch

    batch, pool, _ = cheap.shape
    n = told.shape[1]
    turn = torch.tensor([n / 10, budget / 10]).expand(batch, pool, 2)
    plain = torch.cat([cheap, turn, torch.zeros(batch, pool, 2)], dim=-1)
    trials = plain.gather(1, told[..., None].expand(batch, n, INPUTS)).clone()
    trials[..., -2], trials[..., -1] = 1.0, outcomes
    near = torch.cat([torch.zeros(batch, n + pool, 1), torch.cat([within, cross], dim=1).clamp_min(1e-6).log()], dim=-1)
    x = torch.cat([trials, plain], dim=1) @ network["inputs"]
    for i in range(sum(name.startswith("near") for name in network)):
        seen = _norm(x)
        known = torch.cat([network[f"none{i}"].expand(batch, 1, -1), seen[:, :n]], dim=1)
        q, k, v = (_split(source @ network[f"{name}{i}"]) for name, source in (("q", seen), ("k", known), ("v", known)))
        bias = network[f"near{i}"][:, None, None] * near[:, None]
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias).softmax(-1)
        x = x + (weights @ v).transpose(1, 2).flatten(2) @ network[f"out{i}"]
        x = x + (_norm(x) @ network[f"up{i}"] + network[f"bias{i}"]).relu() @ network[f"down{i}"]
    ends = _norm(x[:, n:])
    return (ends @ network["score"])[..., 0], ends @ network["outcome"]


def _norm(x: Tensor) -> Tensor:
    result: Tensor = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return result


def _split(x: Tensor) -> Tensor:
    """[batch, tokens, width] -> [batch, HEADS, tokens, width / HEADS]."""
    batch, tokens, width = x.shape
    return x.reshape(batch, tokens, HEADS, width // HEADS).transpose(1, 2)
