"""Dense pretraining: counts, check values and traps of the public table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.errors import SourceFormatError
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Grid
from llmconfig_gym.sources import steplaw
from llmconfig_gym.suite import Suite

HIGH = {"215M-100B", "268M-80B", "429M-40B", "429M-50B", "537M-50B", "1074M-20B", "1074M-56.9B"}


@pytest.fixture(scope="module")
def table(suite: Callable[[str], Suite]) -> Suite:
    return suite("steplaw")


def test_counts_and_split(table: Suite) -> None:
    assert len(table.ids) == 17
    assert sum(s.configurations for s in table.summaries) == 1911
    assert {s.configurations for s in table.summaries} <= set(range(47, 121))
    levels = [s.level for s in table.summaries]
    assert [levels.count(level) for level in ("low", "medium", "high")] == [6, 4, 7]
    assert {s.id.removeprefix("steplaw/") for s in table.summaries if s.level == "high"} == HIGH
    assert {(s.task, s.family) for s in table.summaries} == {("pretraining", "dense")}


@pytest.mark.parametrize(
    ("name", "value", "lr", "batch"),
    [
        ("215M-4B", 2.62145, 2.762e-3, 128),
        ("429M-8B", 2.43731, 1.953e-3, 128),
        ("1074M-20B", 2.22550, 1.381e-3, 256),
    ],
)
def test_check_values(table: Suite, name: str, value: float, lr: float, batch: int) -> None:
    e = table.experiment(f"steplaw/{name}")
    assert e.best == pytest.approx(value, abs=5e-6)
    assert e.pool.config(int(np.argmin(e.losses))) == {"lr": lr, "batch_size": batch}
    assert e.tell({"lr": float(f"{lr:.2e}"), "batch_size": batch}).value == e.best


def test_costs_are_floats_that_do_not_overflow(table: Suite) -> None:
    for s in table.summaries:
        n, d = float(s.fidelity.values["parameters"]), float(s.fidelity.values["tokens"])
        assert s.fidelity.cost == 6 * n * d
        assert s.fidelity.unit == "FLOPs"
    costs = [s.fidelity.cost for s in table.summaries]
    assert costs == sorted(costs)
    assert costs[0] == pytest.approx(5.15e18, rel=1e-3)
    assert costs[-1] == pytest.approx(3.666e20, rel=1e-3)


def test_tokens_are_steps_times_batch(table: Suite) -> None:
    for id_ in table.ids:
        e = table.experiment(id_)
        tokens = e.details["steps"] * e.pool.columns["batch_size"] * 2048
        assert np.abs(tokens / float(e.fidelity.values["tokens"]) - 1).max() < 2.3e-3


def test_grids_holes_and_divergence(table: Suite) -> None:
    holes, diverged = [], []
    for id_ in table.ids:
        e = table.experiment(id_)
        lr, batch = e.space["lr"], e.space["batch_size"]
        assert isinstance(lr, Grid)
        assert isinstance(batch, Grid)
        assert len(set(zip(*(c.tolist() for c in e.pool.columns.values()), strict=True))) == len(e.pool)
        assert len(batch.levels) == 10
        holes.append(len(lr.levels) * len(batch.levels) - len(e.pool))
        diverged.append(int((e.values > 5).sum()))
        assert e.clip == 1.25
        assert e.worst == min(e.losses.max(), 1.25 * e.best)
        assert e.noise == pytest.approx(1e-3 * e.best)
    assert (min(holes), max(holes)) == (0, 14)
    assert (min(diverged), max(diverged)) == (0, 22)


def test_grids_that_differ(table: Suite) -> None:
    def levels(name: str, parameter: str) -> tuple[float, ...]:
        grid = table.experiment(f"steplaw/{name}").space[parameter]
        assert isinstance(grid, Grid)
        return grid.levels

    assert levels("215M-20B", "batch_size") == (16, 24, 32, 64, 96, 128, 192, 256, 512, 1024)
    assert 96 in levels("429M-40B", "batch_size")
    assert len(levels("1074M-56.9B", "lr")) == 5


def test_one_lattice_for_two_spellings(table: Suite) -> None:
    written = np.array([0.00276, 0.002762, 0.0019530, 0.00195, 0.0111, 0.01105, 0.0002441])
    assert steplaw.lattice(written).tolist() == [1, 1, 0, 0, 5, 5, -6]
    seen = {v for id_ in table.ids for v in table.experiment(id_).pool.columns["lr"].tolist()}
    assert seen == {steplaw.lattice_value(k) for k in range(-6, 8)}
    with pytest.raises(SourceFormatError, match=r"0\.0023"):
        steplaw.lattice(np.array([0.00195, 0.0023]))


def test_values_are_the_smoothed_column(table: Suite, raw: Callable[[str], Mapping[str, Path]]) -> None:
    lines = raw("steplaw")[steplaw.TABLE].read_text().splitlines()[1:]
    smoothed = sorted(float(line.split(",")[8]) for line in lines)
    told = sorted(v for id_ in table.ids for v in table.experiment(id_).values.tolist())
    assert told == smoothed


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("N,D,lr\n1,2,3\n")
    with pytest.raises(SourceFormatError, match="bs"):
        steplaw.make({steplaw.TABLE: tmp_path / "x.csv"})
    (tmp_path / "x.csv").write_text("N,D,lr,bs,ti,loss,smooth loss\n1,2,3,4,5,6,seven\n")
    with pytest.raises(SourceFormatError, match="seven"):
        steplaw.make({steplaw.TABLE: tmp_path / "x.csv"})
    with pytest.raises(SourceFormatError, match=r"missing\.csv"):
        steplaw.make({steplaw.TABLE: tmp_path / "missing.csv"})


def test_rows_written_with_three_digits_are_told(
    table: Suite, told_as_written: Callable[[Experiment, Sequence[int]], bool]
) -> None:
    for id_ in table.ids:
        e = table.experiment(id_)
        assert told_as_written(e, range(len(e.pool)))
