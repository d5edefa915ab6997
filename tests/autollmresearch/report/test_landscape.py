"""Landscapes: few cells per parameter, the best of each, and configurations in the cells where they belong."""

import numpy as np
import pytest

from autollmresearch.report.landscape import CELLS, PARTS, UNKNOWN, axes_of, axis_from_dict, code_of, layer
from llmconfig_gym.experiment import Experiment, Metric
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space


def test_levels_and_choices_are_cells_and_ranges_are_cut_evenly() -> None:
    space = Space(
        (
            Grid("g", (1, 2, 4), log=True),
            Categorical("c", ("x", "y")),
            Categorical("t", (True, False)),
            Integer("i", 2, 5),
            Integer("wide", 0, 1000),
            Real("r", 1e-4, 1e-2, log=True),
            Simplex("w", ("a", "b")),
        )
    )
    axes = axes_of(space)
    assert [a.name for a in axes] == ["g", "c", "t", "i", "wide", "r", "w.a", "w.b"]
    assert [len(a.at) for a in axes] == [3, 2, 2, 4, PARTS, PARTS, PARTS, PARTS]
    assert axes[3].at == (2.0, 3.0, 4.0, 5.0)
    ratios = np.array(axes[5].at)[1:] / np.array(axes[5].at)[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    low = {"g": 1, "c": "x", "t": True, "i": 2, "wide": 0, "r": 1e-4, "w": {"a": 1.0, "b": 0.0}}
    assert code_of(axes, low) == "aaaaaa" + "ta"
    assert code_of(axes, {**low, "g": 3.9, "t": False, "r": 1.0}) == "cabaa" + "tta"
    assert code_of(axes, {"g": "?", "c": 1, "t": 1, "i": True, "wide": np.inf, "r": -1.0}) == UNKNOWN * 8


def test_every_configuration_of_every_kind_of_table_has_a_cell(targets: dict[str, Experiment]) -> None:
    for e in targets.values():
        axes = axes_of(e.space, [e.pool])
        assert all(1 <= len(a.at) <= CELLS for a in axes)
        assert [axis_from_dict(a.to_dict()) for a in axes] == list(axes)
        made = layer("all", axes, e.pool, e.losses, e.metric)
        by_cell: dict[str, list[float]] = {}
        for row in range(len(e.pool)):
            by_cell.setdefault(code_of(axes, e.pool.config(row)), []).append(float(e.losses[row]))
        assert UNKNOWN not in "".join(by_cell)
        found = dict(zip(made["codes"], made["values"], strict=True))
        expected = {code: e.metric.sign * min(losses) for code, losses in by_cell.items()}
        assert found == pytest.approx(expected, rel=1e-4)


def test_what_gave_no_value_or_lies_in_another_space_is_left_out_or_unknown() -> None:
    space = Space((Grid("a", (1, 2)), Grid("b", (1, 2))))
    axes = axes_of(space)
    pool = Pool(Space((Grid("a", (1, 2)),)), {"a": [1, 2]})
    made = layer("cheap", axes, pool, np.array([3.0, np.nan]), Metric("loss", "minimize"))
    assert (made["codes"], made["values"], made["runs"]) == (["a" + UNKNOWN], [3.0], 2)


def test_of_very_many_configurations_the_best_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autollmresearch.report.landscape.ROWS", 3)
    pool = Pool(Space((Integer("a", 0, 9),)), {"a": np.arange(10)})
    made = layer("all", axes_of(pool.space), pool, -np.arange(10.0), Metric("score", "maximize"))
    assert (made["cells"], made["values"]) == (10, [9.0, 8.0, 7.0])
