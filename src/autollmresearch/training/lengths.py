"""Batches of rows of like length, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

WINDOW = 50
"""Batches that are sorted together: enough for little padding, few enough for batches of mixed content."""


class LengthGroups:
    """A sampler: row numbers in an order whose every `batch` consecutive ones are the rows of one update.

    Rows are shuffled, sorted by length within windows of `WINDOW` batches, cut into batches, and the batches are
    shuffled. The order depends on seed and epoch alone, not on the number of processes that share a batch, and a run
    that goes on in the middle of an epoch finds the same order. The last batch is filled up with rows of the first.

    Args:
        lengths: tokens of each row.
        batch: rows of one update.
        grouped: False for a plain shuffle.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int, *, grouped: bool = True) -> None:
        self.lengths = np.asarray(lengths)
        self.batch = batch
        self.seed = seed
        self.grouped = grouped
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch is next (the data loader says it)."""
        self.epoch = epoch

    def tokens(self, batches: int) -> int:
        """Tokens in the first `batches` batches of a run from epoch 0."""
        other = LengthGroups(self.lengths.tolist(), self.batch, self.seed, grouped=self.grouped)
        total, rows = 0, batches * self.batch
        while rows > 0:
            order = list(other)[:rows]
            total += int(self.lengths[order].sum())
            rows -= len(order)
            other.set_epoch(other.epoch + 1)
        return total

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch) * self.batch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = np.resize(rng.permutation(len(self.lengths)), len(self))
        if self.grouped:
            step = WINDOW * self.batch
            windows = (order[i : i + step] for i in range(0, len(order), step))
            order = np.concatenate([w[np.argsort(self.lengths[w], kind="stable")] for w in windows])
            order = rng.permutation(order.reshape(-1, self.batch)).reshape(-1)
        yield from order.tolist()
