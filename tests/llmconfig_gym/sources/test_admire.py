"""Instruction mixtures: row counts, nesting, the recomputed averages and the noise floor."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.experiment import Experiment
from llmconfig_gym.sources import admire
from llmconfig_gym.sources.tables import read_csv, stack
from llmconfig_gym.suite import Suite

SIZES = {"0.5B": 256, "3B": 128, "7B": 76}
TARGETS = ("ifeval", "truthfulqa", "avg-id", "average")


@pytest.fixture(scope="module")
def table(suite: Callable[[str], Suite]) -> Suite:
    return suite("admire")


def test_counts_and_split(table: Suite) -> None:
    assert set(table.ids) == {f"admire/{size}-{target}" for size in SIZES for target in TARGETS}
    for s in table.summaries:
        size = s.id.removeprefix("admire/").split("-")[0]
        assert s.configurations == SIZES[size]
        assert s.level == {"0.5B": "low", "3B": "medium", "7B": "high"}[size]
        assert s.fidelity.values == {"parameters": float(size[:-1]) * 1e9}
        assert (s.task, s.metric.direction) == ("mixture", "maximize")
    assert {s.family for s in table.summaries} == set(TARGETS)


def test_mixtures_are_nested_sum_to_one_and_never_repeat(table: Suite) -> None:
    sets = []
    for size, rows in SIZES.items():
        weights = table.experiment(f"admire/{size}-average").pool.columns["weights"]
        assert weights.shape == (rows, 19)
        assert np.abs(weights.sum(axis=1) - 1).max() < 7e-4
        sets.append({tuple(w) for w in weights.round(4).tolist()})
        assert len(sets[-1]) == rows
        nothing = weights[:, list(admire.COMPONENTS).index("tulu_hard_coded_repeated_10")]
        assert nothing.max() <= 0.0012
    assert sets[0] > sets[1] > sets[2]


def test_averages_are_recomputed(table: Suite, raw: Callable[[str], Mapping[str, Path]]) -> None:
    metrics = [f"metric_{b.column}" for b in admire.BENCHMARKS]
    averages = ["metric_avg_id+ood", "metric_avg_id"]
    upstream = read_csv(raw("admire")[admire.TABLE], [*metrics, *averages], ["model"])
    assert len(metrics) == 17
    assert len(upstream["model"]) == 460
    wrong = {}
    for model, size, _, _ in admire.MODELS:
        rows = upstream["model"] == model
        told = table.experiment(f"admire/{size}-average").values
        assert told == pytest.approx(stack(upstream, metrics)[rows].mean(axis=1))
        wrong[size] = np.flatnonzero(np.abs(told - upstream["metric_avg_id+ood"][rows]) > 1e-6).tolist()
        assert table.experiment(f"admire/{size}-avg-id").values == pytest.approx(upstream["metric_avg_id"][rows])
        assert (table.experiment(f"admire/{size}-ifeval").values == upstream["metric_ifeval::tulu"][rows]).all()
        assert (table.experiment(f"admire/{size}-truthfulqa").values == upstream["metric_truthfulqa::tulu"][rows]).all()
    assert wrong == {"0.5B": [10, 99, 172], "3B": [], "7B": []}


@pytest.mark.parametrize("name", ["math_word_problems", "hard_reasoning", "instruction_following", "rare_facts"])
def test_numbers_of_test_items_fit_the_scores(table: Suite, name: str) -> None:
    """Shares of right answers must be whole numbers of items: that is how the items were identified."""
    items = next(b.items for b in admire.BENCHMARKS if b.name == name)
    for size in SIZES:
        right = table.experiment(f"admire/{size}-average").details[f"score_{name}"] * items
        assert np.abs(right - right.round()).max() < 1e-4


def test_noise_is_the_binomial_standard_error(table: Suite) -> None:
    e: Experiment = table.experiment("admire/7B-ifeval")
    assert e.noise == pytest.approx(np.sqrt(np.mean(e.values * (1 - e.values)) / 541))
    assert e.noise == pytest.approx(0.0204, abs=1e-4)
    scores = np.full((3, 17), 0.5)
    se = [0.5 / np.sqrt(b.items) for b in admire.BENCHMARKS]
    assert admire.noise(scores, [7]) == pytest.approx(se[7])
    assert admire.noise(scores, range(17)) == pytest.approx(np.sqrt(np.sum(np.square(se))) / 17)


def test_details_are_the_other_benchmarks(table: Suite) -> None:
    assert len(table.experiment("admire/7B-average").details) == 17
    e = table.experiment("admire/7B-ifeval")
    assert len(e.details) == 16
    assert "score_instruction_following" not in e.details
    assert set(e.details) == set(e.metric.details)


def test_rows_written_with_three_digits_are_told(
    table: Suite, told_as_written: Callable[[Experiment, Sequence[int]], bool]
) -> None:
    for id_ in (f"admire/{size}-average" for size in SIZES):
        e = table.experiment(id_)
        assert told_as_written(e, range(len(e.pool)))
