"""Tables become suites, and every row is accounted for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from llmconfig_gym.errors import GymError, ImportProblem
from llmconfig_gym.importing import Overrides, Report, import_table
from llmconfig_gym.parameter import Simplex
from llmconfig_gym.suite import Suite

WriteCsv = Callable[..., Path]


def test_a_sweep_becomes_three_experiments(sweep: Path) -> None:
    suite, report = import_table(sweep, "mine")
    assert suite.ids == ("mine/N25M-tokens500M", "mine/N100M-tokens2B", "mine/N400M-tokens8B")
    assert [s.level for s in suite.summaries] == ["low", "medium", "high"]
    assert {s.family for s in suite.summaries} == {"mine"}
    target = suite.experiment("mine/N400M-tokens8B")
    assert target.fidelity.values == {"N": 400_000_000, "tokens": 8_000_000_000}
    assert target.fidelity.cost == pytest.approx(6 * 4e8 * 8e9)
    assert target.fidelity.unit == "FLOPs"
    outcome = target.tell({"lr": 3e-3, "batch_size": 64})
    assert outcome.kind == "measured"
    assert outcome.value is not None
    assert outcome.value == pytest.approx(2.4 + 0.1 * math.log(3) ** 2)
    assert outcome.details["train_loss"] == pytest.approx(outcome.value - 0.1)
    assert (report.read, report.used, report.diverged) == (72, 70, 1)
    assert [(b.line, b.why) for b in report.bad] == [
        (8, "the metric val_loss is NaN"),
        (10, "lr is 'auto', not a number"),
    ]


def test_replicates_become_mean_spread_and_count(sweep: Path) -> None:
    suite, report = import_table(sweep, "mine")
    e = suite.experiment(suite.ids[0])
    assert e.replicates is not None
    assert e.spread is not None
    row = next(r for r in range(len(e.pool)) if e.pool.config(r) == {"lr": 1e-3, "batch_size": 64})
    assert e.values[row] == pytest.approx(3.005)
    assert e.replicates[row] == 2
    assert e.spread[row] == pytest.approx(0.01 / math.sqrt(2))
    assert np.isnan(e.spread[e.replicates == 1]).all()
    assert e.noise == pytest.approx(0.01 / math.sqrt(2))
    first = report.replicates[0]
    assert (first.experiment, first.lines, first.config) == (e.id, (12, 13), {"lr": 1e-3, "batch_size": 32})


def test_a_configuration_diverged_if_one_of_its_runs_did(write_csv: WriteCsv) -> None:
    rows = [[1, 2.0], [1, "inf"], [2, 3.0], [2, 3.2], [3, 2.5], [3, 2.5]]
    suite, report = import_table(write_csv(["x", "loss"], rows), "m")
    e = suite.experiment("m/all")
    assert e.values.tolist() == [math.inf, pytest.approx(3.1), 2.5]
    assert e.tell({"x": 1}).value is None
    assert e.noise == pytest.approx(0.1)  # pooled over the two that have a spread: sqrt((0.02 + 0) / 2)
    assert report.diverged == 1
    assert json.dumps(report.to_dict(), allow_nan=False)


def test_identical_lines_are_replicates_with_a_warning(write_csv: WriteCsv) -> None:
    suite, report = import_table(write_csv(["x", "loss"], [[1, 2.0], [1, 2.0], [2, 3.0]]), "m")
    assert suite.experiment("m/all").noise == 0
    assert any("lines 2, 3 have copies that agree in every column" in n for n in report.notes)


def test_a_fidelity_where_everything_diverged_is_reported_row_by_row(write_csv: WriteCsv) -> None:
    rows = [[1, 1, 2.0], [1, 2, 2.1], [2, 1, "inf"], [2, 2, "inf"]]
    suite, report = import_table(write_csv(["N", "x", "loss"], rows), "m")
    assert suite.ids == ("m/N1",)
    assert [b.line for b in report.bad] == [4, 5]
    assert report.used + len(report.bad) == report.read


def test_a_mixture_suite(mixture: Path) -> None:
    suite, report = import_table(mixture, "mix")
    e = suite.experiment("mix/model_size1B")
    assert e.space["mix"] == Simplex("mix", ("web", "code", "math"))
    assert e.tell({"mix": {"web": 1.0}}).value == pytest.approx(2.2)
    assert e.task == "mixture"
    assert [b.line for b in report.bad] == [4, 13]
    assert report.bad[0].why == "the weights of mix sum to 0.9, not to 1"


@pytest.mark.parametrize("which", ["sweep", "wandb", "wandb_flat", "grpo", "shapes", "mixture"])
def test_every_example_saves_loads_and_tells(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    suite, report = import_table(request.getfixturevalue(which), "mine")
    assert report.used + len(report.bad) == report.read
    suite.save(tmp_path / "out")
    loaded = Suite.load(tmp_path / "out")
    assert [s.to_dict() for s in loaded.summaries] == [s.to_dict() for s in suite.summaries]
    for id_ in loaded.ids:
        before, after = suite.experiment(id_), loaded.experiment(id_)
        for row in range(len(after.pool)):
            config = after.pool.config(row)
            assert before.tell(config) == after.tell(config)
            assert after.tell(config).kind == "measured"


def test_wandb_runs_that_failed_or_are_not_over(wandb: Path) -> None:
    _, report = import_table(wandb, "mine")
    assert [(b.line, b.why) for b in report.bad] == [
        (5, "the metric summary.eval/loss is NaN (State: crashed)"),
        (6, "the run is not over (State is 'running')"),
    ]


@pytest.mark.parametrize(
    ("metric", "values", "clip"),
    [
        ("loss", [2.0, 2.1, 2.2, 8.0], 1.25),
        ("loss", [2.0, 2.1, 2.2, "inf"], 1.25),
        ("loss", [2.0, 2.1, 2.2, 2.3], None),
        ("loss", [2.0, 3.0, 4.0, 5.0], None),  # half the runs lie beyond: that is its spread
        ("loss", [0.0, 0.0, 0.0, 8.0], None),
        ("perplexity", [20, 21, 22, 90], None),
        ("accuracy", [0.1, 0.8, 0.8, 0.9], None),
    ],
)
def test_the_regret_scale_is_clipped_where_a_few_losses_blew_up(
    write_csv: WriteCsv, metric: str, values: list[object], clip: float | None
) -> None:
    suite, _ = import_table(write_csv(["x", metric], [[i, v] for i, v in enumerate(values)]), "m")
    assert suite.experiment("m/all").clip == clip


def test_scales_within_rounding_are_one_experiment(write_csv: WriteCsv) -> None:
    rows = [[2.0001e10, 1, 3], [1.9998e10, 2, 4], [2.0001e10, 3, 5]]
    suite, _ = import_table(write_csv(["tokens", "x", "loss"], rows), "m")
    assert [dict(s.fidelity.values) for s in suite.summaries] == [{"tokens": 20_001_000_000}]


def test_a_measured_cost_is_averaged_over_the_experiment(write_csv: WriteCsv) -> None:
    rows = [[1, 1, 3, 10], [1, 2, 4, 14], [2, 1, 3, 40], [2, 2, 3, ""]]
    suite, _ = import_table(write_csv(["N", "x", "loss", "gpu_hours"], rows), "m")
    assert [(s.fidelity.cost, s.fidelity.unit) for s in suite.summaries] == [(12, "GPU hours"), (40, "GPU hours")]


def test_levels_by_hand(sweep: Path) -> None:
    suite, _ = import_table(sweep, "mine", levels={"low": 2, "high": 1})
    assert [s.level for s in suite.summaries] == ["low", "low", "high"]


def test_an_export_reads_back(sweep: Path, tmp_path: Path) -> None:
    import pandas as pd

    from llmconfig_gym.cli.export_command import frame_of

    suite, _ = import_table(sweep, "mine")
    frame = pd.concat([frame_of(suite.experiment(i)) for i in suite.ids])
    frame.to_csv(tmp_path / "again.csv", index=False)
    again, report = import_table(tmp_path / "again.csv", "mine")
    assert not report.bad
    assert again.ids == suite.ids
    for id_ in suite.ids:
        e = again.experiment(id_)
        assert e.space == suite.experiment(id_).space
        assert e.values.tolist() == suite.experiment(id_).values.tolist()


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a b", "micro", "steplaw", "x" * 90])
def test_names_that_no_suite_can_have(sweep: Path, name: str) -> None:
    with pytest.raises(ImportProblem, match="name"):
        import_table(sweep, name)


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        (["N", "x", "loss"], [[0, 1, 2], [0, 2, 2]], "the cost at N 0 .N, in relative cost. is 0, expected a positive"),
        (["x", "loss"], [[1, "inf"], [1, 2.0], [2, "inf"]], "every run of runs.csv diverged"),
    ],
)
def test_problems(write_csv: WriteCsv, header: list[str], rows: list[list[object]], says: str) -> None:
    with pytest.raises(ImportProblem, match=says):
        import_table(write_csv(header, rows), "m")


CELLS = st.sampled_from(
    [
        "1e308",
        "-1e308",
        "1e-320",
        "0",
        "1",
        "2",
        "4",
        "0.5",
        "0.25",
        "1e-3",
        "7B",
        "",
        "nan",
        "inf",
        "-inf",
        "auto",
        "true",
        "1e400",
        "é",
    ]
)
LOSSES = st.floats(0.5, 9).map(lambda x: f"{x:.3f}") | CELLS
NAMES = ["lr", "N", "tokens", "w.a", "w.b", "opt", "State", "loss", "kl", "seed", "steps", "config.lr", "flops"]


def one_line(problem: GymError) -> None:
    assert "\n" not in str(problem)


def accounted_for(report: Report, suite: Suite) -> None:
    assert report.used + len(report.bad) == report.read
    counts = 0
    for id_ in suite.ids:
        e = suite.experiment(id_)
        counts += len(e.pool) if e.replicates is None else int(e.replicates.sum())
    assert counts == report.used
    merged = [line for r in report.replicates for line in r.lines]
    assert len(set(merged)) == len(merged)
    assert not set(merged) & {b.line for b in report.bad}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_row_is_used_or_reported(data: st.DataObject, write_csv: WriteCsv) -> None:
    names = data.draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
    header = [*names, "x", "val_loss"]
    sane = st.sampled_from(["1", "2", "4"])
    kinds = [data.draw(st.sampled_from([sane, sane, CELLS])) for _ in names]
    row = st.tuples(*kinds, sane | sane | sane | CELLS, LOSSES).map(list)
    torn = st.lists(CELLS, max_size=8)
    rows = data.draw(st.lists(row | row | row | row | torn, max_size=25))
    path = write_csv(header, rows)
    lines = [r for r in rows if len(r) > 1 or any(r)]  # an empty list and a lone empty cell are written as blank lines
    try:
        suite, report = import_table(path, "m")
    except GymError as problem:
        event("refused")
        one_line(problem)
        return
    event("imported")
    assert report.read == len(lines)
    accounted_for(report, suite)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    runs=st.lists(
        st.tuples(st.sampled_from([1e8, 1e9]), st.sampled_from([1, 2, 4]), st.floats(0.5, 9)), min_size=2, max_size=40
    )
)
def test_values_are_means_and_spreads_of_their_runs(runs: list[tuple[float, int, float]], write_csv: WriteCsv) -> None:
    path = write_csv(["N", "x", "loss"], [list(r) for r in runs])
    said = Overrides(parameters=("x",), metric="loss")
    if len({x for _, x, _ in runs}) < 2:
        with pytest.raises(ImportProblem, match="never varies"):
            import_table(path, "m", overrides=said)
        return
    suite, report = import_table(path, "m", overrides=said)
    accounted_for(report, suite)
    told = {}
    for id_ in suite.ids:
        e = suite.experiment(id_)
        for row in range(len(e.pool)):
            spread = math.nan if e.spread is None else float(e.spread[row])
            told[e.fidelity.values["N"], e.pool.config(row)["x"]] = (float(e.values[row]), spread)
    for (size, x), (value, spread) in told.items():
        losses = [loss for n, y, loss in runs if (n, y) == (size, x)]
        assert value == pytest.approx(np.mean(losses))
        assert spread == pytest.approx(np.std(losses, ddof=1) if len(losses) > 1 else math.nan, abs=1e-9, nan_ok=True)
    assert len(told) == len({(n, x) for n, x, _ in runs})
