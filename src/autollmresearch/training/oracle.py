"""The oracle: GRPO in plain PyTorch, one row at a time, to test the trainer against.

Nothing here is fast and nothing is shared with TRL: no padding, no batches, no buffers. A row's own tokens get

    L_t = -min(w_t A, clip(w_t, 1 - low, 1 + high) A) + beta (exp(d_t) - d_t - 1),
    w_t = pi(t) / pi_old(t),  d_t = log pi_ref(t) - log pi(t)

(Shao et al., arXiv 2402.03300, equations 3 and 4), where pi is the model's distribution at the sampling temperature and
A the advantage of the row's trajectory (reward.py). What is made of them is the loss type:

    grpo     mean over rows of the mean over a row's own tokens
    dapo     sum over all own tokens / their number in the batch (Yu et al., arXiv 2503.14476)
    dr_grpo  sum over all own tokens / (rows x the longest episode allowed) (Liu et al., arXiv 2503.20783)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from autollmresearch.training.reward import Scale, advantages
from autollmresearch.training.row import Row


@dataclass(frozen=True)
class Objective:
    """The constants of the loss; names as in `ReinforceSettings`."""

    group: int
    loss: Literal["grpo", "dapo", "dr_grpo"] = "grpo"
    scale: Scale = "group"
    temperature: float = 1.0
    clip_low: float = 0.2
    clip_high: float = 0.2
    kl: float = 0.0
    longest: int = 1024


def own_logprobs(model: Any, row: Row, temperature: float) -> torch.Tensor:
    """Log-probabilities of a row's own tokens [own tokens] under the model at this temperature."""
    ids = torch.tensor([row.prompt + row.completion])
    at = torch.tensor([len(row.prompt) + i for i, own in enumerate(row.own) if own], dtype=torch.long)
    logits = model(input_ids=ids).logits[0, at - 1].float() / temperature
    chosen: torch.Tensor = torch.log_softmax(logits, -1).gather(1, ids[0, at, None])[:, 0]
    return chosen


def loss(
    model: Any,
    rows: Sequence[Row],
    rewards: Sequence[float],
    objective: Objective,
    *,
    reference: Any = None,
    old: Sequence[torch.Tensor] | None = None,
) -> torch.Tensor:
    """The loss [] of one batch, a group's rows after each other.

    Args:
        rows: [n], and `rewards` of their trajectories.
        reference: the model that the KL term pulls to; needed where `kl` is not 0.
        old: of each row the own tokens' log-probabilities when it was sampled; None: the model has not changed since.
    """
    o = objective
    tokens = sum(sum(row.own) for row in rows)
    total = torch.zeros(())
    for i, (row, advantage) in enumerate(zip(rows, advantages(rewards, o.group, o.scale).tolist(), strict=True)):
        if not any(row.own):
            continue
        logprobs = own_logprobs(model, row, o.temperature)
        ratio = torch.exp(logprobs - (logprobs.detach() if old is None else old[i]))
        per_token = -torch.min(ratio * advantage, ratio.clamp(1 - o.clip_low, 1 + o.clip_high) * advantage)
        if o.kl:
            with torch.no_grad():
                delta = own_logprobs(reference, row, o.temperature)
            delta = delta - logprobs
            per_token = per_token + o.kl * (torch.exp(delta) - delta - 1)
        share = {"grpo": len(rows) * len(logprobs), "dapo": tokens, "dr_grpo": len(rows) * o.longest}[o.loss]
        total = total + per_token.sum() / share
    return total


def update(
    model: Any,
    optimizer: torch.optim.Optimizer,
    rows: Sequence[Row],
    rewards: Sequence[float],
    objective: Objective,
    *,
    reference: Any = None,
    epochs: int = 1,
    max_grad_norm: float = 1.0,
) -> list[float]:
    """`epochs` optimizer steps on one batch; the loss before each."""
    with torch.no_grad():
        old = [own_logprobs(model, row, objective.temperature) for row in rows]
    losses = []
    for _ in range(epochs):
        optimizer.zero_grad()
        value = loss(model, rows, rewards, objective, reference=reference, old=old)
        torch.autograd.backward(value)
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        optimizer.step()
        losses.append(float(value.detach()))
    return losses
