"""TRL's GRPO trainer, made to compute only what changes the gradient.

One update of `GRPOTrainer` is K micro-batches: the rows of a generation batch, shuffled and cut into K equal parts,
each padded to the longest row of the whole batch. `GroupTrainer` overrides how rows are dealt to the K parts, and
nothing of the loss:

1. Without a KL term, a row whose advantage is zero adds nothing to loss or gradient, so it is left out. Many are: a
   sample on which all trajectories earn the same teaches nothing.
2. The rows that are left are sorted by length, and each part is cut down to its own longest row.
3. A loss that is a mean over a part's rows is weighted by the rows that the part holds, over those it would hold in
   TRL; the sum over the parts is then TRL's, in value and in gradient. A loss that divides by the tokens of the whole
   batch (`dapo`) needs no weight.

All processes hold the same number of rows in the same part (TRL gathers metrics over rows): what one lacks is filled
up with two-token rows under an empty loss mask. What is logged about tokens (`entropy`, `clip_ratio/*`) is therefore
about the rows that were learned from. Importing this module imports trl.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from trl.trainer.grpo_trainer import GRPOTrainer

Batch: TypeAlias = dict[str, Any]
"""What TRL makes of a generation batch: tensors [rows, tokens], [rows] or [], by name."""

ROW_MEANS = ("grpo", "dr_grpo")
"""Losses that are means over a micro-batch's rows."""
NO_ADVANTAGE = {"group": 1e-3, "batch": 1e-6, "none": 1e-6}
"""Up to this an advantage is zero, by what it was divided by: where a group earned the same, float32 leaves 6e-8 of a
difference, and up to 6e-4 over TRL's eps."""


class GroupTrainer(GRPOTrainer):
    """`GRPOTrainer` with the same loss on fewer and shorter rows; it tells nobody that it was used."""

    args: Any
    model: Any
    _buffered_inputs: Any

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)
        parts = self.args.steps_per_generation
        if self._step % (parts * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            kept = learned(batch, NO_ADVANTAGE[self.args.scale_rewards] if self.beta == 0 else None)
            most = int(self.accelerator.gather(torch.tensor([len(kept)], device=kept.device)).max())
            self._buffered_inputs = deal(batch, kept, max(most, parts), parts)
        return self._buffered_inputs[self._step % parts]

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        loss: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        return loss * inputs["weight"] if self.loss_type in ROW_MEANS and "weight" in inputs else loss

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: a checkpoint to go on from needs no card."""

    def _send_telemetry(self) -> None:
        """Nothing."""


def learned(batch: Batch, least: float | None) -> torch.Tensor:
    """Numbers of the rows that an update must see, shortest first: with an advantage beyond `least`; None: all."""
    length = batch["prompt_mask"].sum(1) + batch["completion_mask"].sum(1)
    order = torch.argsort(length, stable=True)
    return order if least is None else order[batch["advantages"][order].abs() > least]


def deal(batch: Batch, kept: torch.Tensor, count: int, parts: int) -> list[Batch]:
    """The rows `kept`, filled up to `count`, in `parts` micro-batches of like lengths and (to one row) of equal size.

    Each is cut to its own longest prompt and completion, and its `weight` is its number of rows over those of an equal
    share of the whole batch.
    """
    rows = len(batch["advantages"])
    fill = torch.full((count - len(kept),), -1, dtype=kept.dtype, device=kept.device)
    return [_part(batch, part, part.numel() * parts / rows) for part in torch.cat([fill, kept]).tensor_split(parts)]


def _part(batch: Batch, rows: torch.Tensor, weight: float) -> Batch:
    """Rows of a batch by number, -1 being a row of two tokens that adds nothing."""
    part = {k: v[rows.clamp(min=0)] if torch.is_tensor(v) and v.ndim else v for k, v in batch.items()}
    empty = rows < 0
    part["advantages"] = part["advantages"].masked_fill(empty, 0.0)
    prompt, completion = part["prompt_mask"].clone(), part["completion_mask"].clone()
    prompt[empty], completion[empty] = 0, 0
    prompt[empty, -1:], completion[empty, :1] = 1, 1
    owned = part["tool_mask"].clone() if "tool_mask" in part else torch.ones_like(completion)
    owned[empty] = 0
    part |= {"prompt_mask": prompt, "completion_mask": completion, "tool_mask": owned, "weight": weight}
    left, right = int(prompt.sum(1).max()), int(completion.sum(1).max())
    for name, value in part.items():
        if torch.is_tensor(value) and value.ndim == 2:
            part[name] = value[:, -left:] if name.startswith("prompt") else value[:, :right]
    return part
