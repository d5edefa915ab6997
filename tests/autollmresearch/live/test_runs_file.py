"""A user's file as evidence: what is read, what is said aloud, and what is refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from autollmresearch.errors import EvidenceProblem, InvalidTarget
from autollmresearch.live.runs_file import Evidence, read_evidence
from autollmresearch.live.target import parse_target
from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing import Source
from llmconfig_gym.parameter import Categorical, Grid, Parameter, Real, Simplex
from llmconfig_gym.space import Space

Write = Callable[..., Path]
Rows = list[list[object]]

LR = Real("lr", 1e-5, 1e-2, log=True)
SPACE = Space((LR, Grid("batch_size", (64, 128, 256), log=True)))
TARGET = "N=7B,tokens=20B"


def read(path: Path, target: str = TARGET, space: Space | None = SPACE, **options: Any) -> Evidence:
    return read_evidence(path, parse_target(target), space, **options)


def refused(path: Path, target: str = TARGET, space: Space | None = SPACE, **options: Any) -> str:
    """The one line that says what is wrong."""
    with pytest.raises((EvidenceProblem, InvalidTarget, ImportProblem)) as caught:
        read(path, target, space, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_runs_grouped_by_scale_in_the_targets_space(write_runs: Write) -> None:
    found = read(write_runs())
    assert [dict(r.fidelity.values) for r in found.cheaper] == [
        {"N": 25_000_000, "tokens": 500_000_000},
        {"N": 100_000_000, "tokens": 2_000_000_000},
    ]
    assert found.fidelity.values == {"N": 7_000_000_000, "tokens": 20_000_000_000}
    assert found.fidelity.cost == 6 * 7e9 * 2e10
    assert [r.fidelity.cost for r in found.cheaper] == [6 * 2.5e7 * 5e8, 6 * 1e8 * 2e9]
    assert (found.metric.name, found.metric.direction, found.space, found.runs) == ("val_loss", "minimize", SPACE, 6)
    assert sorted(found.cheaper[0].pool.columns["lr"].tolist()) == [1e-4, 1e-3, 1e-2]
    assert found.cheaper[0].encoded_in(SPACE).shape == (3, 2)
    assert found.notes == (
        "extrapolating: N 7.0e9 is 70x beyond the largest run, 1.0e8",
        "extrapolating: tokens 2.0e10 is 10x beyond the largest run, 2.0e9",
    )


@pytest.mark.parametrize("ending", [".tsv", ".jsonl", ".parquet"])
def test_other_kinds_of_files_say_the_same(write_runs: Write, ending: str) -> None:
    import pandas as pd

    path = write_runs()
    frame, other = pd.read_csv(path), path.with_suffix(ending)
    if ending == ".tsv":
        frame.to_csv(other, sep="\t", index=False)
    elif ending == ".jsonl":
        frame.to_json(other, orient="records", lines=True)
    else:
        frame.to_parquet(other)
    a, b = read(path), read(other)
    assert (a.fidelity, a.metric, a.notes) == (b.fidelity, b.metric, b.notes)
    for x, y in zip(a.cheaper, b.cheaper, strict=True):
        assert x.losses.tolist() == y.losses.tolist()
        assert x.pool.encoded.tolist() == y.pool.encoded.tolist()


def test_other_names_of_the_same_scale_are_understood_in_the_users_words(write_runs: Write, sweep: Rows) -> None:
    path = write_runs(sweep, ("run", "params", "D", "lr", "batch_size", "val_loss"))
    found = read(path)
    assert list(found.fidelity.values) == list(found.cheaper[0].fidelity.values) == ["N", "tokens"]


def test_a_parameter_with_one_value_in_all_runs_is_known_to_have_it(write_runs: Write, sweep: Rows) -> None:
    rows = [[*row[:4], 128, row[5]] for row in sweep]
    found = read(write_runs(rows))
    assert found.cheaper[0].pool.config(0)["batch_size"] == 128
    assert found.cheaper[0].encoded_in(SPACE)[:, 1].tolist() == [0.5] * 3
    space = Space((LR, Categorical("run", ("x", "y"))))
    assert "every run of runs.csv has run z, which the space does not know: run must be one of x, y" in refused(
        write_runs([["z", *row[1:]] for row in sweep]), space=space
    )


def test_choices_and_mixtures(write_runs: Write) -> None:
    rows = [
        [n, 1e-3 * (1 + k), opt, share, 1 - share, 3.0 - 0.1 * k + 1e7 / n]
        for n in (1e7, 1e8)
        for k, (opt, share) in enumerate([("adamw", 0.1), ("sgd", 0.3), ("lion", 0.6)])
    ]
    path = write_runs(rows, ("N", "lr", "optimizer", "mix.web", "mix.code", "val_loss"))
    parameters: tuple[Parameter, ...] = (
        Real("lr", 1e-4, 1e-2, log=True),
        Categorical("optimizer", ("adamw", "lion")),
        Simplex("mix", ("web", "code")),
    )
    found = read(path, "N=1e9", Space(parameters))
    assert found.runs == 4
    assert any("2 configurations of runs.csv have no place in the space: optimizer must be" in n for n in found.notes)
    assert found.cheaper[0].pool.config(0)["mix"] == {"web": 0.1, "code": 0.9}


def test_without_a_space_it_is_the_range_of_the_runs_and_said_so(write_runs: Write) -> None:
    found = read(write_runs(), space=None)
    assert found.space == Space((Real("lr", 1e-4, 1e-2, log=True), Grid("batch_size", (64, 128), log=True)))
    note = "no --space: the target is searched in the range of the runs, its best may lie beyond: lr 1.0e-4 to 0.01; "
    assert note + "batch_size 64, 128" in found.notes


def test_a_scale_that_is_the_same_everywhere_is_the_targets_too(write_runs: Write, sweep: Rows) -> None:
    rows = [[*row[:2], "1B", *row[3:]] for row in sweep]
    found = read(write_runs(rows), "N=7B")
    assert found.fidelity.values == {"N": 7_000_000_000, "tokens": 1_000_000_000}
    assert "tokens has one value in runs.csv, so the target is taken to have it too" in found.notes


def test_diverged_and_unusable_rows_are_said_aloud(write_runs: Write, sweep: Rows) -> None:
    sweep[0][5], sweep[4][3] = "inf", "auto"
    found = read(write_runs([*sweep, ["x", 1e8, "2B", 3e-3, 64, 3.3]]))
    assert found.runs == 6
    assert "1 run of runs.csv diverged: known to be bad, as bad as the worst that did not diverge" in found.notes
    assert "line 6 of runs.csv is not used: lr is 'auto', not a number" in found.notes
    assert found.cheaper[0].losses.max() == found.cheaper[0].losses[0]


def test_a_wrong_direction_is_warned_of(write_runs: Write, sweep: Rows) -> None:
    path = write_runs(sweep)
    assert not any("worse" in n for n in read(path).notes)
    (note,) = [n for n in read(path, direction="maximize").notes if "worse" in n]
    assert note.startswith("bigger looks worse: the best val_loss is 3.7 at N 2.5e7, tokens 5.0e8")
    assert note.endswith("though it is to be maximized; if that is the wrong way round, say --minimize")
    assert read(path, direction="maximize").metric.direction == "maximize"


def test_fewer_than_five_runs_mean_priors_only(write_runs: Write, sweep: Rows) -> None:
    found = read(write_runs(sweep[:4]))
    assert found.cheaper == ()
    assert found.notes == (
        "runs.csv has 4 usable runs, fewer than the 5 that a fit needs: they are not used, and the proposal rests on "
        "priors only",
    )
    assert (found.fidelity.values, found.metric.name) == ({"N": 7_000_000_000, "tokens": 20_000_000_000}, "val_loss")
    assert "so the space must be given: add --space" in refused(write_runs(sweep[:1]), space=None)
    for row in sweep[1:3]:
        row[5] = ""
    assert "runs.csv has 4 usable runs" in read(write_runs(sweep)).notes[0]


def test_all_runs_diverged(write_runs: Write, sweep: Rows) -> None:
    for value in ("inf", "nan"):
        for row in sweep:
            row[5] = value
        for options in ({}, {"metric": "val_loss"}):
            message = refused(write_runs(sweep), **options)
            assert message.startswith("no run of runs.csv has a finite val_loss: all diverged, or none is over")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("M=7B,tokens=1B", "target: no column is called 'M'; runs.csv has run, N, tokens, lr, batch_size, val_loss"),
        ("N=7B,tokns=1B", "target: no column is called 'tokns'; did you mean 'tokens'?"),
        (
            "N=7B",
            "the target does not say its tokens, which tells runs of runs.csv apart (2 values from 5.0e8 to 2.0e9)",
        ),
        ("N=huge,tokens=1B", "target N=huge: expected a number, as runs.csv has (2 values from 2.5e7 to 1.0e8)"),
        ("N=7B,params=7B,tokens=1B", "target params: N is named twice"),
    ],
)
def test_targets_that_do_not_fit_the_file(write_runs: Write, target: str, message: str) -> None:
    assert message in refused(write_runs(), target)


def test_missing_columns(write_runs: Write) -> None:
    path = write_runs()
    space = Space((LR, Real("warmup", 0.0, 0.1)))
    message = refused(path, space=space)
    assert message.startswith("runs.csv: no column is called 'warmup'")
    assert "add a column that says so" in message
    assert "did you mean 'batch_size'" in refused(path, space=Space((LR, Grid("batchsize", (1, 2)))))
    assert "runs.csv: --metric: no column is called 'vall_loss'; did you mean 'val_loss'?" in refused(
        path, metric="vall_loss"
    )


def test_units_that_nobody_knows(write_runs: Write, sweep: Rows) -> None:
    rows = [[row[0], "25X", *row[2:]] for row in sweep]
    message = refused(write_runs(rows))
    assert "target N=7.0e9: N of runs.csv holds always 25X; expected numbers there such as 7e9, 7B or 1.4T" in message
    sweep[0][1] = "25X"
    assert "line 2 of runs.csv is not used: N is '25X', not a number" in read(write_runs(sweep)).notes


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "none.csv does not exist"),
        ("runs.xlsx", "x", "runs.xlsx ends in '.xlsx'; expected .csv, .tsv, .json, .jsonl or .parquet"),
        ("runs.csv", "", "runs.csv is empty"),
        ("runs.csv", "N,lr,val_loss\n", "runs.csv holds no run"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert message in refused(tmp_path / name)


def test_a_setting_outside_the_space_makes_runs_replicates_and_is_said(write_runs: Write, sweep: Rows) -> None:
    found = read(write_runs(), space=Space((LR,)))
    assert found.runs == 6
    assert "batch_size is not in the space but varies: runs that differ only in it count as replicates" in found.notes


def test_evidence_survives_as_data(write_runs: Write) -> None:
    from autollmresearch.live.spec import digest, runs_from_list, runs_to_list

    runs = read(write_runs()).cheaper
    again = runs_from_list(json.loads(json.dumps(runs_to_list(runs))))
    assert digest(again) == digest(runs) != digest(runs[:1])
    assert re.fullmatch("[0-9a-f]{64}", digest(runs))
    for a, b in zip(again, runs, strict=True):
        assert np.array_equal(a.losses, b.losses)
        assert np.array_equal(a.pool.encoded, b.pool.encoded)
        assert (a.fidelity, a.space) == (b.fidelity, b.space)


def test_a_study_of_optuna_says_its_objective_and_its_scale(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    for name, size, trials in (("small", 1e6, 4), ("large", 1e7, 4), ("few", 1e7, 2)):
        study = optuna.create_study(storage=url, study_name=name, direction="maximize")
        study.set_user_attr("fidelity", {"N": size})
        for i in range(trials):
            trial = study.ask({"lr": optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True)})
            study.tell(trial, float(i) + size / 1e7)
    found = read_evidence(Source.of(f"{url}#small,large"), parse_target("N=1B"))
    assert (found.metric.name, found.metric.direction, found.runs) == ("value", "maximize", 8)
    assert [dict(r.fidelity.values) for r in found.cheaper] == [{"N": 10**6}, {"N": 10**7}]
    assert found.cheaper[0].losses.tolist() == [-0.1, -1.1, -2.1, -3.1]
    few = read_evidence(Source.of(f"{url}#few"), parse_target("N=1B"), Space((LR,)))
    assert (few.metric.name, few.metric.direction, few.runs) == ("value", "maximize", 0)


def test_of_several_objectives_one_must_be_named(tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/o.db", directions=["minimize", "maximize"])
    study.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    assert "several objectives: values_0, values_1; name one with --metric" in refused(tmp_path / "o.db", "N=1B")
