"""Batches of rows of like length: every row is in, padding is little, and the order depends on seed and epoch alone."""

import numpy as np
import pytest

from autollmresearch.training.lengths import LengthGroups

LENGTHS = np.random.default_rng(0).integers(10, 500, size=403).tolist()


def padding(order: list[int], batch: int) -> float:
    """Share of a padded epoch that is padding."""
    lengths = np.array(LENGTHS)[order].reshape(-1, batch)
    return 1 - float(lengths.sum() / (lengths.max(axis=1) * batch).sum())


@pytest.mark.parametrize("grouped", [True, False])
def test_every_row_is_in_and_the_last_batch_is_filled(grouped: bool) -> None:
    groups = LengthGroups(LENGTHS, 8, seed=1, grouped=grouped)
    order = list(groups)
    assert len(order) == len(groups) == 408
    assert set(order) == set(range(403))


def test_grouping_leaves_little_padding_but_shuffles_batches() -> None:
    grouped, plain = (list(LengthGroups(LENGTHS, 8, seed=1, grouped=g)) for g in (True, False))
    assert padding(grouped, 8) < 0.05 < 0.3 < padding(plain, 8)
    means = np.array(LENGTHS)[grouped].reshape(-1, 8).mean(axis=1)
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.4


def test_the_order_changes_with_seed_and_epoch_alone() -> None:
    groups = LengthGroups(LENGTHS, 8, seed=1)
    first = list(groups)
    assert list(groups) == first
    groups.set_epoch(1)
    assert list(groups) != first
    assert list(LengthGroups(LENGTHS, 8, seed=2)) != first
    groups.set_epoch(0)
    assert list(groups) == first


def test_fewer_rows_than_a_batch_are_repeated() -> None:
    order = list(LengthGroups([3, 4, 5], 8, seed=0))
    assert len(order) == 8
    assert set(order) == {0, 1, 2}
