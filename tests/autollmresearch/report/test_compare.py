"""Two benchmarks: paired on what both have, with the interval of the difference."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from autollmresearch.benchmark.metrics import bootstrap_interval
from autollmresearch.benchmark.tables import digits, signed
from autollmresearch.report.compare import compare_benchmarks

Frame = Callable[..., pd.DataFrame]
CUBE = np.array([[[0.5, 0.25, 0.125], [0.4, 0.04, 0.0]], [[1.0, 0.9, 0.2], [0.7, 0.1, 0.1]]])


def test_methods_are_paired_over_the_experiments_seeds_and_trials_that_both_have(frame_of: Frame) -> None:
    first = frame_of({"random": CUBE, "copy": CUBE, "mine": CUBE})
    second = frame_of({"copy": CUBE / 2, "random": CUBE, "yours": CUBE})
    second = second[(second["trial"] < 3) & ((second["experiment"] == "made/e1") | (second["method"] == "random"))]
    (table,) = compare_benchmarks(first, second)["tables"]
    mine, yours = CUBE[1:, :, 1], CUBE[1:, :, 1] / 2
    low, high = bootstrap_interval(yours - mine)
    gap = f"{signed((yours - mine).mean())} [{signed(low)}, {signed(high)}]"
    assert table["rows"] == (
        ("random", "4", "2", digits(CUBE[..., 1].mean()), digits(CUBE[..., 1].mean()), ".000 [.000, .000] (tie)"),
        ("copy", "2", "2", digits(mine.mean()), digits(yours.mean()), gap),
    )


def test_what_has_nothing_in_common_says_so(frame_of: Frame) -> None:
    made = compare_benchmarks(frame_of({"copy": CUBE}), frame_of({"copy": CUBE}, protocol="metered:3"))
    assert made == {"text": "The two have no method and experiment in common.", "tables": []}
