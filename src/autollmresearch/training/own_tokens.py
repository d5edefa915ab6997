"""Supervised training on the agent's own tokens: a collator and a trainer over TRL's.

Rows come as token ids with a mask of the agent's own ones, and stay these ids: nothing is tokenised again. Importing
this module imports trl.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from autollmresearch.training.lengths import LengthGroups

IGNORED = -100
"""The label of a token that is not learned."""


class OwnTokens:
    """Rows `{"input_ids": [n], "assistant_masks": [n]}` -> a batch padded on the right, with the masked ids as labels.

    Padding is told from a row's own tokens by position, not by its id, so that a pad token that is also a word, or the
    end of a turn, does no harm. No attention mask is made: a token never sees what stands to the right of it, so
    padding is never seen, and plain causal attention is a quarter faster on a processor.
    """

    def __init__(self, pad_id: int) -> None:
        self.collate = DataCollatorForLanguageModeling(pad_token_id=pad_id)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """`input_ids`, `labels` and `position_ids`, each [rows, longest]."""
        batch: dict[str, torch.Tensor] = self.collate(
            [
                {
                    "input_ids": row["input_ids"],
                    "labels": [
                        i if own else IGNORED for i, own in zip(row["input_ids"], row["assistant_masks"], strict=True)
                    ],
                }
                for row in rows
            ]
        )
        mask = batch.pop("attention_mask")
        batch["position_ids"] = torch.arange(mask.shape[1]).expand_as(mask).contiguous()
        return batch


class OwnTokensTrainer(SFTTrainer):
    """TRL's trainer over rows that are tokens already, in batches of like length; it tells nobody that it was used."""

    groups: LengthGroups
    """The order of the rows."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int]:
        return self.groups  # type: ignore[return-value]  # a sampler is whatever yields row numbers

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: a checkpoint to go on from needs no card."""

    def _send_telemetry(self) -> None:
        """Nothing."""
