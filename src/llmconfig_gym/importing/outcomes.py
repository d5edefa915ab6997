"""Several runs of one configuration as one outcome: the mean, the spread between runs, and the noise of them all."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.parameter import FloatArray


def mean_and_spread(
    values: FloatArray, which: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """[configurations] mean and sample standard deviation of [runs] values; the latter NaN for a single run."""
    shares = values / counts[which]  # divided before they are summed: no mean of finite values overflows
    mean = np.bincount(which, weights=shares).astype(np.float64)
    squares = np.bincount(which, weights=(values - mean[which]) ** 2)  # NaN where a run diverged
    spread = np.sqrt(squares / np.maximum(counts - 1, 1))
    return mean, np.where(counts > 1, spread, np.nan)


def pooled_sd(spread: FloatArray, counts: NDArray[np.int64]) -> float:
    """The standard deviation of one run, pooled over [configurations] that have a spread; NaN if none has."""
    known = np.isfinite(spread)
    degrees = (counts - 1)[known]
    pooled = math.sqrt((degrees * spread[known] ** 2).sum() / degrees.sum()) if known.any() else math.nan
    return pooled if math.isfinite(pooled) else math.nan


def finite_mean(values: FloatArray, which: NDArray[np.int64], rows: int) -> FloatArray:
    """[configurations] mean of the finite among [runs] values; NaN where there is none."""
    finite = np.isfinite(values)
    sums = np.bincount(which, weights=np.where(finite, values, 0.0), minlength=rows)
    counts = np.bincount(which, weights=finite.astype(np.float64), minlength=rows)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
